/* SPDX-License-Identifier: Apache-2.0 */
/* host/service.c - see service.h. */
#include "service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

#define COMPONENT "service"
#define TICK_NS (5 * NS_PER_S)     /* how often the line of status is looked at, at least */
#define TICKS_OF_WATCHDOG 4        /* so many within the watchdog's time: one may come late */
#define RETRY_NS (100 * NS_PER_MS) /* after a full socket */
#define EXTRA_NS (5 * NS_PER_S)    /* beyond the end's own time, which ends the process by itself */
#define WHERE_MAX 512u

/* ---- the line of status ---- */

struct line {
    char text[NOTIFY_BYTES_MAX / 2]; /* what else is told has the other half */
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    const size_t left = sizeof line->text - line->n;
    va_list ap;
    int n;

    va_start(ap, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it does not know va_start() here */
    n = vsnprintf(line->text + line->n, left, format, ap);
    va_end(ap);
    if (n > 0)
        line->n += (size_t)n < left ? (size_t)n : left - 1;
}

/* One line, and UTF-8: of any other systemd takes nothing. A text that was cut may end within a
 * character. */
static void make_one_line(struct line *line)
{
    unsigned char *s = (unsigned char *)line->text;

    for (size_t i = 0; i < line->n;) {
        const size_t len = text_utf8_len(s + i, line->n - i);

        if (len == 0)
            s[i] = '?';
        else if (s[i] < 0x20 || s[i] == 0x7f)
            s[i] = ' ';
        i += len != 0 ? len : 1;
    }
}

static void add_ill_plugins(struct line *line, const struct plugin_set *plugins)
{
    for (size_t i = 0; i < plugins->n; i++) {
        const struct spoe_instance *plugin = plugins->plugin[i];
        struct health_text state;

        health_read(&plugin->health.state, &state);
        if (state.number != SPOE_HEALTH_READY)
            add(line, "%s is %s: %.*s; ", plugin_name(plugin), health_name(state.number),
                (int)state.n, state.text);
    }
}

static void add_numbers(struct line *line, const struct view *view)
{
    uint64_t messages = 0, lines = 0;
    uint32_t connections = lines_connections(view->lines);

    for (uint32_t i = 0; i < view->shared->n_workers; i++) {
        const struct worker *worker = worker_of(view->shared->workers[i]);
        const struct counters *counters = &worker->core.counters;

        connections += atomic_load_explicit(&worker->n_conns, memory_order_relaxed);
        messages += atomic_load_explicit(&counters->messages, memory_order_relaxed);
        lines += atomic_load_explicit(&counters->log_lines, memory_order_relaxed);
    }
    add(line, "%zu plugin%s, %" PRIu32 " connection%s, %" PRIu64 " messages", view->plugins->n,
        view->plugins->n == 1 ? "" : "s", connections, connections == 1 ? "" : "s", messages);
    if (view->lines != NULL)
        add(line, ", %" PRIu64 " of them log lines", lines);
}

/* What is wrong comes first. */
static void write_status(const struct service *service, struct line *line)
{
    char where[WHERE_MAX];

    *line = (struct line){.n = 0};
    if (service->is_late) {
        const size_t n = thread_describe_all(where, sizeof where);

        add(line, "a worker does not turn: %.*s; ", (int)n, where);
    }
    if (service->reload_failed)
        add(line, "the last reload failed, the log says why; ");
    add_ill_plugins(line, service->view->plugins);
    add_numbers(line, service->view);
    make_one_line(line);
}

/* ---- whether the workers turn ---- */

/* Whether each has answered what it was asked the last time; all are asked again. */
static bool all_turn(struct service *service, uint32_t *ret_late)
{
    const struct host_shared *shared = service->view->shared;
    const int64_t now = clock_mono_ns();
    bool all = true;

    for (uint32_t i = 0; i < shared->n_workers; i++) {
        struct heartbeat *beat = &service->beats[i];

        if (heartbeat_is_late(beat, now, 0)) {
            *ret_late = i;
            all = false;
        }
        heartbeat_ask(beat, &shared->workers[i]->mailbox, now);
    }
    return all;
}

/* Said once for each time that it comes to this. */
static void look_at_workers(struct service *service)
{
    const char *withheld = service->notify.watchdog_ns != 0 ? ", so there is no WATCHDOG=1" : "";
    char where[WHERE_MAX];
    uint32_t late = 0;
    size_t n;

    if (all_turn(service, &late)) {
        if (service->is_late)
            log_line(SPOE_LOG_NOTICE, COMPONENT, "all workers turn again");
        service->is_late = false;
        return;
    }
    if (service->is_late)
        return;
    service->is_late = true;
    n = thread_describe_all(where, sizeof where);
    log_line(SPOE_LOG_WARNING, COMPONENT, "worker %" PRIu32 " does not turn: %.*s%s", late, (int)n,
             where, withheld);
}

/* ---- telling ---- */

static void arm(const struct service *service, int64_t ns)
{
    const struct timeval tv = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US};

