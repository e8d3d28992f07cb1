/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/pairs.h - "key=value,key=value", as OTEL_RESOURCE_ATTRIBUTES and
 * OTEL_EXPORTER_OTLP_HEADERS are written: in both, %XX stands for a byte, and white space around
 * keys and values does not count.
 */
#ifndef OTEL_BASE_PAIRS_H
#define OTEL_BASE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

struct pair {
    char *key, *value; /* decoded; not empty, may be empty */
};

struct pair_list {
    struct pair *item;
    size_t n;
};

#define PAIRS_MAX 128u        /* pairs of a list */
#define PAIRS_KEY_MAX 256u    /* bytes of a key, decoded */
#define PAIRS_VALUE_MAX 4096u /* bytes of a value, decoded */

enum { PAIRS_E_NOMEM = -1, PAIRS_E_INVAL = 1 };

/**
 * Read a list, all of it or nothing. Empty items are passed over. A key that comes again takes the
 * place of the first.
 * @param text       [borrow] NULL or empty: no pairs
 * @param ret        [give: pair_list_fini] set on success only
 * @param reterr     [const] PAIRS_E_INVAL: what is wrong, without any part of the text
 * @return 0; PAIRS_E_INVAL; PAIRS_E_NOMEM
 */
int pair_list_read(const char *text, struct pair_list *ret, const char **reterr);

/**
 * Set a pair; both texts are copied. A key that is there takes the new value.
 * @return 0; PAIRS_E_NOMEM
 */
int pair_list_set(struct pair_list *list, const char *key, const char *value);

/** Free; what the values were is overwritten, since they may be secrets. */
void pair_list_fini(struct pair_list *list);

#endif
