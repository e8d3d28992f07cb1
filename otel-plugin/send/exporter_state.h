/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/exporter_state.h - the exporter from inside: what its lanes (lanes.c), the
 * delivery of a batch (delivery.c) and start and stop (exporter.c) share. Only these include it.
 *
 * Locks: the chair before `lock`, and never the other way round. The reports have one of their own,
 * inside which none of these is taken.
 */
#ifndef OTEL_SEND_EXPORTER_STATE_H
#define OTEL_SEND_EXPORTER_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send/exporter_hooks.h"
#include "send/reports.h"
#include "send/retry.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

struct batch_encoder;

enum mode { MODE_RUN, MODE_FLUSH, MODE_STOP, MODE_END };

/* A thread, and what it needs for itself. */
struct lane {
    struct exporter *exporter;
    unsigned index;
    pthread_t thread;
    struct batch_encoder *encoder;
};

struct exporter {
    struct exporter_conf conf;
    struct retry_conf retry_conf;
    struct exporter_hooks hooks;
    struct span_queue *queue;
    exporter_refill_fn *refill;
    void *refill_arg;
    struct transport *transport;
    char target[200]; /* for people */
    struct reports reports;
    struct lane lanes[EXPORTER_CONCURRENCY_MAX];
    unsigned n_lanes; /* that were started */

    pthread_mutex_t chair; /* held by the lane that gathers, the queue's consumer */
    /* Under the chair. */
    int64_t first_ns; /* no span that waits came before */
    bool drained;     /* the stop found nothing more: all lanes leave */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC; `done`, `finished`, `request` or `ended` changed */
    /* All below: under lock. */
    unsigned running, sending; /* lanes that have not left; those with a batch */
    bool flushing, flush_missed, stopping, ended, finished;
    int64_t limit_ns; /* of the flush or the stop */
    uint64_t request, done;
    struct exporter_stats stats;
};

/* What a lane sees of the requests at one moment. */
struct orders {
    enum mode mode;
    int64_t limit_ns;
    uint64_t request;
};

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static inline int64_t exporter_now(const struct exporter *ex)
{
    return ex->hooks.now_mono_ns(ex->hooks.arg);
}

void exporter_lock(struct exporter *ex);
void exporter_unlock(struct exporter *ex);

/** Add to one of ex->stats. */
void exporter_count(struct exporter *ex, uint64_t *counter, uint64_t n);

/** What is to be done just now. */
struct orders exporter_orders(struct exporter *ex);

/** In the chair: ask the owner for spans. @return the moment at which it wants to be asked again */
int64_t exporter_refill(struct exporter *ex);

/** Do what the chair does where nobody sits in it: the TTLs go on while the collector is away. */
void exporter_mind_chair(struct exporter *ex);

/** The line about losses, if it is time; exporter_stop()'s is written at once. */
void exporter_tell_losses(struct exporter *ex, bool at_once);

/** Whoever waits looks at the orders again. */
void exporter_wake(struct exporter *ex);

#endif
