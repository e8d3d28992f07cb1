/* SPDX-License-Identifier: Apache-2.0 */
/* 2.14: connections of the admin endpoint over socketpairs; the test turns the event loop. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http_conn.h"
#include "base/clock.h"

#define PAGE_SIZE 100000u
#define REQUEST "GET /page HTTP/1.1\r\nHost: h\r\n\r\n"

static unsigned n_answers;
static size_t page_size = PAGE_SIZE;

static struct spoe_span last_body;

static void answer(void *arg, const struct http_peer *peer, const struct http_request *request,
                   struct http_answer *ret)
{
    (void)arg;
    cr_assert_eq(peer->from, ACCESS_FROM_UNIX);
    cr_assert_eq(strncmp(peer->name, "uid ", 4), 0, "%s", peer->name);
    last_body = (struct spoe_span){NULL, 0};
    if (request->method == HTTP_POST) { /* all of it is there, and nothing else */
        cr_assert_eq(request->body.n, request->body_len);
        last_body.n = request->body.n;
        for (size_t i = 0; i < request->body.n; i++)
            cr_assert_eq(request->body.p[i], 'G');
    }
    n_answers++;
    cr_assert_eq(request->path.n, strlen("/page"));
    ret->status = 200;
    ret->text = malloc(page_size + 1);
    ret->n = page_size;
    cr_assert_not_null(ret->text);
    memset(ret->text, 'x', page_size);
}

static struct http_conns conns;

static void start(void)
{
    conns = (struct http_conns){.base = event_base_new(), .answer = answer};
    TAILQ_INIT(&conns.list);
    cr_assert_not_null(conns.base);
}

static void finish(void)
{
    http_conns_close(&conns);
    cr_assert_eq(conns.n, 0);
    event_base_free(conns.base);
}

static int connect_peer(void)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    http_conn_create(&conns, ends[0]);
    return ends[1];
}

static void turn(void)
{
    for (unsigned i = 0; i < 4; i++)
        cr_assert_geq(event_base_loop(conns.base, EVLOOP_NONBLOCK), 0);
}

/* All that comes; *ret_end is set where the stream ends. */
static size_t read_all(int fd, char *to, size_t size, bool *ret_end)
{
    size_t n = 0;
    unsigned idle = 0;

    *ret_end = false;
    while (idle < 3) {
        ssize_t got = recv(fd, to + n % size, size - n % size, 0);

        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            *ret_end = true;
            break;
        }
        idle = got < 0 ? idle + 1 : 0;
        n += got > 0 ? (size_t)got : 0;
        turn();
    }
    return n;
}

static char got[4 * PAGE_SIZE];

Test(http_conn, answers_one_request_after_another, .timeout = 30)
{
    int fd;
    bool end;

    start();
    page_size = 10;
    fd = connect_peer();
    cr_assert_eq(send(fd, REQUEST REQUEST, 2 * strlen(REQUEST), 0), 2 * (ssize_t)strlen(REQUEST));
    turn();
    (void)read_all(fd, got, sizeof got, &end);
    cr_assert_not(end);
    cr_assert_eq(n_answers, 2);
    for (size_t i = 0; i < strlen(REQUEST); i++) { /* byte by byte */
        cr_assert_eq(send(fd, &REQUEST[i], 1, 0), 1);
        turn();
    }
    cr_assert_eq(n_answers, 3);
    (void)close(fd);
    turn();
    cr_assert_eq(conns.n, 0, "freed at its end");
    finish();
}

/* A2: requests without end, and nothing is read. */
Test(http_conn, reads_nothing_while_an_answer_is_unwritten, .timeout = 30)
{
    int fd;
    ssize_t sent = 0;
    unsigned idle = 0;
    bool end;

    start();
    page_size = PAGE_SIZE * 10;
    fd = connect_peer();
    while (idle < 3) {
        ssize_t n = send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL);

        cr_assert(n > 0 || errno == EAGAIN);
        idle = n < 0 ? idle + 1 : 0;
        sent += n > 0 ? n : 0;
        turn();
    }
    cr_assert_eq(n_answers, 1);
    cr_assert_lt(sent, 1 << 20);
    (void)read_all(fd, got, sizeof got, &end);
    cr_assert_eq(n_answers, (unsigned)(sent / (ssize_t)strlen(REQUEST)));
    (void)close(fd);
    finish();
}

