/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/host_metrics.c - the host's own metrics: what its workers count, summed up at each
 * scrape. docs/metrics.md says what each tells.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/build_info.h"
#include "base/clock.h"
#include "base/log.h"
#include "admin/view.h"

#define PREFIX "spoe_host_"
#define CODE_OTHER 99 /* SPOE.txt 3.5: the last of the codes */
#define CODE_TEXT_MAX 12

/* One counter of struct counters, by its place. */
struct plain {
    size_t offset;
    const char *name, *help;
};

#define PLAIN(counter, name, help)                                                                 \
    {                                                                                              \
        offsetof(struct counters, counter), name, help                                             \
    }
static const struct plain plains[] = {
    PLAIN(connections, "connections_total", "Connections accepted."),
    PLAIN(hellos, "hellos_total", "Handshakes completed, health checks not among them."),
    PLAIN(health_checks, "health_checks_total", "Health checks of HAProxy answered."),
    PLAIN(frames, "frames_total", "Whole SPOP frames read."),
    PLAIN(notifies, "notifies_total", "NOTIFY frames read."),
    PLAIN(messages, "messages_total", "Messages in NOTIFY frames and log lines."),
    PLAIN(unknown_messages, "unknown_messages_total", "Messages that no plugin declares."),
    PLAIN(acks, "acks_total", "ACK frames written."),
    PLAIN(pending, "pending_total", "Messages that a plugin took to answer later."),
    PLAIN(timeouts, "timeouts_total",
          "Messages answered without their plugin because processing-timeout had passed."),
    PLAIN(
        committed, "committed_total",
        "Messages answered with what their plugin had committed, since it did not answer in time."),
    PLAIN(handler_errors, "handler_errors_total",
          "Messages for which a plugin returned or completed with an error."),
    PLAIN(bad_types, "bad_types_total", "Declared arguments of a type that is not accepted."),
    PLAIN(missing_arguments, "missing_arguments_total",
          "Messages not handed over for want of a required argument."),
    PLAIN(withheld_messages, "withheld_messages_total",
          "Messages not handed to a plugin that holds too many whose time is over."),
    PLAIN(refused_messages, "refused_messages_total",
          "Messages not handed over, since the host was about to leave."),
    PLAIN(refused_actions, "refused_actions_total",
          "Variables that a plugin set in vain, for whatever reason."),
    PLAIN(truncated_actions, "truncated_actions_total",
          "Of the refused ones, those for which the ACK had no room."),
    PLAIN(misbehaviour, "misbehaviour_total", "Times that a plugin broke the ABI's contract."),
    PLAIN(unknown_frames, "unknown_frames_total", "Frames of an unknown type, skipped."),
    PLAIN(hello_timeouts, "hello_timeouts_total", "Connections without a HELLO in time."),
    PLAIN(idle_timeouts, "idle_timeouts_total",
          "Connections closed because no frame had come for idle-timeout."),
    PLAIN(evicted_connections, "evicted_connections_total",
          "Connections closed to make a place for another, at max-connections."),
    PLAIN(discarded_frames, "discarded_frames_total",
          "Whole frames that had come, and whose connection ended before they were handled."),
    PLAIN(resource_errors, "resource_errors_total", "Times that memory ran out."),
    PLAIN(bytes_in, "received_bytes_total", "Bytes read from HAProxy."),
    PLAIN(bytes_out, "sent_bytes_total", "Bytes written to HAProxy."),
    PLAIN(log_lines, "log_lines_total", "Lines of HAProxy's log that became messages."),
    PLAIN(log_cut_lines, "log_cut_lines_total",
          "Of the lines that became messages, those that HAProxy had cut."),
    PLAIN(log_bytes, "log_bytes_total", "Bytes of log lines, with what frames them."),
    PLAIN(log_connections, "log_connections_total", "Connections accepted for log lines."),
    PLAIN(log_lost_framing, "log_lost_framing_total",
          "Connections closed because what came was no log line's length."),
    PLAIN(log_room_drops, "log_room_drops_total",
          "Datagrams with log lines dropped since max-pending was reached."),
    PLAIN(log_kernel_drops, "log_kernel_drops_total",
          "Datagrams with log lines that the kernel dropped since its buffer was full."),
    PLAIN(log_haproxy_drops, "log_haproxy_drops_total",
          "Log lines that HAProxy says it has dropped."),
    PLAIN(log_refused, "log_refused_total",
          "Datagrams and connections with log lines from where log-from does not have."),
};
#define N_PLAINS (sizeof plains / sizeof plains[0])

