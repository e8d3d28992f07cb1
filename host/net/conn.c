/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/conn.c - one connection from HAProxy: its bytes, its handshake, its frames. */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "spop/spop.h"
#include "spop/wire.h"

#define COMPONENT "spop"
#define READ_MIN 2048u /* less room than this at the end of a pinned block: take a new one */

enum conn_state { CONN_HELLO, CONN_OPEN, CONN_DRAINING, CONN_CLOSING };

/* The engine's name. Messages point to it, so it may have to outlive its connection. */
struct engine_name {
    uint32_t refs; /* the connection, and each exchange that a plugin has not completed */
    size_t len;
    char text[];
};

struct conn {
    struct deadline deadline; /* first; in the worker's hello or linger list */
    TAILQ_ENTRY(conn) link;
    TAILQ_ENTRY(conn) dirty_link;
    TAILQ_ENTRY(conn) paused_link;
    struct worker *worker;
    struct event read_event, write_event;
    int fd;
    enum conn_state state;
    bool reading, writing; /* the events are added */
    bool dirty, paused;    /* in the worker's list */
    bool dead;             /* destroy at the end of this turn */
    bool shut;             /* our side is shut down */
    struct block *in;
    size_t in_start, in_end, in_need; /* need: bytes until the next frame is whole */
    struct block *out;
    size_t out_start, out_end;
    struct exchange_list exchanges; /* in flight */
    uint32_t frame_size;            /* negotiated */
    struct engine_name *engine;     /* NULL: none was given */
    struct peer_group *peer_group;  /* what HELLO said; NULL before */
    char peer[CONN_PEER_MAX];
};

static struct log_limit bad_peer_limit;

static struct counters *counters(struct conn *conn)
{
    return &conn->worker->core.counters;
}

/* ---- output ---- */

static size_t output_len(const struct conn *conn)
{
    return conn->out_end - conn->out_start;
}

/* Room for n more bytes of output. @return NULL: out of memory, the connection dies */
static uint8_t *reserve(struct conn *conn, size_t n)
{
    size_t len = output_len(conn);
    struct block *block;

    if (conn->out != NULL && conn->out->size - conn->out_end >= n)
        return conn->out->data + conn->out_end;
    if (conn->out != NULL && conn->out->size - len >= n) {
        memmove(conn->out->data, conn->out->data + conn->out_start, len);
    } else {
        block = block_get(&conn->worker->blocks, conn->out == NULL ? n : 2 * len + n);
        if (block == NULL) {
            COUNT(counters(conn), resource_errors);
            conn->dead = true;
            return NULL;
        }
        if (conn->out != NULL)
            memcpy(block->data, conn->out->data + conn->out_start, len);
        block_unref(&conn->worker->blocks, conn->out);
        conn->out = block;
    }
    conn->out_start = 0;
    conn->out_end = len;
    return conn->out->data + conn->out_end;
}

static void set_reading(struct conn *conn, bool on)
{
    if (conn->reading == on)
        return;
    if ((on ? event_add(&conn->read_event, NULL) : event_del(&conn->read_event)) != 0) {
        conn->dead = true;
        return;
    }
    conn->reading = on;
}

static void set_writing(struct conn *conn, bool on)
{
    if (conn->writing == on)
        return;
    if ((on ? event_add(&conn->write_event, NULL) : event_del(&conn->write_event)) != 0) {
        conn->dead = true;
        return;
    }
    conn->writing = on;
}

/* Errors with which a peer leaves; HAProxy 3.1 and later end connections by a reset. */
static bool is_close(int error)
{
    return error == ECONNRESET || error == EPIPE || error == ETIMEDOUT || error == ENOTCONN;
}

/* All output of a connection that is CLOSING has been written. */
static void shut_down(struct conn *conn)
{
    if (conn->shut)
        return;
    conn->shut = true;
    (void)shutdown(conn->fd, SHUT_WR);
    set_reading(conn, true); /* to see the peer close */
}