    if (service->timer != NULL)
        (void)evtimer_add(service->timer, &tv);
}

/* All that has to be told now, in one message; none where there is nothing. */
static void tell(struct service *service)
{
    const bool alive = service->notify.watchdog_ns != 0 && !service->is_late;
    char text[NOTIFY_BYTES_MAX];
    struct line line;

    write_status(service, &line);
    (void)snprintf(text, sizeof text, "%s%s%s%s", service->knows ? "" : "READY=1\n",
                   alive ? "WATCHDOG=1\n" : "", "STATUS=", line.text);
    if (service->knows && !alive && strcmp(line.text, service->status) == 0) {
        arm(service, service->tick_ns);
    } else if (notify_send(&service->notify, text)) {
        service->knows = true;
        (void)snprintf(service->status, sizeof service->status, "%s", line.text);
        arm(service, service->tick_ns);
    } else {
        arm(service, service->tick_ns < RETRY_NS ? service->tick_ns : RETRY_NS);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct service *service = arg;

    (void)fd;
    (void)what;
    if (!service->is_ready)
        return;
    look_at_workers(service);
    tell(service);
}

/* ---- life ---- */

void service_open(struct service *service)
{
    *service = (struct service){.tick_ns = TICK_NS};
    if (notify_open(&service->notify) != 0)
        log_line(SPOE_LOG_WARNING, COMPONENT,
                 service->notify.fd < 0 ? "NOTIFY_SOCKET: %s: the service manager is told nothing"
                                        : "WATCHDOG_USEC or WATCHDOG_PID: %s: no watchdog",
                 strerror(errno));
    if (service->notify.watchdog_ns != 0 &&
        service->notify.watchdog_ns / TICKS_OF_WATCHDOG < service->tick_ns)
        service->tick_ns = service->notify.watchdog_ns / TICKS_OF_WATCHDOG;
    (void)notify_send(&service->notify, "STATUS=starting");
}

void service_close(struct service *service)
{
    notify_close(&service->notify);
}

void service_failed(struct service *service, const char *why)
{
    char text[NOTIFY_BYTES_MAX];
    struct line line = {.n = 0};

    add(&line, "%s", why);
    make_one_line(&line);
    (void)snprintf(text, sizeof text, "STATUS=%s", line.text);
    (void)notify_send(&service->notify, text);
}

int service_start(struct service *service, struct event_base *base, struct view *view)
{
    service->view = view;
    service->is_ready = true;
    service->failed_reloads = atomic_load(&view->failed_reloads);
    if (service->notify.fd < 0)
        return 0;
    service->timer = evtimer_new(base, on_tick, service);
    if (service->timer == NULL)
        return -1;
    tell(service);
    return 0;
}

void service_reloading(struct service *service)
{
    char text[NOTIFY_BYTES_MAX];

    service->knows = false;
    /* The time is for Type=notify-reload: it says that this is the reload that was asked for. */
    (void)snprintf(text, sizeof text,
                   "RELOADING=1\nMONOTONIC_USEC=%" PRId64
                   "\nSTATUS=reading the configuration again",
                   clock_mono_ns() / NS_PER_US);
    (void)notify_send(&service->notify, text);
}

void service_reloaded(struct service *service)
{
    const uint64_t failed = atomic_load(&service->view->failed_reloads);

    service->reload_failed = failed != service->failed_reloads;
    service->failed_reloads = failed;
    if (service->notify.fd >= 0)
        tell(service);
}

void service_stopping(struct service *service, int64_t within_ns)
{
    char text[NOTIFY_BYTES_MAX];

    service->is_ready = false;
    (void)snprintf(text, sizeof text,
                   "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64
                   "\nSTATUS=stopping: what is open is finished first, within %" PRId64 " s",
                   (within_ns + EXTRA_NS) / NS_PER_US, (within_ns + NS_PER_S - 1) / NS_PER_S);
    (void)notify_send(&service->notify, text);
}

void service_stop(struct service *service)
{
    if (service->timer != NULL)
        event_free(service->timer);
    service->timer = NULL;
}
