/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/gaps.h - which lines are missing, by their numbers (%lc).
 *
 * HAProxy numbers the lines of a frontend, in each of its processes. A source is one frontend of
 * one process at one address. Lines of several threads overtake each other, so a number is missing
 * only when GAPS_WINDOW later ones have been seen. Bounded: the source that was silent for longest
 * makes room for a new one. What is missing is counted by frontend, for all threads to read.
 * Threads: the owner's only, unless said.
 */
#ifndef HOST_LINES_GAPS_H
#define HOST_LINES_GAPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#define GAPS_SOURCES_MAX 64u
#define GAPS_WINDOW 64u
/* A number that is further on, or further back, is another beginning: neither a gap nor late. */
#define GAPS_JUMP_MAX 1000000u
#define GAPS_LATE_MAX 10000u

struct gaps_source {
    uint64_t key;  /* 0: free */
    uint64_t next; /* the number after the highest one seen */
    uint64_t seen; /* bit i: number next - 1 - i */
    uint64_t used; /* when, in lines */
};

/* Of one frontend, in all of its processes: the last one has those that found no place. */
#define GAPS_FRONTENDS_MAX 64u
#define GAPS_FRONTEND_BYTES_MAX 64u
struct gaps_frontend {
    size_t len;
    char name[GAPS_FRONTEND_BYTES_MAX];
    _Atomic uint64_t missing; /* [any] reads */
};

struct gaps {
    uint64_t clock;
    struct gaps_source source[GAPS_SOURCES_MAX];
    struct gaps_frontend frontend[GAPS_FRONTENDS_MAX];
    /* Those that are there: they change no more but for their count. [any] reads */
    _Atomic uint32_t n_frontends;
};

/** The key of a source. @param peer  of the address, whatever tells them apart */
uint64_t gaps_key(uint64_t peer, struct spoe_span pid, struct spoe_span frontend);
/** A line with this number has come. @return lines that are known to be missing now, and were not
 * before */
uint64_t gaps_see(struct gaps *gaps, uint64_t key, uint64_t number);
/** Count them. A name that is too long, or not printable, counts as "other". */
void gaps_count(struct gaps *gaps, struct spoe_span frontend, uint64_t missing);

#endif
