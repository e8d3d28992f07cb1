/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/delivery.c - attempts, the waits between them, what becomes of the spans. */
#include "send/delivery.h"

#include "otlp/batch.h"
#include "send/exporter_state.h"

/* While a batch waits for its retry: how often losses are reported and the owner is asked. */
#define RETRY_SLICE_NS NS_PER_S
#define FLUSH_RETRY_FIRST_NS (100 * NS_PER_MS)
#define FLUSH_RETRY_MAX_NS NS_PER_S

/* Wait for the moment of a retry; new orders cut it short. */
static void wait_retry(struct exporter *ex, int64_t until_ns, uint64_t request)
{
    for (;;) {
        struct orders orders = exporter_orders(ex);
        int64_t at = exporter_now(ex);

        if (orders.mode == MODE_END || orders.request != request || at >= until_ns)
            return;
        exporter_mind_chair(ex);
        at = min64(min64(until_ns, orders.mode == MODE_STOP ? orders.limit_ns : INT64_MAX),
                   add_sat(at, RETRY_SLICE_NS));
        exporter_lock(ex);
        if (!ex->ended && ex->request == request)
            ex->hooks.pause(ex->hooks.arg, &ex->changed, &ex->lock, at);
        exporter_unlock(ex);
    }
}

/* One attempt. */
static void attempt(struct lane *lane, const struct orders *orders, const uint8_t *bytes,
                    size_t size, struct transport_result *ret)
{
    struct exporter *ex = lane->exporter;
    const int64_t at = exporter_now(ex);
    int64_t deadline = ex->conf.timeout_ns > 0 ? add_sat(at, ex->conf.timeout_ns) : INT64_MAX;
    int64_t took;

    if (orders->limit_ns > at)
        deadline = min64(deadline, orders->limit_ns);
    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE};
    ex->transport->send(ex->transport, lane->index, bytes, size, deadline, ret);
    took = max64(exporter_now(ex) - at, 0);
    exporter_lock(ex);
    ex->stats.exports++;
    ex->stats.export_ns += (uint64_t)took;
    exporter_unlock(ex);
    if (ex->conf.on_attempt != NULL)
        ex->conf.on_attempt(ex->conf.on_attempt_arg, (int)ret->outcome, took);
}

/* Count spans as lost, and keep what the collector says about it for the line. */
static void lose(struct exporter *ex, uint64_t *counter, uint64_t n, const char *text)
{
    exporter_count(ex, counter, n);
    reports_said(&ex->reports, text);
    exporter_tell_losses(ex, false);
}

static void delivered(struct exporter *ex, size_t n, const struct transport_result *result)
{
    uint64_t rejected = result->rejected < n ? result->rejected : n;

    exporter_lock(ex);
    ex->stats.batches++;
    ex->stats.exported += n - rejected;
    exporter_unlock(ex);
    reports_success(&ex->reports, exporter_now(ex));
    if (rejected > 0) {
        lose(ex, &ex->stats.rejected, rejected, result->text);
    } else if (result->text[0] != '\0') {
        exporter_count(ex, &ex->stats.warnings, 1);
        reports_warning(&ex->reports, exporter_now(ex), result->text);
    }
}

/* An attempt failed, another one follows. */
static void failed(struct exporter *ex, const char *text, int64_t wait_ns)
{
    struct span_queue_stats stats;

    span_queue_get_stats(ex->queue, &stats);
    reports_failure(&ex->reports, exporter_now(ex), text, stats.waiting + stats.in_flight, wait_ns);
}

/*
 * Send one request until it is delivered or given up.
 * @return false: the end came first, its spans are still to be counted
 */
static bool deliver(struct lane *lane, const uint8_t *bytes, size_t size, size_t n)
{
    struct exporter *ex = lane->exporter;
    struct retry retry;
    int64_t flush_wait = FLUSH_RETRY_FIRST_NS;

    retry_begin(&retry, &ex->retry_conf, exporter_now(ex));
    for (bool again = false;; again = true) {
        struct orders orders = exporter_orders(ex);
        struct transport_result result;
        int64_t wait;

        if (orders.mode == MODE_END)
            return false;
        if (again)
            exporter_count(ex, &ex->stats.retries, 1);
        attempt(lane, &orders, bytes, size, &result);
        if (result.outcome == TRANSPORT_OK) {
            delivered(ex, n, &result);
            return true;
        }
        if (result.outcome == TRANSPORT_NOT_RETRYABLE) {
            lose(ex, &ex->stats.not_retryable, n, result.text);
            return true;
        }
        if (exporter_orders(ex).mode == MODE_END)
            return false;
        if (!retry_next(&retry, &ex->retry_conf, exporter_now(ex), result.min_wait_ns,
                        ex->hooks.random(ex->hooks.arg), &wait)) {
            lose(ex, &ex->stats.given_up, n, result.text);
            return true;
        }
        if (orders.mode != MODE_RUN) {
            wait = min64(wait, flush_wait);
            flush_wait = min64(flush_wait * 2, FLUSH_RETRY_MAX_NS);
        }
        failed(ex, result.text, wait);
        wait_retry(ex, add_sat(exporter_now(ex), wait), orders.request);
    }
}

/* What the spans lack by their limits. OpenTelemetry asks for a message, at most one for a span. */
static void count_dropped(struct exporter *ex, const struct span_chunk *chunks)
{
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        if (chunk->attributes_dropped == 0 && chunk->events_dropped == 0)
            continue;
        exporter_lock(ex);
        ex->stats.attributes_dropped += chunk->attributes_dropped;
        ex->stats.events_dropped += chunk->events_dropped;
        exporter_unlock(ex);
        reports_attributes(&ex->reports, chunk->first_attributes_dropped,
                           chunk->first_events_dropped);
    }
}

void delivery_send(struct lane *lane, struct span_chunk *chunks, size_t n)
{
    struct exporter *ex = lane->exporter;
    const uint8_t *bytes;
    size_t size;
    int rc;

    count_dropped(ex, chunks);
    rc = batch_join(lane->encoder, chunks, &bytes, &size);
    span_queue_release(chunks);
    if (rc != 0)
        lose(ex, &ex->stats.no_memory, n, "");
    else if (size > ex->conf.bytes_max)
        lose(ex, &ex->stats.too_large, n, "");
    else if (!deliver(lane, bytes, size, n))
        exporter_count(ex, &ex->stats.shutdown, n);
    span_queue_settle(ex->queue, n);
}
