/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_meter.c - numbers of requests, aggregated: issue 11, 3.1. How it holds with
 * many threads at once: tests/race/race_meter.c.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "meter/snapshot.h"

#define MS INT64_C(1000000)
#define START INT64_C(1700000000000000000)

/* Fail after so many; < 0: never. Counts all, so that a test can see that there were none. */
static volatile int fail_after = -1;
static volatile int allocations;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool fails(void)
{
    allocations++;
    return fail_after >= 0 && fail_after-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

static struct meter *meter;
static struct meter_writer *writer;

static void set_up_for(size_t series_max)
{
    meter = meter_create(series_max, START);
    cr_assert_not_null(meter);
    writer = meter_writer(meter);
    cr_assert_not_null(writer);
}

static void set_up(void)
{
    set_up_for(100);
}

static void tear_down(void)
{
    meter_destroy(meter);
}

TestSuite(meter, .init = set_up, .fini = tear_down, .timeout = 60);

static union meter_set set_of(const char *frontend, uint16_t status)
{
    union meter_set set = {.words = {0}};

    set.value[METER_FRONTEND] = meter_name(writer, spoe_str(frontend));
    set.value[METER_STATUS] = status;
    return set;
}

static void record(const char *frontend, uint16_t status, int64_t ns)
{
    union meter_set set = set_of(frontend, status);

    meter_server(writer, &set, ns, -1, -1, NULL);
}

/* All series, sorted as they come. */
static struct meter_series seen[400];

static size_t read_all(void)
{
    struct meter_reader reader;
    size_t n = 0;

    meter_begin(meter, &reader);
    while (n < 400 && meter_next(&reader, &seen[n]))
        n++;
    return n;
}

static const struct meter_value *value_of(const struct meter_series *series,
                                          enum meter_attribute attribute)
{
    for (size_t i = 0; i < series->n_values; i++) {
        if (series->values[i].attribute == attribute)
            return &series->values[i];
    }
    return NULL;
}

Test(meter, nothing_is_shown_before_it_counts)
{
    cr_expect_eq(read_all(), 0);
}

Test(meter, sets_are_told_apart)
{
    record("web", 200, 3 * MS);
    record("web", 200, 4 * MS);
    record("web", 503, 20 * MS);
    record("api", 200, MS);
    cr_assert_eq(read_all(), 3);
    cr_expect_eq(seen[0].count, 2);
    cr_expect_float_eq(seen[0].sum, 0.007, 1e-12);
    cr_expect_str_eq(seen[0].instrument->name, "http.server.request.duration");
    cr_expect_eq(seen[0].start_unix_ns, START);
    cr_assert_eq(seen[0].n_values, 2);
    cr_expect_str_eq(seen[0].values[0].name, "haproxy.frontend.name");
    cr_expect(spoe_span_is(seen[0].values[0].text, "web"));
    cr_expect_str_eq(seen[0].values[1].name, "http.response.status_code");
    cr_expect_eq(seen[0].values[1].number, 200);
    cr_expect_eq(value_of(&seen[1], METER_STATUS)->number, 503);
    cr_expect_null(value_of(&seen[1], METER_BACKEND));
    cr_expect(spoe_span_is(value_of(&seen[2], METER_FRONTEND)->text, "api"));
    cr_expect_neq(seen[0].number, seen[1].number);
}

/* A bound belongs to its bucket, above the last one is a bucket of its own. */
Test(meter, buckets_are_the_conventions)
{
    static const double bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                    0.5,   0.75, 1,     2.5,  5,     7.5, 10};
    const struct meter_instrument *duration = &meter_instruments[METER_SERVER_DURATION];

    cr_assert_eq(duration->n_bounds, 14);
    for (size_t i = 0; i < 14; i++) {
        cr_expect_float_eq(duration->bounds[i], bounds[i], 1e-12);
        cr_expect_float_eq((double)duration->whole_bounds[i] / 1e9, bounds[i], 1e-12);
        record("web", 200, duration->whole_bounds[i]);
        record("web", 200, duration->whole_bounds[i] + 1);
    }
    record("web", 200, -5); /* a clock that was set back */
    cr_assert_eq(read_all(), 1);
    cr_expect_eq(seen[0].buckets[0], 2);
    for (size_t i = 1; i < 14; i++)
        cr_expect_eq(seen[0].buckets[i], 2, "%zu", i);
    cr_expect_eq(seen[0].buckets[14], 1);
    cr_expect_eq(seen[0].count, 29);
}

