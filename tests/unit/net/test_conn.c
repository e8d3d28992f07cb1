/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: frames, room, back-pressure, closes, time-outs, the drain, who is evicted. */
#include "rig.h"

#include "core/exchange.h"
#include "core/request.h"

#include <signal.h>

#define CONN_TEST(name) Test(conn, name, .timeout = 30)

/* Calls of the host, by the linker (--wrap, see CMakeLists.txt). */
static bool counting;
static unsigned n_recvs;
ssize_t __real_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
    n_recvs += counting;
    return __real_recv(fd, to, size, flags);
}

/* All that a peer can take of what a host has to say. @return ACKs, from `first` on */
static size_t read_all(struct peer *peer, uint64_t first, size_t wanted)
{
    size_t n = 0, idle = 0;

    while (n < wanted && idle < 3) {
        size_t more;

        rig_turn();
        more = peer_acks(peer, first + n);
        idle = more == 0 ? idle + 1 : 0;
        n += more;
    }
    return n;
}

CONN_TEST(answers)
{
    struct peer *peer;

    rig_start(100);
    peer = peer_open(0);
    peer_send_notifies(peer, 1, 3);
    rig_turn();
    cr_assert_eq(peer_acks(peer, 1), 3);
    cr_assert_eq(rig.plugin.n_calls, 3);
    cr_assert_null(peer->conn->in, "an idle connection keeps no block");
    cr_assert_null(peer->conn->out);
    peer_free(peer);
    rig_turn();
    cr_assert(TAILQ_EMPTY(&rig.worker[0].conns));
    cr_assert_eq(rig.worker[0].n_conns, 0);
    rig_stop();
}

/* 1.1, H1: every frame is answered without one more byte being sent. */
CONN_TEST(goes_on_when_the_output_has_room_again)
{
    struct peer *peer;

    rig_start(100);
    peer = peer_open(0);
    rig.plugin.answer_bytes = 16000;
    for (size_t n = 1; n <= 200; n += 33) {
        peer_send_notifies(peer, 1, n);
        cr_assert_eq(read_all(peer, 1, n), n, "of %zu", n);
    }
    cr_assert_null(peer->conn->out);
    cr_assert_not(event_pending(&peer->conn->write_event, EV_WRITE, NULL),
                  "writable is not watched when there is nothing to write");
    peer_free(peer);
    rig_stop();
}

/* 1.1: a peer that does not read is not read, and what it has sent is bounded. */
CONN_TEST(does_not_read_a_peer_that_does_not_read)
{
    struct peer *peer;
    uint8_t frame[32];
    size_t sent = 0, n;

    rig_start(100);
    peer = peer_open(0);
    rig.plugin.answer_bytes = 4000;
    for (unsigned idle = 0; idle < 3; idle++) {
        for (;;) {
            n = put_notify(frame, sent + 1);
            if (send(peer->fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n)
                break;
            sent++;
            idle = 0;
        }
        rig_turn();
    }
    cr_assert(peer->conn->blocked);
    cr_assert(event_pending(&peer->conn->write_event, EV_WRITE, NULL));
    cr_assert_lt(conn_output_len(peer->conn), CONN_OUTPUT_HIGH + RIG_FRAME_SIZE);
    cr_assert_leq(peer->conn->out->size, 2 * (CONN_OUTPUT_HIGH + RIG_FRAME_SIZE));
    cr_assert_lt(rig.plugin.n_calls, sent);
    cr_assert_eq(read_all(peer, 1, sent), sent);
    peer_free(peer);
    rig_stop();
}

/* The other connections have their turn, however much one sends. */
CONN_TEST(a_turn_ends)
{
    struct peer *peer;

    rig_start(100);
    peer = peer_open(0);
    peer_send_notifies(peer, 1, 12000);
    cr_assert_geq(event_base_loop(rig.worker[0].base, EVLOOP_ONCE), 0);
    cr_assert_gt(rig.plugin.n_calls, 1000);
    cr_assert_lt(rig.plugin.n_calls, 12000);
    cr_assert_eq(read_all(peer, 1, 12000), 12000);
    peer_free(peer);
    rig_stop();
}

/* 1.2 */
CONN_TEST(only_notifies_wait_for_room)
{
    struct peer *full, *check, *other;

    rig_start(2);
    rig.plugin.pend = true;
    full = peer_open(0);
    peer_send_notifies(full, 1, 5);
    rig_turn();
    cr_assert_eq(rig.plugin.n_calls, 2);
    cr_assert(full->conn->is_paused);
    check = peer_connect(0);
    peer_send_hello(check, RIG_FRAME_SIZE, true);
    rig_turn();
    expect_frame(check, SPOP_AGENT_HELLO);
    expect_end(check);
    other = peer_open(1);
    peer_send_notifies(other, 1, 1);
    rig_turn();
    cr_assert(other->conn->is_paused);
    rig_complete(2);
    rig_turn();
    cr_assert_eq(peer_acks(full, 1), 2);
    cr_assert_eq(rig.plugin.n_calls, 4);
    while (rig.plugin.n_pending > 0) {
        rig_complete(1);
        rig_turn();
    }
    cr_assert_eq(peer_acks(full, 3), 3);
    cr_assert_eq(peer_acks(other, 1), 1);
    cr_assert_eq(rig.shared.n_pending, 0);
    peer_free(full), peer_free(check), peer_free(other);
    rig_stop();
}

/* 1.2, H2: room that nobody wants wakes nobody, and nobody waits on when there is some. */
CONN_TEST(workers_do_not_wake_each_other_for_nothing)
{
    struct peer *a, *b;
    uint64_t count;

    rig_start(1);
    rig.plugin.pend = true;
    a = peer_open(0);
    b = peer_open(1);
    peer_send_notifies(a, 1, 4);
    rig_turn();
    peer_send_notifies(b, 1, 4);
    rig_turn();
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(rig.plugin.n_pending, 1);
        rig_complete(1);
        rig_turn();
    }
    cr_assert_eq(peer_acks(a, 1), 4);
    cr_assert_eq(peer_acks(b, 1), 4);
    for (unsigned i = 0; i < RIG_WORKERS; i++) {
        cr_assert_eq(read(rig.worker[i].core.mailbox.fd, &count, sizeof count), -1,
                     "worker %u is woken though nothing happens", i);
        cr_assert(TAILQ_EMPTY(&rig.worker[i].paused));
    }
    peer_free(a), peer_free(b);
    rig_stop();
}

