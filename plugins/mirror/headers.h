/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/mirror/headers.h - a request's headers as HAProxy sends them, and what of them goes to
 * the second origin. Pure: no I/O, nothing kept.
 */
#ifndef MIRROR_HEADERS_H
#define MIRROR_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include <spoe/plugin.h>

#define MIRROR_RULES_MAX 64u    /* headers that are set, and that are removed */
#define MIRROR_RULE_TEXT_MAX 8u /* KiB of one option's text */

/* "Name: value", the name's length known. */
struct mirror_line {
    char *text;
    size_t name_len;
};

/* What to do with headers; read-only once made, so any thread may use it. */
struct mirror_rules {
    struct mirror_line set[MIRROR_RULES_MAX]; /* the marker is one of them */
    size_t n_set;
    char *remove[MIRROR_RULES_MAX]; /* a name; one that ends in "*" is a beginning */
    size_t n_remove;
    char *marker; /* [borrow: of set[]] a request that has it was mirrored already; NULL: none */
    size_t marker_len;
};

/**
 * Read "Name: value, Name: value"; a comma in a value is written "\,".
 * @param marker  the first one marks what was mirrored
 * @param reterr  [borrow] set on failure, one sentence
 */
int mirror_rules_set(struct mirror_rules *rules, struct spoe_span text, bool marker, char *reterr,
                     size_t reterr_size);
/** Read "name, name, x-*". */
int mirror_rules_remove(struct mirror_rules *rules, struct spoe_span text, char *reterr,
                        size_t reterr_size);
void mirror_rules_fini(struct mirror_rules *rules);

/* Lines that end in NUL, one after the other; memory that is kept from request to request. */
struct mirror_lines {
    char *bytes;
    size_t len, size, n;
};
void mirror_lines_fini(struct mirror_lines *lines);

enum mirror_headers_result {
    MIRROR_HEADERS_OK = 0,
    MIRROR_HEADERS_BROKEN = -1, /* not a list of headers, or one that cannot be sent */
    MIRROR_HEADERS_MARKED = -2,
    MIRROR_HEADERS_NO_MEMORY = -3
};

/**
 * The header lines for libcurl: those of the request without what is about one connection only,
 * after the rules; and, as "Name:", what libcurl is to leave out where the request has none.
 *
 * @param headers  [borrow] req.hdrs_bin or req.hdrs
 * @param binary   which of the two
 * @param lines    what it held is replaced
 */
enum mirror_headers_result mirror_headers_write(const struct mirror_rules *rules,
                                                struct spoe_span headers, bool binary,
                                                struct mirror_lines *lines);

/** Whether a text is a token of HTTP (RFC 9110, 5.6.2), as methods and names are. */
bool mirror_is_token(struct spoe_span text);

#endif
