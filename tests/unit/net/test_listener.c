/* SPDX-License-Identifier: Apache-2.0 */
/* The listener: accepted sockets as they reach a worker, and what happens when all places are
 * taken. */
#include "rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

#include "base/log.h"
#include "net/listener.h"
#include "net/sockets.h"
#include "unit/core/capture.h"

/* 2.10: connections leave a quarter of the descriptors, 16 to 256. */
Test(listener, leaves_descriptors_for_others, .timeout = 30)
{
    static const struct {
        uint32_t wanted, limit, open, fit;
    } cases[] = {
        {4096, 1024, 40, 728},  {4096, 5000, 40, 4096}, {4096, 4392, 40, 4096},
        {4096, 4391, 40, 4095}, {10, 1024, 40, 10},     {4096, 48, 20, 12},
        {4096, 64, 20, 28},     {4096, 68, 20, 31},     {4096, 30, 20, 1},
        {4096, 36, 20, 1},      {4096, 37, 20, 1},      {4096, 38, 20, 2},
        {4096, 1023, 40, 728},  {4096, 1028, 40, 732},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct host_conf conf = {.max_connections = cases[i].wanted};

        cr_assert_eq(listeners_fit(&conf, cases[i].limit, cases[i].open), cases[i].fit, "case %zu",
                     i);
    }
}

static struct listeners *listeners;
static struct event_base *base;
static uint16_t port;

/* One TCP socket, by the number of which the rig's configuration knows it. */
static void listen_here(uint32_t max_connections)
{
    static char text[] = "127.0.0.1:0", host[] = "127.0.0.1", service[] = "0";

    rig_start(10);
    rig.conf.max_connections = max_connections;
    rig.conf.listen[0] = (struct host_listen){.text = text, .host = host, .port = service};
    rig.conf.n_listen = 1;
    listeners = listeners_open(&rig.conf);
    base = event_base_new();
    cr_assert(listeners != NULL && base != NULL);
    cr_assert_eq(listeners_start(listeners, base, rig.worker, RIG_WORKERS), 0);
    for (int fd = 0; fd < 256; fd++) {
        struct sockaddr_in address = {.sin_family = AF_UNSPEC};
        socklen_t len = sizeof address;
        int listening = 0;
        socklen_t size = sizeof listening;

        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0 &&
            getsockname(fd, (struct sockaddr *)(void *)&address, &len) == 0 &&
            address.sin_family == AF_INET)
            port = ntohs(address.sin_port);
    }
    cr_assert_neq(port, 0);
}

static void finish(void)
{
    listeners_close(listeners);
    event_base_free(base);
    rig_stop();
}

static struct peer *dial(void)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct peer *peer = calloc(1, sizeof *peer);

    cr_assert_not_null(peer);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(peer->fd, (const struct sockaddr *)(const void *)&address, sizeof address),
                 0);
    cr_assert_eq(fcntl(peer->fd, F_SETFL, O_NONBLOCK), 0);
    return peer;
}

/* Let the listener accept what waits; the workers do not turn. */
static void accept_all(void)
{
    cr_assert_geq(event_base_loop(base, EVLOOP_NONBLOCK), 0);
}

static void check_option(int fd, int level, int name, int wanted)
{
    int value = -1;
    socklen_t len = sizeof value;

    cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
    cr_assert_eq(value, wanted, "option %d: %d, wanted %d", name, value, wanted);
}