/* 1.2: the two take turns. */
CONN_TEST(a_worker_does_not_keep_all_the_room)
{
    struct peer *a, *b;

    rig_start(1);
    rig.plugin.pend = true;
    a = peer_open(0);
    b = peer_open(1);
    peer_send_notifies(a, 1, 100);
    rig_turn();
    peer_send_notifies(b, 1, 100);
    rig_turn();
    for (unsigned i = 0; i < 20; i++) {
        cr_assert_eq(rig.plugin.n_pending, 1);
        rig_complete(1);
        rig_turn();
    }
    cr_assert_geq(peer_acks(a, 1), 5);
    cr_assert_geq(peer_acks(b, 1), 5);
    peer_free(a), peer_free(b);
    rig_stop();
}

/* 1.2: room that a worker was told of is gone when it looks. It goes on waiting. */
CONN_TEST(room_that_is_gone_again_is_waited_for_again)
{
    struct peer *a, *b;
    size_t n_a = 0, n_b = 0;

    rig_start(2);
    rig.plugin.pend = true;
    a = peer_open(0);
    b = peer_open(1);
    peer_send_notifies(a, 1, 20);
    rig_turn();
    peer_send_notifies(b, 1, 20);
    rig_turn();
    for (unsigned i = 0; i < 2; i++) { /* the first one is given away, and taken with the second */
        rig_complete(1);
        cr_assert_geq(event_base_loop(rig.worker[0].base, EVLOOP_NONBLOCK), 0);
    }
    cr_assert_eq(rig.shared.n_pending, 2);
    for (unsigned i = 0; i < 100 && n_a + n_b < 40; i++) {
        rig_turn();
        rig_complete(rig.plugin.n_pending);
        rig_turn();
        n_a += peer_acks(a, n_a + 1);
        n_b += peer_acks(b, n_b + 1);
    }
    cr_assert_eq(n_a, 20);
    cr_assert_eq(n_b, 20);
    peer_free(a), peer_free(b);
    rig_stop();
}

/* 1.2: a worker that hangs and was given room takes none from the others. */
CONN_TEST(room_does_not_wait_for_a_worker_that_does_not_turn)
{
    struct peer *a, *b;

    rig_start(1);
    rig.plugin.pend = true;
    a = peer_open(0);
    b = peer_open(1);
    peer_send_notifies(a, 1, 10);
    rig_turn();
    peer_send_notifies(b, 1, 10);
    rig_turn();
    for (unsigned i = 1; i < 10; i++) {
        cr_assert_eq(rig.plugin.n_pending, 1, "stalls after %u", i);
        rig_complete(1);
        for (unsigned round = 0; round < 100 && rig.plugin.n_pending == 0; round++)
            cr_assert_geq(event_base_loop(rig.worker[0].base, EVLOOP_ONCE), 0);
    }
    cr_assert_eq(peer_acks(a, 1), 9);
    cr_assert_eq(rig.plugin.n_calls, 10);
    peer_free(a), peer_free(b);
    rig_stop();
}

/* 1.2: nor where messages of the giver's own are still pending, which may take long. */
CONN_TEST(room_comes_back_from_a_worker_that_does_not_turn_while_others_are_pending)
{
    const int64_t limit_ns = clock_mono_ns() + 10 * NS_PER_S;
    struct peer *a, *b;

    rig_start(2);
    rig.plugin.pend = true;
    a = peer_open(0);
    b = peer_open(1);
    peer_send_notifies(a, 1, 3);
    rig_turn();
    peer_send_notifies(b, 1, 1);
    rig_turn();
    rig_complete(1);
    while (rig.plugin.n_calls < 3 && clock_mono_ns() < limit_ns)
        cr_assert_geq(event_base_loop(rig.worker[0].base, EVLOOP_NONBLOCK), 0);
    cr_assert_eq(rig.plugin.n_calls, 3);
    peer_free(a), peer_free(b);
    rig_stop();
}

