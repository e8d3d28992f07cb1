/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bench/otlp_count.c - an OTLP/gRPC collector that only counts spans: the message is walked,
 * neither unpacked nor copied, so that it costs little beside the agent that is measured.
 *
 *   otlp-count [--listen 127.0.0.1:0]     prints "listening on 127.0.0.1:PORT"
 *
 * SIGUSR1 prints "spans N requests M"; SIGTERM and SIGINT do so too, and end it with status 0.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#define EXPORT_METHOD "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define RECEIVE_MAX (64 * 1024 * 1024)
#define KEPT_MAX RECEIVE_MAX
#define STEP_MS 10 /* how long a signal may wait */

/* One call: waited for with its message, then answered. */
struct rpc {
    bool answering;
    grpc_call *call;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message, *answer;
    gpr_timespec deadline;
    int cancelled;
};

static grpc_server *server;
static grpc_completion_queue *cq;
static void *method;
static uint64_t n_spans, n_requests;

/* ---- protobuf, as far as it is needed ---- */

/* A message as it lies in gRPC's slices, walked without a copy. */
struct cursor {
    grpc_byte_buffer_reader reader;
    const uint8_t *p, *end; /* of the slice */
    uint64_t at;            /* from the message's begin */
};

/* @return false: the message is over */
static bool has_byte(struct cursor *in)
{
    grpc_slice *slice;

    while (in->p == in->end) {
        if (!grpc_byte_buffer_reader_peek(&in->reader, &slice))
            return false;
        in->p = GRPC_SLICE_START_PTR(*slice);
        in->end = GRPC_SLICE_END_PTR(*slice);
    }
    return true;
}

static bool skip(struct cursor *in, uint64_t n)
{
    while (n > 0 && has_byte(in)) {
        const uint64_t here = (uint64_t)(in->end - in->p) < n ? (uint64_t)(in->end - in->p) : n;

        in->p += here;
        in->at += here;
        n -= here;
    }
    return n == 0;
}

/* @return false: cut short */
static bool get_varint(struct cursor *in, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; shift < 64 && has_byte(in); shift += 7) {
        const uint8_t byte = *in->p++;

        in->at++;
        *ret |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/*
 * Count the spans up to `end`, or until the message is over or malformed.
 * ExportTraceServiceRequest.resource_spans = 1, ResourceSpans.scope_spans = 2, ScopeSpans.spans = 2
 */
static uint64_t count_spans(struct cursor *in, uint64_t end, unsigned depth)
{
    static const uint64_t numbers[] = {1, 2, 2};
    uint64_t tag, n, spans = 0;

    while (in->at < end && get_varint(in, &tag)) {
        const bool ours = tag == (numbers[depth] << 3 | 2);

        switch (tag & 7) {
        case 0:
            if (!get_varint(in, &n))
                return spans;
            continue;
        case 1:
        case 5:
            n = (tag & 7) == 1 ? 8 : 4;
            break;
        case 2:
            if (!get_varint(in, &n))
                return spans;
            break;
        default:
            return spans;
        }
        if (ours && depth < 2) {
            spans += count_spans(in, in->at + n, depth + 1);
            continue;
        }
        if (!skip(in, n))
            return spans;
        spans += ours;
    }
    return spans;
}

static void count_message(grpc_byte_buffer *message)
{
    struct cursor in = {.p = NULL};

    if (message == NULL || !grpc_byte_buffer_reader_init(&in.reader, message))
        return;
    n_spans += count_spans(&in, UINT64_MAX, 0);
    n_requests++;
    grpc_byte_buffer_reader_destroy(&in.reader);
}

/* ---- calls ---- */

static void rpc_free(struct rpc *rpc)
{
    grpc_metadata_array_destroy(&rpc->metadata);
    if (rpc->message != NULL)
        grpc_byte_buffer_destroy(rpc->message);
    if (rpc->answer != NULL)
        grpc_byte_buffer_destroy(rpc->answer);
    if (rpc->call != NULL)
        grpc_call_unref(rpc->call);
    free(rpc);
}

static void request_call(void)
{
    struct rpc *rpc = calloc(1, sizeof *rpc);

    if (rpc == NULL)
        abort();
    grpc_metadata_array_init(&rpc->metadata);
    if (grpc_server_request_registered_call(server, method, &rpc->call, &rpc->deadline,
                                            &rpc->metadata, &rpc->message, cq, cq,
                                            rpc) != GRPC_CALL_OK)
        abort();
}

static void answer(struct rpc *rpc)
{
    grpc_slice empty = grpc_empty_slice();
    grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_SEND_MESSAGE},
                      {.op = GRPC_OP_SEND_STATUS_FROM_SERVER},
                      {.op = GRPC_OP_RECV_CLOSE_ON_SERVER}};

    rpc->answering = true;
    rpc->answer = grpc_raw_byte_buffer_create(&empty, 1);
    ops[1].data.send_message.send_message = rpc->answer;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[3].data.recv_close_on_server.cancelled = &rpc->cancelled;
    if (grpc_call_start_batch(rpc->call, ops, 4, rpc, NULL) != GRPC_CALL_OK)
        rpc_free(rpc);
}

