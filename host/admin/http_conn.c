/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/http_conn.c - one connection to the admin endpoint. */
#include "admin/http_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/magic.h"
#include "net/sockets.h"

#define HTTP_CONN_MAGIC MAGIC('H', 'T', 'T', 'P')
#define ANSWER_HEAD_MAX 1024u

enum http_conn_state { HTTP_READING, HTTP_WAITING, HTTP_PUT_OFF, HTTP_WRITING, HTTP_ENDING };

struct http_conn {
    uint32_t magic;
    enum http_conn_state state;
    struct http_conns *conns;
    TAILQ_ENTRY(http_conn) link;
    struct event event;
    int fd;
    struct http_peer peer;
    bool keep_alive; /* after the answer that is being written */
    bool again;      /* the next request may be in the input already */
    bool dead;
    const void *later; /* WAITING: for what */
    int64_t asked_ns;  /* when the request in the input was answered first; 0: it was not yet */
    int64_t end_ns;    /* ENDING: when it is over */
    size_t skip;       /* bytes of a body, to be thrown away */
    size_t in_len;
    char in[HTTP_HEAD_MAX + HTTP_BODY_MAX];
    char head[ANSWER_HEAD_MAX];
    size_t head_len;
    char *text;
    size_t text_len;
    size_t written; /* of both */
};

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Internal Server Error";
}

static void destroy(struct http_conn *conn)
{
    struct http_conns *conns = conn->conns;

    assert(IS(conn, HTTP_CONN_MAGIC));
    if (conn->state == HTTP_WAITING)
        conns->later(conns->arg, conn->later, NULL);
    (void)event_del(&conn->event);
    TAILQ_REMOVE(&conns->list, conn, link);
    conns->n--;
    (void)close(conn->fd);
    free(conn->text);
    conn->magic = 0;
    free(conn);
}

/* ---- answers ---- */

