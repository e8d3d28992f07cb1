/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin of which there may be several: each sets a variable to its option, and counts.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

struct several {
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_metrics *metrics;
    struct spoe_metric *asked;
    pthread_mutex_t lock;
    char list[64]; /* lock */
};

static const char *const env[] = {"SEVERAL_LIST", NULL};
static const char *const lenient[] = {"OTEL_SEVERAL", NULL};
static const struct spoe_option list = {.size = sizeof list,
                                        .type = SPOE_OPT_STRING,
                                        .flags = SPOE_OPTION_RELOADABLE,
                                        .key = "list",
                                        .default_text = "none",
                                        .help = "what it is about",
                                        .env = env,
                                        .env_lenient = lenient};
static const struct spoe_option max_list = {
    .size = sizeof max_list, .type = SPOE_OPT_STRING, .key = "max-list", .help = "not used"};
static const struct spoe_option *const options[] = {&list, &max_list, NULL};

static void take(struct several *s, struct spoe_config *cfg)
{
    const struct spoe_value *value = &s->host->config_get(cfg, 0)->value;
    const size_t n = value->u.s.n < sizeof s->list - 1 ? value->u.s.n : sizeof s->list - 1;

    pthread_mutex_lock(&s->lock);
    memcpy(s->list, value->u.s.p, n);
    s->list[n] = '\0';
    pthread_mutex_unlock(&s->lock);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    static const struct spoe_metric_decl decl = {.size = sizeof decl,
                                                 .type = SPOE_METRIC_COUNTER,
                                                 .name = "asked_total",
                                                 .help = "Messages."};
    struct several *s = calloc(1, sizeof *s);
    struct spoe_metric_family *family = NULL;

    if (s == NULL)
        return SPOE_E_NOMEM;
    s->host = host;
    s->self = self;
    pthread_mutex_init(&s->lock, NULL);
    take(s, cfg);
    s->metrics = host->get_extension(self, SPOE_METRICS_1);
    if (s->metrics == NULL || s->metrics->declare(self, &decl, &family) != SPOE_OK) {
        free(s);
        return SPOE_E_UNSUPPORTED;
    }
    s->asked = s->metrics->series(family, NULL);
    spoe_logf(host, self, SPOE_LOG_INFO, "list is %s", s->list);
    *ret_inst = s;
    return SPOE_OK;
}

static spoe_status reconfigure(void *inst, struct spoe_config *cfg)
{
    struct several *s = inst;

    take(s, cfg);
    spoe_logf(s->host, s->self, SPOE_LOG_INFO, "list is now %s", s->list);
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct several *s = wctx;
    struct spoe_value value;
    spoe_status status;

    (void)msg;
    s->metrics->counter_add(s->asked, 1);
    pthread_mutex_lock(&s->lock);
    value = spoe_value_str(spoe_str(s->list));
    status = s->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("list"), &value);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static void destroy(void *inst)
{
    struct several *s = inst;

    pthread_mutex_destroy(&s->lock);
    free(s);
}

#ifndef PLUGIN_ID
#define PLUGIN_ID "several"
#endif
#define PLUGIN_OPTIONS options
#define PLUGIN_CONFIGURE configure
#define PLUGIN_RECONFIGURE reconfigure
#define PLUGIN_HANDLE handle
#define PLUGIN_DESTROY destroy
#define PLUGIN_FLAGS SPOE_PLUGIN_INSTANCES
#include "base.h"
