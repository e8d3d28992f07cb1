/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the facet spoe.metrics/1 in every way, also wrong ones; a line tells what came of them. Its
 * message "metrics" has an argument `label`: a counter has a series for each. A secret option, set
 * or not, is never to be seen on a page.
 */
#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

static struct metrics {
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_metrics *api;
    struct spoe_metric_family *by_label, *late;
    struct spoe_metric *messages, *in_flight, *sizes, *collected, *scrapes;
    int started, stopped;
} m;

static const char *const label_names[] = {"label", NULL};

static spoe_status declare(uint32_t type, const char *name, const char *const *labels,
                           struct spoe_metric_family **ret)
{
    static const double bounds[] = {1, 4, 16};
    const struct spoe_metric_decl decl = {
        .size = sizeof decl,
        .type = type,
        .max_series = 5,
        .n_bounds = type == SPOE_METRIC_HISTOGRAM ? 3 : 0,
        .name = name,
        .help = "Of the tests; \\ and\na line end.",
        .labels = labels,
        .bounds = bounds,
    };

    return m.api->declare(m.self, &decl, ret);
}

static void collect(void *arg)
{
    struct metrics *self = arg;

    /* What a host must not do is told, since a line is all that a test can see. */
    if (!self->started || self->stopped)
        spoe_logf(self->host, self->self, SPOE_LOG_ERR, "collected too early or too late");
    self->api->counter_set(self->collected, 42);
    self->api->gauge_add(self->scrapes, 1);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct spoe_metric_family *family = NULL;

    (void)cfg;
    m.host = host;
    m.self = self;
    m.api = (const struct spoe_metrics *)host->get_extension(self, SPOE_METRICS_1);
    if (m.api == NULL)
        return SPOE_E_UNSUPPORTED;
    spoe_logf(host, self, SPOE_LOG_INFO, "refused %d %d %d",
              (int)declare(SPOE_METRIC_COUNTER, "no_suffix", NULL, &family),
              (int)declare(SPOE_METRIC_GAUGE, "wait_ms", NULL, &family),
              (int)m.api->collect(self, NULL, NULL));
    if (declare(SPOE_METRIC_COUNTER, "labelled_total", label_names, &m.by_label) != SPOE_OK ||
        declare(SPOE_METRIC_COUNTER, "messages_total", NULL, &family) != SPOE_OK)
        return SPOE_E_INTERNAL;
    m.messages = m.api->series(family, NULL);
    if (declare(SPOE_METRIC_GAUGE, "in_flight", NULL, &family) != SPOE_OK)
        return SPOE_E_INTERNAL;
    m.in_flight = m.api->series(family, NULL);
    if (declare(SPOE_METRIC_HISTOGRAM, "label_bytes", NULL, &family) != SPOE_OK)
        return SPOE_E_INTERNAL;
    m.sizes = m.api->series(family, NULL);
    if (declare(SPOE_METRIC_COUNTER, "collected_total", NULL, &family) != SPOE_OK)
        return SPOE_E_INTERNAL;
    m.collected = m.api->series(family, NULL);
    if (declare(SPOE_METRIC_GAUGE, "scrapes", NULL, &family) != SPOE_OK)
        return SPOE_E_INTERNAL;
    m.scrapes = m.api->series(family, NULL);
    *ret_inst = &m;
    return m.api->collect(self, collect, &m);
}

static spoe_status start(void *inst)
{
    struct metrics *self = inst;

    spoe_logf(self->host, self->self, SPOE_LOG_INFO, "late %d %d",
              (int)declare(SPOE_METRIC_GAUGE, "late", NULL, &self->late),
              (int)self->api->collect(self->self, collect, self));
    self->started = 1;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct metrics *self = wctx;
    struct spoe_span label = msg->slot[0].u.s;

    (void)req;
    self->api->gauge_add(self->in_flight, 1);
    self->api->counter_add(self->messages, 1);
    self->api->counter_add(self->api->series(self->by_label, &label), 1);
    self->api->observe(self->sizes, (double)label.n);
    self->api->counter_add(self->sizes, 1); /* of another type: ignored */
    self->api->gauge_add(self->in_flight, -1);
    return SPOE_OK;
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct metrics *self = inst;

    (void)deadline_mono_ns;
    self->stopped = 1;
}

static const char *const env[] = {"METRICS_SECRET", NULL};
static const struct spoe_option secret = {.size = sizeof secret,
                                          .type = SPOE_OPT_STRING,
                                          .flags = SPOE_OPTION_SECRET,
                                          .key = "secret",
                                          .default_text = "hunter2",
                                          .help = "never shown",
                                          .env = env};
static const struct spoe_option plain = {
    .size = sizeof plain, .type = SPOE_OPT_STRING, .key = "plain", .help = "shown"};
static const struct spoe_option *const options[] = {&secret, &plain, NULL};
static const struct spoe_arg_decl arg = {sizeof arg, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0,
                                         "label",    "path",          "a label's value"};
static const struct spoe_arg_decl *const args[] = {&arg, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "metrics", "on-frontend-http-request", "is counted", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = "the-metrics",
        .version = "1",
        .help = "counts",
        .messages = messages,
        .options = options,
        .configure = configure,
        .start = start,
        .handle = handle,
        .stop = stop,
    };

    return &plugin;
}
