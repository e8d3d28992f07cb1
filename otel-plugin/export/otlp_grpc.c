/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/otlp_grpc.c - unary calls of TraceService/Export, one at a time.
 *
 * The export thread makes a call and waits on the transport's own completion queue for its one
 * event; the call's deadline bounds that wait. WAIT_FOR_READY is off: where the collector cannot be
 * reached a call fails at once with UNAVAILABLE, and the exporter's retry decides what to do.
 */
#include "export/otlp_grpc.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include <spoe/util.h>

#include "export/otlp_creds.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#define EXPORT_METHOD "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define NS_PER_S INT64_C(1000000000)
#define RECEIVE_MAX (4 * 1024 * 1024)
/* gRPC's own defaults are 20 s for one attempt to connect and up to 120 s between two. */
#define CONNECT_TIMEOUT_MS 5000
#define RECONNECT_FIRST_MS 1000
#define RECONNECT_MAX_MS 5000
/* A delay that the collector asks for and that is longer is not believed. */
#define RETRY_DELAY_MAX_NS (INT64_C(3600) * NS_PER_S)
/* After grpc_shutdown() its threads run on for about a second (measured with 1.51.1). */
#define GRPC_GONE_MAX_NS (2 * NS_PER_S)
#define GRPC_GONE_POLL_NS 10000000L
#define GRPC_LOG_EVERY_NS (10 * NS_PER_S)

struct otlp_grpc {
    struct transport transport; /* first: the two are cast into each other */
    char *target, *user_agent;
    grpc_channel_credentials *creds;
    grpc_channel *channel;
    grpc_completion_queue *cq;
    bool stale; /* connect anew for the next call */
    pthread_mutex_t lock;
    grpc_call *call; /* under lock: the one that is under way */
    bool cancelled;  /* under lock */
};

static int64_t mono_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* ---- gRPC's own log ----------------------------------------------------------------------- */

/* gRPC's log function has no argument of its own, so this is one per process. */
static struct {
    pthread_mutex_t lock;
    const struct spoe_host *host;
    struct spoe_instance *self;
    int64_t next_ns;
    unsigned held;
} grpc_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Threads: gRPC's, and any that calls it. */
static void log_from_grpc(gpr_log_func_args *args)
{
    const int64_t at = mono_now();

    if (args->severity != GPR_LOG_SEVERITY_ERROR)
        return;
    (void)pthread_mutex_lock(&grpc_log.lock);
    if (grpc_log.host != NULL) {
        if (at >= grpc_log.next_ns) {
            if (grpc_log.held > 0)
                spoe_logf(grpc_log.host, grpc_log.self, SPOE_LOG_WARNING,
                          "gRPC: %s (and %u lines before)", args->message, grpc_log.held);
            else
                spoe_logf(grpc_log.host, grpc_log.self, SPOE_LOG_WARNING, "gRPC: %s",
                          args->message);
            grpc_log.next_ns = at + GRPC_LOG_EVERY_NS;
            grpc_log.held = 0;
        } else {
            grpc_log.held++;
        }
    }
    (void)pthread_mutex_unlock(&grpc_log.lock);
}

static void set_grpc_log(const struct spoe_host *host, struct spoe_instance *self)
{
    (void)pthread_mutex_lock(&grpc_log.lock);
    grpc_log.host = host;
    grpc_log.self = self;
    grpc_log.next_ns = 0;
    grpc_log.held = 0;
    (void)pthread_mutex_unlock(&grpc_log.lock);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    gpr_set_log_function(host != NULL ? log_from_grpc : NULL);
}

/* ---- the answer --------------------------------------------------------------------------- */

static const char *status_name(grpc_status_code status)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    if ((int)status < 0 || (size_t)status >= sizeof names / sizeof names[0])
        return "an unknown status";
    return names[status];
}

/* OTLP specification, "Failures" of OTLP/gRPC. */
static bool is_retryable(grpc_status_code status, bool has_retry_info)
{
    switch (status) {
    case GRPC_STATUS_CANCELLED:
    case GRPC_STATUS_DEADLINE_EXCEEDED:
    case GRPC_STATUS_ABORTED:
    case GRPC_STATUS_OUT_OF_RANGE:
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_DATA_LOSS:
        return true;
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return has_retry_info;
    default:
        return false;
    }
}

