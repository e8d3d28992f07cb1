/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/conf_types.h - the words of the plugin's configuration as numbers. A leaf: any
 * layer may include it, so that conf.c hands each layer what it read without either knowing the
 * other.
 */
#ifndef OTEL_BASE_CONF_TYPES_H
#define OTEL_BASE_CONF_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which new requests are sampled: OTEL_TRACES_SAMPLER, in the order of the option's choices. */
enum sampler_kind {
    SAMPLER_ALWAYS_ON = 0,
    SAMPLER_ALWAYS_OFF,
    SAMPLER_TRACEIDRATIO,
    SAMPLER_PARENTBASED_ALWAYS_ON,
    SAMPLER_PARENTBASED_ALWAYS_OFF,
    SAMPLER_PARENTBASED_TRACEIDRATIO
};

struct sampler_conf {
    enum sampler_kind kind;
    double ratio;            /* 0 to 1; 1 unless set */
    uint32_t max_per_second; /* 0: no cap */
    bool keep_errors;        /* a request that was passed over is exported if it ends in 5xx */
    int64_t keep_slower_ns;  /* and if it takes longer; 0: off */
    bool bad_requests;       /* so is what never became a request, a log line without a context */
};

enum trust_inbound { TRUST_INBOUND_ACCEPT = 0, TRUST_INBOUND_IGNORE = 1 };

/* OTEL_PROPAGATORS, as bits. */
enum propagator {
    PROPAGATOR_TRACECONTEXT = 1,
    PROPAGATOR_BAGGAGE = 2, /* passes through HAProxy untouched; nothing is done for it */
    PROPAGATOR_B3 = 4,
    PROPAGATOR_B3MULTI = 8
};
#define PROPAGATORS_MAX 4u

struct propagator_conf {
    unsigned set;                          /* of enum propagator */
    enum propagator list[PROPAGATORS_MAX]; /* the same in the order given, each once */
    size_t n;
};

/* Which names of HTTP attributes are written: OTEL_SEMCONV_STABILITY_OPT_IN. */
enum semconv_mode { SEMCONV_STABLE = 0, SEMCONV_DUP = 1, SEMCONV_OLD = 2 };

/* Whose name CLIENT's server.address is: the request's Host, where known, or who was connected to.
 */
enum client_address { CLIENT_ADDRESS_AUTHORITY = 0, CLIENT_ADDRESS_PEER = 1 };

/* OTEL_TRACES_EXPORTER */
/* What is exported, each for itself. */
enum otlp_signal { SIGNAL_TRACES = 0, SIGNAL_LOGS = 1, SIGNAL_METRICS = 2, N_SIGNALS };

enum exporter_kind { EXPORTER_OTLP = 0, EXPORTER_CONSOLE = 1, EXPORTER_NONE = 2 };

/* OTEL_LOGS_EXPORTER */
enum logs_exporter { LOGS_OTLP = 0, LOGS_NONE = 1 };

/* OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE; what is counted here is counters and
 * histograms, for which the last two are the same. */
enum metrics_temporality { TEMPORALITY_CUMULATIVE, TEMPORALITY_DELTA, TEMPORALITY_LOWMEMORY };

/* OTEL_EXPORTER_OTLP_PROTOCOL: grpc, http/protobuf */
enum otlp_protocol { OTLP_GRPC = 0, OTLP_HTTP = 1 };

/* An attribute of the resource: a text, or where str is NULL a number. */
struct resource_attribute {
    const char *key;
    const char *str; /* UTF-8 */
    int64_t i;
};

#endif
