/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_exporter_stop.c - several requests at once, flushes, and the end. */
#include "exporter_rig.h"

TestSuite(exporter, .timeout = 300);

/* ---- several at once ---------------------------------------------------------------------- */

Test(exporter, as_many_requests_are_under_way_as_it_is_told)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.concurrency = 4;
    fake.gated = true;
    push(make_list(200));
    exporter = start(&c, queue, NULL, ok, 1);
    await_at_once(4);
    cr_assert_eq(push(make_list(100)), 0, "nobody is held up");
    open_gate();
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(fake.at_once_max, 4);
    cr_assert_eq(fake.lanes, 0xfu);
    cr_assert_eq(stats.exported, 300);
    cr_assert_eq(fake.n_sent, 30);
}

Test(exporter, a_flush_waits_for_every_lane)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.batch_delay_ns = HOUR_NS;
    c.concurrency = 3;
    fake.gated = true;
    push(make_list(25));
    exporter = start(&c, queue, NULL, ok, 1);
    await_at_once(2); /* what is not a full batch waits for the flush */
    exporter_flush(exporter, real_now() + 50 * MS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 0, "it did not pretend");
    await_at_once(3);
    open_gate();
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 25, "%zu exported, %zu parked", (size_t)stats.exported,
                 (size_t)stats.parked);
    stop(exporter, queue, GENEROUS_NS);
}

/*
 * A flush that cannot be over yet: it takes all the time that it has, and does not say that it is
 * done. 9.2: lanes.c:84
 */
static void expect_flush_to_miss(struct exporter *exporter)
{
    const int64_t deadline = real_now() + 300 * MS;

    exporter_flush(exporter, deadline);
    cr_assert_geq(real_now(), deadline, "it pretends to be done");
}

static void await_exported(struct exporter *exporter, uint64_t n)
{
    struct exporter_stats stats;

    do
        exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    while (stats.exported < n);
}

Test(exporter, a_flush_is_not_over_while_one_lane_sends)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    c.concurrency = 2;
    fake.block_from = 11;
    push(make_list(20));
    exporter = start(&c, queue, NULL, ok, 1);
    await_exported(exporter, 10);
    expect_flush_to_miss(exporter);
    cr_assert_eq(stop(exporter, queue, 2 * S).exported, 20);
}

Test(exporter, a_flush_is_not_over_while_a_batch_is_parked)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(10));
    exporter = start(&c, queue, NULL, down, 1);
    await_logged("failed");
    expect_flush_to_miss(exporter);
    cr_assert_eq(stop(exporter, queue, S / 2).shutdown, 10);
}

/* The first batch is given up, since the pause is longer than its time; the second waits for it. */
Test(exporter, a_flush_is_not_over_while_a_span_waits)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = S, .text = "busy"},
        {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.retry_give_up_ns = S / 10;
    push(make_list(20));
    exporter = start(&c, queue, NULL, script, 2);
    await_logged("spans lost: 10 gave_up");
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 10);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).given_up, 10);
}

Test(exporter, stop_cancels_all_lanes)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    c.concurrency = EXPORTER_CONCURRENCY_MAX;
    fake.gated = true;
    push(make_list(200));
    exporter = start(&c, queue, NULL, down, 1);
    await_at_once(EXPORTER_CONCURRENCY_MAX);
    cr_assert_eq(stop(exporter, queue, 2 * S).shutdown, 200);
    expect_logged("spans lost: 200 shutdown");
}

/* The queue stays, too: plugin.c frees nothing then. */
Test(exporter, stop_does_not_wait_for_ever_for_a_call_that_cannot_be_cancelled)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter_stats all[N_SIGNALS];
    struct exporter *exporter;

    fake.gated = true;
    fake.deaf = true;
    c.batch_max = 10;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(25));
    await_sends(1);
    cr_assert_eq(exporter_stop(exporter, real_now() + 50 * MS, all), -1);
    cr_assert_not(fake.stopped);
    expect_logged("the export's threads do not end");
    open_gate(); /* they end on their own, and find all in its place */
}

/* ---- flush and stop ----------------------------------------------------------------------- */

Test(exporter, flush_does_not_wait_for_a_full_batch)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(3));
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 3);
    exporter_flush(exporter, real_now() + GENEROUS_NS); /* nothing to do */
    push(make_list(2));
    await_sends(2); /* from now on batches leave at once */
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 5);
}

