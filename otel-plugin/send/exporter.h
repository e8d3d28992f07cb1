/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/exporter.h - the export: takes what is in the queues of the signals, makes
 * batches, sends them over transports, retries, gives up.
 *
 *   queue --take--> sender.c, one thread: a batch --> lane.c, a thread for each request at once
 *                       ^   |                             | transport.h: gRPC, HTTP, console
 *                       |   +-- parked (schedule.c) <-----+
 *                       +------------- result ------------+
 *
 * There is one sender for all signals. All that a signal could run short of is its own: queue,
 * batches that wait for a retry, lanes, transport.
 *
 * All decisions are sender.c's, by one thread at a time; a lane sends one request, says how it
 * ended and may go on with the next. Nobody else knows of time, retries and limits, and the
 * transports know nothing of them.
 */
#ifndef OTEL_SEND_EXPORTER_H
#define OTEL_SEND_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/ext/health.h>
#include <spoe/plugin.h>

#include "base/conf_types.h"
#include "otlp/queue.h"

struct counters;
struct transport_result;

enum otlp_tls { OTLP_TLS_DISABLED = 0, OTLP_TLS_ENABLED = 1, OTLP_TLS_SKIP_VERIFY = 2 };

/**
 * One request has been answered, or not.
 * @param outcome  enum transport_outcome
 * @param ns       how long it took
 * Threads: the export's
 */
typedef void exporter_attempt_fn(void *arg, int outcome, int64_t ns);

/**
 * Nothing is exported any more: count what is left, before the last line about losses is written.
 * Threads: [main], in exporter_stop()
 */
typedef void exporter_end_fn(void *arg);

/**
 * What is read at its times, and not pushed as it comes: put it into the signal's queue now.
 * Threads: one of the export's at a time
 */
typedef void exporter_produce_fn(void *arg);

#define EXPORTER_CONCURRENCY_MAX 8u
#define EXPORTER_TARGET_MAX 200u /* its text, NUL included */

/*
 * What the export needs to know; strings are owned by the plugin's configuration and outlive it.
 * Zero is the default of what has none written beside it.
 */
struct exporter_conf {
    enum otlp_signal signal;
    enum exporter_kind kind; /* NONE: the spans must not be queued; sink.h has a switch */
    enum otlp_protocol protocol;
    const char *endpoint; /* host:port, an IPv6 address in brackets */
    const char *url;      /* HTTP: all of it, with a scheme and without user, query and fragment */
    const char *service_name;
    const char *service_version; /* of the scope: the plugin's own version */
    const char *schema_url;      /* of resource and scope; NULL: none */
    /* What the resource has beside service.name; no key twice. */
    const struct resource_attribute *resource;
    size_t n_resource;
    enum otlp_tls tls;
    const char *tls_ca, *tls_cert, *tls_key; /* PEM files or NULL; cert and key together */
    bool gzip;
    const char *headers;      /* as OTEL_EXPORTER_OTLP_HEADERS, checked: headers_read(); or NULL */
    const char *headers_file; /* a file of more of them, read again when it changes, or NULL */
    bool use_proxy;           /* follow http_proxy, https_proxy, no_proxy and gRPC's own */
    int64_t keepalive_ns;     /* pings on an idle connection; 0: none */
    uint32_t concurrency;   /* requests under way at once, at most EXPORTER_CONCURRENCY_MAX; 0: 1 */
    uint32_t bytes_max;     /* of one request; 0: BATCH_BYTES_MAX */
    uint32_t batch_max;     /* 512 */
    int64_t batch_delay_ns; /* 5 s after the first */
    int64_t timeout_ns;     /* of one export, 10 s; 0: none */
    /* Where the collector takes nothing of this signal: so long nothing is sent. 0: no pause, the
     * next batch may find another collector. */
    int64_t unsupported_pause_ns;
    int64_t retry_initial_ns, retry_max_ns, retry_give_up_ns; /* 5 s, 30 s, 5 min: schedule.h */
    exporter_produce_fn *produce; /* every interval_ns, at a flush and at the end; NULL: never */
    void *produce_arg;
    int64_t interval_ns;
    /* What the handlers lost goes into the same line of the log; NULL in tests. */
    struct counters *counters;
    exporter_attempt_fn *on_attempt; /* may be NULL */
    void *on_attempt_arg;
    exporter_end_fn *on_end; /* may be NULL */
    void *on_end_arg;
};

struct exporter; /* owns the threads */

/* A signal to be exported: how, and from where. */
struct exporter_part {
    const struct exporter_conf *conf;
    struct span_queue *queue;
};

