/* SPDX-License-Identifier: Apache-2.0 */
/* host/run.c - the host from its configuration to its end. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "admin/http.h"
#include "admin/totals.h"
#include "admin/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "change.h"
#include "control.h"
#include "core/handler_log.h"
#include "lines/lines.h"
#include "net/inherited.h"
#include "net/listener.h"
#include "net/worker.h"

/* Beside the workers: the admin endpoint's, and those of plugins. otel with gRPC begins with 6, on
 * a machine of two cores, and has more while it exports. */
#define PROBE_THREADS 16u
#define QUIESCE_TICK_NS (10 * NS_PER_MS) /* how often plugins are asked what is open */
#define CLOSE_GRACE_PART 10 /* of the plugins' time, for a worker that is in one of them */
#define PLUGINS_FLUSH_NS (10 * NS_PER_S) /* of shutdown-timeout, for the plugins */

struct run {
    const struct host_conf *conf;
    struct plugin_set *plugins;
    struct host_shared shared;
    struct worker *workers;
    struct route_table *routes;
    struct listeners *listeners;
    struct lines *lines; /* NULL: log-listen is off */
    struct view view;
    struct change_tools change_tools;
    struct admin *admin;
    struct event_base *base;
    struct event *stop_event, *reload_event, *mail_event;
    struct control *control;
    struct service *service;
    const struct reload *reload;
    struct event *quiesce_timer;
    struct event *recent_timer;                 /* frees what nobody looks at any more */
    int64_t end_ns, plugins_ns, quiesce_end_ns; /* of the end; set when it begins */
};

static void on_totals(void *arg)
{
    const struct run *run = arg;

    totals_log(&run->shared);
}

/* ---- the end: at first all goes on, until nothing is open ---- */

/* When the process has to be gone, how much of the time until then is the plugins', and how long
 * to wait for what they have open: at most half of the rest. */
static void plan_end(struct run *run)
{
    const int64_t now = clock_mono_ns();
    int64_t left;

    run->end_ns = control_end(run->control);
    left = run->end_ns - now;
    run->plugins_ns = PLUGINS_FLUSH_NS < left / 3 * 2 ? PLUGINS_FLUSH_NS : left / 3 * 2;
    left -= run->plugins_ns;
    run->quiesce_end_ns =
        now + (run->conf->drain_time_ns < left / 2 ? run->conf->drain_time_ns : left / 2);
}

/* Again and again while plugins have something open. */
static void on_quiesce_timer(evutil_socket_t fd, short what, void *arg)
{
    const struct timeval tick = {.tv_usec = QUIESCE_TICK_NS / NS_PER_US};
    struct run *run = arg;
    uint64_t n_open;

    (void)fd;
    (void)what;
    (void)plugin_set_open_count(run->plugins, &n_open);
    if (n_open > 0 && clock_mono_ns() < run->quiesce_end_ns &&
        event_add(run->quiesce_timer, &tick) == 0)
        return;
    if (n_open > 0)
        log_line(SPOE_LOG_NOTICE, "host", "drain-time is over, %" PRIu64 " open in plugins",
                 n_open);
    (void)event_base_loopbreak(run->base);
}

/* The first signal. Health checks fail from here on, so that HAProxy turns elsewhere. */
static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    uint64_t n_open;

    (void)fd;
    (void)what;
    (void)event_del(run->stop_event);
    atomic_store(&run->view.state, HOST_DRAINING);
    log_line(SPOE_LOG_INFO, "host", "stopping");
    plan_end(run);
    service_stopping(run->service, run->end_ns - clock_mono_ns());
    for (uint32_t i = 0; i < run->shared.n_workers; i++)
        worker_quiesce(&run->workers[i]);
    plugin_set_quiesce(run->plugins);
    if (run->conf->drain_time_ns == 0 || !plugin_set_open_count(run->plugins, &n_open) ||
        n_open == 0) {
        (void)event_base_loopbreak(run->base);
        return;
    }
    log_line(SPOE_LOG_INFO, "host", "waiting for %" PRIu64 " open in plugins", n_open);
    on_quiesce_timer(-1, 0, run);
}

static void on_recent_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)recent_expire(arg, clock_mono_ns());
}

static void put_token_in_use(void *arg)
{
    struct run *run = arg;

    if (run->admin != NULL && admin_set_token(run->admin, run->conf->admin_token) != 0)
        log_line(SPOE_LOG_ERR, "host", "out of memory: the token is the one before");
}

/* SIGHUP, once or more often since the last time. */
static void on_reload(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    if (atomic_load(&run->view.state) != HOST_READY)
        return;
    service_reloading(run->service);
    reload_run(run->reload, &run->view, put_token_in_use, run);
    service_reloaded(run->service);
}

/* Whether this loop turns is asked. */
static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;

    (void)fd;
    (void)what;
    (void)mailbox_run(&run->view.mailbox);
}

