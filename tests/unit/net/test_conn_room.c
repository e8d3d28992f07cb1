/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: room for messages and output, and who waits for it. */
#include "rig.h"

#include "core/exchange.h"
#include "core/request.h"

#define CONN_TEST(name) Test(conn, name, .timeout = 30)

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
