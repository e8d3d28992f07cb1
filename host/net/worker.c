/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/worker.c - one thread with its event loop and its connections. */
#include "net/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/conn.h"

#define CLOSE_TIMER_MAX_NS (3600 * NS_PER_S) /* libevent's timers take no years */

static struct worker *check(struct worker *worker)
{
    assert(IS(worker, WORKER_MAGIC));
    return worker;
}

static void set_phase(struct worker *worker, enum worker_phase phase)
{
    (void)pthread_mutex_lock(&worker->lock);
    worker->phase = phase;
    (void)pthread_cond_broadcast(&worker->changed);
    (void)pthread_mutex_unlock(&worker->lock);
}

enum worker_phase worker_get_phase(struct worker *worker)
{
    enum worker_phase phase;

    (void)pthread_mutex_lock(&worker->lock);
    phase = worker->phase;
    (void)pthread_mutex_unlock(&worker->lock);
    return phase;
}

bool worker_wait(struct worker *worker, enum worker_phase phase, int64_t deadline_mono_ns)
{
    struct timespec ts = {.tv_sec = deadline_mono_ns / NS_PER_S,
                          .tv_nsec = deadline_mono_ns % NS_PER_S};
    int error = 0;
    bool reached;

    (void)pthread_mutex_lock(&worker->lock);
    while (worker->phase < phase && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&worker->changed, &worker->lock, &ts);
    reached = worker->phase >= phase;
    (void)pthread_mutex_unlock(&worker->lock);
    return reached;
}

static void end_turn(struct worker *worker);

/* ---- timers ---- */

static struct deadline *first_pending(struct worker *worker)
{
    struct deadline *first = NULL;

    for (uint32_t i = 0; i < worker->core.shared->routes->n_timeouts; i++) {
        struct deadline *d = TAILQ_FIRST(&worker->pending[i]);

        if (d != NULL && (first == NULL || d->at_ns < first->at_ns))
            first = d;
    }
    return first;
}

static void arm_pending(struct worker *worker)
{
    const struct deadline *first = first_pending(worker);
    struct itimerspec when = {0};

    /* One that is set too early looks again. */
    if (first == NULL || (worker->pending_at_ns != 0 && worker->pending_at_ns <= first->at_ns))
        return;
    when.it_value.tv_sec = first->at_ns / NS_PER_S;
    when.it_value.tv_nsec = first->at_ns % NS_PER_S;
    if (timerfd_settime(worker->pending_timer, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        worker->pending_at_ns = first->at_ns;
}

void worker_watch(struct worker *worker, struct exchange *exchange, int64_t now_ns)
{
    const struct request *next = exchange_next(exchange, now_ns);

    if (next == NULL)
        return;
    exchange->deadlines = next->target->deadlines;
    /* At the end, but for one that has waited for another request of it before. */
    deadline_insert(&worker->pending[exchange->deadlines], &exchange->deadline,
                    next->message.deadline_mono_ns);
    arm_pending(worker);
}

void worker_unwatch(struct worker *worker, struct exchange *exchange)
{
    deadline_remove(&worker->pending[exchange->deadlines], &exchange->deadline);
}

static void on_pending_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = check(arg);
    int64_t now = clock_mono_ns();
    struct deadline *due;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    worker->pending_at_ns = 0;
    for (uint32_t i = 0; i < worker->core.shared->routes->n_timeouts; i++) {
        while ((due = deadline_pop(&worker->pending[i], now)) != NULL)
            conn_exchange_expired(due, worker, now);
    }
    end_turn(worker);
    arm_pending(worker);
}

void worker_arm_close(struct worker *worker)
{
    const struct deadline *first[] = {TAILQ_FIRST(&worker->hello), TAILQ_FIRST(&worker->unused),
                                      TAILQ_FIRST(&worker->idle), TAILQ_FIRST(&worker->linger)};
    int64_t at_ns = INT64_MAX, wait;
    struct timeval tv;

    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        if (first[i] != NULL && first[i]->at_ns < at_ns)
            at_ns = first[i]->at_ns;
    }
    /* One that is set too early looks again. */
    if (at_ns == INT64_MAX || (worker->close_at_ns != 0 && worker->close_at_ns <= at_ns))
        return;
    wait = at_ns - clock_mono_ns();
    if (wait < 0)
        wait = 0;
    if (wait > CLOSE_TIMER_MAX_NS)
        wait = CLOSE_TIMER_MAX_NS;
    tv.tv_sec = wait / NS_PER_S;
    tv.tv_usec = (wait % NS_PER_S) / 1000 + 1;
    if (evtimer_add(worker->close_timer, &tv) == 0)
        worker->close_at_ns = at_ns;
}

