/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/dispatch_rig.h - frame -> message -> plugin -> actions, with two plugins, a and
 * b, that take the same message. Payloads are built by the codec's encoders; ACKs are read back by
 * its decoders. Each test is a process of its own.
 */
#ifndef TESTS_UNIT_CORE_DISPATCH_RIG_H
#define TESTS_UNIT_CORE_DISPATCH_RIG_H

#include <criterion/criterion.h>
#include <string.h>

#include "base/thread.h"
#include "core/dispatch.h"
#include "lib/codec.h"

enum { URL, COUNT_ARG, WHO, N_SLOTS };

static const struct spoe_arg_decl arg_url = {
    sizeof arg_url, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0, "url", "url", ""};
static const struct spoe_arg_decl arg_count = {sizeof arg_count, SPOE_ACCEPT_INT, 0, 0,
                                               "count",          "rand",          ""};
static const struct spoe_arg_decl arg_who = {sizeof arg_who, SPOE_ACCEPT_IP, 0, 0,
                                             "who",          "src",          ""};
static const struct spoe_arg_decl *const args_a[] = {&arg_url, &arg_count, &arg_who, NULL};
static const struct spoe_arg_decl *const args_b[] = {&arg_who, NULL};
static const struct spoe_message_decl message_a = {sizeof message_a,           0,  "check",
                                                   "on-frontend-http-request", "", args_a};
static const struct spoe_message_decl message_b = {sizeof message_b,           0,  "check",
                                                   "on-frontend-http-request", "", args_b};
static const struct spoe_message_decl *const messages_a[] = {&message_a, NULL};
static const struct spoe_message_decl *const messages_b[] = {&message_b, NULL};

static struct host_shared shared;

/* What the next call of a plugin does, and what the last one saw. */
struct behaviour {
    spoe_status result;
    unsigned n_calls, n_cancels;
    int32_t why;
    struct spoe_request *request;
    uint32_t n_args;
    char args[256];
    uint32_t types[N_SLOTS];
    char url[256];
    size_t url_len;
    int64_t count;
    bool closes; /* the plugins' time begins meanwhile */
    size_t fill; /* bytes of the variable that it sets; 0: the plugin's name */
    spoe_status set_result;
    bool completes; /* before it returns */
    char where[128];
};
static struct behaviour a, b;

/* What the host would say of this thread if it hung here. */
static inline void note_where(char to[128])
{
    to[thread_describe(thread_mine, to, 127)] = '\0';
}

static inline spoe_status handle(struct behaviour *me, const char *name,
                                 struct spoe_request *request, const struct spoe_message *msg)
{
    static char big[70000];
    struct spoe_value value = {.type = SPOE_T_STR};

    value.u.s =
        me->fill != 0 ? (struct spoe_span){big, me->fill} : (struct spoe_span){name, strlen(name)};
    memset(big, 'x', sizeof big);
    me->n_calls++;
    if (me->closes)
        atomic_store(&shared.closed, true);
    me->request = request;
    me->n_args = msg->n_args;
    me->args[0] = '\0';
    for (uint32_t i = 0; i < msg->n_args; i++) {
        strncat(me->args, msg->args[i].name.p, msg->args[i].name.n);
        strncat(me->args, ";", 2);
    }
    for (uint32_t i = 0; i < msg->n_slots; i++)
        me->types[i] = msg->slot[i].type;
    me->set_result =
        request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){name, strlen(name)}, &value);
    note_where(me->where);
    if (me->completes)
        request_complete(request, SPOE_OK);
    return me->result;
}

static inline spoe_status handle_a(void *wctx, struct spoe_request *request,
                                   const struct spoe_message *msg)
{
    (void)wctx;
    a.url[0] = '\0';
    a.url_len = msg->slot[URL].u.s.n;
    if (a.url_len < sizeof a.url)
        strncat(a.url, msg->slot[URL].u.s.p, a.url_len);
    a.count = msg->slot[COUNT_ARG].type == SPOE_T_NULL ? -1 : msg->slot[COUNT_ARG].u.i32;
    return handle(&a, "a", request, msg);
}

static inline spoe_status handle_b(void *wctx, struct spoe_request *request,
                                   const struct spoe_message *msg)
{
    (void)wctx;
    return handle(&b, "b", request, msg);
}

static inline void cancel_a(void *wctx, struct spoe_request *request, int32_t why)
{
    (void)wctx;
    cr_assert_eq(request, a.request);
    a.n_cancels++;
    a.why = why;
    note_where(a.where);
}

static inline spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                                    struct spoe_config *cfg, void **inst)
{
    (void)host;
    (void)self;
    (void)cfg;
    *inst = NULL;
    return SPOE_OK;
}

#define DESCRIPTOR(name, table, fn, cancel_fn)                                                     \
    {                                                                                              \
        .magic = SPOE_PLUGIN_MAGIC, .size = sizeof(struct spoe_plugin),                            \
        .abi_major = SPOE_ABI_MAJOR, .id = name, .version = "1", .messages = table,                \
        .configure = configure, .handle = fn, .cancel = cancel_fn                                  \
    }