Test(meter, sizes_that_are_known)
{
    union meter_set set = set_of("web", 200);

    meter_server(writer, &set, MS, 0, 1 << 20, NULL);
    meter_server(writer, &set, MS, 5000, -1, NULL);
    cr_assert_eq(read_all(), 3);
    cr_expect_eq(seen[1].instrument, &meter_instruments[METER_REQUEST_SIZE]);
    cr_expect_eq(seen[1].count, 2);
    cr_expect_eq(seen[1].buckets[0], 1);
    cr_expect_eq(seen[1].buckets[3], 1);
    cr_expect_float_eq(seen[1].sum, 5000, 1e-9);
    cr_expect_eq(seen[2].instrument, &meter_instruments[METER_RESPONSE_SIZE]);
    cr_expect_eq(seen[2].count, 1);
    cr_expect_eq(seen[2].buckets[6], 1);
    cr_expect_eq(seen[2].number, seen[0].number + 2);
}

/* A sum of many long requests passes 2^64 ns. */
Test(meter, sums_do_not_wrap)
{
    for (int i = 0; i < 4; i++)
        record("web", 101, INT64_MAX);
    cr_assert_eq(read_all(), 1);
    cr_expect_float_eq(seen[0].sum, 4 * 9.223372036854775807e9, 1);
}

Test(meter, each_kind_has_its_own)
{
    union meter_set set = {.words = {0}};

    set.value[METER_SERVER] = meter_name(writer, spoe_str("app1"));
    set.value[METER_ADDRESS] = meter_name(writer, spoe_str("10.0.0.1"));
    set.value[METER_PORT] = 1; /* which is no name */
    meter_client(writer, &set, 7 * MS, NULL);
    set = (union meter_set){.words = {0}};
    set.value[METER_STATE] = meter_name(writer, spoe_str("SC"));
    meter_end(writer, &set);
    meter_end(writer, &set);
    cr_assert_eq(read_all(), 2);
    cr_expect_str_eq(seen[0].instrument->name, "http.client.request.duration");
    cr_expect_not(seen[0].is_overflow);
    cr_expect_eq(value_of(&seen[0], METER_PORT)->number, 1);
    cr_expect_eq(seen[0].buckets[1], 1);
    cr_expect_str_eq(seen[1].instrument->name, "haproxy.request.terminations");
    cr_expect_eq(seen[1].count, 2);
    cr_expect(spoe_span_is(seen[1].values[0].text, "SC"));
}

Test(meter, writers_are_added_up)
{
    struct meter_writer *first = writer;

    record("web", 200, 3 * MS);
    writer = meter_writer(meter);
    record("web", 200, 30 * MS);
    record("api", 200, MS);
    writer = first;
    cr_assert_eq(read_all(), 2);
    cr_expect_eq(seen[0].count, 2);
    cr_expect_float_eq(seen[0].sum, 0.033, 1e-12);
}

/* ---- exemplars ---- */

Test(meter, exemplars_are_the_last_sampled_of_each_bucket)
{
    static const uint8_t trace_id[16] = "0123456789abcdef", span_id[8] = "ABCDEFGH",
                         later[16] = "fedcba9876543210";
    struct meter_trace trace = {trace_id, span_id, START + 5};
    union meter_set set = set_of("web", 200);
    struct meter_writer *other = meter_writer(meter);

    meter_server(writer, &set, 3 * MS, -1, -1, &trace);
    meter_server(writer, &set, 2 * MS, -1, -1, NULL); /* not sampled: it does not take the place */
    cr_assert_eq(read_all(), 1);
    cr_expect_eq(seen[0].exemplars[0].unix_ns, START + 5);
    cr_expect_arr_eq(seen[0].exemplars[0].trace_id, trace_id, 16);
    cr_expect_arr_eq(seen[0].exemplars[0].span_id, span_id, 8);
    cr_expect_float_eq(seen[0].exemplars[0].value, 0.003, 1e-12);
    cr_expect_eq(seen[0].exemplars[1].unix_ns, 0);
    trace = (struct meter_trace){later, span_id, START + 7};
    meter_server(other, &set, 4 * MS, -1, -1, &trace); /* a younger one, of another writer */
    trace = (struct meter_trace){trace_id, span_id, START + 6};
    meter_server(writer, &set, 8 * MS, 17, -1, &trace);
    cr_assert_eq(read_all(), 2);
    cr_expect_arr_eq(seen[0].exemplars[0].trace_id, later, 16);
    cr_expect_float_eq(seen[0].exemplars[0].value, 0.004, 1e-12);
    cr_expect_float_eq(seen[0].exemplars[1].value, 0.008, 1e-12);
    cr_expect_float_eq(seen[1].exemplars[1].value, 17, 1e-12);
}

/* ---- bounds ---- */

static size_t n_overflow(size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        if (seen[i].is_overflow) {
            cr_expect_eq(seen[i].n_values, 0);
            found++;
        }
    }
    return found;
}