Test(http_conn, what_is_no_request_ends_the_connection, .timeout = 30)
{
    int fd;
    bool end;
    size_t n;

    start();
    fd = connect_peer();
    cr_assert_gt(send(fd, "nonsense\r\n" REQUEST, strlen("nonsense\r\n" REQUEST), 0), 0);
    turn();
    n = read_all(fd, got, sizeof got, &end);
    cr_assert(end);
    cr_assert_gt(n, 12);
    cr_assert_eq(memcmp(got, "HTTP/1.1 400", 12), 0);
    cr_assert_eq(n_answers, 0);
    cr_assert_gt(send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), 0); /* thrown away */
    turn();
    cr_assert_eq(n_answers, 0);
    (void)close(fd);
    turn();
    cr_assert_eq(conns.n, 0);
    finish();
}

/* What was read behind the last request does not keep a connection that the peer leaves open. */
Test(http_conn, lingers_no_longer_than_it_may, .timeout = 30)
{
    int fd;
    bool end;

    start();
    fd = connect_peer();
    cr_assert_gt(send(fd, "nonsense\r\n" REQUEST, strlen("nonsense\r\n" REQUEST), 0), 0);
    turn();
    (void)read_all(fd, got, sizeof got, &end);
    cr_assert(end);
    cr_assert_eq(conns.n, 1);
    cr_assert_geq(event_base_loop(conns.base, EVLOOP_ONCE), 0); /* until its time-out */
    cr_assert_eq(conns.n, 0, "freed, though the peer has not closed");
    (void)close(fd);
    finish();
}

/* issue 13, 3: a POST is answered once its body is there, the largest too, and the next request
 * begins behind it. */
Test(http_conn, a_posted_body_is_waited_for, .timeout = 30)
{
    static char bytes[HTTP_BODY_MAX];
    char head[128];
    int fd;
    bool end;

    start();
    page_size = 10;
    fd = connect_peer();
    memset(bytes, 'G', sizeof bytes);
    (void)snprintf(head, sizeof head,
                   "POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: %u\r\n\r\n", HTTP_BODY_MAX);
    cr_assert_gt(send(fd, head, strlen(head), 0), 0);
    for (size_t i = 0; i < sizeof bytes; i += 512) {
        turn();
        cr_assert_eq(n_answers, 0);
        cr_assert_eq(send(fd, bytes + i, 512, 0), 512);
    }
    turn();
    cr_assert_eq(n_answers, 1);
    cr_assert_eq(last_body.n, HTTP_BODY_MAX);
    cr_assert_gt(send(fd, REQUEST, strlen(REQUEST), 0), 0);
    turn();
    (void)read_all(fd, got, sizeof got, &end);
    cr_assert_not(end);
    cr_assert_eq(n_answers, 2);
    (void)close(fd);
    finish();
}

Test(http_conn, a_body_is_passed_over, .timeout = 30)
{
    static const char body[] = "GET /page HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
    static char bytes[1000];
    int fd;
    bool end;

    start();
    page_size = 10;
    fd = connect_peer();
    memset(bytes, 'G', sizeof bytes);
    cr_assert_gt(send(fd, body, strlen(body), 0), 0);
    turn();
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(send(fd, bytes + 100 * i, 100, 0), 100);
        turn();
    }
    cr_assert_gt(send(fd, REQUEST, strlen(REQUEST), 0), 0);
    turn();
    (void)read_all(fd, got, sizeof got, &end);
    cr_assert_not(end);
    cr_assert_eq(n_answers, 2);
    (void)close(fd);
    finish();
}

/* The one without news for longest goes, not one that is in use. */
Test(http_conn, has_so_many_places, .timeout = 30)
{
    int fds[ADMIN_CONNS_MAX + 5];
    char byte;

    start();
    for (size_t i = 0; i < ADMIN_CONNS_MAX; i++)
        fds[i] = connect_peer();
    cr_assert_eq(send(fds[0], "G", 1, 0), 1);
    turn();
    for (size_t i = 0; i < 5; i++) {
        fds[ADMIN_CONNS_MAX + i] = connect_peer();
        cr_assert_eq(conns.n, ADMIN_CONNS_MAX);
        cr_assert_eq(recv(fds[i + 1], &byte, 1, 0), 0);
    }
    cr_assert_eq(recv(fds[0], &byte, 1, 0), -1);
    finish();
    for (size_t i = 0; i < ADMIN_CONNS_MAX + 5; i++)
        (void)close(fds[i]);
}

