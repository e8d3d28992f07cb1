/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_dispatch.c - what handlers are given is what a plain reading of the payload says,
 * whatever the order of arguments was before: dispatch remembers it from message to message.
 *
 * Input: payloads of NOTIFY frames, each after two bytes for its length. One worker takes them all,
 * with one plugin that takes messages "m" and "s" and another that takes "m" alone.
 */
#include <stdlib.h>
#include <string.h>

#include "core/dispatch.h"
#include "lib/codec.h"
#include "unit/spop/same_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARG(text, mask, bits)                                                                      \
    &(const struct spoe_arg_decl)                                                                  \
    {                                                                                              \
        .size = sizeof(struct spoe_arg_decl), .types = (mask), .flags = (bits), .name = (text),    \
        .expression = "x"                                                                          \
    }
static const struct spoe_arg_decl *const args_a[] = {
    ARG("i", SPOE_ACCEPT_INT, 0),        ARG("id", SPOE_ACCEPT_ANY, 0),
    ARG("req", SPOE_ACCEPT_STR, 1),      ARG("port", SPOE_ACCEPT_INT, 0),
    ARG("seven77", SPOE_ACCEPT_STR, 0),  ARG("eight888", SPOE_ACCEPT_BIN, 0),
    ARG("ninenine9", SPOE_ACCEPT_IP, 0), NULL};
static const struct spoe_arg_decl *const args_b[] = {
    ARG("sixteen-letters-", SPOE_ACCEPT_ANY, 0), ARG("id", SPOE_ACCEPT_BOOL, 0),
    ARG("a-name-of-more-than-twenty-letters", SPOE_ACCEPT_STR, 0), NULL};
#define N_A (sizeof args_a / sizeof args_a[0] - 1)
#define N_B (sizeof args_b / sizeof args_b[0] - 1)
#define MESSAGE(text, table)                                                                       \
    &(const struct spoe_message_decl)                                                              \
    {                                                                                              \
        .size = sizeof(struct spoe_message_decl), .name = (text), .event = "on-http-response",     \
        .args = (table)                                                                            \
    }
static const struct spoe_message_decl *const messages_a[] = {MESSAGE("m", args_a),
                                                             MESSAGE("s", args_a), NULL};
static const struct spoe_message_decl *const messages_b[] = {MESSAGE("m", args_b), NULL};

/* A call that must come: of which plugin, and where the message begins. */
struct call {
    bool of_b;
    struct spop_cursor at;
};
static struct call calls[2 * SPOP_MESSAGES_MAX];
static size_t n_calls, n_made;

struct reading {
    struct spoe_value slot[N_A];
    struct spoe_arg args[256];
    uint32_t n_args;
    bool complete; /* nothing that is required is missing */
};

static bool is(struct spoe_span name, const char *text)
{
    return name.n == strlen(text) && memcmp(name.p, text, name.n) == 0;
}

/* Read the message at *c for one plugin, argument by argument. @return false: malformed */
static bool read_plainly(struct spop_cursor *c, bool for_b, struct reading *ret)
{
    const struct spoe_arg_decl *const *decl = for_b ? args_b : args_a;
    struct spoe_span name;
    uint32_t n_args;

    *ret = (struct reading){.complete = true};
    if (codec_next_message(c, &name, &n_args) != 1)
        return false;
    for (uint32_t i = 0; i < n_args; i++) {
        struct spoe_arg arg;
        size_t s = 0;

        if (spop_get_arg(c, &arg) != 0)
            return false;
        while (decl[s] != NULL && !is(arg.name, decl[s]->name))
            s++;
        if (decl[s] == NULL || ret->slot[s].type != SPOE_T_NULL)
            ret->args[ret->n_args++] = arg;
        else if (arg.value.type != SPOE_T_NULL && (decl[s]->types & SPOE_MASK(arg.value.type)) != 0)
            ret->slot[s] = arg.value;
    }
    for (size_t s = 0; decl[s] != NULL; s++)
        if (decl[s]->flags == SPOE_ARG_REQUIRED && ret->slot[s].type == SPOE_T_NULL)
            ret->complete = false;
    return true;
}

