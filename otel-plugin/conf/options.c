/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/conf/options.c - see options.h. */
#include "conf/options.h"

#include <spoe/ext/metrics.h>

#include "base/conf_types.h"
#include "meter/meter.h"
#include "record/http_parts.h"
#include "signal/span.h"

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)
#define HOURS (3600 * SECONDS)

#define ENV(...)                                                                                   \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
/* A variable for a signal only comes before the one for all of them. */
#define ENV_OTLP_OF(signal, name)                                                                  \
    ENV("OTEL_EXPORTER_OTLP_" signal "_" name, "OTEL_EXPORTER_OTLP_" name)
#define ENV_OTLP(name) ENV_OTLP_OF("TRACES", name)

#define OPTION(...)                                                                                \
    &(const struct spoe_option)                                                                    \
    {                                                                                              \
        .size = sizeof(struct spoe_option), __VA_ARGS__                                            \
    }

/* In the order of the enums that they become. */
static const char *const tls_choices[] = {"disabled", "enabled", "skip-verify", NULL};
static const char *const exporter_choices[] = {
    [EXPORTER_OTLP] = "otlp", [EXPORTER_CONSOLE] = "console", [EXPORTER_NONE] = "none", NULL};
static const char *const protocol_choices[] = {
    [OTLP_GRPC] = "grpc", [OTLP_HTTP] = "http/protobuf", NULL};
static const char *const logs_choices[] = {[LOGS_OTLP] = "otlp", [LOGS_NONE] = "none", NULL};
static const char *const temporality_choices[] = {[TEMPORALITY_CUMULATIVE] = "cumulative",
                                                  [TEMPORALITY_DELTA] = "delta",
                                                  [TEMPORALITY_LOWMEMORY] = "lowmemory",
                                                  NULL};
static const char *const compression_choices[] = {"none", "gzip", NULL};
static const char *const client_address_choices[] = {
    [CLIENT_ADDRESS_AUTHORITY] = "authority", [CLIENT_ADDRESS_PEER] = "peer", NULL};
static const char *const trust_choices[] = {
    [TRUST_INBOUND_ACCEPT] = "accept", [TRUST_INBOUND_IGNORE] = "ignore", NULL};
static const char *const sampler_choices[] = {
    [SAMPLER_ALWAYS_ON] = "always_on",
    [SAMPLER_ALWAYS_OFF] = "always_off",
    [SAMPLER_TRACEIDRATIO] = "traceidratio",
    [SAMPLER_PARENTBASED_ALWAYS_ON] = "parentbased_always_on",
    [SAMPLER_PARENTBASED_ALWAYS_OFF] = "parentbased_always_off",
    [SAMPLER_PARENTBASED_TRACEIDRATIO] = "parentbased_traceidratio",
    NULL,
};

/*
 * What a signal has of its own where it does not go where traces go. All are texts to the host, so
 * that a variable for all signals with a bad value is told of for those alone that are exported.
 */
