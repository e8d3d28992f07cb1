/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_grpc.c - unary calls of a signal's service (TraceService/Export), one at a
 * time in each slot.
 *
 * A slot makes a call and waits on its own completion queue for its one event; the call's deadline
 * bounds that wait. All slots share one channel, which is replaced when its connection has gone bad
 * or a file of the TLS settings has changed; calls under way keep the one that they began with.
 * WAIT_FOR_READY is off: where the collector cannot be
 * reached a call fails at once with UNAVAILABLE, and the exporter's retry decides what to do.
 */
#include "send/otlp_grpc.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include <spoe/util.h>

#include "send/live_files.h"
#include "otlp/answer.h"
#include "otlp/signals.h"
#include "send/otlp_creds.h"
#include "send/log.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
/* gRPC's own defaults are 20 s for one attempt to connect and up to 120 s between two. */
#define CONNECT_TIMEOUT_MS 5000
#define RECONNECT_FIRST_MS 1000
#define RECONNECT_MAX_MS 5000
/* With keepalive on: a peer that does not answer a ping for so long is gone (gRPC's default). */
#define KEEPALIVE_TIMEOUT_MS 20000
/* After grpc_shutdown() its threads run on for about a second (measured with 1.51.1). */
#define GRPC_GONE_MAX_NS (2 * NS_PER_S)
#define GRPC_GONE_POLL_NS 10000000L
#define GRPC_LOG_FORGET_NS (3600 * NS_PER_S)

/* A channel and who uses it; all under the transport's lock. */
struct shared_channel {
    grpc_channel *grpc;
    unsigned users; /* slots with a call on it */
    bool retired;   /* its last user destroys it */
};

struct slot {
    grpc_completion_queue *cq;
    grpc_call *call; /* under lock: the one that is under way */
};

struct otlp_grpc {
    struct transport transport; /* first: the two are cast into each other */
    struct exporter_conf conf;  /* its strings outlive this */
    const char *method;         /* [const] */
    char *user_agent;
    unsigned n_slots;
    struct slot slots[EXPORTER_CONCURRENCY_MAX];
    pthread_mutex_t lock; /* guards all below */
    struct live_files files;
    uint64_t generation; /* of the files that creds was made of */
    grpc_channel_credentials *creds;
    struct shared_channel *channel; /* for the next call; NULL: to be made */
    bool cancelled;
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
    struct texts said;
    unsigned users; /* transports that are not stopped */
} grpc_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Each text once, numbers aside: gRPC repeats itself. Threads: gRPC's, and any that calls it. */
static void log_from_grpc(gpr_log_func_args *args)
{
    if (args->severity != GPR_LOG_SEVERITY_ERROR)
        return;
    (void)pthread_mutex_lock(&grpc_log.lock);
    if (grpc_log.host != NULL &&
        texts_is_new(&grpc_log.said, args->message, mono_now(), GRPC_LOG_FORGET_NS))
        spoe_logf(grpc_log.host, grpc_log.self, SPOE_LOG_WARNING, "gRPC: %s", args->message);
    (void)pthread_mutex_unlock(&grpc_log.lock);
}

static void set_grpc_log(const struct spoe_host *host, struct spoe_instance *self)
{
    grpc_log.host = host;
    grpc_log.self = self;
    grpc_log.said = (struct texts){._n = 0};
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    gpr_set_log_function(host != NULL ? log_from_grpc : NULL);
}

/* A transport more. */
static void enter_grpc(const struct spoe_host *host, struct spoe_instance *self)
{
    (void)pthread_mutex_lock(&grpc_log.lock);
    if (grpc_log.users++ == 0)
        set_grpc_log(host, self);
    (void)pthread_mutex_unlock(&grpc_log.lock);
    grpc_init();
}

static void wait_grpc_gone(int64_t deadline_mono_ns)
{
    const struct timespec pause = {.tv_nsec = GRPC_GONE_POLL_NS};
    int64_t until = mono_now() + GRPC_GONE_MAX_NS;

    if (until > deadline_mono_ns)
        until = deadline_mono_ns;
    while (grpc_is_initialized() && mono_now() < until)
        (void)nanosleep(&pause, NULL); /* may be shorter */
}