/* 1.6: what stands behind the frame that ends a connection was read, and is lost. */
CONN_TEST(counts_the_frames_behind_one_that_ends_the_connection)
{
    static const uint8_t bad_payload[] = {200}, bad_head[] = {0, 0, 0, 7, 3, 0, 0, 0, 1, 255, 255};
    uint8_t frames[512];
    struct peer *peer;
    size_t n;

    rig_start(10);
    peer = peer_open(0);
    n = put_notify(frames, 1);
    n += put_frame(frames + n, SPOP_NOTIFY, 1, 2, bad_payload, sizeof bad_payload);
    for (uint64_t id = 3; id < 6; id++)
        n += put_notify(frames + n, id);
    peer_send(peer, frames, n);
    rig_turn();
    expect_frame(peer, SPOP_ACK);
    expect_disconnect(peer, SPOP_ERR_INVALID);
    cr_assert_eq(COUNTED(discarded_frames), 3);
    peer_free(peer);

    peer = peer_open(0);
    memcpy(frames, bad_head, sizeof bad_head);
    n = sizeof bad_head;
    n += put_notify(frames + n, 1);
    peer_send(peer, frames, n);
    rig_turn();
    expect_disconnect(peer, SPOP_ERR_INVALID);
    cr_assert_eq(COUNTED(discarded_frames), 4, "and not itself");
    peer_free(peer);
    rig_stop();
}

/* 1.2: whoever waits longest goes on first, also where it goes on sending. */
CONN_TEST(a_connection_that_waits_for_room_keeps_its_place)
{
    struct peer *full, *first, *second;

    rig_start(1);
    rig.plugin.pend = true;
    full = peer_open(0);
    first = peer_open(0);
    second = peer_open(0);
    peer_send_notifies(full, 1, 1);
    rig_turn();
    peer_send_notifies(first, 1, 1);
    rig_turn();
    peer_send_notifies(second, 1, 2);
    rig_turn();
    peer_send_notifies(first, 2, 1); /* bytes that come are no turn */
    rig_turn();
    cr_assert(first->conn->is_paused && second->conn->is_paused);
    for (unsigned i = 0; i < 2; i++) {
        rig_complete(1);
        rig_turn();
        cr_assert_eq(TAILQ_EMPTY(&first->conn->exchanges), i == 1, "after %u", i + 1);
        cr_assert_eq(TAILQ_EMPTY(&second->conn->exchanges), i == 0, "they take turns");
    }
    rig_complete(1);
    rig_turn();
    cr_assert_eq(peer_acks(first, 1), 1);
    cr_assert_eq(peer_acks(second, 1), 1);
    peer_free(full), peer_free(first), peer_free(second);
    rig_stop();
}

/* 1.2, H3: frames in our buffer and frames in the kernel. */
CONN_TEST(sees_a_close_without_room_and_counts_what_is_lost)
{
    struct peer *full, *peer;

    rig_start(1);
    rig.plugin.pend = true;
    full = peer_open(0);
    peer_send_notifies(full, 1, 1);
    rig_turn();
    for (unsigned reset = 0; reset < 2; reset++) {
        const uint64_t before = COUNTED(discarded_frames);

        peer = peer_connect(0);
        peer_send_hello(peer, RIG_FRAME_SIZE, false);
        rig_turn();
        if (!reset) /* else its close, with that unread, is an error of our socket */
            expect_frame(peer, SPOP_AGENT_HELLO);
        peer_send_notifies(peer, 1, 3000);
        rig_turn();
        cr_assert(peer->conn->is_paused);
        peer_close(peer);
        rig_turn();
        cr_assert_eq(COUNTED(discarded_frames) - before, 3000);
        peer_free(peer);
    }
    peer_free(full);
    rig_turn();
    cr_assert(TAILQ_EMPTY(&rig.worker[0].conns));
    cr_assert(TAILQ_EMPTY(&rig.worker[0].paused));
    rig_stop();
}

/* A connection that waits for room has an answer due, and is reset; then room comes. */
CONN_TEST(leaves_the_paused_list_when_it_ends)
{
    struct peer *peer, *other;

    rig_start(2);
    rig.plugin.pend = true;
    peer = peer_open(0);
    other = peer_open(0);
    peer_send_notifies(peer, 1, 3);
    rig_turn();
    peer_send_notifies(other, 1, 1);
    rig_turn();
    cr_assert(peer->conn->is_paused);
    rig_complete(1); /* its mail is not read yet */
    peer_close(peer);
    rig_turn();
    rig_complete(rig.plugin.n_pending);
    rig_turn();
    rig_complete(rig.plugin.n_pending);
    rig_turn();
    cr_assert_eq(peer_acks(other, 1), 1);
    peer_free(peer), peer_free(other);
    rig_stop();
}

/* 1.2: whether the connection is there or not. */
CONN_TEST(expired_requests_give_their_places_back)
{
    struct peer *peer, *gone;

    rig_start(2);
    rig.conf.processing_timeout_ns = 1;
    rig.plugin.pend = true;
    peer = peer_open(0);
    for (unsigned i = 0; i < 5; i++) {
        peer_send_notifies(peer, 2 * i + 1, 2);
        while (rig.shared.n_pending > 0 || rig.plugin.n_calls < 2 * i + 2)
            rig_turn();
        cr_assert_eq(peer_acks(peer, 2 * i + 1), 2);
    }
    cr_assert_eq(COUNTED(timeouts), 10);
    gone = peer_open(0);
    peer_send_notifies(gone, 1, 2);
    peer_close(gone);
    while (rig.plugin.n_calls < 12 || rig.shared.n_pending > 0)
        rig_turn();
    cr_assert_eq(rig.worker[0].core.n_outstanding, 12);
    cr_assert_eq(rig.worker[0].core.n_places, 0);
    rig_complete(12); /* late: no harm */
    rig_turn();
    cr_assert_eq(rig.worker[0].core.n_outstanding, 0);
    expect_nothing(peer);
    peer_free(peer), peer_free(gone);
    rig_stop();
}

