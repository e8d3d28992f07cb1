/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_no_memory.c - a worker and its messages when memory runs out: the n-th
 * allocation fails, for every n until none does. What fails says so, and what comes later works.
 *
 * The linker leads the allocating calls of host_core here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/dispatch.h"
#include "lib/codec.h"

static volatile unsigned countdown; /* the allocation that fails; 0: none */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* Three plugins take message "m", each with the arguments in another order; "s" goes to one. */
#define ARG(text)                                                                                  \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        .size = sizeof(struct spoe_arg_decl), .types = SPOE_ACCEPT_STR, .name = (text),            \
        .expression = (text)                                                                       \
    }
static const struct spoe_arg_decl *const args[][4] = {
    {ARG("x"), ARG("y"), ARG("z"), NULL}, {ARG("y"), ARG("z"), ARG("x"), NULL}, {ARG("z"), NULL}};
#define MESSAGE(text, table)                                                                       \
    &(const struct spoe_message_decl)                                                              \
    {                                                                                              \
        .size = sizeof(struct spoe_message_decl), .name = (text), .event = "on-http-response",     \
        .args = (table)                                                                            \
    }
static const struct spoe_message_decl *const messages[][3] = {
    {MESSAGE("m", args[0]), MESSAGE("s", args[0]), NULL},
    {MESSAGE("m", args[1]), NULL},
    {MESSAGE("m", args[2]), NULL}};

static unsigned n_calls, n_refused;
static bool complete; /* every slot holds what its argument says */

static spoe_status handle(void *wctx, struct spoe_request *request, const struct spoe_message *msg)
{
    const size_t which = *(const size_t *)wctx;
    static char big[2000];
    const struct spoe_value value = {.type = SPOE_T_STR, .u.s = {big, sizeof big}};

    memset(big, 'b', sizeof big);
    n_calls++;
    for (uint32_t i = 0; i < msg->n_slots; i++) {
        if (msg->slot[i].type != SPOE_T_STR || msg->slot[i].flags != 0 || msg->slot[i].u.s.n != 1 ||
            msg->slot[i].u.s.p[0] != args[which][i]->name[0])
            complete = false;
    }
    if (msg->n_args != 20 + (which == 2 ? 2 : 0))
        complete = false;
    switch (request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value)) {
    case SPOE_OK:
        break;
    case SPOE_E_NOMEM:
        n_refused++;
        break;
    default:
        cr_assert_fail("neither set nor out of memory");
    }
    return SPOE_OK;
}

static const size_t which[] = {0, 1, 2};
static const struct spoe_plugin descs[] = {
    {.size = sizeof descs[0], .id = "a", .messages = messages[0], .handle = handle},
    {.size = sizeof descs[0], .id = "b", .messages = messages[1], .handle = handle},
    {.size = sizeof descs[0], .id = "c", .messages = messages[2], .handle = handle}};
static struct spoe_instance instances[] = {
    {.desc = &descs[0], .index = 0, .n_messages = 2, .n_arguments = {3, 3}},
    {.desc = &descs[1], .index = 1, .n_messages = 1, .n_arguments = {3}},
    {.desc = &descs[2], .index = 2, .n_messages = 1, .n_arguments = {1}}};
static const struct host_conf conf = {.workers = 1, .max_pending = 4};
static const struct plugin_set set = {.plugin = {&instances[0], &instances[1], &instances[2]},
                                      .n = 3};
static struct route_table routes;
static struct host_shared shared;
static struct spoe_worker worker;

static void on_done(struct spoe_worker *w, struct exchange *exchange)
{
    (void)w;
    (void)exchange;
    cr_assert_fail("nothing was pending");
}

/* @return false: memory was short, and nothing is left */
static bool start(void)
{
    struct error error;

    for (size_t i = 0; i < 3; i++)
        instances[i].inst = (void *)(uintptr_t)&which[i];
    if (route_table_build(&routes, &set, &error) != 0) {
        cr_assert_str_eq(error.text, "out of memory");
        cr_assert_eq(routes.n, 0);
        return false;
    }
    shared = (struct host_shared){
        .conf = &conf, .plugins = &set, .routes = &routes, .workers = {&worker}, .n_workers = 1};
    if (worker_core_init(&worker, &shared, 0, on_done) != 0) {
        route_table_free(&routes);
        return false;
    }
    for (size_t i = 0; i < 3; i++)
        worker.wctx[i] = instances[i].inst;
    return true;
}

static void finish(void)
{
    worker_core_stop(&worker);
    worker_core_fini(&worker);
    route_table_free(&routes);
}

static size_t put(uint8_t *p, const char *text)
{
    return codec_put_string(p, 64, (struct spoe_span){text, strlen(text)});
}

/* A message with its three arguments and twenty that nobody declares. */
static size_t make_payload(const char *name, uint8_t *p)
{
    static const char *const own[] = {"x", "y", "z"};
    size_t n = put(p, name);

    p[n++] = 23;
    for (size_t i = 0; i < 23; i++) {
        const struct spoe_value value = {.type = SPOE_T_STR, .u.s = {i < 3 ? own[i] : "u", 1}};

        n += put(p + n, i < 3 ? own[i] : "undeclared");
        n += codec_put_value(p + n, 64, &value);
    }
    return n;
}