/* 1.4 */
Test(listener, tunes_accepted_connections, .timeout = 30)
{
    struct peer *peer;
    const struct conn *conn;

    listen_here(10);
    peer = dial();
    accept_all();
    rig_turn();
    conn = TAILQ_FIRST(&rig.worker[0].conns);
    cr_assert_not_null(conn);
    check_option(conn->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    check_option(conn->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    check_option(conn->fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    check_option(conn->fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    check_option(conn->fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    check_option(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    cr_assert_neq(strstr(conn->peer, "127.0.0.1:"), NULL);
    peer_free(peer);
    finish();
}

Test(listener, spreads_connections, .timeout = 30)
{
    struct peer *peers[6];

    listen_here(10);
    for (size_t i = 0; i < 6; i++)
        peers[i] = dial();
    accept_all();
    cr_assert_eq(rig.worker[0].n_conns, 3);
    cr_assert_eq(rig.worker[1].n_conns, 3);
    rig_turn();
    for (size_t i = 0; i < 6; i++)
        peer_free(peers[i]);
    finish();
}

/* 2.2: a worker that a plugin keeps gets no more, and goes on getting them when it turns again. */
Test(listener, passes_over_a_worker_that_does_not_turn, .timeout = 30)
{
    struct peer *peers[5];

    listen_here(10);
    for (size_t i = 0; i < 2; i++)
        peers[i] = dial();
    accept_all();
    cr_assert(rig.worker[0].n_conns == 1 && rig.worker[1].n_conns == 1);
    cr_assert_geq(event_base_loop(rig.worker[1].base, EVLOOP_NONBLOCK), 0);
    rig.worker[0].taken.asked_ns = 1; /* long ago */
    for (size_t i = 2; i < 4; i++) {
        peers[i] = dial();
        accept_all();
        cr_assert_geq(event_base_loop(rig.worker[1].base, EVLOOP_NONBLOCK), 0);
    }
    cr_assert(rig.worker[0].n_conns == 1 && rig.worker[1].n_conns == 3);
    rig_turn();
    peers[4] = dial();
    accept_all();
    cr_assert(rig.worker[0].n_conns == 2 && rig.worker[1].n_conns == 3);
    rig_turn();
    for (size_t i = 0; i < 5; i++)
        peer_free(peers[i]);
    finish();
}

/* 2.2: nor is it asked to make a place, which would keep all others waiting. */
Test(listener, asks_no_worker_for_a_place_that_does_not_turn, .timeout = 30)
{
    struct peer *peers[3];

    listen_here(2);
    for (size_t i = 0; i < 2; i++) {
        peers[i] = dial();
        accept_all();
        rig_turn();
    }
    rig.worker[0].taken.asked_ns = 1; /* long ago; it has the oldest */
    peers[2] = dial();
    accept_all();
    cr_assert_eq(rig.worker[0].n_evicting, 0);
    cr_assert_eq(rig.worker[1].n_evicting, 1);
    rig_turn();
    for (size_t i = 0; i < 3; i++)
        peer_free(peers[i]);
    finish();
}

/* 1.4: the worker that has the oldest silent one closes it, wherever there are fewer. */
Test(listener, makes_a_place, .timeout = 30)
{
    struct peer *peers[5], *next;

    listen_here(5);
    for (size_t i = 0; i < 5; i++) {
        peers[i] = dial();
        accept_all();
        rig_turn();
        peer_send_hello(peers[i], RIG_FRAME_SIZE, false);
        rig_turn();
        expect_frame(peers[i], SPOP_AGENT_HELLO);
    }
    peer_send_notifies(peers[0], 1, 1); /* so the second one, of worker 1, is silent for longest */
    rig_turn();
    expect_frame(peers[0], SPOP_ACK);
    next = dial();
    accept_all();
    cr_assert_eq(rig.worker[1].n_evicting, 1);
    rig_turn();
    expect_disconnect(peers[1], SPOP_ERR_RESOURCE);
    cr_assert_eq(rig.worker[0].n_conns + rig.worker[1].n_conns, 5);
    cr_assert_eq(rig.shared.n_refused, 0);
    for (size_t i = 0; i < 5; i++)
        peer_free(peers[i]);
    peer_free(next);
    finish();
}

/* 2.10: while workers have yet to make places the backlog waits; where all are busy it is refused.
 */
Test(listener, takes_no_more_than_it_may, .timeout = 30)
{
    struct peer *peers[40], *next;
    size_t n = 0;

    listen_here(4);
    rig.plugin.pend = true;
    for (size_t i = 0; i < 4; i++) {
        peers[i] = dial();
        accept_all();
        rig_turn();
    }
    for (size_t i = 4; i < 40; i++)
        peers[i] = dial();
    accept_all();
    cr_assert_leq(rig.worker[0].n_conns + rig.worker[1].n_conns, 4 + 2 * 4);
    for (unsigned i = 0; i < 1000 && COUNTED(connections) < 40; i++) {
        cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
        rig_turn();
    }
    cr_assert_eq(COUNTED(connections), 40);
    cr_assert_eq(COUNTED(evicted_connections), 36);
    cr_assert_eq(rig.worker[0].n_conns + rig.worker[1].n_conns, 4);
    for (size_t i = 0; i < 40; i++) {
        if (peer_recv(peers[i]).type != 0) /* told to go */
            continue;
        peer_send_hello(peers[i], RIG_FRAME_SIZE, false);
        peer_send_notifies(peers[i], 1, 1);
        n++;
    }
    cr_assert_eq(n, 4);
    rig_turn();
    cr_assert_eq(rig.plugin.n_pending, 4);
    next = dial();
    accept_all();
    rig_turn();
    cr_assert_eq(peer_recv(next).type, 255);
    cr_assert_eq(rig.shared.n_refused, 1);
    rig_complete(4);
    rig_turn();
    for (size_t i = 0; i < 40; i++)
        peer_free(peers[i]);
    peer_free(next);
    finish();
}

/* 1.4: a flood of connections, silent ones or ones that say HELLO, takes no place from those that
 * have been of use, but for the part that is newcomers'. */
Test(listener, a_flood_leaves_those_of_use_alone, .timeout = 60)
{
    enum { USED = 40, MAX = 64, FLOOD = 200 };
    struct peer *used[USED], *flood[FLOOD];

    for (unsigned hello = 0; hello < 2; hello++) {
        listen_here(MAX);
        for (size_t i = 0; i < USED; i++) {
            used[i] = dial();
            accept_all();
            peer_send_hello(used[i], RIG_FRAME_SIZE, false);
            peer_send_notifies(used[i], 1, 1);
            rig_turn();
            expect_frame(used[i], SPOP_AGENT_HELLO);
            expect_frame(used[i], SPOP_ACK);
        }
        for (size_t i = 0; i < FLOOD; i++) {
            flood[i] = dial();
            if (hello)
                peer_send_hello(flood[i], RIG_FRAME_SIZE, false);
            accept_all();
            rig_turn();
        }
        cr_assert_eq(COUNTED(connections), USED + FLOOD);
        cr_assert_eq(COUNTED(evicted_connections), USED + FLOOD - MAX);
        for (size_t i = 0; i < USED; i++) {
            peer_send_notifies(used[i], 2, 1);
            rig_turn();
            expect_frame(used[i], SPOP_ACK);
            peer_free(used[i]);
        }
        for (size_t i = 0; i < FLOOD; i++)
            peer_free(flood[i]);
        finish();
    }
}

Test(listener, newcomers_have_an_eighth_of_the_places)
{
    cr_assert_not(evict_is_crowded(7, 10));
    cr_assert(evict_is_crowded(8, 10));
    cr_assert_not(evict_is_crowded(511, 4096));
    cr_assert(evict_is_crowded(512, 4096));
}

/* 2.10 */
Test(listener, says_how_many_there_may_be, .timeout = 30)
{
    const struct rlimit limit = {100, 100};

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    listen_here(4096);
    cr_assert_lt(listeners_max(listeners), 100 - 25);
    cr_assert_gt(listeners_max(listeners), 20);
    finish();
}

/* 2.10, 9.2: in the order of conn_evict(), over all workers: who lingers, who is silent for too
 * long, who is idle, who is silent at all. */
Test(listener, asks_the_worker_that_has_what_goes_first, .timeout = 30)
{
    enum { LINGERING, SILENT, IDLE, YOUNG, N };
    static const uint32_t worker_of_kind[N] = {0, 1, 0, 1};
    struct peer *next[N];

    listen_here(2); /* both places are taken, whoever is asked */
    rig.worker[0].n_conns = rig.worker[1].n_conns = 1;
    for (size_t kind = 0; kind < N; kind++) {
        const uint32_t wanted = worker_of_kind[kind];
        const int64_t now_ns = clock_mono_ns();

        for (uint32_t w = 0; w < RIG_WORKERS; w++) {
            /* This worker has the wanted kind, the other one only what goes later. */
            const bool has = w == wanted;

            rig.worker[w].oldest_ns[EVICT_LINGERING] = kind <= LINGERING && has ? now_ns : 0;
            rig.worker[w].oldest_ns[EVICT_WITHOUT_HELLO] =
                kind <= SILENT && has ? now_ns - HELLO_GRACE_NS : now_ns + has;
            rig.worker[w].oldest_ns[EVICT_IDLE] =
                kind < IDLE || (kind == IDLE && has) ? 1 + has : 0;
            if (kind == YOUNG)
                rig.worker[w].oldest_ns[EVICT_WITHOUT_HELLO] = now_ns + !has;
        }
        next[kind] = dial();
        accept_all();
        cr_assert_eq(rig.worker[wanted].n_evicting, 1, "kind %zu", kind);
        cr_assert_eq(rig.worker[!wanted].n_evicting, 0, "kind %zu", kind);
        rig.worker[0].n_evicting = rig.worker[1].n_evicting = 0;
        rig.worker[0].n_conns = rig.worker[1].n_conns = 1;
    }
    cr_assert_eq(rig.shared.n_refused, 0);
    for (uint32_t w = 0; w < RIG_WORKERS; w++)
        mailbox_close(&rig.worker[w].core.mailbox);
    for (size_t kind = 0; kind < N; kind++)
        peer_free(next[kind]);
    listeners_close(listeners);
    event_base_free(base);
}

/* 9.2: so many at a time, so that signals and the other sockets have their turn. */
Test(listener, accepts_64_in_a_turn, .timeout = 30)
{
    struct peer *peers[70];

    listen_here(100);
    for (size_t i = 0; i < 70; i++)
        peers[i] = dial();
    cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
    cr_assert_eq(rig.worker[0].n_conns + rig.worker[1].n_conns, 64);
    cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
    cr_assert_eq(rig.worker[0].n_conns + rig.worker[1].n_conns, 70);
    rig_turn();
    for (size_t i = 0; i < 70; i++)
        peer_free(peers[i]);
    finish();
}

/* 2.10, 9.2: without a descriptor the backlog waits, which is told once, as is its end. */
Test(listener, waits_for_descriptors_and_says_so, .timeout = 30)
{
    static char got[65536];
    struct rlimit limit, none;
    struct capture cap;
    struct peer *peer;
    int64_t begin_ns;
    int lowest;

    listen_here(10);
    peer = dial();
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lowest = dup(STDERR_FILENO);
    cr_assert_geq(lowest, 0);
    (void)close(lowest);
    none = (struct rlimit){(rlim_t)lowest, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    begin_ns = clock_mono_ns();
    cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
    cr_assert_eq(poll(&(struct pollfd){.fd = cap.reader, .events = POLLIN}, 1, 0), 1,
                 "it is told at once");
    for (unsigned i = 0; i < 4; i++) /* twice it is tried again, each time after 100 ms */
        cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
    cr_assert_geq(clock_mono_ns() - begin_ns, NS_PER_S / 10, "what waits does not keep us busy");
    cr_assert_eq(rig.worker[0].n_conns, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (rig.worker[0].n_conns == 0)
        cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
    accept_all();
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_not_null(strstr(got, "accept: Too many open files, new connections wait"), "%s", got);
    cr_assert_null(strstr(strstr(got, "new connections wait") + 1, "new connections wait"), "%s",
                   got);
    cr_assert_not_null(strstr(got, "accepting again"), "%s", got);
    cr_assert_null(strstr(strstr(got, "accepting again") + 1, "accepting again"), "%s", got);
    rig_turn();
    cr_assert_eq(rig.shared.n_refused, 0);
    peer_free(peer);
    finish();
}

/* 9.2: what went wrong first is what is told. */
Test(listener, says_why_it_cannot_listen, .timeout = 30)
{
    static char got[65536], text[] = "127.0.0.1:0", host[] = "127.0.0.1", service[] = "0";
    const struct host_conf conf = {.listen = {{.text = text, .host = host, .port = service}},
                                   .n_listen = 1};
    struct rlimit limit, none;
    struct capture cap;
    struct listeners *made;

    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    capture_begin(&cap);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){3, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    made = listeners_open(&conf);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    (void)capture_end(&cap, got, sizeof got);
    cr_assert_null(made);
    cr_assert_not_null(strstr(got, "127.0.0.1:0: Too many open files"), "%s", got);
    cr_assert_eq(strchr(got, '\n'), got + strlen(got) - 1, "one line: %s", got);
}