/* RFC 9110 6.6.1 */
static void put_date(char *to, size_t size)
{
    const time_t now = time(NULL);
    struct tm tm;

    if (gmtime_r(&now, &tm) == NULL || strftime(to, size, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        (void)snprintf(to, size, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void start_answer(struct http_conn *conn, struct http_answer *answer, bool with_body)
{
    char date[64];
    int n;

    put_date(date, sizeof date);
    n = snprintf(conn->head, sizeof conn->head,
                 "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s\r\n",
                 answer->status, reason_of(answer->status), date, answer->content_type, answer->n,
                 answer->headers != NULL ? answer->headers : "",
                 conn->keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
    assert(n > 0 && (size_t)n < sizeof conn->head);
    conn->head_len = (size_t)n;
    conn->text = answer->text;
    conn->text_len = with_body ? answer->n : 0;
    conn->written = 0;
    conn->state = HTTP_WRITING;
}

static const struct http_answer no_answer = {.status = 500,
                                             .content_type = "text/plain; charset=utf-8"};

/* Take the next request out of the input. @return whether there was one */
static bool take_request(struct http_conn *conn)
{
    struct http_answer answer = no_answer;
    struct http_request request;
    size_t skip = conn->skip < conn->in_len ? conn->skip : conn->in_len;
    int n;

    conn->skip -= skip;
    conn->in_len -= skip;
    memmove(conn->in, conn->in + skip, conn->in_len);
    if (conn->skip > 0 || conn->in_len == 0)
        return false;
    n = http_request_parse(conn->in, conn->in_len, &request);
    if (n == 0)
        return false;
    if (n > 0 && request.method == HTTP_POST) {
        if (conn->in_len - (size_t)n < request.body_len)
            return false;
        request.body = (struct spoe_span){conn->in + n, request.body_len};
    }
    if (n < 0) {
        answer.status = -n;
        conn->keep_alive = false;
        start_answer(conn, &answer, false);
        return true;
    }
    if (conn->asked_ns == 0)
        conn->asked_ns = clock_mono_ns();
    else
        request.waited_ns = clock_mono_ns() - conn->asked_ns;
    conn->conns->answer(conn->conns->arg, &conn->peer, &request, &answer);
    if (answer.again) { /* it stays in the input */
        conn->state = HTTP_PUT_OFF;
        return true;
    }
    conn->asked_ns = 0;
    conn->keep_alive = request.keep_alive;
    conn->skip = request.body_len;
    if (answer.later != NULL) {
        conn->later = answer.later;
        conn->state = HTTP_WAITING;
    } else {
        start_answer(conn, &answer, request.method != HTTP_HEAD);
    }
    conn->in_len -= (size_t)n; /* the request's path is not used any more */
    memmove(conn->in, conn->in + n, conn->in_len);
    return true;
}

static void end_answer(struct http_conn *conn)
{
    free(conn->text);
    conn->text = NULL;
    conn->head_len = conn->text_len = conn->written = 0;
    if (conn->keep_alive) {
        conn->state = HTTP_READING;
        conn->again = conn->in_len > 0;
    } else {
        conn->state = HTTP_ENDING;
        conn->end_ns = clock_mono_ns() + ADMIN_LINGER_S * NS_PER_S;
        (void)shutdown(conn->fd, SHUT_WR);
    }
}

/* ---- I/O. @return whether it got on ---- */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static bool write_answer(struct http_conn *conn)
{
    const size_t in_head = conn->written < conn->head_len ? conn->written : conn->head_len;
    const size_t in_text = conn->written - in_head;
    struct iovec parts[] = {
        {conn->head + in_head, conn->head_len - in_head},
        {conn->text != NULL ? conn->text + in_text : conn->head, conn->text_len - in_text},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0) {
        conn->dead = !would_block();
        return false;
    }
    conn->written += (size_t)n;
    if (conn->written == conn->head_len + conn->text_len)
        end_answer(conn);
    return true;
}

/* WAITING: what was put off may be there. */
static void look(struct http_conn *conn)
{
    struct http_answer answer = no_answer;

    conn->conns->later(conn->conns->arg, conn->later, &answer);
    if (answer.later != NULL)
        return;
    start_answer(conn, &answer, true);
    (void)write_answer(conn);
}

static bool read_more(struct http_conn *conn)
{
    ssize_t n;

    if (conn->state == HTTP_ENDING)
        conn->in_len = 0; /* thrown away */
    n = recv(conn->fd, conn->in + conn->in_len, sizeof conn->in - conn->in_len, MSG_DONTWAIT);
    if (n > 0)
        conn->in_len += (size_t)n;
    else
        conn->dead = n == 0 || !would_block();
    return n > 0;
}

static short events_of(const struct http_conn *conn)
{
    switch (conn->state) {
    case HTTP_WAITING: /* for its time alone: the input waits */
    case HTTP_PUT_OFF:
        return 0;
    case HTTP_WRITING:
        return EV_WRITE;
    default:
        return EV_READ;
    }
}

/* Wait for what the state waits for. */
static void watch(struct http_conn *conn)
{
    struct timeval tv = {ADMIN_TIMEOUT_S, 0};

    if (conn->state == HTTP_READING && conn->again)
        tv.tv_sec = 0;                /* after whoever else has something to do */
    if (conn->state == HTTP_ENDING) { /* whatever comes until then */
        const int64_t left = conn->end_ns - clock_mono_ns();

        conn->dead |= left <= 0;
        tv = (struct timeval){left / NS_PER_S, left % NS_PER_S / NS_PER_US};
    }
    if (conn->state == HTTP_WAITING || conn->state == HTTP_PUT_OFF)
        tv = (struct timeval){0, (suseconds_t)ADMIN_LOOK_MS * 1000};
    if (conn->dead)
        return;
    (void)event_del(&conn->event);
    if (event_assign(&conn->event, conn->conns->base, conn->fd, events_of(conn),
                     event_get_callback(&conn->event), conn) != 0 ||
        event_add(&conn->event, &tv) != 0)
        conn->dead = true;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct http_conn *conn = arg;

    (void)fd;
    assert(IS(conn, HTTP_CONN_MAGIC));
    TAILQ_REMOVE(&conn->conns->list, conn, link);
    TAILQ_INSERT_TAIL(&conn->conns->list, conn, link);
    if (conn->state == HTTP_WAITING)
        look(conn);
    else if (conn->state == HTTP_PUT_OFF)
        conn->state = HTTP_READING;
    else if ((what & EV_TIMEOUT) != 0)
        conn->dead = !conn->again;
    else if (conn->state == HTTP_WRITING)
        (void)write_answer(conn);
    else
        (void)read_more(conn);
    /* One answer a turn: whoever sends request after request lets the others have theirs. */
    if (!conn->dead && conn->state == HTTP_READING) {
        conn->again = false;
        if (take_request(conn) && conn->state == HTTP_WRITING)
            (void)write_answer(conn);
    }
    if (!conn->dead)
        watch(conn);
    if (conn->dead)
        destroy(conn);
}

/* ---- life ---- */

static void find_peer(int fd, struct http_peer *ret)
{
    struct sockaddr_storage ours = {.ss_family = AF_UNSPEC}, theirs = {.ss_family = AF_UNSPEC};
    struct sockaddr *own = (struct sockaddr *)(void *)&ours;
    struct sockaddr *other = (struct sockaddr *)(void *)&theirs;
    socklen_t own_len = sizeof ours, other_len = sizeof theirs, len = sizeof(struct ucred);
    struct ucred cred;

    *ret = (struct http_peer){.from = ACCESS_FROM_ELSEWHERE, .name = "?"};
    if (getsockname(fd, own, &own_len) != 0 || getpeername(fd, other, &other_len) != 0)
        return;
    if (own->sa_family == AF_UNIX) {
        ret->from = ACCESS_FROM_UNIX;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
            (void)snprintf(ret->name, sizeof ret->name, "uid %u, pid %d", (unsigned)cred.uid,
                           (int)cred.pid);
        return;
    }
    if (sockets_is_loopback(own) && sockets_is_loopback(other))
        ret->from = ACCESS_FROM_LOOPBACK;
    sockets_name(other, other_len, ret->name, sizeof ret->name);
}

void http_conn_create(struct http_conns *conns, int fd)
{
    struct http_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        (void)close(fd);
        return;
    }
    if (conns->n == ADMIN_CONNS_MAX)
        destroy(TAILQ_FIRST(&conns->list));
    conn->magic = HTTP_CONN_MAGIC;
    conn->conns = conns;
    conn->fd = fd;
    find_peer(fd, &conn->peer);
    TAILQ_INSERT_TAIL(&conns->list, conn, link);
    conns->n++;
    (void)event_assign(&conn->event, conns->base, fd, EV_READ, on_event, conn);
    watch(conn);
    if (conn->dead)
        destroy(conn);
}

void http_conns_close(struct http_conns *conns)
{
    while (conns->n > 0)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see what TAILQ_REMOVE does */
        destroy(TAILQ_FIRST(&conns->list));
}