/*
 * Whether the next call gets a new channel. A channel that could not connect stays in its failure
 * for up to half a minute, as name resolution and reconnecting have back-offs of their own
 * (measured: a collector that was there after 8 s was seen after 49 s); with a new one, each call
 * is one attempt to connect, at the moments that the exporter chooses. A call that timed out may
 * have gone to a peer that is gone without a trace: keepalive is off.
 */
static bool is_connection_bad(grpc_status_code status)
{
    return status == GRPC_STATUS_UNAVAILABLE || status == GRPC_STATUS_DEADLINE_EXCEEDED;
}

static int64_t clamp_delay(int64_t seconds, int32_t nanos)
{
    if (seconds < 0 || nanos < 0)
        return 0;
    if (seconds >= RETRY_DELAY_MAX_NS / NS_PER_S)
        return RETRY_DELAY_MAX_NS;
    return seconds * NS_PER_S + nanos % NS_PER_S;
}

/* Find google.rpc.RetryInfo in a google.rpc.Status. @return whether there is one */
static bool parse_retry_info(const uint8_t *bytes, size_t size, int64_t *ret_delay_ns)
{
    static const char type[] = "/google.rpc.RetryInfo";
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, size, bytes);
    bool found = false;

    for (size_t i = 0; status != NULL && i < status->n_details && !found; i++) {
        const Google__Protobuf__Any *detail = status->details[i];
        const char *name = strrchr(detail->type_url, '/');
        Google__Rpc__RetryInfo *info;

        if (name == NULL || strcmp(name, type) != 0)
            continue;
        info = google__rpc__retry_info__unpack(NULL, detail->value.len, detail->value.data);
        if (info == NULL)
            continue;
        found = true;
        *ret_delay_ns = info->retry_delay != NULL
                            ? clamp_delay(info->retry_delay->seconds, info->retry_delay->nanos)
                            : 0;
        google__rpc__retry_info__free_unpacked(info, NULL);
    }
    if (status != NULL)
        google__rpc__status__free_unpacked(status, NULL);
    return found;
}

/* The C core hands a -bin trailer over already decoded from base64. */
static bool find_retry_info(const grpc_metadata_array *trailers, int64_t *ret_delay_ns)
{
    for (size_t i = 0; i < trailers->count; i++) {
        const grpc_metadata *md = &trailers->metadata[i];

        if (grpc_slice_str_cmp(md->key, "grpc-status-details-bin") == 0)
            return parse_retry_info(GRPC_SLICE_START_PTR(md->value), GRPC_SLICE_LENGTH(md->value),
                                    ret_delay_ns);
    }
    return false;
}

/* A response: did the collector take all? */
static void read_response(grpc_byte_buffer *buffer, struct transport_result *ret)
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse *response;
    grpc_byte_buffer_reader reader;
    grpc_slice all;

    if (buffer == NULL || !grpc_byte_buffer_reader_init(&reader, buffer))
        return; /* the status says OK, and that is what counts */
    all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    response = opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(
        NULL, GRPC_SLICE_LENGTH(all), GRPC_SLICE_START_PTR(all));
    grpc_slice_unref(all);
    if (response == NULL) {
        (void)snprintf(ret->text, sizeof ret->text, "its answer cannot be read");
        return;
    }
    if (response->partial_success != NULL) {
        const int64_t rejected = response->partial_success->rejected_spans;

        ret->rejected = rejected > 0 ? (uint64_t)rejected : 0;
        (void)snprintf(ret->text, sizeof ret->text, "%s", response->partial_success->error_message);
    }
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(
        response, NULL);
}

/* ---- one call ----------------------------------------------------------------------------- */

/* What a call hands out; all of it is ours from the event on. */
struct answer {
    grpc_metadata_array initial, trailers;
    grpc_byte_buffer *message;
    grpc_status_code status;
    grpc_slice details;
};