static void on_close_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = check(arg);
    int64_t now = clock_mono_ns();
    struct deadline *due;

    (void)fd;
    (void)what;
    worker->close_at_ns = 0;
    while ((due = deadline_pop(&worker->linger, now)) != NULL)
        conn_linger_expired(due);
    while ((due = deadline_pop(&worker->hello, now)) != NULL)
        conn_hello_expired(due);
    while ((due = deadline_pop(&worker->unused, now)) != NULL)
        conn_idle_expired(due);
    while ((due = deadline_pop(&worker->idle, now)) != NULL)
        conn_idle_expired(due);
    worker_arm_close(worker);
}

void worker_arm_due(struct worker *worker)
{
    const struct timeval now = {0, 0};

    if (!evtimer_pending(worker->due_timer, NULL))
        (void)evtimer_add(worker->due_timer, &now);
}

static void on_due_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_run_due(check(arg));
}

/* ---- mail ---- */

/* The last of each turn in which messages ended. */
static void end_turn(struct worker *worker)
{
    int given = ROOM_GIVEN;
    bool room = worker->core.freed_places || !TAILQ_EMPTY(&worker->paused);

    worker->core.freed_places = false;
    if (atomic_compare_exchange_strong(&worker->room, &given, ROOM_ENOUGH))
        room = worker->gave_room = true; /* it is our own connections' turn */
    conn_run_due(worker);
    if (room)
        worker_share_room(worker);
    worker_check_drained(worker);
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = check(arg);

    (void)fd;
    (void)what;
    (void)mailbox_run(&worker->core.mailbox);
    end_turn(worker);
}

/* A socket on its way to its worker. */
struct adoption {
    struct mail mail;
    struct worker *worker;
    int fd;
    enum worker_eviction evicts;
    char peer[CONN_PEER_MAX];
};

static void refuse(struct worker *worker, int fd)
{
    (void)close(fd);
    (void)atomic_fetch_sub(&worker->n_conns, 1);
}

static void run_adoption(struct mail *mail)
{
    struct adoption *adoption = container_of(mail, struct adoption, mail);
    struct worker *worker = check(adoption->worker);

    if (adoption->evicts != WORKER_EVICTS_NONE)
        (void)atomic_fetch_sub(&worker->n_evicting, 1);
    if (worker->phase >= WORKER_DRAINING) { /* only this thread writes it */
        refuse(worker, adoption->fd);
    } else if (adoption->evicts != WORKER_EVICTS_NONE &&
               !conn_evict(worker, adoption->evicts == WORKER_EVICTS_CROWDED)) {
        (void)atomic_fetch_add(&worker->core.shared->n_refused, 1);
        refuse(worker, adoption->fd);
    } else {
        conn_create(worker, adoption->fd, adoption->peer);
    }
    (void)atomic_fetch_sub(&worker->n_arriving, 1); /* a newcomer now, and never neither */
    free(adoption);
}