/* Note the calls that a payload leads to. @return false: it is malformed after them */
static bool expect(struct spop_cursor c)
{
    static struct reading reading;
    unsigned n = 0;

    n_calls = n_made = 0;
    while (c.p != c.end) {
        struct spop_cursor at = c, head = c;
        struct spoe_span name;
        uint32_t n_args;

        if (n++ == SPOP_MESSAGES_MAX || !read_plainly(&c, false, &reading))
            return false;
        (void)codec_next_message(&head, &name, &n_args);
        if (reading.complete && (is(name, "m") || is(name, "s")))
            calls[n_calls++] = (struct call){false, at};
        if (is(name, "m"))
            calls[n_calls++] = (struct call){true, at};
    }
    return true;
}

static spoe_status check(const struct spoe_message *msg, bool of_b)
{
    static struct reading reading;
    const struct call *call = &calls[n_made++];
    struct spop_cursor c = call->at;

    if (n_made > n_calls || call->of_b != of_b || !read_plainly(&c, of_b, &reading) ||
        msg->n_slots != (of_b ? N_B : N_A) || msg->n_args != reading.n_args)
        abort();
    for (size_t s = 0; s < msg->n_slots; s++)
        if (!same_value(&msg->slot[s], &reading.slot[s]))
            abort();
    for (uint32_t i = 0; i < msg->n_args; i++)
        if (msg->args[i].name.p != reading.args[i].name.p ||
            msg->args[i].name.n != reading.args[i].name.n ||
            !same_value(&msg->args[i].value, &reading.args[i].value))
            abort();
    return SPOE_OK;
}

static spoe_status handle_a(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct spoe_value *value = &msg->slot[msg->index];

    (void)wctx;
    (void)request_set_var(req, SPOE_SCOPE_TXN, (struct spoe_span){"a", 1}, value);
    return check(msg, false);
}

static spoe_status handle_b(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    (void)wctx;
    (void)request_unset_var(req, SPOE_SCOPE_TXN, (struct spoe_span){"b", 1});
    return check(msg, true);
}

static void on_done(struct spoe_worker *worker, struct exchange *exchange)
{
    (void)worker;
    (void)exchange;
    abort(); /* nothing was pending */
}

static void start(struct spoe_worker *worker)
{
    static const struct spoe_plugin desc_a = {
        .size = sizeof desc_a, .id = "a", .messages = messages_a, .handle = handle_a};
    static const struct spoe_plugin desc_b = {
        .size = sizeof desc_b, .id = "b", .messages = messages_b, .handle = handle_b};
    static struct spoe_instance a = {.desc = &desc_a, .n_messages = 2, .n_arguments = {N_A, N_A}};
    static struct spoe_instance b = {
        .desc = &desc_b, .index = 1, .n_messages = 1, .n_arguments = {N_B}};
    static const struct host_conf conf = {.workers = 1, .max_pending = 4};
    static const struct plugin_set set = {.plugin = {&a, &b}, .n = 2};
    static struct route_table routes;
    static struct host_shared shared;
    struct error error;

    if (shared.n_workers == 0 && route_table_build(&routes, &set, &error) != 0)
        abort();
    shared = (struct host_shared){
        .conf = &conf, .plugins = &set, .routes = &routes, .workers = {worker}, .n_workers = 1};
    if (worker_core_init(worker, &shared, 0, on_done) != 0)
        abort();
}

static void send_payload(struct spoe_worker *worker, const uint8_t *data, size_t size)
{
    static uint8_t ack[65536];
    const struct spop_frame frame = {
        .type = SPOP_NOTIFY, .flags = SPOP_FLAG_FIN, .payload = data, .payload_len = size};
    const struct dispatch_input input = {.deadline_ns = 1};
    struct exchange *exchange = exchange_get(worker);
    bool good = expect((struct spop_cursor){data, data + size});
    int result;

    if (exchange == NULL)
        abort();
    exchange->stream_id = exchange->frame_id = size * size;
    exchange->budget = 1000;
    result = dispatch_notify(worker, &frame, exchange, &input);
    if (result != (good ? 0 : -SPOP_ERR_INVALID) || n_made != n_calls)
        abort();
    if (exchange_encoded_max(exchange) > sizeof ack ||
        exchange_encode(worker, exchange, ack, sizeof ack) > exchange_encoded_max(exchange))
        abort();
    exchange_release(worker, exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spoe_worker worker;

    start(&worker);
    while (size > 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        uint8_t *payload;

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        payload = malloc(n + (n == 0)); /* of its own, so that no read past its end goes unseen */
        if (payload == NULL)
            abort();
        memcpy(payload, data, n);
        send_payload(&worker, payload, n);
        free(payload);
        data += n;
        size -= n;
    }
    worker_core_fini(&worker);
    return 0;
}
