/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/reader.c - see reader.h. */
#include "lines/reader.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define MUCH_PART 8                /* of log-delay, where much was found */
#define WAKE_BYTES (64 * 1024)     /* a stream that is waited for wakes when so much is there */
#define LINES_PER_LOOK 256         /* of all sources, then what else the worker has has its turn */
#define ROOM_PAUSE_NS NS_PER_MS    /* at least, before it is seen again whether there is room */
#define DATAGRAM_MIN 512u          /* bytes of the kernel's buffer that one takes at least */
#define LEAVE_NS (250 * NS_PER_MS) /* for streams to be quiet, at the end */
#define PAUSE_NS (20 * NS_PER_MS)  /* without a byte: it is quiet */
#define QUIET_NS NS_PER_S /* a stream that may go for another has brought nothing for so long */

static struct source *check(struct source *source)
{
    assert(IS(source, SOURCE_MAGIC));
    return source;
}

static const struct host_conf *conf_of(const struct reader *reader)
{
    return reader->worker->core.shared->conf;
}

/* ---- timers ---- */

static void arm(struct event *timer, int64_t ns)
{
    const struct timeval tv = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US};

    (void)evtimer_add(timer, &tv);
}

/* The stream that is quiet for longest has its time; one that was not, then, looks again. A unix
 * one may be quiet for ever: there is no reset, and from 3.0 on HAProxy sees no other end before
 * it has lost the next line. It has a process of this machine behind it, which tells if it ends. */
static void arm_idle(struct reader *reader)
{
    const struct source *first = TAILQ_FIRST(&reader->streams);
    const int64_t timeout = conf_of(reader)->idle_timeout_ns;
    int64_t wait;

    if (first == NULL || timeout == 0 || evtimer_pending(&reader->idle_timer, NULL))
        return;
    wait = first->active_ns + timeout - clock_mono_ns();
    arm(&reader->idle_timer, wait > 0 ? wait : 0);
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
    struct reader *reader = arg;
    const int64_t now = clock_mono_ns(), timeout = conf_of(reader)->idle_timeout_ns;
    struct source *first;

    (void)fd;
    (void)what;
    while ((first = TAILQ_FIRST(&reader->streams)) != NULL && first->active_ns + timeout <= now) {
        if (first->is_ticking || !first->is_tcp) { /* it has something, and there is no room */
            first->active_ns = now;
            TAILQ_REMOVE(&reader->streams, first, link);
            TAILQ_INSERT_TAIL(&reader->streams, first, link);
            continue;
        }
        COUNT(reader_counters(reader), idle_timeouts);
        source_destroy(check(first));
    }
    arm_idle(reader);
}

/* ---- looking ---- */

