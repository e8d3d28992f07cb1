/* SPDX-License-Identifier: Apache-2.0 */
/* Logs every call that the host makes, so that a test can check their order. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

struct life {
    const struct spoe_host *host;
    struct spoe_instance *self;
};

static void say(const struct life *life, const char *what)
{
    spoe_logf(life->host, life->self, SPOE_LOG_INFO, "call %s", what);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct life *life = malloc(sizeof *life);

    if (life == NULL)
        return SPOE_E_NOMEM;
    *life = (struct life){host, self};
    say(life, "configure");
    spoe_logf(host, self, SPOE_LOG_INFO, "host %s abi %u.%u extension %s option %s", host->name,
              host->abi_major, host->abi_minor,
              host->get_extension(self, "no.such/1") == NULL ? "none" : "some",
              host->config_get(cfg, 0) == NULL ? "none" : "some");
    *ret_inst = life;
    return SPOE_OK;
}

/* Threads that are made here inherit the mask: a signal must reach the host's own. */
static spoe_status start(void *inst)
{
    sigset_t mask;

    (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
    say(inst,
        sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT) && sigismember(&mask, SIGHUP)
            ? "start"
            : "start_with_signals");
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct life *life = inst;

    (void)worker;
    spoe_logf(life->host, life->self, SPOE_LOG_INFO, "call worker_start %u", index);
    *ret_wctx = life;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct life *life = wctx;

    (void)msg;
    say(life, "handle");
    life->host->log(life->self, req, SPOE_LOG_WARNING, spoe_str("a \"quoted\" line\nand a break"));
    return SPOE_OK;
}

static void drain(void *inst, int64_t deadline_mono_ns)
{
    struct life *life = inst;

    say(life, life->host->now_mono_ns() < deadline_mono_ns ? "drain" : "drain too late");
}

static void worker_stop(void *wctx)
{
    say(wctx, "worker_stop");
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct life *life = inst;

    say(life, life->host->now_mono_ns() < deadline_mono_ns ? "stop" : "stop too late");
}

static void destroy(void *inst)
{
    say(inst, "destroy");
    free(inst);
}

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "lifecycle", "on-frontend-http-request", "logged", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = "lifecycle",
        .version = "1",
        .help = "logs every call",
        .messages = messages,
        .configure = configure,
        .start = start,
        .worker_start = worker_start,
        .handle = handle,
        .drain = drain,
        .worker_stop = worker_stop,
        .stop = stop,
        .destroy = destroy,
    };

    return &plugin;
}
