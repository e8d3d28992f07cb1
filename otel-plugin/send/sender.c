/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/sender.c - what leaves when, and what becomes of it.
 *
 * Who decides has the turn, a lock: the queues' one consumer at that moment. Nearly always that is
 * the sender, a thread that gives it away only to wait, in span_queue_wait_any(): for spans, for
 * the moment that a schedule names, or for a wake-up, when a lane is done or something is asked
 * for. Each turn it does for each signal what there is to do, and waits for none of them.
 *
 * A lane that was answered well takes its turn itself, and goes on with the next batch if there is
 * one: under load, no thread has to wake another for it.
 *
 *   mode   set by            a batch leaves when          a wait for a retry
 *   RUN    -                 full, or its first is old    as schedule.h says
 *   FLUSH  exporter_flush()  there is a span              is short
 *   STOP   exporter_stop()   likewise, then the end       likewise, up to the limit
 *   END    STOP's limit      not any more                 is over
 */
#include "send/sender.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/counters.h"

#define TICK_MIN_NS INT64_C(100000000)

enum mode { MODE_RUN, MODE_FLUSH, MODE_STOP, MODE_END };

/* What is asked for at one moment. */
struct demand {
    enum mode mode;
    int64_t limit_ns; /* but for RUN */
    uint64_t flush;   /* the last one that was asked for */
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static struct demand get_demand(struct exporter *ex)
{
    struct demand demand = {.mode = MODE_RUN, .limit_ns = INT64_MAX};
    const int64_t at = exporter_now(ex);

    exporter_lock(ex);
    demand.flush = ex->flush_asked;
    if (ex->flushing || ex->stopping)
        demand.limit_ns = ex->limit_ns;
    if (ex->ended || (ex->stopping && at >= ex->limit_ns))
        demand.mode = MODE_END;
    else if (ex->stopping)
        demand.mode = MODE_STOP;
    else if (ex->flushing)
        demand.mode = MODE_FLUSH;
    exporter_unlock(ex);
    return demand;
}

/* ---- what becomes of a batch ---------------------------------------------------------------- */

static void add(struct exporter *ex, uint64_t *counter, uint64_t n)
{
    exporter_lock(ex);
    *counter += n;
    exporter_unlock(ex);
}

/* Count spans as lost, and keep what the collector says about it for the line. */
static void lose(struct exporter *ex, struct signal *sig, uint64_t *counter, uint64_t n,
                 const char *text)
{
    add(ex, counter, n);
    export_log_quote(&sig->log, text);
    exporter_tell_losses(ex, sig, false);
}

/* Its spans have been counted: its places are free, and its memory is for another. */
static void settle(struct signal *sig, struct batch *batch)
{
    span_queue_settle(sig->queue, batch->n, batch->span_bytes);
    if (sig->n_idle > sig->conf.concurrency) {
        batch_destroy(batch);
        return;
    }
    batch->next = sig->idle;
    sig->idle = batch;
    sig->n_idle++;
}

/* @param error  NULL: none */
static void tell_status(struct exporter *ex, const struct signal *sig, enum export_state state,
                        const char *error)
{
    export_status_set(&ex->status, sig->conf.signal, state, error, (int64_t)time(NULL));
}

static void delivered(struct exporter *ex, struct signal *sig, const struct batch *batch,
                      const struct transport_result *result)
{
    const uint64_t rejected = result->rejected < batch->n ? result->rejected : batch->n;

    exporter_lock(ex);
    sig->stats.batches++;
    sig->stats.exported += batch->n - rejected;
    exporter_unlock(ex);
    export_log_success(&sig->log, exporter_now(ex));
    tell_status(ex, sig, EXPORT_WORKS, rejected > 0 ? result->text : NULL);
    if (rejected > 0) {
        lose(ex, sig, &sig->stats.rejected, rejected, result->text);
    } else if (result->text[0] != '\0') {
        add(ex, &sig->stats.warnings, 1);
        export_log_warning(&sig->log, exporter_now(ex), result->text);
    }
}

/* @return whether the batch is parked; at the END it is for being counted, and nothing is tried */
static bool failed(struct exporter *ex, struct signal *sig, enum mode mode, struct batch *batch,
                   const struct transport_result *result)
{
    const int64_t at = exporter_now(ex);
    struct span_queue_stats queue;
    int64_t wait;

    tell_status(ex, sig, EXPORT_RETRIES, result->text);
    if (schedule_failed(&sig->schedule, batch, at, result->min_wait_ns,
                        ex->hooks.random(ex->hooks.arg), &wait) == SCHEDULE_GAVE_UP) {
        lose(ex, sig, &sig->stats.given_up, batch->n, result->text);
        return false;
    }
    if (mode == MODE_END)
        return true;
    span_queue_get_stats(sig->queue, &queue);
    export_log_failure(&sig->log, at, result->text, queue.waiting + queue.in_flight, wait);
    return true;
}

static void drop_waiting(struct exporter *ex, struct signal *sig, uint64_t *counter)
{
    struct batch *batch = schedule_drop(&sig->schedule);
    struct span_chunk *chunks;
    size_t n, bytes = 0;

    while (batch != NULL) {
        struct batch *next = batch->next;

        add(ex, counter, batch->n);
        settle(sig, batch);
        batch = next;
    }
    chunks = span_queue_take(sig->queue, SIZE_MAX, SIZE_MAX, &n);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        bytes += chunk->len;
    exporter_lock(ex);
    *counter += n;
    sig->stats.parked = 0;
    exporter_unlock(ex);
    span_queue_release(chunks);
    span_queue_settle(sig->queue, n, bytes);
}

/* What cannot be repeated is lost; if nothing of this signal is taken, so is what waits. */
static void refused(struct exporter *ex, struct signal *sig, const struct batch *batch,
                    const struct transport_result *result)
{
    const int64_t pause = result->unsupported ? sig->conf.unsupported_pause_ns : 0;

    tell_status(ex, sig, EXPORT_REFUSED, result->text);
    if (pause > 0) {
        sig->paused_until_ns = add_sat(exporter_now(ex), pause);
        span_queue_shut(sig->queue, true);
        add(ex, &sig->stats.unsupported, batch->n);
    } else {
        lose(ex, sig, &sig->stats.not_retryable, batch->n, result->text);
    }
    if (result->unsupported)
        export_log_unsupported(&sig->log, result->text, pause);
}

static void finish(struct exporter *ex, struct signal *sig, enum mode mode, struct batch *batch,
                   const struct transport_result *result)
{
    switch (result->outcome) {
    case TRANSPORT_OK:
        schedule_answered(&sig->schedule, exporter_now(ex));
        delivered(ex, sig, batch, result);
        break;
    case TRANSPORT_NOT_RETRYABLE:
        schedule_answered(&sig->schedule, exporter_now(ex));
        refused(ex, sig, batch, result);
        break;
    case TRANSPORT_RETRYABLE:
        if (failed(ex, sig, mode, batch, result))
            return;
        break;
    }
    settle(sig, batch);
}

/* Take what the lanes have got answers for. */
static void collect(struct exporter *ex, struct signal *sig, enum mode mode)
{
    for (unsigned i = 0; i < sig->n_lanes; i++) {
        struct lane *lane = &sig->lanes[i];
        struct transport_result result;
        struct batch *batch = NULL;
        int64_t took = 0;

        exporter_lock(ex);
        if (lane->batch != NULL && lane->done) {
            batch = lane->batch;
            result = lane->result;
            took = lane->took_ns > 0 ? lane->took_ns : 0;
            lane->batch = NULL;
            sig->stats.exports++;
            sig->stats.export_ns += (uint64_t)took;
        }
        exporter_unlock(ex);
        if (batch == NULL)
            continue;
        if (sig->conf.on_attempt != NULL)
            sig->conf.on_attempt(sig->conf.on_attempt_arg, (int)result.outcome, took);
        finish(ex, sig, mode, batch, &result);
    }
    exporter_lock(ex);
    sig->stats.parked = sig->schedule.parked_spans;
    exporter_unlock(ex);
}

/* ---- what leaves ---------------------------------------------------------------------------- */

/* What the spans lack by their limits. OpenTelemetry asks for a message, at most one for a span. */
static void count_dropped(struct exporter *ex, struct signal *sig, const struct span_chunk *chunks)
{
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        if (chunk->attributes_dropped == 0 && chunk->events_dropped == 0)
            continue;
        exporter_lock(ex);
        sig->stats.attributes_dropped += chunk->attributes_dropped;
        sig->stats.events_dropped += chunk->events_dropped;
        exporter_unlock(ex);
        export_log_attributes(&sig->log, chunk->first_attributes_dropped,
                              chunk->first_events_dropped);
    }
}

