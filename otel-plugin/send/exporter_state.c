/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/exporter_state.c - what the parts of the exporter share. */
#include "send/exporter_state.h"

#include <assert.h>

#include "base/counters.h"

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
    exporter_tell_losses(ex, false);
    (void)pthread_mutex_unlock(&ex->chair); /* ours */
}

/* What was ignored, as far as the handlers are counted. */
static void get_ignored(const struct exporter *ex, struct losses *losses)
{
    struct counters *counters = ex->conf.counters;

    if (counters == NULL)
        return;
#define X(name) losses->ignored.name = COUNTED(counters, name);
    LOSSES_IGNORED(X)
#undef X
}

void exporter_tell_losses(struct exporter *ex, bool at_once)
{
    struct losses losses = {.ignored = {.missing_id = 0}};

    exporter_get_losses(ex, &losses.spans);
    get_ignored(ex, &losses);
    reports_losses(&ex->reports, exporter_now(ex), &losses, at_once);
}

void exporter_wake(struct exporter *ex)
{
    exporter_lock(ex);
    (void)pthread_cond_broadcast(&ex->changed); /* cannot fail */
    exporter_unlock(ex);
    span_queue_wake(ex->queue);
}
