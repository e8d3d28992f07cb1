/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/conn_frames.c - what the frames of a connection do, and what becomes of its exchanges.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "net/conn_state.h"
#include "spop/spop.h"
#include "spop/wire.h"

/* ---- exchanges ---- */

void conn_engine_unref(struct engine_name *engine)
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
    conn_engine_unref(exchange->name);
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
    const size_t max = exchange_encoded_max(exchange);
    uint8_t *p = conn_reserve(conn, max);

    if (p != NULL)
        conn->out_end += exchange_encode(&conn->worker->core, exchange, p, max);
}

/* An exchange leaves its connection: its ACK is written, or will never be. Its deadline stays: that
 * is when its places below max-pending are free again. */
static void detach(struct conn *conn, struct exchange *exchange)
{
    TAILQ_REMOVE(&conn->exchanges, exchange, link);
    exchange->owner = NULL;
}

/* Plugins have not answered it all. @param conn  that waits for the ACK; NULL: nobody does */
static void watch(struct worker *worker, struct conn *conn, struct exchange *exchange)
{
    exchange->owner = conn;
    if (conn != NULL)
        TAILQ_INSERT_TAIL(&conn->exchanges, exchange, link);
    worker_watch(worker, exchange, 0);
}

void conn_exchange_done(struct spoe_worker *core, struct exchange *exchange)
{
    struct worker *worker = worker_of(core);
    struct conn *conn = exchange->owner;

    worker_unwatch(worker, exchange);
    if (conn != NULL) {
        detach(conn_check(conn), exchange);
        put_ack(conn, exchange);
        conn_mark_due(conn);
    }
    unpin(worker, exchange);
    exchange_release(&worker->core, exchange);
}

/* The ACK leaves with what there is. Its other requests are released when they are completed:
 * conn_exchange_done(). */
static void answer_late(struct worker *worker, struct conn *conn, struct exchange *exchange)
{
    detach(conn_check(conn), exchange);
    put_ack(conn, exchange);
    exchange_answered(&worker->core, exchange);
    conn_mark_due(conn);
}

void conn_exchange_late(struct spoe_worker *core, struct exchange *exchange)
{
    struct worker *worker = worker_of(core);

    if (exchange->owner == NULL)
        return;
    worker_unwatch(worker, exchange);
    answer_late(worker, exchange->owner, exchange);
}

void conn_exchange_expired(struct deadline *deadline, struct worker *worker, int64_t now_ns)
{
    struct exchange *exchange = container_of(deadline, struct exchange, deadline);
    struct conn *conn = exchange->owner;

    if (conn == NULL && !exchange->silent) /* its connection is gone, and it has been cancelled */
        exchange_free_places(&worker->core, exchange, now_ns);
    else
        exchange_expire(&worker->core, exchange, now_ns);
    worker_watch(worker, exchange, now_ns);
    if (conn != NULL && exchange->n_waited == 0)
        answer_late(worker, conn, exchange);
}

void conn_abandon_exchanges(struct conn *conn)
{
    const int32_t why = conn->worker->stopping ? SPOE_CANCEL_DRAIN : SPOE_CANCEL_CONN_CLOSED;
    struct exchange *exchange;

    while ((exchange = TAILQ_FIRST(&conn->exchanges)) != NULL) {
        detach(conn, exchange);
        exchange_cancel(&conn->worker->core, exchange, why);
        exchange_answered(&conn->worker->core, exchange);
    }
}

void conn_answer_all(struct conn *conn)
{
    struct exchange *exchange;

    while ((exchange = TAILQ_FIRST(&conn->exchanges)) != NULL) {
        exchange_cancel(&conn->worker->core, exchange, SPOE_CANCEL_DRAIN);
        detach(conn, exchange);
        put_ack(conn, exchange);
        exchange_answered(&conn->worker->core, exchange);
    }
}

/* ---- the end of a connection ---- */

void conn_disconnect(struct conn *conn, int status)
{
    uint8_t *p = conn_reserve(conn, SPOP_FRAME_SIZE_MIN);

    if (p != NULL)
        conn->out_end += spop_put_agent_disconnect(p, SPOP_FRAME_SIZE_MIN, status);
    conn_start_closing(conn);
}

void conn_protocol_error(struct conn *conn, int status, const char *where)
{
    COUNT(conn_counters(conn), protocol_errors);
    if (conn->state == CONN_HELLO)
        COUNT(conn_counters(conn), hello_failures[counter_code((uint32_t)status)]);
    else
        COUNT(conn_counters(conn), open_errors[counter_code((uint32_t)status)]);
    log_limited(&conn_peer_limit, SPOE_LOG_WARNING, CONN_COMPONENT,
                "%s: %s: %s (code %d), dropping connection", conn->peer, where,
                spop_status_text(status), status);
    conn_disconnect(conn, status);
}

