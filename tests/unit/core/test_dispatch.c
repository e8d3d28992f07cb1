/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch: a NOTIFY's messages handed to plugins, answered at once or later, and what becomes of
 * requests that are late, done or were never there.
 */
#include "dispatch_rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "capture.h"

#define CORE_TEST(name) Test(dispatch, name, .timeout = 30)

/* 2.5: a plugin is drained while the one before it still has the message. */
CORE_TEST(the_next_plugin_of_a_message_is_not_called_once_plugins_are_drained)
{
    struct payload p = {.n = 0};
    struct exchange *x;
    int result;

    start(true);
    a.closes = true;
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "who", ip4());
    x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_expect_eq(a.n_calls, 1);
    cr_expect_eq(b.n_calls, 0);
    cr_expect_eq(worker.counters.refused_messages, 1);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(unknown_messages_and_empty_notifies_get_the_filler)
{
    struct payload p = {.n = 0}, empty = {.n = 0};
    int result;

    start(false);
    put_message(&p, "nobody", 1);
    put_arg(&p, "x", i32(1));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_str_eq(ack(x), "-");
    exchange_release(&worker, x);
    cr_assert_eq(worker.counters.unknown_messages, 1);
    x = dispatch(&empty, &result);
    cr_assert_eq(result, 0);
    cr_assert_str_eq(ack(x), "-");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_handlers_error_drops_its_actions_and_no_others)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_E_INTERNAL;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_str_eq(ack(x), "b");
    cr_assert_eq(worker.counters.handler_errors, 1);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(the_ack_of_pending_messages_keeps_the_order_of_messages)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 1);
    cr_assert_eq(shared.n_pending, 1);
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    cr_assert_null(done);
    request_complete(a.request, SPOE_OK);
    cr_assert_null(done, "the worker has not read its mail yet");
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    cr_assert_eq(done, x);
    cr_assert_str_eq(ack(x), "ab");
    cr_assert_eq(shared.n_pending, 0);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(completing_with_an_error_drops_the_actions)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    request_complete(a.request, SPOE_E_LIMIT);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(at_the_deadline_the_ack_leaves_without_the_late_plugin)
{
    struct spoe_value value = i32(1);
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 1);
    cr_assert_eq(a.why, SPOE_CANCEL_DEADLINE);
    cr_assert_str_eq(ack(x), "b");
    cr_assert_eq(worker.counters.timeouts, 1);
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                 SPOE_E_STALE);
    /* 1.2: the place is free, though the plugin still owes the completion */
    cr_assert_eq(shared.n_pending, 0);
    cr_assert_eq(worker.n_places, 0);
    cr_assert_eq(worker.n_outstanding, 1);
    cr_assert(worker.freed_places);
    worker.freed_places = false;
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(done, x);
    cr_assert_eq(shared.n_pending, 0);
    cr_assert_str_eq(ack(x), "b", "a late completion is void");
    cr_assert_eq(worker.n_outstanding, 0);
    cr_assert_not(worker.freed_places);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_completion_that_beats_the_deadline_counts)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    request_complete(a.request, SPOE_OK); /* its mail is not read before the deadline is */
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 0);
    cr_assert_str_eq(ack(x), "ab");
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* The end does not leave out what a plugin has answered, nor ask it to give up. */
CORE_TEST(a_completion_that_beats_the_end_counts)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    request_complete(a.request, SPOE_OK); /* its mail is not read before the end */
    exchange_cancel(&worker, x, SPOE_CANCEL_DRAIN);
    cr_assert_eq(a.n_cancels, 0);
    cr_assert_str_eq(ack(x), "ab");
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

static size_t n_requests(const struct exchange *x)
{
    size_t n = 0;

    for (const struct request *r = x->first; r != NULL; r = r->next) {
        n++;
        cr_assert(r->next != NULL || r == x->last);
    }
    return n;
}

