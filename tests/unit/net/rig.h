/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/net/rig.h - workers and connections without threads: the test itself turns the event
 * loops, and is the peer at the other end of a socketpair. One plugin, whose message "m" is
 * answered at once or when the test says so.
 */
#ifndef TESTS_UNIT_NET_RIG_H
#define TESTS_UNIT_NET_RIG_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "lib/codec.h"
#include "net/conn_state.h"
#include "net/worker.h"
#include "spop/spop.h"

#define RIG_WORKERS 2u
#define RIG_PENDING_MAX 4096u
#define RIG_FRAME_SIZE 16380u

/* What the plugin does, and what it has seen. */
struct rig_plugin {
    bool pend;
    unsigned pend_max;   /* of them: the others are answered; 0: all */
    size_t answer_bytes; /* of its variable */
    unsigned n_calls, n_cancels;
    int32_t why;
    struct spoe_request *pending[RIG_PENDING_MAX];
    size_t n_pending;
};

struct rig {
    struct host_conf conf;
    struct plugin_set set;
    struct spoe_instance instance;
    struct route_table routes;
    struct host_shared shared;
    struct rig_plugin plugin;
    struct worker worker[RIG_WORKERS]; /* last: AddressSanitizer sees who looks at one more */
};

static struct rig rig;

static spoe_status rig_handle(void *wctx, struct spoe_request *request,
                              const struct spoe_message *msg)
{
    static char bytes[RIG_FRAME_SIZE];
    const struct spoe_value value = {.type = SPOE_T_STR, .u.s = {bytes, rig.plugin.answer_bytes}};

    (void)wctx;
    (void)msg;
    rig.plugin.n_calls++;
    (void)request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value);
    if (!rig.plugin.pend ||
        (rig.plugin.pend_max != 0 && rig.plugin.n_pending == rig.plugin.pend_max))
        return SPOE_OK;
    cr_assert_lt(rig.plugin.n_pending, RIG_PENDING_MAX);
    rig.plugin.pending[rig.plugin.n_pending++] = request;
    return SPOE_PENDING;
}

static void rig_cancel(void *wctx, struct spoe_request *request, int32_t why)
{
    (void)wctx;
    (void)request;
    rig.plugin.n_cancels++;
    rig.plugin.why = why;
}

static const struct spoe_arg_decl *const rig_args[] = {NULL};
static const struct spoe_message_decl rig_message = {sizeof rig_message,         0,  "m",
                                                     "on-frontend-http-request", "", rig_args};
static const struct spoe_message_decl *const rig_messages[] = {&rig_message, NULL};
static const struct spoe_plugin rig_desc = {.magic = SPOE_PLUGIN_MAGIC,
                                            .size = sizeof rig_desc,
                                            .abi_major = SPOE_ABI_MAJOR,
                                            .id = "rig",
                                            .version = "1",
                                            .messages = rig_messages,
                                            .handle = rig_handle,
                                            .cancel = rig_cancel};

/* Another one with the same first message, set before the start. */
static const struct spoe_plugin *rig_as = &rig_desc;
static uint32_t rig_n_messages = 1;

/* @return false: out of memory; rig_stop() is due all the same */
static inline bool rig_try_start(uint32_t max_pending)
{
    struct error error;

    rig =
        (struct rig){.conf = {.workers = RIG_WORKERS,
                              .max_frame_size = 1 << 20,
                              .max_connections = 100,
                              .max_pending = max_pending,
                              .processing_timeout_ns = 3600 * NS_PER_S,
                              .hello_timeout_ns = 3600 * NS_PER_S,
                              .idle_timeout_ns = 3600 * NS_PER_S},
                     .instance = {.desc = rig_as, .n_messages = rig_n_messages, .n_arguments = {0}},
                     .plugin = {.answer_bytes = 8}};
    rig.set = (struct plugin_set){.plugin = {&rig.instance}, .n = 1};
    if (route_table_build(&rig.routes, &rig.set, &error) != 0)
        return false;
    rig.shared.conf = &rig.conf;
    rig.shared.plugins = &rig.set;
    rig.shared.routes = &rig.routes;
    for (uint32_t i = 0; i < RIG_WORKERS; i++) {
        rig.shared.workers[i] = &rig.worker[i].core;
        rig.shared.n_workers = i + 1;
        if (worker_init(&rig.worker[i], &rig.shared, i) != 0)
            return false;
        rig.worker[i].phase = WORKER_RUNNING;
    }
    return true;
}

static inline void rig_start(uint32_t max_pending)
{
    cr_assert(rig_try_start(max_pending));
}

