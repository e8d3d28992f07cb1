/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/meter/snapshot.h - the series of a meter, one by one, all writers added up.
 * Cumulative since the meter's start; whoever wants deltas keeps what it read before, by the
 * series' numbers.
 *
 *     struct meter_reader reader;
 *
 *     meter_begin(meter, &reader);
 *     while (meter_next(&reader, &series))
 *         ...
 *
 * Series of one metric follow each other. A series that counted nothing is not shown. Threads:
 * [any], each with a reader of its own; writers are not held up. What one writer recorded at once
 * in one series is seen whole or not at all.
 */
#ifndef OTEL_METER_SNAPSHOT_H
#define OTEL_METER_SNAPSHOT_H

#include "meter/instruments.h"
#include "meter/meter.h"

#define METER_OVERFLOW "otel.metric.overflow" /* a boolean: true */

struct meter_value {
    enum meter_attribute attribute;
    const char *name; /* [const] of the attribute */
    bool is_number;
    struct spoe_span text; /* [borrow from the meter] UTF-8 */
    int64_t number;
};

/* The last sampled request that fell into a bucket. */
struct meter_exemplar {
    int64_t unix_ns; /* 0: there is none */
    uint8_t trace_id[16], span_id[8];
    double value; /* in the instrument's unit */
};

struct meter_series {
    uint32_t number; /* its own as long as the meter lives, below meter_series_max() */
    const struct meter_instrument *instrument; /* [const] */
    bool is_overflow;                          /* METER_OVERFLOW, and no other attribute */
    size_t n_values;
    struct meter_value values[METER_N_ATTRIBUTES];
    int64_t start_unix_ns;
    uint64_t count; /* of a histogram the sum of its buckets; of a counter its value */
    double sum;     /* in the unit */
    uint64_t
        buckets[METER_BUCKETS_MAX]; /* n_bounds + 1, not added up: the last is above all bounds */
    struct meter_exemplar exemplars[METER_BUCKETS_MAX]; /* one for each bucket */
};

struct meter_reader {
    struct meter *meter;
    unsigned _instrument, _end;
    uint32_t _set;
};

void meter_begin(struct meter *meter, struct meter_reader *ret);
/** The series of one metric only. */
void meter_begin_one(struct meter *meter, enum meter_instrument_id id, struct meter_reader *ret);
/** @return false: there are no more */
bool meter_next(struct meter_reader *reader, struct meter_series *ret);

size_t meter_series_max(const struct meter *meter);

#endif
