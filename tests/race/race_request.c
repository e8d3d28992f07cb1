/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests under races, for the TSan build: plugin threads set variables, commit and complete while
 * the worker lets deadlines pass, sends ACKs and reuses requests. Ends with 0 if every message was
 * answered and released exactly once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/dispatch.h"

#define ROUNDS 20000u
#define THREADS 3u
#define RING 64u

static const struct spoe_arg_decl *const no_args[] = {NULL};
static const struct spoe_message_decl message = {sizeof message,     0,  "m",
                                                 "on-http-response", "", no_args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

/* Requests on their way to the plugin's threads; a slot is free when it holds NULL. */
static _Atomic(struct spoe_request *) ring[RING];
static _Atomic bool quit;
static atomic_uint n_lost; /* pointers that a request did not keep */
static unsigned n_done;

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **inst)
{
    (void)host;
    (void)self;
    (void)cfg;
    *inst = NULL;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *request, const struct spoe_message *msg)
{
    (void)wctx;
    (void)msg;
    for (unsigned i = 0;; i = (i + 1) % RING) {
        struct spoe_request *empty = NULL;

        if (atomic_compare_exchange_strong(&ring[i], &empty, request))
            return SPOE_PENDING;
    }
}

static void *plugin_thread(void *arg)
{
    const struct spoe_value value = {.type = SPOE_T_UINT32, .u.u32 = 7};
    unsigned i = *(const unsigned *)arg;

    while (!atomic_load(&quit)) {
        struct spoe_request *request = atomic_exchange(&ring[i % RING], NULL);

        i++;
        if (request == NULL)
            continue;
        (void)request_set_data(request, &quit);
        for (unsigned n = 0; n < 3; n++) {
            (void)request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value);
            (void)request_commit(request);
        }
        if (request_get_data(request) != &quit)
            (void)atomic_fetch_add(&n_lost, 1);
        request_complete(request, i % 5 == 0 ? SPOE_E_INTERNAL : SPOE_OK);
    }
    return NULL;
}

static void on_done(struct spoe_worker *worker, struct exchange *exchange)
{
    uint8_t bytes[256];

    if (exchange->owner != NULL)
        (void)exchange_encode(worker, exchange, bytes, sizeof bytes);
    exchange_release(worker, exchange);
    n_done++;
}

static int start_one(struct spoe_worker *worker, unsigned round)
{
    static const uint8_t payload[] = {1, 'm', 0};
    struct spop_frame frame = {.type = SPOP_NOTIFY,
                               .flags = SPOP_FLAG_FIN,
                               .payload = payload,
                               .payload_len = sizeof payload};
    struct dispatch_input input = {.deadline_ns = 1};
    struct exchange *exchange = exchange_get(worker);
    uint8_t bytes[256];

    if (exchange == NULL)
        return -1;
    exchange->budget = 200;
    exchange->owner = worker;
    if (dispatch_notify(worker, &frame, exchange, &input) != 1)
        return -1;
    if (round % 3 == 0) { /* the deadline passes at once */
        exchange_cancel(worker, exchange, SPOE_CANCEL_DEADLINE);
        (void)exchange_encode(worker, exchange, bytes, sizeof bytes);
        exchange->owner = NULL;
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
    struct plugin_set set = {.plugin = {&plugin}, .n = 1};
    static struct host_shared shared;
    static struct spoe_worker worker;
    struct route_table routes;
    struct error error;
    pthread_t threads[THREADS];
    unsigned first[THREADS];

    if (route_table_build(&routes, &set, &error) != 0)
        return 1;
    shared = (struct host_shared){
        .conf = &conf, .plugins = &set, .routes = &routes, .workers = {&worker}, .n_workers = 1};
    if (worker_core_init(&worker, &shared, 0, on_done) != 0)
        return 1;
    for (unsigned i = 0; i < THREADS; i++) {
        first[i] = i * RING / THREADS;
        if (pthread_create(&threads[i], NULL, plugin_thread, &first[i]) != 0)
            return 1;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (start_one(&worker, round) != 0)
            return 1;
        (void)mailbox_run(&worker.mailbox);
    }
    while (n_done < ROUNDS)
        (void)mailbox_run(&worker.mailbox);
    atomic_store(&quit, true);
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)printf("%u messages, %zu pending\n", n_done, atomic_load(&shared.n_pending));
    worker_core_stop(&worker);
    worker_core_fini(&worker);
    route_table_free(&routes);
    return n_done == ROUNDS && n_lost == 0 && atomic_load(&shared.n_pending) == 0 ? 0 : 1;
}