/* As a worker's thread ends, but that the test's peers need not be there any more. */
static inline void rig_stop(void)
{
    for (uint32_t i = 0; i < rig.shared.n_workers; i++) {
        struct worker *worker = &rig.worker[i];
        struct conn *conn;

        worker->stopping = true;
        while (worker->base != NULL && (conn = TAILQ_FIRST(&worker->conns)) != NULL)
            conn_end(conn);
        if (worker->base != NULL)
            worker_core_stop(&worker->core);
    }
    for (uint32_t i = 0; i < rig.shared.n_workers; i++)
        worker_fini(&rig.worker[i]);
    route_table_free(&rig.routes);
}

/* Let the workers do what there is to do: what one does for another takes a few rounds. */
static inline void rig_turn(void)
{
    for (unsigned round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < RIG_WORKERS; i++)
            cr_assert_geq(event_base_loop(rig.worker[i].base, EVLOOP_NONBLOCK), 0);
    }
}

/* ---- the peer ---- */

struct peer {
    int fd;
    struct conn *conn; /* not to be looked at once it is gone */
    uint8_t in[1 << 20];
    size_t n;
};

static inline struct peer *peer_connect(uint32_t worker)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int ends[2];

    cr_assert_not_null(peer);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    peer->fd = ends[1];
    (void)atomic_fetch_add(&rig.worker[worker].n_conns, 1);
    conn_create(&rig.worker[worker], ends[0], "peer");
    peer->conn = TAILQ_LAST(&rig.worker[worker].conns, conn_list);
    return peer;
}

static inline void peer_free(struct peer *peer)
{
    if (peer->fd >= 0)
        (void)close(peer->fd);
    free(peer);
}

static inline void peer_close(struct peer *peer)
{
    (void)close(peer->fd);
    peer->fd = -1;
}

