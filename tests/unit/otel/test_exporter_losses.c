/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_exporter_losses.c - what does not arrive: counted, and told in the log. */
#include "exporter_rig.h"

TestSuite(exporter, .timeout = 300);

/* ---- losses -------------------------------------------------------------------------------- */

Test(exporter, counts_what_the_collector_rejects)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_OK, .rejected = 7, .text = "too old"},
        {.outcome = TRANSPORT_OK, .text = "deprecated"},
        {.outcome = TRANSPORT_OK, .rejected = 1000000}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(30));
    exporter = start(&c, queue, &fake_hooks, script, 3);
    await_sends(3);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.rejected, 17, "never more than were sent");
    cr_assert_eq(stats.exported, 13);
    cr_assert_eq(stats.retries, 0);
    expect_logged("spans lost: 7 rejected; too old");
    expect_logged("warns: deprecated");
}

Test(exporter, says_how_many_a_full_queue_dropped)
{
    const struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    push(make_list(25));
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(1);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).exported, 10);
    expect_logged("spans lost: 15 queue_full");
}

Test(exporter, a_span_that_is_too_large_is_not_sent)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10000, 512, 1000);
    struct exporter_stats stats;
    struct exporter *exporter;
    struct span *list = make_list(3);
    char value[SPAN_VALUE_MAX];

    memset(value, 'x', sizeof value);
    span_set_str(list->next, "big", 3, value, sizeof value);
    c.bytes_max = 1000;
    push(list);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(2);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.too_large, 1);
    cr_assert_eq(stats.exported, 2);
    cr_assert_eq(fake.n_sent, 2);
    expect_logged("spans lost: 1 too_large\n");
}

/* 9.2: a request of just so many bytes is not too large. */
Test(exporter, a_request_may_have_the_bytes_that_it_is_allowed)
{
    size_t size = BATCH_BYTES_MAX;

    for (int less = 0; less <= 2; less++) {
        struct exporter_conf c = conf();
        struct span_queue *queue = make_queue(10, 1, BATCH_BYTES_MAX);
        struct span *list = make_list(1);
        struct exporter_stats stats;
        char value[3000];

        memset(value, 'x', sizeof value);
        span_set_str(list, "big", 3, value, sizeof value);
        c.batch_max = 1;
        c.bytes_max = (uint32_t)size;
        push(list);
        stats = stop(start(&c, queue, NULL, ok, 1), queue, GENEROUS_NS);
        cr_assert_eq(stats.exported, less < 2);
        cr_assert_eq(stats.too_large, less == 2);
        size = fake.sent[0].size - (size_t)less; /* at first as large as it may be */
        fake.stopped = false;
    }
}

Test(exporter, tells_all_losses_in_one_line_a_minute)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_NOT_RETRYABLE, .text = "INVALID_ARGUMENT: no"},
        {.outcome = TRANSPORT_OK, .rejected = 2, .text = "too old"},
        {.outcome = TRANSPORT_NOT_RETRYABLE, .text = "INTERNAL: oh"}};
    static struct counters counters;
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(60, 10, BATCH_BYTES_MAX);
    struct export_losses losses;
    struct exporter *exporter;

    atomic_store(&counters.refused, 7);
    c.counters = &counters;
    c.batch_max = 10;
    push(make_list(75));
    exporter = start(&c, queue, &fake_hooks, script, 3);
    await_sends(6);
    exporter_flush(exporter, fake_now(NULL) + GENEROUS_NS);
    exporter_get_losses(exporter, SIGNAL_TRACES, &losses);
    cr_expect_eq(losses.queue_full, 15);
    cr_expect_eq(losses.not_retryable, 50);
    cr_expect_eq(losses.rejected, 2);
    cr_expect_eq(count_logged("spans lost"), 1, "the minute is not over:\n%s", fake.log);
    expect_logged("spans lost: 15 queue_full; messages ignored: 7 store_full\n");
    stop(exporter, queue, GENEROUS_NS);
    cr_expect_eq(count_logged("spans lost"), 2, "%s", fake.log);
    expect_logged("spans lost: 50 not_retryable, 2 rejected; INTERNAL: oh");
}

