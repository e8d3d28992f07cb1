/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: frames and buffers. */
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