/* So many series and no more, whatever comes; nothing is lost but the distinction. */
Test(meter, series_are_bounded)
{
    char name[16];
    uint64_t all = 0;
    size_t n;

    for (int i = 0; i < 1000; i++) {
        union meter_set set;

        (void)snprintf(name, sizeof name, "be-%d", i);
        set = set_of(name, 200);
        meter_server(writer, &set, MS, 1, 1, NULL);
        set = set_of(name, 200);
        meter_client(writer, &set, MS, NULL);
        set = set_of(name, 200);
        meter_end(writer, &set);
    }
    n = read_all();
    cr_expect_leq(n, 100);
    cr_expect_geq(n, 95);
    cr_expect_eq(n_overflow(n), 5);
    for (size_t i = 0; i < n; i++) {
        cr_expect_lt(seen[i].number, meter_series_max(meter));
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(seen[i].number, seen[j].number);
        all += seen[i].count;
    }
    cr_expect_eq(all, 5000);
    record("be-0", 200, MS); /* what was there stays */
    (void)read_all();
    cr_expect_eq(seen[0].is_overflow, true);
    cr_expect_eq(seen[1].count, 2);
}

Test(meter, names_are_bounded)
{
    char name[16];
    union meter_set set;

    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        set = set_of(name, 0);
    }
    cr_expect_eq(set.value[METER_FRONTEND], 1);
    set.value[METER_STATUS] = 200;
    meter_server(writer, &set, MS, -1, -1, NULL);
    cr_assert_eq(read_all(), 1);
    cr_expect(seen[0].is_overflow && seen[0].n_values == 0);
    record("n7", 200, MS);
    cr_assert_eq(read_all(), 2);
}

Test(meter, names_are_utf8_and_of_bounded_length)
{
    char longer[400];

    memset(longer, 'x', sizeof longer);
    longer[399] = '\0';
    record(longer, 200, MS);
    longer[200] = '\0';
    record(longer, 200, MS); /* cut, they look alike, so they are one */
    record("a\xff", 200, MS);
    record("a\xfe", 200, MS);
    record("a\n", 200, MS);
    cr_assert_eq(read_all(), 3);
    cr_expect_eq(seen[0].values[0].text.n, 128);
    cr_expect_eq(seen[0].count, 2);
    cr_expect(spoe_span_is(seen[1].values[0].text, "a\xef\xbf\xbd"));
    cr_expect_eq(seen[1].count, 2);
    cr_expect(spoe_span_is(seen[2].values[0].text, "a_"));
}

/* ---- what was found before ---- */

Test(meter, points_are_remembered_by_the_whole_key)
{
    char key[METER_MEMO_KEY_MAX + 1] = {0};
    struct meter_points *points;
    int mark, known = 0;

    for (int round = 0; round < 2; round++) {
        for (size_t n = 1; n <= METER_MEMO_KEY_MAX; n++) { /* keys that begin alike */
            points = meter_recall(writer, key, n);
            if (points->kind[0] != NULL) {
                cr_expect_eq(points->kind[0], (struct meter_point *)(void *)&key[n]);
                known++;
            }
            points->kind[0] = (struct meter_point *)(void *)&key[n];
        }
    }
    cr_expect_gt(known, 50); /* of 192 keys in 256 places */
    key[3] = 1;
    cr_expect_null(meter_recall(writer, key, 10)->kind[0]);
    points = meter_recall(writer, key, sizeof key); /* too long */
    cr_expect_null(points->kind[0]);
    points->kind[0] = (struct meter_point *)(void *)&mark;
    cr_expect_null(meter_recall(writer, key, sizeof key)->kind[0]);
    cr_expect_null(meter_recall(writer, key, 0)->kind[0]);
}

/* ---- memory ---- */

Test(meter, what_is_known_allocates_nothing)
{
    union meter_set set = set_of("web", 200);

    meter_server(writer, &set, MS, 1, 1, NULL);
    allocations = 0;
    for (int i = 0; i < 100; i++)
        record("web", 200, i * MS);
    cr_expect_eq(allocations, 0);
}

Test(meter, without_memory_it_is_the_overflow)
{
    int n;

    for (n = 0;; n++) {
        union meter_set set;
        char name[16];

        (void)snprintf(name, sizeof name, "web-%d", n);
        fail_after = n; /* the name, the set, its cells */
        set = set_of(name, 200);
        meter_server(writer, &set, MS, -1, -1, NULL);
        if (fail_after >= 0)
            break;
    }
    fail_after = -1;
    cr_expect_eq(n, 3);
    cr_assert_eq(read_all(), 2);
    cr_expect(seen[0].is_overflow && seen[0].count == 3);
}

Test(meter, without_memory_there_is_none)
{
    for (int n = 0;; n++) {
        struct meter *one;
        struct meter_writer *its;

        fail_after = n;
        one = meter_create(100, START);
        its = one != NULL ? meter_writer(one) : NULL;
        meter_destroy(one);
        if (fail_after >= 0) {
            cr_expect_not_null(its);
            cr_expect_gt(n, 5);
            break;
        }
        cr_expect_null(its);
    }
    fail_after = -1;
}