/* Drop the whole frames that are in the input; in_need says what the next one needs, 0: what
 * follows is no frame. @return how many */
static size_t drop_frames(struct conn *conn)
{
    size_t n = 0, size = SPOP_LENGTH_BYTES;
    int found = 1;

    while (found > 0 && conn_input_len(conn) > 0) {
        found = wire_frame_find(conn->in->data + conn->in_start, conn_input_len(conn),
                                conn->frame_max, &size);
        if (found > 0) {
            conn->in_start += size;
            n++;
        }
    }
    conn->in_need = found < 0 ? 0 : conn_input_len(conn) > 0 ? size : SPOP_LENGTH_BYTES;
    return n;
}

void conn_discard_frames(struct conn *conn)
{
    size_t n;

    if (conn->state == CONN_HELLO || conn->state == CONN_CLOSING)
        return;
    n = drop_frames(conn);
    /* The peer is gone, so that there is an end to what the kernel has. */
    while (conn->hung_up && conn->readable && conn_input_len(conn) < conn->in_need &&
           conn_read(conn))
        n += drop_frames(conn);
    if (n > 0)
        COUNT_ADD(conn_counters(conn), discarded_frames, n);
}

/* ---- frames ---- */

/* @return false: out of memory, the connection dies */
static bool set_engine(struct conn *conn, struct spoe_span name)
{
    const size_t len = name.n < CONN_ENGINE_ID_MAX ? name.n : CONN_ENGINE_ID_MAX;

    conn->engine = malloc(sizeof *conn->engine + len);
    if (conn->engine == NULL) {
        COUNT(conn_counters(conn), resource_errors);
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
        conn_protocol_error(conn, -error, "HAPROXY-HELLO");
        return;
    }
    if (hello.healthcheck && worker_is_leaving(conn->worker)) {
        conn_disconnect(conn, SPOP_OK); /* HAProxy is to turn to another agent */
        return;
    }
    conn->frame_size =
        hello.max_frame_size < conf->max_frame_size ? hello.max_frame_size : conf->max_frame_size;
    p = conn_reserve(conn, SPOP_FRAME_SIZE_MIN);
    if (p == NULL)
        return;
    conn->out_end += spop_put_agent_hello(p, SPOP_FRAME_SIZE_MIN, conn->frame_size);
    if (hello.healthcheck) {
        COUNT(conn_counters(conn), health_checks);
        conn_start_closing(conn);
        return;
    }
    if (hello.engine_id.n != 0 && !set_engine(conn, hello.engine_id))
        return;
    COUNT(conn_counters(conn), hellos);
    conn->peer_group = peers_join(&conn->worker->peers, conn->fd, &hello, conn->frame_size);
    conn->frame_max = conn->frame_size; /* SPOE.txt 3.2.4 */
    conn->state = CONN_OPEN;
}

static void on_notify(struct conn *conn, const struct spop_frame *frame,
                      const struct dispatch_input *input)
{
    struct worker *worker = conn->worker;
    struct exchange *exchange = exchange_get(&worker->core);
    int result;

    COUNT(conn_counters(conn), notifies);
    if (exchange == NULL) {
        COUNT(conn_counters(conn), resource_errors);
        conn_protocol_error(conn, SPOP_ERR_RESOURCE, "NOTIFY");
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
        watch(worker, result > 0 ? conn : NULL, exchange);
        if (result < 0) {
            exchange_cancel(&worker->core, exchange, SPOE_CANCEL_CONN_CLOSED);
            exchange_answered(&worker->core, exchange);
        }
    }
    if (result < 0) {
        if (result == -SPOP_ERR_RESOURCE)
            COUNT(conn_counters(conn), resource_errors);
        conn_protocol_error(conn, -result, "NOTIFY");
    }
}

static void on_peer_disconnect(struct conn *conn, const struct spop_frame *frame)
{
    uint32_t status;
    struct spoe_span message;

    if (spop_decode_disconnect(frame->payload, frame->payload_len, &status, &message) != 0) {
        conn_protocol_error(conn, SPOP_ERR_INVALID, "HAPROXY-DISCONNECT");
        return;
    }
    /* HAProxy up to 3.0 ends an idle connection with 2 and one of a dead backend with 1. */
    if (status > SPOP_ERR_TIMEOUT) {
        COUNT(conn_counters(conn), peer_errors);
        COUNT(conn_counters(conn), peer_codes[counter_code(status)]);
        log_limited(&conn_peer_limit, SPOE_LOG_WARNING, CONN_COMPONENT,
                    "%s: HAProxy disconnects: %.*s (code %" PRIu32 ")", conn->peer,
                    (int)(message.n < 128 ? message.n : 128), message.p, status);
    }
    conn_disconnect(conn, SPOP_OK);
}

