/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts to a worker in its own worker_start(), so that it turns while others are not there yet;
 * then to all of them from stop() and from destroy(), and says what became of it.
 */
#include <stdlib.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

#define WORKERS_MAX 64

struct late {
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct spoe_worker *worker[WORKERS_MAX]; /* each written by its worker, before stop() */
};

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct late *late = calloc(1, sizeof *late);

    (void)cfg;
    if (late == NULL)
        return SPOE_E_NOMEM;
    late->host = host;
    late->self = self;
    *ret_inst = late;
    return SPOE_OK;
}

static void early(void *arg)
{
    struct late *late = arg;

    spoe_logf(late->host, late->self, SPOE_LOG_INFO, "an early function ran");
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct late *late = inst;

    if (index < WORKERS_MAX)
        late->worker[index] = worker;
    *ret_wctx = late;
    return late->host->post(worker, early, late);
}

static void never(void *arg)
{
    struct late *late = arg;

    spoe_logf(late->host, late->self, SPOE_LOG_ERR, "a posted function ran");
}

static void post_all(struct late *late, const char *where)
{
    for (int i = 0; i < WORKERS_MAX && late->worker[i] != NULL; i++)
        spoe_logf(late->host, late->self, SPOE_LOG_INFO, "post in %s to %d: %d", where, i,
                  late->host->post(late->worker[i], never, late));
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    (void)deadline_mono_ns;
    post_all(inst, "stop");
}

static void destroy(void *inst)
{
    post_all(inst, "destroy");
    free(inst);
}

#define PLUGIN_CONFIGURE configure
#define PLUGIN_WORKER_START worker_start
#define PLUGIN_STOP stop
#define PLUGIN_DESTROY destroy
#define PLUGIN_ID "post-late"
#include "base.h"
