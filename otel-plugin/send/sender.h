/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/sender.h - the exporter from inside: start, flush and stop (exporter.c), the
 * thread that decides (sender.c) and the threads that send (lane.c) share it. Nobody else includes
 * it but tests, which bring a transport, a clock and chance of their own, so that no test waits
 * five minutes.
 */
#ifndef OTEL_SEND_SENDER_H
#define OTEL_SEND_SENDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otlp/batch.h"
#include "send/exporter.h"
#include "send/log.h"
#include "send/schedule.h"
#include "send/status.h"
#include "send/transport.h"

/* The surroundings; all are called on the exporter's threads only. */
struct exporter_hooks {
    int64_t (*now_mono_ns)(void *arg);
    /* As span_queue_wait_any(), on the clock of now_mono_ns. */
    void (*wait)(void *arg, const struct span_queue_want *wants, size_t n,
                 int64_t deadline_mono_ns);
    uint32_t (*random)(void *arg);
    int64_t tick_ns; /* so often the sender looks at the losses of others; 0: never for that */
    void *arg;
};

/* A thread that sends one request at a time. */
struct lane {
    struct exporter *exporter;
    struct signal *signal; /* of these lanes */
    unsigned index;
    pthread_t thread;
    pthread_cond_t work; /* a batch, or the end */
    /* Under the exporter's lock. */
    struct batch *batch; /* NULL: idle */
    int64_t deadline_ns;
    bool done; /* `result` and took_ns are there */
    struct transport_result result;
    int64_t took_ns;
};

/*
 * One signal on its way. It shares threads with the others, but for its lanes, and nothing that
 * could run short: a collector that does not answer for one of them holds up no other.
 */
struct signal {
    struct exporter_conf conf;
    struct span_queue *queue;
    struct transport *transport;
    char target[EXPORTER_TARGET_MAX]; /* for people */
    struct export_log log;
    struct batch_encoder *encoder;
    struct lane lanes[EXPORTER_CONCURRENCY_MAX];
    unsigned n_lanes; /* that were started */

    /* Under the exporter's turn, as are the log's state and the queue's taking end. */
    struct schedule schedule;
    struct batch *idle; /* for the next batches */
    unsigned n_idle;
    int64_t first_ns;        /* no span that waits came before */
    int64_t paused_until_ns; /* the collector takes nothing of this; in the past: or it does */
    bool hurried;
    int64_t produce_ns; /* when produce() is due; and for which flush it was called last */
    uint64_t produced;
    size_t wanted; /* spans that the sender waits for */

    struct exporter_stats stats; /* under the exporter's lock */
};

struct exporter {
    struct exporter_hooks hooks;
    struct signal signals[N_SIGNALS];
    unsigned n_signals;
    struct export_status status; /* under the turn, once the sender runs */
    pthread_t thread;            /* the sender's */
    struct export_health health;

    pthread_mutex_t turn; /* of who decides; taken before `lock` */
    int64_t until_ns;     /* the sender waits no longer. Under turn */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC; `flushed` or `finished` changed */
    /* All below: under lock. */
    bool vain; /* no more spans can leave before limit_ns */
    bool flushing, flush_missed, stopping, ended, quit, finished;
    int64_t limit_ns;              /* of the flush or the stop */
    uint64_t flush_asked, flushed; /* flushes, by their numbers */
};

/** CLOCK_MONOTONIC in ns. */
int64_t exporter_clock(void);

/**
 * As exporter_start().
 * @param transports  [own] one for each part, also on failure
 * @param hooks       copied; NULL: the real ones
 */
int exporter_start_with(const struct exporter_part *parts, struct transport *const *transports,
                        size_t n, const struct spoe_host *log_host, struct spoe_instance *log_self,
                        const struct exporter_hooks *hooks, struct exporter **ret);

void exporter_lock(struct exporter *exporter);
void exporter_unlock(struct exporter *exporter);

/** The line about a signal's losses, if it is time or at once. */
void exporter_tell_losses(struct exporter *exporter, struct signal *signal, bool at_once);

/** Start the sender's thread. @return 0; -1 */
int sender_start(struct exporter *exporter);

/** Start a signal's lanes, conf.concurrency. @return 0; -1: those that run are to be joined */
int lanes_start(struct exporter *exporter, struct signal *signal);
/** End and join the lanes of all signals; none has a batch. */
void lanes_join(struct exporter *exporter);
/**
 * An idle lane sends this.
 * @param self   the caller's own lane, which is idle and sends it; NULL: any, and it is woken
 * @param batch  [borrow] until the lane is `done`
 */
void lane_send(struct exporter *exporter, struct signal *signal, struct lane *self,
               struct batch *batch, int64_t deadline_ns);
/** A lane is `done`. It may have another batch after that. Threads: the lane's, without locks */
void sender_lane_done(struct exporter *exporter, struct lane *lane);

static inline int64_t exporter_now(const struct exporter *exporter)
{
    return exporter->hooks.now_mono_ns(exporter->hooks.arg);
}

#endif
