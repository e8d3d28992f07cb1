/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/lanes.c - the export's threads.
 *
 * Each lane runs one loop: take the chair, let the owner refill the queue, wait for a batch, take
 * it, leave the chair to the next lane; send the batch until it is delivered or given up, settle
 * its places. So as many requests are under way at once as there are lanes, and with one lane, the
 * default, spans leave in the order in which they were pushed. With more, batches may overtake each
 * other, but a request's spans are in the same one (span_queue_push()).
 *
 *   mode   set by            a batch leaves when          a wait for a retry
 *   RUN    -                 full, or its first is old    as retry.h says
 *   FLUSH  exporter_flush()  there is a span              is cut short, then short ones
 *   STOP   exporter_stop()   likewise, then the end       likewise, up to the limit
 *   END    STOP's limit      not any more                 is over
 *
 * `request` counts flush and stop requests, so that a lane can tell that one came while it waited,
 * and which flush is finished.
 */
#include "send/lanes.h"

#include <assert.h>
#include <stdio.h>

#include "otlp/batch.h"
#include "send/delivery.h"
#include "send/exporter_state.h"

/* The owner is asked at most so often where its moment has passed and it had nothing for us. */
#define REFILL_MIN_NS (10 * NS_PER_MS)

static size_t wait_queue(struct exporter *ex, size_t want, int64_t deadline_ns)
{
    return ex->hooks.wait(ex->hooks.arg, ex->queue, want, deadline_ns);
}

/* Wait for a batch. @return false: not yet, look again at what has changed */
static bool gather(struct exporter *ex, int64_t refill_ns)
{
    struct span_queue_stats stats;
    int64_t at = exporter_now(ex), due;

    refill_ns = max64(refill_ns, add_sat(at, REFILL_MIN_NS));
    span_queue_get_stats(ex->queue, &stats);
    if (stats.waiting == 0) {
        (void)wait_queue(ex, 1, refill_ns);
        ex->first_ns = exporter_now(ex);
        return false;
    }
    due = add_sat(ex->first_ns, ex->conf.batch_delay_ns);
    if (stats.waiting >= ex->conf.batch_max || at >= due)
        return true;
    (void)wait_queue(ex, ex->conf.batch_max, min64(due, refill_ns));
    return false;
}

/* Nothing waits and nothing is to come: tell exporter_flush(). */
static void flushed(struct exporter *ex, uint64_t request)
{
    exporter_lock(ex);
    ex->done = request;
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    exporter_unlock(ex);
}

/* Enter or leave the lanes that have a batch. A flush waits for the last of them. */
static void set_sending(struct exporter *ex, bool sending)
{
    bool wake;

    exporter_lock(ex);
    ex->sending = sending ? ex->sending + 1 : ex->sending - 1;
    wake = !sending && (ex->flushing || ex->stopping);
    exporter_unlock(ex);
    if (wake)
        span_queue_wake(ex->queue);
}

static bool others_send(struct exporter *ex)
{
    bool others;

    exporter_lock(ex);
    others = ex->sending > 0; /* the lane that asks has none */
    exporter_unlock(ex);
    return others;
}

/* In the chair: the next batch. @return NULL: the lane's end */
static struct span_chunk *gather_batch(struct lane *lane, size_t *ret_n)
{
    struct exporter *ex = lane->exporter;
    const size_t overhead = batch_overhead(lane->encoder);
    const size_t room = ex->conf.bytes_max > overhead ? ex->conf.bytes_max - overhead : 0;

    for (;;) {
        struct orders orders = exporter_orders(ex);
        struct span_chunk *chunks;
        int64_t refill_ns;

        if (orders.mode == MODE_END || ex->drained)
            return NULL;
        refill_ns = exporter_refill(ex);
        if (refill_ns != INT64_MAX) /* losses are told in time */
            refill_ns = min64(refill_ns, add_sat(exporter_now(ex), REPORTS_LOSSES_EVERY_NS));
        exporter_tell_losses(ex, false);
        if (orders.mode == MODE_RUN && !gather(ex, refill_ns))
            continue;
        chunks = span_queue_take(ex->queue, ex->conf.batch_max, room, ret_n);
        ex->first_ns = exporter_now(ex);
        if (chunks != NULL)
            return chunks;
        refill_ns = max64(refill_ns, add_sat(exporter_now(ex), REFILL_MIN_NS));
        if (!others_send(ex)) {
            if (orders.mode == MODE_STOP) {
                ex->drained = true;
                return NULL;
            }
            flushed(ex, orders.request);
        }
        (void)wait_queue(ex, 1, refill_ns);
    }
}

static void lock_chair(struct exporter *ex)
{
    int rc = pthread_mutex_lock(&ex->chair);

    assert(rc == 0);
    (void)rc;
}

/* The last lane to leave counts what nobody took. */
static void leave(struct exporter *ex)
{
    struct span_chunk *chunks;
    bool last;
    size_t n;

    exporter_lock(ex);
    last = --ex->running == 0;
    exporter_unlock(ex);
    if (!last)
        return;
    chunks = span_queue_take(ex->queue, SIZE_MAX, SIZE_MAX, &n);
    if (n > 0) {
        exporter_count(ex, &ex->stats.shutdown, n);
        span_queue_release(chunks);
        span_queue_settle(ex->queue, n);
    }
    exporter_lock(ex);
    ex->finished = true;
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    exporter_unlock(ex);
}

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    struct exporter *ex = lane->exporter;
    struct span_chunk *chunks;
    size_t n;

    for (;;) {
        lock_chair(ex);
        chunks = gather_batch(lane, &n);
        if (chunks != NULL)
            set_sending(ex, true);
        (void)pthread_mutex_unlock(&ex->chair); /* ours */
        if (chunks == NULL)
            break;
        delivery_send(lane, chunks, n);
        set_sending(ex, false);
    }
    leave(ex);
    return NULL;
}

void lanes_join(struct exporter *ex)
{
    for (unsigned i = 0; i < ex->n_lanes; i++)
        (void)pthread_join(ex->lanes[i].thread, NULL); /* it leaves its loop */
}

int lanes_start(struct exporter *ex, const struct batch_resource *resource)
{
    const unsigned n = ex->conf.concurrency;
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        ex->lanes[i] =
            (struct lane){.exporter = ex, .index = i, .encoder = batch_encoder_create(resource)};
        if (ex->lanes[i].encoder == NULL)
            return -1;
    }
    ex->running = n;
    while (ok && ex->n_lanes < n) {
        struct lane *lane = &ex->lanes[ex->n_lanes];
        char name[16];

        ok = pthread_create(&lane->thread, NULL, run_lane, lane) == 0;
        if (!ok)
            break;
        (void)snprintf(name, sizeof name, lane->index == 0 ? "otel-export" : "otel-export-%u",
                       lane->index);
        (void)pthread_setname_np(lane->thread, name); /* only for ps */
        ex->n_lanes++;
    }
    if (ok)
        return 0;
    exporter_lock(ex);
    ex->running -= n - ex->n_lanes;
    ex->ended = true;
    exporter_unlock(ex);
    exporter_wake(ex);
    lanes_join(ex);
    return -1;
}