/* Counters by status code. */
static const struct plain by_code[] = {
    PLAIN(hello_failures, "hello_failures_total",
          "Connections that we ended before their HELLO was accepted, by status code."),
    PLAIN(open_errors, "protocol_errors_total",
          "Connections that we ended after their HELLO, by status code."),
    PLAIN(peer_codes, "peer_errors_total",
          "Connections that HAProxy ended with an error, by status code."),
};
#define N_BY_CODE (sizeof by_code / sizeof by_code[0])

/* Everything but protocol_errors, peer_errors, log_broken_lines and log_missing_lines, which are
 * the sums of those by code, reason or frontend. */
#define ONE(name) +1
_Static_assert(N_PLAINS == 0 COUNTERS(ONE) - 4, "each counter has its metric");

/* One counter of struct target_counters. */
static const struct plain by_target[] = {
    {offsetof(struct target_counters, messages), "plugin_messages_total",
     "Messages handed to a plugin."},
    {offsetof(struct target_counters, pending), "plugin_pending_total",
     "Messages that a plugin took to answer later."},
    {offsetof(struct target_counters, timeouts), "plugin_timeouts_total",
     "Messages that a plugin did not answer within processing-timeout."},
    {offsetof(struct target_counters, errors), "plugin_errors_total",
     "Messages for which a plugin returned or completed with an error."},
    {offsetof(struct target_counters, slow), "plugin_slow_handles_total",
     "Messages whose handler took longer than slow-handle."},
    {offsetof(struct target_counters, missing_arguments), "plugin_missing_arguments_total",
     "Messages not handed to a plugin for want of a required argument."},
};
#define N_BY_TARGET (sizeof by_target / sizeof by_target[0])
_Static_assert(N_BY_TARGET == 0 TARGET_COUNTERS(ONE), "each counter has its metric");
#undef ONE

/* A handler should take microseconds; beyond 10 ms it stalls its worker for all to see. */
static const double seconds_bounds[] = {1e-6, 2.5e-6, 5e-6, 1e-5,   2.5e-5, 5e-5,
                                        1e-4, 2.5e-4, 1e-3, 2.5e-3, 1e-2,   1e-1};

struct host_metrics {
    struct spoe_metric *plain[N_PLAINS];
    struct spoe_metric *code[N_BY_CODE][COUNTER_CODES];
    struct spoe_metric_family *missing; /* by frontend; series are made when the first is missing */
    struct spoe_metric *broken[N_LINE_FAULTS]; /* by enum line_fault, LINE_OK is none */
    struct spoe_metric **target[N_BY_TARGET];  /* by route_target.index */
    struct spoe_metric **connections;          /* by worker */
    struct spoe_metric *log_connections, *refused, *log_dropped, *stalled, *main_stalled, *pending,
        *max_connections, *max_pending, *workers, *ready, *start_time, *max_open_files, *reloads,
        *failed_reloads, *reload_time, *control_changes, *failed_control_changes;
    struct spoe_metric *health[PLUGINS_MAX][HEALTH_STATES]; /* by plugin */
    /* By plugin and source of spoe/ext/reload.h. */
    struct spoe_metric_family *built, *built_time;
};

static struct spoe_span span_of(const char *s)
{
    return (struct spoe_span){s, strlen(s)};
}

/* ---- declarations ------------------------------------------------------------------------ */