/*
 * Counters; every span that entered the queue ends in exactly one of exported, rejected, given_up,
 * not_retryable, unsupported, too_large, no_memory or shutdown (dropped ones are the queue's).
 */
struct exporter_stats {
    uint64_t exported, rejected, given_up, not_retryable, unsupported, too_large, no_memory,
        shutdown;
    uint64_t batches, retries;
    uint64_t warnings;                           /* requests that were taken whole, with a text */
    uint64_t attributes_dropped, events_dropped; /* of the spans that were to be sent */
    uint64_t exports;                            /* requests sent, each attempt */
    uint64_t export_ns;                          /* how long they took, all together */
    uint64_t parked;                             /* spans that wait for a retry just now */
};

/* X(name): one reason for which spans are lost, here or before the queue: docs/otel-export.md. */
#define EXPORT_LOSSES(X)                                                                           \
    X(queue_full)                                                                                  \
    X(not_retryable)                                                                               \
    X(gave_up)                                                                                     \
    X(rejected)                                                                                    \
    X(unsupported) /* the collector takes nothing of this signal */                                \
    X(too_large)                                                                                   \
    X(no_memory)                                                                                   \
    X(shutdown)                                                                                    \
    X(still_open) /* without a response when the shutdown's time was over */

struct export_losses {
#define X(name) uint64_t name;
    EXPORT_LOSSES(X)
#undef X
};

/**
 * Start the threads: the sender's, and one for each request that may be under way at once.
 * @param parts  each signal once; the queues are joined
 * @param log_host, log_self  for spoe_logf(); may be NULL in tests: then nothing is logged
 * @return 0 and *ret; -1: could not start, logged
 */
int exporter_start(const struct exporter_part *parts, size_t n, const struct spoe_host *log_host,
                   struct spoe_instance *log_self, struct exporter **ret);

/** Tell the host of exports that have failed for long. @param facet  NULL: it cannot be told */
void exporter_show_health(struct exporter *exporter, const struct spoe_health *facet,
                          struct spoe_instance *self);

/**
 * Flush: from now on batches leave at once and waits for retries are short, but for those that the
 * collector asked for. Returns when nothing waits, is parked or in flight, or at the deadline.
 * Threads: [main]
 */
void exporter_flush(struct exporter *exporter, int64_t deadline_mono_ns);
/** The same without waiting, for an owner that has more spans to push meanwhile. */
void exporter_begin_flush(struct exporter *exporter, int64_t deadline_mono_ns);
/** Whether no more spans can leave before that deadline, since the collector asked for a pause. */
bool exporter_is_vain(struct exporter *exporter);

/**
 * Stop and join the threads; what is left by the deadline is counted as `shutdown`. Takes NULL.
 * @return 0; -1: threads do not end, which is logged: they go on using the exporter, which is not
 *         freed, and the queue, which must not be
 * Threads: [main]
 */
int exporter_stop(struct exporter *exporter, int64_t deadline_mono_ns,
                  struct exporter_stats ret_stats[N_SIGNALS]);

/** Where a signal goes, for people. @return [pin until exporter_stop()] "" if it does not */
const char *exporter_target(struct exporter *exporter, enum otlp_signal signal);

/** All zero for a signal that is not exported. Threads: [any] */
void exporter_get_stats(struct exporter *exporter, enum otlp_signal signal,
                        struct exporter_stats *ret);
/** What was lost of it so far, by reason. Threads: [any] */
void exporter_get_losses(struct exporter *exporter, enum otlp_signal signal,
                         struct export_losses *ret);

/**
 * Send one request and wait for its answer, without an exporter: for whoever wants to see whether
 * the collector takes it.
 * @param bytes       [borrow] an ExportTraceServiceRequest
 * @param ret_target  where it was sent to, for people
 * @param ret_result  set if 0 is returned
 * @return 0: it was tried; -1: it could not be, which is logged
 */
int exporter_send_one(const struct exporter_conf *conf, const uint8_t *bytes, size_t size,
                      int64_t deadline_mono_ns, const struct spoe_host *log_host,
                      struct spoe_instance *log_self, char ret_target[EXPORTER_TARGET_MAX],
                      struct transport_result *ret_result);

/**
 * Read the PEM files and match certificate and key (OpenSSL), so that a bad one is named when the
 * configuration is checked. No gRPC is touched.
 * @param ret_error  on failure: what and which file; size bytes, NUL-terminated
 * @return 0; -1
 */
int exporter_check_tls(const struct exporter_conf *conf, char *ret_error, size_t size,
                       const char **ret_option);

#endif