void worker_adopt(struct worker *worker, int fd, const char *peer, enum worker_eviction evicts)
{
    struct adoption *adoption = calloc(1, sizeof *adoption);

    (void)atomic_fetch_add(&check(worker)->n_conns, 1);
    (void)atomic_fetch_add(&worker->n_arriving, 1);
    if (evicts != WORKER_EVICTS_NONE)
        (void)atomic_fetch_add(&worker->n_evicting, 1);
    if (adoption != NULL) {
        *adoption = (struct adoption){
            .mail = {.run = run_adoption}, .worker = worker, .fd = fd, .evicts = evicts};
        (void)snprintf(adoption->peer, sizeof adoption->peer, "%s", peer);
        if (mailbox_put(&worker->core.mailbox, &adoption->mail))
            return;
    }
    if (evicts != WORKER_EVICTS_NONE)
        (void)atomic_fetch_sub(&worker->n_evicting, 1);
    (void)atomic_fetch_sub(&worker->n_arriving, 1);
    refuse(worker, fd);
    free(adoption);
}

/* An order to the worker as a whole. */
struct order {
    struct mail mail;
    struct worker *worker;
};

static struct worker *take_order(struct mail *mail)
{
    struct order *order = container_of(mail, struct order, mail);
    struct worker *worker = check(order->worker);

    free(order);
    return worker;
}

static void send_order(struct worker *worker, mail_fn *run)
{
    struct order *order = malloc(sizeof *order);

    if (order == NULL) { /* the shutdown deadline will end the process */
        log_line(SPOE_LOG_ERR, "host", "worker %u: out of memory at shutdown", worker->core.index);
        return;
    }
    *order = (struct order){.mail = {.run = run}, .worker = check(worker)};
    if (!mailbox_put(&worker->core.mailbox, &order->mail))
        free(order);
}

static void run_quiesce(struct mail *mail)
{
    struct worker *worker = take_order(mail);

    if (worker->phase == WORKER_RUNNING)
        set_phase(worker, WORKER_QUIESCING);
}

void worker_quiesce(struct worker *worker)
{
    send_order(worker, run_quiesce);
}

static void run_drain(struct mail *mail)
{
    struct worker *worker = take_order(mail);

    if (worker->phase != WORKER_RUNNING && worker->phase != WORKER_QUIESCING)
        return;
    set_phase(worker, WORKER_DRAINING);
    conn_drain_all(worker);
    worker_check_drained(worker);
}

void worker_drain(struct worker *worker)
{
    send_order(worker, run_drain);
}

void worker_check_drained(struct worker *worker)
{
    if (worker->phase == WORKER_DRAINING && TAILQ_EMPTY(&worker->conns) &&
        worker->core.n_outstanding == 0)
        set_phase(worker, WORKER_DRAINED);
}

static void close_all(struct worker *worker)
{
    struct conn *conn;

    worker->stopping = true;
    while ((conn = TAILQ_FIRST(&worker->conns)) != NULL)
        conn_end(conn);
}

static void run_close(struct mail *mail)
{
    struct worker *worker = take_order(mail);

    close_all(worker);
    set_phase(worker, WORKER_CLOSED);
}

void worker_close(struct worker *worker)
{
    send_order(worker, run_close);
}

static void run_stop(struct mail *mail)
{
    struct worker *worker = take_order(mail);

    worker->stopping = true;
    (void)event_base_loopbreak(worker->base);
}

void worker_stop(struct worker *worker)
{
    send_order(worker, run_stop);
}

/* ---- life ---- */

static void stop_plugins(struct worker *worker)
{
    worker_core_stop(&worker->core);
    loop_end(worker);
}