/* 9.2: what is kept of a request is bounded, in how many pieces it may come. */
Test(http_conn, a_head_without_end_is_refused_at_its_limit, .timeout = 30)
{
    static const char line[] = "X-Filler: 0123456789012345678901234567890123456789\r\n";
    static const size_t pieces[] = {1, 5, 100, 4000};

    start();
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        static char bytes[3 * HTTP_HEAD_MAX];
        size_t n = strlen("GET /page HTTP/1.1\r\nHost: h\r\n"), answer;
        int fd = connect_peer();
        bool end;

        memcpy(bytes, "GET /page HTTP/1.1\r\nHost: h\r\n", n);
        for (; n + strlen(line) <= sizeof bytes; n += strlen(line))
            memcpy(bytes + n, line, strlen(line));
        cr_assert_eq(send(fd, bytes, pieces[i], 0), (ssize_t)pieces[i]);
        turn(); /* some of it is there, then all the rest at once */
        cr_assert_eq(send(fd, bytes + pieces[i], n - pieces[i], MSG_NOSIGNAL),
                     (ssize_t)(n - pieces[i]));
        turn();
        answer = read_all(fd, got, sizeof got, &end);
        cr_assert(end);
        cr_assert(answer > 12 && memcmp(got, "HTTP/1.1 431", 12) == 0, "%.12s", got);
        cr_assert_eq(n_answers, 0);
        (void)close(fd);
        turn();
    }
    finish();
}

/* 9.2: head and body are whole, wherever the kernel stops taking them. */
Test(http_conn, an_answer_comes_whole_in_whatever_pieces, .timeout = 60)
{
    const int small = 1; /* the kernel has a least size */

    start();
    for (page_size = 0; page_size < 20000; page_size += 997) {
        size_t n = 0;
        const char *body;
        int ends[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        cr_assert_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
        http_conn_create(&conns, ends[0]);
        cr_assert_gt(send(ends[1], REQUEST, strlen(REQUEST), 0), 0);
        for (unsigned idle = 0; idle < 3;) {
            ssize_t r;

            turn();
            r = recv(ends[1], got + n, 100, 0);
            idle = r > 0 ? 0 : idle + 1;
            n += r > 0 ? (size_t)r : 0;
        }
        got[n] = '\0';
        body = strstr(got, "\r\n\r\n");
        cr_assert_not_null(body);
        cr_assert_eq(strspn(body + 4, "x"), page_size);
        cr_assert_eq(strlen(body + 4), page_size);
        (void)close(ends[1]);
        turn();
    }
    finish();
}

/* 9.2: a peer that goes without having read its answer resets the connection. */
Test(http_conn, a_reset_ends_the_connection, .timeout = 30)
{
    int fd;

    start();
    page_size = 10;
    fd = connect_peer();
    cr_assert_gt(send(fd, REQUEST, strlen(REQUEST), 0), 0);
    turn();
    cr_assert_eq(n_answers, 1);
    (void)close(fd); /* recv() fails on the other side: ECONNRESET */
    cr_assert_geq(event_base_loop(conns.base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
    cr_assert_eq(conns.n, 0, "it is not read a second time");
    finish();
}

/* 2.14: a peer that goes on sending does not put off the end. */
Test(http_conn, an_ending_connection_ends_in_time, .timeout = 60)
{
    static const char bad[] = "GET / HTTP/3.0\r\n\r\n";
    const int64_t limit_ns = clock_mono_ns() + 20 * NS_PER_S;
    int fd;

    start();
    fd = connect_peer();
    cr_assert_eq(send(fd, bad, strlen(bad), 0), (ssize_t)strlen(bad));
    turn();
    cr_assert_eq(conns.n, 1);
    while (conns.n > 0 && clock_mono_ns() < limit_ns) {
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        turn();
    }
    cr_assert_eq(conns.n, 0);
    (void)close(fd);
    finish();
}

/* 2.14: a client of HTTP/1.0 waits for the end where it is not told that there is none. */
Test(http_conn, says_whether_it_goes_on, .timeout = 30)
{
    static const char old[] = "GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                      oldest[] = "GET /page HTTP/1.0\r\n\r\n";
    bool end;
    int fd;

    start();
    page_size = 1;
    fd = connect_peer();
    cr_assert_eq(send(fd, old, strlen(old), 0), (ssize_t)strlen(old));
    turn();
    got[read_all(fd, got, sizeof got - 1, &end)] = '\0';
    cr_assert_not(end);
    cr_assert_not_null(strstr(got, "\r\nConnection: keep-alive\r\n"), "%s", got);
    cr_assert_eq(send(fd, oldest, strlen(oldest), 0), (ssize_t)strlen(oldest));
    turn();
    got[read_all(fd, got, sizeof got - 1, &end)] = '\0';
    cr_assert(end);
    cr_assert_not_null(strstr(got, "\r\nConnection: close\r\n"), "%s", got);
    (void)close(fd);
    turn();
    finish();
}
