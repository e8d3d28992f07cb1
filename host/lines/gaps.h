/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/gaps.h - which lines are missing, by their numbers (%lc).
 *
 * HAProxy numbers the lines of a frontend, in each of its processes. A source is one frontend of
 * one process at one address, over one connection where there is one. Lines of several threads
 * overtake each other, so a number is missing only when GAPS_WINDOW later ones have been seen. Two
 * threads of HAProxy that log at once may write one number twice, and then leave one out (it is
 * read when the line is built, and counted up when it is sent): a line too many makes up for a
 * number that is missing soon after.
 *
 * A connection that ends leaves what was seen of its sources to the next one that brings lines of
 * them, which may be another reader's: so lines that are lost with a connection are missed, and
 * those that came over another one are not. Bounded: the source that was silent for longest makes
 * room for a new one. What is missing is counted by frontend, for all threads to read. Threads: the
 * owner's only, unless said.
 */
#ifndef HOST_LINES_GAPS_H
#define HOST_LINES_GAPS_H

#include <pthread.h>
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
/* Lines too many make up for so many numbers at most, among so many that come next. */
#define GAPS_CREDIT_MAX 64u
#define GAPS_CREDIT_NUMBERS 256u

struct gaps_source {
    uint64_t key;          /* 0: free */
    uint64_t owner;        /* its connection; 0: none */
    uint64_t next;         /* the number after the highest one seen */
    uint64_t seen;         /* bit i: number next - 1 - i */
    uint64_t credit;       /* lines too many */
    uint64_t credit_until; /* number */
    uint64_t used;         /* when, in lines; 0: it is new */
};

/* What connections have left, of all readers. */
struct gaps_past {
    pthread_mutex_t lock;
    uint64_t clock;
    struct gaps_source source[GAPS_SOURCES_MAX];
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
    struct gaps_past *past; /* NULL: nothing is left to anybody */
    uint64_t clock;
    struct gaps_source source[GAPS_SOURCES_MAX];
    struct gaps_frontend frontend[GAPS_FRONTENDS_MAX];
    /* Those that are there: they change no more but for their count. [any] reads */
    _Atomic uint32_t n_frontends;
};

/** The key of a source. @param peer  of the address, whatever tells them apart */
uint64_t gaps_key(uint64_t peer, struct spoe_span pid, struct spoe_span frontend);
/**
 * A line with this number has come.
 * @param owner  tells connections apart, over all readers; 0: it came over none
 * @return lines that are known to be missing now, and were not before
 */
uint64_t gaps_see(struct gaps *gaps, uint64_t key, uint64_t owner, uint64_t number);
/** The connection has ended. */
void gaps_leave(struct gaps *gaps, uint64_t owner);
void gaps_past_init(struct gaps_past *past);
void gaps_past_fini(struct gaps_past *past);
/** Count them. A name that is too long, or not printable, counts as "other". */
void gaps_count(struct gaps *gaps, struct spoe_span frontend, uint64_t missing);

#endif
