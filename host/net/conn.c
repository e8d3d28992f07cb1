/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/conn.c - the life of a connection, and its turns.
 *
 * Whatever happens to a connection - an event, an answer of a plugin, a deadline, an order -
 * changes its state and then has it take a turn: frames are handled, output is written and input is
 * read until none of the three can go on. Then settle() derives from the state what the worker has
 * to watch. Nowhere else does anything begin or end to be watched.
 */
#include "net/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "net/conn_state.h"

/* ---- what the state means ---- */

static bool wants_read(const struct conn *conn)
{
    if (!conn->readable)
        return false;
    if (conn->state == CONN_CLOSING)
        return true; /* to see the peer close */
    if (conn->state == CONN_DRAINING && conn->reads_left == 0)
        return false;
    return !conn->wants_room && conn_output_len(conn) < CONN_OUTPUT_HIGH &&
           conn_input_len(conn) < conn->in_need;
}

/* It does not read, and so would not see the peer close. Output that waits is no such case: the
 * peer's reset ends that wait. */
static bool is_deaf(const struct conn *conn)
{
    return conn->state != CONN_CLOSING &&
           (conn->wants_room || (conn->state == CONN_DRAINING && conn->reads_left == 0));
}

/* Every frame that is to be answered is. */
static bool is_drained(const struct conn *conn)
{
    return conn->state == CONN_DRAINING && TAILQ_EMPTY(&conn->exchanges) && !conn->wants_room &&
           conn_output_len(conn) < CONN_OUTPUT_HIGH && !wants_read(conn);
}

static bool is_busy(const struct conn *conn)
{
    return !TAILQ_EMPTY(&conn->exchanges) || conn->wants_room;
}

/* The list of deadlines that it belongs to, and the time. @return NULL: none, there is something
 * to do that has a deadline of its own */
static struct deadline_list *clock_of(const struct conn *conn, int64_t *ret_at_ns)
{
    const struct host_conf *conf = conn->worker->core.shared->conf;

    switch (conn->state) {
    case CONN_HELLO:
        *ret_at_ns = conn->active_ns + conf->hello_timeout_ns;
        return &conn->worker->hello;
    case CONN_OPEN:
    case CONN_DRAINING:
        if (is_busy(conn))
            return NULL;
        *ret_at_ns = conn->active_ns +
                     (conf->idle_timeout_ns != 0 ? conf->idle_timeout_ns : WORKER_NEVER_NS);
        return conn->is_used ? &conn->worker->idle : &conn->worker->unused;
    default:
        *ret_at_ns = conn->active_ns + LINGER_NS;
        return &conn->worker->linger;
    }
}

/* ---- what the worker watches, derived from the state ---- */

static void set_paused(struct conn *conn, bool on)
{
    struct conn_list *list = &conn->worker->paused;

    /* It keeps its place, whatever else happens to it, until its turn comes: then the others are
     * first. */
    if (conn->is_paused && on && conn->worker->resuming != conn)
        return;
    if (conn->is_paused)
        TAILQ_REMOVE(list, conn, paused_link);
    if (on)
        TAILQ_INSERT_TAIL(list, conn, paused_link);
    conn->is_paused = on;
}

static void set_writing(struct conn *conn, bool on)
{
    if (conn->is_writing == on)
        return;
    if ((on ? event_add(&conn->write_event, NULL) : event_del(&conn->write_event)) != 0)
        conn->dead = true;
    else
        conn->is_writing = on;
}

static struct deadline_list *list_of(struct worker *worker, enum evictable kind)
{
    switch (kind) {
    case EVICT_LINGERING:
        return &worker->linger;
    case EVICT_WITHOUT_HELLO:
        return &worker->hello;
    case EVICT_UNUSED:
        return &worker->unused;
    default:
        return &worker->idle;
    }
}

static struct conn *first_of(struct worker *worker, enum evictable kind)
{
    struct deadline *first = TAILQ_FIRST(list_of(worker, kind));

    return first != NULL ? conn_check(container_of(first, struct conn, deadline)) : NULL;
}

/* Since when the first of each list has been in it. */
static void show_oldest(struct worker *worker)
{
    for (unsigned kind = 0; kind < N_EVICTABLE; kind++) {
        const struct conn *first = first_of(worker, kind);

        atomic_store_explicit(&worker->oldest_ns[kind], first != NULL ? first->active_ns : 0,
                              memory_order_relaxed);
    }
}

static bool is_newcomer(const struct conn *conn)
{
    return conn->clock != NULL &&
           (conn->clock == &conn->worker->hello || conn->clock == &conn->worker->unused);
}

/* It is in another list now. */
static void change_clock(struct conn *conn, struct deadline_list *list)
{
    const bool was = is_newcomer(conn);

    conn->clock = list;
    if (was && !is_newcomer(conn))
        (void)atomic_fetch_sub_explicit(&conn->worker->n_newcomers, 1, memory_order_relaxed);
    if (!was && is_newcomer(conn))
        (void)atomic_fetch_add_explicit(&conn->worker->n_newcomers, 1, memory_order_relaxed);
}

