/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/export/exporter_state.c - what the parts of the exporter share. */
#include "export/exporter_state.h"

#include <assert.h>

#include "export/reports.h"

void exporter_lock(struct exporter *ex)
{
    int rc = pthread_mutex_lock(&ex->lock);

    assert(rc == 0);
    (void)rc;
}

void exporter_unlock(struct exporter *ex)
{
    int rc = pthread_mutex_unlock(&ex->lock);

    assert(rc == 0);
    (void)rc;
}

void exporter_count(struct exporter *ex, uint64_t *counter, uint64_t n)
{
    exporter_lock(ex);
    *counter += n;
    exporter_unlock(ex);
}

struct orders exporter_orders(struct exporter *ex)
{
    struct orders orders = {.mode = MODE_RUN, .limit_ns = INT64_MAX};
    int64_t at = exporter_now(ex);

    exporter_lock(ex);
    orders.request = ex->request;
    if (ex->flushing || ex->stopping)
        orders.limit_ns = ex->limit_ns;
    if (ex->ended || (ex->stopping && at >= ex->limit_ns))
        orders.mode = MODE_END;
    else if (ex->stopping)
        orders.mode = MODE_STOP;
    else if (ex->flushing)
        orders.mode = MODE_FLUSH;
    exporter_unlock(ex);
    return orders;
}

int64_t exporter_refill(struct exporter *ex)
{
    return ex->refill != NULL ? ex->refill(ex->refill_arg) : INT64_MAX;
}

void exporter_mind_chair(struct exporter *ex)
{
    if (pthread_mutex_trylock(&ex->chair) != 0)
        return;
    (void)exporter_refill(ex);
    reports_losses(ex, false);
    (void)pthread_mutex_unlock(&ex->chair); /* ours */
}

void exporter_wake(struct exporter *ex)
{
    exporter_lock(ex);
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    exporter_unlock(ex);
    span_queue_wake(ex->queue);
}
