/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_exporter.c - what leaves when: batches, the start, retries. */
#include "exporter_rig.h"

TestSuite(exporter, .timeout = 300);

/* ---- batches ------------------------------------------------------------------------------ */

Test(exporter, batches_are_full_and_in_order)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    push(make_list(1300));
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(3);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(fake.n_sent, 3);
    cr_assert_eq(fake.sent[0].n, 512);
    cr_assert_eq(fake.sent[1].n, 512);
    cr_assert_eq(fake.sent[2].n, 276);
    cr_assert_eq(fake.in_order, 1300);
    cr_assert_eq(stats.exported, 1300);
    cr_assert_eq(stats.batches, 3);
    cr_assert_eq(stats.retries, 0);
    cr_assert_eq(fake.log_lines, 0, "nothing to say:\n%s", fake.log);
}

/* What waits is there before the thread is, so that its clock does not jump between two pushes. */
Test(exporter, a_batch_that_is_not_full_leaves_after_the_delay)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;
    int64_t began;

    push(make_list(3));
    began = fake_now(NULL);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(1);
    cr_assert_geq(fake.sent[0].at_ns - began, 5 * S);
    cr_assert_eq(fake.sent[0].n, 3);
    cr_assert_leq(fake.sent[0].for_ns, 10 * S, "the deadline of one export");
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 3);
}

/* ---- start -------------------------------------------------------------------------------- */

/* 9.2: whichever of its threads cannot be started, those before it end, and so does the transport.
 */
Test(exporter, one_that_cannot_start_leaves_nothing_behind)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);

    c.concurrency = 3;
    for (int threads = -1; threads < 4; threads++) {
        struct exporter *exporter = NULL;

        fake = (struct fake){
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER,
            .transport = {.send = fake_send, .cancel = fake_cancel, .stop = fake_stop}};
        no_memory = threads < 0;
        threads_max = threads;
        cr_assert_eq(start_traces(&c, queue, NULL, &exporter), -1);
        cr_assert_null(exporter);
        cr_assert(fake.stopped);
        expect_logged("cannot start the export threads");
        cr_assert_eq(fake.log_lines, 1);
    }
    span_queue_destroy(queue);
}

/* Few large spans fill the queue long before they are a batch's number. */
Test(exporter, a_batch_leaves_by_its_bytes_too)
{
    static char text[SPAN_VALUE_MAX];
    struct exporter_conf c = conf();
    struct span_queue *queue = span_queue_create(10000, 400000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_delay_ns = HOUR_NS;
    writer = span_queue_writer(queue);
    exporter = start(&c, queue, NULL, ok, 1);
    for (size_t i = 1; i <= 5; i++) {
        for (int n = 0; n < 28; n++) {
            struct span *span = make_list(1);

            span_set_str(span, "a", 1, text, sizeof text);
            cr_assert_eq(push(span), 0);
        }
        await_sends(i); /* or the test's limit ends it */
    }
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.exported, 5 * 28);
}

/* What a batch left behind while the lane was busy is not to wait for the whole delay again. */
Test(exporter, what_is_left_behind_keeps_its_age)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;
    int64_t began;

    c.batch_max = 10;
    fake.gated = true;
    push(make_list(25));
    began = fake_now(NULL);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_at_once(1);
    atomic_fetch_add(&clock_offset, 4 * S);
    open_gate();
    await_sends(3);
    cr_expect_eq(fake.sent[1].n, 10);
    cr_expect_eq(fake.sent[2].n, 5);
    cr_expect_geq(fake.sent[2].at_ns - began, 5 * S);
    cr_expect_lt(fake.sent[2].at_ns - began, 9 * S, "after 5 s, and not 5 s after the second");
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 25);
}

/* ---- retries ------------------------------------------------------------------------------ */