Test(exporter, repeats_no_warning)
{
    static const struct transport_result warns[] = {{.outcome = TRANSPORT_OK, .text = "old"}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 1;
    push(make_list(100));
    exporter = start(&c, queue, &fake_hooks, warns, 1);
    await_sends(100);
    cr_assert_eq(stop(exporter, queue, GENEROUS_NS).warnings, 100);
    cr_assert_eq(count_logged("warns: old"), 1, "%s", fake.log);
}

/* For hours, of which each batch has five minutes of retries, and for two reasons in turn. */
Test(exporter, a_long_outage_repeats_no_line_but_the_losses)
{
    static const struct transport_result script[] = {
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "DEADLINE_EXCEEDED: after 10 s"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "DEADLINE_EXCEEDED: after 9 s"},
        {.outcome = TRANSPORT_RETRYABLE, .text = "UNAVAILABLE: connection refused"}};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES_MAX);
    struct exporter *exporter;

    c.batch_max = 10;
    push(make_list(200));
    exporter = start(&c, queue, &fake_hooks, script, 5);
    await_sends(200);
    stop(exporter, queue, 2 * S);
    cr_assert_eq(count_logged("export to collector:4317 failed: UNAVAILABLE"), 1, "%s", fake.log);
    cr_assert_eq(count_logged("export to collector:4317 failed: DEADLINE"), 1, "%s", fake.log);
    cr_assert_eq(fake.log_lines, count_logged("spans lost") + 2, "%s", fake.log);
}

Test(exporter, messages_that_are_ignored_are_in_the_line_too)
{
    static struct counters counters;
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);
    struct exporter *exporter;

    atomic_store(&counters.missing_id, 3);
    atomic_store(&counters.duplicate_id, 1);
    c.counters = &counters;
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    stop(exporter, queue, GENEROUS_NS);
    expect_logged("messages ignored: 3 missing_id, 1 duplicate_id\n");
    cr_assert_eq(fake.log_lines, 1, "%s", fake.log);
}

static void leave_two_open(void *arg)
{
    struct counters *counters = arg;

    count(&counters->still_open, 2);
}

Test(exporter, what_is_open_at_the_end_is_lost)
{
    static struct counters counters;
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(10, 512, BATCH_BYTES_MAX);

    c.counters = &counters;
    c.on_end = leave_two_open;
    c.on_end_arg = &counters;
    stop(start(&c, queue, &fake_hooks, ok, 1), queue, GENEROUS_NS);
    expect_logged("spans lost: 2 still_open\n");
}

Test(exporter, what_spans_lack_is_counted_and_told_once)
{
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(100, 1, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;
    struct span *list = make_list(20);

    list->next->dropped_attributes = 2;
    list->next->next->dropped_attributes = 5;
    list->next->next->dropped_events = 1;
    c.batch_max = 1;
    push(list);
    exporter = start(&c, queue, &fake_hooks, ok, 1);
    await_sends(20);
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(stats.attributes_dropped, 7);
    cr_assert_eq(stats.events_dropped, 1);
    expect_logged("a span was made without 2 attributes and 0 events");
    cr_assert_eq(fake.log_lines, 1, "%s", fake.log);
}

struct attempts {
    size_t n;
    int outcome[4];
    int64_t took_ns[4];
};

static void on_attempt(void *arg, int outcome, int64_t took_ns)
{
    struct attempts *attempts = arg;

    cr_assert_lt(attempts->n, 4);
    attempts->outcome[attempts->n] = outcome;
    attempts->took_ns[attempts->n++] = took_ns;
}

/* 9.2: lane.c:33 */
Test(exporter, says_how_long_each_attempt_took)
{
    static const struct transport_result script[] = {{.outcome = TRANSPORT_RETRYABLE},
                                                     {.outcome = TRANSPORT_OK, .text = "old"}};
    struct attempts attempts = {.n = 0};
    struct exporter_conf c = conf();
    struct span_queue *queue = make_queue(100, 10, BATCH_BYTES_MAX);
    struct exporter_stats stats;
    struct exporter *exporter;

    atomic_store(&clock_offset, HOUR_NS);
    fake.takes_ns = 1000 * S;
    c.on_attempt = on_attempt;
    c.on_attempt_arg = &attempts;
    c.retry_give_up_ns = HOUR_NS;
    c.batch_max = 10;
    push(make_list(10));
    exporter = start(&c, queue, &fake_hooks, script, 2);
    await_logged("warns: old");
    stats = stop(exporter, queue, GENEROUS_NS);
    cr_assert_eq(attempts.n, 2);
    cr_assert_eq(attempts.outcome[0], TRANSPORT_RETRYABLE);
    cr_assert_eq(attempts.outcome[1], TRANSPORT_OK);
    for (size_t i = 0; i < 2; i++)
        cr_assert(attempts.took_ns[i] >= 1000 * S && attempts.took_ns[i] < 1000 * S + GENEROUS_NS,
                  "%ld s", (long)(attempts.took_ns[i] / S));
    cr_assert_eq(stats.exports, 2);
    cr_assert_eq(stats.export_ns, (uint64_t)(attempts.took_ns[0] + attempts.took_ns[1]));
}
