/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that come later, from the worker's loop: by a timer, by a descriptor, or not in time,
 * with what was committed. And what it may not do: from a thread of its own, at the end, a crash.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <spoe/ext/loop.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

static const struct spoe_host *host;
static struct spoe_instance *self;
static const struct spoe_loop *loop;

struct wctx {
    struct spoe_worker *worker;
};

/* A request that waits. */
struct ask {
    struct wctx *w;
    struct spoe_request *req;
    struct spoe_timer *timer;
    struct spoe_watch *watch;
    char mode[16];
};

static void answer(struct ask *ask, const char *text)
{
    const struct spoe_value value = spoe_value_str(spoe_str(text));

    (void)host->set_var(ask->req, SPOE_SCOPE_TXN, spoe_str("loop"), &value);
    host->complete(ask->req, SPOE_OK);
    free(ask);
}

static void on_time(void *arg)
{
    struct ask *ask = arg;

    if (strcmp(ask->mode, "crash") == 0)
        (void)raise(SIGBUS);
    loop->timer_free(ask->timer);
    answer(ask, "timer");
}

static void on_ready(void *arg, int32_t fd, uint32_t ready)
{
    struct ask *ask = arg;

    loop->watch_free(ask->watch);
    (void)close(fd);
    answer(ask, ready == SPOE_LOOP_READ ? "fd" : "not asked for");
}

static void *on_thread(void *arg)
{
    struct ask *ask = arg;
    struct spoe_timer *timer = NULL;
    char text[32];

    (void)snprintf(text, sizeof text, "%d %d",
                   loop->timer_new(ask->w->worker, on_time, ask, &timer),
                   loop->timer_set(ask->timer, 1));
    loop->timer_free(ask->timer);
    answer(ask, text); /* its timer is never armed, and left to the end */
    return NULL;
}

static spoe_status begin(struct ask *ask, int64_t delay_ms)
{
    const int64_t at = host->now_mono_ns() + delay_ms * 1000000;
    const struct spoe_value deny = spoe_value_str(spoe_str("deny"));
    const struct spoe_value never = spoe_value_str(spoe_str("never"));
    pthread_t thread;
    int fd;

    if (strcmp(ask->mode, "fd") == 0) {
        fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        if (loop->watch_new(ask->w->worker, fd, on_ready, ask, &ask->watch) != SPOE_OK)
            return SPOE_E_INTERNAL;
        return loop->watch_set(ask->watch, SPOE_LOOP_READ) == SPOE_OK ? SPOE_PENDING
                                                                      : SPOE_E_INTERNAL;
    }
    if (strcmp(ask->mode, "commit") == 0) { /* cancel() completes it */
        (void)host->set_var(ask->req, SPOE_SCOPE_TXN, spoe_str("loop"), &deny);
        (void)host->request_commit(ask->req);
        (void)host->set_var(ask->req, SPOE_SCOPE_TXN, spoe_str("loop"), &never);
        return SPOE_PENDING;
    }
    if (loop->timer_new(ask->w->worker, on_time, ask, &ask->timer) != SPOE_OK)
        return SPOE_E_INTERNAL;
    if (strcmp(ask->mode, "thread") == 0) {
        if (pthread_create(&thread, NULL, on_thread, ask) != 0)
            return SPOE_E_INTERNAL;
        (void)pthread_detach(thread);
        return SPOE_PENDING;
    }
    return loop->timer_set(ask->timer, at) == SPOE_OK ? SPOE_PENDING : SPOE_E_INTERNAL;
}

enum { MODE, DELAY };

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct ask *ask = calloc(1, sizeof *ask);
    int64_t delay = 0;

    if (ask == NULL)
        return SPOE_E_NOMEM;
    ask->w = wctx;
    ask->req = req;
    if (msg->slot[MODE].type == SPOE_T_STR)
        (void)snprintf(ask->mode, sizeof ask->mode, "%.*s", (int)msg->slot[MODE].u.s.n,
                       msg->slot[MODE].u.s.p);
    (void)spoe_get_int(&msg->slot[DELAY], &delay);
    (void)host->request_set_data(req, ask);
    return begin(ask, delay);
}

static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    struct ask *ask = host->request_data(req);

    (void)wctx;
    spoe_logf(host, self, SPOE_LOG_INFO, "cancelled %s why=%d", ask->mode, why);
    if (strcmp(ask->mode, "commit") == 0)
        answer(ask, "late");
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct wctx *w = calloc(1, sizeof *w);

    (void)inst;
    (void)index;
    if (w == NULL)
        return SPOE_E_NOMEM;
    w->worker = worker;
    *ret_wctx = w;
    return SPOE_OK;
}

static void worker_stop(void *wctx)
{
    free(wctx);
}

static spoe_status configure(const struct spoe_host *table, struct spoe_instance *me,
                             struct spoe_config *cfg, void **ret_inst)
{
    host = table;
    self = me;
    loop = table->get_extension(me, SPOE_LOOP_1);
    spoe_logf(table, me, SPOE_LOG_INFO, "waits %lld us, and %lld",
              (long long)table->config_timeout_ns(cfg, 0) / 1000,
              (long long)table->config_timeout_ns(cfg, 1));
    *ret_inst = me;
    return loop != NULL && SPOE_HAS(loop, watch_free) && SPOE_HAS(host, request_commit)
               ? SPOE_OK
               : SPOE_E_UNSUPPORTED;
}

static const struct spoe_arg_decl arg_mode = {sizeof arg_mode, SPOE_ACCEPT_STR, 0,           0,
                                              "mode",          "str(timer)",    "what to do"};
static const struct spoe_arg_decl arg_delay = {sizeof arg_delay, SPOE_ACCEPT_INT, 0, 0, "delay",
                                               "int(0)",         "milliseconds"};
static const struct spoe_arg_decl *const args[] = {&arg_mode, &arg_delay, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "loop", "on-frontend-http-request", "is answered later", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .needs_minor = 1,
        .id = "loop",
        .version = "1",
        .help = "answers from the loop",
        .messages = messages,
        .configure = configure,
        .worker_start = worker_start,
        .handle = handle,
        .cancel = cancel,
        .worker_stop = worker_stop,
    };

    return &plugin;
}