static inline void peer_send(struct peer *peer, const void *data, size_t n)
{
    cr_assert_eq(send(peer->fd, data, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* The frame's id of a stream's: another one. */
static inline uint64_t frame_id_of(uint64_t stream_id)
{
    return stream_id == 0 ? 0 : stream_id + 1;
}

/* @return bytes of the frame */
static inline size_t put_frame(uint8_t *p, uint8_t type, uint32_t flags, uint64_t id,
                               const void *payload, size_t n)
{
    uint8_t *const begin = p;

    p += 4;
    *p++ = type;
    for (int shift = 24; shift >= 0; shift -= 8)
        *p++ = (uint8_t)(flags >> shift);
    p += codec_put_varint(p, 10, id);
    p += codec_put_varint(p, 10, frame_id_of(id));
    if (n != 0)
        memcpy(p, payload, n);
    p += n;
    for (int i = 0; i < 4; i++)
        begin[i] = (uint8_t)((size_t)(p - begin - 4) >> (24 - 8 * i));
    return (size_t)(p - begin);
}

static inline size_t put_item(uint8_t *p, const char *key, const struct spoe_value *value)
{
    size_t n = codec_put_string(p, 256, (struct spoe_span){key, strlen(key)});

    return n + codec_put_value(p + n, 256, value);
}

static inline struct spoe_value text_value(const char *s)
{
    return (struct spoe_value){.type = SPOE_T_STR, .u.s = {s, strlen(s)}};
}

/* The payload of a HELLO. @return its bytes */
static inline size_t put_hello(uint8_t *payload, uint32_t frame_size, bool healthcheck)
{
    const struct spoe_value versions = text_value("2.0"), capabilities = text_value("pipelining"),
                            engine = text_value("engine"),
                            size = {.type = SPOE_T_UINT32, .u.u32 = frame_size},
                            check = {.type = SPOE_T_BOOL, .u.u32 = 1};
    size_t n = put_item(payload, "supported-versions", &versions);

    n += put_item(payload + n, "max-frame-size", &size);
    n += put_item(payload + n, "capabilities", &capabilities);
    n += healthcheck ? put_item(payload + n, "healthcheck", &check)
                     : put_item(payload + n, "engine-id", &engine);
    return n;
}

static inline void peer_send_hello(struct peer *peer, uint32_t frame_size, bool healthcheck)
{
    uint8_t payload[256], frame[300];
    const size_t n = put_hello(payload, frame_size, healthcheck);

    peer_send(peer, frame, put_frame(frame, SPOP_HAPROXY_HELLO, 1, 0, payload, n));
}

/* With ids below 128, which it must not have. */
static inline void peer_send_hello_of(struct peer *peer, uint8_t stream_id, uint8_t frame_id)
{
    uint8_t payload[256], frame[300];
    const size_t n = put_hello(payload, RIG_FRAME_SIZE, false);
    const size_t size = put_frame(frame, SPOP_HAPROXY_HELLO, 1, 0, payload, n);

    frame[9] = stream_id;
    frame[10] = frame_id;
    peer_send(peer, frame, size);
}

static inline size_t put_notify(uint8_t *p, uint64_t id)
{
    static const uint8_t payload[] = {1, 'm', 0};

    return put_frame(p, SPOP_NOTIFY, 1, id, payload, sizeof payload);
}

static inline void peer_send_notifies(struct peer *peer, uint64_t first, size_t n)
{
    uint8_t *frames = malloc(n * 32 + 1);
    size_t len = 0;

    cr_assert_not_null(frames);
    for (size_t i = 0; i < n; i++)
        len += put_notify(frames + len, first + i);
    peer_send(peer, frames, len);
    free(frames);
}

struct got {
    uint8_t type; /* 0: no whole frame, 255: the end of the stream */
    uint64_t id;
    uint32_t status; /* of AGENT-DISCONNECT */
    size_t size;
};

/* The next frame that has come. */
static inline struct got peer_recv(struct peer *peer)
{
    struct got got = {.type = 0};
    struct spop_frame frame;
    struct spoe_span message;
    ssize_t n = recv(peer->fd, peer->in + peer->n, sizeof peer->in - peer->n, 0);

    if (n > 0)
        peer->n += (size_t)n;
    if (wire_frame_find(peer->in, peer->n, 1 << 20, &got.size) <= 0) {
        if (n == 0 || (n < 0 && errno != EAGAIN))
            got.type = 255;
        return got;
    }
    cr_assert_eq(wire_frame_decode(peer->in + 4, got.size - 4, &frame), 0);
    got.type = frame.type;
    got.id = frame.stream_id;
    cr_assert_eq(frame.frame_id, frame_id_of(frame.stream_id));
    if (frame.type == SPOP_AGENT_DISCONNECT)
        cr_assert_eq(
            spop_decode_disconnect(frame.payload, frame.payload_len, &got.status, &message), 0);
    memmove(peer->in, peer->in + got.size, peer->n - got.size);
    peer->n -= got.size;
    return got;
}

#define expect_frame(peer, wanted)                                                                 \
    do {                                                                                           \
        const struct got got_ = peer_recv(peer);                                                   \
        cr_assert_eq(got_.type, (wanted), "frame %u, wanted %u", got_.type, (unsigned)(wanted));   \
    } while (0)

#define expect_nothing(peer) expect_frame(peer, 0)
#define expect_end(peer) expect_frame(peer, 255)
#define expect_disconnect(peer, wanted)                                                            \
    do {                                                                                           \
        const struct got got_ = peer_recv(peer);                                                   \
        cr_assert_eq(got_.type, SPOP_AGENT_DISCONNECT, "frame %u", got_.type);                     \
        cr_assert_eq(got_.status, (uint32_t)(wanted), "status %u", got_.status);                   \
    } while (0)

/* ACKs that have come, in the order of their ids from `first` on. @return how many */
static inline size_t peer_acks(struct peer *peer, uint64_t first)
{
    size_t n = 0;
    struct got got;

    while ((got = peer_recv(peer)).type == SPOP_ACK)
        cr_assert_eq(got.id, first + n++);
    cr_assert_eq(got.type, 0);
    return n;
}

/* One whose HELLO was accepted. */
static inline struct peer *peer_open(uint32_t worker)
{
    struct peer *peer = peer_connect(worker);

    peer_send_hello(peer, RIG_FRAME_SIZE, false);
    rig_turn();
    expect_frame(peer, SPOP_AGENT_HELLO);
    return peer;
}

/* The plugin completes the oldest n that wait. */
static inline void rig_complete(size_t n)
{
    for (size_t i = 0; i < n; i++)
        request_complete(rig.plugin.pending[i], SPOE_OK);
    rig.plugin.n_pending -= n;
    memmove(rig.plugin.pending, rig.plugin.pending + n,
            rig.plugin.n_pending * sizeof rig.plugin.pending[0]);
}

static inline uint64_t rig_count(size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < RIG_WORKERS; i++)
        sum += *(_Atomic uint64_t *)(void *)((char *)&rig.worker[i].core.counters + offset);
    return sum;
}
#define COUNTED(name) rig_count(offsetof(struct counters, name))

#endif
