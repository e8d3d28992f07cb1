/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: how it ends: the drain, time-outs, who is evicted. */
#include "rig.h"

#include "core/exchange.h"
#include "core/request.h"

#define CONN_TEST(name) Test(conn, name, .timeout = 30)

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