static void answer_init(struct answer *answer)
{
    *answer = (struct answer){.status = GRPC_STATUS_UNKNOWN, .details = grpc_empty_slice()};
    grpc_metadata_array_init(&answer->initial);
    grpc_metadata_array_init(&answer->trailers);
}

static void answer_fini(struct answer *answer)
{
    grpc_metadata_array_destroy(&answer->initial);
    grpc_metadata_array_destroy(&answer->trailers);
    if (answer->message != NULL)
        grpc_byte_buffer_destroy(answer->message);
    grpc_slice_unref(answer->details);
}

static grpc_call_error start_call(grpc_call *call, grpc_byte_buffer *request, struct answer *answer)
{
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };

    ops[1].data.send_message.send_message = request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &answer->initial;
    ops[4].data.recv_message.recv_message = &answer->message;
    ops[5].data.recv_status_on_client.trailing_metadata = &answer->trailers;
    ops[5].data.recv_status_on_client.status = &answer->status;
    ops[5].data.recv_status_on_client.status_details = &answer->details;
    return grpc_call_start_batch(call, ops, sizeof ops / sizeof ops[0], call, NULL);
}

static void read_answer(const struct answer *answer, struct transport_result *ret)
{
    bool has_retry_info;

    *ret = (struct transport_result){.outcome = TRANSPORT_OK};
    if (answer->status == GRPC_STATUS_OK) {
        read_response(answer->message, ret);
        return;
    }
    has_retry_info = find_retry_info(&answer->trailers, &ret->min_wait_ns);
    ret->outcome = is_retryable(answer->status, has_retry_info) ? TRANSPORT_RETRYABLE
                                                                : TRANSPORT_NOT_RETRYABLE;
    (void)snprintf(ret->text, sizeof ret->text, "%s: %.*s", status_name(answer->status),
                   (int)GRPC_SLICE_LENGTH(answer->details),
                   (const char *)GRPC_SLICE_START_PTR(answer->details));
}

/* The C core takes a char * that it only reads. */
static grpc_arg int_arg(const char *name, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)name, .value = {.integer = value}};
}

static grpc_channel *create_channel(const struct otlp_grpc *self)
{
    grpc_arg args[] = {
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* ours is the only retry */
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_FIRST_MS),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RECEIVE_MAX),
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1), /* no TXT queries */
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        {.type = GRPC_ARG_STRING,
         .key = (char *)(uintptr_t)GRPC_ARG_PRIMARY_USER_AGENT_STRING,
         .value.string = self->user_agent},
    };
    const grpc_channel_args channel_args = {.num_args = sizeof args / sizeof args[0], .args = args};

    return grpc_channel_create(self->target, self->creds, &channel_args);
}

/* Note the call for cancel(). @return false: cancel() came first */
static bool set_call(struct otlp_grpc *self, grpc_call *call)
{
    bool go_on;

    (void)pthread_mutex_lock(&self->lock);
    go_on = !self->cancelled;
    if (go_on || call == NULL)
        self->call = call;
    (void)pthread_mutex_unlock(&self->lock);
    return go_on;
}

static gpr_timespec to_gpr_deadline(int64_t deadline_mono_ns)
{
    const int64_t left = deadline_mono_ns - mono_now();

    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos(left > 0 ? left : 0, GPR_TIMESPAN));
}

