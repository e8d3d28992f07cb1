/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/reader.h - the sockets that bring log lines to one worker, and when they are read.
 *
 * Nobody waits for a line, so reading is lazy: a socket that has something is read log-delay later,
 * again and again until a look finds nothing; then the worker is told of its next bytes. While
 * there is no room below max-pending nothing is read, and the next look tries again. A look takes
 * so many lines at most, of all sources together: the worker has connections of SPOP as well.
 * Threads: the worker's, unless said.
 */
#ifndef HOST_LINES_READER_H
#define HOST_LINES_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/magic.h"
#include "lines/framing.h"
#include "lines/gaps.h"
#include "lines/line.h"
#include "net/worker.h"

#define LINES_COMPONENT "lines"
#define SOURCE_MAGIC MAGIC('L', 'S', 'R', 'C')
#define SOURCE_NAME_MAX 128u
/* A line of 450 bytes takes 1 280 bytes of the kernel's buffer (measured; skb and its data). */
#define LINE_KERNEL_BYTES 1280u

/* What a look at a source has found. */
enum source_found {
    FOUND_NOTHING,
    FOUND_SOME,  /* and now there is nothing more */
    FOUND_MUCH,  /* the same, of what the kernel can keep: look again sooner than log-delay */
    FOUND_MORE,  /* there is more, and others have their turn first */
    FOUND_WAITS, /* there may be more, and no room for it, or no memory */
    FOUND_END    /* the source is gone */
};

struct reader;
struct batch; /* lines/datagrams.c */

/* A socket. */
struct source {
    uint32_t magic;
    int fd;
    struct reader *reader;
    struct event event;
    bool is_ticking, is_datagram;
    bool is_tcp; /* a stream that can wake when much is there, and that ends by a reset */
    TAILQ_ENTRY(source) tick_link;
    TAILQ_ENTRY(source) link; /* of the reader, streams by their last bytes */
    uint64_t n_read;          /* bytes; datagrams */
    uint64_t read_until;      /* n_read with what the kernel had at the end */
    bool is_leaving;          /* it goes when it has sent something, see finish() */
    uint64_t peer, id;        /* for gaps; id: of a connection, over all readers */
    char name[SOURCE_NAME_MAX];

    /* of datagrams */
    uint32_t receive_buffer; /* as the kernel counts */
    uint32_t kernel_drops;   /* so far */
    uint32_t unnumbered;     /* datagrams since one had a number, lc */

    /* of a stream */
    struct framing framing;
    struct block *in;
    size_t in_start, in_end;
    int64_t active_ns;
};
TAILQ_HEAD(source_list, source);

struct reader {
    struct worker *worker;
    struct event tick_timer, idle_timer;
    bool has_timers;
    struct source_list datagrams, streams; /* all there are */
    struct source_list ticking;            /* those that are looked at by the timer */
    int lines_left;                        /* of this look, long ones count more */
    bool draining, drained;
    int64_t leave_ns;    /* draining: until when streams have to be quiet */
    struct batch *batch; /* NULL: no source of datagrams */
    struct line line;    /* the one in hand */
    struct gaps gaps;
    uint64_t n_ids;             /* given to connections */
    _Atomic uint32_t n_streams; /* also those on their way here; [any] */
    _Atomic int64_t oldest_ns;  /* when the stream was active that is quiet for longest, 0: none;
                                   [any] reads */
    void (*on_drained)(void *arg);
    void *arg;
};

/**
 * @param datagrams   whether it will read any
 * @param past        [borrow] what connections leave to those that come next, of all readers
 * @param on_drained  called at the end of reader_drain(), on the worker, with `arg`
 * Threads: [main & not started]. @return 0; -1 no memory, reader_stop() is due all the same
 */
int reader_init(struct reader *reader, struct worker *worker, bool datagrams,
                struct gaps_past *past, void (*on_drained)(void *arg), void *arg);
/** Read a socket of datagrams, which stays the caller's. [main & not started] @return 0; -1 no
 * memory */
int reader_add_datagrams(struct reader *reader, int fd, const char *name);
void reader_start(struct reader *reader);
/** Take over a stream. @param octets  lines begin with their length */
void reader_add_stream(struct reader *reader, int fd, const char *name, uint64_t peer, bool tcp,
                       bool octets);
/** Close the stream that is quiet for longest, for another. @return false: none is quiet */
bool reader_evict(struct reader *reader);
/** Read what has been sent, close the streams when they are quiet, then call on_drained(). */
void reader_drain(struct reader *reader);
/** Close and free everything, read or not. Also where it was never started. */
void reader_stop(struct reader *reader);

/* ---- for the sources ---- */

/** Whether plugins may be given another message. */
static inline bool reader_has_room(const struct reader *reader)
{
    const struct host_shared *shared = reader->worker->core.shared;

    return atomic_load_explicit(&shared->n_pending, memory_order_relaxed) <
           shared->conf->max_pending;
}

/** Some of what a look may take has been taken. */
static inline void reader_spend(struct reader *reader, size_t lines, size_t bytes)
{
    reader->lines_left -= (int)(lines + bytes / 1024);
}

static inline struct counters *reader_counters(struct reader *reader)
{
    return &reader->worker->core.counters;
}

/* lines/datagrams.c */
struct batch *batch_create(struct worker *worker);
void batch_destroy(struct batch *batch, struct worker *worker);
enum source_found source_read_datagrams(struct source *source);
/** The sender without its port, which changes: for gaps. [any] */
uint64_t source_peer(const struct sockaddr *sa);
/* lines/streams.c */
enum source_found source_read_stream(struct source *source);
/** Bytes that were read and not yet taken. */
size_t source_input_len(const struct source *source);
/** Free the stream and close it; part of a line that it ends with is counted. */
void source_destroy(struct source *source);

#endif
