/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/health.h - whether what HAProxy tells arrives, for the host's pages
 * (spoe.health/1): degraded while the export of a signal has failed for a minute, until one works.
 * HAProxy's requests are not touched by that, so it is never down. Threads: [any].
 */
#ifndef OTEL_SEND_HEALTH_H
#define OTEL_SEND_HEALTH_H

#include <pthread.h>
#include <stdbool.h>

#include <spoe/ext/health.h>

#include "otlp/signals.h"

/* A collector that is started again is no reason. */
#define EXPORT_HEALTH_NS INT64_C(60000000000)

/* Zero-initialised, then export_health_init(). */
struct export_health {
    pthread_mutex_t _lock; /* held while the host is told: what is said last is what is so */
    const struct spoe_health *_facet; /* NULL: nobody is told */
    struct spoe_instance *_self;
    bool _fails[N_SIGNALS];
    char _text[N_SIGNALS][SPOE_HEALTH_TEXT_MAX];
};

void export_health_init(struct export_health *health);
void export_health_fini(struct export_health *health);

/** From now on the host is told. @param facet  NULL: it has none */
void export_health_show(struct export_health *health, const struct spoe_health *facet,
                        struct spoe_instance *self);

/** An export has failed, and none has worked for EXPORT_HEALTH_NS. @param text  one line */
void export_health_fails(struct export_health *health, enum otlp_signal signal, const char *text);
/** One has worked. */
void export_health_works(struct export_health *health, enum otlp_signal signal);

#endif