/* max-pending: one message that waits does not keep the requests of all others of its NOTIFY. */
CORE_TEST(what_is_finished_keeps_no_request_beside_one_that_is_pending)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 0); /* a wants the url: it does not get this one */
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    for (int i = 0; i < 8; i++)
        put_message(&p, "check", 0);
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 1);
    cr_assert_eq(b.n_calls, 10);
    cr_assert_eq(n_requests(x), 3, "b's before it, it, and b's after it");
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "babbbbbbbbb");
    exchange_release(&worker, x);
    finish();
}

/* The same of many that wait and come one after another; their order stays. */
CORE_TEST(what_is_completed_keeps_no_request_beside_those_that_are_pending)
{
    enum { N = 12 };
    struct spoe_request *held[N];
    struct payload p = {.n = 0};
    struct exchange *x;
    int result;

    start(true);
    a.result = SPOE_PENDING;
    for (int i = 0; i < N; i++) {
        put_message(&p, "check", 1);
        put_arg(&p, "url", str("/"));
    }
    x = dispatch(&p, &result);
    cr_assert_eq(result, N);
    cr_assert_eq(n_requests(x), 2 * N);
    size_t n = 0;
    for (const struct request *r = x->first; r != NULL; r = r->next) {
        if (r->pending)
            held[n++] = request_handle(r);
    }
    for (size_t i = 0; i < N - 1; i++) {
        request_complete(held[i * 5 % N], SPOE_OK); /* 5 and N have no common divisor */
        (void)mailbox_run(&worker.mailbox);
        cr_assert_leq(n_requests(x), EXCHANGE_KEPT_MAX * x->outstanding);
    }
    cr_assert_eq(x->outstanding, 1);
    request_complete(held[(N - 1) * 5 % N], SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(done, x);
    cr_assert_str_eq(ack(x), "abababababababababababab");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(an_answered_exchange_keeps_what_is_pending_alone)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 0);
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_str_eq(ack(x), "bb");
    exchange_answered(&worker, x);
    cr_assert_eq(n_requests(x), 1);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(done, x);
    exchange_answered(&worker, x); /* as of one whose last mail was there */
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(cancel_is_called_once)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    exchange_cancel(&worker, x, SPOE_CANCEL_CONN_CLOSED);
    exchange_cancel(&worker, x, SPOE_CANCEL_DRAIN);
    cr_assert_eq(a.n_cancels, 1);
    cr_assert_eq(a.why, SPOE_CANCEL_CONN_CLOSED);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_second_completion_is_ignored_even_when_the_request_is_in_use_again)
{
    struct spoe_value value = i32(1);
    struct spoe_request *stale;
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    stale = a.request;
    request_complete(stale, SPOE_OK);
    request_complete(stale, SPOE_OK);
    cr_assert_eq(worker.counters.misbehaviour, 1);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    exchange_release(&worker, x);

    x = dispatch(&p, &result); /* the same request object, the next generation */
    cr_assert_neq(a.request, stale);
    request_complete(stale, SPOE_OK);
    cr_assert_eq(worker.counters.misbehaviour, 2);
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    cr_assert_eq(request_set_var(stale, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                 SPOE_E_STALE);
    request_complete(a.request, SPOE_OK);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(handles_that_were_never_given_out_are_refused)
{
    static const uintptr_t wild[] = {1, 0xffffffff, UINTPTR_MAX, (uintptr_t)1 << 32,
                                     (uintptr_t)5 << 24};
    struct spoe_value value = i32(1);

    start(false);
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        struct spoe_request *handle = (struct spoe_request *)wild[i];

        cr_assert_eq(request_set_var(handle, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                     SPOE_E_STALE);
        request_complete(handle, SPOE_OK);
    }
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    finish();
}

/* 9.1: what has come back is neither cancelled nor changed any more. */
CORE_TEST(a_request_that_is_done_is_left_alone)
{
    struct spoe_value value = i32(1);
    struct payload p = {.n = 0};
    uint64_t stream = 0, frame = 0;
    int result;

    start(false);
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result); /* handle() has returned SPOE_OK */
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                 SPOE_E_STALE);
    cr_assert_not(request_ids(a.request, &stream, &frame));
    exchange_release(&worker, x);

    a.result = SPOE_PENDING;
    x = dispatch(&p, &result);
    cr_assert(request_ids(a.request, &stream, &frame));
    cr_assert(stream == 7 && frame == 3);
    request_complete(a.request, SPOE_OK);
    cr_assert_not(request_ids(a.request, &stream, &frame));
    (void)mailbox_run(&worker.mailbox);
    exchange_cancel(&worker, x, SPOE_CANCEL_CONN_CLOSED);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 0);
    cr_assert_eq(worker.counters.timeouts, 0);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);
    finish();
}

