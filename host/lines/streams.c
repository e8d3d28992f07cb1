/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/streams.c - log lines over connections, TCP and unix. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lines/message.h"
#include "net/block.h"

#define READ_MIN 4096u /* less room than this: make more */

size_t source_input_len(const struct source *source)
{
    return source->in_end - source->in_start;
}

static void drop_block(struct source *source)
{
    block_unref(&source->reader->worker->blocks, source->in);
    source->in = NULL;
    source->in_start = source->in_end = 0;
}

/* Room to read into, behind what there is of a line. @return false: no memory */
static bool prepare(struct source *source)
{
    const size_t len = source_input_len(source);
    struct block *in = source->in, *block;

    if (in != NULL && in->size - source->in_end >= READ_MIN)
        return true;
    if (in != NULL && in->refs == 1 && in->size / 2 >= len) {
        memmove(in->data, in->data + source->in_start, len);
    } else {
        /* What is there is no longer than a line, framing_next() sees to that. */
        block = block_get(&source->reader->worker->blocks, 2 * len);
        if (block == NULL)
            return false;
        if (in != NULL)
            memcpy(block->data, in->data + source->in_start, len);
        block_unref(&source->reader->worker->blocks, in);
        source->in = block;
    }
    source->in_start = 0;
    source->in_end = len;
    return true;
}

static void lose(struct source *source)
{
    static struct log_limit limit;
    const size_t n = source_input_len(source);

    COUNT(reader_counters(source->reader), log_lost_framing);
    log_limited(&limit, SPOE_LOG_WARNING, LINES_COMPONENT,
                "%s: no length of a log line (1 to %zu, log-line-max) begins what came, \"%.*s\": "
                "closing the connection",
                source->name, source->framing.max, (int)(n < 32 ? n : 32),
                (const char *)source->in->data + source->in_start);
}

/* What became of the lines that are there. */
enum processed { PROCESSED, NO_ROOM, TURN_OVER, LOST };

static enum processed process(struct source *source)
{
    struct dispatch_input input = {.mono_ns = 0};

    while (source_input_len(source) > 0) {
        char *p = (char *)source->in->data + source->in_start;
        struct framing_result result;
        enum framing_found found;

        if (!reader_has_room(source->reader))
            return NO_ROOM;
        if (source->reader->lines_left <= 0)
            return TURN_OVER;
        if (input.mono_ns == 0)
            message_input(source->reader, &input);
        found = framing_next(&source->framing, p, source_input_len(source), &result);
        if (found == FRAMING_LOST)
            return LOST;
        source->in_start += result.used;
        reader_spend(source->reader, 1, result.used);
        if (found == FRAMING_LINE)
            message_take(source, source->in, p + result.line, result.len, source->peer, &input);
        else if (found == FRAMING_DROPPED)
            message_dropped(source, result.dropped);
        else if (found == FRAMING_TOO_LONG)
            message_broken(source, LINE_TOO_LONG, (struct spoe_span){p, source->framing.max},
                           source->framing.max);
        else
            break;
    }
    if (source_input_len(source) == 0 && source->in != NULL)
        drop_block(source);
    return PROCESSED;
}

/* It ends within a line. */
static void tell_partial(struct source *source)
{
    const size_t n = source_input_len(source);

    if (n > 0 || source->framing.passing)
        message_broken(
            source, LINE_PARTIAL,
            (struct spoe_span){n > 0 ? (const char *)source->in->data + source->in_start : NULL, n},
            n);
}

static void now_active(struct source *source, size_t n)
{
    struct reader *reader = source->reader;

    COUNT_ADD(reader_counters(reader), log_bytes, n);
    source->n_read += n;
    source->active_ns = clock_mono_ns();
    TAILQ_REMOVE(&reader->streams, source, link);
    TAILQ_INSERT_TAIL(&reader->streams, source, link);
    atomic_store_explicit(&reader->oldest_ns, TAILQ_FIRST(&reader->streams)->active_ns,
                          memory_order_relaxed);
}

enum source_found source_read_stream(struct source *source)
{
    bool any = false;

    for (;;) {
        ssize_t n;

        switch (process(source)) {
        case NO_ROOM:
            return FOUND_WAITS;
        case TURN_OVER:
            return FOUND_MORE;
        case LOST:
            lose(source);
            drop_block(source);
            source_destroy(source);
            return FOUND_END;
        default:
            break;
        }
        if (source->reader->lines_left <= 0)
            return FOUND_MORE;
        if (!prepare(source)) {
            COUNT(reader_counters(source->reader), resource_errors);
            return FOUND_WAITS; /* the kernel keeps what there is */
        }
        do {
            n = recv(source->fd, source->in->data + source->in_end,
                     source->in->size - source->in_end, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (source_input_len(source) == 0)
                drop_block(source);
            return any ? FOUND_SOME : FOUND_NOTHING;
        }
        if (n <= 0) { /* the peer has closed, or worse */
            source_destroy(source);
            return FOUND_END;
        }
        source->in_end += (size_t)n;
        now_active(source, (size_t)n);
        any = true;
    }
}

void source_destroy(struct source *source)
{
    struct reader *reader = source->reader;
    const struct source *first;

    assert(IS(source, SOURCE_MAGIC) && !source->is_datagram);
    tell_partial(source);
    gaps_leave(&reader->gaps, source->id);
    (void)event_del(&source->event);
    if (source->is_ticking)
        TAILQ_REMOVE(&reader->ticking, source, tick_link);
    TAILQ_REMOVE(&reader->streams, source, link);
    drop_block(source);
    (void)close(source->fd);
    source->magic = 0;
    free(source);
    (void)atomic_fetch_sub(&reader->n_streams, 1);
    first = TAILQ_FIRST(&reader->streams);
    atomic_store_explicit(&reader->oldest_ns, first != NULL ? first->active_ns : 0,
                          memory_order_relaxed);
}
