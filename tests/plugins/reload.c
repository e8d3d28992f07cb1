/* SPDX-License-Identifier: Apache-2.0 */
/* Answers its settings, some of which can change at run time. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

enum { NAME, LIMIT, FIXED, SHARED };
#define TEXT_MAX 32

/* Never changed once workers see it. */
struct policy {
    struct policy *before;
    char text[4][TEXT_MAX];
};

struct instance {
    const struct spoe_host *host;
    struct spoe_instance *self;
    _Atomic(struct policy *) policy;
};

static const char *const name_env[] = {"TEST_RELOAD_NAME", NULL};
static const char *const shared_env[] = {"TEST_RELOAD_SHARED", NULL};
static const struct spoe_option name = {sizeof name,
                                        SPOE_OPT_STRING,
                                        SPOE_OPTION_RELOADABLE,
                                        0,
                                        "name",
                                        "first",
                                        "",
                                        name_env,
                                        NULL,
                                        0,
                                        0,
                                        NULL};
static const struct spoe_option limit = {
    sizeof limit, SPOE_OPT_INT, SPOE_OPTION_RELOADABLE, 0, "limit", "1", "", NULL, NULL, 0,
    100,          NULL};
static const struct spoe_option fixed = {
    sizeof fixed, SPOE_OPT_STRING, 0, 0, "fixed", "a", "", NULL, NULL, 0, 0, NULL};
static const struct spoe_option shared = {
    sizeof shared, SPOE_OPT_STRING, 0, 0, "shared", "s", "", NULL, NULL, 0, 0, shared_env};
static const struct spoe_option *const options[] = {&name, &limit, &fixed, &shared, NULL};

/* @return NULL: reported, or no memory */
static struct policy *read_settings(const struct spoe_host *host, struct spoe_config *cfg)
{
    struct policy *policy = calloc(1, sizeof *policy);
    int bad = 0;

    if (host->config_get(cfg, NAME)->raw.n == 3 &&
        memcmp(host->config_get(cfg, NAME)->raw.p, "bad", 3) == 0) {
        host->config_error(cfg, NAME, spoe_str("a bad name"));
        bad = 1;
    }
    if (host->config_get(cfg, SHARED)->raw.n == 3)
        host->config_error(cfg, SHARED, spoe_str("three letters"));
    for (size_t i = 0; policy != NULL && i < 4; i++) {
        const struct spoe_setting *setting = host->config_get(cfg, i);

        (void)snprintf(policy->text[i], TEXT_MAX, "%.*s", (int)setting->raw.n, setting->raw.p);
    }
    if (bad != 0) {
        free(policy);
        return NULL;
    }
    return policy;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct instance *inst = calloc(1, sizeof *inst);
    struct policy *policy = read_settings(host, cfg);

    if (inst == NULL || policy == NULL) {
        free(inst);
        free(policy);
        return SPOE_E_CONFIG;
    }
    inst->host = host;
    inst->self = self;
    atomic_init(&inst->policy, policy);
    *ret_inst = inst;
    return SPOE_OK;
}

static spoe_status reconfigure(void *arg, struct spoe_config *cfg)
{
    struct instance *inst = arg;
    struct policy *policy = read_settings(inst->host, cfg);

    if (policy == NULL)
        return SPOE_E_CONFIG;
    spoe_logf(inst->host, inst->self, SPOE_LOG_INFO, "reconfigure");
    if (strcmp(policy->text[NAME], "torn") == 0)
        inst->host->config_error(cfg, NAME, spoe_str("neither one nor the other"));
    while (strcmp(policy->text[NAME], "hang") == 0)
        (void)pause();
    if (strcmp(policy->text[NAME], "broken") == 0) {
        free(policy);
        return SPOE_E_INTERNAL;
    }
    policy->before = atomic_load(&inst->policy);
    atomic_store(&inst->policy, policy);
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    static const char *const names[] = {"name", "limit", "fixed", "shared"};
    struct instance *inst = wctx;
    const struct policy *policy = atomic_load(&inst->policy);

    (void)msg;
    for (size_t i = 0; i < 4; i++) {
        struct spoe_value value = spoe_value_str(spoe_str(policy->text[i]));

        (void)inst->host->set_var(req, SPOE_SCOPE_TXN, spoe_str(names[i]), &value);
    }
    return SPOE_OK;
}

static void destroy(void *arg)
{
    struct instance *inst = arg;
    struct policy *policy = atomic_load(&inst->policy);

    while (policy != NULL) {
        struct policy *before = policy->before;

        free(policy);
        policy = before;
    }
    free(inst);
}

#define PLUGIN_CONFIGURE configure
#define PLUGIN_RECONFIGURE reconfigure
#define PLUGIN_HANDLE handle
#define PLUGIN_DESTROY destroy
#define PLUGIN_OPTIONS options
#define PLUGIN_ID "reload"
#include "base.h"