/* What libevent has to say is said by us, with its reason, where a call of ours fails; but an
 * error, after which it would call exit(). */
static void on_libevent(int severity, const char *text)
{
    if (severity == EVENT_LOG_ERR)
        log_leave(SPOE_LOG_ERR, "host", "event loop: %s", text);
    else
        log_line(SPOE_LOG_DEBUG, "libevent", "%s", text);
}

static void on_libevent_fatal(int error)
{
    (void)error;
    _exit(1);
}

/* HAProxy may bring thousands of connections: take every descriptor that we may have. */
static void raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_line(SPOE_LOG_WARNING, "host", "cannot raise the limit of open files: %s",
                 strerror(errno));
}

/* worker_start() of a plugin has failed: as for any other step, with its file and the versions. */
static void log_failed_start(const struct plugin_set *set, const struct worker *worker)
{
    const char *id = worker->failed_plugin;
    const spoe_status status = worker->core.start_status;

    for (size_t i = 0; i < set->n; i++) {
        const struct spoe_plugin *desc = set->plugin[i]->desc;

        if (strcmp(plugin_name(set->plugin[i]), id) == 0)
            log_line(SPOE_LOG_ERR, "host",
                     "plugin %s (%s): worker_start() failed with %s (%d) (plugin version %s, "
                     "ABI %u.%u; host ABI %u.%u)",
                     id, set->plugin[i]->path, handler_status_text(status), status, desc->version,
                     desc->abi_major, desc->abi_minor, SPOE_ABI_MAJOR, SPOE_ABI_MINOR);
    }
}

/*
 * Whether so many threads can be had at once. gRPC does not survive a thread that cannot be made:
 * it aborts, or waits for ever at its end for one that never was.
 */
static void *probe_main(void *gate)
{
    (void)pthread_mutex_lock(gate);
    (void)pthread_mutex_unlock(gate);
    return NULL;
}

static int probe_threads(uint32_t wanted)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = calloc(wanted, sizeof *threads);
    uint32_t n = 0;
    int error = threads != NULL ? 0 : ENOMEM;

    (void)pthread_mutex_lock(&gate);
    while (error == 0 && n < wanted) {
        error = pthread_create(&threads[n], NULL, probe_main, &gate);
        n += error == 0;
    }
    (void)pthread_mutex_unlock(&gate);
    for (uint32_t i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
    free(threads);
    if (error == 0)
        return 0;
    log_line(SPOE_LOG_ERR, "host",
             "%u more threads can be made, and a start takes up to %u: %s (limits: RLIMIT_NPROC of "
             "the user, TasksMax= of a unit, pids of a container)",
             n, wanted, strerror(error));
    return -1;
}

/* All are made before the first one runs: from then on `shared` changes no more. */
static int make_workers(struct run *run)
{
    run->workers = calloc(run->conf->workers, sizeof *run->workers);
    if (run->workers == NULL) {
        log_line(SPOE_LOG_ERR, "host", "out of memory");
        return -1;
    }
    for (uint32_t i = 0; i < run->conf->workers; i++) {
        /* Registered first: it is taken down with the others even if it fails half-way. */
        run->shared.workers[i] = &run->workers[i].core;
        run->shared.n_workers = i + 1;
        if (worker_init(&run->workers[i], &run->shared, i) != 0)
            return -1;
    }
    return 0;
}

static int start_workers(struct run *run)
{
    for (uint32_t i = 0; i < run->conf->workers; i++) {
        struct worker *worker = &run->workers[i];

        if (worker_start(worker) != 0)
            return -1;
        /* One after the other, as the plugins' authors expect of worker_start(). */
        (void)worker_wait(worker, WORKER_FAILED, INT64_MAX);
        if (worker_get_phase(worker) == WORKER_FAILED) {
            log_failed_start(run->plugins, worker);
            return -1;
        }
    }
    return 0;
}