static void flush(struct conn *conn)
{
    while (output_len(conn) > 0 && !conn->dead) {
        ssize_t n = send(conn->fd, conn->out->data + conn->out_start, output_len(conn),
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            conn->out_start += (size_t)n;
            COUNT_ADD(counters(conn), bytes_out, n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            set_writing(conn, true);
            return;
        }
        if (!is_close(errno))
            log_limited(&bad_peer_limit, SPOE_LOG_WARNING, COMPONENT,
                        "%s: write: %s, dropping connection", conn->peer, strerror(errno));
        conn->dead = true;
        return;
    }
    if (conn->dead)
        return;
    block_unref(&conn->worker->blocks, conn->out);
    conn->out = NULL;
    conn->out_start = conn->out_end = 0;
    set_writing(conn, false);
    if (conn->state == CONN_CLOSING)
        shut_down(conn);
}

/* ---- exchanges ---- */

static void engine_unref(struct engine_name *engine)
{
    if (engine != NULL && --engine->refs == 0)
        free(engine);
}

/* Hold what the exchange's messages point to until their plugins have completed them. */
static void pin(struct conn *conn, struct exchange *exchange)
{
    exchange->pin = block_ref(conn->in);
    exchange->name = conn->engine;
    if (conn->engine != NULL)
        conn->engine->refs++;
}

static void unpin(struct worker *worker, struct exchange *exchange)
{
    block_unref(&worker->blocks, exchange->pin);
    exchange->pin = NULL;
    engine_unref(exchange->name);
    exchange->name = NULL;
}

static void unpin_each(struct exchange *exchange, void *arg)
{
    unpin(arg, exchange); /* nothing where nothing is held */
}

void conn_unpin_all(struct worker *worker)
{
    exchange_each(&worker->core.exchanges, unpin_each, worker);
}

/* Put the ACK of an exchange into the output. */
static void put_ack(struct conn *conn, struct exchange *exchange)
{
    size_t max = exchange_encoded_max(exchange);
    uint8_t *p = reserve(conn, max);

    if (p != NULL)
        conn->out_end += exchange_encode(&conn->worker->core, exchange, p, max);
}

static void mark_dirty(struct conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    TAILQ_INSERT_TAIL(&conn->worker->dirty, conn, dirty_link);
}

/* An exchange leaves its connection: its ACK is written, or will never be. */
static void detach(struct worker *worker, struct conn *conn, struct exchange *exchange)
{
    TAILQ_REMOVE(&conn->exchanges, exchange, link);
    deadline_remove(&worker->pending, &exchange->deadline);
    exchange->owner = NULL;
}

void conn_exchange_done(struct spoe_worker *core, struct exchange *exchange)
{
    struct worker *worker = worker_of(core);
    struct conn *conn = exchange->owner;

    if (conn != NULL) {
        detach(worker, conn, exchange);
        put_ack(conn, exchange);
        mark_dirty(conn);
    }
    unpin(worker, exchange);
    exchange_release(&worker->core, exchange);
}

void conn_exchange_expired(struct worker *worker, struct exchange *exchange)
{
    struct conn *conn = exchange->owner;

    exchange_cancel(&worker->core, exchange, SPOE_CANCEL_DEADLINE);
    detach(worker, conn, exchange);
    put_ack(conn, exchange);
    mark_dirty(conn);
    /* Its requests are released when they are completed: conn_exchange_done(). */
}

/* No ACK will leave this connection any more. */
static void abandon_exchanges(struct conn *conn)
{
    int32_t why = conn->worker->stopping ? SPOE_CANCEL_DRAIN : SPOE_CANCEL_CONN_CLOSED;
    struct exchange *exchange;

    while ((exchange = TAILQ_FIRST(&conn->exchanges)) != NULL) {
        detach(conn->worker, conn, exchange);
        exchange_cancel(&conn->worker->core, exchange, why);
    }
}

/* ---- frames ---- */

/* The last words are in the output; nothing is read into frames any more. */
static void start_closing(struct conn *conn)
{
    struct worker *worker = conn->worker;

    assert(conn->state != CONN_CLOSING);
    if (conn->state == CONN_HELLO)
        deadline_remove(&worker->hello, &conn->deadline);
    conn->state = CONN_CLOSING;
    deadline_add(&worker->linger, &conn->deadline, clock_mono_ns() + LINGER_NS);
    worker_arm_close(worker);
    abandon_exchanges(conn);
    if (conn->paused) {
        TAILQ_REMOVE(&worker->paused, conn, paused_link);
        conn->paused = false;
    }
    block_unref(&worker->blocks, conn->in);
    conn->in = NULL;
    conn->in_start = conn->in_end = 0;
}

/* Say why and close. */
static void disconnect(struct conn *conn, int status)
{
    uint8_t *p = reserve(conn, SPOP_FRAME_SIZE_MIN);

    if (p != NULL)
        conn->out_end += spop_put_agent_disconnect(p, SPOP_FRAME_SIZE_MIN, status);
    start_closing(conn);
}

static void protocol_error(struct conn *conn, int status, const char *where)
{
    COUNT(counters(conn), protocol_errors);
    if (conn->state == CONN_HELLO)
        COUNT(counters(conn), hello_failures[counter_code((uint32_t)status)]);
    else
        COUNT(counters(conn), open_errors[counter_code((uint32_t)status)]);
    log_limited(&bad_peer_limit, SPOE_LOG_WARNING, COMPONENT,
                "%s: %s: %s (code %d), dropping connection", conn->peer, where,
                spop_status_text(status), status);
    disconnect(conn, status);
}

/* @return false: out of memory, the connection dies */
static bool set_engine(struct conn *conn, struct spoe_span name)
{
    size_t len = name.n < CONN_ENGINE_ID_MAX ? name.n : CONN_ENGINE_ID_MAX;

    conn->engine = malloc(sizeof *conn->engine + len);
    if (conn->engine == NULL) {
        COUNT(counters(conn), resource_errors);
        conn->dead = true;
        return false;
    }
    conn->engine->refs = 1;
    conn->engine->len = len;
    memcpy(conn->engine->text, name.p, len);
    return true;
}

static struct spoe_span engine_span(const struct conn *conn)
{
    if (conn->engine == NULL)
        return (struct spoe_span){NULL, 0};
    return (struct spoe_span){conn->engine->text, conn->engine->len};
}

static void on_hello(struct conn *conn, const struct spop_frame *frame)
{
    const struct host_conf *conf = conn->worker->core.shared->conf;
    struct spop_hello hello;
    int error = frame->stream_id != 0 || frame->frame_id != 0
                    ? -SPOP_ERR_INVALID
                    : spop_decode_hello(frame->payload, frame->payload_len, &hello);
    uint8_t *p;

    if (error != 0) {
        protocol_error(conn, -error, "HAPROXY-HELLO");
        return;
    }
    conn->frame_size =
        hello.max_frame_size < conf->max_frame_size ? hello.max_frame_size : conf->max_frame_size;
    p = reserve(conn, SPOP_FRAME_SIZE_MIN);
    if (p == NULL)
        return;
    conn->out_end += spop_put_agent_hello(p, SPOP_FRAME_SIZE_MIN, conn->frame_size);
    if (hello.healthcheck) {
        COUNT(counters(conn), health_checks);
        start_closing(conn);
        return;
    }
    if (hello.engine_id.n != 0 && !set_engine(conn, hello.engine_id))
        return;
    COUNT(counters(conn), hellos);
    conn->peer_group = peers_join(&conn->worker->peers, &hello, conn->frame_size);
    deadline_remove(&conn->worker->hello, &conn->deadline);
    conn->state = CONN_OPEN;
}

static void on_notify(struct conn *conn, const struct spop_frame *frame,
                      const struct dispatch_input *input)
{
    struct worker *worker = conn->worker;
    struct exchange *exchange = exchange_get(&worker->core);
    int result;

    COUNT(counters(conn), notifies);
    if (exchange == NULL) {
        COUNT(counters(conn), resource_errors);
        protocol_error(conn, SPOP_ERR_RESOURCE, "NOTIFY");
        return;
    }
    exchange->stream_id = frame->stream_id;
    exchange->frame_id = frame->frame_id;
    exchange->budget = conn->frame_size + SPOP_LENGTH_BYTES -
                       wire_ack_head_size(frame->stream_id, frame->frame_id);
    result = dispatch_notify(&worker->core, frame, exchange, input);
    if (result == 0) {
        put_ack(conn, exchange);
        exchange_release(&worker->core, exchange);
        return;
    }
    if (exchange->outstanding == 0) { /* malformed, and nobody holds it */
        exchange_release(&worker->core, exchange);
    } else {
        pin(conn, exchange);
        if (result > 0) {
            exchange->owner = conn;
            TAILQ_INSERT_TAIL(&conn->exchanges, exchange, link);
            deadline_add(&worker->pending, &exchange->deadline, input->deadline_ns);
            worker_arm_pending(worker);
        } else {
            exchange_cancel(&worker->core, exchange, SPOE_CANCEL_CONN_CLOSED);
        }
    }
    if (result < 0) {
        if (result == -SPOP_ERR_RESOURCE)
            COUNT(counters(conn), resource_errors);
        protocol_error(conn, -result, "NOTIFY");
    }
}

static void on_peer_disconnect(struct conn *conn, const struct spop_frame *frame)
{
    uint32_t status;
    struct spoe_span message;

    if (spop_decode_disconnect(frame->payload, frame->payload_len, &status, &message) != 0) {
        protocol_error(conn, SPOP_ERR_INVALID, "HAPROXY-DISCONNECT");
        return;
    }
    /* HAProxy up to 3.0 ends an idle connection with 2 and one of a dead backend with 1. */
    if (status > SPOP_ERR_TIMEOUT) {
        COUNT(counters(conn), peer_errors);
        COUNT(counters(conn), peer_codes[counter_code(status)]);
        log_limited(&bad_peer_limit, SPOE_LOG_WARNING, COMPONENT,
                    "%s: HAProxy disconnects: %.*s (code %" PRIu32 ")", conn->peer,
                    (int)(message.n < 128 ? message.n : 128), message.p, status);
    }
    disconnect(conn, SPOP_OK);
}

static void on_frame(struct conn *conn, const struct spop_frame *frame,
                     const struct dispatch_input *input)
{
    COUNT(counters(conn), frames);
    if (frame->type == SPOP_UNSET ||
        (frame->type <= SPOP_NOTIFY && (frame->flags & SPOP_FLAG_FIN) == 0)) {
        protocol_error(conn, SPOP_ERR_FRAGMENTED, "frame");
        return;
    }
    if (frame->type <= SPOP_NOTIFY && (frame->flags & SPOP_FLAG_ABORT) != 0) {
        COUNT(counters(conn), unknown_frames); /* it takes back a fragment that we never took */
        return;
    }
    switch (frame->type) {
    case SPOP_HAPROXY_HELLO:
        if (conn->state == CONN_HELLO)
            on_hello(conn, frame);
        else
            protocol_error(conn, SPOP_ERR_INVALID, "second HAPROXY-HELLO");
        return;
    case SPOP_HAPROXY_DISCONNECT:
        on_peer_disconnect(conn, frame);
        return;
    case SPOP_NOTIFY:
        if (conn->state == CONN_OPEN)
            on_notify(conn, frame, input);
        else
            protocol_error(conn, SPOP_ERR_INVALID, "NOTIFY before HAPROXY-HELLO");
        return;
    case SPOP_AGENT_HELLO:
    case SPOP_AGENT_DISCONNECT:
    case SPOP_ACK:
        protocol_error(conn, SPOP_ERR_INVALID, "an agent's frame from HAProxy");
        return;
    default: /* SPOE.txt 3.2.2: unknown frames may be skipped */
        COUNT(counters(conn), unknown_frames);
        return;
    }
}

/* ---- input ---- */

/* Too many messages are in flight in plugins: wait for room. @return false: there is room */
static bool pause_for_room(struct conn *conn)
{
    struct worker *worker = conn->worker;
    struct host_shared *shared = worker->core.shared;

    if (atomic_load(&shared->n_pending) < shared->conf->max_pending)
        return false;
    atomic_store(&worker->wants_room, true);
    if (atomic_load(&shared->n_pending) < shared->conf->max_pending)
        return false; /* just freed; whoever saw the flag wakes us for nothing */
    if (!conn->paused) {
        conn->paused = true;
        TAILQ_INSERT_TAIL(&worker->paused, conn, paused_link);
    }
    return true;
}

/* Whether the next frame has to wait. */
static bool must_wait(struct conn *conn)
{
    return output_len(conn) >= CONN_OUTPUT_HIGH || pause_for_room(conn);
}

/* Take whole frames out of the input until there is none, or they have to wait. */
static void process(struct conn *conn)
{
    const struct host_conf *conf = conn->worker->core.shared->conf;
    struct dispatch_input input = {
        .engine_id = engine_span(conn), .unix_ns = clock_unix_ns(), .mono_ns = clock_mono_ns()};
    bool wait = false;

    input.deadline_ns = input.mono_ns + conf->processing_timeout_ns;
    conn->in_need = SPOP_LENGTH_BYTES;
    while (!conn->dead && conn->state <= CONN_OPEN && conn->in_start != conn->in_end &&
           !(wait = must_wait(conn))) {
        const uint8_t *p = conn->in->data + conn->in_start;
        struct spop_frame frame;
        size_t size;
        int found = wire_frame_find(p, conn->in_end - conn->in_start, conf->max_frame_size, &size);

        if (found == 0) {
            conn->in_need = size;
            break;
        }
        if (found > 0 &&
            wire_frame_decode(p + SPOP_LENGTH_BYTES, size - SPOP_LENGTH_BYTES, &frame) != 0)
            found = -SPOP_ERR_INVALID;
        if (found < 0) {
            protocol_error(conn, -found, "frame");
            break;
        }
        conn->in_start += size;
        on_frame(conn, &frame, &input);
        input.engine_id = engine_span(conn); /* that frame may have been the HELLO */
    }
    if (!conn->dead)
        set_reading(conn, !wait && conn->state != CONN_DRAINING);
}

/* After process(): keep no block that holds nothing. */
static void trim_input(struct conn *conn)
{
    struct block *in = conn->in;

    if (in == NULL || conn->in_start != conn->in_end)
        return;
    if (in->refs > 1 && in->size - conn->in_end >= READ_MIN)
        return; /* pinned: the rest of it can still be read into */
    block_unref(&conn->worker->blocks, in);
    conn->in = NULL;
    conn->in_start = conn->in_end = 0;
}

/* Make room for the frame that is being read, or for whatever comes. */
static bool prepare_input(struct conn *conn)
{
    size_t len = conn->in_end - conn->in_start;
    size_t need = conn->in_need > len ? conn->in_need : len + 1;
    struct block *in = conn->in, *block;

    if (in != NULL && in->size - conn->in_start >= need && in->size > conn->in_end)
        return true;
    if (in != NULL && in->refs == 1 && in->size >= need) {
        memmove(in->data, in->data + conn->in_start, len);
    } else {
        block = block_get(&conn->worker->blocks, need);
        if (block == NULL) {
            COUNT(counters(conn), resource_errors);
            return false;
        }
        if (in != NULL)
            memcpy(block->data, in->data + conn->in_start, len);
        block_unref(&conn->worker->blocks, in);
        conn->in = block;
    }
    conn->in_start = 0;
    conn->in_end = len;
    return true;
}

/* Read once. @return false: nothing was read; the connection may be dead */
static bool read_input(struct conn *conn)
{
    ssize_t n;

    if (!prepare_input(conn)) {
        conn->dead = true;
        return false;
    }
    do {
        n = recv(conn->fd, conn->in->data + conn->in_end, conn->in->size - conn->in_end,
                 MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        conn->in_end += (size_t)n;
        COUNT_ADD(counters(conn), bytes_in, n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (n < 0 && !is_close(errno))
        log_limited(&bad_peer_limit, SPOE_LOG_WARNING, COMPONENT,
                    "%s: read: %s, dropping connection", conn->peer, strerror(errno));
    conn->dead = true;
    return false;
}

/* CLOSING: what still comes is thrown away until the peer closes. */
static void discard_input(struct conn *conn)
{
    char waste[4096];
    ssize_t n = recv(conn->fd, waste, sizeof waste, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
        conn->dead = true;
}

/* The end of every turn of a connection. */
static void settle(struct conn *conn)
{
    if (!conn->dead && (output_len(conn) > 0 || conn->state == CONN_CLOSING) && !conn->writing)
        flush(conn);
    if (!conn->dead && conn->state == CONN_DRAINING && TAILQ_EMPTY(&conn->exchanges)) {
        disconnect(conn, SPOP_OK);
        flush(conn);
    }
    if (conn->dead)
        conn_destroy(conn);
    else
        trim_input(conn);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;

    (void)fd;
    (void)what;
    if (conn->state == CONN_CLOSING)
        discard_input(conn);
    else if (read_input(conn))
        process(conn);
    settle(conn);
}

/* The peer reads again. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;

    (void)fd;
    (void)what;
    flush(conn);
    if (!conn->dead && conn->state <= CONN_OPEN && !conn->reading && !conn->paused &&
        output_len(conn) < CONN_OUTPUT_HIGH / 2) {
        if (conn->in != NULL)
            process(conn);
        else
            set_reading(conn, true);
    }
    settle(conn);
}

/* ---- life ---- */

void conn_create(struct worker *worker, int fd, const char *peer)
{
    struct conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        COUNT(&worker->core.counters, resource_errors);
        (void)close(fd);
        (void)atomic_fetch_sub(&worker->n_conns, 1);
        return;
    }
    conn->worker = worker;
    conn->fd = fd;
    conn->in_need = SPOP_LENGTH_BYTES;
    (void)snprintf(conn->peer, sizeof conn->peer, "%s", peer);
    TAILQ_INIT(&conn->exchanges);
    TAILQ_INSERT_TAIL(&worker->conns, conn, link);
    COUNT(&worker->core.counters, connections);
    deadline_add(&worker->hello, &conn->deadline,
                 clock_mono_ns() + worker->core.shared->conf->hello_timeout_ns);
    worker_arm_close(worker);
    if (event_assign(&conn->read_event, worker->base, fd, EV_READ | EV_PERSIST, on_readable,
                     conn) != 0 ||
        event_assign(&conn->write_event, worker->base, fd, EV_WRITE | EV_PERSIST, on_writable,
                     conn) != 0)
        conn->dead = true;
    else
        set_reading(conn, true);
    if (conn->dead)
        conn_destroy(conn);
}

void conn_destroy(struct conn *conn)
{
    struct worker *worker = conn->worker;

    if (conn->state != CONN_CLOSING)
        start_closing(conn);
    deadline_remove(&worker->linger, &conn->deadline);
    if (conn->dirty)
        TAILQ_REMOVE(&worker->dirty, conn, dirty_link);
    if (conn->reading)
        (void)event_del(&conn->read_event);
    if (conn->writing)
        (void)event_del(&conn->write_event);
    block_unref(&worker->blocks, conn->out);
    engine_unref(conn->engine);
    peers_leave(conn->peer_group);
    TAILQ_REMOVE(&worker->conns, conn, link);
    (void)close(conn->fd);
    free(conn);
    (void)atomic_fetch_sub(&worker->n_conns, 1);
    worker_check_drained(worker);
}

void conn_end(struct conn *conn)
{
    struct worker *worker = conn->worker;
    struct exchange *exchange;

    if (!conn->dead && conn->state != CONN_CLOSING) {
        while ((exchange = TAILQ_FIRST(&conn->exchanges)) != NULL) {
            exchange_cancel(&worker->core, exchange, SPOE_CANCEL_DRAIN);
            detach(worker, conn, exchange);
            put_ack(conn, exchange);
        }
        disconnect(conn, SPOP_OK);
    }
    if (!conn->dead)
        flush(conn);
    conn_destroy(conn);
}

void conn_flush_dirty(struct worker *worker)
{
    struct conn *conn;

    while ((conn = TAILQ_FIRST(&worker->dirty)) != NULL) {
        TAILQ_REMOVE(&worker->dirty, conn, dirty_link);
        conn->dirty = false;
        settle(conn);
    }
}

void conn_resume_paused(struct worker *worker)
{
    struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
    struct conn *conn;

    if (TAILQ_EMPTY(&worker->paused))
        return;
    TAILQ_CONCAT(&list, &worker->paused, paused_link);
    atomic_store(&worker->wants_room, false);
    TAILQ_FOREACH(conn, &list, paused_link)
    conn->paused = false;
    while ((conn = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, conn, paused_link);
        process(conn); /* may put it back */
        settle(conn);
    }
}

void conn_hello_expired(struct deadline *deadline)
{
    struct conn *conn = (struct conn *)(void *)deadline;

    COUNT(counters(conn), hello_timeouts);
    protocol_error(conn, SPOP_ERR_TIMEOUT, "no HAPROXY-HELLO within hello-timeout");
    settle(conn);
}

void conn_linger_expired(struct deadline *deadline)
{
    struct conn *conn = (struct conn *)(void *)deadline;

    conn_destroy(conn);
}

static void drain(struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn->reading && read_input(conn))
        process(conn);
    if (!conn->dead && conn->state == CONN_OPEN) {
        conn->state = CONN_DRAINING;
        set_reading(conn, false);
    } else if (!conn->dead && conn->state == CONN_HELLO) {
        disconnect(conn, SPOP_OK);
    }
    settle(conn);
}

void conn_drain_all(struct worker *worker)
{
    struct conn *conn = TAILQ_FIRST(&worker->conns);

    while (conn != NULL) {
        struct conn *next = TAILQ_NEXT(conn, link);

        drain(conn); /* may free it */
        conn = next;
    }
}