static struct batch *get_idle(struct signal *sig)
{
    struct batch *batch = sig->idle;

    if (batch == NULL)
        return batch_create();
    sig->idle = batch->next;
    batch->next = NULL;
    sig->n_idle--;
    return batch;
}

/*
 * The next batch out of the queue.
 * @param ret_any  false: nothing waits
 * @return NULL: none, or what was taken is lost and counted
 */
static struct batch *take_new(struct exporter *ex, struct signal *sig, bool *ret_any)
{
    const size_t overhead = batch_overhead(sig->encoder);
    const size_t room = sig->conf.bytes_max > overhead ? sig->conf.bytes_max - overhead : 0;
    const size_t waiting = span_queue_waiting(sig->queue);
    const int64_t at = exporter_now(ex);
    struct batch *batch = get_idle(sig);
    struct span_chunk *chunks;
    size_t n, bytes = 0;
    int rc = BATCH_E_NOMEM;

    chunks = span_queue_take(sig->queue, sig->conf.batch_max, room, &n);
    if (n >= waiting) /* what waits now has come since; else some of it is as old as before */
        sig->first_ns = at;
    *ret_any = chunks != NULL;
    if (chunks == NULL) {
        batch_destroy(batch);
        return NULL;
    }
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        bytes += chunk->len;
    count_dropped(ex, sig, chunks);
    if (batch != NULL)
        rc = batch_join(sig->encoder, chunks, batch);
    span_queue_release(chunks);
    if (rc == 0 && batch->size <= sig->conf.bytes_max)
        return batch;
    lose(ex, sig, rc != 0 ? &sig->stats.no_memory : &sig->stats.too_large, n, "");
    span_queue_settle(sig->queue, n, bytes);
    batch_destroy(batch);
    return NULL;
}