static const struct spoe_plugin desc_a = DESCRIPTOR("a", messages_a, handle_a, cancel_a);
static const struct spoe_plugin desc_b = DESCRIPTOR("b", messages_b, handle_b, NULL);

static struct spoe_instance plugin_a = {
    .desc = &desc_a, .index = 0, .n_messages = 1, .n_arguments = {3}};
static struct spoe_instance plugin_b = {
    .desc = &desc_b, .index = 1, .n_messages = 1, .n_arguments = {1}};

static struct host_conf conf;
static struct plugin_set set;
static struct route_table routes;
static struct spoe_worker worker;
static struct exchange *done;

static inline void on_done(struct spoe_worker *w, struct exchange *exchange)
{
    cr_assert_eq(w, &worker);
    done = exchange;
}

static inline void start(bool with_b)
{
    struct error error;

    conf = (struct host_conf){.workers = 1, .max_pending = 4};
    set = (struct plugin_set){.plugin = {&plugin_a, &plugin_b}, .n = with_b ? 2 : 1};
    cr_assert_eq(route_table_build(&routes, &set, &error), 0);
    shared = (struct host_shared){
        .conf = &conf, .plugins = &set, .routes = &routes, .workers = {&worker}, .n_workers = 1};
    cr_assert_eq(worker_core_init(&worker, &shared, 0, on_done), 0);
    a = b = (struct behaviour){.result = SPOE_OK};
    done = NULL;
}

static inline void finish(void)
{
    worker_core_stop(&worker);
    worker_core_fini(&worker);
    route_table_free(&routes);
}

/* A NOTIFY payload under construction. */
struct payload {
    uint8_t bytes[4096];
    size_t n;
};

static inline void put_message(struct payload *p, const char *name, uint8_t n_args)
{
    p->n += codec_put_string(p->bytes + p->n, sizeof p->bytes - p->n,
                             (struct spoe_span){name, strlen(name)});
    cr_assert_lt(p->n, sizeof p->bytes);
    p->bytes[p->n++] = n_args;
}

static inline void put_arg(struct payload *p, const char *name, struct spoe_value value)
{
    p->n += codec_put_string(p->bytes + p->n, sizeof p->bytes - p->n,
                             (struct spoe_span){name, strlen(name)});
    p->n += codec_put_value(p->bytes + p->n, sizeof p->bytes - p->n, &value);
}

static inline struct spoe_value str(const char *s)
{
    return (struct spoe_value){.type = SPOE_T_STR, .u.s = {s, strlen(s)}};
}

static inline struct spoe_value i32(int32_t i)
{
    return (struct spoe_value){.type = SPOE_T_INT32, .u.i32 = i};
}

static inline struct spoe_value ip4(void)
{
    return (struct spoe_value){.type = SPOE_T_IPV4, .u.ip4 = {127, 0, 0, 1}};
}

static size_t budget = 1000; /* bytes of actions in an ACK */
static int64_t read_ns = 20; /* when the frame was read */

static inline struct exchange *dispatch(const struct payload *p, int *ret_result)
{
    struct spop_frame frame = {.type = SPOP_NOTIFY,
                               .flags = SPOP_FLAG_FIN,
                               .stream_id = 7,
                               .frame_id = 3,
                               .payload = p->bytes,
                               .payload_len = p->n};
    struct dispatch_input input = {.unix_ns = 10, .mono_ns = read_ns, .deadline_ns = 30};
    struct exchange *exchange = exchange_get(&worker);

    cr_assert_not_null(exchange);
    exchange->stream_id = frame.stream_id;
    exchange->frame_id = frame.frame_id;
    exchange->budget = budget;
    *ret_result = dispatch_notify(&worker, &frame, exchange, &input);
    return exchange;
}

/* The names of the variables that an exchange's ACK sets, in order: "ab"; "-" for the filler. */
static inline const char *ack(struct exchange *exchange)
{
    static char names[64];
    uint8_t bytes[4096];
    size_t n = exchange_encode(&worker, exchange, bytes, sizeof bytes), size;
    struct spop_frame frame;
    struct spop_cursor c;
    size_t n_names = 0;

    cr_assert_leq(n, exchange_encoded_max(exchange));
    cr_assert_eq(wire_frame_find(bytes, n, sizeof bytes, &size), 1);
    cr_assert_eq(size, n);
    cr_assert_eq(wire_frame_decode(bytes + 4, n - 4, &frame), 0);
    cr_assert(frame.type == SPOP_ACK && frame.stream_id == 7 && frame.frame_id == 3);
    cr_assert_gt(frame.payload_len, 0, "an ACK must not be empty");
    c = (struct spop_cursor){frame.payload, frame.payload + frame.payload_len};
    while (c.p != c.end) {
        uint8_t action = c.p[0];
        struct spoe_span name;
        struct spoe_value value;

        cr_assert_eq(c.p[2], SPOE_SCOPE_TXN);
        c.p += 3;
        cr_assert_eq(codec_get_string(&c, &name), 0);
        if (action == 1)
            cr_assert_eq(codec_get_value(&c, &value), 0);
        cr_assert_lt(n_names, sizeof names - 1);
        names[n_names++] = action == 1 ? name.p[0] : '-';
    }
    names[n_names] = '\0';
    return names;
}

#endif