/* 1.2: what a plugin that never completes may hold is bounded, and costs nobody else anything. */
CONN_TEST(a_plugin_that_completes_nothing_gets_no_more)
{
    struct peer *peer;
    unsigned calls;
    size_t n = 0;

    rig_start(RIG_PENDING_MAX);
    rig.conf.processing_timeout_ns = 1;
    rig.plugin.pend = true;
    peer = peer_open(0);
    for (unsigned i = 0; i < 13; i++) {
        peer_send_notifies(peer, n + 1, 100);
        for (size_t end = n + 100; n < end;) {
            rig_turn();
            n += peer_acks(peer, n + 1);
        }
    }
    calls = rig.plugin.n_calls;
    cr_assert_geq(calls, OVERDUE_MAX);
    cr_assert_leq(calls, OVERDUE_MAX + 100, "those of a frame's time were not over yet");
    cr_assert_eq(COUNTED(withheld_messages), 1300 - calls);
    cr_assert_eq(rig.shared.n_pending, 0);
    rig_complete(calls - OVERDUE_MAX + 1);
    rig_turn();
    peer_send_notifies(peer, n + 1, 1);
    while (rig.plugin.n_calls < calls + 1)
        rig_turn();
    rig_complete(rig.plugin.n_pending);
    rig_turn();
    cr_assert_eq(rig.worker[0].core.n_overdue[0], 0);
    cr_assert_eq(rig.worker[0].core.n_outstanding, 0);
    peer_free(peer);
    rig_stop();
}

static void drain(uint32_t worker)
{
    worker_drain(&rig.worker[worker]);
    rig_turn();
}

/* 1.3: read, and not read yet. */
CONN_TEST(a_drain_answers_what_has_come)
{
    struct peer *idle, *unread, *paused, *silent;

    rig_start(2);
    idle = peer_open(0);
    silent = peer_connect(0);
    unread = peer_open(0);
    paused = peer_open(0);
    rig.plugin.pend = true;
    peer_send_notifies(paused, 1, 2000);
    rig_turn();
    cr_assert(paused->conn->is_paused);
    peer_send_notifies(unread, 1, 2000);
    drain(0);
    expect_disconnect(idle, 0);
    expect_end(idle);
    expect_disconnect(silent, 0);
    for (unsigned i = 0; rig.plugin.n_pending > 0; i++) {
        cr_assert_lt(i, 5000);
        rig_complete(rig.plugin.n_pending);
        rig_turn();
    }
    for (unsigned i = 0; i < 2; i++) {
        struct peer *peer = i == 0 ? unread : paused;
        struct got got;

        for (uint64_t id = 1; id <= 2000; id++) {
            for (unsigned turns = 0; (got = peer_recv(peer)).type == 0 && turns < 3; turns++)
                rig_turn();
            cr_assert_eq(got.type, SPOP_ACK, "%u: %lu", i, (unsigned long)id);
            cr_assert_eq(got.id, id);
        }
        rig_turn();
        expect_disconnect(peer, 0);
        expect_end(peer);
        peer_free(peer);
    }
    peer_free(idle), peer_free(silent);
    rig_turn();
    cr_assert_eq(worker_get_phase(&rig.worker[0]), WORKER_DRAINED);
    rig_stop();
}

/* What comes after the drain has begun is not read. */
CONN_TEST(a_drain_has_an_end)
{
    struct peer *peer;

    rig_start(2);
    peer = peer_open(0);
    rig.plugin.pend = true;
    peer_send_notifies(peer, 1, 1);
    drain(0);
    cr_assert_eq(worker_get_phase(&rig.worker[0]), WORKER_DRAINING);
    peer_send_notifies(peer, 2, 1);
    rig_turn();
    rig_complete(1);
    rig_turn();
    cr_assert_eq(rig.plugin.n_calls, 1);
    cr_assert_eq(peer_recv(peer).type, SPOP_ACK);
    expect_disconnect(peer, 0);
    peer_free(peer);
    rig_turn();
    cr_assert_eq(worker_get_phase(&rig.worker[0]), WORKER_DRAINED);
    rig_stop();
}

/* The client is gone, the plugin holds its request: the worker is drained when that is completed.
 */
CONN_TEST(a_drain_waits_for_messages_whose_connection_is_gone)
{
    struct peer *peer;

    rig_start(2);
    peer = peer_open(0);
    rig.plugin.pend = true;
    peer_send_notifies(peer, 1, 1);
    rig_turn();
    peer_free(peer);
    rig_turn();
    cr_assert_eq(rig.plugin.n_cancels, 1);
    cr_assert_eq(rig.plugin.why, SPOE_CANCEL_CONN_CLOSED);
    drain(0);
    cr_assert_eq(worker_get_phase(&rig.worker[0]), WORKER_DRAINING);
    rig_complete(1);
    rig_turn();
    cr_assert_eq(worker_get_phase(&rig.worker[0]), WORKER_DRAINED);
    rig_stop();
}

/* 2.6 */
CONN_TEST(quiescing_refuses_health_checks_alone)
{
    struct peer *peer, *check, *fresh;

    rig_start(2);
    peer = peer_open(0);
    worker_quiesce(&rig.worker[0]);
    rig_turn();
    check = peer_connect(0);
    peer_send_hello(check, RIG_FRAME_SIZE, true);
    peer_send_notifies(peer, 1, 1);
    rig_turn();
    expect_disconnect(check, 0);
    cr_assert_eq(peer_acks(peer, 1), 1);
    fresh = peer_open(0);
    peer_send_notifies(fresh, 1, 1);
    rig_turn();
    cr_assert_eq(peer_acks(fresh, 1), 1);
    drain(0);
    expect_disconnect(peer, 0);
    peer_free(peer), peer_free(check), peer_free(fresh);
    rig_stop();
}

