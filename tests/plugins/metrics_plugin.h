/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of two plugins, which are METRICS_MESSAGE: uses the facet spoe.metrics/2: names of its
 * own without a prefix, a histogram with exemplars, a named overflow, series that it puts. Each of
 * its messages is counted in all of them.
 */
#ifndef TEST_METRICS_PLUGIN_H
#define TEST_METRICS_PLUGIN_H

#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

static struct metrics {
    const struct spoe_metrics *api;
    struct spoe_metric_family *by_label;
    struct spoe_metric *sizes;
    _Atomic uint64_t n;
} m;

static const double bounds[] = {1, 4, 16};

static void put(void *arg, struct spoe_metric_sink *sink)
{
    struct metrics *self = arg;
    const int64_t n = (int64_t)self->n;
    const struct spoe_metric_label labels[] = {{"half", spoe_str("even")}, {"odd", spoe_str("")}};

    (void)self->api->put_number(sink, labels, 1, n / 2);
    (void)self->api->put_number(sink, labels + 1, 1, n - n / 2);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    static const char *const labels[] = {"label", NULL};
    struct spoe_metric_decl decl = {.size = sizeof decl,
                                    .type = SPOE_METRIC_COUNTER,
                                    .max_series = 2,
                                    .name = "http_messages_total",
                                    .help = "By label.",
                                    .labels = labels,
                                    .flags = SPOE_METRIC_UNPREFIXED,
                                    .overflow = "too_many"};
    struct spoe_metric_family *family = NULL;

    (void)cfg;
    *ret_inst = &m;
    m.api = (const struct spoe_metrics *)host->get_extension(self, SPOE_METRICS_2);
    if (m.api == NULL || !SPOE_HAS(m.api, put_histogram))
        return SPOE_E_UNSUPPORTED;
    (void)m.api->declare(self, &decl, &m.by_label); /* whether it is taken is the host's business */
    decl = (struct spoe_metric_decl){.size = sizeof decl,
                                     .type = SPOE_METRIC_HISTOGRAM,
                                     .n_bounds = 3,
                                     .name = "label_bytes",
                                     .help = "Length of \"label\".",
                                     .bounds = bounds,
                                     .flags = SPOE_METRIC_EXEMPLARS};
    if (m.api->declare(self, &decl, &family) == SPOE_OK)
        m.sizes = m.api->series(family, NULL);
    decl = (struct spoe_metric_decl){.size = sizeof decl,
                                     .type = SPOE_METRIC_GAUGE,
                                     .name = "http_two",
                                     .help = "Halves.",
                                     .flags = SPOE_METRIC_UNPREFIXED};
    (void)m.api->provide(self, &decl, put, &m);
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    static const struct spoe_exemplar exemplar = {.trace_id = {0x0a, [15] = 0x0b},
                                                  .span_id = {0x0c},
                                                  .unix_ns = INT64_C(1700000000000000000)};
    struct metrics *self = wctx;
    struct spoe_span label = msg->slot[0].u.s;
    struct spoe_exemplar now = exemplar;

    (void)req;
    now.unix_ns = msg->recv_unix_ns;
    self->n++;
    self->api->counter_add(self->api->series(self->by_label, &label), 1);
    self->api->observe_exemplar(self->sizes, (double)label.n, &now);
    return SPOE_OK;
}

static const struct spoe_arg_decl arg = {sizeof arg, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0,
                                         "label",    "path",          "a label's value"};
static const struct spoe_arg_decl *const args[] = {&arg, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, METRICS_MESSAGE, "on-frontend-http-request", "is counted", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = METRICS_MESSAGE,
        .version = "1",
        .help = "counts",
        .messages = messages,
        .configure = configure,
        .handle = handle,
    };

    return &plugin;
}

#endif
