/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/meter/tables.h - what meter.c writes and snapshot.c reads.
 *
 * A set of attributes has a number, by which each writer finds its cells for it. Cells are written
 * by one thread between two steps of `turn`, which is odd meanwhile; a reader that sees it change
 * reads again. They are atomics, since it does read while they change: stores release and loads
 * acquire, so that none of them moves across `turn`.
 */
#ifndef OTEL_METER_TABLES_H
#define OTEL_METER_TABLES_H

#include <pthread.h>
#include <stdatomic.h>

#include "meter/instruments.h"
#include "meter/meter.h"
#include "meter/names.h"

struct known_set {
    union meter_set set;
    uint32_t number;
    uint32_t first_series; /* of its instruments, which follow each other */
};

struct cells {
    _Atomic uint32_t turn; /* odd: they are being written */
    _Atomic uint64_t cell[];
};

/* The writer's alone. */
#define MEMO_PAIRS 128u
struct remembered {
    uint64_t hash;
    uint32_t n; /* 0: nothing */
    struct meter_points points;
    uint8_t key[METER_MEMO_KEY_MAX];
};

struct meter_writer {
    struct meter *meter;
    uint32_t next_victim;
    struct meter_points unremembered;
    struct remembered memo[MEMO_PAIRS * 2];
    _Atomic(struct meter_writer *) next;
    _Atomic(struct cells *) cells[]; /* by the numbers of sets; NULL: it has not met it */
};

struct meter {
    size_t series_max;
    int64_t start_unix_ns;
    struct names *names;
    _Atomic(struct meter_writer *) writers;
    pthread_mutex_t lock; /* of those who add a set or a writer */
    size_t n_series;      /* lock */
    _Atomic bool is_full; /* no set is added any more */
    _Atomic uint32_t n_sets;
    size_t sets_max, n_slots;
    _Atomic(struct known_set *) *slots;      /* by hash; n_slots, a power of two */
    _Atomic(struct known_set *) by_number[]; /* sets_max; the first are the overflow of each kind */
};

static inline enum meter_kind set_kind(const union meter_set *set)
{
    return (enum meter_kind)set->value[METER_WORDS * 4 - 1];
}

#endif