/* Send one message. @return what dispatch_notify() says; -SPOP_ERR_RESOURCE: no exchange either */
static int notify(const char *name)
{
    static uint8_t ack[16384];
    uint8_t payload[1024];
    const size_t n = make_payload(name, payload);
    const struct spop_frame frame = {
        .type = SPOP_NOTIFY, .flags = SPOP_FLAG_FIN, .payload = payload, .payload_len = n};
    const struct dispatch_input input = {.deadline_ns = 1};
    struct exchange *exchange = exchange_get(&worker);
    int result;

    if (exchange == NULL)
        return -SPOP_ERR_RESOURCE;
    exchange->budget = 10000;
    n_calls = n_refused = 0;
    complete = true;
    result = dispatch_notify(&worker, &frame, exchange, &input);
    cr_assert(exchange_encoded_max(exchange) <= sizeof ack);
    if (result == 0)
        cr_assert_gt(exchange_encode(&worker, exchange, ack, sizeof ack), 0u);
    exchange_release(&worker, exchange);
    return result;
}

TestSuite(core_no_memory, .timeout = 60);

/* 9.1 */
Test(core_no_memory, a_worker_starts_or_leaves_nothing)
{
    unsigned n = 1;

    for (;; n++) {
        countdown = n;
        bool started = start();
        bool failed = countdown == 0;

        countdown = 0;
        cr_assert_eq(started, !failed, "allocation %u", n);
        if (started)
            finish();
        if (!failed)
            break;
    }
    cr_assert_gt(n, 8u);
}

static void every_message(const char *name, unsigned n_targets, unsigned least)
{
    unsigned n = 1, n_errors = 0, n_unset = 0;

    for (bool failed = true; failed; n++) {
        int result;

        countdown = 0;
        cr_assert(start());
        countdown = n;
        result = notify(name);
        failed = countdown == 0;
        countdown = 0;
        if (result == 0) {
            cr_assert_eq(n_calls, n_targets, "allocation %u", n);
            cr_assert(complete, "allocation %u", n);
            cr_assert_eq(n_refused, failed ? 1u : 0u, "allocation %u", n);
            n_unset += n_refused;
        } else {
            cr_assert(failed);
            cr_assert_eq(result, -SPOP_ERR_RESOURCE, "allocation %u: got %d", n, result);
            n_errors++;
        }
        /* What comes after it is as if nothing had been. */
        for (int again = 0; again < 2; again++) {
            cr_assert_eq(notify(name), 0, "after allocation %u", n);
            cr_assert_eq(n_calls, n_targets);
            cr_assert(complete, "after allocation %u", n);
            cr_assert_eq(n_refused, 0);
        }
        finish();
    }
    cr_assert_eq(n_unset, n_targets, "one variable of each plugin");
    cr_assert_geq(n_errors, least);
}

/* 9.1: exchange, its list, requests, undeclared arguments (8, 16, 32 of them). */
Test(core_no_memory, a_message_of_one_plugin)
{
    every_message("s", 1, 6);
}

Test(core_no_memory, a_message_of_three_plugins)
{
    every_message("m", 3, 6);
}

/* 9.1: there are so many requests and no more; once they are back, all is as before. */
static struct spoe_request *held[16384];
static size_t n_held;

static spoe_status hold(void *wctx, struct spoe_request *request, const struct spoe_message *msg)
{
    (void)wctx;
    (void)msg;
    cr_assert_lt(n_held, sizeof held / sizeof held[0]);
    held[n_held++] = request;
    return SPOE_PENDING;
}

static struct exchange *finished;

static void on_finished(struct spoe_worker *w, struct exchange *exchange)
{
    (void)w;
    finished = exchange;
}

static void hold_all(void)
{
    uint8_t payload[8];
    const struct dispatch_input input = {.deadline_ns = 1};
    const size_t n = put(payload, "s");
    const struct spop_frame frame = {
        .type = SPOP_NOTIFY, .flags = SPOP_FLAG_FIN, .payload = payload, .payload_len = n + 1};
    int result = 0;

    payload[n] = 0;
    n_held = 0;
    while (result >= 0) {
        struct exchange *exchange = exchange_get(&worker);

        cr_assert_not_null(exchange);
        result = dispatch_notify(&worker, &frame, exchange, &input);
        if (result < 0)
            exchange_release(&worker, exchange);
    }
    cr_assert_eq(result, -SPOP_ERR_RESOURCE);
    cr_assert_eq(n_held, worker.pool.max_chunks * REQUEST_CHUNK);
    /* What is pending in time, what the NOTIFY adds that is being handled, what is overdue. */
    cr_assert_geq(n_held, 2 * ((size_t)conf.max_pending + SPOP_MESSAGES_MAX) + OVERDUE_MAX);
    cr_assert_eq(shared.n_pending, n_held);
    for (size_t i = 0; i < n_held; i++) {
        request_complete(held[i], SPOE_OK);
        cr_assert_eq(mailbox_run(&worker.mailbox), 1);
        cr_assert_not_null(finished);
        exchange_release(&worker, finished);
        finished = NULL;
    }
    cr_assert_eq(shared.n_pending, 0);
    cr_assert_eq(worker.counters.misbehaviour, 0);
}

Test(core_no_memory, requests_end_at_their_limit_and_come_back)
{
    static struct spoe_plugin desc;

    desc = descs[0];
    desc.handle = hold;
    instances[0].desc = &desc;
    cr_assert(start());
    worker.on_done = on_finished;
    hold_all();
    hold_all();
    /* The first handle beyond the pool is one of nobody's. */
    for (uint64_t i = worker.pool.max_chunks * REQUEST_CHUNK; i < (1u << 24); i += 4096) {
        struct spoe_request *wild = (struct spoe_request *)(uintptr_t)(UINT64_C(1) << 32 | i);
        uint64_t stream, id;

        cr_assert_not(request_ids(wild, &stream, &id));
        cr_assert_eq(request_unset_var(wild, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}),
                     SPOE_E_STALE);
    }
    finish();
}
