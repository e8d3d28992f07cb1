/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breaks the rule that its option names, and keeps the others: for spoe-plugin-check. It has a
 * thread of its own from start() to stop().
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spoe/util.h>

enum { RULE };
enum rule {
    NONE,
    THREAD,
    DESCRIPTOR,
    SIGNALS,
    STOP,
    MEMORY,
    TWICE,
    FORGETS,
    RECONFIGURE,
    CONFIG,
    LINES,
    LATE
};
static const char *const rules[] = {"none",   "thread", "descriptor", "signals",     "stop",
                                    "memory", "twice",  "forgets",    "reconfigure", "config",
                                    "lines",  "late",   NULL};

static struct breaks {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct spoe_config *cfg;
    enum rule rule;
    bool hurried; /* processing-timeout is so short that answers are to be late */
    pthread_t thread;
    int go[2], back[2]; /* it ends when a byte comes; then it says so */
} b;

static void take(int fd)
{
    char byte;

    while (read(fd, &byte, 1) != 1) {
    }
}

/* Ends when it is told to; one that is to be left never is. */
static void *thread_main(void *arg)
{
    sigset_t none;

    (void)sigemptyset(&none);
    if (b.rule == SIGNALS)
        (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)!write(b.back[1], "r", 1);
    do {
        take(b.go[0]);
    } while (b.rule == THREAD);
    if (b.rule == STOP)
        b.host->log(b.self, NULL, SPOE_LOG_INFO, spoe_str("still here"));
    return arg;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    char *text = malloc(100);

    b.host = host;
    b.self = self;
    b.cfg = cfg;
    b.rule = (enum rule)host->config_get(cfg, RULE)->value.u.u32;
    b.hurried =
        SPOE_HAS(host, config_timeout_ns) && host->config_timeout_ns(cfg, 0) < INT64_C(1000000000);
    if (b.rule == MEMORY)
        *(volatile char *)text = 'x'; /* it may be NULL; volatile: else nobody writes it at all */
    free(text);
    *ret_inst = &b;
    return SPOE_OK;
}

static spoe_status start(void *inst)
{
    (void)inst;
    if (pipe2(b.go, O_CLOEXEC) != 0 || pipe2(b.back, O_CLOEXEC) != 0 ||
        pthread_create(&b.thread, NULL, thread_main, NULL) != 0)
        return SPOE_E_INTERNAL;
    take(b.back[0]); /* its mask is as it will be */
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)msg;
    if (b.rule == CONFIG)
        (void)b.host->config_get(b.cfg, RULE);
    if (b.rule == LINES)
        b.host->log(b.self, req, SPOE_LOG_INFO, spoe_str("two\nlines"));
    if (b.rule == FORGETS || (b.rule == LATE && b.hurried))
        return SPOE_PENDING;
    if (b.rule == TWICE) {
        b.host->complete(req, SPOE_OK);
        b.host->complete(req, SPOE_OK);
        return SPOE_PENDING;
    }
    return SPOE_OK;
}

static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    (void)wctx;
    (void)why;
    if (b.rule != LATE)
        return;
    b.host->complete(req, SPOE_OK);
    b.host->complete(req, SPOE_OK);
}

static void end_thread(void)
{
    (void)!write(b.go[1], "g", 1);
    (void)pthread_join(b.thread, NULL);
    for (int i = 0; i < 2; i++) {
        if (b.rule != DESCRIPTOR)
            (void)close(b.go[i]);
        (void)close(b.back[i]);
    }
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    (void)inst;
    (void)deadline_mono_ns;
    if (b.rule != THREAD && b.rule != STOP)
        end_thread();
}

static void destroy(void *inst)
{
    (void)inst;
    if (b.rule == STOP && b.go[1] != 0)
        end_thread();
}

static spoe_status reconfigure(void *inst, struct spoe_config *cfg)
{
    (void)inst;
    (void)cfg;
    return b.rule == RECONFIGURE ? SPOE_E_INTERNAL : SPOE_OK;
}

SPOE_PLUGIN("breaks", .version = "1", .help = "breaks a rule",
            .messages = SPOE_MESSAGES(SPOE_MESSAGE("breaks", .event = "on-frontend-http-request",
                                                   .help = "one message", .args = SPOE_ARGS(NULL))),
            .options = SPOE_OPTIONS([RULE] = SPOE_OPTION("rule", .type = SPOE_OPT_ENUM,
                                                         .flags = SPOE_OPTION_RELOADABLE,
                                                         .default_text = "none", .choices = rules,
                                                         .help = "which")),
            .configure = configure, .start = start, .handle = handle, .cancel = cancel,
            .stop = stop, .destroy = destroy, .reconfigure = reconfigure);
