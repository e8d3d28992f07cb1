/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps something open between two messages, as a span is between request and response, and says
 * what the host does to it at its end. `open` opens unless the plugin was told to quiesce, `close`
 * closes, `slow` takes its time, `block` waits for a byte of the FIFO that the option `pipe` names.
 * A message after drain() is logged as an error.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

static const struct spoe_host *the_host;
static struct spoe_instance *the_self;
static atomic_uint_fast64_t n_open;
static atomic_bool quiet, drained;
static char the_pipe[256];

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    const struct spoe_setting *setting = host->config_get(cfg, 0);

    the_host = host;
    the_self = self;
    (void)snprintf(the_pipe, sizeof the_pipe, "%.*s", (int)setting->raw.n, setting->raw.p);
    *ret_inst = self;
    return SPOE_OK;
}

static void set(struct spoe_request *req, const char *name, int64_t n)
{
    struct spoe_value value = spoe_value_int(n);

    (void)the_host->set_var(req, SPOE_SCOPE_TXN, spoe_str(name), &value);
}

static void block(void)
{
    char byte;
    int fd;

    spoe_logf(the_host, the_self, SPOE_LOG_INFO, "blocks");
    fd = open(the_pipe, O_RDONLY | O_CLOEXEC);
    (void)!read(fd, &byte, 1);
    (void)close(fd);
    spoe_logf(the_host, the_self, SPOE_LOG_INFO, "goes on%s",
              atomic_load(&drained) ? " after drain" : "");
}

enum { OPEN, CLOSE, SLOW, BLOCK };

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    if (atomic_load(&drained))
        spoe_logf(the_host, the_self, SPOE_LOG_ERR, "message after drain");
    if (msg->index == BLOCK) {
        block();
    } else if (msg->index == SLOW) {
        const struct timespec ms = {0, 100 * 1000000};

        (void)nanosleep(&ms, NULL);
    } else if (msg->index == CLOSE) {
        (void)atomic_fetch_sub(&n_open, 1);
    } else {
        bool opens = !atomic_load(&quiet);

        if (opens)
            (void)atomic_fetch_add(&n_open, 1);
        set(req, "opened", opens);
    }
    set(req, "answered", 1);
    return SPOE_OK;
}

static uint64_t open_count(void *inst)
{
    (void)inst;
    return atomic_load(&n_open);
}

static void quiesce(void *inst)
{
    (void)inst;
    atomic_store(&quiet, true);
    spoe_logf(the_host, the_self, SPOE_LOG_INFO, "quiesce open=%u", (unsigned)atomic_load(&n_open));
}

static void drain(void *inst, int64_t deadline)
{
    (void)inst;
    (void)deadline;
    atomic_store(&drained, true);
    spoe_logf(the_host, the_self, SPOE_LOG_INFO, "drain open=%u", (unsigned)atomic_load(&n_open));
}

static const struct spoe_arg_decl *const no_args[] = {NULL};
#define MESSAGE(name)                                                                              \
    {                                                                                              \
        sizeof(struct spoe_message_decl), 0, name, "on-frontend-http-request", "", no_args         \
    }
static const struct spoe_message_decl decls[] = {[OPEN] = MESSAGE("open"),
                                                 [CLOSE] = MESSAGE("close"),
                                                 [SLOW] = MESSAGE("slow"),
                                                 [BLOCK] = MESSAGE("block")};
static const struct spoe_message_decl *const messages[] = {&decls[OPEN], &decls[CLOSE],
                                                           &decls[SLOW], &decls[BLOCK], NULL};
static const struct spoe_option pipe_option = {
    .size = sizeof pipe_option, .type = SPOE_OPT_STRING, .key = "pipe", .default_text = ""};
static const struct spoe_option *const options[] = {&pipe_option, NULL};

#define PLUGIN_ID "open"
#define PLUGIN_MESSAGES messages
#define PLUGIN_OPTIONS options
#define PLUGIN_CONFIGURE configure
#define PLUGIN_HANDLE handle
#define PLUGIN_DRAIN drain
#define PLUGIN_OPEN_COUNT open_count
#define PLUGIN_QUIESCE quiesce
#include "base.h"
