/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/custom_attrs.h - the text "key=value;key=value".
 *
 * Pairs are split at ';', key and value at the first '=', white space around both is trimmed.
 * A pair without '=' or with an empty key is left out. Values may be empty. There is no escape.
 */
#ifndef OTEL_RECORD_CUSTOM_ATTRS_H
#define OTEL_RECORD_CUSTOM_ATTRS_H

#include <stdbool.h>
#include <stddef.h>

#define CUSTOM_ATTRS_MAX 1024u /* pairs that are read from one text; later ones are ignored */

/* Where the reader is; a walk starts with {text, text + length, 0}. */
struct custom_attrs {
    const char *p, *end;
    size_t n; /* pairs seen, valid or not */
};

/* Points into the text. */
struct custom_attr {
    const char *key, *value;
    size_t key_len, value_len;
};

/** @return false after the last pair */
bool custom_attrs_next(struct custom_attrs *attrs, struct custom_attr *ret);

#endif
