/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/exporter_hooks.h - the exporter with its surroundings as parameters: the
 * transport, the clock, waiting and chance. exporter_start() is this with the configured
 * transport and the real ones; tests bring their own, so that no test waits five minutes.
 */
#ifndef OTEL_SEND_EXPORTER_HOOKS_H
#define OTEL_SEND_EXPORTER_HOOKS_H

#include <pthread.h>

#include "send/exporter.h"
#include "send/transport.h"

/* All are called on the lanes' threads only. */
struct exporter_hooks {
    int64_t (*now_mono_ns)(void *arg);
    /* As span_queue_wait(), on the clock of now_mono_ns. */
    size_t (*wait)(void *arg, struct span_queue *queue, size_t want, int64_t deadline_mono_ns);
    /* As pthread_cond_timedwait(), on the clock of now_mono_ns; may wake for nothing. */
    void (*pause)(void *arg, pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_mono_ns);
    uint32_t (*random)(void *arg);
    void *arg;
};

/** CLOCK_MONOTONIC in ns. */
int64_t exporter_clock(void);

extern const struct exporter_hooks exporter_real_hooks;

/**
 * As exporter_start().
 * @param transport  [own] also on failure
 * @param hooks      copied; NULL: the real ones
 */
int exporter_start_with(const struct exporter_conf *conf, struct span_queue *queue,
                        exporter_refill_fn *refill, void *refill_arg,
                        const struct spoe_host *log_host, struct spoe_instance *log_self,
                        struct transport *transport, const struct exporter_hooks *hooks,
                        struct exporter **ret);

#endif