/* One less: the last one waits for gRPC's threads, which may still log. */
static void leave_grpc(int64_t deadline_mono_ns)
{
    bool last;

    grpc_shutdown();
    (void)pthread_mutex_lock(&grpc_log.lock);
    last = --grpc_log.users == 0;
    (void)pthread_mutex_unlock(&grpc_log.lock);
    if (!last)
        return;
    wait_grpc_gone(deadline_mono_ns);
    (void)pthread_mutex_lock(&grpc_log.lock);
    set_grpc_log(NULL, NULL);
    (void)pthread_mutex_unlock(&grpc_log.lock);
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
 * have gone to a peer that is gone without a trace: keepalive is off. A collector that answers
 * UNAVAILABLE itself, as overloaded ones do, is still connected.
 */
static bool is_connection_bad(grpc_channel *channel, grpc_status_code status)
{
    return status == GRPC_STATUS_DEADLINE_EXCEEDED ||
           (status == GRPC_STATUS_UNAVAILABLE &&
            grpc_channel_check_connectivity_state(channel, 0) != GRPC_CHANNEL_READY);
}

/* The C core hands a -bin trailer over already decoded from base64. */
static bool find_retry_info(const grpc_metadata_array *trailers, int64_t *ret_delay_ns)
{
    for (size_t i = 0; i < trailers->count; i++) {
        const grpc_metadata *md = &trailers->metadata[i];

        if (grpc_slice_str_cmp(md->key, "grpc-status-details-bin") == 0)
            return otlp_read_retry_info(GRPC_SLICE_START_PTR(md->value),
                                        GRPC_SLICE_LENGTH(md->value), ret_delay_ns);
    }
    return false;
}

/* A response: did the collector take all? */
static void read_response(grpc_byte_buffer *buffer, struct transport_result *ret)
{
    grpc_byte_buffer_reader reader;
    grpc_slice all;

    if (buffer == NULL || !grpc_byte_buffer_reader_init(&reader, buffer))
        return; /* the status says OK, and that is what counts */
    all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    if (!otlp_read_response(GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all), &ret->rejected,
                            ret->text, sizeof ret->text))
        (void)snprintf(ret->text, sizeof ret->text, "its answer cannot be read");
    grpc_slice_unref(all);
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

/* The headers of one call: a copy, as the file may change while the call is under way. */
struct metadata {
    grpc_metadata items[PAIRS_MAX];
    size_t n;
};

static void metadata_init(struct metadata *metadata, const struct pair_list *headers)
{
    metadata->n = headers->n;
    for (size_t i = 0; i < headers->n; i++)
        metadata->items[i] =
            (grpc_metadata){.key = grpc_slice_from_copied_string(headers->item[i].key),
                            .value = grpc_slice_from_copied_string(headers->item[i].value)};
}

static void metadata_fini(struct metadata *metadata)
{
    for (size_t i = 0; i < metadata->n; i++) {
        grpc_slice_unref(metadata->items[i].key);
        grpc_slice_unref(metadata->items[i].value);
    }
}

static grpc_call_error start_call(grpc_call *call, struct metadata *metadata,
                                  grpc_byte_buffer *request, struct answer *answer)
{
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };

    ops[0].data.send_initial_metadata.metadata = metadata->items;
    ops[0].data.send_initial_metadata.count = metadata->n;
    ops[1].data.send_message.send_message = request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &answer->initial;
    ops[4].data.recv_message.recv_message = &answer->message;
    ops[5].data.recv_status_on_client.trailing_metadata = &answer->trailers;
    ops[5].data.recv_status_on_client.status = &answer->status;
    ops[5].data.recv_status_on_client.status_details = &answer->details;
    return grpc_call_start_batch(call, ops, sizeof ops / sizeof ops[0], call, NULL);
}

/* gRPC's own words (1.51.1) for an answer in HTTP/1, and for one that is no HTTP/2. */
static bool is_http1(const char *details)
{
    return strstr(details, "http1.x server") != NULL ||
           strstr(details, "Failed parsing HTTP/2") != NULL;
}

/* What to do about it, where that can be told. */
static const char *advice(grpc_status_code status, const char *details)
{
    switch (status) {
    case GRPC_STATUS_UNAUTHENTICATED:
    case GRPC_STATUS_PERMISSION_DENIED:
        return "; are the headers those that the collector wants?";
    case GRPC_STATUS_UNIMPLEMENTED:
        return "; is that an OTLP collector?";
    default:
        return is_http1(details)
                   ? "; if that is the port for HTTP (4318), take the one for gRPC (4317), or "
                     "protocol http/protobuf"
                   : "";
    }
}

static void read_answer(const struct answer *answer, struct transport_result *ret)
{
    char details[256];
    bool has_retry_info;

    *ret = (struct transport_result){.outcome = TRANSPORT_OK};
    if (answer->status == GRPC_STATUS_OK) {
        read_response(answer->message, ret);
        return;
    }
    has_retry_info = find_retry_info(&answer->trailers, &ret->min_wait_ns);
    ret->outcome = is_retryable(answer->status, has_retry_info) ? TRANSPORT_RETRYABLE
                                                                : TRANSPORT_NOT_RETRYABLE;
    ret->unsupported = answer->status == GRPC_STATUS_UNIMPLEMENTED;
    otlp_clean_text(GRPC_SLICE_START_PTR(answer->details), GRPC_SLICE_LENGTH(answer->details),
                    details, sizeof details);
    (void)snprintf(ret->text, sizeof ret->text, "%s: %s%s", status_name(answer->status), details,
                   advice(answer->status, details));
}

