/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/framing.h - the bytes of a stream, cut into lines; pure.
 *
 * Lines end with a newline, or begin with their length and a space (RFC 6587 3.4.1); which of both
 * is said by the address. HAProxy's own "5 events dropped" is told apart from both: it begins as a
 * length does, has none itself where lines have, and from 3.2 on ends in a NUL.
 */
#ifndef HOST_LINES_FRAMING_H
#define HOST_LINES_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing_found {
    FRAMING_MORE,     /* nothing whole: more bytes are needed */
    FRAMING_LINE,     /* a line */
    FRAMING_DROPPED,  /* HAProxy says that it dropped lines */
    FRAMING_TOO_LONG, /* a line that is longer than may be; it is passed over */
    FRAMING_LOST      /* neither: there is no telling where the next line begins */
};

struct framing {
    bool octets;
    size_t max;     /* bytes of a line */
    size_t scanned; /* of the line that is not whole, without a newline among them */
    bool passing;   /* over the rest of a line that is too long */
};

struct framing_result {
    size_t used;      /* bytes that are done with, to be taken off; also with FRAMING_MORE */
    size_t line, len; /* FRAMING_LINE: where it begins and its length, without its end */
    uint64_t dropped; /* FRAMING_DROPPED */
};

/** Look for the next line at p. @param p, n  all that has come and was not used */
enum framing_found framing_next(struct framing *framing, const char *p, size_t n,
                                struct framing_result *ret);

/** A line without its end: newline, carriage return, NUL. @return its length */
size_t framing_trim(const char *p, size_t n);

/** Whether all of a line, trimmed, is HAProxy's "N events dropped". */
bool framing_is_dropped(const char *p, size_t n, uint64_t *ret_dropped);

#endif
