/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/mirror/metrics.c - see metrics.h. */
#include "mirror/metrics.h"

#include <spoe/util.h>

#define NAME(id, name) name,
static const char *const drop_names[MIRROR_N_DROPS] = {MIRROR_DROPS(NAME)};
static const char *const failure_names[MIRROR_N_FAILURES] = {MIRROR_FAILURES(NAME)};
#undef NAME
static const char *const class_names[MIRROR_N_CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

struct declaring {
    const struct spoe_metrics *m;
    struct spoe_instance *self;
};

static struct spoe_metric_family *family(const struct declaring *d, uint32_t type, const char *name,
                                         const char *help, const char *label)
{
    const char *const labels[] = {label, NULL};
    const struct spoe_metric_decl decl = {.size = sizeof decl,
                                          .type = type,
                                          .name = name,
                                          .help = help,
                                          .labels = label != NULL ? labels : NULL};
    struct spoe_metric_family *made = NULL;

    (void)d->m->declare(d->self, &decl, &made); /* NULL: the host has logged why */
    return made;
}

static struct spoe_metric *counter(const struct declaring *d, const char *name, const char *help)
{
    return d->m->series(family(d, SPOE_METRIC_COUNTER, name, help, NULL), NULL);
}

static struct spoe_metric *gauge(const struct declaring *d, const char *name, const char *help)
{
    return d->m->series(family(d, SPOE_METRIC_GAUGE, name, help, NULL), NULL);
}

static void counters(const struct declaring *d, const char *name, const char *help,
                     const char *label, const char *const *values, unsigned n,
                     struct spoe_metric **ret)
{
    struct spoe_metric_family *made = family(d, SPOE_METRIC_COUNTER, name, help, label);

    for (unsigned i = 0; i < n; i++) {
        const struct spoe_span value = spoe_str(values[i]);

        ret[i] = d->m->series(made, &value);
    }
}

static struct spoe_metric *seconds(const struct declaring *d)
{
    static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                    0.25,  0.5,    1,     2.5,  5,     10};
    const struct spoe_metric_decl decl = {.size = sizeof decl,
                                          .type = SPOE_METRIC_HISTOGRAM,
                                          .name = "request_seconds",
                                          .help = "From a request's beginning to its answer's end",
                                          .bounds = bounds,
                                          .n_bounds = sizeof bounds / sizeof bounds[0]};
    struct spoe_metric_family *made = NULL;

    (void)d->m->declare(d->self, &decl, &made);
    return d->m->series(made, NULL);
}

/* Before each scrape. */
static void collect(void *arg)
{
    const struct mirror_metrics *mm = arg;
    const struct mirror_counters *c = mm->counters;
    struct mirror_gauges now = {0};

    mm->m->counter_set(mm->requests, mirror_counted(&c->requests));
    mm->m->counter_set(mm->unselected, mirror_counted(&c->unselected));
    for (unsigned i = 0; i < MIRROR_N_DROPS; i++)
        mm->m->counter_set(mm->dropped[i], mirror_counted(&c->dropped[i]));
    for (unsigned i = 0; i < MIRROR_N_CLASSES; i++)
        mm->m->counter_set(mm->answers[i], mirror_counted(&c->answers[i]));
    for (unsigned i = 0; i < MIRROR_N_FAILURES; i++)
        mm->m->counter_set(mm->failures[i], mirror_counted(&c->failures[i]));
    mm->m->counter_set(mm->long_answers, mirror_counted(&c->long_answers));
    mm->m->counter_set(mm->connections, mirror_counted(&c->connections));
    mm->m->counter_set(mm->sent_bytes, mirror_counted(&c->sent_bytes));
    mm->read_gauges(mm->arg, &now);
    mm->m->gauge_set(mm->waiting, (int64_t)now.waiting);
    mm->m->gauge_set(mm->waiting_max, (int64_t)now.waiting_max);
    mm->m->gauge_set(mm->in_flight, (int64_t)now.in_flight);
    mm->m->gauge_set(mm->in_flight_max, (int64_t)now.in_flight_max);
    mm->m->gauge_set(mm->held, (int64_t)now.held_bytes);
    mm->m->gauge_set(mm->held_max, (int64_t)now.held_bytes_max);
    mm->m->gauge_set(mm->share, (int64_t)now.share);
}

void mirror_metrics_declare(struct mirror_metrics *mm, const struct spoe_host *host,
                            struct spoe_instance *self)
{
    const struct declaring d = {host->get_extension(self, SPOE_METRICS_1), self};

    mm->m = d.m;
    if (d.m == NULL)
        return;
    mm->requests = counter(&d, "requests_total", "Requests that HAProxy told of");
    mm->unselected = counter(&d, "unselected_requests_total", "Requests that the share left out");
    counters(&d, "dropped_requests_total", "Requests that were not sent, by reason", "reason",
             drop_names, MIRROR_N_DROPS, mm->dropped);
    counters(&d, "answers_total", "Answers of the second origin, by class of status", "class",
             class_names, MIRROR_N_CLASSES, mm->answers);
    counters(&d, "failures_total", "Requests that were begun and got no whole answer, by reason",
             "reason", failure_names, MIRROR_N_FAILURES, mm->failures);
    mm->long_answers =
        counter(&d, "long_answers_total", "Answers of which not all was read: response-max");
    mm->connections = counter(&d, "connections_total", "Connections made to the second origin");
    mm->sent_bytes = counter(&d, "sent_body_bytes_total", "Bytes of bodies of requests begun");
    mm->waiting = gauge(&d, "waiting_requests", "Requests that wait for their turn");
    mm->waiting_max = gauge(&d, "max_waiting_requests", "Option queue");
    mm->in_flight = gauge(&d, "in_flight_requests", "Requests that are under way");
    mm->in_flight_max = gauge(&d, "max_in_flight_requests", "Option concurrency");
    mm->held = gauge(&d, "held_bytes", "Memory of requests that wait or are under way");
    mm->held_max = gauge(&d, "max_held_bytes", "Option memory");
    mm->share = gauge(&d, "share_millionths", "Share of the requests that are repeated");
    mm->seconds = seconds(&d);
    (void)d.m->collect(self, collect, mm);
}

void mirror_metrics_answered(const struct mirror_metrics *mm, double answered_seconds)
{
    if (mm->m != NULL)
        mm->m->observe(mm->seconds, answered_seconds);
}
