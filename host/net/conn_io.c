/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/conn_io.c - the bytes of a connection: buffers, and the calls that fill and empty them.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "net/conn_state.h"

#define READ_MIN 2048u /* less room than this at the end of a pinned block: take a new one */

struct log_limit conn_peer_limit;

/* Errors with which a peer leaves; HAProxy 3.1 and later end connections by a reset. */
static bool is_close(int error)
{
    return error == ECONNRESET || error == EPIPE || error == ETIMEDOUT || error == ENOTCONN;
}

/* A call on the socket has failed for good. */
static void die(struct conn *conn, const char *call)
{
    if (!is_close(errno))
        log_limited(&conn_peer_limit, SPOE_LOG_WARNING, CONN_COMPONENT,
                    "%s: %s: %s, dropping connection", conn->peer, call, strerror(errno));
    conn->dead = true;
}

static void no_memory(struct conn *conn)
{
    COUNT(conn_counters(conn), resource_errors);
    conn->dead = true;
}

/* ---- output ---- */

uint8_t *conn_reserve(struct conn *conn, size_t n)
{
    const size_t len = conn_output_len(conn);
    struct block *block;

    if (conn->out != NULL && conn->out->size - conn->out_end >= n)
        return conn->out->data + conn->out_end;
    /* Only where there is as much before as is moved: a byte is moved once on average. */
    if (conn->out != NULL && conn->out->size - len >= n && conn->out_start >= len) {
        memmove(conn->out->data, conn->out->data + conn->out_start, len);
    } else {
        block = block_get(&conn->worker->blocks, conn->out == NULL ? n : 2 * len + n);
        if (block == NULL) {
            no_memory(conn);
            return NULL;
        }
        if (conn->out != NULL)
            memcpy(block->data, conn->out->data + conn->out_start, len);
        block_unref(&conn->worker->blocks, conn->out);
        conn->out = block;
    }
    conn->out_start = 0;
    conn->out_end = len;
    return conn->out->data + conn->out_end;
}

bool conn_write(struct conn *conn)
{
    bool wrote = false;

    while (conn_output_len(conn) > 0 && !conn->blocked && !conn->dead) {
        ssize_t n = send(conn->fd, conn->out->data + conn->out_start, conn_output_len(conn),
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            conn->out_start += (size_t)n;
            COUNT_ADD(conn_counters(conn), bytes_out, n);
            wrote = true;
            conn->unsure = false; /* it would have failed */
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            conn->blocked = true;
        } else if (n == 0 || errno != EINTR) {
            die(conn, "write");
        }
    }
    if (conn->out != NULL && conn_output_len(conn) == 0) {
        block_unref(&conn->worker->blocks, conn->out);
        conn->out = NULL;
        conn->out_start = conn->out_end = 0;
    }
    return wrote;
}

/* ---- input ---- */

void conn_drop_input(struct conn *conn)
{
    block_unref(&conn->worker->blocks, conn->in);
    conn->in = NULL;
    conn->in_start = conn->in_end = 0;
    conn->in_need = SPOP_LENGTH_BYTES;
}

void conn_trim(struct conn *conn)
{
    const struct block *in = conn->in;

    if (in == NULL || conn->in_start != conn->in_end)
        return;
    if (in->refs > 1 && in->size - conn->in_end >= READ_MIN)
        return; /* pinned: the rest of it can still be read into */
    conn_drop_input(conn);
}

/*
 * Make room to read into. What a frame's length claims is believed as far as its bytes come: the
 * buffer grows with them, to twice what is there.
 */
static bool prepare(struct conn *conn)
{
    const size_t len = conn_input_len(conn);
    size_t need = conn->in_need > len ? conn->in_need : len + 1;
    struct block *in = conn->in, *block;

    if (need > BLOCK_SIZE && need > 2 * len)
        need = 2 * len > BLOCK_SIZE ? 2 * len : BLOCK_SIZE;
    if (in != NULL && in->size - conn->in_start >= need && in->size > conn->in_end)
        return true;
    if (in != NULL && in->refs == 1 && in->size >= need && in->size > len) {
        memmove(in->data, in->data + conn->in_start, len);
    } else {
        block = block_get(&conn->worker->blocks, need > len ? need : len + 1);
        if (block == NULL)
            return false;
        if (in != NULL)
            memcpy(block->data, in->data + conn->in_start, len);
        block_unref(&conn->worker->blocks, in);
        conn->in = block;
    }
    conn->in_start = 0;
    conn->in_end = len;
    return true;
}

/* A read has brought n of at most `room` bytes, or nothing. @return whether anything came */
static bool has_read(struct conn *conn, ssize_t n, size_t room)
{
    if (n > 0) {
        /* Less than there was room for: that was all, and news will be told (epoll(7)). But the
         * end that was told already comes as a read of nothing. */
        if ((size_t)n < room && !conn->hung_up) {
            conn->readable = false;
            conn->unsure = true;
        }
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        conn->readable = false;
    else if (n == 0)
        conn->dead = true;
    else
        die(conn, "read");
    return false;
}

static ssize_t receive(int fd, void *to, size_t size)
{
    ssize_t n;

    do {
        n = recv(fd, to, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

bool conn_read(struct conn *conn)
{
    char waste[4096];
    size_t room;
    ssize_t n;

    if (conn->state == CONN_CLOSING)
        return has_read(conn, receive(conn->fd, waste, sizeof waste), sizeof waste);
    if (!prepare(conn)) {
        no_memory(conn);
        return false;
    }
    room = conn->in->size - conn->in_end;
    n = receive(conn->fd, conn->in->data + conn->in_end, room);
    if (n > 0) {
        conn->in_end += (size_t)n;
        COUNT_ADD(conn_counters(conn), bytes_in, n);
    }
    return has_read(conn, n, room);
}

bool conn_is_gone(const struct conn *conn)
{
    struct pollfd pollfd = {.fd = conn->fd, .events = POLLRDHUP};

    return poll(&pollfd, 1, 0) > 0; /* POLLERR and POLLHUP are always told */
}
