/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/lane.c - threads that send what they are given, and wait for the answer. */
#include <assert.h>
#include <stdio.h>

#include "send/sender.h"

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    struct exporter *ex = lane->exporter;
    struct signal *signal = lane->signal;

    exporter_lock(ex);
    for (;;) {
        struct transport_result result = {.outcome = TRANSPORT_RETRYABLE};
        const struct batch *batch;
        int64_t deadline, begun;

        while (!ex->quit && (lane->batch == NULL || lane->done))
            (void)pthread_cond_wait(&lane->work, &ex->lock); /* cannot fail */
        if (ex->quit)
            break;
        batch = lane->batch;
        deadline = lane->deadline_ns;
        exporter_unlock(ex);
        assert(batch->magic == BATCH_MAGIC);
        begun = exporter_now(ex);
        signal->transport->send(signal->transport, lane->index, batch->bytes, batch->size, deadline,
                                &result);
        exporter_lock(ex);
        lane->result = result;
        lane->took_ns = exporter_now(ex) - begun;
        lane->done = true;
        exporter_unlock(ex);
        sender_lane_done(ex, lane);
        exporter_lock(ex);
    }
    exporter_unlock(ex);
    return NULL;
}

void lane_send(struct exporter *ex, struct signal *signal, struct lane *self, struct batch *batch,
               int64_t deadline_ns)
{
    struct lane *lane = self != NULL ? self : signal->lanes;

    exporter_lock(ex);
    while (lane < signal->lanes + signal->n_lanes && lane->batch != NULL)
        lane++;
    /* the schedule sends no more than there are lanes */
    assert(lane < signal->lanes + signal->n_lanes && (self == NULL || lane == self));
    lane->batch = batch;
    lane->deadline_ns = deadline_ns;
    lane->done = false;
    exporter_unlock(ex);
    /* After that, or the lane would have to wait again, for the lock. */
    if (self == NULL)
        (void)pthread_cond_signal(&lane->work); /* cannot fail */
}

/* They are numbered through all signals; only for ps. */
static void set_name(const struct exporter *ex, const struct lane *lane)
{
    unsigned number = lane->index;
    char name[16];

    for (const struct signal *other = ex->signals; other < lane->signal; other++)
        number += other->n_lanes;
    (void)snprintf(name, sizeof name, "otel-send-%u", number);
    (void)pthread_setname_np(lane->thread, name);
}

int lanes_start(struct exporter *ex, struct signal *signal)
{
    while (signal->n_lanes < signal->conf.concurrency) {
        struct lane *lane = &signal->lanes[signal->n_lanes];

        lane->exporter = ex;
        lane->signal = signal;
        lane->index = signal->n_lanes;
        (void)pthread_cond_init(&lane->work, NULL); /* cannot fail without attributes */
        if (pthread_create(&lane->thread, NULL, run_lane, lane) != 0) {
            (void)pthread_cond_destroy(&lane->work);
            return -1;
        }
        set_name(ex, lane);
        signal->n_lanes++;
    }
    return 0;
}

static void join(struct lane *lane)
{
    (void)pthread_cond_signal(&lane->work);
    (void)pthread_join(lane->thread, NULL); /* it leaves its loop */
    (void)pthread_cond_destroy(&lane->work);
}

void lanes_join(struct exporter *ex)
{
    exporter_lock(ex);
    ex->quit = true;
    exporter_unlock(ex);
    for (unsigned s = 0; s < ex->n_signals; s++)
        while (ex->signals[s].n_lanes > 0)
            join(&ex->signals[s].lanes[--ex->signals[s].n_lanes]);
}