#define OWN_OPTIONS(SIGNAL, signal)                                                                \
    [OPT_##SIGNAL##_ENDPOINT] =                                                                    \
        OPTION(.type = SPOE_OPT_STRING, .key = signal "-endpoint",                                 \
               .env = ENV("OTLP_" #SIGNAL "_ENDPOINT"),                                            \
               .env_lenient = ENV_OTLP_OF(#SIGNAL, "ENDPOINT"), .help = "`endpoint` for " signal), \
    [OPT_##SIGNAL##_TLS_CA] = OPTION(.type = SPOE_OPT_STRING, .key = signal "-tls-ca",             \
                                     .env = ENV("OTLP_" #SIGNAL "_TLS_CA"),                        \
                                     .env_lenient = ENV_OTLP_OF(#SIGNAL, "CERTIFICATE"),           \
                                     .help = "`tls-ca` for " signal),                              \
    [OPT_##SIGNAL##_TLS_CERT] = OPTION(.type = SPOE_OPT_STRING, .key = signal "-tls-cert",         \
                                       .env = ENV("OTLP_" #SIGNAL "_TLS_CERT"),                    \
                                       .env_lenient = ENV_OTLP_OF(#SIGNAL, "CLIENT_CERTIFICATE"),  \
                                       .help = "`tls-cert` for " signal),                          \
    [OPT_##SIGNAL##_TLS_KEY] =                                                                     \
        OPTION(.type = SPOE_OPT_STRING, .key = signal "-tls-key",                                  \
               .flags = SPOE_OPTION_SECRET_FILE, .env = ENV("OTLP_" #SIGNAL "_TLS_KEY"),           \
               .env_lenient = ENV_OTLP_OF(#SIGNAL, "CLIENT_KEY"),                                  \
               .help = "`tls-key` for " signal),                                                   \
    [OPT_##SIGNAL##_PROTOCOL] =                                                                    \
        OPTION(.type = SPOE_OPT_STRING, .key = signal "-protocol",                                 \
               .env = ENV("OTLP_" #SIGNAL "_PROTOCOL"),                                            \
               .env_lenient = ENV_OTLP_OF(#SIGNAL, "PROTOCOL"), .help = "`protocol` for " signal), \
    [OPT_##SIGNAL##_INSECURE] =                                                                    \
        OPTION(.type = SPOE_OPT_STRING, .key = signal "-insecure",                                 \
               .env = ENV("OTLP_" #SIGNAL "_INSECURE"),                                            \
               .env_lenient = ENV_OTLP_OF(#SIGNAL, "INSECURE"), .help = "`insecure` for " signal), \
    [OPT_##SIGNAL##_HEADERS] =                                                                     \
        OPTION(.type = SPOE_OPT_STRING, .key = signal "-headers", .flags = SPOE_OPTION_SECRET,     \
               .env = ENV("OTLP_" #SIGNAL "_HEADERS"),                                             \
               .env_lenient = ENV_OTLP_OF(#SIGNAL, "HEADERS"), .help = "`headers` for " signal),   \
    [OPT_##SIGNAL##_COMPRESSION] = OPTION(.type = SPOE_OPT_STRING, .key = signal "-compression",   \
                                          .env = ENV("OTLP_" #SIGNAL "_COMPRESSION"),              \
                                          .env_lenient = ENV_OTLP_OF(#SIGNAL, "COMPRESSION"),      \
                                          .help = "`compression` for " signal),                    \
    [OPT_##SIGNAL##_TIMEOUT] =                                                                     \
        OPTION(.type = SPOE_OPT_STRING, .key = signal "-timeout",                                  \
               .env = ENV("OTLP_" #SIGNAL "_TIMEOUT"),                                             \
               .env_lenient = ENV_OTLP_OF(#SIGNAL, "TIMEOUT"), .help = "`timeout` for " signal)

const struct spoe_option *const otel_options[] = {
    /* -- where the spans go ----------------------------------------------------------------- */
    [OPT_ENDPOINT] =
        OPTION(.type = SPOE_OPT_STRING, .key = "endpoint", .default_text = "localhost:4317",
               .env = ENV("OTLP_ENDPOINT"), .env_lenient = ENV_OTLP("ENDPOINT"),
               .help = "the collector's address: `host:port`, or a URL with http or https. "
                       "`host:port` is plaintext unless `tls` or `insecure` says otherwise. Logs "
                       "and metrics go there, too, unless they have endpoints of their own"),
    [OPT_SERVICE_NAME] =
        OPTION(.type = SPOE_OPT_STRING, .key = "service-name", .default_text = "haproxy",
               .env = ENV("SERVICE_NAME"), .env_lenient = ENV("OTEL_SERVICE_NAME"),
               .help = "`service.name` of the resource. `service.name` of the resource attributes "
                       "comes between OpenTelemetry's variable and the default"),
    [OPT_TLS] = OPTION(.type = SPOE_OPT_ENUM, .key = "tls", .default_text = "disabled",
                       .env = ENV("OTLP_TLS"), .choices = tls_choices,
                       .help = "TLS to the collector; `skip-verify` takes any certificate. If it "
                               "is set, the URL's scheme does not count"),
    [OPT_TLS_CA] = OPTION(.type = SPOE_OPT_STRING, .key = "tls-ca", .env = ENV("OTLP_TLS_CA"),
                          .env_lenient = ENV_OTLP("CERTIFICATE"),
                          .help = "PEM file of authorities; without it the system's"),
    [OPT_TLS_CERT] = OPTION(.type = SPOE_OPT_STRING, .key = "tls-cert", .env = ENV("OTLP_TLS_CERT"),
                            .env_lenient = ENV_OTLP("CLIENT_CERTIFICATE"),
                            .help = "PEM file of the client's certificate; needs `tls-key`. All "
                                    "three files are ignored without TLS"),
    [OPT_TLS_KEY] =
        OPTION(.type = SPOE_OPT_STRING, .key = "tls-key", .env = ENV("OTLP_TLS_KEY"),
               .flags = SPOE_OPTION_SECRET_FILE, .env_lenient = ENV_OTLP("CLIENT_KEY"),
               .help = "PEM file of the client's key; needs `tls-cert`. One that every user may "
                       "read is a warning"),

    /* -- how much is kept ------------------------------------------------------------------- */
    [OPT_SPAN_TTL] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "span-ttl", .default_text = "30s",
               .env = ENV("SPAN_TTL"), .min = MS, .max = 24 * HOURS,
               .help = "how long a request waits for its response. Then it ends as incomplete"),
    [OPT_SPAN_STORE_MAX] =
        OPTION(.type = SPOE_OPT_INT, .flags = SPOE_OPTION_RELOADABLE, .key = "span-store-max",
               .default_text = "200000", .env = ENV("SPAN_STORE_MAX"), .min = 1, .max = 100000000,
               .help = "open requests at most. Further ones are refused and counted"),
    [OPT_SPAN_STORE_BYTES] =
        OPTION(.type = SPOE_OPT_SIZE, .flags = SPOE_OPTION_RELOADABLE, .key = "span-store-bytes",
               .default_text = "256m", .env = ENV("SPAN_STORE_BYTES"), .min = 65536,
               .max = INT64_C(1) << 40,
               .help = "memory of open requests and their spans at most. Further ones are refused "
                       "and counted"),
    [OPT_METRIC_SERIES_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "metric-series-max", .default_text = "2000",
               .env = ENV("METRIC_SERIES_MAX"), .min = METER_SERIES_MIN,
               .max = SPOE_METRIC_PUT_SERIES_MAX,
               .help = "series of the metrics of requests at most. What comes beyond them is "
                       "counted in one series of its metric, `otel_metric_overflow=\"true\"`"),
    [OPT_SPAN_HOLD] =
        OPTION(.type = SPOE_OPT_DURATION, .flags = SPOE_OPTION_RELOADABLE, .key = "span-hold",
               .default_text = "0", .env = ENV("SPAN_HOLD"), .max = 24 * HOURS,
               .help = "how long a request that has a backend message stays open at least; 0: "
                       "`span-ttl` counts"),
    [OPT_SPAN_REORDER] = OPTION(
            .type = SPOE_OPT_DURATION, .key = "span-reorder",
            .default_text = "1s", .env = ENV("SPAN_REORDER"), .max = 60 * SECONDS,
            .help =
                "how long a message is kept that came before its request's message; 0: not at all"),
    /* 2: a request's two spans leave the store together */
    [OPT_SPAN_QUEUE_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "span-queue-max", .default_text = "10000",
               .env = ENV("SPAN_QUEUE_MAX"), .env_lenient = ENV("OTEL_BSP_MAX_QUEUE_SIZE"),
               .min = 2, .max = 100000000,
               .help = "ended spans that wait for the collector at most. Batches in flight and "
                       "those that wait for their retry are included. Further spans are dropped "
                       "and counted. The specification's default is 2048"),
    /* The least: a span of about 600 kB, the largest that there is, has room. */
    [OPT_SPAN_QUEUE_BYTES] =
        OPTION(.type = SPOE_OPT_SIZE, .key = "span-queue-bytes", .default_text = "64m",
               .env = ENV("SPAN_QUEUE_BYTES"), .min = 1048576, .max = INT64_C(68719476736),
               .help = "bytes of ended spans that wait for the collector at most. The limit that "
                       "is reached first counts"),

    /* -- how they go there ------------------------------------------------------------------ */
    [OPT_DISABLED] =
        OPTION(.type = SPOE_OPT_BOOL, .key = "tracing-disabled", .default_text = "off",
               .env = ENV("TRACING_DISABLED"), .env_lenient = ENV("OTEL_SDK_DISABLED"),
               .help = "make no spans and answer nothing: `traceparent` passes as it came"),
    [OPT_EXPORTER] = OPTION(
            .type = SPOE_OPT_ENUM, .key = "traces-exporter",
            .default_text = "otlp", .env = ENV("TRACES_EXPORTER"),
            .env_lenient = ENV("OTEL_TRACES_EXPORTER"), .choices = exporter_choices,
            .help =
                "where spans go: `otlp`, `console` (standard output) or `none`. It takes no list"),
    [OPT_PROTOCOL] = OPTION(.type = SPOE_OPT_ENUM, .key = "protocol", .default_text = "grpc",
                            .env = ENV("OTLP_PROTOCOL"), .env_lenient = ENV_OTLP("PROTOCOL"),
                            .choices = protocol_choices,
                            .help = "protocol of the exports. The default endpoint of "
                                    "`http/protobuf` is `localhost:4318`. There is no `http/json`"),
    [OPT_INSECURE] =
        OPTION(.type = SPOE_OPT_BOOL, .key = "insecure", .env = ENV("OTLP_INSECURE"),
               .env_lenient = ENV_OTLP("INSECURE"),
               .help =
                   "`off`: TLS for an endpoint that is set without a scheme, unless `tls` is set"),
    [OPT_HEADERS] =
        OPTION(.type = SPOE_OPT_STRING, .key = "headers", .flags = SPOE_OPTION_SECRET,
               .env = ENV("OTLP_HEADERS"), .env_lenient = ENV_OTLP("HEADERS"),
               .help = "headers of each export: `name=value,name=value`. `%XX` stands for a byte"),
    [OPT_HEADERS_FILE] = OPTION(
            .type = SPOE_OPT_STRING, .key = "headers-file", .env = ENV("OTLP_HEADERS_FILE"),
            .flags = SPOE_OPTION_SECRET_FILE,
            .help =
                "a file of more headers, one `name: value` a line. One that every user may read is "
                "a warning"),
    [OPT_COMPRESSION] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "compression", .default_text = "none",
               .env = ENV("OTLP_COMPRESSION"), .env_lenient = ENV_OTLP("COMPRESSION"),
               .choices = compression_choices, .help = "compression of the exports"),
    [OPT_TIMEOUT] = OPTION(.type = SPOE_OPT_DURATION, .key = "timeout", .default_text = "10s",
                           .env = ENV("OTLP_TIMEOUT"), .env_lenient = ENV_OTLP("TIMEOUT"),
                           .max = HOURS, .help = "how long one export may take; 0: no limit"),
    [OPT_RETRY_TIMEOUT] = OPTION(.type = SPOE_OPT_DURATION, .key = "retry-timeout",
                                 .default_text = "5m", .env = ENV("RETRY_TIMEOUT"),
                                 .env_lenient = ENV("OTEL_BSP_EXPORT_TIMEOUT"), .max = 24 * HOURS,
                                 .help = "how long a batch is sent again after its first failure; "
                                         "0: no limit. The specification's default is 30 s"),
    [OPT_EXPORT_CONCURRENCY] =
        OPTION(.type = SPOE_OPT_INT, .key = "export-concurrency", .default_text = "1",
               .env = ENV("EXPORT_CONCURRENCY"), .min = 1, .max = 8,
               .help = "exports under way at once, at most"),
    [OPT_BATCH_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "batch-max", .default_text = "512",
               .env = ENV("BATCH_MAX"), .env_lenient = ENV("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
               .min = 1, .max = 100000,
               .help = "spans of an export at most. When so many wait, they are sent without "
                       "delay. Not above `span-queue-max`"),
    [OPT_BATCH_DELAY] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "batch-delay", .default_text = "5s",
               .env = ENV("BATCH_DELAY"), .env_lenient = ENV("OTEL_BSP_SCHEDULE_DELAY"),
               .max = HOURS, .help = "how long a span may wait for its batch to fill"),
    [OPT_REQUEST_BYTES_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "request-bytes-max", .default_text = "4000000",
               .env = ENV("OTLP_REQUEST_BYTES_MAX"), .min = 65536, .max = INT64_C(67108864),
               .help =
                   "bytes of an export at most, before compression. Collectors take 4 MiB unless "
                   "told otherwise. The resource, which is in each export, may take half of it"),
    [OPT_USE_PROXY] =
        OPTION(.type = SPOE_OPT_BOOL, .key = "use-proxy", .default_text = "off",
               .env = ENV("OTLP_USE_PROXY"),
               .help =
                   "follow `http_proxy`, `https_proxy`, `no_proxy` and, with gRPC, `grpc_proxy`"),
    [OPT_KEEPALIVE] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "keepalive", .default_text = "0",
               .env = ENV("OTLP_KEEPALIVE"), .max = 24 * HOURS,
               .help = "interval of pings on an idle connection to the collector, 10s at least; 0: "
                       "no pings. gRPC servers hang up on clients that ping more often than every "
                       "5 minutes, unless told otherwise"),

    /* -- which requests, and whose traces ---------------------------------------------------- */
    [OPT_SAMPLER] = OPTION(.type = SPOE_OPT_ENUM, .flags = SPOE_OPTION_RELOADABLE, .key = "sampler",
                           .default_text = "always_on", .env = ENV("SAMPLER"),
                           .env_lenient = ENV("OTEL_TRACES_SAMPLER"), .choices = sampler_choices,
                           .help = "which requests are traced. The specification's default is "
                                   "`parentbased_always_on`"),
    [OPT_SAMPLER_ARG] = OPTION(.type = SPOE_OPT_STRING, .flags = SPOE_OPTION_RELOADABLE,
                               .key = "sampler-arg", .default_text = "1", .env = ENV("SAMPLER_ARG"),
                               .env_lenient = ENV("OTEL_TRACES_SAMPLER_ARG"),
                               .help = "share of the traces that the ratio samplers take: 0 to 1"),
    [OPT_SAMPLE_MAX_PER_SECOND] = OPTION(.type = SPOE_OPT_INT, .flags = SPOE_OPTION_RELOADABLE,
                                         .key = "sample-max-per-second", .default_text = "0",
                                         .env = ENV("SAMPLE_MAX_PER_SECOND"), .max = 10000000,
                                         .help = "requests sampled in a second at most; 0: no cap"),
    [OPT_KEEP_ERRORS] =
        OPTION(.type = SPOE_OPT_BOOL, .flags = SPOE_OPTION_RELOADABLE, .key = "keep-errors",
               .default_text = "off", .env = ENV("KEEP_ERRORS"),
               .help = "also export requests that the sampler passed over if they end in 5xx. "
                       "Their spans are marked"),
    [OPT_TRACE_BAD_REQUESTS] =
        OPTION(.type = SPOE_OPT_BOOL, .flags = SPOE_OPTION_RELOADABLE, .key = "trace-bad-requests",
               .default_text = "off", .env = ENV("TRACE_BAD_REQUESTS"),
               .help =
                   "make spans of requests that were never whole (400, 408), by their log lines"),
    [OPT_KEEP_SLOWER] =
        OPTION(.type = SPOE_OPT_DURATION, .flags = SPOE_OPTION_RELOADABLE, .key = "keep-slower",
               .default_text = "0", .env = ENV("KEEP_SLOWER_THAN"), .max = 24 * HOURS,
               .help = "also export requests that the sampler passed over if they take longer; 0: "
                       "off. Their spans are marked"),
    [OPT_TRUST_INBOUND] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "trust-inbound", .default_text = "accept",
               .env = ENV("TRUST_INBOUND"), .choices = trust_choices,
               .help = "whether a caller's trace context is continued"),
    [OPT_PROPAGATORS] =
        OPTION(.type = SPOE_OPT_STRING, .key = "propagators",
               .default_text = "tracecontext,baggage", .env = ENV("PROPAGATORS"),
               .env_lenient = ENV("OTEL_PROPAGATORS"),
               .help = "formats of trace contexts, in order: `tracecontext`, `baggage`, `b3`, "
                       "`b3multi`, or `none`. `baggage` passes through HAProxy untouched. In "
                       "OpenTelemetry's variable other formats are ignored with a warning"),

    [OPT_VARIABLES] =
        OPTION(.type = SPOE_OPT_STRING, .key = "variables",
               .default_text = "traceparent,trace_id,span_id,sampled,b3,tracestate",
               .env = ENV("VARIABLES"),
               .help = "variables that HAProxy gets in the answers, as far as they apply"),

    /* -- what is said ----------------------------------------------------------------------- */
    [OPT_RESOURCE_ATTRIBUTES] =
        OPTION(.type = SPOE_OPT_STRING, .key = "resource-attributes",
               .env = ENV("RESOURCE_ATTRIBUTES"), .env_lenient = ENV("OTEL_RESOURCE_ATTRIBUTES"),
               .help =
                   "attributes of the resource: `key=value,key=value`. `%XX` stands for a byte"),
    [OPT_SERVICE_VERSION] =
        OPTION(.type = SPOE_OPT_STRING, .key = "service-version", .env = ENV("SERVICE_VERSION"),
               .help = "`service.version` of the resource"),
    [OPT_SERVICE_NAMESPACE] =
        OPTION(.type = SPOE_OPT_STRING, .key = "service-namespace", .env = ENV("SERVICE_NAMESPACE"),
               .help = "`service.namespace` of the resource"),
    [OPT_SERVICE_INSTANCE_ID] =
        OPTION(.type = SPOE_OPT_STRING, .key = "service-instance-id",
               .env = ENV("SERVICE_INSTANCE_ID"),
               .help = "`service.instance.id` of the resource; by default a random UUID"),
    [OPT_EXCLUDE_PATHS] =
        OPTION(.type = SPOE_OPT_STRING, .flags = SPOE_OPTION_RELOADABLE, .key = "exclude-paths",
               .env = ENV("EXCLUDE_PATHS"),
               .help = "paths that are not traced: `/healthz,/internal/*`. Each is a whole path, "
                       "or the beginning of paths with a `*` behind it"),
    [OPT_TRACE_ONCE] = OPTION(.type = SPOE_OPT_STRING, .flags = SPOE_OPTION_RELOADABLE,
                              .key = "trace-once", .env = ENV("TRACE_ONCE"),
                              .help = "id of a trace that is sampled once, whatever the sampler "
                                      "says, within 10 minutes. `spoe-host ctl trace` sets it"),
    [OPT_REDACT_QUERY] =
        OPTION(.type = SPOE_OPT_STRING, .flags = SPOE_OPTION_RELOADABLE, .key = "redact-query",
               .default_text = "*", .env = ENV("REDACT_QUERY"),
               .help = "parameters of queries whose values are replaced by `REDACTED`, "
                       "comma-separated; `*`: all, `none`: none"),
    [OPT_KNOWN_METHODS] = OPTION(
            .type = SPOE_OPT_STRING, .key = "known-methods",
            .default_text = HTTP_KNOWN_METHODS, .env = ENV("KNOWN_METHODS"),
            .env_lenient = ENV("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"),
            .help =
                "request methods that are not shown as `_OTHER`. A value replaces the whole list"),
    [OPT_SEMCONV] =
        OPTION(.type = SPOE_OPT_STRING, .key = "semconv", .default_text = "http",
               .env = ENV("SEMCONV"), .env_lenient = ENV("OTEL_SEMCONV_STABILITY_OPT_IN"),
               .help = "names of attributes: `http`: stable, `http/old`: old, `http/dup`: both. In "
                       "OpenTelemetry's variable entries of other areas are ignored"),
    [OPT_CLIENT_SERVER_ADDRESS] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "client-server-address", .default_text = "authority",
               .env = ENV("CLIENT_SERVER_ADDRESS"), .choices = client_address_choices,
               .help = "what `server.address` and `server.port` of CLIENT are. `authority`: the "
                       "request's Host, where it is known. `peer`: whom HAProxy connected to"),
    [OPT_VALUE_LENGTH_LIMIT] =
        OPTION(.type = SPOE_OPT_INT, .key = "value-length-limit", .env = ENV("VALUE_LENGTH_LIMIT"),
               .env_lenient = ENV("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                                  "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
               .max = INT32_MAX,
               .help =
                   "characters of an attribute's text at most. No text has more than 4096 bytes"),
    [OPT_ATTRIBUTE_COUNT_LIMIT] =
        OPTION(.type = SPOE_OPT_INT, .key = "attribute-count-limit", .default_text = "128",
               .env = ENV("ATTRIBUTE_COUNT_LIMIT"),
               .env_lenient = ENV("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
               .max = SPAN_ATTRIBUTES_MAX, .help = "attributes of a span at most"),
    [OPT_EVENT_COUNT_LIMIT] =
        OPTION(.type = SPOE_OPT_INT, .key = "event-count-limit", .default_text = "128",
               .env = ENV("EVENT_COUNT_LIMIT"), .env_lenient = ENV("OTEL_SPAN_EVENT_COUNT_LIMIT"),
               .max = INT32_MAX, .help = "events of a span at most. No span has more than 4"),
    [OPT_LINK_COUNT_LIMIT] =
        OPTION(.type = SPOE_OPT_INT, .key = "link-count-limit", .default_text = "128",
               .env = ENV("LINK_COUNT_LIMIT"), .env_lenient = ENV("OTEL_SPAN_LINK_COUNT_LIMIT"),
               .max = INT32_MAX,
               .help = "accepted, but without effect: spans of this plugin have no links"),

    /* -- the other signals -------------------------------------------------------------------- */
    [OPT_LOGS_EXPORTER] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "logs-exporter", .default_text = "none",
               .env = ENV("LOGS_EXPORTER"), .env_lenient = ENV("OTEL_LOGS_EXPORTER"),
               .choices = logs_choices,
               .help =
                   "`otlp`: a log record for each request. The specification's default is `otlp`"),
    OWN_OPTIONS(LOGS, "logs"),
    [OPT_LOGS_RETRY_TIMEOUT] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "logs-retry-timeout", .default_text = "5m",
               .env = ENV("LOGS_RETRY_TIMEOUT"), .env_lenient = ENV("OTEL_BLRP_EXPORT_TIMEOUT"),
               .max = 24 * HOURS,
               .help = "`retry-timeout` for logs. The specification's default is 30 s"),
    [OPT_LOGS_QUEUE_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "logs-queue-max", .default_text = "10000",
               .env = ENV("LOGS_QUEUE_MAX"), .env_lenient = ENV("OTEL_BLRP_MAX_QUEUE_SIZE"),
               .min = 1, .max = 100000000,
               .help = "log records that wait for the collector at most; as `span-queue-max`. The "
                       "specification's default is 2048"),
    [OPT_LOGS_QUEUE_BYTES] =
        OPTION(.type = SPOE_OPT_SIZE, .key = "logs-queue-bytes", .default_text = "64m",
               .env = ENV("LOGS_QUEUE_BYTES"), .min = 1048576, .max = INT64_C(68719476736),
               .help = "bytes of log records that wait for the collector at most"),
    [OPT_LOGS_BATCH_MAX] =
        OPTION(.type = SPOE_OPT_INT, .key = "logs-batch-max", .default_text = "512",
               .env = ENV("LOGS_BATCH_MAX"), .env_lenient = ENV("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"),
               .min = 1, .max = 100000,
               .help = "log records of an export at most. Not above `logs-queue-max`"),
    [OPT_LOGS_BATCH_DELAY] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "logs-batch-delay", .default_text = "1s",
               .env = ENV("LOGS_BATCH_DELAY"), .env_lenient = ENV("OTEL_BLRP_SCHEDULE_DELAY"),
               .max = HOURS, .help = "how long a log record may wait for its batch to fill"),
    [OPT_METRICS_EXPORTER] =
        OPTION(.type = SPOE_OPT_STRING, .key = "metrics-exporter", .default_text = "prometheus",
               .env = ENV("METRICS_EXPORTER"), .env_lenient = ENV("OTEL_METRICS_EXPORTER"),
               .help = "where the metrics of requests go: `prometheus`: the host's page, `otlp`: "
                       "the collector, `otlp,prometheus`: both, `none`. The specification's "
                       "default is `otlp`"),
    OWN_OPTIONS(METRICS, "metrics"),
    [OPT_METRICS_RETRY_TIMEOUT] = OPTION(.type = SPOE_OPT_DURATION, .key = "metrics-retry-timeout",
                                         .default_text = "30s", .env = ENV("METRICS_RETRY_TIMEOUT"),
                                         .env_lenient = ENV("OTEL_METRIC_EXPORT_TIMEOUT"),
                                         .max = 24 * HOURS, .help = "`retry-timeout` for metrics"),
    [OPT_METRIC_EXPORT_INTERVAL] =
        OPTION(.type = SPOE_OPT_DURATION, .key = "metric-export-interval", .default_text = "60s",
               .env = ENV("METRIC_EXPORT_INTERVAL"),
               .env_lenient = ENV("OTEL_METRIC_EXPORT_INTERVAL"), .min = 100 * MS,
               .max = 24 * HOURS, .help = "how often metrics are exported over OTLP"),
    [OPT_METRICS_TEMPORALITY] =
        OPTION(.type = SPOE_OPT_ENUM, .key = "metrics-temporality", .default_text = "cumulative",
               .env = ENV("METRICS_TEMPORALITY"),
               .env_lenient = ENV("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"),
               .choices = temporality_choices,
               .help = "`cumulative`: since the start, `delta`: since the last export. `lowmemory` "
                       "is the same as `delta` here, since there are only counters and histograms"),
    [N_OPTIONS] = NULL,
};
