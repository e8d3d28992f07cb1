/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/client.c - see client.h. */
#include "ctl/client.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/lookup.h"

#define FIRST_ROOM 4096u
#define LATE "it does not answer in time"

/* One exchange. */
struct exchange {
    int fd;
    int64_t end_ns;
    struct error *error;
};

/* @return 0; -1: the time is over */
static int wait_for(const struct exchange *x, short what)
{
    struct pollfd fd = {.fd = x->fd, .events = what};
    const int64_t left_ms = (x->end_ns - clock_mono_ns() + NS_PER_MS - 1) / NS_PER_MS;

    if (left_ms <= 0 || poll(&fd, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX) == 0)
        return error_set(x->error, LATE);
    return 0;
}

/* As long as the rest of the time. @return false: it is over */
static bool limit_connect(const struct exchange *x)
{
    const int64_t left_ns = x->end_ns - clock_mono_ns();
    const int64_t left_us = left_ns / NS_PER_US + 1; /* 0 would be: without a limit */
    const struct timeval left = {left_us * NS_PER_US / NS_PER_S, left_us % (NS_PER_S / NS_PER_US)};

    return left_ns > 0 && setsockopt(x->fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left) == 0;
}

/*
 * The socket blocks, since of a unix socket nothing else waits for room in a backlog that is full:
 * one that does not block gets EAGAIN at once.
 * @return 0; -1 with the error, and nothing open
 */
static int connect_to(struct exchange *x, const struct sockaddr *sa, socklen_t len)
{
    int error = EAGAIN;

    x->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (x->fd < 0)
        return error_set(x->error, "%s", strerror(errno));
    do {
        if (!limit_connect(x))
            break;
        error = connect(x->fd, sa, len) == 0 ? 0 : errno;
    } while (error == EINTR);
    if (error == 0)
        return 0;
    (void)close(x->fd);
    if (error == EAGAIN || error == EINTR || error == EINPROGRESS) /* unix sockets; TCP's */
        return error_set(x->error, LATE);
    return error_set(x->error, "%s", strerror(error));
}

static int connect_client(struct exchange *x, const struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct addrinfo *list = NULL;
    int result = -1;

    if (client->path != NULL) {
        if (strlen(client->path) >= sizeof address.sun_path)
            return error_set(x->error, "its path is too long");
        memcpy(address.sun_path, client->path, strlen(client->path) + 1);
        return connect_to(x, (const struct sockaddr *)(const void *)&address, sizeof address);
    }
    if (lookup_run(client->host, client->port, x->end_ns, &list, x->error) != 0)
        return -1;
    for (const struct addrinfo *ai = list; ai != NULL && result != 0; ai = ai->ai_next)
        result = connect_to(x, ai->ai_addr, ai->ai_addrlen);
    freeaddrinfo(list);
    return result;
}

static int send_all(const struct exchange *x, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(x->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return error_set(x->error, "%s", strerror(errno));
        if (sent < 0 && wait_for(x, POLLOUT) != 0)
            return -1;
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
    }
    return 0;
}

/* All to the end of the stream, and a NUL. */
static int receive_all(const struct exchange *x, char **ret, size_t *ret_n)
{
    size_t room = FIRST_ROOM, n = 0;
    char *bytes = malloc(room + 1), *more;

    while (bytes != NULL) {
        ssize_t got = recv(x->fd, bytes + n, room - n, MSG_DONTWAIT);

        if (got == 0) {
            bytes[n] = '\0';
            *ret = bytes;
            *ret_n = n;
            return 0;
        }
        if (got < 0 && errno != EAGAIN && errno != EINTR) {
            (void)error_set(x->error, "%s", strerror(errno));
            break;
        }
        if (got < 0 && wait_for(x, POLLIN) != 0)
            break;
        n += got > 0 ? (size_t)got : 0;
        if (n < room)
            continue;
        more = room < CLIENT_ANSWER_MAX ? realloc(bytes, 2 * room + 1) : NULL;
        if (more == NULL) {
            (void)error_set(x->error, "its answer is too long");
            break;
        }
        bytes = more;
        room *= 2;
    }
    if (bytes == NULL)
        return error_set(x->error, "out of memory");
    free(bytes);
    return -1;
}

int64_t client_whole(struct spoe_span text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        const int64_t digit = text.p[i] - '0';

        if (n > (INT64_MAX - digit) / 10)
            return INT64_MAX;
        n = n * 10 + digit;
    }
    return n;
}

/* The number that a field of the head says. @param end  of the head @return -1: there is none */
static int64_t field_of(const char *bytes, const char *end, const char *name)
{
    const char *field = strcasestr(bytes, name);
    const size_t n = strlen(name);

    if (field == NULL || field > end || (size_t)(end - field) < n)
        return -1;
    if (field[n] < '0' || field[n] > '9') /* such as Retry-After with a date */
        return -1;
    return client_whole((struct spoe_span){field + n, (size_t)(end - field) - n});
}

/* "HTTP/1.1 200 OK", fields, an empty line, and as many bytes as Content-Length says. */
static int take_apart(const struct exchange *x, struct client_answer *ret, size_t n)
{
    const char *bytes = ret->bytes;
    const char *end = strstr(bytes, "\r\n\r\n");
    const int64_t said = end != NULL ? field_of(bytes, end, "\r\nContent-Length: ") : -1;

    if (strncmp(bytes, "HTTP/1.", 7) != 0 || strlen(bytes) < 12 || said < 0)
        return error_set(x->error, "its answer is none of the admin endpoint");
    ret->status = (int)client_whole((struct spoe_span){bytes + 9, 3});
    ret->retry_after_s = field_of(bytes, end, "\r\nRetry-After: ");
    ret->text = ret->bytes + (end + 4 - bytes);
    ret->n = n - (size_t)(end + 4 - bytes);
    if (said != (int64_t)ret->n)
        return error_set(x->error, "its answer is cut");
    return 0;
}

static int exchange(struct exchange *x, const struct client *client, const char *target,
                    const char *body, struct client_answer *ret)
{
    char *request = NULL;
    size_t n = 0;
    int result, len = asprintf(&request,
                               "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                               "User-Agent: spoe-host-ctl\r\n%s%s%s%s%zu\r\n\r\n%s",
                               body != NULL ? "POST" : "GET", target,
                               client->token != NULL ? "Authorization: Bearer " : "",
                               client->token != NULL ? client->token : "",
                               client->token != NULL ? "\r\n" : "",
                               body != NULL ? "Content-Type: application/json\r\nContent-Length: "
                                            : "Content-Length: ",
                               body != NULL ? strlen(body) : 0, body != NULL ? body : "");

    if (len < 0)
        return error_set(x->error, "out of memory");
    result = send_all(x, request, (size_t)len);
    explicit_bzero(request, (size_t)len); /* it has the token */
    free(request);
    if (result == 0)
        result = receive_all(x, &ret->bytes, &n);
    return result == 0 ? take_apart(x, ret, n) : -1;
}

int client_ask(const struct client *client, const char *target, const char *body, int64_t end_ns,
               struct client_answer *ret, struct error *reterr)
{
    struct exchange x = {.fd = -1, .end_ns = end_ns, .error = reterr};
    int result;

    *ret = (struct client_answer){.status = 0};
    if (connect_client(&x, client) != 0)
        return -1;
    result = exchange(&x, client, target, body, ret);
    (void)close(x.fd);
    if (result != 0)
        client_answer_fini(ret);
    return result;
}

void client_answer_fini(struct client_answer *answer)
{
    free(answer->bytes);
    *answer = (struct client_answer){.status = 0};
}
