/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/transport.h - how the bytes of one request reach a collector.
 *
 * A transport is made by its own function (otlp_grpc_start(), otlp_http_start(), console_start()),
 * used by the exporter's lanes, and freed by stop(). It logs nothing about a request: the exporter
 * does, with what the result says. How many requests may be under way at once is said at its start
 * (exporter_conf.concurrency); each has its own slot.
 */
#ifndef OTEL_SEND_TRANSPORT_H
#define OTEL_SEND_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OTLP's specification, "User Agent", with our own name before it; twice the plugin's version. */
#define OTLP_USER_AGENT_FORMAT "spoe-host-otel/%s OTel-OTLP-Exporter-C/%s"

enum transport_outcome {
    TRANSPORT_OK = 0,        /* the collector has it, but for what is `rejected` */
    TRANSPORT_RETRYABLE = 1, /* send the same again, not before min_wait_ns */
    TRANSPORT_NOT_RETRYABLE = 2
};

struct transport_result {
    enum transport_outcome outcome;
    int64_t min_wait_ns; /* RETRYABLE: what the collector asked for, 0 if it did not */
    bool unsupported;    /* NOT_RETRYABLE: it takes nothing of this signal */
    uint64_t rejected;   /* OK: items that the collector did not take */
    char text[384];      /* status and details, or the collector's warning; may be empty */
};

struct transport {
    /**
     * Send one encoded request and wait for its answer. Returns soon after the deadline at the
     * latest.
     * @param slot   below exporter_conf.concurrency
     * @param bytes  [borrow] an ExportTraceServiceRequest, or that of another signal
     * Threads: several at once, each with a slot of its own
     */
    void (*send)(struct transport *transport, unsigned slot, const uint8_t *bytes, size_t size,
                 int64_t deadline_mono_ns, struct transport_result *ret);

    /** Make every send() that is under way, and every later one, return at once. Threads: [any] */
    void (*cancel)(struct transport *transport);

    /** Close and free. No send() is under way. Threads: [main] */
    void (*stop)(struct transport *transport, int64_t deadline_mono_ns);
};

#endif
