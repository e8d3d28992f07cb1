/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/conn_state.h - what a connection is, for the files of the connection alone: conn.c (its
 * life and its turns), conn_frames.c (what frames do), conn_io.c (its bytes).
 *
 * Nothing here waits for anything by itself. Each file changes the state; conn_turn() goes on until
 * nothing changes any more and then derives from the state what the worker has to watch.
 * Threads: the worker's only.
 */
#ifndef HOST_NET_CONN_STATE_H
#define HOST_NET_CONN_STATE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/log.h"
#include "base/magic.h"
#include "net/conn.h"
#include "net/worker.h"

#define CONN_MAGIC MAGIC('C', 'O', 'N', 'N')
#define CONN_COMPONENT "spop"
#define CONN_OUTPUT_HIGH ((size_t)256 * 1024) /* bytes of unread output at which we pause */
#define CONN_HELLO_FRAME_MAX ((size_t)16384)  /* of a frame before HELLO is accepted */
#define CONN_ENGINE_ID_MAX 128u
#define CONN_READS_PER_TURN 8u  /* then the other connections have their turns */
#define CONN_READS_AT_DRAIN 64u /* for what has arrived before the drain */

enum conn_state { CONN_HELLO, CONN_OPEN, CONN_DRAINING, CONN_CLOSING };

/* The engine's name. Messages point to it, so it may have to outlive its connection. */
struct engine_name {
    uint32_t refs; /* the connection, and each exchange that a plugin has not completed */
    size_t len;
    char text[];
};

struct conn {
    uint32_t magic;
    enum conn_state state;
    int fd;
    struct worker *worker;

    /* What events and calls have told of the socket. Its events are edge-triggered: each is told
     * once, and holds until a call says otherwise. */
    bool readable; /* there may be bytes, or the end, to read */
    bool hung_up;  /* the peer will send no more */
    bool unsure;   /* a read has brought all; an end that was told with it shows in nothing else */
    bool blocked;  /* the kernel has not taken all of the output */

    /* What is so. */
    bool is_used;    /* has had a NOTIFY */
    bool wants_room; /* the next frame is a NOTIFY, and there is no room below max-pending */
    bool shut;       /* our side is shut down */
    bool dead;       /* is destroyed at the end of this turn */

    /* What settle() has derived from it all. */
    bool is_due, is_paused, is_writing;
    struct deadline_list *clock; /* that `deadline` is in, NULL: none */
    struct deadline deadline;
    TAILQ_ENTRY(conn) link; /* of the worker */
    TAILQ_ENTRY(conn) due_link;
    TAILQ_ENTRY(conn) paused_link;
    struct event read_event, write_event;

    struct block *in;
    size_t in_start, in_end;
    size_t in_need;      /* bytes that must be there before a frame can be taken */
    size_t frame_max;    /* of a frame that is read: CONN_HELLO_FRAME_MAX, then frame_size */
    uint32_t reads_left; /* DRAINING */
    struct block *out;
    size_t out_start, out_end;

    int64_t active_ns;              /* when it was made, or had its last frame */
    struct exchange_list exchanges; /* in flight */
    uint32_t frame_size;            /* agreed to */
    struct engine_name *engine;     /* NULL: none was given */
    struct peer_group *peer_group;  /* what HELLO said; NULL before */
    char peer[CONN_PEER_MAX];
};

static inline struct conn *conn_check(struct conn *conn)
{
    assert(IS(conn, CONN_MAGIC));
    return conn;
}

static inline struct counters *conn_counters(struct conn *conn)
{
    return &conn->worker->core.counters;
}

static inline size_t conn_input_len(const struct conn *conn)
{
    return conn->in_end - conn->in_start;
}

static inline size_t conn_output_len(const struct conn *conn)
{
    return conn->out_end - conn->out_start;
}

/* A line about what a peer did: at most one a second of all of them. */
extern struct log_limit conn_peer_limit;

/* ---- conn_io.c ---- */

/* Room for n more bytes of output, to be taken by moving out_end. @return NULL: out of memory, the
 * connection is dead */
uint8_t *conn_reserve(struct conn *conn, size_t n);
/* Write what the kernel takes. @return whether it took anything */
bool conn_write(struct conn *conn);
/* Read once; in CLOSING what comes is thrown away. @return whether anything came */
bool conn_read(struct conn *conn);
/* Keep no buffer that holds nothing. */
void conn_trim(struct conn *conn);
/* Drop the input. */
void conn_drop_input(struct conn *conn);
/* Whether the peer has closed or reset the connection, without reading. */
bool conn_is_gone(const struct conn *conn);

/* ---- conn_frames.c ---- */

/* Take whole frames out of the input until there is none, or they have to wait. @return whether
 * there was one */
bool conn_process(struct conn *conn);
/* Say why and close. */
void conn_disconnect(struct conn *conn, int status);
/* The same, counted and logged as an error of the peer. `where` is what was wrong. */
void conn_protocol_error(struct conn *conn, int status, const char *where);
/* Count and drop the frames that nobody will handle: read ones, and of a peer that is gone those
 * that the kernel has. */
void conn_discard_frames(struct conn *conn);
/* Answer what is in flight without the parts that are not there. */
void conn_answer_all(struct conn *conn);
/* No ACK will leave this connection any more. */
void conn_abandon_exchanges(struct conn *conn);
void conn_engine_unref(struct engine_name *engine);

/* ---- conn.c ---- */

/* The last words are in the output; no frame is taken any more. */
void conn_start_closing(struct conn *conn);
/* There is something to do for it: it has a turn when the worker gets to it. */
void conn_mark_due(struct conn *conn);

#endif
