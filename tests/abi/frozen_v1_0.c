/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin as it was built when 1.0 was new: with the headers in v1.0/. Whatever the host becomes,
 * it has to load this and to do what it asks for.
 */
#include <stdlib.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

#if SPOE_ABI_MAJOR != 1 || SPOE_ABI_MINOR != 0
#error "not the frozen headers"
#endif

struct frozen {
    const struct spoe_host *host;
    struct spoe_instance *self;
    int64_t number, duration_ns;
    uint32_t choice;
    uint8_t on;
};

/* In the order of options[]. */
enum { NUMBER, DURATION, CHOICE, ON };
static const char *const number_env[] = {"FROZEN_NUMBER", NULL};
static const char *const choices[] = {"red", "green", NULL};
static const struct spoe_option number = {.size = sizeof number,
                                          .type = SPOE_OPT_INT,
                                          .key = "number",
                                          .default_text = "42",
                                          .help = "a number",
                                          .env = number_env,
                                          .max = 1000};
static const struct spoe_option duration = {.size = sizeof duration,
                                            .type = SPOE_OPT_DURATION,
                                            .key = "duration",
                                            .default_text = "15ms",
                                            .help = "a duration"};
static const struct spoe_option choice = {.size = sizeof choice,
                                          .type = SPOE_OPT_ENUM,
                                          .key = "choice",
                                          .default_text = "green",
                                          .help = "a colour",
                                          .choices = choices};
static const struct spoe_option on = {.size = sizeof on,
                                      .type = SPOE_OPT_BOOL,
                                      .key = "on",
                                      .default_text = "yes",
                                      .help = "a switch"};
static const struct spoe_option *const options[] = {&number, &duration, &choice, &on, NULL};

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct frozen *fr = calloc(1, sizeof *fr);

    if (fr == NULL)
        return SPOE_E_NOMEM;
    fr->host = host;
    fr->self = self;
    fr->number = host->config_get(cfg, NUMBER)->value.u.i64;
    fr->duration_ns = host->config_get(cfg, DURATION)->value.u.i64;
    fr->choice = host->config_get(cfg, CHOICE)->value.u.u32;
    fr->on = host->config_get(cfg, ON)->value.u.b;
    *ret_inst = fr;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct frozen *fr = wctx;
    struct spoe_value sum =
        spoe_value_int(fr->number + fr->duration_ns + (int64_t)fr->choice + fr->on);

    spoe_logf(fr->host, fr->self, SPOE_LOG_INFO, "frozen sees %u slots", msg->n_slots);
    (void)fr->host->set_var(req, SPOE_SCOPE_SESS, spoe_str("frozen_path"), &msg->slot[0]);
    return fr->host->set_var(req, SPOE_SCOPE_TXN, spoe_str("frozen_sum"), &sum);
}

static const struct spoe_arg_decl path = {sizeof path, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0,
                                          "path",      "path",          "the path"};
static const struct spoe_arg_decl *const args[] = {&path, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "frozen", "on-frontend-http-request", "a message", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = "frozen-v1-0",
        .version = "1.0",
        .help = "built with the headers of 1.0",
        .messages = messages,
        .options = options,
        .configure = configure,
        .handle = handle,
        .destroy = free,
    };

    return &plugin;
}