/* The C core takes a char * that it only reads. */
static grpc_arg int_arg(const char *name, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)name, .value = {.integer = value}};
}

#define CHANNEL_ARGS_MAX 20u

static grpc_channel *create_channel(const struct otlp_grpc *self)
{
    const struct exporter_conf *conf = &self->conf;
    grpc_arg args[CHANNEL_ARGS_MAX] = {
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* ours is the only retry */
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_FIRST_MS),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)OTLP_ANSWER_MAX),
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, conf->use_proxy),
        int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1), /* no TXT queries */
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        {.type = GRPC_ARG_STRING,
         .key = (char *)(uintptr_t)GRPC_ARG_PRIMARY_USER_AGENT_STRING,
         .value.string = self->user_agent},
    };
    grpc_channel_args channel_args = {.num_args = 10, .args = args};

    if (conf->gzip)
        args[channel_args.num_args++] =
            int_arg(GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM, GRPC_COMPRESS_GZIP);
    if (conf->keepalive_ns > 0) {
        const int64_t ms = conf->keepalive_ns / NS_PER_MS;

        args[channel_args.num_args++] =
            int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, ms < INT_MAX ? (int)ms : INT_MAX);
        args[channel_args.num_args++] =
            int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS);
        args[channel_args.num_args++] = int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
        args[channel_args.num_args++] = int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
    assert(channel_args.num_args <= CHANNEL_ARGS_MAX);
    return grpc_channel_create(conf->endpoint, self->creds, &channel_args);
}

static void lock(struct otlp_grpc *self)
{
    int rc = pthread_mutex_lock(&self->lock);

    assert(rc == 0);
    (void)rc;
}

static void unlock(struct otlp_grpc *self)
{
    int rc = pthread_mutex_unlock(&self->lock);

    assert(rc == 0);
    (void)rc;
}

/* ---- the channel; all with the lock held --------------------------------------------------- */

static void destroy_channel(struct shared_channel *channel)
{
    grpc_channel_destroy(channel->grpc);
    free(channel);
}

/* The next call makes a new channel. */
static void retire_channel(struct otlp_grpc *self)
{
    if (self->channel == NULL)
        return;
    self->channel->retired = true;
    if (self->channel->users == 0)
        destroy_channel(self->channel);
    self->channel = NULL;
}

/* New certificates need new credentials, and those a new channel. */
static void refresh_files(struct otlp_grpc *self)
{
    grpc_channel_credentials *creds;

    live_files_refresh(&self->files);
    if (self->files.generation == self->generation)
        return;
    self->generation = self->files.generation;
    creds = otlp_creds_create(self->conf.tls, &self->files.pem);
    if (creds == NULL)
        return; /* checked texts that gRPC does not take: the old ones */
    grpc_channel_credentials_release(self->creds);
    self->creds = creds;
    retire_channel(self);
}

/* @return [give: leave_channel()] NULL: out of memory */
static struct shared_channel *enter_channel(struct otlp_grpc *self)
{
    if (self->channel == NULL) {
        struct shared_channel *channel = calloc(1, sizeof *channel);

        if (channel == NULL)
            return NULL;
        channel->grpc = create_channel(self);
        self->channel = channel;
    }
    self->channel->users++;
    return self->channel;
}

static void leave_channel(struct otlp_grpc *self, struct shared_channel *channel, bool bad)
{
    if (bad && channel == self->channel)
        retire_channel(self); /* in use still, so it stays until the next lines */
    channel->users--;
    if (channel->retired && channel->users == 0)
        destroy_channel(channel);
}

/* ---- send and cancel ---------------------------------------------------------------------- */

static gpr_timespec to_gpr_deadline(int64_t deadline_mono_ns)
{
    const int64_t left = deadline_mono_ns - mono_now();

    if (deadline_mono_ns == INT64_MAX)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos(left > 0 ? left : 0, GPR_TIMESPAN));
}

/* Take the channel and the headers for one call, and note it for cancel(). @return NULL: no call */
static struct shared_channel *begin_call(struct otlp_grpc *self, struct slot *slot,
                                         int64_t deadline_mono_ns, struct metadata *metadata,
                                         struct transport_result *ret)
{
    struct shared_channel *channel = NULL;

    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE, .text = "stopping"};
    lock(self);
    if (self->cancelled)
        goto done;
    refresh_files(self);
    channel = enter_channel(self);
    if (channel == NULL) {
        (void)snprintf(ret->text, sizeof ret->text, "out of memory");
        goto done;
    }
    metadata_init(metadata, &self->files.headers);
    slot->call = grpc_channel_create_call(channel->grpc, NULL, GRPC_PROPAGATE_DEFAULTS, slot->cq,
                                          grpc_slice_from_static_string(self->method), NULL,
                                          to_gpr_deadline(deadline_mono_ns), NULL);
