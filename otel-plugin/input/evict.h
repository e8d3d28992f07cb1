/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/evict.h - ends the requests that never got their response, because their
 * TTL passed or because the plugin stops.
 *
 * Runs on the export thread, which asks for more each time before it takes a batch. Moves no more
 * than the queue has room for, so that a full store goes through a small queue without a loss.
 */
#ifndef OTEL_INPUT_EVICT_H
#define OTEL_INPUT_EVICT_H

#include <stdatomic.h>
#include <stdint.h>

#include "input/sink.h"
#include "input/store.h"

/* What marks the spans of such a request. */
#define EVENT_NO_RESPONSE "haproxy.no_response"
#define ATTR_INCOMPLETE "haproxy.incomplete"

struct evictor {
    struct store *store;
    struct sink *sink;
    struct span_writer *writer;
    int64_t (*now_mono_ns)(void); /* the host's */
    int64_t ttl_ns;
    _Atomic int draining; /* end all that is open, whatever its age */
};

/**
 * Move what has expired by now.
 * @return when to call again at the latest; INT64_MAX: draining, and nothing is left
 */
int64_t evictor_run(struct evictor *evictor, int64_t now_mono_ns);

/** evictor_run() by its clock, as exporter_refill_fn. @param evictor struct evictor */
int64_t evictor_refill(void *evictor);

#endif
