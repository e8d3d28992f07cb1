/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers that record, with sets that are new and sets that are known, while another thread reads:
 * for the TSan build. What one writer records at once is seen whole; at the end nothing is missing.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "meter/snapshot.h"

#define WRITERS 4
#define ROUNDS 20000
#define NAMES 60   /* more sets than series */
#define BYTES 1024 /* a bound: each is in one bucket, and the sum is known */

static struct meter *meter;
static _Atomic int running;

static void *record(void *arg)
{
    const unsigned number = *(const unsigned *)arg;
    struct meter_writer *writer = meter_writer(meter);
    uint8_t trace_id[16], span_id[8];
    char name[16];

    assert(writer != NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        union meter_set set = {.words = {0}};
        struct meter_trace trace = {trace_id, span_id, (int64_t)i + 1};
        const int n = snprintf(name, sizeof name, "n%u", (i + number) % NAMES);

        memset(trace_id, (int)(i % 250 + 1), sizeof trace_id); /* torn, they would differ */
        memset(span_id, (int)(i % 250 + 1), sizeof span_id);
        set.value[METER_FRONTEND] = meter_name(writer, (struct spoe_span){name, (size_t)n});
        meter_server(writer, &set, 1000000, BYTES, -1, i % 2 == 0 ? &trace : NULL);
    }
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

static void check(const struct meter_series *series)
{
    const struct meter_exemplar *exemplar = &series->exemplars[0];

    if (series->instrument == &meter_instruments[METER_REQUEST_SIZE]) {
        assert(series->sum == (double)series->count * BYTES);
        exemplar = &series->exemplars[1];
    }
    assert(exemplar->unix_ns != 0 || exemplar->trace_id[0] == 0);
    for (size_t i = 1; i < sizeof exemplar->trace_id; i++)
        assert(exemplar->trace_id[i] == exemplar->trace_id[0]);
    assert(exemplar->span_id[7] == exemplar->trace_id[0]);
}

static uint64_t read_all(void)
{
    static struct meter_series series;
    struct meter_reader reader;
    uint64_t n = 0;

    meter_begin(meter, &reader);
    while (meter_next(&reader, &series)) {
        check(&series);
        n += series.count;
    }
    return n;
}

int main(void)
{
    pthread_t threads[WRITERS];
    unsigned numbers[WRITERS];

    meter = meter_create(100, 1);
    assert(meter != NULL);
    atomic_store(&running, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++) {
        numbers[i] = i * 7;
        assert(pthread_create(&threads[i], NULL, record, &numbers[i]) == 0);
    }
    while (atomic_load(&running) > 0)
        (void)read_all();
    for (unsigned i = 0; i < WRITERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert(read_all() == 2ull * WRITERS * ROUNDS); /* in two metrics each */
    meter_destroy(meter);
    return 0;
}
