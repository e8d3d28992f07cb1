/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/exporter.h - the export thread: takes spans from the queue, makes batches,
 * sends them over a transport, retries, gives up.
 *
 * The transport is one small interface (transport.h) so that tests drive the thread's logic
 * without a network; OTLP over gRPC is the one that is built in.
 */
#ifndef OTEL_EXPORT_EXPORTER_H
#define OTEL_EXPORT_EXPORTER_H

#include <stdint.h>

#include <spoe/plugin.h>

#include "conf_types.h"
#include "queue/queue.h"

enum otlp_tls { OTLP_TLS_DISABLED = 0, OTLP_TLS_ENABLED = 1, OTLP_TLS_SKIP_VERIFY = 2 };

/* What the export needs to know; strings are owned by the plugin's configuration and outlive it. */
struct exporter_conf {
    enum exporter_kind kind;
    enum otlp_protocol protocol;
    const char *endpoint; /* host:port, an IPv6 address in brackets */
    const char *url;      /* HTTP: all of it; NULL with gRPC */
    const char *service_name;
    const char *service_version; /* of the scope: the plugin's own version */
    /* What the resource has beside service.name; no key twice. */
    const struct resource_attribute *resource;
    size_t n_resource;
    enum otlp_tls tls;
    const char *tls_ca, *tls_cert, *tls_key; /* PEM files or NULL; cert and key together */
    bool gzip;
    const char *headers;      /* as OTEL_EXPORTER_OTLP_HEADERS, checked: headers_read(); or NULL */
    const char *headers_file; /* a file of more of them, or NULL */
    uint32_t concurrency;     /* requests under way at once, 1 to 8 */
    uint32_t batch_max;       /* 512 */
    int64_t batch_delay_ns;   /* 5 s after the first */
    int64_t timeout_ns;       /* of one export, 10 s; 0: none */
    int64_t retry_initial_ns, retry_max_ns, retry_give_up_ns; /* 5 s, 30 s, 5 min */
};

struct exporter; /* owns the thread */

/*
 * Counters; every span that entered the queue ends in exactly one of exported, rejected,
 * given_up, not_retryable or shutdown (dropped ones are the queue's).
 */
struct exporter_stats {
    uint64_t exported, rejected, given_up, not_retryable, shutdown;
    uint64_t batches, retries;
};

/**
 * Called on the export thread each time before it takes a batch, so that an owner with more spans
 * than the queue may hold can feed it as it drains (open spans whose TTL passed, the shutdown).
 * Returns the moment (CLOCK_MONOTONIC, ns) at which it wants to be called again at the latest;
 * INT64_MAX for never.
 */
typedef int64_t exporter_refill_fn(void *arg);

/**
 * Start the thread.
 * @param log_host, log_self  for spoe_logf(); may be NULL in tests: then nothing is logged
 * @param refill  may be NULL
 * @return 0 and *ret; -1: could not start, logged
 */
int exporter_start(const struct exporter_conf *conf, struct span_queue *queue,
                   exporter_refill_fn *refill, void *refill_arg, const struct spoe_host *log_host,
                   struct spoe_instance *log_self, struct exporter **ret);

/**
 * Flush: from now on batches leave at once and a wait for a retry is cut short. Returns when
 * nothing waits, nothing is in flight and refill has nothing more, or at the deadline.
 * Threads: [main]
 */
void exporter_flush(struct exporter *exporter, int64_t deadline_mono_ns);

/**
 * Stop and join the thread; what is left by the deadline is counted as `shutdown`. Takes NULL.
 * Threads: [main]
 */
void exporter_stop(struct exporter *exporter, int64_t deadline_mono_ns,
                   struct exporter_stats *ret_stats);

/** Threads: [any] */
void exporter_get_stats(struct exporter *exporter, struct exporter_stats *ret);

/**
 * Read the PEM files and match certificate and key (OpenSSL), so that a bad one is named when the
 * configuration is checked. No gRPC is touched.
 * @param ret_error  on failure: what and which file; size bytes, NUL-terminated
 * @return 0; -1
 */
int exporter_check_tls(const struct exporter_conf *conf, char *ret_error, size_t size,
                       const char **ret_option);

#endif