static void on_frame(struct conn *conn, const struct spop_frame *frame,
                     const struct dispatch_input *input)
{
    COUNT(conn_counters(conn), frames);
    if (frame->type == SPOP_UNSET ||
        (frame->type <= SPOP_NOTIFY && (frame->flags & SPOP_FLAG_FIN) == 0)) {
        conn_protocol_error(conn, SPOP_ERR_FRAGMENTED, "frame");
        return;
    }
    if (frame->type <= SPOP_NOTIFY && (frame->flags & SPOP_FLAG_ABORT) != 0) {
        COUNT(conn_counters(conn), unknown_frames); /* takes back a fragment that we never took */
        return;
    }
    switch (frame->type) {
    case SPOP_HAPROXY_HELLO:
        if (conn->state == CONN_HELLO)
            on_hello(conn, frame);
        else
            conn_protocol_error(conn, SPOP_ERR_INVALID, "second HAPROXY-HELLO");
        return;
    case SPOP_HAPROXY_DISCONNECT:
        on_peer_disconnect(conn, frame);
        return;
    case SPOP_NOTIFY:
        if (conn->state == CONN_HELLO) {
            conn_protocol_error(conn, SPOP_ERR_INVALID, "NOTIFY before HAPROXY-HELLO");
        } else {
            conn->is_used = true;
            on_notify(conn, frame, input);
        }
        return;
    case SPOP_AGENT_HELLO:
    case SPOP_AGENT_DISCONNECT:
    case SPOP_ACK:
        conn_protocol_error(conn, SPOP_ERR_INVALID, "an agent's frame from HAProxy");
        return;
    default: /* SPOE.txt 3.2.2: unknown frames may be skipped */
        COUNT(conn_counters(conn), unknown_frames);
        return;
    }
}

/* The next frame of the input, whole. @return false: there is none, the rest has still to come or
 * is no frame (then the connection is closing) */
static bool next_frame(struct conn *conn, struct spop_frame *ret, size_t *ret_size)
{
    const size_t len = conn_input_len(conn);
    const uint8_t *p;
    int found;

    conn->in_need = SPOP_LENGTH_BYTES;
    if (len == 0)
        return false;
    p = conn->in->data + conn->in_start;
    found = wire_frame_find(p, len, conn->frame_max, ret_size);
    if (found >= 0)
        conn->in_need = *ret_size;
    if (found > 0 &&
        wire_frame_decode(p + SPOP_LENGTH_BYTES, *ret_size - SPOP_LENGTH_BYTES, ret) != 0) {
        conn->in_start += *ret_size;
        found = -SPOP_ERR_INVALID;
    }
    if (found < 0)
        conn_protocol_error(conn, -found, "frame");
    return found > 0;
}

/* Whether a NOTIFY can be handled: there is room, and nobody has waited for it before. */
static bool may_notify(const struct conn *conn)
{
    struct worker *worker = conn->worker;

    return (TAILQ_EMPTY(&worker->paused) || worker->resuming == conn) && worker_has_room(worker);
}

bool conn_process(struct conn *conn)
{
    struct dispatch_input input = {.mono_ns = 0};
    struct spop_frame frame;
    size_t size;

    conn->wants_room = false;
    while (!conn->dead && conn->state != CONN_CLOSING && conn_output_len(conn) < CONN_OUTPUT_HIGH &&
           next_frame(conn, &frame, &size)) {
        if (frame.type == SPOP_NOTIFY && conn->state != CONN_HELLO && !may_notify(conn)) {
            conn->wants_room = true;
            break;
        }
        if (input.mono_ns == 0) {
            input.unix_ns = clock_unix_ns();
            input.mono_ns = clock_mono_ns();
            input.deadline_ns =
                input.mono_ns + conn->worker->core.shared->conf->processing_timeout_ns;
        }
        input.engine_id = engine_span(conn); /* the frame before may have been the HELLO */
        conn->in_start += size;
        on_frame(conn, &frame, &input);
        if (conn->state != CONN_HELLO)
            conn->active_ns = input.mono_ns;
    }
    return input.mono_ns != 0;
}