/* 9.1: ids of one byte and of more in an ACK's head, whose size is foretold. */
CORE_TEST(the_size_of_an_acks_head_is_that_of_its_ids)
{
    static const uint64_t ids[] = {0, 239, 240, 241, 2287, 2288, 264431, 264432, UINT64_MAX};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        for (size_t j = 0; j < sizeof ids / sizeof ids[0]; j++) {
            uint8_t head[SPOP_ACK_HEAD_MAX];

            cr_assert_eq(wire_ack_head_size(ids[i], ids[j]),
                         spop_put_ack_head(head, sizeof head, ids[i], ids[j], 1));
        }
    }
}

static void *complete_on_thread(void *arg)
{
    request_complete(arg, SPOE_OK);
    return NULL;
}

CORE_TEST(completion_comes_from_any_thread)
{
    pthread_t thread;
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(pthread_create(&thread, NULL, complete_on_thread, a.request), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    cr_assert_eq(done, x);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(the_pool_ends_at_its_limit_and_recovers)
{
    struct payload p = {.n = 0};
    struct exchange *last = NULL;
    int result;

    start(false);
    for (unsigned i = 0; i < 200; i++)
        put_message(&p, "check", 0);
    /* Messages without their required argument take a request each and give it back. */
    for (unsigned i = 0; i < 100; i++) {
        last = dispatch(&p, &result);
        cr_assert_eq(result, 0);
        exchange_release(&worker, last);
    }
    cr_assert_eq(worker.counters.missing_arguments, 20000);
    finish();
}

/* 4.3 What is free is recognised by its magic before it is touched. */
Test(dispatch, an_exchange_that_is_released_twice_is_noticed, .timeout = 10, .signal = SIGABRT)
{
    struct exchange *exchange;

    start(false);
    exchange = exchange_get(&worker);
    exchange_release(&worker, exchange);
    exchange_release(&worker, exchange);
}

/* 4.3 */
Test(dispatch, a_worker_that_is_gone_is_noticed, .timeout = 10, .signal = SIGABRT)
{
    start(false);
    finish();
    (void)exchange_get(&worker);
    worker_core_stop(&worker);
}

/* ---- what is told of handlers ---- */

static char got[65536];

/* A NOTIFY of n messages for plugin a, answered at once. @return what was logged meanwhile, in
 * `got` */
static void handle_messages(unsigned n)
{
    struct payload p = {.n = 0};
    struct capture cap;
    struct exchange *x;
    int result;

    for (unsigned i = 0; i < n; i++) {
        put_message(&p, "check", 1);
        put_arg(&p, "url", str("/"));
    }
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    x = dispatch(&p, &result);
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_eq(result, 0);
    exchange_release(&worker, x);
}

static struct target_counters *counted(void)
{
    return &worker.targets[routes.routes[0].targets[0].index];
}

#define LONG_NS (30 * NS_PER_S) /* no handler here takes so long, and every machine is older */

/* 2.9: the first message of a frame is timed from when that was read, the next from the end of the
 * one before. */
CORE_TEST(a_slow_handler_is_counted_and_named)
{
    start(false);
    conf.slow_handle_ns = LONG_NS;
    read_ns = clock_mono_ns() - 2 * LONG_NS;
    handle_messages(1);
    cr_assert_eq(counted()->slow, 1);
    cr_assert_not_null(strstr(got, "plugin a, message check: handle() took 60"), "%s", got);
    worker.clock_ns = 0;
    handle_messages(3);
    cr_assert_eq(counted()->slow, 2, "the others were quick");
    handle_messages(3);
    cr_assert_eq(counted()->slow, 2, "the clock has been looked at since the frame was read");
    cr_assert_str_eq(got, "");
    worker.clock_ns = 0;
    read_ns = clock_mono_ns();
    handle_messages(1);
    cr_assert_eq(counted()->slow, 2);
    conf.slow_handle_ns = 1;
    handle_messages(1);
    cr_assert_eq(counted()->slow, 3, "the least there can be");
    finish();
}

/* 2.9: where no tick is seen the clock is looked at after the 16th, and one that took so long is
 * found then. */
CORE_TEST(a_slow_handler_is_found_without_a_tick)
{
    const int64_t ahead = clock_mono_ns() + LONG_NS;

    start(false);
    conf.slow_handle_ns = LONG_NS;
    worker.clock_ns = read_ns = ahead;
    handle_messages(15);
    cr_assert_eq(worker.clock_ns, ahead, "there was no look");
    handle_messages(1);
    cr_assert_lt(worker.clock_ns, ahead);
    cr_assert_eq(counted()->slow, 0);
    finish();
}

CORE_TEST(nobody_is_slow_where_nobody_asks)
{
    start(false);
    read_ns = clock_mono_ns() - 2 * LONG_NS;
    handle_messages(3);
    cr_assert_eq(counted()->slow, 0);
    cr_assert_str_eq(got, "");
    finish();
}

/* One of 16 calls is in the histogram, whatever slow-handle is; its time is that of the call. */
CORE_TEST(the_time_of_handlers_is_sampled)
{
    static const double bounds[] = {1000};
    const struct spoe_metric_decl decl = {.size = sizeof decl,
                                          .type = SPOE_METRIC_HISTOGRAM,
                                          .name = "seconds",
                                          .help = "h",
                                          .bounds = bounds,
                                          .n_bounds = 1};

    for (int with_slow = 0; with_slow < 2; with_slow++) {
        struct metrics *metrics = metrics_create();
        struct spoe_metric_family *family;
        struct error error;
        const char *sum;
        char *page = NULL;
        size_t size;
        FILE *out = open_memstream(&page, &size);

        start(false);
        cr_assert(metrics != NULL && out != NULL);
        cr_assert_eq(metrics_declare(metrics, "t_", &decl, &family, &error), SPOE_OK);
        routes.routes[0].targets[0].seconds = metric_series(family, NULL);
        conf.slow_handle_ns = with_slow != 0 ? 1000 * LONG_NS : 0;
        read_ns = clock_mono_ns() - 2 * LONG_NS;
        handle_messages(10);
        handle_messages(23);
        metrics_write(metrics, METRICS_PROMETHEUS, NULL, out);
        cr_assert_eq(fclose(out), 0);
        cr_assert_not_null(strstr(page, "t_seconds_count 3\n"), "of 33 the 1st, 17th and 33rd: %s",
                           page);
        sum = strstr(page, "t_seconds_sum ");
        cr_assert_not_null(sum);
        cr_assert(strtod(sum + strlen("t_seconds_sum "), NULL) > 0 &&
                      strtod(sum + strlen("t_seconds_sum "), NULL) < 30,
                  "%s", page);
        cr_assert_eq(counted()->slow, 0);
        free(page);
        finish();
        metrics_destroy(metrics);
    }
}

CORE_TEST(a_handler_that_completes_and_does_not_say_pending_is_named)
{
    struct payload p = {.n = 0};
    struct capture cap;
    struct exchange *x;
    int result;

    start(false);
    a.completes = true;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    capture_begin(&cap);
    x = dispatch(&p, &result);
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_eq(result, 1, "its completion is on its way");
    cr_assert_eq(worker.counters.misbehaviour, 1);
    cr_assert_not_null(strstr(got, "plugin a, message check: handle() completed the request and "
                                   "returned 0, which is not SPOE_PENDING"),
                       "%s", got);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    cr_assert_eq(done, x);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(an_error_is_named_and_counted_for_its_message)
{
    struct payload p = {.n = 0};
    struct capture cap;
    struct exchange *x;
    int result;

    start(false);
    a.result = SPOE_E_LIMIT;
    handle_messages(1);
    cr_assert_eq(counted()->errors, 1);
    cr_assert_not_null(strstr(got, "plugin a, message check: handle() returned SPOE_E_LIMIT"), "%s",
                       got);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    x = dispatch(&p, &result);
    request_complete(a.request, SPOE_E_NOMEM);
    counted()->failed_limit.next_ns = 0; /* the second is over */
    capture_begin(&cap);
    (void)mailbox_run(&worker.mailbox);
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_eq(counted()->errors, 2);
    cr_assert_eq(worker.counters.handler_errors, 2);
    cr_assert_not_null(strstr(got, "plugin a, message check: completed with SPOE_E_NOMEM"), "%s",
                       got);
    exchange_release(&worker, x);
    finish();
}

/* Who asks how many are in a plugin sees those that are there now; what is counted stays. */
CORE_TEST(messages_in_flight_are_counted_by_plugin)
{
    struct payload p = {.n = 0};
    struct exchange *x;
    int result;

    start(true);
    b.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    x = dispatch(&p, &result);
    cr_assert_eq(result, 2);
    cr_assert_eq(worker.in_flight[0], 0);
    cr_assert_eq(worker.in_flight[1], 2);
    cr_assert_eq(worker.n_outstanding, 2);
    cr_assert_eq(worker.counters.pending, 2);
    cr_assert_eq(counted()[0].messages, 2);
    cr_assert_eq(counted()[0].pending, 0);
    cr_assert_eq(counted()[1].messages, 2);
    cr_assert_eq(counted()[1].pending, 2);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(counted()[1].timeouts, 2);
    cr_assert_eq(worker.n_overdue[1], 2);
    cr_assert_eq(worker.in_flight[1], 2, "the plugin has them yet");
    for (struct request *r = x->first; r != NULL; r = r->next) {
        if (r->pending)
            request_complete(request_handle(r), SPOE_OK);
    }
    cr_assert_eq(mailbox_run(&worker.mailbox), 2);
    cr_assert_eq(worker.in_flight[1], 0);
    cr_assert_eq(worker.n_overdue[1], 0);
    cr_assert_eq(worker.counters.pending, 2);
    exchange_release(&worker, x);
    finish();
}

/* A plugin that does not give its overdue messages back gets no others, and is told of; the other
 * plugin gets them. */
CORE_TEST(a_plugin_that_holds_too_many_gets_no_more)
{
    struct payload p = {.n = 0};
    struct capture cap;
    struct exchange *x;
    int result;

    start(true);
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    worker.n_overdue[0] = OVERDUE_MAX;
    capture_begin(&cap);
    x = dispatch(&p, &result);
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_eq(result, 0);
    cr_assert(a.n_calls == 0 && b.n_calls == 1);
    cr_assert_eq(worker.counters.withheld_messages, 1);
    cr_assert_not_null(strstr(got, "plugin a has not completed 1024 messages"), "%s", got);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    worker.n_overdue[0] = OVERDUE_MAX - 1;
    x = dispatch(&p, &result);
    cr_assert(a.n_calls == 1 && b.n_calls == 2);
    exchange_release(&worker, x);
    worker.n_overdue[0] = 0;
    finish();
}

/* 2.2: a thread that hangs or crashes in a plugin can say in which, and afterwards in none. */
CORE_TEST(the_worker_knows_in_which_call_it_is)
{
    struct payload p = {.n = 0};
    struct exchange *x;
    char where[128];
    int result;

    plugin_a.callee = (struct callee){"a", NULL};
    thread_begin("worker-0");
    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    x = dispatch(&p, &result);
    cr_assert_str_eq(a.where, "worker-0 is in handle() of plugin a");
    note_where(where);
    cr_assert_str_eq(where, "");
    exchange_cancel(&worker, x, SPOE_CANCEL_DRAIN);
    cr_assert_str_eq(a.where, "worker-0 is in cancel() of plugin a");
    note_where(where);
    cr_assert_str_eq(where, "");
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
    thread_end();
}
