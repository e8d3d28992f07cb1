/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/pairs.h - KEY=VALUE pairs, as HAProxy's log-format writes them; pure.
 *
 * A value is a word, or stands in quotes with either of HAProxy's escapes: a backslash before ", \
 * and ] (%{+E}), or # and two hexadecimal digits (%HU, %hr) for a byte that these would not write
 * as it is. An unquoted - or nothing is no value at all. Escapes are taken out in place: values
 * become views into the line. Threads: [any].
 */
#ifndef HOST_LINES_PAIRS_H
#define HOST_LINES_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/counters.h"
#include "core/texts.h"

#define PAIRS_MAX 128u
#define PAIR_NAME_MAX 64u

/* How pairs end where they stand. */
enum pairs_end {
    PAIRS_LINE,    /* with the line: all of it is pairs */
    PAIRS_WORD,    /* with the first word that is no pair */
    PAIRS_BRACKET, /* with ] */
};

/* The name that was at a place in the line before, with its =; HAProxy's lines repeat themselves.
 */
#define PAIRS_KNOWN 64u
struct pairs_known {
    uint64_t word, mask; /* its bytes, the first one lowest */
    uint8_t len;         /* without the =; 0: none that is short enough */
};

/* All zero at first. */
struct pairs {
    uint32_t n;
    uint32_t n_places;                   /* with those that have no value */
    bool cut;                            /* the line ends within a pair or before the bracket */
    bool numbered;                       /* one of them is lc, the line's number */
    struct text_arg pair[PAIRS_MAX + 1]; /* the last for the one too many */
    struct pairs_known known[PAIRS_KNOWN];
};

/** What the next pair of the line has for its place. */
static inline uint8_t pairs_place(struct pairs *pairs)
{
    return pairs->n_places < UINT8_MAX ? (uint8_t)pairs->n_places++ : UINT8_MAX;
}

/**
 * Append the pairs from *pos on; of a pair that was cut what there is.
 * @param p, n     [borrow] the line; changed where escapes are taken out
 * @param pos      moved behind the pairs, or to what is wrong
 * @return LINE_OK or what is wrong
 */
enum line_fault pairs_read(struct pairs *pairs, char *p, size_t n, size_t *pos, enum pairs_end end);

#endif
