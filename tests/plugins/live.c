/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers what is in a file, by spoe.reload/1. A text that begins with "broken" is not taken, one
 * that begins with "hang" is being built until the process ends, "wait" until the host stops.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spoe/ext/reload.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

#define TEXT_MAX 64

struct instance {
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_reload *reload;
    struct spoe_reload_source *source;
    char path[512];
};

static const struct spoe_option file = {
    sizeof file, SPOE_OPT_STRING, SPOE_OPTION_REQUIRED, 0, "file", NULL, "", NULL, NULL, 0, 0,
    NULL};
static const struct spoe_option required = {
    sizeof required, SPOE_OPT_BOOL, 0, 0, "required", "on", "", NULL, NULL, 0, 0, NULL};
static const struct spoe_option *const options[] = {&file, &required, NULL};

static spoe_status build(void *arg, struct spoe_reload_source *source, void **ret_state)
{
    struct instance *inst = arg;
    char *text = calloc(1, TEXT_MAX);
    FILE *in = fopen(inst->path, "r");

    if (text == NULL || in == NULL || fgets(text, TEXT_MAX, in) == NULL ||
        strncmp(text, "broken", 6) == 0) {
        spoe_logf(inst->host, inst->self, SPOE_LOG_ERR, "%s:1: broken", inst->path);
        free(text);
        if (in != NULL)
            (void)fclose(in);
        return SPOE_E_INVAL;
    }
    (void)fclose(in);
    if (strncmp(text, "hang", 4) == 0 || strncmp(text, "wait", 4) == 0)
        spoe_logf(inst->host, inst->self, SPOE_LOG_INFO, "building");
    while (strncmp(text, "hang", 4) == 0)
        (void)pause();
    while (strncmp(text, "wait", 4) == 0 && !inst->reload->cancelled(source))
        (void)usleep(1000);
    *ret_state = text;
    return SPOE_OK;
}

static void release(void *arg, void *state)
{
    struct instance *inst = arg;

    spoe_logf(inst->host, inst->self, SPOE_LOG_INFO, "released %.8s", (char *)state);
    memset(state, '?', TEXT_MAX);
    free(state);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct instance *inst = calloc(1, sizeof *inst);
    const struct spoe_span path = host->config_get(cfg, 0)->value.u.s;
    const char *paths[] = {NULL, NULL};
    struct spoe_reload_decl decl = {
        .size = sizeof decl,
        .flags = host->config_get(cfg, 1)->value.u.b != 0 ? SPOE_RELOAD_REQUIRED : 0,
        .name = "text",
        .paths = paths,
        .build = build,
        .release = release,
        .arg = inst};

    if (inst == NULL)
        return SPOE_E_NOMEM;
    inst->host = host;
    inst->self = self;
    inst->reload = host->get_extension(self, SPOE_RELOAD_1);
    (void)snprintf(inst->path, sizeof inst->path, "%.*s", (int)path.n, path.p);
    paths[0] = inst->path;
    *ret_inst = inst;
    return inst->reload->declare(self, &decl, &inst->source);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct instance *inst = wctx;
    const char *text = inst->reload->get(inst->source);
    struct spoe_value value;

    (void)msg;
    if (text == NULL)
        return SPOE_OK;
    value = spoe_value_str((struct spoe_span){text, strcspn(text, "\n")});
    return inst->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("text"), &value);
}

static void stop(void *arg, int64_t deadline)
{
    struct instance *inst = arg;

    (void)deadline;
    spoe_logf(inst->host, inst->self, SPOE_LOG_INFO, "stop");
}

#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_STOP stop
#define PLUGIN_DESTROY free
#define PLUGIN_OPTIONS options
#define PLUGIN_ID "live"
#include "base.h"