/* Make every deadline of a list due, and let the timer see it. */
static void make_due(struct worker *worker, struct deadline_list *list)
{
    struct deadline *deadline;

    TAILQ_FOREACH(deadline, list, link)
    deadline->at_ns = 1;
    worker->close_at_ns = 0;
    worker_arm_close(worker);
    while ((deadline = TAILQ_FIRST(list)) != NULL && deadline->at_ns == 1)
        cr_assert_geq(event_base_loop(worker->base, EVLOOP_ONCE), 0);
}

/* 1.4 */
CONN_TEST(idle_connections_end_with_code_2)
{
    struct peer *idle, *busy;

    rig_start(10);
    rig.plugin.pend = true;
    idle = peer_open(0);
    busy = peer_open(0);
    peer_send_notifies(busy, 1, 1);
    rig_turn();
    make_due(&rig.worker[0], &rig.worker[0].unused);
    expect_disconnect(idle, SPOP_ERR_TIMEOUT);
    expect_nothing(busy);
    cr_assert_eq(COUNTED(idle_timeouts), 1);
    cr_assert_eq(COUNTED(protocol_errors), 0);
    rig_complete(1);
    rig_turn();
    cr_assert_eq(peer_acks(busy, 1), 1);
    make_due(&rig.worker[0], &rig.worker[0].idle);
    expect_disconnect(busy, SPOP_ERR_TIMEOUT);
    peer_free(idle), peer_free(busy);
    rig_stop();
}

/* 1.4: 0 switches it off; who is silent for longest is known all the same. */
CONN_TEST(idle_timeout_can_be_off)
{
    struct peer *peer;

    rig_start(10);
    rig.conf.idle_timeout_ns = 0;
    peer = peer_open(0);
    cr_assert_gt(peer->conn->deadline.at_ns, clock_mono_ns() + 1000000 * NS_PER_S);
    cr_assert_eq(rig.worker[0].oldest_ns[EVICT_UNUSED], peer->conn->active_ns);
    worker_arm_close(&rig.worker[0]);
    rig_turn();
    expect_nothing(peer);
    cr_assert(conn_evict(&rig.worker[0], false));
    expect_disconnect(peer, SPOP_ERR_RESOURCE);
    peer_free(peer);
    rig_stop();
}

CONN_TEST(silent_connections_end_at_hello_timeout)
{
    struct peer *silent;

    rig_start(10);
    silent = peer_connect(0);
    make_due(&rig.worker[0], &rig.worker[0].hello);
    expect_disconnect(silent, SPOP_ERR_TIMEOUT);
    cr_assert_eq(COUNTED(hello_timeouts), 1);
    peer_free(silent);
    rig_stop();
}

/* A frame that says nothing does not put hello-timeout off. */
CONN_TEST(unknown_frames_do_not_keep_a_connection_without_hello)
{
    struct peer *peer;
    uint8_t frame[32];
    int64_t at_ns;

    rig_start(10);
    peer = peer_connect(0);
    at_ns = peer->conn->deadline.at_ns;
    peer_send(peer, frame, put_frame(frame, 50, 1, 1, NULL, 0));
    rig_turn();
    cr_assert_eq(COUNTED(unknown_frames), 1);
    cr_assert_eq(peer->conn->deadline.at_ns, at_ns);
    peer_free(peer);
    rig_stop();
}

/* A peer that ignores the DISCONNECT is closed after LINGER_NS, one that closes at once. */
CONN_TEST(lingers_until_the_peer_closes_or_the_time_is_over)
{
    struct peer *stays, *goes, *idle, *silent;
    const uint8_t bad[] = {0, 0, 0, 1};

    rig_start(10);
    idle = peer_open(1); /* later deadlines in the other lists */
    silent = peer_connect(1);
    stays = peer_open(1);
    peer_send(stays, bad, sizeof bad);
    rig_turn();
    cr_assert_leq(rig.worker[1].close_at_ns, clock_mono_ns() + LINGER_NS);
    peer_free(stays), peer_free(idle), peer_free(silent);
    stays = peer_open(0);
    goes = peer_open(0);
    peer_send(stays, bad, sizeof bad);
    peer_send(goes, bad, sizeof bad);
    rig_turn();
    expect_disconnect(stays, SPOP_ERR_INVALID);
    expect_end(stays);
    cr_assert_eq(rig.worker[0].n_conns, 2);
    peer_send_notifies(stays, 1, 100); /* thrown away */
    rig_turn();
    peer_close(goes);
    rig_turn();
    cr_assert_eq(rig.worker[0].n_conns, 1);
    cr_assert_leq(stays->conn->deadline.at_ns, clock_mono_ns() + LINGER_NS);
    make_due(&rig.worker[0], &rig.worker[0].linger);
    cr_assert_eq(rig.worker[0].n_conns, 0);
    cr_assert_eq(rig.plugin.n_calls, 0);
    peer_free(stays), peer_free(goes);
    rig_stop();
}

