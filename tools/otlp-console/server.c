/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/otlp-console/server.c - gRPC's C core as a server, one completion queue for all.
 *
 * A call goes through three events, each with the struct rpc as its tag:
 *   WAITING    grpc_server_request_call() has one    -> read its message, or refuse its method
 *   READING    the message is there                  -> hand it over, answer
 *   ANSWERING  the answer is out                     -> free
 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <grpc/support/time.h>

#define EXPORT_METHOD "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define RECEIVE_MAX (64 * 1024 * 1024)
#define NS_PER_S INT64_C(1000000000)
/* After grpc_shutdown() its threads run on for about a second (measured with 1.51.1). */
#define GRPC_GONE_MAX_NS (2 * NS_PER_S)

enum state { WAITING, READING, ANSWERING };

struct rpc {
    enum state state;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message, *answer;
    int cancelled;
};

struct server {
    grpc_server *grpc;
    grpc_completion_queue *cq;
    struct traces *traces;
    bool stopping;
};

int64_t server_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void rpc_free(struct rpc *rpc)
{
    grpc_call_details_destroy(&rpc->details);
    grpc_metadata_array_destroy(&rpc->metadata);
    if (rpc->message != NULL)
        grpc_byte_buffer_destroy(rpc->message);
    if (rpc->answer != NULL)
        grpc_byte_buffer_destroy(rpc->answer);
    if (rpc->call != NULL)
        grpc_call_unref(rpc->call);
    free(rpc);
}

/* Ask for the next call. */
static void request_call(struct server *server)
{
    struct rpc *rpc = calloc(1, sizeof *rpc);

    if (rpc == NULL) {
        (void)fprintf(stderr, "otlp-console: out of memory\n");
        return;
    }
    grpc_call_details_init(&rpc->details);
    grpc_metadata_array_init(&rpc->metadata);
    if (grpc_server_request_call(server->grpc, &rpc->call, &rpc->details, &rpc->metadata,
                                 server->cq, server->cq, rpc) != GRPC_CALL_OK)
        rpc_free(rpc);
}

static void start_batch(struct rpc *rpc, const grpc_op *ops, size_t n, enum state next)
{
    rpc->state = next;
    if (grpc_call_start_batch(rpc->call, ops, n, rpc, NULL) != GRPC_CALL_OK)
        rpc_free(rpc); /* no event will come */
}

static void read_message(struct rpc *rpc)
{
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_RECV_MESSAGE}};

    ops[1].data.recv_message.recv_message = &rpc->message;
    start_batch(rpc, ops, 2, READING);
}