static int start(struct run *run)
{
    const struct timeval recent_tick = {.tv_sec = 30};
    struct error error;

    if (view_init(&run->view) != 0) {
        log_line(SPOE_LOG_ERR, "host", "event loop: %s", strerror(errno));
        return -1;
    }
    if (probe_threads(run->conf->workers + PROBE_THREADS) != 0)
        return -1;
    event_set_log_callback(on_libevent);
    event_set_fatal_callback(on_libevent_fatal);
    run->base = event_base_new();
    if (run->base == NULL) {
        log_line(SPOE_LOG_ERR, "host", "event loop: %s", strerror(errno));
        return -1;
    }
    run->listeners = listeners_open(run->conf);
    if (run->listeners == NULL)
        return -1;
    run->view.listeners = run->listeners;
    if (run->conf->n_log_listen != 0) {
        run->lines = lines_open(run->conf);
        if (run->lines == NULL)
            return -1;
    }
    run->view.lines = run->lines;
    if (host_metrics_start(&run->view, run->routes) != 0 ||
        admin_start(run->conf, view_pages, &run->view, &run->admin) != 0)
        return -1;
    inherited_close_rest();
    if (plugin_set_start(run->plugins, &error) != 0) {
        log_line(SPOE_LOG_ERR, "host", "%s", error.text);
        return -1;
    }
    if (make_workers(run) != 0 || start_workers(run) != 0)
        return -1;
    if (plugin_set_start_reloaders(run->plugins, &run->shared, run->control->stop_fd, &error) !=
        0) {
        log_line(SPOE_LOG_ERR, "host", "%s", error.text);
        return -1;
    }
    control_on_totals(run->control, on_totals, run);
    run->stop_event =
        event_new(run->base, run->control->stop_fd, EV_READ | EV_PERSIST, on_stop, run);
    run->reload_event =
        event_new(run->base, run->control->reload_fd, EV_READ | EV_PERSIST, on_reload, run);
    run->mail_event =
        event_new(run->base, run->view.mailbox.fd, EV_READ | EV_PERSIST, on_mail, run);
    run->quiesce_timer = evtimer_new(run->base, on_quiesce_timer, run);
    run->recent_timer = event_new(run->base, -1, EV_PERSIST, on_recent_timer, run->plugins->recent);
    if (run->recent_timer == NULL || event_add(run->recent_timer, &recent_tick) != 0 ||
        run->quiesce_timer == NULL || run->stop_event == NULL ||
        event_add(run->stop_event, NULL) != 0 || run->reload_event == NULL ||
        event_add(run->reload_event, NULL) != 0 || run->mail_event == NULL ||
        event_add(run->mail_event, NULL) != 0) {
        log_line(SPOE_LOG_ERR, "host", "event loop: %s", strerror(errno));
        return -1;
    }
    if (listeners_start(run->listeners, run->base, run->workers, run->conf->workers) != 0)
        return -1;
    if (run->lines != NULL && lines_start(run->lines, run->base, run->workers, run->conf->workers,
                                          listeners_max(run->listeners)) != 0)
        return -1;
    atomic_store(&run->view.state, HOST_READY);
    if (service_start(run->service, run->base, &run->view) != 0) {
        log_line(SPOE_LOG_ERR, "host", "out of memory");
        return -1;
    }
    return 0;
}

/* A peer that does not go is nobody's fault; messages that a plugin keeps are that plugin's. */
static void log_in_flight(const struct run *run, uint32_t i)
{
    for (size_t p = 0; p < run->plugins->n; p++) {
        uint64_t n = atomic_load(&run->workers[i].core.in_flight[p]);

        if (n != 0)
            log_line(SPOE_LOG_WARNING, "host",
                     "worker %u: %ju messages are still in flight in plugin %s, going on", i,
                     (uintmax_t)n, plugin_name(run->plugins->plugin[p]));
    }
}

/*
 * Log lines that the kernel has, for half of it at most, then connections and what is in flight:
 * until the plugins' share of the time begins. Then what is left
 * is closed, so that no message follows the plugins' drain(). A worker that is late with that is in
 * a plugin, and hands over nothing more when it comes back, to that one or to others.
 */
static void drain_workers(struct run *run)
{
    const int64_t deadline = run->end_ns - run->plugins_ns;
    const int64_t now = clock_mono_ns();
    int64_t grace;

    lines_drain(run->lines);
    (void)lines_wait(run->lines, now + (deadline > now ? (deadline - now) / 2 : 0));
    for (uint32_t i = 0; i < run->shared.n_workers; i++)
        worker_drain(&run->workers[i]);
    for (uint32_t i = 0; i < run->shared.n_workers; i++) {
        if (!worker_wait(&run->workers[i], WORKER_DRAINED, deadline))
            log_in_flight(run, i);
    }
    atomic_store(&run->shared.closed, true);
    for (uint32_t i = 0; i < run->shared.n_workers; i++)
        worker_close(&run->workers[i]);
    grace = clock_mono_ns() + run->plugins_ns / CLOSE_GRACE_PART;
    for (uint32_t i = 0; i < run->shared.n_workers; i++) {
        if (!worker_wait(&run->workers[i], WORKER_CLOSED, grace))
            log_line(SPOE_LOG_WARNING, "host", "worker %u: does not come back from a plugin", i);
    }
}

/* Whether a worker that is late may be in a plugin, from which it comes back to no other: what it
 * hands over next is refused. One that is in none is between two. */
static bool is_busy(struct run *run, const struct spoe_instance *plugin)
{
    for (uint32_t i = 0; i < run->shared.n_workers; i++) {
        const struct callee *callee;

        if (worker_get_phase(&run->workers[i]) >= WORKER_CLOSED)
            continue;
        callee = atomic_load_explicit(&run->workers[i].record->callee, memory_order_acquire);
        if (callee == NULL || callee == &plugin->callee)
            return true;
    }
    return false;
}