/* 1.4: who goes when all places are taken. */
CONN_TEST(evicts_in_order)
{
    struct peer *lingering, *old_silent, *young_silent, *idle, *recent, *busy;
    const uint8_t bad[] = {0, 0, 0, 1};
    struct worker *worker = &rig.worker[0];

    rig_start(10);
    idle = peer_open(0);
    recent = peer_open(0);
    old_silent = peer_connect(0);
    young_silent = peer_connect(0);
    lingering = peer_open(0);
    busy = peer_open(0);
    peer_send(lingering, bad, sizeof bad);
    rig_turn();
    rig.plugin.pend = true;
    peer_send_notifies(busy, 1, 1);
    rig_turn();
    rig.plugin.pend = false;
    peer_send_notifies(recent, 1, 1);
    rig_turn();
    cr_assert_eq(peer_acks(recent, 1), 1);
    old_silent->conn->active_ns -= HELLO_GRACE_NS;
    cr_assert_neq(worker->oldest_ns[EVICT_LINGERING], 0);
    cr_assert(conn_evict(worker, false));
    cr_assert_eq(worker->oldest_ns[EVICT_LINGERING], 0);
    cr_assert_eq(worker->n_conns, 5);
    cr_assert(conn_evict(worker, false));
    expect_disconnect(old_silent, SPOP_ERR_RESOURCE);
    expect_end(old_silent);
    expect_nothing(young_silent);
    cr_assert(conn_evict(worker, false));
    expect_disconnect(idle, SPOP_ERR_RESOURCE);
    cr_assert(conn_evict(worker, false));
    expect_disconnect(recent, SPOP_ERR_RESOURCE);
    cr_assert(conn_evict(worker, false));
    expect_disconnect(young_silent, SPOP_ERR_RESOURCE);
    cr_assert_not(conn_evict(worker, false), "one with a message in flight stays");
    for (size_t i = 0; i < N_EVICTABLE; i++)
        cr_assert_eq(worker->oldest_ns[i], 0);
    rig_complete(1);
    rig_turn();
    cr_assert_eq(peer_acks(busy, 1), 1);
    cr_assert_eq(COUNTED(evicted_connections), 5);
    peer_free(lingering), peer_free(old_silent), peer_free(young_silent);
    peer_free(idle), peer_free(recent), peer_free(busy);
    rig_stop();
}

/* 1.4: a peer that has sent a NOTIFY may well be HAProxy; one that never did for a while is not. */
CONN_TEST(evicts_what_was_never_of_use_before_what_was)
{
    struct peer *used, *unused, *young, *silent;
    struct worker *worker = &rig.worker[0];

    rig_start(10);
    used = peer_open(0);
    peer_send_notifies(used, 1, 1);
    rig_turn();
    cr_assert_eq(peer_acks(used, 1), 1);
    unused = peer_open(0);
    young = peer_open(0);
    silent = peer_connect(0);
    cr_assert_eq(worker->n_newcomers, 3);
    used->conn->active_ns -= 10 * HELLO_GRACE_NS; /* idle for longest */
    unused->conn->active_ns -= HELLO_GRACE_NS;
    cr_assert(conn_evict(worker, false));
    expect_disconnect(unused, SPOP_ERR_RESOURCE);
    /* In a crowd newcomers go, the oldest first, whatever they have said. */
    cr_assert(conn_evict(worker, true));
    expect_disconnect(young, SPOP_ERR_RESOURCE);
    cr_assert(conn_evict(worker, true));
    expect_disconnect(silent, SPOP_ERR_RESOURCE);
    cr_assert_eq(worker->n_newcomers, 0);
    expect_nothing(used);
    cr_assert(conn_evict(worker, true));
    expect_disconnect(used, SPOP_ERR_RESOURCE);
    peer_free(used), peer_free(unused), peer_free(young), peer_free(silent);
    rig_stop();
}

/* 1.4: those with and without HELLO are counted until their first NOTIFY, or until they go. */
CONN_TEST(newcomers_are_counted)
{
    struct peer *silent, *unused, *gone;
    struct worker *worker = &rig.worker[0];

    rig_start(10);
    silent = peer_connect(0);
    unused = peer_open(0);
    gone = peer_open(0);
    cr_assert_eq(worker->n_newcomers, 3);
    rig.plugin.pend = true;
    peer_send_notifies(unused, 1, 1);
    rig_turn();
    cr_assert_eq(worker->n_newcomers, 2);
    rig_complete(1);
    rig_turn();
    cr_assert_eq(worker->n_newcomers, 2);
    peer_close(gone);
    rig_turn();
    cr_assert_eq(worker->n_newcomers, 1);
    make_due(worker, &worker->hello);
    cr_assert_eq(worker->n_newcomers, 0);
    peer_free(silent), peer_free(unused), peer_free(gone);
    rig_stop();
}

/* 1.4, 2.10: an accepted socket for which another connection has to go. */
CONN_TEST(adopts_in_place_of_another_or_not_at_all)
{
    struct peer *idle;
    int first[2], second[2];
    char byte;

    rig_start(10);
    idle = peer_open(0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, first), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second), 0);
    worker_adopt(&rig.worker[0], first[0], "first", WORKER_EVICTS);
    cr_assert_eq(rig.worker[0].n_evicting, 1);
    cr_assert_eq(rig.worker[0].n_conns, 2);
    rig_turn();
    cr_assert_eq(rig.worker[0].n_evicting, 0);
    cr_assert_eq(rig.worker[0].n_conns, 1);
    expect_disconnect(idle, SPOP_ERR_RESOURCE);
    worker_adopt(&rig.worker[1], second[0], "second", WORKER_EVICTS); /* it has none */
    rig_turn();
    cr_assert_eq(recv(second[1], &byte, 1, 0), 0);
    cr_assert_eq(rig.shared.n_refused, 1);
    cr_assert_eq(rig.worker[1].n_conns, 0);
    close(first[1]), close(second[1]);
    peer_free(idle);
    rig_stop();
}