/* Answer with a status; with OK also an empty message: all spans were taken. */
static void answer(struct rpc *rpc, grpc_status_code status, const char *text)
{
    grpc_slice details = grpc_slice_from_static_string(text);
    grpc_slice empty = grpc_empty_slice();
    grpc_op ops[4];
    size_t n = 0;

    if (rpc->state == WAITING)
        ops[n++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (status == GRPC_STATUS_OK) {
        rpc->answer = grpc_raw_byte_buffer_create(&empty, 1);
        ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[n++].data.send_message.send_message = rpc->answer;
    }
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    ops[n].data.send_status_from_server.status = status;
    ops[n++].data.send_status_from_server.status_details = &details;
    ops[n] = (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    ops[n++].data.recv_close_on_server.cancelled = &rpc->cancelled;
    start_batch(rpc, ops, n, ANSWERING);
}

static export_request *unpack(grpc_byte_buffer *message)
{
    grpc_byte_buffer_reader reader;
    export_request *request;
    grpc_slice all;

    if (message == NULL || !grpc_byte_buffer_reader_init(&reader, message))
        return NULL;
    all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    request = opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
        NULL, GRPC_SLICE_LENGTH(all), GRPC_SLICE_START_PTR(all));
    grpc_slice_unref(all);
    return request;
}

static void handle_message(struct server *server, struct rpc *rpc)
{
    export_request *request = unpack(rpc->message);

    if (request == NULL) {
        (void)fprintf(stderr, "otlp-console: a request cannot be read\n");
        answer(rpc, GRPC_STATUS_INVALID_ARGUMENT, "not an ExportTraceServiceRequest");
    } else if (traces_add(server->traces, request, server_now()) != 0) {
        answer(rpc, GRPC_STATUS_UNAVAILABLE, "out of memory");
    } else {
        answer(rpc, GRPC_STATUS_OK, "");
    }
}

static void handle_event(struct server *server, struct rpc *rpc, bool success)
{
    switch (rpc->state) {
    case WAITING:
        if (!success) { /* the server stops */
            rpc_free(rpc);
            break;
        }
        request_call(server);
        if (grpc_slice_str_cmp(rpc->details.method, EXPORT_METHOD) == 0)
            read_message(rpc);
        else
            answer(rpc, GRPC_STATUS_UNIMPLEMENTED, "only TraceService/Export is served");
        break;
    case READING:
        if (success && !server->stopping)
            handle_message(server, rpc);
        else
            answer(rpc, GRPC_STATUS_UNAVAILABLE, "stopping");
        break;
    case ANSWERING:
        rpc_free(rpc);
        break;
    }
}

struct server *server_create(const char *address, struct traces *traces, int *ret_port)
{
    struct server *server = calloc(1, sizeof *server);
    grpc_server_credentials *creds;
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value = {.integer = RECEIVE_MAX}},
        /* A port that is taken is an error, not shared. */
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_ALLOW_REUSEPORT,
         .value = {.integer = 0}},
    };
    const grpc_channel_args server_args = {.num_args = 2, .args = args};

    if (server == NULL)
        return NULL;
    grpc_init();
    server->traces = traces;
    server->cq = grpc_completion_queue_create_for_next(NULL);
    server->grpc = grpc_server_create(&server_args, NULL);
    grpc_server_register_completion_queue(server->grpc, server->cq, NULL);
    creds = grpc_insecure_server_credentials_create();
    *ret_port = grpc_server_add_http2_port(server->grpc, address, creds);
    grpc_server_credentials_release(creds);
    grpc_server_start(server->grpc);
    if (*ret_port == 0) {
        server_destroy(server);
        return NULL;
    }
    request_call(server);
    return server;
}

static gpr_timespec to_gpr_time(int64_t mono_ns)
{
    const int64_t left = mono_ns - server_now();

    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos(left > 0 ? left : 0, GPR_TIMESPAN));
}

void server_run(struct server *server, int64_t until_mono_ns)
{
    const gpr_timespec until = to_gpr_time(until_mono_ns);

    for (;;) {
        const grpc_event event = grpc_completion_queue_next(server->cq, until, NULL);

        if (event.type != GRPC_OP_COMPLETE)
            return;
        handle_event(server, event.tag, event.success != 0);
        traces_tick(server->traces, server_now());
    }
}

void server_destroy(struct server *server)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    const int64_t until = server_now() + GRPC_GONE_MAX_NS;
    grpc_event event;

    server->stopping = true;
    grpc_server_shutdown_and_notify(server->grpc, server->cq, server);
    grpc_server_cancel_all_calls(server->grpc);
    do {
        event = grpc_completion_queue_next(server->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.tag != server)
            handle_event(server, event.tag, event.success != 0);
    } while (event.tag != server);
    grpc_server_destroy(server->grpc);
    grpc_completion_queue_shutdown(server->cq);
    while (
        (event = grpc_completion_queue_next(server->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL))
            .type == GRPC_OP_COMPLETE)
        handle_event(server, event.tag, event.success != 0);
    grpc_completion_queue_destroy(server->cq);
    grpc_shutdown();
    while (grpc_is_initialized() && server_now() < until)
        (void)nanosleep(&pause, NULL); /* may be shorter */
    free(server);
}