/* Declares until something fails; then only *ok tells. */
static struct spoe_metric_family *declare(const struct view *view, uint32_t type, const char *name,
                                          const char *help, const char *const *labels, bool *ok)
{
    struct spoe_metric_decl decl = {.size = sizeof decl,
                                    .type = type,
                                    .max_series = SPOE_METRIC_SERIES_MAX,
                                    .name = name,
                                    .help = help,
                                    .labels = labels};
    struct spoe_metric_family *family = NULL;
    struct error wrong;

    if (type == SPOE_METRIC_HISTOGRAM) {
        decl.bounds = seconds_bounds;
        decl.n_bounds = sizeof seconds_bounds / sizeof seconds_bounds[0];
    }
    if (*ok) {
        spoe_status status = metrics_declare(view->metrics, PREFIX, &decl, &family, &wrong);

        assert(status == SPOE_OK || status == SPOE_E_NOMEM); /* our own tables are right */
        *ok = status == SPOE_OK;
    }
    return family;
}

static struct spoe_metric *series(struct spoe_metric_family *family, const struct spoe_span *values,
                                  bool *ok)
{
    struct spoe_metric *metric = metric_series(family, values);

    *ok &= metric != NULL;
    return metric;
}

static struct spoe_metric *gauge(const struct view *view, const char *name, const char *help,
                                 bool *ok)
{
    return series(declare(view, SPOE_METRIC_GAUGE, name, help, NULL, ok), NULL, ok);
}

static void declare_plains(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"code", NULL};

    for (size_t i = 0; i < N_PLAINS; i++)
        hm->plain[i] = series(
            declare(view, SPOE_METRIC_COUNTER, plains[i].name, plains[i].help, NULL, ok), NULL, ok);
    for (size_t i = 0; i < N_BY_CODE; i++) {
        struct spoe_metric_family *family =
            declare(view, SPOE_METRIC_COUNTER, by_code[i].name, by_code[i].help, labels, ok);

        for (uint32_t c = 1; c < COUNTER_CODES; c++) { /* 0 is no error */
            char text[CODE_TEXT_MAX];
            struct spoe_span value = {text, 0};

            (void)snprintf(text, sizeof text, "%u", c < COUNTER_CODES - 1 ? c : CODE_OTHER);
            value.n = strlen(text);
            hm->code[i][c] = series(family, &value, ok);
        }
    }
}

static void declare_broken_lines(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"reason", NULL};
    static const char *const reasons[] = {
#define X(name, label, text) [LINE_##name] = (label),
        LINE_FAULTS(X)
#undef X
    };
    struct spoe_metric_family *family =
        declare(view, SPOE_METRIC_COUNTER, "log_broken_lines_total",
                "Log lines that became no message, by reason.", labels, ok);

    for (uint32_t i = LINE_OK + 1; i < N_LINE_FAULTS; i++) {
        const struct spoe_span value = span_of(reasons[i]);

        hm->broken[i] = series(family, &value, ok);
    }
}

static void declare_missing_lines(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"frontend", NULL};
    const struct spoe_span other = span_of("other");

    hm->missing = declare(view, SPOE_METRIC_COUNTER, "log_missing_lines_total",
                          "Log lines that are missing by their number, lc.", labels, ok);
    (void)series(hm->missing, &other, ok); /* so that the family is there from the first scrape */
}

/* By plugin and message. */
static void declare_targets(const struct view *view, struct host_metrics *hm,
                            struct route_table *routes, bool *ok)
{
    static const char *const labels[] = {"plugin", "message", NULL};
    struct spoe_metric_family *families[N_BY_TARGET];
    struct spoe_metric_family *seconds =
        declare(view, SPOE_METRIC_HISTOGRAM, "handler_seconds",
                "How long plugins' handlers take; of each message one in 16 is timed.", labels, ok);

    for (size_t i = 0; i < N_BY_TARGET; i++) {
        families[i] =
            declare(view, SPOE_METRIC_COUNTER, by_target[i].name, by_target[i].help, labels, ok);
        hm->target[i] = calloc(routes->n_targets, sizeof *hm->target[i]);
        *ok &= hm->target[i] != NULL;
    }
    for (size_t r = 0; *ok && r < routes->n_messages; r++) {
        for (uint32_t t = 0; t < routes->routes[r].n_targets; t++) {
            struct route_target *target = &routes->routes[r].targets[t];
            const struct spoe_span values[] = {span_of(plugin_name(target->plugin)),
                                               span_of(target->decl->name)};

            for (size_t i = 0; i < N_BY_TARGET; i++)
                hm->target[i][target->index] = series(families[i], values, ok);
            target->seconds = series(seconds, values, ok);
        }
    }
}