Test(exporter, retries_the_same_batch_until_it_is_taken)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = 60 * S},
        {.outcome = TRANSPORT_OK}};
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;
    int64_t gap[4];

    push(make_list(512));
    exporter = start(&c, queue, &fake_hooks, script, 5);
    await_sends(5);
    for (size_t i = 0; i < 4; i++)
        gap[i] = fake.sent[i + 1].at_ns - fake.sent[i].at_ns;
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert(gap[0] >= 100 * MS && gap[0] < 2 * S, "soon: %ld ms", (long)(gap[0] / MS));
    cr_assert_geq(gap[1], 5 * S);
    cr_assert_geq(gap[2], gap[1] - S, "backoff grows");
    cr_assert_geq(gap[3], 60 * S, "the collector asked for it");
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(fake.sent[i].first, 1, "the same batch");
    cr_assert_eq(fake.in_order, 512);
    cr_assert_eq(stats.exported, 512);
    cr_assert_eq(stats.retries, 4);
    cr_assert_eq(stats.batches, 1);
    expect_logged("export to collector:4317 failed: UNAVAILABLE: connection refused; 512 spans "
                  "wait, next try in 0.");
    expect_logged("works again");
}

/* 3.1, O1: with the one lane that there is by default. */
Test(exporter, what_comes_behind_a_failure_does_not_wait_for_it)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .text = "HTTP 503"}, {.outcome = TRANSPORT_OK}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(50));
    exporter = start(&c, queue, &fake_hooks, script, 2);
    await_sends(6);
    stats = stop(exporter, queue, GENEROUS_NS);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(fake.sent[i].first, 10 * i + 1);
    cr_assert_eq(fake.sent[5].first, 1, "the first one again, when its time has come");
    cr_assert_lt(fake.sent[4].at_ns - fake.sent[0].at_ns, 100 * MS, "at once");
    cr_assert_eq(stats.exported, 50);
    cr_assert_eq(stats.retries, 1);
}

/* 3.1: what is parked counts in the queue's limits, of spans and of bytes (3.2). */
Test(exporter, what_is_parked_has_its_places_in_the_queue)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .min_wait_ns = HOUR_NS}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(25, 10, BATCH_BYTES_MAX);
    struct span_queue_stats q;
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    c.retry_give_up_ns = 2 * HOUR_NS;
    push(make_list(10));
    exporter = start(&c, queue, NULL, script, 1);
    await_logged("failed");
    do
        exporter_get_stats(exporter, SIGNAL_TRACES, &stats);
    while (stats.parked == 0);
    cr_assert_eq(stats.parked, 10);
    span_queue_get_stats(queue, &q);
    cr_assert_eq(q.in_flight, 10);
    cr_assert_gt(q.bytes, 10 * 30);
    cr_assert_eq(push(make_list(20)), 5);
    stats = stop(exporter, queue, S / 2);
    cr_assert_eq(stats.shutdown, 25);
}

Test(exporter, gives_up_a_batch_after_five_minutes)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;
    int64_t took;

    push(make_list(512));
    exporter = start(&c, queue, &fake_hooks, down, 1);
    await_logged("spans lost");
    stats = stop(exporter, queue, 2 * S);
    cr_assert_eq(stats.given_up, 512, "%zu", (size_t)stats.given_up);
    took = fake.sent[fake.n_sent - 1].at_ns - fake.sent[0].at_ns;
    cr_assert(took >= 299 * S && took < 310 * S, "%ld s", (long)(took / S));
    expect_logged("spans lost: 512 gave_up; UNAVAILABLE: connection refused");
    cr_assert_eq(count_logged("export to"), 1, "%s", fake.log);
}

Test(exporter, goes_on_after_a_batch_that_must_not_be_retried)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_NOT_RETRYABLE, .text = "INVALID_ARGUMENT: no"},
        {.outcome = TRANSPORT_OK}};
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    push(make_list(600));
    exporter = start(&c, queue, &fake_hooks, script, 2);
    await_sends(2);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.not_retryable, 512);
    cr_assert_eq(stats.exported, 88);
    expect_logged("spans lost: 512 not_retryable; INVALID_ARGUMENT: no");
}