static void otlp_send(struct transport *transport, const uint8_t *bytes, size_t size,
                      int64_t deadline_mono_ns, struct transport_result *ret)
{
    struct otlp_grpc *self = (struct otlp_grpc *)transport;
    grpc_slice body = grpc_slice_from_copied_buffer((const char *)bytes, size);
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&body, 1);
    struct answer answer;
    grpc_call_error rc;
    grpc_call *call;

    grpc_slice_unref(body); /* the buffer holds it */
    if (self->stale) {
        grpc_channel_destroy(self->channel);
        self->channel = create_channel(self);
        self->stale = false;
    }
    call = grpc_channel_create_call(self->channel, NULL, GRPC_PROPAGATE_DEFAULTS, self->cq,
                                    grpc_slice_from_static_string(EXPORT_METHOD), NULL,
                                    to_gpr_deadline(deadline_mono_ns), NULL);
    answer_init(&answer);
    if (!set_call(self, call)) {
        *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE, .text = "stopping"};
        goto done;
    }
    rc = start_call(call, request, &answer);
    if (rc == GRPC_CALL_OK) {
        const grpc_event event =
            grpc_completion_queue_next(self->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

        assert(event.type == GRPC_OP_COMPLETE && event.tag == call);
        (void)event;
        read_answer(&answer, ret);
        self->stale = is_connection_bad(answer.status);
    } else { /* no event will come */
        *ret = (struct transport_result){.outcome = TRANSPORT_NOT_RETRYABLE};
        (void)snprintf(ret->text, sizeof ret->text, "gRPC: %s", grpc_call_error_to_string(rc));
    }
    (void)set_call(self, NULL);
done:
    answer_fini(&answer);
    grpc_call_unref(call);
    grpc_byte_buffer_destroy(request);
}

static void otlp_cancel(struct transport *transport)
{
    struct otlp_grpc *self = (struct otlp_grpc *)transport;

    (void)pthread_mutex_lock(&self->lock);
    self->cancelled = true;
    if (self->call != NULL)
        (void)grpc_call_cancel(self->call, NULL); /* fails only for bad arguments */
    (void)pthread_mutex_unlock(&self->lock);
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void wait_grpc_gone(int64_t deadline_mono_ns)
{
    const struct timespec pause = {.tv_nsec = GRPC_GONE_POLL_NS};
    int64_t until = mono_now() + GRPC_GONE_MAX_NS;

    if (until > deadline_mono_ns)
        until = deadline_mono_ns;
    while (grpc_is_initialized() && mono_now() < until)
        (void)nanosleep(&pause, NULL); /* may be shorter */
}

/* In the order that gRPC wants: the queue, drained, then the channel. Takes half-built ones. */
static void otlp_stop(struct transport *transport, int64_t deadline_mono_ns)
{
    struct otlp_grpc *self = (struct otlp_grpc *)transport;

    if (self->cq != NULL) {
        grpc_completion_queue_shutdown(self->cq);
        while (
            grpc_completion_queue_next(self->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
            GRPC_QUEUE_SHUTDOWN)
            continue;
        grpc_completion_queue_destroy(self->cq);
    }
    if (self->channel != NULL)
        grpc_channel_destroy(self->channel);
    if (self->creds != NULL)
        grpc_channel_credentials_release(self->creds);
    grpc_shutdown();
    wait_grpc_gone(deadline_mono_ns);
    set_grpc_log(NULL, NULL);
    (void)pthread_mutex_destroy(&self->lock);
    free(self->target);
    free(self->user_agent);
    free(self);
}

struct transport *otlp_grpc_start(const struct exporter_conf *conf,
                                  const struct spoe_host *log_host, struct spoe_instance *log_self)
{
    struct otlp_grpc *self = calloc(1, sizeof *self);
    char error[512] = "out of memory";

    if (self == NULL)
        goto failed;
    self->transport =
        (struct transport){.send = otlp_send, .cancel = otlp_cancel, .stop = otlp_stop};
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail with default attributes */
    set_grpc_log(log_host, log_self);
    grpc_init();
    self->target = strdup(conf->endpoint);
    if (asprintf(&self->user_agent, "spoe-host-otel/%s OTel-OTLP-Exporter-C/%s",
                 conf->service_version, conf->service_version) < 0)
        self->user_agent = NULL;
    if (self->target == NULL || self->user_agent == NULL)
        goto stop;
    self->creds = otlp_creds_create(conf, error, sizeof error);
    if (self->creds == NULL)
        goto stop;
    self->channel = create_channel(self);
    self->cq = grpc_completion_queue_create_for_next(NULL);
    return &self->transport;

stop:
    otlp_stop(&self->transport, mono_now());
failed:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export: %s", error);
    return NULL;
}