/* 1 for the state that a plugin is in, 0 for the others. */
static void declare_health(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"plugin", "state", NULL};
    struct spoe_metric_family *family =
        declare(view, SPOE_METRIC_GAUGE, "plugin_health",
                "1 for the state that a plugin says it is in, 0 for the others.", labels, ok);

    for (size_t i = 0; i < view->plugins->n; i++) {
        for (uint32_t s = 0; s < HEALTH_STATES; s++) {
            const struct spoe_span values[] = {span_of(plugin_name(view->plugins->plugin[i])),
                                               span_of(health_name(s))};

            hm->health[i][s] = series(family, values, ok);
        }
    }
}

static void declare_reloads(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"result", NULL};
    struct spoe_metric_family *reloads =
        declare(view, SPOE_METRIC_COUNTER, "config_reloads_total",
                "Times that SIGHUP had the configuration read again, by result.", labels, ok);
    const struct spoe_span success = span_of("success"), failure = span_of("failure");

    hm->reloads = series(reloads, &success, ok);
    hm->failed_reloads = series(reloads, &failure, ok);
    reloads = declare(view, SPOE_METRIC_COUNTER, "control_changes_total",
                      "Times that the admin endpoint was asked to change options, by result.",
                      labels, ok);
    hm->control_changes = series(reloads, &success, ok);
    hm->failed_control_changes = series(reloads, &failure, ok);
    hm->reload_time = gauge(view, "config_last_reload_success_timestamp_seconds",
                            "When the configuration was last read without error, Unix time.", ok);
}

/* What plugins read again while they run; series come with the first scrape. */
static void declare_sources(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"plugin", "source", "result", NULL};
    static const char *const time_labels[] = {"plugin", "source", NULL};

    hm->built = declare(view, SPOE_METRIC_COUNTER, "data_builds_total",
                        "Times that data which a plugin reads while it runs was built, by result.",
                        labels, ok);
    hm->built_time =
        declare(view, SPOE_METRIC_GAUGE, "data_last_build_success_timestamp_seconds",
                "When data of a plugin was last built without error, Unix time.", time_labels, ok);
}

static void declare_gauges(const struct view *view, struct host_metrics *hm, bool *ok)
{
    static const char *const labels[] = {"worker", NULL};
    static const char *const info_labels[] = {"version", "commit", "abi", NULL};
    struct spoe_metric_family *connections =
        declare(view, SPOE_METRIC_GAUGE, "connections", "Connections that are open, by worker.",
                labels, ok);
    struct spoe_metric_family *info = declare(view, SPOE_METRIC_GAUGE, "build_info",
                                              "Always 1; the labels tell.", info_labels, ok);
    char abi[2 * CODE_TEXT_MAX];
    const struct spoe_span info_values[] = {
        span_of(build_version),
        span_of(build_commit),
        {abi, (size_t)snprintf(abi, sizeof abi, "%d.%d", SPOE_ABI_MAJOR, SPOE_ABI_MINOR)}};

    metric_gauge_set(series(info, info_values, ok), 1);
    hm->connections = calloc(view->conf->workers, sizeof(struct spoe_metric *));
    *ok &= hm->connections != NULL;
    for (uint32_t i = 0; *ok && i < view->conf->workers; i++) {
        char text[CODE_TEXT_MAX];
        struct spoe_span value = {text, 0};

        (void)snprintf(text, sizeof text, "%u", i);
        value.n = strlen(text);
        hm->connections[i] = series(connections, &value, ok);
    }
    hm->log_connections =
        gauge(view, "log_connections", "Connections that bring log lines and are open.", ok);
    hm->max_connections =
        gauge(view, "max_connections", "Connections that there may be at a time.", ok);
    hm->pending = gauge(view, "pending",
                        "Messages in flight in plugins, without those whose time is over.", ok);
    hm->max_pending =
        gauge(view, "max_pending", "Messages in flight beyond which NOTIFYs wait.", ok);
    hm->workers = gauge(view, "workers", "Threads that serve connections.", ok);
    hm->ready = gauge(view, "ready", "1 while the host serves, 0 while it starts or drains.", ok);
    hm->start_time = gauge(view, "start_time_seconds", "When the host started, Unix time.", ok);
    hm->max_open_files = gauge(view, "max_open_files", "Descriptors that the host may have.", ok);
    hm->stalled = gauge(view, "stalled_workers",
                        "Workers that have not turned for 5 s: a plugin holds them up.", ok);
    hm->main_stalled =
        gauge(view, "main_stalled",
              "1 where the main thread has not turned for 5 s: nothing is accepted.", ok);
    hm->log_dropped =
        series(declare(view, SPOE_METRIC_COUNTER, "log_lines_dropped_total",
                       "Log lines that standard error did not take in time.", NULL, ok),
               NULL, ok);
    hm->refused = series(
        declare(view, SPOE_METRIC_COUNTER, "refused_connections_total",
                "Connections closed at once, since all others had something to do.", NULL, ok),
        NULL, ok);
}

