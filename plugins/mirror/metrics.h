/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/mirror/metrics.h - the counters on the host's /metrics. */
#ifndef MIRROR_METRICS_H
#define MIRROR_METRICS_H

#include <spoe/ext/metrics.h>

#include "mirror/counters.h"

/* Gauges, by a function of the plugin's. */
struct mirror_gauges {
    uint64_t waiting, waiting_max, in_flight, in_flight_max, held_bytes, held_bytes_max;
    uint64_t share; /* in millionths */
};

struct mirror_metrics {
    const struct spoe_metrics *m; /* NULL: the host has none */
    const struct mirror_counters *counters;
    void (*read_gauges)(void *arg, struct mirror_gauges *ret);
    void *arg;
    struct spoe_metric *requests, *unselected, *dropped[MIRROR_N_DROPS], *answers[MIRROR_N_CLASSES],
        *failures[MIRROR_N_FAILURES], *long_answers, *connections, *sent_bytes;
    struct spoe_metric *waiting, *waiting_max, *in_flight, *in_flight_max, *held, *held_max, *share;
    struct spoe_metric *seconds;
};

/**
 * Declare all of them. What cannot be declared is left out.
 * @param metrics  counters, read_gauges and arg are set; as long as the instance
 * Threads: [main], during configure().
 */
void mirror_metrics_declare(struct mirror_metrics *metrics, const struct spoe_host *host,
                            struct spoe_instance *self);
/** Threads: [any]. */
void mirror_metrics_answered(const struct mirror_metrics *metrics, double seconds);

#endif