/* Whether what waits in the queue makes a batch. */
static bool is_ready(const struct signal *sig, const struct demand *demand, int64_t at)
{
    const size_t waiting = span_queue_waiting(sig->queue);

    if (demand->mode != MODE_RUN || waiting == 0)
        return waiting > 0;
    return waiting >= sig->conf.batch_max || span_queue_is_heavy(sig->queue) ||
           at >= add_sat(sig->first_ns, sig->conf.batch_delay_ns);
}

/* Give a lane, or this one, the batch that is to leave now. @return false: there is none */
static bool send_next(struct exporter *ex, struct signal *sig, const struct demand *demand,
                      struct lane *self)
{
    const int64_t at = exporter_now(ex);
    int64_t deadline = sig->conf.timeout_ns > 0 ? add_sat(at, sig->conf.timeout_ns) : INT64_MAX;
    struct batch *batch = schedule_take(&sig->schedule, at);

    if (batch != NULL) {
        exporter_lock(ex);
        sig->stats.retries++;
        sig->stats.parked = sig->schedule.parked_spans;
        exporter_unlock(ex);
    } else {
        bool any;

        if (!schedule_takes_new(&sig->schedule, at) || !is_ready(sig, demand, at))
            return false;
        batch = take_new(ex, sig, &any);
        if (batch == NULL)
            return any;
        schedule_begin(&sig->schedule, batch, at);
    }
    if (demand->mode != MODE_RUN)
        deadline = min64(deadline, demand->limit_ns);
    lane_send(ex, sig, self, batch, deadline);
    return true;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static bool is_paused(const struct signal *sig, int64_t at)
{
    return at < sig->paused_until_ns;
}

/* What is waited for in a signal's queue. @param until  made earlier, where there is a moment */
static struct span_queue_want want_of(struct exporter *ex, const struct signal *sig,
                                      const struct demand *demand, int64_t *until)
{
    const int64_t at = exporter_now(ex);
    const bool takes_new = schedule_takes_new(&sig->schedule, at);
    const size_t waiting = span_queue_waiting(sig->queue);
    int64_t new_ns = add_sat(sig->first_ns, sig->conf.batch_delay_ns);
    size_t want = SIZE_MAX; /* a lane's end, or a moment comes first */

    if (takes_new && waiting == 0 && at >= new_ns) {
        want = 1; /* nothing has come for so long: no need to look again before something does */
        new_ns = INT64_MAX;
    } else if (takes_new) {
        /* What is under way goes on with the next batch; two are too many for it. */
        want = (size_t)sig->conf.batch_max * (sig->schedule.in_flight > 0 ? 2u : 1u);
    }
    if (demand->mode != MODE_RUN && waiting > 0)
        new_ns = at;
    if (is_paused(sig, at)) {
        *until = min64(*until, sig->paused_until_ns);
        return (struct span_queue_want){sig->queue, SIZE_MAX};
    }
    if (sig->conf.produce != NULL)
        *until = min64(*until, sig->produce_ns);
    *until = min64(*until, schedule_next_ns(&sig->schedule, at, new_ns));
    return (struct span_queue_want){sig->queue, want};
}

static void take_turn(struct exporter *ex)
{
    const int err = pthread_mutex_lock(&ex->turn);

    assert(err == 0);
    (void)err;
}

static void end_turn(struct exporter *ex)
{
    const int err = pthread_mutex_unlock(&ex->turn);

    assert(err == 0);
    (void)err;
}

/* Give the turn away meanwhile; what is waited for is there to see. */
static void wait_so_long(struct exporter *ex, const struct span_queue_want *wants, int64_t until_ns)
{
    for (unsigned i = 0; i < ex->n_signals; i++)
        ex->signals[i].wanted = wants[i].n;
    ex->until_ns = until_ns;
    end_turn(ex);
    ex->hooks.wait(ex->hooks.arg, wants, ex->n_signals, until_ns);
    take_turn(ex);
}

/*
 * So often the sender looks by itself. While something is under way that is often enough for a lane
 * that goes idle, so that it need not wake the sender for the batch that begins then.
 */
static int64_t tick(const struct exporter *ex)
{
    int64_t ns = ex->hooks.tick_ns;

    for (unsigned i = 0; i < ex->n_signals; i++) {
        const struct signal *sig = &ex->signals[i];

        if (sig->schedule.in_flight > 0 && sig->conf.batch_delay_ns >= TICK_MIN_NS)
            ns = min64(ns, sig->conf.batch_delay_ns / 2);
    }
    return ns;
}

/* Wait until there may be something to do. */
static void wait_for_more(struct exporter *ex, const struct demand *demand)
{
    struct span_queue_want wants[N_SIGNALS];
    int64_t until = INT64_MAX;

    for (unsigned i = 0; i < ex->n_signals; i++)
        wants[i] = want_of(ex, &ex->signals[i], demand, &until);
    if (demand->mode == MODE_STOP)
        until = min64(until, demand->limit_ns);
    if (ex->hooks.tick_ns > 0)
        until = min64(until, add_sat(exporter_now(ex), tick(ex)));
    wait_so_long(ex, wants, until);
    for (unsigned i = 0; i < ex->n_signals; i++)
        if (wants[i].n == 1) /* it was empty: what is there now has come since */
            ex->signals[i].first_ns = exporter_now(ex);
}

/* Wait for a lane's end, or a wake-up. */
static void wait_for_lanes(struct exporter *ex)
{
    struct span_queue_want wants[N_SIGNALS];

    for (unsigned i = 0; i < ex->n_signals; i++)
        wants[i] = (struct span_queue_want){ex->signals[i].queue, SIZE_MAX};
    wait_so_long(ex, wants, INT64_MAX);
}

static bool is_empty(const struct signal *sig)
{
    return sig->schedule.in_flight == 0 && sig->schedule.parked_batches == 0 &&
           span_queue_waiting(sig->queue) == 0;
}

/* Whether nothing more can leave in time, since the collector has asked for a longer pause. */
static bool is_vain(const struct signal *sig, const struct demand *demand)
{
    return sig->schedule.in_flight == 0 &&
           schedule_pause_end_ns(&sig->schedule) >= demand->limit_ns;
}

static void flushed(struct exporter *ex, uint64_t flush)
{
    exporter_lock(ex);
    ex->flushed = flush;
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    exporter_unlock(ex);
}

/* For whoever waits for room meanwhile. */
static void set_vain(struct exporter *ex, bool vain)
{
    exporter_lock(ex);
    ex->vain = vain;
    exporter_unlock(ex);
}

static bool any_in_flight(const struct exporter *ex)
{
    for (unsigned i = 0; i < ex->n_signals; i++)
        if (ex->signals[i].schedule.in_flight > 0)
            return true;
    return false;
}

/* Have a signal's queue filled, when it is time and once before what is asked for. */
static void produce(struct exporter *ex, struct signal *sig, const struct demand *demand)
{
    const uint64_t asked = 2 * demand->flush + (demand->mode == MODE_STOP);
    const int64_t at = exporter_now(ex);

    if (sig->conf.produce == NULL || (at < sig->produce_ns && asked == sig->produced))
        return;
    if (at >= sig->produce_ns) /* what was missed is not made up for */
        sig->produce_ns +=
            (1 + (at - sig->produce_ns) / sig->conf.interval_ns) * sig->conf.interval_ns;
    sig->produced = asked;
    sig->conf.produce(sig->conf.produce_arg);
}

/* One signal's turn. @return whether it has nothing more to do by what is asked for */
static bool turn(struct exporter *ex, struct signal *sig, const struct demand *demand)
{
    bool vain;

    if (demand->mode != MODE_RUN && !sig->hurried) {
        sig->hurried = true;
        schedule_hurry(&sig->schedule, exporter_now(ex));
    }
    if (is_paused(sig, exporter_now(ex))) {
        drop_waiting(ex, sig, &sig->stats.unsupported);
        return sig->schedule.in_flight == 0;
    }
    if (span_queue_is_shut(sig->queue))
        span_queue_shut(sig->queue, false);
    produce(ex, sig, demand);
    while (send_next(ex, sig, demand, NULL))
        continue;
    vain = demand->mode != MODE_RUN && is_vain(sig, demand);
    if (sig->conf.signal == SIGNAL_TRACES)
        set_vain(ex, vain);
    return vain || is_empty(sig);
}

/* Until the end, whatever that is. */
static void run(struct exporter *ex)
{
    for (;;) {
        const struct demand demand = get_demand(ex);
        bool all_done = true;

        for (unsigned i = 0; i < ex->n_signals; i++) {
            collect(ex, &ex->signals[i], demand.mode);
            exporter_tell_losses(ex, &ex->signals[i], false);
        }
        if (demand.mode == MODE_END) {
            if (!any_in_flight(ex))
                return;
            wait_for_lanes(ex);
            continue;
        }
        for (unsigned i = 0; i < ex->n_signals; i++)
            all_done &= turn(ex, &ex->signals[i], &demand);
        if (demand.mode == MODE_STOP && all_done)
            return;
        if (demand.mode == MODE_FLUSH && all_done)
            flushed(ex, demand.flush);
        wait_for_more(ex, &demand);
    }
}

/*
 * A lane's own turn, if its batch arrived and nothing special is asked for.
 * @return whether the sender's plan holds, so that it can sleep on
 */
static bool go_on(struct exporter *ex, struct lane *lane)
{
    const struct demand demand = get_demand(ex);
    struct signal *const sig = lane->signal;
    struct span_queue_want want;
    int64_t until = INT64_MAX;

    if (demand.mode != MODE_RUN || lane->result.outcome != TRANSPORT_OK ||
        is_paused(sig, exporter_now(ex)) || span_queue_is_shut(sig->queue))
        return false;
    collect(ex, sig, demand.mode);
    if (lane->batch == NULL) /* the sender may have been faster, and have given it another */
        (void)send_next(ex, sig, &demand, lane);
    want = want_of(ex, sig, &demand, &until);
    if (until < ex->until_ns || want.n == 1)
        return false;
    if (want.n >= sig->wanted)
        return true;
    sig->wanted = want.n;
    return span_queue_want_less(sig->queue, want.n);
}

void sender_lane_done(struct exporter *ex, struct lane *lane)
{
    bool holds;

    take_turn(ex);
    holds = go_on(ex, lane);
    end_turn(ex);
    if (!holds)
        span_queue_wake(lane->signal->queue);
}

static void *run_sender(void *arg)
{
    struct exporter *ex = arg;

    take_turn(ex);
    run(ex);
    /* what is left when the time is over is lost */
    for (unsigned i = 0; i < ex->n_signals; i++)
        drop_waiting(ex, &ex->signals[i], &ex->signals[i].stats.shutdown);
    exporter_lock(ex);
    ex->finished = true;
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    exporter_unlock(ex);
    end_turn(ex);
    return NULL;
}

int sender_start(struct exporter *ex)
{
    if (pthread_create(&ex->thread, NULL, run_sender, ex) != 0)
        return -1;
    (void)pthread_setname_np(ex->thread, "otel-export"); /* only for ps */
    return 0;
}
