/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/lane.c - threads that send what the sender hands them, and wait for the answer.
 */
#include <assert.h>
#include <stdio.h>

#include "send/sender.h"

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    struct exporter *ex = lane->exporter;

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
        ex->transport->send(ex->transport, lane->index, batch->bytes, batch->size, deadline,
                            &result);
        exporter_lock(ex);
        lane->result = result;
        lane->took_ns = exporter_now(ex) - begun;
        lane->done = true;
        exporter_unlock(ex);
        span_queue_wake(ex->queue);
        exporter_lock(ex);
    }
    exporter_unlock(ex);
    return NULL;
}

void lane_send(struct exporter *ex, struct batch *batch, int64_t deadline_ns)
{
    struct lane *lane = ex->lanes;

    exporter_lock(ex);
    while (lane < ex->lanes + ex->n_lanes && lane->batch != NULL)
        lane++;
    assert(lane < ex->lanes + ex->n_lanes); /* the schedule sends no more than there are lanes */
    lane->batch = batch;
    lane->deadline_ns = deadline_ns;
    lane->done = false;
    exporter_unlock(ex);
    /* After that, or the lane would have to wait again, for the lock. */
    (void)pthread_cond_signal(&lane->work); /* cannot fail */
}

int lanes_start(struct exporter *ex)
{
    while (ex->n_lanes < ex->conf.concurrency) {
        struct lane *lane = &ex->lanes[ex->n_lanes];
        char name[16];

        lane->exporter = ex;
        lane->index = ex->n_lanes;
        (void)pthread_cond_init(&lane->work, NULL); /* cannot fail without attributes */
        if (pthread_create(&lane->thread, NULL, run_lane, lane) != 0) {
            (void)pthread_cond_destroy(&lane->work);
            return -1;
        }
        (void)snprintf(name, sizeof name, "otel-send-%u", lane->index);
        (void)pthread_setname_np(lane->thread, name); /* only for ps */
        ex->n_lanes++;
    }
    return 0;
}

void lanes_join(struct exporter *ex)
{
    exporter_lock(ex);
    ex->quit = true;
    exporter_unlock(ex);
    for (unsigned i = 0; i < ex->n_lanes; i++) {
        (void)pthread_cond_signal(&ex->lanes[i].work);
        (void)pthread_join(ex->lanes[i].thread, NULL); /* it leaves its loop */
        (void)pthread_cond_destroy(&ex->lanes[i].work);
    }
    ex->n_lanes = 0;
}