done:
    unlock(self);
    return channel;
}

static void otlp_send(struct transport *transport, unsigned index, const uint8_t *bytes,
                      size_t size, int64_t deadline_mono_ns, struct transport_result *ret)
{
    struct otlp_grpc *self = (struct otlp_grpc *)transport;
    struct slot *slot = &self->slots[index];
    struct shared_channel *channel;
    struct metadata metadata;
    grpc_byte_buffer *request;
    struct answer answer;
    bool bad = false;
    grpc_call_error rc;
    grpc_slice body;
    grpc_call *call;

    assert(index < self->n_slots);
    channel = begin_call(self, slot, deadline_mono_ns, &metadata, ret);
    if (channel == NULL)
        return;
    call = slot->call;
    body = grpc_slice_from_copied_buffer((const char *)bytes, size);
    request = grpc_raw_byte_buffer_create(&body, 1);
    grpc_slice_unref(body); /* the buffer holds it */
    answer_init(&answer);
    rc = start_call(call, &metadata, request, &answer);
    if (rc == GRPC_CALL_OK) {
        const grpc_event event =
            grpc_completion_queue_next(slot->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

        assert(event.type == GRPC_OP_COMPLETE && event.tag == call);
        (void)event;
        read_answer(&answer, ret);
        bad = is_connection_bad(channel->grpc, answer.status);
    } else { /* no event will come */
        *ret = (struct transport_result){.outcome = TRANSPORT_NOT_RETRYABLE};
        (void)snprintf(ret->text, sizeof ret->text, "gRPC: %s", grpc_call_error_to_string(rc));
    }
    lock(self);
    slot->call = NULL;
    unlock(self);
    answer_fini(&answer);
    metadata_fini(&metadata);
    grpc_call_unref(call);
    grpc_byte_buffer_destroy(request);
    lock(self);
    leave_channel(self, channel, bad);
    unlock(self);
}

static void otlp_cancel(struct transport *transport)
{
    struct otlp_grpc *self = (struct otlp_grpc *)transport;

    lock(self);
    self->cancelled = true;
    for (unsigned i = 0; i < self->n_slots; i++)
        if (self->slots[i].call != NULL)
            (void)grpc_call_cancel(self->slots[i].call, NULL); /* fails only for bad arguments */
    unlock(self);
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void destroy_queue(grpc_completion_queue *cq)
{
    grpc_completion_queue_shutdown(cq);
    while (grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_completion_queue_destroy(cq);
}

/* In the order that gRPC wants: the queues, drained, then the channel. Takes half-built ones. */
static void otlp_stop(struct transport *transport, int64_t deadline_mono_ns)
{
    struct otlp_grpc *self = (struct otlp_grpc *)transport;

    for (unsigned i = 0; i < self->n_slots; i++)
        destroy_queue(self->slots[i].cq);
    retire_channel(self);
    if (self->creds != NULL)
        grpc_channel_credentials_release(self->creds);
    leave_grpc(deadline_mono_ns);
    live_files_fini(&self->files);
    (void)pthread_mutex_destroy(&self->lock);
    free(self->user_agent);
    free(self);
}

struct transport *otlp_grpc_start(const struct exporter_conf *conf,
                                  const struct spoe_host *log_host, struct spoe_instance *log_self)
{
    struct otlp_grpc *self = calloc(1, sizeof *self);
    char error[512] = "out of memory";

    assert(conf->concurrency <= EXPORTER_CONCURRENCY_MAX);
    if (self == NULL)
        goto failed;
    self->transport =
        (struct transport){.send = otlp_send, .cancel = otlp_cancel, .stop = otlp_stop};
    self->conf = *conf;
    self->method = signal_names(conf->signal)->method;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail with default attributes */
    enter_grpc(log_host, log_self);
    if (asprintf(&self->user_agent, OTLP_USER_AGENT_FORMAT, conf->service_version,
                 conf->service_version) < 0) {
        self->user_agent = NULL;
        goto stop;
    }
    if (live_files_init(&self->files, conf, log_host, log_self, error, sizeof error) != 0)
        goto stop;
    self->creds = otlp_creds_create(conf->tls, &self->files.pem);
    if (self->creds == NULL) {
        (void)snprintf(error, sizeof error, "gRPC does not take the TLS settings");
        goto stop;
    }
    self->n_slots = conf->concurrency > 0 ? conf->concurrency : 1;
    for (unsigned i = 0; i < self->n_slots; i++)
        self->slots[i].cq = grpc_completion_queue_create_for_next(NULL);
    return &self->transport;

stop:
    otlp_stop(&self->transport, mono_now());
failed:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export: %s", error);
    return NULL;
}
