/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/loop.c - timers and descriptors of plugins on a worker's event loop. */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/thread.h"
#include "net/worker.h"

#define TIMER_MAGIC MAGIC('T', 'I', 'M', 'E')
#define WATCH_MAGIC MAGIC('W', 'T', 'C', 'H')
#define HEAP_MIN 16u

/* Where an armed timer is: in the heap, or on its way to be called. */
#define NOT_ARMED SIZE_MAX
#define IS_DUE (SIZE_MAX - 1)

struct spoe_timer {
    uint32_t magic;
    struct worker *worker;
    const struct spoe_instance *plugin;
    spoe_timer_fn *fn;
    void *arg;
    int64_t at_ns;
    size_t place; /* in the heap, or NOT_ARMED, or IS_DUE */
    TAILQ_ENTRY(spoe_timer) due_link;
    LIST_ENTRY(spoe_timer) link; /* of all */
};

struct spoe_watch {
    uint32_t magic;
    uint32_t events; /* watched for */
    struct worker *worker;
    const struct spoe_instance *plugin;
    spoe_watch_fn *fn;
    void *arg;
    struct event event;
    LIST_ENTRY(spoe_watch) link; /* of all */
};

/* The worker whose thread this is. */
static _Thread_local const struct worker *mine;

void loop_enter(struct worker *worker)
{
    mine = worker;
}

/* An event loop has no locks: nobody but its own thread may change it. */
static bool is_own_thread(struct worker *worker, const struct spoe_instance *plugin,
                          const char *function)
{
    static struct log_limit limits[PLUGINS_MAX];

    if (mine == worker)
        return true;
    COUNT_SHARED(&worker->core.counters, misbehaviour);
    log_limited(&limits[plugin->index], SPOE_LOG_ERR, "host",
                "plugin %s called %s of worker %u from another thread than its own; ignored",
                plugin_name(plugin), function, worker->core.index);
    return false;
}

/* ---- the heap ---- */