static void run_loop(struct worker *worker)
{
    if (event_base_loop(worker->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        log_line(SPOE_LOG_ERR, "host", "worker %u: event loop failed", worker->core.index);
    close_all(worker);
    stop_plugins(worker);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "worker-%u", worker->core.index);
    (void)pthread_setname_np(pthread_self(), name);
    thread_begin(name);
    worker->record = thread_mine;
    loop_enter(worker);
    if (worker_core_start(&worker->core, &worker->failed_plugin) != 0) {
        stop_plugins(worker);
        set_phase(worker, WORKER_FAILED);
    } else {
        set_phase(worker, WORKER_RUNNING);
        run_loop(worker);
        set_phase(worker, WORKER_STOPPED);
    }
    thread_end();
    return NULL;
}

static int init_events(struct worker *worker)
{
    struct event_config *config = event_config_new();

    if (config == NULL)
        return -1;
    /* epoll, whatever the environment says: connections are edge-triggered. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    (void)event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
    worker->base = event_base_new_with_config(config);
    event_config_free(config);
    worker->pending_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (worker->base == NULL || worker->pending_timer < 0)
        return -1;
    worker->close_timer = evtimer_new(worker->base, on_close_timer, worker);
    worker->due_timer = evtimer_new(worker->base, on_due_timer, worker);
    worker->room_timer = evtimer_new(worker->base, worker_on_room_timer, worker);
    if (worker->close_timer == NULL || worker->due_timer == NULL || worker->room_timer == NULL ||
        event_assign(&worker->mail_event, worker->base, worker->core.mailbox.fd,
                     EV_READ | EV_PERSIST, on_mail, worker) != 0 ||
        event_assign(&worker->pending_event, worker->base, worker->pending_timer,
                     EV_READ | EV_PERSIST, on_pending_timer, worker) != 0 ||
        event_add(&worker->mail_event, NULL) != 0 || event_add(&worker->pending_event, NULL) != 0)
        return -1;
    return 0;
}

int worker_init(struct worker *worker, struct host_shared *shared, uint32_t index)
{
    pthread_condattr_t attr;

    worker->magic = WORKER_MAGIC;
    worker->pending_timer = -1;
    loop_init(&worker->loop);
    if (worker_core_init(&worker->core, shared, index, conn_exchange_done) != 0) {
        log_line(SPOE_LOG_ERR, "host", "worker %u: %s", index, strerror(errno));
        return -1;
    }
    worker->core.on_late = conn_exchange_late;
    TAILQ_INIT(&worker->conns);
    TAILQ_INIT(&worker->due);
    TAILQ_INIT(&worker->paused);
    TAILQ_INIT(&worker->hello);
    TAILQ_INIT(&worker->unused);
    TAILQ_INIT(&worker->idle);
    TAILQ_INIT(&worker->linger);
    for (uint32_t i = 0; i < ROUTE_TIMEOUTS_MAX; i++)
        TAILQ_INIT(&worker->pending[i]);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&worker->lock, NULL);
    (void)pthread_cond_init(&worker->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    worker->phase = WORKER_STARTING;
    if (init_events(worker) != 0) {
        log_line(SPOE_LOG_ERR, "host", "worker %u: event loop: %s", index, strerror(errno));
        return -1;
    }
    return 0;
}

int worker_start(struct worker *worker)
{
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);

    if (error != 0) {
        log_line(SPOE_LOG_ERR, "host", "worker %u: thread: %s", worker->core.index,
                 strerror(error));
        return -1;
    }
    worker->has_thread = true;
    return 0;
}

void worker_fini(struct worker *worker)
{
    if (worker->has_thread)
        (void)pthread_join(worker->thread, NULL);
    if (worker->close_timer != NULL)
        event_free(worker->close_timer);
    if (worker->due_timer != NULL)
        event_free(worker->due_timer);
    if (worker->room_timer != NULL)
        event_free(worker->room_timer);
    loop_fini(worker);
    if (worker->base != NULL) {
        (void)event_del(&worker->mail_event);
        (void)event_del(&worker->pending_event);
        event_base_free(worker->base);
    }
    if (worker->pending_timer >= 0)
        (void)close(worker->pending_timer);
    conn_unpin_all(worker);
    block_pool_fini(&worker->blocks);
    worker_core_fini(&worker->core);
    (void)pthread_cond_destroy(&worker->changed);
    (void)pthread_mutex_destroy(&worker->lock);
}