Test(exporter, flush_cuts_a_wait_for_a_retry_short)
{
    static const struct transport_result script[] = {{.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 1;
    c.retry_initial_ns = c.retry_max_ns = c.retry_give_up_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, script, 4);
    push(make_list(2));
    await_sends(1);
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    cr_assert_eq(stats.exported, 2);
    cr_assert_eq(stats.retries, 3);
    stop(exporter, queue, GENEROUS_NS);
}

/* 3.1 */
Test(exporter, flush_keeps_the_pause_that_the_collector_asked_for)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = S, .text = "busy"},
        {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 1;
    push(make_list(3));
    exporter = start(&c, queue, NULL, script, 2);
    await_logged("busy");
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_eq(fake.n_sent, 4);
    cr_assert_geq(fake.sent[1].at_ns - fake.sent[0].at_ns, S);
    cr_assert_eq(fake.sent[1].first, 1);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 3);
}

/* 3.1: a pause that outlasts the time that there is; before, flush and stop waited it out. */
Test(exporter, flush_and_stop_do_not_wait_for_a_pause_that_is_too_long)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = HOUR_NS, .text = "busy"}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    const int64_t begin = real_now();
    struct exporter *exporter;

    c.batch_max = 1;
    c.retry_give_up_ns = 2 * HOUR_NS;
    push(make_list(3));
    exporter = start(&c, queue, NULL, script, 1);
    await_logged("busy");
    cr_assert_not(exporter_is_vain(exporter));
    exporter_begin_flush(exporter, begin + GENEROUS_NS);
    while (!exporter_is_vain(exporter)) /* whoever waits for room in the queue can give up */
        cr_assert_lt(real_now() - begin, GENEROUS_NS);
    exporter_flush(exporter, begin + GENEROUS_NS);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).shutdown, 3);
    cr_assert_lt(real_now() - begin, GENEROUS_NS);
    cr_assert_eq(fake.n_sent, 1);
}

Test(exporter, a_request_has_the_time_that_is_configured)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(100, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    c.timeout_ns = HOUR_NS;
    push(make_list(20));
    exporter = start(&c, queue, NULL, ok, 1);
    await_sends(2);
    for (size_t i = 0; i < 2; i++)
        cr_assert(fake.sent[i].for_ns <= HOUR_NS && fake.sent[i].for_ns > HOUR_NS - GENEROUS_NS,
                  "%ld s", (long)(fake.sent[i].for_ns / S));
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 20);
}

/* 9.1: delivery.c:41 */
Test(exporter, a_request_during_the_shutdown_ends_with_it)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 1, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.timeout_ns = HOUR_NS;
    c.batch_delay_ns = HOUR_NS;
    push(make_list(1));
    exporter = start(&c, queue, NULL, ok, 1);
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_leq(fake.sent[0].for_ns, GENEROUS_NS);
    push(make_list(1));
    stop(exporter, queue, GENEROUS_NS);
    cr_assert_leq(fake.sent[1].for_ns, GENEROUS_NS);
}

/* 9.1: lanes.c:51, exactly batch-max. */
Test(exporter, a_batch_that_is_just_full_leaves_at_once)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(512));
    await_sends(1);
    cr_assert_eq(fake.sent[0].n, 512);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 512);
}

Test(exporter, flush_ends_at_its_deadline_and_stop_counts_the_rest)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter = start(&c, queue, NULL, down, 1);
    int64_t began;

    push(make_list(1000));
    exporter_flush(exporter, real_now() + 50 * MS);
    began = real_now();
    stats = stop(exporter, queue, 2 * GENEROUS_NS);
    cr_assert_lt(real_now() - began, GENEROUS_NS, "the flush had its time");
    cr_assert_eq(stats.shutdown, 1000);
    cr_assert_eq(stats.exported, 0);
    expect_logged("spans lost: 1000 shutdown");
}

Test(exporter, a_flush_without_time_returns_at_once)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    fake.gated = true;
    push(make_list(1));
    exporter = start(&c, queue, NULL, ok, 1);
    exporter_flush(exporter, 0);
    exporter_flush(exporter, -1);
    open_gate();
    exporter_flush(exporter, real_now() + GENEROUS_NS);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 1);
}

Test(exporter, stop_without_a_flush_sends_what_waits)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    exporter = start(&c, queue, NULL, ok, 1);
    push(make_list(100));
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 100);
}

Test(exporter, stop_cancels_a_call_that_hangs)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    fake.block_from = 1;
    c.batch_max = 10;
    exporter = start(&c, queue, NULL, down, 1);
    push(make_list(25));
    await_sends(1);
    cr_assert_eq(stop(exporter, queue, 2 * S).shutdown, 25);
    cr_assert(fake.cancelled);
    cr_expect_eq(count_logged("next try"), 0, "there is none:\n%s", fake.log);
    expect_logged("spans lost: 25 shutdown");
}

Test(exporter, stop_of_an_idle_exporter_is_quick)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;

    exporter_stop(NULL, 0, NULL);
    stats = stop(start(&c, queue, NULL, ok, 1), queue, GENEROUS_NS);
    cr_assert_eq(stats.exported + stats.shutdown, 0);
}