/* Those that a worker is in have to wait for it; the watch ends the process if it never comes back.
 */
static void drain_plugins(struct run *run, int64_t deadline)
{
    bool later[PLUGINS_MAX] = {false}, any = false;

    for (size_t i = 0; i < run->plugins->n; i++) {
        later[i] = is_busy(run, run->plugins->plugin[i]);
        any = any || later[i];
        if (!later[i])
            plugin_drain(run->plugins->plugin[i], deadline);
    }
    for (uint32_t i = 0; any && i < run->shared.n_workers; i++)
        (void)worker_wait(&run->workers[i], WORKER_CLOSED, INT64_MAX);
    for (size_t i = 0; i < run->plugins->n; i++) {
        if (later[i])
            plugin_drain(run->plugins->plugin[i], deadline);
    }
}

static void stop_workers(struct run *run)
{
    for (uint32_t i = 0; i < run->shared.n_workers; i++) {
        if (run->workers[i].has_thread)
            worker_stop(&run->workers[i]);
    }
    for (uint32_t i = 0; i < run->shared.n_workers; i++) {
        if (run->workers[i].has_thread && worker_get_phase(&run->workers[i]) != WORKER_FAILED)
            (void)worker_wait(&run->workers[i], WORKER_STOPPED, INT64_MAX);
    }
}

/* From wherever the start got to. */
static void stop(struct run *run, bool orderly)
{
    int64_t deadline;

    handover_close(&run->view.changes.handover); /* this thread turns no more */
    if (!orderly)
        plan_end(run);
    else
        drain_workers(run);
    /* A little less than is left, so that a plugin that uses it up is not late. */
    deadline = clock_mono_ns() + run->plugins_ns;
    deadline = (deadline < run->end_ns ? deadline : run->end_ns) - run->plugins_ns / 20;
    if (orderly)
        drain_plugins(run, deadline);
    lines_stop(run->lines);
    stop_workers(run);
    plugin_set_stop(run->plugins, deadline);
    admin_stop(run->admin);
    if (orderly)
        on_totals(run);
    control_on_totals(run->control, NULL, NULL);
    /* A plugin may post() until its destroy() has returned: the workers are released after it. */
    plugin_set_destroy(run->plugins);
}

static void release(struct run *run)
{
    host_metrics_stop(&run->view, run->routes);
    for (uint32_t i = 0; i < run->shared.n_workers; i++)
        worker_fini(&run->workers[i]);
    free(run->workers);
    if (run->stop_event != NULL)
        event_free(run->stop_event);
    if (run->reload_event != NULL)
        event_free(run->reload_event);
    if (run->mail_event != NULL)
        event_free(run->mail_event);
    if (run->quiesce_timer != NULL)
        event_free(run->quiesce_timer);
    if (run->recent_timer != NULL)
        event_free(run->recent_timer);
    service_stop(run->service);
    listeners_close(run->listeners);
    lines_close(run->lines);
    if (run->base != NULL)
        event_base_free(run->base);
    view_fini(&run->view);
    changes_fini(&run->view.changes);
}

int host_run(struct control *control, struct service *service, const struct reload *reload,
             const struct host_conf *conf, struct plugin_set *plugins, struct route_table *routes)
{
    struct run run = {.conf = conf,
                      .plugins = plugins,
                      .routes = routes,
                      .reload = reload,
                      .shared = {.conf = conf, .plugins = plugins, .routes = routes},
                      .view = {.conf = conf,
                               .plugins = plugins,
                               .routes = routes,
                               .shared = &run.shared,
                               .metrics = plugins->metrics,
                               .recent = plugins->recent,
                               .start_unix_ns = clock_unix_ns(),
                               .start_mono_ns = clock_mono_ns()},
                      .control = control,
                      .service = service};
    bool started;

    run.change_tools = (struct change_tools){reload->host_conf, plugins, &run.view};
    changes_init(&run.view.changes, change_run, &run.change_tools);
    raise_open_files();
    started = start(&run) == 0;
    if (started) {
        log_line(SPOE_LOG_INFO, "host", "%zu plugin%s, %u worker%s", plugins->n,
                 plugins->n == 1 ? "" : "s", conf->workers, conf->workers == 1 ? "" : "s");
        log_line(SPOE_LOG_INFO, "host", "ready");
        (void)event_base_dispatch(run.base);
        listeners_stop(run.listeners);
    } else {
        service_failed(service, "the start has failed, the log says why");
    }
    stop(&run, started);
    release(&run);
    if (started)
        log_line(SPOE_LOG_INFO, "host", "stopped");
    return started ? 0 : 1;
}