static void set_clock(struct conn *conn)
{
    int64_t at_ns = 0;
    struct deadline_list *list = clock_of(conn, &at_ns);

    if (conn->clock == list && (list == NULL || conn->deadline.at_ns == at_ns))
        return;
    if (conn->clock != NULL)
        deadline_remove(conn->clock, &conn->deadline);
    if (conn->clock != list && list != NULL) { /* from now on */
        conn->active_ns = clock_mono_ns();
        (void)clock_of(conn, &at_ns);
    }
    if (list != NULL)
        deadline_add(list, &conn->deadline, at_ns);
    change_clock(conn, list);
    worker_arm_close(conn->worker);
    show_oldest(conn->worker);
}

static void settle(struct conn *conn)
{
    if (!conn->dead)
        set_writing(conn, conn->blocked && conn_output_len(conn) > 0);
    if (conn->dead) {
        conn_destroy(conn);
        return;
    }
    if (conn->is_paused || conn->wants_room)
        set_paused(conn, conn->wants_room);
    set_clock(conn);
    conn_trim(conn);
}

/* ---- turns ---- */

/* What follows from the state by itself. @return whether something has */
static bool advance(struct conn *conn)
{
    if (is_deaf(conn) && conn->readable && (conn->hung_up || conn_is_gone(conn))) {
        conn->hung_up = true;
        conn->dead = true;
        return false;
    }
    if (is_drained(conn)) {
        conn_disconnect(conn, SPOP_OK);
        return true;
    }
    if (conn->state == CONN_CLOSING && conn_output_len(conn) == 0 && !conn->shut) {
        conn->shut = true;
        (void)shutdown(conn->fd, SHUT_WR);
    }
    return false;
}

/* @return whether something has changed */
static bool read_once(struct conn *conn)
{
    const bool any = conn_read(conn);

    if (conn->state != CONN_DRAINING)
        return any;
    conn->reads_left = conn->readable ? conn->reads_left - 1 : 0;
    return any || conn->reads_left == 0; /* that was the last one: maybe it is drained */
}

/* Do all that can be done. The connection may be gone after it. */
static void take_turn(struct conn *conn)
{
    unsigned reads = 0;
    bool going = true;

    while (going && !conn_check(conn)->dead) {
        going = conn_process(conn);
        going |= conn_write(conn);
        if (conn->dead)
            break;
        going |= advance(conn);
        if (!going && conn->unsure && !conn->dead && !conn->readable) {
            conn->unsure = false;
            conn->readable = conn->hung_up = conn_is_gone(conn);
            going = conn->hung_up;
        }
        if (going || conn->dead || !wants_read(conn))
            continue;
        if (reads++ == CONN_READS_PER_TURN) {
            conn_mark_due(conn);
            worker_arm_due(conn->worker);
        } else {
            going = read_once(conn);
        }
    }
    settle(conn);
}