static void put(struct loop *loop, size_t place, struct spoe_timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

static void sift_up(struct loop *loop, size_t place, struct spoe_timer *timer)
{
    while (place > 0 && timer->at_ns < loop->heap[(place - 1) / 2]->at_ns) {
        put(loop, place, loop->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(loop, place, timer);
}

static void sift_down(struct loop *loop, size_t place, struct spoe_timer *timer)
{
    size_t child;

    while ((child = 2 * place + 1) < loop->n_armed) {
        if (child + 1 < loop->n_armed && loop->heap[child + 1]->at_ns < loop->heap[child]->at_ns)
            child++;
        if (loop->heap[child]->at_ns >= timer->at_ns)
            break;
        put(loop, place, loop->heap[child]);
        place = child;
    }
    put(loop, place, timer);
}

static void heap_add(struct loop *loop, struct spoe_timer *timer)
{
    assert(loop->n_armed < loop->heap_size);
    sift_up(loop, loop->n_armed++, timer);
}

static void heap_remove(struct loop *loop, size_t place)
{
    struct spoe_timer *last = loop->heap[--loop->n_armed];

    if (place == loop->n_armed)
        return;
    /* It comes from another branch, so that it may belong above as well as below. */
    sift_up(loop, place, last);
    sift_down(loop, last->place, last);
}

/* Room for every timer there is, so that arming one never fails. */
static bool heap_reserve(struct loop *loop, size_t n)
{
    size_t size = loop->heap_size != 0 ? loop->heap_size : HEAP_MIN;
    struct spoe_timer **grown;

    while (size < n)
        size *= 2;
    if (size == loop->heap_size)
        return true;
    grown = realloc(loop->heap, size * sizeof(struct spoe_timer *));
    if (grown == NULL)
        return false;
    loop->heap = grown;
    loop->heap_size = size;
    return true;
}

/* ---- the clock ---- */

/* Have the loop woken for the first timer. One that wakes it too early does no harm. */
static void set_clock(struct loop *loop)
{
    const int64_t at_ns = loop->n_armed > 0 ? loop->heap[0]->at_ns : SPOE_TIMER_OFF;
    struct itimerspec when = {0};

    if (at_ns >= loop->wakes_at_ns)
        return;
    when.it_value.tv_sec = at_ns / NS_PER_S;
    when.it_value.tv_nsec = at_ns % NS_PER_S;
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        loop->wakes_at_ns = at_ns;
}

static void disarm(struct loop *loop, struct spoe_timer *timer)
{
    if (timer->place == IS_DUE)
        TAILQ_REMOVE(&loop->due, timer, due_link);
    else if (timer->place != NOT_ARMED)
        heap_remove(loop, timer->place);
    timer->place = NOT_ARMED;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct loop *loop = &worker->loop;
    const int64_t now_ns = clock_mono_ns();
    struct spoe_timer *timer;
    uint64_t count;

    (void)what;
    assert(IS(worker, WORKER_MAGIC));
    (void)!read(fd, &count, sizeof count);
    loop->wakes_at_ns = SPOE_TIMER_OFF;
    while (loop->n_armed > 0 && loop->heap[0]->at_ns <= now_ns) {
        timer = loop->heap[0];
        disarm(loop, timer);
        timer->place = IS_DUE;
        TAILQ_INSERT_TAIL(&loop->due, timer, due_link);
    }
    while ((timer = TAILQ_FIRST(&loop->due)) != NULL) {
        disarm(loop, timer);
        thread_enter(&timer->plugin->callee, "a timer's function");
        timer->fn(timer->arg); /* may free it */
        thread_leave();
    }
    set_clock(loop);
}

/* @return SPOE_OK: there is a clock; else why there is none */
static spoe_status open_clock(struct worker *worker)
{
    struct loop *loop = &worker->loop;

    if (loop->timer_fd >= 0)
        return SPOE_OK;
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->timer_fd < 0)
        return errno == EMFILE || errno == ENFILE ? SPOE_E_LIMIT : SPOE_E_NOMEM;
    if (event_assign(&loop->timer_event, worker->base, loop->timer_fd, EV_READ | EV_PERSIST,
                     on_time, worker) == 0 &&
        event_add(&loop->timer_event, NULL) == 0)
        return SPOE_OK;
    (void)close(loop->timer_fd);
    loop->timer_fd = -1;
    return SPOE_E_NOMEM;
}

/* ---- timers ---- */

/* A worker as a plugin has it. @return NULL: it is none, or not this thread's */
static struct worker *own_worker(struct spoe_worker *worker, const char *function,
                                 const struct spoe_instance **ret_plugin)
{
    const struct worker_handle *handle = (const struct worker_handle *)(const void *)worker;

    if (handle == NULL || !IS(handle, WORKER_HANDLE_MAGIC) ||
        !is_own_thread(worker_of(handle->worker), handle->plugin, function))
        return NULL;
    *ret_plugin = handle->plugin;
    return worker_of(handle->worker);
}

static spoe_status timer_new(struct spoe_worker *handle, spoe_timer_fn *fn, void *arg,
                             struct spoe_timer **ret)
{
    const struct spoe_instance *plugin = NULL;
    struct worker *worker;
    struct spoe_timer *timer;
    spoe_status status;

    if (fn == NULL || ret == NULL || (worker = own_worker(handle, "timer_new()", &plugin)) == NULL)
        return SPOE_E_INVAL;
    if (worker->loop.n_timers[plugin->index] >= SPOE_LOOP_MAX)
        return SPOE_E_LIMIT;
    status = open_clock(worker);
    if (status != SPOE_OK)
        return status;
    timer = malloc(sizeof *timer);
    if (timer == NULL || !heap_reserve(&worker->loop, worker->loop.n_all + 1)) {
        free(timer);
        return SPOE_E_NOMEM;
    }
    *timer = (struct spoe_timer){.magic = TIMER_MAGIC,
                                 .worker = worker,
                                 .plugin = plugin,
                                 .fn = fn,
                                 .arg = arg,
                                 .place = NOT_ARMED};
    LIST_INSERT_HEAD(&worker->loop.timers, timer, link);
    worker->loop.n_timers[plugin->index]++;
    worker->loop.n_all++;
    *ret = timer;
    return SPOE_OK;
}

static bool is_own_timer(const struct spoe_timer *timer, const char *function)
{
    return timer != NULL && IS(timer, TIMER_MAGIC) &&
           is_own_thread(timer->worker, timer->plugin, function);
}

static spoe_status timer_set(struct spoe_timer *timer, int64_t at_mono_ns)
{
    struct loop *loop;

    if (!is_own_timer(timer, "timer_set()"))
        return SPOE_E_INVAL;
    loop = &timer->worker->loop;
    disarm(loop, timer);
    if (at_mono_ns == SPOE_TIMER_OFF)
        return SPOE_OK;
    timer->at_ns = at_mono_ns > 0 ? at_mono_ns : 1; /* 0 would stop the clock */
    heap_add(loop, timer);
    set_clock(loop);
    return SPOE_OK;
}

static void timer_free(struct spoe_timer *timer)
{
    struct loop *loop;

    if (!is_own_timer(timer, "timer_free()"))
        return;
    loop = &timer->worker->loop;
    disarm(loop, timer);
    LIST_REMOVE(timer, link);
    loop->n_timers[timer->plugin->index]--;
    loop->n_all--;
    timer->magic = 0;
    free(timer);
}

/* ---- watches ---- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct spoe_watch *watch = arg;
    const uint32_t ready = ((what & EV_READ) != 0 ? SPOE_LOOP_READ : 0) |
                           ((what & EV_WRITE) != 0 ? SPOE_LOOP_WRITE : 0);

    assert(IS(watch, WATCH_MAGIC));
    thread_enter(&watch->plugin->callee, "a watch's function");
    watch->fn(watch->arg, fd, ready & watch->events); /* may free it */
    thread_leave();
}

static spoe_status watch_new(struct spoe_worker *handle, int32_t fd, spoe_watch_fn *fn, void *arg,
                             struct spoe_watch **ret)
{
    const struct spoe_instance *plugin = NULL;
    struct worker *worker;
    struct spoe_watch *watch;

    if (fn == NULL || ret == NULL || fd < 0 ||
        (worker = own_worker(handle, "watch_new()", &plugin)) == NULL)
        return SPOE_E_INVAL;
    if (worker->loop.n_watches[plugin->index] >= SPOE_LOOP_MAX)
        return SPOE_E_LIMIT;
    watch = malloc(sizeof *watch);
    if (watch == NULL)
        return SPOE_E_NOMEM;
    *watch = (struct spoe_watch){
        .magic = WATCH_MAGIC, .worker = worker, .plugin = plugin, .fn = fn, .arg = arg};
    (void)event_assign(&watch->event, worker->base, fd, EV_PERSIST, on_ready, watch);
    LIST_INSERT_HEAD(&worker->loop.watches, watch, link);
    worker->loop.n_watches[plugin->index]++;
    *ret = watch;
    return SPOE_OK;
}

static bool is_own_watch(const struct spoe_watch *watch, const char *function)
{
    return watch != NULL && IS(watch, WATCH_MAGIC) &&
           is_own_thread(watch->worker, watch->plugin, function);
}

/* Why a descriptor is not watched. errno has passed through libevent's log. */
static spoe_status why_not(evutil_socket_t fd)
{
    struct stat st;

    return fstat(fd, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? SPOE_E_INVAL
                                                                             : SPOE_E_LIMIT;
}

static spoe_status watch_set(struct spoe_watch *watch, uint32_t events)
{
    const short what = (short)(((events & SPOE_LOOP_READ) != 0 ? EV_READ : 0) |
                               ((events & SPOE_LOOP_WRITE) != 0 ? EV_WRITE : 0));

    if ((events & ~(SPOE_LOOP_READ | SPOE_LOOP_WRITE)) != 0 || !is_own_watch(watch, "watch_set()"))
        return SPOE_E_INVAL;
    if (watch->events == events)
        return SPOE_OK;
    if (watch->events != 0)
        (void)event_del(&watch->event);
    watch->events = 0;
    if (events == 0)
        return SPOE_OK;
    (void)event_assign(&watch->event, watch->worker->base, event_get_fd(&watch->event),
                       (short)(what | EV_PERSIST), on_ready, watch);
    if (event_add(&watch->event, NULL) != 0)
        return why_not(event_get_fd(&watch->event));
    watch->events = events;
    return SPOE_OK;
}

static void watch_free(struct spoe_watch *watch)
{
    if (!is_own_watch(watch, "watch_free()"))
        return;
    if (watch->events != 0)
        (void)event_del(&watch->event);
    LIST_REMOVE(watch, link);
    watch->worker->loop.n_watches[watch->plugin->index]--;
    watch->magic = 0;
    free(watch);
}

/* ---- life ---- */

void loop_init(struct loop *loop)
{
    *loop = (struct loop){.timer_fd = -1, .wakes_at_ns = SPOE_TIMER_OFF};
    TAILQ_INIT(&loop->due);
}

void loop_end(struct worker *worker)
{
    const struct plugin_set *set = worker->core.shared->plugins;
    struct loop *loop = &worker->loop;
    struct spoe_timer *timer;
    struct spoe_watch *watch;

    for (size_t i = 0; i < set->n; i++) {
        if (loop->n_timers[i] != 0 || loop->n_watches[i] != 0)
            log_line(SPOE_LOG_WARNING, "host",
                     "plugin %s left %u timers and %u watches to worker %u at its end",
                     plugin_name(set->plugin[i]), loop->n_timers[i], loop->n_watches[i],
                     worker->core.index);
    }
    /* Their memory stays: a thread of the plugin's that uses one is to be told that it may not. */
    LIST_FOREACH(timer, &loop->timers, link)
    disarm(loop, timer);
    LIST_FOREACH(watch, &loop->watches, link)
    {
        if (watch->events != 0)
            (void)event_del(&watch->event);
        watch->events = 0;
    }
    mine = NULL;
}

void loop_fini(struct worker *worker)
{
    struct loop *loop = &worker->loop;
    struct spoe_timer *timer, *next_timer;
    struct spoe_watch *watch, *next_watch;

    for (timer = LIST_FIRST(&loop->timers); timer != NULL; timer = next_timer) {
        next_timer = LIST_NEXT(timer, link);
        free(timer);
    }
    for (watch = LIST_FIRST(&loop->watches); watch != NULL; watch = next_watch) {
        next_watch = LIST_NEXT(watch, link);
        if (watch->events != 0)
            (void)event_del(&watch->event);
        free(watch);
    }
    free(loop->heap);
    if (loop->timer_fd >= 0) {
        (void)event_del(&loop->timer_event);
        (void)close(loop->timer_fd);
    }
    loop_init(loop);
}

const struct spoe_loop loop_facet = {
    .size = sizeof(struct spoe_loop),
    .timer_new = timer_new,
    .timer_set = timer_set,
    .timer_free = timer_free,
    .watch_new = watch_new,
    .watch_set = watch_set,
    .watch_free = watch_free,
};
