/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/lines/test_reader.c - when sockets are read, with a worker that the test turns itself.
 * Where log-delay is an hour, what is read at all was read for another reason.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lines/reader.h"
#include "lines_rig.h"

static size_t n_calls;
static bool keeps;
static struct spoe_request *kept;

static spoe_status handle(void *wctx, struct spoe_request *request, const struct spoe_message *msg)
{
    (void)wctx;
    (void)msg;
    n_calls++;
    kept = request;
    return keeps ? SPOE_PENDING : SPOE_OK;
}

static struct worker worker;
static struct reader reader;
static unsigned n_drained;

static void on_drained(void *arg)
{
    (void)arg;
    n_drained++;
}

static void start(int64_t delay_ns)
{
    log_init(SPOE_LOG_ERR, LOG_LOGFMT);
    conf = (struct host_conf){.log_delay_ns = delay_ns};
    rig_configure(1, 1);
    cr_assert(rig_start_workers(&worker));
    cr_assert_eq(reader_init(&reader, &worker, false, NULL, on_drained, NULL), 0);
    reader_start(&reader);
}

static void stop(void)
{
    reader_stop(&reader);
    rig_stop_workers(&worker);
    route_table_free(&routes);
}

/* A connection that the reader has. @return the other end */
static int add_stream(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int accepted;

    cr_assert(listening >= 0 && fd >= 0);
    cr_assert_eq(bind(listening, (struct sockaddr *)(void *)&in, sizeof in), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)(void *)&in, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)(void *)&in, sizeof in), 0);
    accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert(accepted >= 0);
    (void)close(listening);
    (void)atomic_fetch_add(&reader.n_streams, 1);
    reader_add_stream(&reader, accepted, "test", 1, true, false);
    return fd;
}

static void send_lines(int fd, size_t n, size_t len)
{
    static char line[4096];

    memset(line, 'x', len);
    memcpy(line, "v=1 n=1 text=", 13);
    line[len - 1] = '\n';
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(send(fd, line, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* 1.2: a stream that is waited for wakes when much is there, each time and not for once */
Test(reader, wakes_by_amount, .timeout = 60)
{
    const size_t len = 1024, much = 65536 / len;
    size_t n_sent = 0;
    int fd;

    start(3600 * NS_PER_S);
    fd = add_stream();
    for (unsigned round = 0; round < 10; round++) {
        send_lines(fd, 2 * much, len);
        n_sent += 2 * much;
        while (n_calls + much <= n_sent) /* at most so much is left to wait for log-delay */
            (void)event_base_loop(worker.base, EVLOOP_ONCE);
    }
    (void)close(fd);
    stop();
}

/* 1.2: one line alone does wait */
Test(reader, a_few_lines_wait, .timeout = 60)
{
    int fd;

    start(3600 * NS_PER_S);
    fd = add_stream();
    send_lines(fd, 3, 1024);
    for (unsigned i = 0; i < 100; i++)
        (void)event_base_loop(worker.base, EVLOOP_NONBLOCK);
    cr_assert_eq(n_calls, 0);
    (void)close(fd);
    stop();
}

static unsigned turns;
static size_t most, before;

/* Another event of the worker's, as of SPOP. */
static void on_other(evutil_socket_t fd, short what, void *arg)
{
    const struct timeval now = {0, 0};

    (void)fd;
    (void)what;
    turns++;
    if (n_calls - before > most)
        most = n_calls - before;
    before = n_calls;
    (void)evtimer_add(arg, &now);
}

/* Beside lines in any number the worker's other events have their turn. */
Test(reader, others_have_their_turn, .timeout = 60)
{
    enum { N_STREAMS = 4, N_LINES = 2000 };
    const struct timeval now = {0, 0};
    struct event other;
    int fd[N_STREAMS];

    start(0);
    (void)evtimer_assign(&other, worker.base, on_other, &other);
    for (unsigned i = 0; i < N_STREAMS; i++) {
        fd[i] = add_stream();
        send_lines(fd[i], N_LINES, 50);
    }
    (void)evtimer_add(&other, &now);
    while (n_calls < N_STREAMS * N_LINES)
        (void)event_base_loop(worker.base, EVLOOP_ONCE);
    cr_expect_leq(most, 300);
    cr_expect_geq(turns, N_STREAMS * N_LINES / 300);
    (void)event_del(&other);
    for (unsigned i = 0; i < N_STREAMS; i++)
        (void)close(fd[i]);
    stop();
}

/* 1.6: nothing is read that there is no room for, and all of it when there is */
Test(reader, waits_for_room, .timeout = 60)
{
    int fd;

    start(0);
    keeps = true;
    fd = add_stream();
    send_lines(fd, 50, 1000);
    for (size_t n = 1; n <= 50; n++) {
        while (n_calls < n)
            (void)event_base_loop(worker.base, EVLOOP_ONCE);
        for (unsigned i = 0; i < 20; i++)
            (void)event_base_loop(worker.base, EVLOOP_NONBLOCK);
        cr_assert_eq(n_calls, n);
        request_complete(kept, SPOE_OK);
    }
    (void)close(fd);
    stop();
}

/* 1.6: at the end what has come is read, though nobody reads at that moment */
Test(reader, reads_what_has_come_at_the_end, .timeout = 60)
{
    int fd;

    start(3600 * NS_PER_S);
    fd = add_stream();
    send_lines(fd, 500, 100);
    reader_drain(&reader);
    while (n_drained == 0)
        (void)event_base_loop(worker.base, EVLOOP_ONCE);
    cr_assert_eq(n_calls, 500);
    cr_assert_eq(atomic_load(&reader.n_streams), 0);
    (void)close(fd);
    stop();
}

/* 1.6: streams that their senders have closed, with lines before that or none, are gone by then */
Test(reader, closed_streams_are_gone_at_the_end, .timeout = 60)
{
    start(3600 * NS_PER_S);
    for (size_t lines = 0; lines < 3; lines++) {
        const int fd = add_stream();

        send_lines(fd, lines, 100);
        (void)close(fd);
    }
    reader_drain(&reader);
    while (n_drained == 0)
        (void)event_base_loop(worker.base, EVLOOP_ONCE);
    cr_assert_eq(n_calls, 3);
    cr_assert_eq(atomic_load(&reader.n_streams), 0);
    stop();
}