void conn_mark_due(struct conn *conn)
{
    if (conn_check(conn)->is_due)
        return;
    conn->is_due = true;
    TAILQ_INSERT_TAIL(&conn->worker->due, conn, due_link);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = conn_check(arg);

    (void)fd;
    conn->readable = true;
    if ((what & EV_CLOSED) != 0)
        conn->hung_up = true;
    take_turn(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = conn_check(arg);

    (void)fd;
    (void)what;
    conn->blocked = false;
    take_turn(conn);
}

void conn_run_due(struct worker *worker)
{
    const struct conn *const last = TAILQ_LAST(&worker->due, conn_list);
    bool done = last == NULL;

    while (!done) { /* those that are due again have their turn next time */
        struct conn *conn = conn_check(TAILQ_FIRST(&worker->due));

        done = conn == last;
        TAILQ_REMOVE(&worker->due, conn, due_link);
        conn->is_due = false;
        take_turn(conn); /* may free it */
    }
}

void conn_resume_paused(struct worker *worker)
{
    struct conn *conn;

    /* A turn takes the connection off the list, or puts it at its end and leaves no room. */
    while ((conn = TAILQ_FIRST(&worker->paused)) != NULL && worker_has_room(worker)) {
        worker->resuming = conn;
        take_turn(conn);
    }
    worker->resuming = NULL;
}

/* ---- deadlines ---- */

static struct conn *expired(struct deadline *deadline)
{
    struct conn *conn = conn_check(container_of(deadline, struct conn, deadline));

    change_clock(conn, NULL); /* the worker has taken it out of the list */
    return conn;
}

void conn_hello_expired(struct deadline *deadline)
{
    struct conn *conn = expired(deadline);

    COUNT(conn_counters(conn), hello_timeouts);
    conn_protocol_error(conn, SPOP_ERR_TIMEOUT, "no HAPROXY-HELLO within hello-timeout");
    take_turn(conn);
}

void conn_idle_expired(struct deadline *deadline)
{
    struct conn *conn = expired(deadline);

    COUNT(conn_counters(conn), idle_timeouts);
    conn_disconnect(conn, SPOP_ERR_TIMEOUT);
    take_turn(conn);
}

void conn_linger_expired(struct deadline *deadline)
{
    conn_destroy(expired(deadline));
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
    conn->magic = CONN_MAGIC;
    conn->worker = worker;
    conn->fd = fd;
    conn->active_ns = clock_mono_ns();
    conn->in_need = SPOP_LENGTH_BYTES;
    conn->frame_max = CONN_HELLO_FRAME_MAX;
    (void)snprintf(conn->peer, sizeof conn->peer, "%s", peer);
    TAILQ_INIT(&conn->exchanges);
    TAILQ_INSERT_TAIL(&worker->conns, conn, link);
    COUNT(&worker->core.counters, connections);
    /* Edge-triggered, so that a connection that does not read now costs nothing, stays watched for
     * its peer's close and needs no call to begin or end reading. */
    if (event_assign(&conn->read_event, worker->base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
                     on_readable, conn) != 0 ||
        event_assign(&conn->write_event, worker->base, fd, EV_WRITE | EV_ET | EV_PERSIST,
                     on_writable, conn) != 0 ||
        event_add(&conn->read_event, NULL) != 0)
        conn->dead = true;
    settle(conn);
}

void conn_start_closing(struct conn *conn)
{
    assert(conn_check(conn)->state != CONN_CLOSING);
    (void)conn_write(conn);    /* first: what follows may see the peer's end */
    conn_discard_frames(conn); /* that stand behind the one for which it closes */
    conn->state = CONN_CLOSING;
    conn->wants_room = false;
    conn_abandon_exchanges(conn);
    conn_drop_input(conn);
}

void conn_destroy(struct conn *conn)
{
    struct worker *worker = conn_check(conn)->worker;

    conn_discard_frames(conn);
    conn_abandon_exchanges(conn);
    if (conn->clock != NULL)
        deadline_remove(conn->clock, &conn->deadline);
    change_clock(conn, NULL);
    if (conn->is_due)
        TAILQ_REMOVE(&worker->due, conn, due_link);
    if (conn->is_paused)
        TAILQ_REMOVE(&worker->paused, conn, paused_link);
    if (event_initialized(&conn->read_event))
        (void)event_del(&conn->read_event);
    if (event_initialized(&conn->write_event))
        (void)event_del(&conn->write_event);
    block_unref(&worker->blocks, conn->in);
    block_unref(&worker->blocks, conn->out);
    conn_engine_unref(conn->engine);
    peers_leave(conn->peer_group);
    TAILQ_REMOVE(&worker->conns, conn, link);
    (void)close(conn->fd);
    conn->magic = 0;
    free(conn);
    (void)atomic_fetch_sub(&worker->n_conns, 1);
    show_oldest(worker);
    worker_check_drained(worker);
}

void conn_end(struct conn *conn)
{
    if (!conn_check(conn)->dead && conn->state != CONN_CLOSING) {
        conn_answer_all(conn);
        conn_disconnect(conn, SPOP_OK);
    }
    (void)conn_write(conn);
    conn_destroy(conn);
}

/* @return NULL: none of these kinds is as old */
static struct conn *oldest_of(struct worker *worker, const struct evict_step *step, int64_t now_ns)
{
    struct conn *oldest = NULL;

    for (unsigned kind = 0; kind < N_EVICTABLE; kind++) {
        struct conn *conn = (step->kinds & 1u << kind) != 0 ? first_of(worker, kind) : NULL;

        if (conn != NULL && conn->active_ns + step->min_age_ns <= now_ns &&
            (oldest == NULL || conn->active_ns < oldest->active_ns))
            oldest = conn;
    }
    return oldest;
}

bool conn_evict(struct worker *worker, bool crowded)
{
    const int64_t now_ns = clock_mono_ns();
    struct conn *conn = NULL;

    for (size_t i = 0; i < N_EVICT_STEPS && conn == NULL; i++) {
        if (crowded || !evict_steps[i].only_crowded)
            conn = oldest_of(worker, &evict_steps[i], now_ns);
    }
    if (conn == NULL)
        return false;
    if (conn->state != CONN_CLOSING)
        conn_disconnect(conn, SPOP_ERR_RESOURCE);
    (void)conn_write(conn);
    COUNT(conn_counters(conn), evicted_connections);
    conn_destroy(conn);
    return true;
}

static void drain(struct conn *conn)
{
    if (conn->state == CONN_HELLO) {
        conn_disconnect(conn, SPOP_OK);
    } else if (conn->state == CONN_OPEN) {
        conn->state = CONN_DRAINING;
        conn->reads_left = CONN_READS_AT_DRAIN;
        conn->readable = true; /* maybe: what has come in the meantime has not been told yet */
    }
    take_turn(conn);
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