static void set_wake(const struct source *source, int bytes)
{
    if (source->is_tcp)
        (void)setsockopt(source->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

static bool watch(struct source *source)
{
    if (event_add(&source->event, NULL) == 0)
        return true;
    COUNT(reader_counters(source->reader), resource_errors);
    return false;
}

static void begin_ticking(struct source *source)
{
    if (source->is_ticking)
        return;
    source->is_ticking = true;
    TAILQ_INSERT_TAIL(&source->reader->ticking, source, tick_link);
}

/* Nothing was there: wait for the next bytes. */
static void stop_ticking(struct source *source)
{
    (void)event_del(&source->event);
    set_wake(source, 1);
    if (!watch(source)) /* look again instead */
        return;
    source->is_ticking = false;
    TAILQ_REMOVE(&source->reader->ticking, source, tick_link);
}

static enum source_found read_source(struct source *source)
{
    return source->is_datagram ? source_read_datagrams(source) : source_read_stream(source);
}

/* A socket of datagrams has been read to the end, or as much as there can have been at the end. */
static void finish_datagrams(struct source *source, enum source_found found)
{
    if (found == FOUND_MORE && source->n_read < source->read_until)
        return;
    (void)event_del(&source->event);
    source->is_ticking = false;
    TAILQ_REMOVE(&source->reader->ticking, source, tick_link);
}

/* From now on it is read as soon as it has something, and then it goes. */
static void begin_leaving(struct source *source)
{
    int n = 0;

    (void)ioctl(source->fd, SIOCINQ, &n);
    source->read_until = source->n_read + (unsigned)n;
    source->is_leaving = true;
    (void)event_del(&source->event);
    set_wake(source, 1);
    (void)watch(source);
}

/*
 * At the end a stream goes when it is quiet. One that never is goes after LEAVE_NS, right after
 * something came and was read: what HAProxy has in its own buffers is lost with the connection, and
 * they are empty when it has just written. It is not told to go by a FIN, see close_by_reset() in
 * lines.c.
 */
static void finish(struct source *source, enum source_found found)
{
    const struct reader *reader;
    const int64_t now = clock_mono_ns();
    bool was_leaving;

    if (found == FOUND_END || found == FOUND_WAITS) /* the source may be gone */
        return;
    reader = source->reader;
    was_leaving = source->is_leaving;
    if (source->is_datagram) {
        finish_datagrams(source, found);
        return;
    }
    if (now >= reader->leave_ns && !was_leaving)
        begin_leaving(source);
    if (found == FOUND_MORE &&
        (!was_leaving || source->n_read < source->read_until + source_input_len(source)))
        return;
    if (now >= source->active_ns + PAUSE_NS || now >= reader->leave_ns + PAUSE_NS ||
        (was_leaving && found != FOUND_NOTHING))
        source_destroy(source);
}

static int64_t delay_after(const struct reader *reader, enum source_found found)
{
    int64_t delay = conf_of(reader)->log_delay_ns;

    if (reader->draining && delay > PAUSE_NS / 2)
        delay = PAUSE_NS / 2;
    switch (found) {
    case FOUND_MORE:
        return 0;
    case FOUND_MUCH:
        return delay / MUCH_PART;
    case FOUND_WAITS:
        return delay > ROOM_PAUSE_NS ? delay : ROOM_PAUSE_NS;
    default:
        return delay;
    }
}

/* Look at every source that may have something, once. */
static void look(struct reader *reader)
{
    const struct source *const last = TAILQ_LAST(&reader->ticking, source_list);
    int64_t delay = INT64_MAX;
    bool done = last == NULL;

    reader->lines_left = LINES_PER_LOOK;
    while (!done) {
        struct source *source = check(TAILQ_FIRST(&reader->ticking));
        enum source_found found;
        int64_t wanted;

        if (reader->lines_left <= 0) { /* the others come first in the next turn */
            delay = 0;
            break;
        }
        done = source == last;
        TAILQ_REMOVE(&reader->ticking, source, tick_link); /* to the end: each has its turn first */
        TAILQ_INSERT_TAIL(&reader->ticking, source, tick_link);
        found = read_source(source);
        wanted = delay_after(reader, found);
        if (wanted < delay)
            delay = wanted;
        if (reader->draining)
            finish(source, found);
        else if (found == FOUND_NOTHING)
            stop_ticking(source);
        else if (found == FOUND_SOME && source->is_tcp)
            (void)watch(source); /* it woke the worker, which may have been for once */
    }
    if (!TAILQ_EMPTY(&reader->ticking))
        arm(&reader->tick_timer, delay);
    if (reader->draining && !reader->drained && TAILQ_EMPTY(&reader->ticking)) {
        reader->drained = true;
        reader->on_drained(reader->arg);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    look(arg);
}

/* Something is there: look at it later; or, where it was waited for already, much is. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct source *source = check(arg);
    struct reader *reader = source->reader;

    (void)fd;
    (void)what;
    if (source->is_ticking) {
        if (reader_has_room(reader))
            arm(&reader->tick_timer, 0);
        return;
    }
    begin_ticking(source);
    if (source->is_tcp) {
        set_wake(source, WAKE_BYTES);
        (void)watch(source);
    }
    if (!evtimer_pending(&reader->tick_timer, NULL))
        arm(&reader->tick_timer, conf_of(reader)->log_delay_ns);
}

/* ---- life ---- */

int reader_init(struct reader *reader, struct worker *worker, bool datagrams,
                struct gaps_past *past, void (*on_drained)(void *arg), void *arg)
{
    *reader = (struct reader){
        .worker = worker, .on_drained = on_drained, .arg = arg, .gaps = {.past = past}};
    TAILQ_INIT(&reader->datagrams);
    TAILQ_INIT(&reader->streams);
    TAILQ_INIT(&reader->ticking);
    reader->batch = datagrams ? batch_create(worker) : NULL;
    if (datagrams && reader->batch == NULL)
        return -1;
    if (evtimer_assign(&reader->tick_timer, worker->base, on_tick, reader) != 0 ||
        evtimer_assign(&reader->idle_timer, worker->base, on_idle, reader) != 0)
        return -1;
    reader->has_timers = true;
    return 0;
}

/*
 * What the kernel has dropped on an inherited socket before this host had it, which is not this
 * host's to count: others had it before, and counted theirs.
 */
static uint32_t drops_so_far(int fd, const char *name)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0 || info[SK_MEMINFO_DROPS] == 0)
        return 0;
    log_line(SPOE_LOG_WARNING, LINES_COMPONENT,
             "%s: the kernel has dropped %u log lines on it up to now, most likely while no host "
             "was there to read them: a larger ReceiveBuffer= keeps more",
             name, info[SK_MEMINFO_DROPS]);
    return info[SK_MEMINFO_DROPS];
}

static struct source *make_source(struct reader *reader, int fd, const char *name)
{
    struct source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return NULL;
    *source = (struct source){.magic = SOURCE_MAGIC, .reader = reader, .fd = fd};
    (void)snprintf(source->name, sizeof source->name, "%s", name);
    (void)event_assign(&source->event, reader->worker->base, fd, EV_READ, on_readable, source);
    return source;
}

int reader_add_datagrams(struct reader *reader, int fd, const char *name)
{
    struct source *source = make_source(reader, fd, name);
    int size = 0;
    socklen_t len = sizeof size;

    if (source == NULL)
        return -1;
    source->is_datagram = true;
    source->kernel_drops = drops_so_far(fd, name);
    (void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
    source->receive_buffer = (uint32_t)size;
    TAILQ_INSERT_TAIL(&reader->datagrams, source, link);
    return 0;
}

void reader_start(struct reader *reader)
{
    struct source *source;

    TAILQ_FOREACH(source, &reader->datagrams, link)
    {
        if (watch(check(source)))
            continue;
        begin_ticking(source); /* look again and again */
        arm(&reader->tick_timer, conf_of(reader)->log_delay_ns);
    }
}

void reader_add_stream(struct reader *reader, int fd, const char *name, uint64_t peer, bool tcp,
                       bool octets)
{
    struct source *source = reader->draining ? NULL : make_source(reader, fd, name);

    if (source == NULL) {
        COUNT(reader_counters(reader), resource_errors);
        (void)close(fd);
        (void)atomic_fetch_sub(&reader->n_streams, 1);
        return;
    }
    source->peer = peer;
    source->id = ((uint64_t)reader->worker->core.index + 1) << 48 | ++reader->n_ids;
    source->is_tcp = tcp;
    source->framing = (struct framing){.octets = octets, .max = conf_of(reader)->log_line_max};
    source->active_ns = clock_mono_ns();
    TAILQ_INSERT_TAIL(&reader->streams, source, link);
    COUNT(reader_counters(reader), log_connections);
    if (!watch(source)) {
        source_destroy(source);
        return;
    }
    atomic_store_explicit(&reader->oldest_ns, TAILQ_FIRST(&reader->streams)->active_ns,
                          memory_order_relaxed);
    arm_idle(reader);
}

bool reader_evict(struct reader *reader)
{
    struct source *first = TAILQ_FIRST(&reader->streams);

    if (first == NULL || first->is_ticking || first->active_ns + QUIET_NS > clock_mono_ns())
        return false;
    COUNT(reader_counters(reader), evicted_connections);
    source_destroy(check(first));
    return true;
}

void reader_drain(struct reader *reader)
{
    struct source *source;

    reader->draining = true;
    reader->leave_ns = clock_mono_ns() + LEAVE_NS;
    TAILQ_FOREACH(source, &reader->datagrams, link)
    {
        begin_ticking(check(source));
        source->read_until = source->n_read + source->receive_buffer / DATAGRAM_MIN;
    }
    TAILQ_FOREACH(source, &reader->streams, link)
    begin_ticking(check(source));
    look(reader);
}

void reader_stop(struct reader *reader)
{
    struct source *source;

    if (reader->worker == NULL)
        return;
    if (reader->draining && !reader->drained)
        log_line(SPOE_LOG_WARNING, LINES_COMPONENT,
                 "worker %u: log lines are left unread, going on", reader->worker->core.index);
    while ((source = TAILQ_FIRST(&reader->streams)) != NULL)
        source_destroy(check(source));
    while ((source = TAILQ_FIRST(&reader->datagrams)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see what TAILQ_REMOVE does */
        (void)event_del(&check(source)->event);
        TAILQ_REMOVE(&reader->datagrams, source, link);
        source->magic = 0;
        free(source);
    }
    TAILQ_INIT(&reader->ticking);
    if (reader->has_timers) {
        (void)event_del(&reader->tick_timer);
        (void)event_del(&reader->idle_timer);
    }
    batch_destroy(reader->batch, reader->worker);
    reader->batch = NULL;
    reader->worker = NULL;
}