/* 1.5: a length is believed as far as its bytes come. */
CONN_TEST(buffers_grow_with_what_comes)
{
    struct peer *peer;
    uint8_t *frame = calloc(1, 300000), payload[200000] = {1, 'm', 0};
    size_t n;

    rig_start(10);
    peer = peer_connect(0);
    peer_send_hello(peer, 1 << 20, false);
    rig_turn();
    expect_frame(peer, SPOP_AGENT_HELLO);
    n = put_frame(frame, 50, 1, 1, payload, sizeof payload); /* of a type that is skipped */
    peer_send(peer, frame, 100);
    rig_turn();
    cr_assert_eq(peer->conn->in->size, BLOCK_SIZE);
    peer_send(peer, frame + 100, 29900);
    rig_turn();
    cr_assert_leq(peer->conn->in->size, 2 * 30000);
    for (size_t at = 30000; at < n; at += 10000) {
        peer_send(peer, frame + at, n - at < 10000 ? n - at : 10000);
        rig_turn();
    }
    cr_assert_eq(COUNTED(unknown_frames), 1);
    cr_assert_null(peer->conn->in);
    free(frame);
    peer_free(peer);
    rig_stop();
}

/* Mutants: what HAProxy says with a DISCONNECT. */
CONN_TEST(an_error_of_the_peer_is_counted_an_idle_end_is_not)
{
    rig_start(10);
    for (uint32_t status = 0; status <= 4; status++) {
        struct peer *peer = peer_open(0);
        const struct spoe_value code = {.type = SPOE_T_UINT32, .u.u32 = status},
                                message = text_value("why");
        uint8_t payload[64], frame[100];
        size_t n = put_item(payload, "status-code", &code);

        n += put_item(payload + n, "message", &message);
        peer_send(peer, frame, put_frame(frame, SPOP_HAPROXY_DISCONNECT, 1, 0, payload, n));
        rig_turn();
        expect_disconnect(peer, 0);
        cr_assert_eq(COUNTED(peer_errors), status > 2 ? status - 2 : 0);
        peer_free(peer);
    }
    rig_stop();
}

/* A HELLO belongs to no stream and no frame. */
CONN_TEST(a_hello_with_an_id_is_refused)
{
    rig_start(10);
    for (uint8_t i = 1; i < 4; i++) {
        struct peer *peer = peer_connect(0);

        peer_send_hello(peer, RIG_FRAME_SIZE, false);
        rig_turn();
        expect_frame(peer, SPOP_AGENT_HELLO);
        peer_free(peer);
        peer = peer_connect(0);
        peer_send_hello_of(peer, (uint8_t)(i & 1), (uint8_t)(i >> 1));
        rig_turn();
        expect_disconnect(peer, SPOP_ERR_INVALID);
        cr_assert_eq(COUNTED(hello_failures[SPOP_ERR_INVALID]), i);
        peer_free(peer);
    }
    rig_stop();
}

/* The ACK may be as large as was agreed, to the byte. */
CONN_TEST(an_ack_fills_the_agreed_size)
{
    struct peer *peer;
    struct got got;

    rig_start(10);
    peer = peer_open(0);
    /* 7 bytes of head; of the action 3, the name's 2, the value's type and 3 of length */
    rig.plugin.answer_bytes = RIG_FRAME_SIZE - 7 - 3 - 2 - 1 - 3;
    peer_send_notifies(peer, 1, 1);
    rig_turn();
    got = peer_recv(peer);
    cr_assert_eq(got.size - SPOP_LENGTH_BYTES, RIG_FRAME_SIZE);
    cr_assert_eq(COUNTED(truncated_actions), 0);
    rig.plugin.answer_bytes++;
    peer_send_notifies(peer, 1, 1);
    rig_turn();
    cr_assert_lt(peer_recv(peer).size, 64);
    cr_assert_eq(COUNTED(truncated_actions), 1);
    peer_free(peer);
    rig_stop();
}

CONN_TEST(a_frame_that_takes_a_fragment_back_is_skipped)
{
    struct peer *peer;
    uint8_t frame[32];

    rig_start(10);
    peer = peer_open(0);
    peer_send(peer, frame, put_frame(frame, SPOP_NOTIFY, 3, 1, (const uint8_t[]){1, 'm', 0}, 3));
    rig_turn();
    expect_nothing(peer);
    cr_assert_eq(rig.plugin.n_calls, 0);
    cr_assert_eq(COUNTED(unknown_frames), 1);
    peer_send_notifies(peer, 1, 1);
    rig_turn();
    cr_assert_eq(peer_acks(peer, 1), 1);
    peer_free(peer);
    rig_stop();
}

/* The time to end is over. */
CONN_TEST(the_end_answers_what_is_in_flight)
{
    struct peer *peer;

    rig_start(10);
    rig.plugin.pend = true;
    peer = peer_open(0);
    peer_send_notifies(peer, 1, 3);
    rig_turn();
    conn_end(peer->conn);
    cr_assert_eq(rig.plugin.n_cancels, 3);
    cr_assert_eq(rig.plugin.why, SPOE_CANCEL_DRAIN);
    for (uint64_t id = 1; id <= 3; id++)
        cr_assert_eq(peer_recv(peer).id, id);
    expect_disconnect(peer, 0);
    expect_end(peer);
    peer_free(peer);
    rig_stop();
}