static void handle_event(struct rpc *rpc, bool success)
{
    if (rpc->answering || !success) { /* answered, or the server stops */
        rpc_free(rpc);
        return;
    }
    request_call();
    count_message(rpc->message);
    answer(rpc);
}

/* ---- the process ---- */

static int start(const char *address)
{
    grpc_server_credentials *creds;
    grpc_arg args[] = {{.type = GRPC_ARG_INTEGER,
                        .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                        .value = {.integer = RECEIVE_MAX}},
                       {.type = GRPC_ARG_INTEGER,
                        .key = (char *)(uintptr_t)GRPC_ARG_ALLOW_REUSEPORT,
                        .value = {.integer = 0}}};
    const grpc_channel_args server_args = {.num_args = 2, .args = args};
    int port;

    grpc_init();
    cq = grpc_completion_queue_create_for_next(NULL);
    server = grpc_server_create(&server_args, NULL);
    grpc_server_register_completion_queue(server, cq, NULL);
    method = grpc_server_register_method(server, EXPORT_METHOD, NULL,
                                         GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    creds = grpc_insecure_server_credentials_create();
    port = grpc_server_add_http2_port(server, address, creds);
    grpc_server_credentials_release(creds);
    grpc_server_start(server);
    if (port != 0)
        request_call();
    return port;
}

static void run_for(int ms)
{
    const gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
    grpc_event event;

    while ((event = grpc_completion_queue_next(cq, until, NULL)).type == GRPC_OP_COMPLETE) {
        handle_event(event.tag, event.success != 0);
        if (gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), until) > 0)
            return;
    }
}

static void stop(void)
{
    grpc_event event;

    grpc_server_shutdown_and_notify(server, cq, server);
    grpc_server_cancel_all_calls(server);
    do {
        event = grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.tag != server)
            handle_event(event.tag, false);
    } while (event.tag != server);
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(cq);
    while (
        (event = grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)).type ==
        GRPC_OP_COMPLETE)
        handle_event(event.tag, false);
    grpc_completion_queue_destroy(cq);
    grpc_shutdown();
}

static void print_counts(void)
{
    (void)printf("spans %llu requests %llu\n", (unsigned long long)n_spans,
                 (unsigned long long)n_requests);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *address = argc == 3 && strcmp(argv[1], "--listen") == 0 ? argv[2] : "127.0.0.1:0";
    const struct timespec none = {0};
    sigset_t signals;
    int port, got;

    /* What a request took stays for the next: giving it back to the kernel cost most of all. */
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_MAX);
    /* gRPC's threads inherit the mask, so only this one sees the signals, by asking. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGUSR1);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return 1;
    port = start(address);
    if (port == 0) {
        (void)fprintf(stderr, "otlp-count: cannot listen on %s\n", address);
        return 1;
    }
    (void)printf("listening on %.*s:%d\n", (int)(strrchr(address, ':') - address), address, port);
    (void)fflush(stdout);
    do {
        run_for(STEP_MS);
        got = sigtimedwait(&signals, NULL, &none);
        if (got > 0)
            print_counts();
    } while (got <= 0 || got == SIGUSR1);
    stop();
    return 0;
}
