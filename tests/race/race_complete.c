/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that completes a request on two threads at the same time, with two statuses: one of the
 * two is told off, and the other's status is the one that counts (1.7).
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/dispatch.h"

#define ROUNDS 20000u
#define BUDGET 200u

static const struct spoe_arg_decl *const no_args[] = {NULL};
static const struct spoe_message_decl message = {sizeof message,     0,  "m",
                                                 "on-http-response", "", no_args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

static struct spoe_request *request;
static struct spoe_worker worker;
static atomic_uint round_nr, n_done; /* of the round, the completions that have returned */
static bool ok_won, failure_won;     /* whoever sees nobody told off is the one that was taken */
static unsigned n_wrong, n_decided, n_finished;

static uint64_t told_off(void)
{
    return atomic_load(&worker.counters.misbehaviour);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    (void)host;
    (void)self;
    (void)cfg;
    *ret_inst = NULL;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)msg;
    request = req;
    return SPOE_PENDING;
}

static void *fail(void *arg)
{
    (void)arg;
    for (unsigned n = 1; n <= ROUNDS; n++) {
        while (atomic_load(&round_nr) != n)
            ;
        request_complete(request, SPOE_E_INTERNAL);
        failure_won = told_off() < n;
        (void)atomic_fetch_add(&n_done, 1);
    }
    return NULL;
}

static void on_done(struct spoe_worker *core, struct exchange *exchange)
{
    const bool ok = exchange->first->in_ack;

    n_wrong += (ok_won && !ok) || (failure_won && ok);
    n_decided +=
        ok_won || failure_won; /* else the other was told off before the first had looked */
    n_finished++;
    exchange_release(core, exchange);
}

static int run(void)
{
    static const uint8_t payload[] = {1, 'm', 0};
    const struct spop_frame frame = {.type = SPOP_NOTIFY,
                                     .flags = SPOP_FLAG_FIN,
                                     .payload = payload,
                                     .payload_len = sizeof payload};
    const struct dispatch_input input = {.deadline_ns = 1};

    for (unsigned n = 1; n <= ROUNDS; n++) {
        struct exchange *exchange = exchange_get(&worker);

        if (exchange == NULL)
            return -1;
        exchange->budget = BUDGET;
        if (dispatch_notify(&worker, &frame, exchange, &input) != 1)
            return -1;
        atomic_store(&n_done, 0);
        atomic_store(&round_nr, n);
        for (volatile unsigned wait = 0; wait < n % 64; wait++)
            ;
        request_complete(request, SPOE_OK);
        ok_won = told_off() < n;
        (void)atomic_fetch_add(&n_done, 1);
        while (atomic_load(&n_done) < 2)
            (void)sched_yield();
        (void)mailbox_run(&worker.mailbox);
    }
    return 0;
}

int main(void)
{
    static const struct spoe_plugin desc = {.magic = SPOE_PLUGIN_MAGIC,
                                            .size = sizeof desc,
                                            .abi_major = SPOE_ABI_MAJOR,
                                            .id = "r",
                                            .version = "1",
                                            .messages = messages,
                                            .configure = configure,
                                            .handle = handle};
    static struct spoe_instance plugin = {.desc = &desc, .n_messages = 1};
    static const struct host_conf conf = {.workers = 1, .max_pending = 1000};
    static struct host_shared shared;
    struct plugin_set set = {.plugin = {&plugin}, .n = 1};
    struct route_table routes;
    struct error error;
    pthread_t thread;

    log_init(SPOE_LOG_ERR, LOG_LOGFMT); /* a completion that failed is a warning */
    if (route_table_build(&routes, &set, &error) != 0)
        return 1;
    shared = (struct host_shared){
        .conf = &conf, .plugins = &set, .routes = &routes, .workers = {&worker}, .n_workers = 1};
    if (worker_core_init(&worker, &shared, 0, on_done) != 0 ||
        pthread_create(&thread, NULL, fail, NULL) != 0 || run() != 0)
        return 1;
    (void)pthread_join(thread, NULL);
    worker_core_stop(&worker);
    worker_core_fini(&worker);
    route_table_free(&routes);
    printf("%u rounds, %u decided, %u with the status of the other\n", n_finished, n_decided,
           n_wrong);
    return n_finished == ROUNDS && n_decided > 0 && n_wrong == 0 ? 0 : 1;
}