/* ---- collecting -------------------------------------------------------------------------- */

static uint64_t load(const void *base, size_t offset)
{
    const _Atomic uint64_t *counter =
        (const _Atomic uint64_t *)(const void *)((const char *)base + offset);

    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void collect_counters(const struct view *view, const struct host_metrics *hm)
{
    const struct host_shared *shared = view->shared;

    for (size_t i = 0; i < N_PLAINS; i++) {
        uint64_t sum = 0;

        for (uint32_t w = 0; w < shared->n_workers; w++)
            sum += load(&shared->workers[w]->counters, plains[i].offset);
        metric_counter_set(hm->plain[i], sum);
    }
    for (size_t i = 0; i < N_BY_CODE; i++) {
        for (uint32_t c = 1; c < COUNTER_CODES; c++) {
            uint64_t sum = 0;

            for (uint32_t w = 0; w < shared->n_workers; w++)
                sum += load(&shared->workers[w]->counters,
                            by_code[i].offset + c * sizeof(_Atomic uint64_t));
            metric_counter_set(hm->code[i][c], sum);
        }
    }
    for (uint32_t i = LINE_OK + 1; i < N_LINE_FAULTS; i++) {
        uint64_t sum = 0;

        for (uint32_t w = 0; w < shared->n_workers; w++)
            sum += load(&shared->workers[w]->counters,
                        offsetof(struct counters, line_faults) + i * sizeof(_Atomic uint64_t));
        metric_counter_set(hm->broken[i], sum);
    }
    for (size_t i = 0; i < N_BY_TARGET; i++) {
        for (uint32_t t = 0; t < view->routes->n_targets; t++) {
            uint64_t sum = 0;

            for (uint32_t w = 0; w < shared->n_workers; w++)
                sum += load(&shared->workers[w]->targets[t], by_target[i].offset);
            metric_counter_set(hm->target[i][t], sum);
        }
    }
}

static void set_missing(void *arg, struct spoe_span frontend, uint64_t missing)
{
    struct spoe_metric *metric = metric_series(arg, &frontend);

    if (metric != NULL)
        metric_counter_set(metric, missing);
}

static void collect_sources(const struct view *view, const struct host_metrics *hm)
{
    for (size_t p = 0; p < view->plugins->n; p++) {
        const struct spoe_instance *plugin = view->plugins->plugin[p];
        const struct reload_counts *counts;
        const char *name;

        for (size_t i = 0; (name = reloader_source(plugin->reloader, i, &counts)) != NULL; i++) {
            struct spoe_span values[] = {span_of(plugin_name(plugin)), span_of(name),
                                         span_of("success")};

            metric_counter_set(metric_series(hm->built, values), atomic_load(&counts->built));
            metric_gauge_set(metric_series(hm->built_time, values),
                             atomic_load(&counts->built_unix_ns) / NS_PER_S);
            values[2] = span_of("failure");
            metric_counter_set(metric_series(hm->built, values), atomic_load(&counts->failed));
        }
    }
}

static void collect(void *arg)
{
    struct view *view = arg;
    const struct host_metrics *hm = view->host_metrics;
    int state = atomic_load(&view->state);

    metric_gauge_set(hm->ready, state == HOST_READY);
    metric_counter_set(hm->log_dropped, log_dropped());
    metric_counter_set(hm->reloads, atomic_load(&view->reloads));
    metric_counter_set(hm->failed_reloads, atomic_load(&view->failed_reloads));
    metric_counter_set(hm->control_changes, atomic_load(&view->control_changes));
    metric_counter_set(hm->failed_control_changes, atomic_load(&view->failed_control_changes));
    metric_gauge_set(hm->reload_time, atomic_load(&view->reload_unix_ns) / NS_PER_S);
    for (size_t i = 0; i < view->plugins->n; i++) {
        const uint32_t health = health_state(&view->plugins->plugin[i]->health);

        for (uint32_t s = 0; s < HEALTH_STATES; s++)
            metric_gauge_set(hm->health[i][s], s == health);
    }
    collect_sources(view, hm);
    if (state == HOST_STARTING)
        return;
    collect_counters(view, hm);
    for (uint32_t w = 0; w < view->shared->n_workers; w++)
        metric_gauge_set(hm->connections[w],
                         atomic_load(&worker_of(view->shared->workers[w])->n_conns));
    lines_each_missing(view->lines, set_missing, hm->missing);
    metric_gauge_set(hm->log_connections, lines_connections(view->lines));
    metric_gauge_set(hm->stalled, view_stalled(view, NULL));
    metric_gauge_set(hm->main_stalled, view_main_stalled(view));
    metric_gauge_set(hm->pending, (int64_t)atomic_load(&view->shared->n_pending));
    metric_counter_set(hm->refused,
                       atomic_load_explicit(&view->shared->n_refused, memory_order_relaxed));
    metric_gauge_set(hm->max_connections, listeners_max(view->listeners));
}

static void set_constants(const struct view *view, const struct host_metrics *hm)
{
    struct rlimit limit;

    metric_gauge_set(hm->max_connections, view->conf->max_connections);
    metric_gauge_set(hm->max_pending, view->conf->max_pending);
    metric_gauge_set(hm->workers, view->conf->workers);
    metric_gauge_set(hm->start_time, view->start_unix_ns / NS_PER_S);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_gauge_set(hm->max_open_files, (int64_t)limit.rlim_cur);
}

static const struct callee self = {"host", NULL}; /* for metrics_set_collecting() */

/* ---- life -------------------------------------------------------------------------------- */

int host_metrics_start(struct view *view, struct route_table *routes)
{
    struct host_metrics *hm = calloc(1, sizeof *hm);
    bool ok = true;

    view->host_metrics = hm;
    if (hm == NULL)
        goto nomem;
    declare_plains(view, hm, &ok);
    declare_broken_lines(view, hm, &ok);
    declare_missing_lines(view, hm, &ok);
    declare_targets(view, hm, routes, &ok);
    declare_gauges(view, hm, &ok);
    declare_health(view, hm, &ok);
    declare_reloads(view, hm, &ok);
    declare_sources(view, hm, &ok);
    if (!ok || metrics_add_collector(view->metrics, &self, collect, view) != SPOE_OK)
        goto nomem;
    set_constants(view, hm);
    metrics_set_collecting(view->metrics, &self, true);
    return 0;
nomem:
    log_line(SPOE_LOG_ERR, "host", "out of memory");
    return -1;
}

void host_metrics_stop(struct view *view, struct route_table *routes)
{
    struct host_metrics *hm = view->host_metrics;

    if (hm == NULL)
        return;
    metrics_set_collecting(view->metrics, &self, false);
    for (size_t r = 0; r < routes->n_messages; r++) {
        for (uint32_t t = 0; t < routes->routes[r].n_targets; t++)
            routes->routes[r].targets[t].seconds = NULL;
    }
    for (size_t i = 0; i < N_BY_TARGET; i++)
        free(hm->target[i]);
    free(hm->connections);
    free(hm);
    view->host_metrics = NULL;
}