/* 9.2: messages that plugins hold keep the bytes that they point to, not a block each. */
CONN_TEST(small_messages_in_flight_share_a_block)
{
    struct peer *peer;
    const struct block *block = NULL;
    unsigned n_blocks = 0;

    rig_start(200);
    rig.plugin.pend = true;
    peer = peer_open(0);
    for (unsigned i = 0; i < 100; i++) {
        peer_send_notifies(peer, i + 1, 1);
        rig_turn();
        cr_assert_not_null(peer->conn->in, "what is in flight is there");
        n_blocks += peer->conn->in != block;
        block = peer->conn->in;
    }
    cr_assert_eq(n_blocks, 1);
    rig_complete(100);
    rig_turn();
    cr_assert_eq(peer_acks(peer, 1), 100);
    peer_free(peer);
    rig_stop();
}

/* 9.2: what of it is in a plugin's hands already is cancelled, and waited for. */
CONN_TEST(a_malformed_notify_ends_the_connection)
{
    static const uint8_t cut[] = {1, 'm', 0, 1, 'm'};

    rig_start(10);
    for (unsigned i = 0; i < 2; i++) {
        struct peer *peer = peer_open(0);
        uint8_t frame[32];

        rig.plugin.pend = i == 1;
        peer_send(peer, frame, put_frame(frame, SPOP_NOTIFY, 1, 1, cut, sizeof cut));
        rig_turn();
        expect_disconnect(peer, SPOP_ERR_INVALID);
        expect_end(peer);
        cr_assert_eq(rig.plugin.n_calls, i + 1);
        cr_assert_eq(rig.plugin.n_cancels, i);
        cr_assert_eq(COUNTED(protocol_errors), i + 1);
        cr_assert_eq(COUNTED(open_errors[SPOP_ERR_INVALID]), i + 1);
        cr_assert_eq(COUNTED(resource_errors), 0);
        peer_free(peer);
        rig_turn();
    }
    cr_assert_eq(rig.plugin.why, SPOE_CANCEL_CONN_CLOSED);
    cr_assert_eq(rig.worker[0].core.n_outstanding, 1);
    rig_complete(1);
    rig_turn();
    cr_assert_eq(rig.worker[0].core.n_outstanding, 0);
    cr_assert_eq(rig.shared.n_pending, 0);
    rig_stop();
}

static void count_requests(struct exchange *exchange, void *arg)
{
    if (!IS(exchange, EXCHANGE_MAGIC))
        return;
    for (const struct request *r = exchange->first; r != NULL; r = r->next)
        ++*(unsigned *)arg;
}

/* 9.2: of one that has no answer, what is answered is let go: the rest may take an hour. */
CONN_TEST(a_malformed_notify_keeps_what_is_pending_only)
{
    static const uint8_t cut[] = {1, 'm', 0, 1, 'm', 0, 1, 'm', 0, 1, 'm'};
    struct peer *peer;
    uint8_t frame[64];
    unsigned n = 0;

    rig_start(10);
    peer = peer_open(0);
    rig.plugin.pend = true;
    rig.plugin.pend_max = 1;
    peer_send(peer, frame, put_frame(frame, SPOP_NOTIFY, 1, 1, cut, sizeof cut));
    rig_turn();
    expect_disconnect(peer, SPOP_ERR_INVALID);
    cr_assert_eq(rig.plugin.n_calls, 3);
    cr_assert_eq(rig.worker[0].core.n_outstanding, 1);
    exchange_each(&rig.worker[0].core.exchanges, count_requests, &n);
    cr_assert_eq(n, 1, "%u", n);
    rig_complete(1);
    peer_free(peer);
    rig_turn();
    n = 0;
    exchange_each(&rig.worker[0].core.exchanges, count_requests, &n);
    cr_assert_eq(n, 0);
    rig_stop();
}

/* 9.2 */
CONN_TEST(frames_may_come_byte_by_byte)
{
    struct peer *peer;
    uint8_t frame[32];

    rig_start(10);
    peer = peer_open(0);
    for (size_t i = 0, n = put_notify(frame, 1); i < n; i++) {
        expect_nothing(peer);
        peer_send(peer, frame + i, 1);
        rig_turn();
    }
    cr_assert_eq(peer_acks(peer, 1), 1);
    peer_free(peer);
    rig_stop();
}

/* 9.2: a peer that ends its side behind its last message is answered, and then seen to be gone. */
CONN_TEST(the_end_right_behind_a_message_is_seen)
{
    struct peer *peer;

    rig_start(10);
    for (unsigned n = 0; n < 3; n++) {
        peer = peer_open(0);
        peer_send_notifies(peer, 1, n);
        cr_assert_eq(shutdown(peer->fd, SHUT_WR), 0);
        rig_turn();
        for (uint64_t id = 1; id <= n; id++)
            cr_assert_eq(peer_recv(peer).id, id);
        expect_end(peer);
        cr_assert(TAILQ_EMPTY(&rig.worker[0].conns));
        peer_free(peer);
    }
    rig_stop();
}

/* 9.2: two calls of the kernel for a message that comes alone: one that reads, one that writes. */
CONN_TEST(a_message_is_read_by_one_call)
{
    struct peer *peer;

    rig_start(10);
    peer = peer_open(0);
    n_recvs = 0;
    for (uint64_t id = 1; id <= 100; id++) {
        peer_send_notifies(peer, id, 1);
        counting = true;
        rig_turn();
        counting = false;
        cr_assert_eq(peer_acks(peer, id), 1);
    }
    cr_assert_eq(n_recvs, 100);
    peer_free(peer);
    rig_stop();
}

/* 4.3 */
Test(conn, something_else_is_no_connection, .timeout = 30, .signal = SIGABRT)
{
    static struct conn none;

    conn_destroy(&none);
}
