/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch: frame -> message -> plugin -> actions, with plugins that live in this file.
 * Payloads are built by the codec's encoders; ACKs are read back by its decoders.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    size_t fill; /* bytes of the variable that it sets; 0: the plugin's name */
    spoe_status set_result;
};
static struct behaviour a, b;

static spoe_status handle(struct behaviour *me, const char *name, struct spoe_request *request,
                          const struct spoe_message *msg)
{
    static char big[70000];
    struct spoe_value value = {.type = SPOE_T_STR};

    value.u.s =
        me->fill != 0 ? (struct spoe_span){big, me->fill} : (struct spoe_span){name, strlen(name)};
    memset(big, 'x', sizeof big);
    me->n_calls++;
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
    return me->result;
}

static spoe_status handle_a(void *wctx, struct spoe_request *request,
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

static spoe_status handle_b(void *wctx, struct spoe_request *request,
                            const struct spoe_message *msg)
{
    (void)wctx;
    return handle(&b, "b", request, msg);
}

static void cancel_a(void *wctx, struct spoe_request *request, int32_t why)
{
    (void)wctx;
    cr_assert_eq(request, a.request);
    a.n_cancels++;
    a.why = why;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
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
static struct host_shared shared;
static struct spoe_worker worker;
static struct exchange *done;

static void on_done(struct spoe_worker *w, struct exchange *exchange)
{
    cr_assert_eq(w, &worker);
    done = exchange;
}

static void start(bool with_b)
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

static void finish(void)
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

static void put_message(struct payload *p, const char *name, uint8_t n_args)
{
    p->n += codec_put_string(p->bytes + p->n, sizeof p->bytes - p->n,
                             (struct spoe_span){name, strlen(name)});
    p->bytes[p->n++] = n_args;
}

static void put_arg(struct payload *p, const char *name, struct spoe_value value)
{
    p->n += codec_put_string(p->bytes + p->n, sizeof p->bytes - p->n,
                             (struct spoe_span){name, strlen(name)});
    p->n += codec_put_value(p->bytes + p->n, sizeof p->bytes - p->n, &value);
}

static struct spoe_value str(const char *s)
{
    return (struct spoe_value){.type = SPOE_T_STR, .u.s = {s, strlen(s)}};
}

static struct spoe_value i32(int32_t i)
{
    return (struct spoe_value){.type = SPOE_T_INT32, .u.i32 = i};
}

static struct spoe_value ip4(void)
{
    return (struct spoe_value){.type = SPOE_T_IPV4, .u.ip4 = {127, 0, 0, 1}};
}

static size_t budget = 1000; /* bytes of actions in an ACK */

static struct exchange *dispatch(const struct payload *p, int *ret_result)
{
    struct spop_frame frame = {.type = SPOP_NOTIFY,
                               .flags = SPOP_FLAG_FIN,
                               .stream_id = 7,
                               .frame_id = 3,
                               .payload = p->bytes,
                               .payload_len = p->n};
    struct dispatch_input input = {.unix_ns = 10, .mono_ns = 20, .deadline_ns = 30};
    struct exchange *exchange = exchange_get(&worker);

    cr_assert_not_null(exchange);
    exchange->stream_id = frame.stream_id;
    exchange->frame_id = frame.frame_id;
    exchange->budget = budget;
    *ret_result = dispatch_notify(&worker, &frame, exchange, &input);
    return exchange;
}

/* The names of the variables that an exchange's ACK sets, in order: "ab"; "-" for the filler. */
static const char *ack(struct exchange *exchange)
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

#define CORE_TEST(name) Test(dispatch, name, .timeout = 30)

CORE_TEST(fills_slots_in_any_order_and_passes_on_what_is_not_declared)
{
    static const char *const orders[][4] = {{"url", "count", "who", "more"},
                                            {"more", "who", "count", "url"},
                                            {"count", "more", "url", "who"},
                                            {"url", "count", "who", "more"}};
    int result;

    start(false);
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        struct payload p = {.n = 0};

        put_message(&p, "check", 4);
        for (size_t i = 0; i < 4; i++) {
            const char *name = orders[o][i];

            put_arg(&p, name,
                    strcmp(name, "count") == 0 ? i32(42)
                    : strcmp(name, "who") == 0 ? ip4()
                                               : str(name));
        }
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(result, 0);
        cr_assert_str_eq(a.url, "url", "order %zu", o);
        cr_assert_eq(a.count, 42, "order %zu", o);
        cr_assert_eq(a.types[WHO], SPOE_T_IPV4, "order %zu", o);
        cr_assert_str_eq(a.args, "more;", "order %zu", o);
        cr_assert_str_eq(ack(x), "a");
        exchange_release(&worker, x);
    }
    finish();
}

/* 3.10: declared only to be printed. */
CORE_TEST(an_argument_by_name_comes_among_the_undeclared_ones)
{
    static const struct spoe_arg_decl named = {
        sizeof named, SPOE_ACCEPT_ANY, SPOE_ARG_BY_NAME, 0, "count", "rand", ""};
    static const struct spoe_arg_decl *const args[] = {&arg_url, &named, &arg_who, NULL};
    static const struct spoe_message_decl message = {
        sizeof message, 0, "check", "on-frontend-http-request", "", args};
    static const struct spoe_message_decl *const messages[] = {&message, NULL};
    static const struct spoe_plugin desc = DESCRIPTOR("a", messages, handle_a, cancel_a);
    struct payload p = {.n = 0};
    int result;

    plugin_a.desc = &desc;
    start(false);
    put_message(&p, "check", 3);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", i32(42));
    put_arg(&p, "who", ip4());
    for (int i = 0; i < 2; i++) { /* the order is known the second time */
        struct exchange *x = dispatch(&p, &result);

        cr_assert_eq(result, 0);
        cr_expect_str_eq(a.args, "count;");
        cr_expect_eq(a.types[COUNT_ARG], SPOE_T_NULL);
        cr_expect_eq(a.types[WHO], SPOE_T_IPV4);
        exchange_release(&worker, x);
    }
    cr_expect_eq(worker.counters.bad_types, 0);
    finish();
}

CORE_TEST(a_wrong_type_counts_as_absent_and_is_counted)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", str("forty-two"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(a.types[COUNT_ARG], SPOE_T_NULL);
    cr_assert_eq(a.n_args, 0);
    cr_assert_eq(worker.counters.bad_types, 1);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(the_first_of_a_repeated_argument_fills_the_slot)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 3);
    put_arg(&p, "url", str("/1"));
    put_arg(&p, "url", str("/2"));
    put_arg(&p, "url", str("/3"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_str_eq(a.url, "/1");
    cr_assert_str_eq(a.args, "url;url;");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_message_without_a_required_argument_is_not_handed_over)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    put_message(&p, "check", 1);
    put_arg(&p, "who", ip4());
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_eq(a.n_calls, 0);
    cr_assert_eq(b.n_calls, 1, "the other plugin does not require it");
    cr_assert_eq(worker.counters.missing_arguments, 1);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(unknown_messages_and_empty_notifies_get_the_filler)
{
    struct payload p = {.n = 0}, empty = {.n = 0};
    int result;

    start(false);
    put_message(&p, "nobody", 1);
    put_arg(&p, "x", i32(1));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_str_eq(ack(x), "-");
    exchange_release(&worker, x);
    cr_assert_eq(worker.counters.unknown_messages, 1);
    x = dispatch(&empty, &result);
    cr_assert_eq(result, 0);
    cr_assert_str_eq(ack(x), "-");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_handlers_error_drops_its_actions_and_no_others)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_E_INTERNAL;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_str_eq(ack(x), "b");
    cr_assert_eq(worker.counters.handler_errors, 1);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_malformed_payload_is_an_error_at_every_cut)
{
    struct payload p = {.n = 0};

    start(true);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "who", ip4());
    for (size_t n = 1; n < p.n; n++) {
        struct payload cut = p;
        int result;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    cr_assert_eq(a.n_calls, 0);
    finish();
}

CORE_TEST(a_payload_whose_order_is_known_is_malformed_at_every_cut)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 4);
    put_arg(&p, "more", str("undeclared"));
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", i32(300));
    put_arg(&p, "who", ip4());
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    exchange_release(&worker, x);
    for (size_t n = 1; n < p.n; n++) {
        struct payload cut = p;

        cut.n = n;
        x = dispatch(&cut, &result);
        cr_assert_eq(result, -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    cr_assert_eq(a.n_calls, 1);
    finish();
}

CORE_TEST(the_ack_of_pending_messages_keeps_the_order_of_messages)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 1);
    cr_assert_eq(shared.n_pending, 1);
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    cr_assert_null(done);
    request_complete(a.request, SPOE_OK);
    cr_assert_null(done, "the worker has not read its mail yet");
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    cr_assert_eq(done, x);
    cr_assert_str_eq(ack(x), "ab");
    cr_assert_eq(shared.n_pending, 0);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(completing_with_an_error_drops_the_actions)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    request_complete(a.request, SPOE_E_LIMIT);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(at_the_deadline_the_ack_leaves_without_the_late_plugin)
{
    struct spoe_value value = i32(1);
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 1);
    cr_assert_eq(a.why, SPOE_CANCEL_DEADLINE);
    cr_assert_str_eq(ack(x), "b");
    cr_assert_eq(worker.counters.timeouts, 1);
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                 SPOE_E_STALE);
    /* 1.2: the place is free, though the plugin still owes the completion */
    cr_assert_eq(shared.n_pending, 0);
    cr_assert_eq(worker.n_places, 0);
    cr_assert_eq(worker.n_outstanding, 1);
    cr_assert(worker.freed_places);
    worker.freed_places = false;
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(done, x);
    cr_assert_eq(shared.n_pending, 0);
    cr_assert_str_eq(ack(x), "b", "a late completion is void");
    cr_assert_eq(worker.n_outstanding, 0);
    cr_assert_not(worker.freed_places);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_completion_that_beats_the_deadline_counts)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    request_complete(a.request, SPOE_OK); /* its mail is not read before the deadline is */
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 0);
    cr_assert_str_eq(ack(x), "ab");
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(cancel_is_called_once)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    exchange_cancel(&worker, x, SPOE_CANCEL_CONN_CLOSED);
    exchange_cancel(&worker, x, SPOE_CANCEL_DRAIN);
    cr_assert_eq(a.n_cancels, 1);
    cr_assert_eq(a.why, SPOE_CANCEL_CONN_CLOSED);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(a_second_completion_is_ignored_even_when_the_request_is_in_use_again)
{
    struct spoe_value value = i32(1);
    struct spoe_request *stale;
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    stale = a.request;
    request_complete(stale, SPOE_OK);
    request_complete(stale, SPOE_OK);
    cr_assert_eq(worker.counters.misbehaviour, 1);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    exchange_release(&worker, x);

    x = dispatch(&p, &result); /* the same request object, the next generation */
    cr_assert_neq(a.request, stale);
    request_complete(stale, SPOE_OK);
    cr_assert_eq(worker.counters.misbehaviour, 2);
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    cr_assert_eq(request_set_var(stale, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                 SPOE_E_STALE);
    request_complete(a.request, SPOE_OK);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(handles_that_were_never_given_out_are_refused)
{
    static const uintptr_t wild[] = {1, 0xffffffff, UINTPTR_MAX, (uintptr_t)1 << 32,
                                     (uintptr_t)5 << 24};
    struct spoe_value value = i32(1);

    start(false);
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        struct spoe_request *handle = (struct spoe_request *)wild[i];

        cr_assert_eq(request_set_var(handle, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                     SPOE_E_STALE);
        request_complete(handle, SPOE_OK);
    }
    cr_assert_eq(mailbox_run(&worker.mailbox), 0);
    finish();
}

CORE_TEST(actions_over_the_frame_size_are_refused_and_those_before_stay)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    b.fill = 1500; /* the budget is 1000 */
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(b.set_result, SPOE_E_TOOBIG);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);

    a.fill = 600; /* each fits, both do not */
    b.fill = 600;
    x = dispatch(&p, &result);
    cr_assert_eq(a.set_result, SPOE_OK);
    cr_assert_eq(b.set_result, SPOE_E_TOOBIG);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);
    cr_assert_eq(worker.counters.refused_actions, 2);
    finish();
}

CORE_TEST(set_var_refuses_bad_names_scopes_and_types)
{
    static const struct {
        uint32_t scope;
        const char *name;
        uint32_t type;
    } bad[] = {{5, "v", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "a-b", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "a b", SPOE_T_INT32},
               {SPOE_SCOPE_TXN, "v", 10},
               {SPOE_SCOPE_TXN, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                SPOE_T_INT32}};
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct spoe_value value = {.type = bad[i].type};

        cr_assert_eq(request_set_var(a.request, bad[i].scope,
                                     (struct spoe_span){bad[i].name, strlen(bad[i].name)}, &value),
                     SPOE_E_INVAL, "case %zu", i);
    }
    cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_REQ, (struct spoe_span){"old", 3}),
                 SPOE_OK);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* 9.1: each length of a string's length, where it is read as one byte and where it is not. */
CORE_TEST(strings_of_every_length_arrive_whole)
{
    static char text[2300];
    int result;

    memset(text, 'u', sizeof text);
    for (int with_b = 0; with_b < 2; with_b++) {
        start(with_b != 0);
        for (size_t n = 0; n < sizeof text; n = n == 262 ? 2285 : n + 1) {
            struct payload p = {.n = 0};

            put_message(&p, "check", 2);
            put_arg(&p, "url", (struct spoe_value){.type = SPOE_T_STR, .u.s = {text, n}});
            put_arg(&p, "count", i32(7)); /* what follows is found */
            struct exchange *x = dispatch(&p, &result);
            cr_assert_eq(result, 0, "length %zu", n);
            cr_assert_eq(a.url_len, n, "got %zu, want %zu", a.url_len, n);
            cr_assert_eq(a.count, 7, "length %zu", n);
            exchange_release(&worker, x);
        }
        finish();
    }
}

/* 9.1: names are compared in words of four and eight bytes. */
CORE_TEST(names_that_differ_in_one_byte_are_not_the_same)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    for (size_t n = 0; n < sizeof name; n++) {
        char other[sizeof name];

        memcpy(other, name, sizeof name);
        cr_assert(wire_same_bytes(name, other, n), "length %zu", n);
        for (size_t i = 0; i < sizeof name - 1; i++) {
            other[i] ^= 1;
            cr_assert_eq(wire_same_bytes(name, other, n), i >= n, "length %zu, byte %zu", n, i);
            other[i] ^= 1;
        }
    }
}

/* 9.1: HAProxy sends NULL for what it could not fetch: absent, and nobody's error. */
CORE_TEST(null_leaves_the_slot_empty_and_is_no_bad_type)
{
    int result;

    for (int with_b = 0; with_b < 2; with_b++) {
        struct payload p = {.n = 0};

        start(with_b != 0);
        put_message(&p, "check", 3);
        put_arg(&p, "url", str("/"));
        put_arg(&p, "count", (struct spoe_value){.type = SPOE_T_NULL});
        put_arg(&p, "who", (struct spoe_value){.type = SPOE_T_NULL});
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(a.types[COUNT_ARG], SPOE_T_NULL);
        cr_assert_eq(a.types[WHO], SPOE_T_NULL);
        cr_assert_eq(a.n_args, 0);
        cr_assert_eq(worker.counters.bad_types, 0);
        exchange_release(&worker, x);
        finish();
    }
}

/* 9.1 */
CORE_TEST(an_unknown_message_is_malformed_at_every_cut_as_well)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "nobody", 2);
    put_arg(&p, "x", i32(300));
    put_arg(&p, "y", str("text"));
    for (size_t n = 1; n <= p.n; n++) {
        struct payload cut = p;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, n == p.n ? 0 : -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1: the handler has not been called when what follows its arguments turns out to be cut. */
CORE_TEST(an_undeclared_argument_that_is_cut_is_malformed)
{
    struct payload p = {.n = 0};
    size_t declared;
    int result;

    start(false);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    declared = p.n;
    put_arg(&p, "more", str("undeclared"));
    for (size_t n = declared; n <= p.n; n++) {
        struct payload cut = p;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, n == p.n ? 0 : -SPOP_ERR_INVALID, "cut at %zu", n);
        cr_assert_eq(a.n_calls, n == p.n ? 1u : 0u, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1 */
CORE_TEST(a_frame_holds_so_many_messages_and_no_more)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    for (unsigned i = 0; i < 256; i++)
        put_message(&p, "check", 0);
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_eq(worker.counters.messages, 256);
    exchange_release(&worker, x);
    put_message(&p, "check", 0);
    x = dispatch(&p, &result);
    cr_assert_eq(result, -SPOP_ERR_INVALID);
    exchange_release(&worker, x);
    finish();
}

/* 9.1: 0 to 4 are the scopes of SPOE.txt 3.4. */
CORE_TEST(set_var_takes_every_scope_and_type_and_names_up_to_64)
{
    static const char longest[] =
        "aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09_.aZ09";
    struct payload p = {.n = 0};
    int result;

    cr_assert_eq(sizeof longest - 1, 64);
    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (uint32_t i = 0; i <= SPOE_SCOPE_RES; i++) {
        struct spoe_value value = i32(1);

        cr_assert_eq(request_set_var(a.request, i, (struct spoe_span){"v", 1}, &value), SPOE_OK,
                     "scope %u", i);
        cr_assert_eq(request_unset_var(a.request, i, (struct spoe_span){"v", 1}), SPOE_OK);
    }
    for (uint32_t type = SPOE_T_NULL; type <= SPOE_T_BIN; type++) {
        struct spoe_value value = {.type = type};

        cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                     SPOE_OK, "type %u", type);
    }
    for (size_t n = 61; n <= sizeof longest - 1; n++)
        cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){longest, n}),
                     SPOE_OK, "a name of %zu", n);
    cr_assert_eq(worker.counters.refused_actions, 0);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* 9.1: every place of a name is looked at, in fours and what remains of them. */
CORE_TEST(one_bad_byte_anywhere_in_a_name_is_refused)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (size_t n = 1; n <= 9; n++) {
        for (size_t i = 0; i < n; i++) {
            char name[] = "abcdefghi";

            name[i] = '-';
            cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){name, n}),
                         SPOE_E_INVAL, "byte %zu of %zu", i, n);
        }
    }
    cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){NULL, 1}),
                 SPOE_E_INVAL);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* Bytes of a set-var of a name of one byte and a string of 240 to 2287. */
#define SET_VAR_SIZE(n) (3u + 2u + 1u + 2u + (n))
#define BUDGET 1000u

/* 9.1: the last byte of the budget can be used, by one request and by several. */
CORE_TEST(the_budget_is_used_up_to_its_last_byte)
{
    struct payload p = {.n = 0};
    int result;

    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    start(false);
    for (int more = 0; more < 2; more++) {
        a.fill = BUDGET - SET_VAR_SIZE(0) + (size_t)more;
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(a.set_result, more ? SPOE_E_TOOBIG : SPOE_OK);
        exchange_release(&worker, x);
    }
    cr_assert_eq(worker.counters.truncated_actions, 1);
    finish();

    start(true);
    for (int more = 0; more < 2; more++) {
        a.fill = 400;
        b.fill = BUDGET - SET_VAR_SIZE(400) - SET_VAR_SIZE(0) + (size_t)more;
        struct exchange *x = dispatch(&p, &result);
        cr_assert_eq(a.set_result, SPOE_OK);
        cr_assert_eq(b.set_result, more ? SPOE_E_TOOBIG : SPOE_OK);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1: what did not fit, and what a failed plugin had set, is there for the others. */
CORE_TEST(budget_that_is_not_used_is_given_back)
{
    struct payload p = {.n = 0};
    int result;

    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    start(true);
    a.fill = 980; /* fits beside nothing else */
    a.result = SPOE_E_INTERNAL;
    b.fill = 900;
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(a.set_result, SPOE_OK);
    cr_assert_eq(b.set_result, SPOE_OK, "the first plugin failed: its bytes are free");
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);

    a.result = SPOE_OK;
    a.fill = BUDGET; /* a byte more with its head than there is: refused */
    x = dispatch(&p, &result);
    cr_assert_eq(a.set_result, SPOE_E_TOOBIG);
    cr_assert_eq(b.set_result, SPOE_OK, "what was refused takes no room");
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

/* 9.1: what has come back is neither cancelled nor changed any more. */
CORE_TEST(a_request_that_is_done_is_left_alone)
{
    struct spoe_value value = i32(1);
    struct payload p = {.n = 0};
    uint64_t stream = 0, frame = 0;
    int result;

    start(false);
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result); /* handle() has returned SPOE_OK */
    cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                 SPOE_E_STALE);
    cr_assert_not(request_ids(a.request, &stream, &frame));
    exchange_release(&worker, x);

    a.result = SPOE_PENDING;
    x = dispatch(&p, &result);
    cr_assert(request_ids(a.request, &stream, &frame));
    cr_assert(stream == 7 && frame == 3);
    request_complete(a.request, SPOE_OK);
    cr_assert_not(request_ids(a.request, &stream, &frame));
    (void)mailbox_run(&worker.mailbox);
    exchange_cancel(&worker, x, SPOE_CANCEL_CONN_CLOSED);
    exchange_cancel(&worker, x, SPOE_CANCEL_DEADLINE);
    cr_assert_eq(a.n_cancels, 0);
    cr_assert_eq(worker.counters.timeouts, 0);
    cr_assert_str_eq(ack(x), "a");
    exchange_release(&worker, x);
    finish();
}

/* 9.1: one plugin alone has the same budget as several. */
CORE_TEST(one_request_may_not_pass_the_budget_piece_by_piece)
{
    static char text[300];
    const struct spoe_value value = {.type = SPOE_T_STR, .u.s = {text, 300}};
    struct payload p = {.n = 0};
    int result;

    memset(text, 't', sizeof text);
    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value),
                     i < 3 ? SPOE_OK : SPOE_E_TOOBIG, "piece %u", i);
    cr_assert_eq(worker.counters.truncated_actions, 1);
    cr_assert_eq(worker.counters.refused_actions, 1);
    request_complete(a.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "avvv");
    exchange_release(&worker, x);
    finish();
}

static char stopped[8];

static spoe_status note_start(void *inst, struct spoe_worker *w, uint32_t index, void **ret)
{
    (void)w;
    (void)index;
    *ret = inst;
    return SPOE_OK;
}

static void note_stop(void *wctx)
{
    strncat(stopped, wctx, 2);
}

/* 9.1: last started, first stopped. */
CORE_TEST(plugins_are_stopped_in_the_reverse_of_their_order)
{
    static char first[] = "1", second[] = "2";
    static struct spoe_plugin one, two;
    static struct spoe_instance i1, i2;
    const char *failed = NULL;

    start(true);
    one = desc_a;
    two = desc_b;
    one.worker_start = two.worker_start = note_start;
    one.worker_stop = two.worker_stop = note_stop;
    i1 = plugin_a;
    i2 = plugin_b;
    i1.desc = &one;
    i2.desc = &two;
    i1.inst = first;
    i2.inst = second;
    set.plugin[0] = &i1;
    set.plugin[1] = &i2;
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
    worker_core_stop(&worker);
    cr_assert_str_eq(stopped, "21");
    worker_core_stop(&worker); /* finds nothing left to stop */
    cr_assert_str_eq(stopped, "21");
    worker_core_fini(&worker);
    route_table_free(&routes);
}

static spoe_status fail_start(void *inst, struct spoe_worker *w, uint32_t index, void **ret)
{
    (void)inst;
    (void)w;
    (void)index;
    (void)ret;
    return SPOE_E_LIMIT;
}

/* 9.1: which one it was is said, and only what was started is stopped. */
CORE_TEST(a_plugin_whose_worker_does_not_start_is_named)
{
    static char first[] = "1", second[] = "2";
    static struct spoe_plugin one, two;
    static struct spoe_instance i1, i2;
    const char *failed = NULL;

    start(true);
    one = desc_a;
    two = desc_b;
    one.worker_start = note_start;
    two.worker_start = fail_start;
    one.worker_stop = two.worker_stop = note_stop;
    i1 = plugin_a;
    i2 = plugin_b;
    i1.desc = &one;
    i2.desc = &two;
    i1.inst = first;
    i2.inst = second;
    set.plugin[0] = &i1;
    set.plugin[1] = &i2;
    cr_assert_neq(worker_core_start(&worker, &failed), 0);
    cr_assert_str_eq(failed, "b");
    worker_core_stop(&worker);
    cr_assert_str_eq(stopped, "1");

    /* Without a worker_start() of its own a plugin gets its instance. */
    two.worker_start = NULL;
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
    cr_assert_eq(worker.wctx[0], first);
    cr_assert_eq(worker.wctx[1], second);
    worker_core_stop(&worker);
    cr_assert_str_eq(stopped, "11");
    worker_core_fini(&worker);
    route_table_free(&routes);
}

/* 9.1: ids of one byte and of more in an ACK's head, whose size is foretold. */
CORE_TEST(the_size_of_an_acks_head_is_that_of_its_ids)
{
    static const uint64_t ids[] = {0, 239, 240, 241, 2287, 2288, 264431, 264432, UINT64_MAX};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        for (size_t j = 0; j < sizeof ids / sizeof ids[0]; j++) {
            uint8_t head[SPOP_ACK_HEAD_MAX];

            cr_assert_eq(wire_ack_head_size(ids[i], ids[j]),
                         spop_put_ack_head(head, sizeof head, ids[i], ids[j], 1));
        }
    }
}

static void *complete_on_thread(void *arg)
{
    request_complete(arg, SPOE_OK);
    return NULL;
}

CORE_TEST(completion_comes_from_any_thread)
{
    pthread_t thread;
    struct payload p = {.n = 0};
    int result;

    start(false);
    a.result = SPOE_PENDING;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(pthread_create(&thread, NULL, complete_on_thread, a.request), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(mailbox_run(&worker.mailbox), 1);
    cr_assert_eq(done, x);
    exchange_release(&worker, x);
    finish();
}

CORE_TEST(the_pool_ends_at_its_limit_and_recovers)
{
    struct payload p = {.n = 0};
    struct exchange *last = NULL;
    int result;

    start(false);
    for (unsigned i = 0; i < 200; i++)
        put_message(&p, "check", 0);
    /* Messages without their required argument take a request each and give it back. */
    for (unsigned i = 0; i < 100; i++) {
        last = dispatch(&p, &result);
        cr_assert_eq(result, 0);
        exchange_release(&worker, last);
    }
    cr_assert_eq(worker.counters.missing_arguments, 20000);
    finish();
}

/* Set a variable with a value of n bytes. */
static spoe_status set_bytes(struct spoe_request *request, size_t n)
{
    static char bytes[2000];
    const struct spoe_value value = {.type = SPOE_T_BIN, .u.s = {bytes, n}};

    cr_assert_leq(n, sizeof bytes);
    return request_set_var(request, SPOE_SCOPE_TXN, (struct spoe_span){"v", 1}, &value);
}

/* A message "check" that both plugins hold, or, without b, only a. */
static struct exchange *hold(struct payload *p)
{
    int result;

    a.result = b.result = SPOE_PENDING;
    put_message(p, "check", 1);
    put_arg(p, "url", str("/"));
    return dispatch(p, &result);
}

static void release(struct exchange *x, bool with_b)
{
    request_complete(a.request, SPOE_OK);
    if (with_b)
        request_complete(b.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    exchange_release(&worker, x);
    finish();
}

/* 9.1 */
CORE_TEST(set_var_takes_every_scope_every_type_and_a_name_of_64_bytes)
{
    static const char name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct payload p = {.n = 0};
    struct exchange *x;

    start(false);
    x = hold(&p);
    for (uint32_t scope = 0; scope <= 5; scope++) {
        const struct spoe_value value = i32(1);
        const spoe_status want = scope <= SPOE_SCOPE_RES ? SPOE_OK : SPOE_E_INVAL;

        cr_assert_eq(request_set_var(a.request, scope, (struct spoe_span){"v", 1}, &value), want);
        cr_assert_eq(request_unset_var(a.request, scope, (struct spoe_span){"v", 1}), want);
    }
    for (uint32_t type = 0; type <= 10; type++) {
        const struct spoe_value value = {.type = type};

        cr_assert_eq(request_set_var(a.request, SPOE_SCOPE_REQ, (struct spoe_span){"v", 1}, &value),
                     type <= SPOE_T_BIN ? SPOE_OK : SPOE_E_INVAL);
    }
    cr_assert_eq(sizeof name, 64 + 1);
    cr_assert_eq(request_unset_var(a.request, SPOE_SCOPE_REQ, (struct spoe_span){name, 64}),
                 SPOE_OK);
    release(x, false);
}

/* 9.1 An action that was refused takes nothing of the ACK. */
CORE_TEST(what_was_too_big_leaves_its_room_to_others)
{
    struct payload p = {.n = 0};
    struct exchange *x;

    start(true);
    x = hold(&p);
    cr_assert_eq(set_bytes(a.request, 600), SPOE_OK);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(set_bytes(b.request, 600), SPOE_E_TOOBIG);
    cr_assert_eq(set_bytes(b.request, 300), SPOE_OK);
    release(x, true);
}

/* 9.1 */
CORE_TEST(a_handler_that_fails_leaves_its_room_to_others)
{
    struct payload p = {.n = 0};
    int result;

    start(true);
    a.fill = b.fill = 600;
    a.result = SPOE_E_INTERNAL;
    put_message(&p, "check", 1);
    put_arg(&p, "url", str("/"));
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(b.set_result, SPOE_OK);
    cr_assert_str_eq(ack(x), "b");
    exchange_release(&worker, x);
    finish();
}

/* 9.1 The same for one that fails later. */
CORE_TEST(a_completion_with_an_error_leaves_its_room_to_others)
{
    struct payload p = {.n = 0};
    struct exchange *x;

    start(true);
    x = hold(&p);
    cr_assert_eq(set_bytes(a.request, 600), SPOE_OK);
    cr_assert_eq(set_bytes(b.request, 600), SPOE_E_TOOBIG);
    request_complete(a.request, SPOE_E_INTERNAL);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_eq(set_bytes(b.request, 600), SPOE_OK);
    request_complete(b.request, SPOE_OK);
    (void)mailbox_run(&worker.mailbox);
    cr_assert_str_eq(ack(x), "bv");
    exchange_release(&worker, x);
    finish();
}

/* 9.1 With one request, and with two that share the ACK. */
CORE_TEST(the_budget_may_be_used_up_to_its_last_byte)
{
    for (int with_b = 0; with_b <= 1; with_b++) {
        struct payload p = {.n = 0};
        struct exchange *x;
        size_t used;

        start(with_b != 0);
        budget = 1000;
        x = hold(&p);
        used = atomic_load(&x->action_bytes);
        cr_assert_eq(set_bytes(a.request, 500), SPOE_OK);
        used = atomic_load(&x->action_bytes) - used; /* of an action with 500 bytes */
        x->budget = atomic_load(&x->action_bytes) + used;
        cr_assert_eq(set_bytes(a.request, 501), SPOE_E_TOOBIG);
        cr_assert_eq(set_bytes(a.request, 500), SPOE_OK);
        cr_assert_eq(set_bytes(a.request, 0), SPOE_E_TOOBIG);
        cr_assert_eq(atomic_load(&x->action_bytes), x->budget);
        release(x, with_b != 0);
    }
}

/* 9.1 HAProxy sends NULL for what it does not have. */
CORE_TEST(null_in_a_slot_is_no_bad_type)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    put_message(&p, "check", 2);
    put_arg(&p, "url", str("/"));
    put_arg(&p, "count", (struct spoe_value){.type = SPOE_T_NULL});
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    cr_assert_eq(a.types[COUNT_ARG], SPOE_T_NULL);
    cr_assert_eq(worker.counters.bad_types, 0);
    exchange_release(&worker, x);
    finish();
}

/* 9.1 */
CORE_TEST(arguments_of_an_unknown_message_are_checked_as_well)
{
    struct payload p = {.n = 0};

    start(false);
    put_message(&p, "nobody", 2);
    put_arg(&p, "x", str("text"));
    put_arg(&p, "y", ip4());
    for (size_t n = 1; n < p.n; n++) {
        struct payload cut = p;
        int result;

        cut.n = n;
        struct exchange *x = dispatch(&cut, &result);
        cr_assert_eq(result, -SPOP_ERR_INVALID, "cut at %zu", n);
        exchange_release(&worker, x);
    }
    finish();
}

/* 9.1 */
CORE_TEST(a_notify_may_have_256_messages)
{
    struct payload p = {.n = 0};
    int result;

    start(false);
    for (unsigned i = 0; i < SPOP_MESSAGES_MAX; i++)
        put_message(&p, "nobody", 0);
    cr_assert_eq(SPOP_MESSAGES_MAX, 256);
    struct exchange *x = dispatch(&p, &result);
    cr_assert_eq(result, 0);
    exchange_release(&worker, x);
    put_message(&p, "nobody", 0);
    x = dispatch(&p, &result);
    cr_assert_eq(result, -SPOP_ERR_INVALID);
    exchange_release(&worker, x);
    finish();
}

/* ---- the order of calls ---- */

static char calls[256];

static void say(const char *what, void *who)
{
    const size_t n = strlen(calls);

    cr_assert_lt(n + strlen(what) + 3, sizeof calls);
    (void)snprintf(calls + n, sizeof calls - n, "%s%s ", what, (const char *)who);
}

static spoe_status on_worker_start(void *inst, struct spoe_worker *w, uint32_t index, void **ret)
{
    (void)w;
    (void)index;
    say("+", inst);
    *ret = inst;
    return SPOE_OK;
}

static void on_worker_stop(void *wctx)
{
    say("-", wctx);
}

static void on_drain(void *inst, int64_t deadline)
{
    (void)deadline;
    say("drain ", inst);
}

static void on_stop(void *inst, int64_t deadline)
{
    (void)deadline;
    say("stop ", inst);
}

static void on_destroy(void *inst)
{
    say("destroy ", inst);
}

static struct spoe_instance *make_plugin(const char *id, const struct spoe_plugin *desc,
                                         struct plugin_set *into)
{
    struct spoe_instance *plugin = calloc(1, sizeof *plugin);

    cr_assert_not_null(plugin);
    plugin->desc = desc;
    plugin->path = strdup("/x.so");
    plugin->inst = strdup(id);
    plugin->index = (uint32_t)into->n;
    plugin->state = PLUGIN_STARTED;
    into->plugin[into->n++] = plugin;
    return plugin;
}

/* 9.1 What was started last is stopped first, by the workers and at the end. */
CORE_TEST(plugins_are_taken_down_in_reverse)
{
    const struct spoe_plugin desc = {.magic = SPOE_PLUGIN_MAGIC,
                                     .size = sizeof desc,
                                     .worker_start = on_worker_start,
                                     .worker_stop = on_worker_stop,
                                     .drain = on_drain,
                                     .stop = on_stop,
                                     .destroy = on_destroy};
    struct plugin_set two = {.n = 0};
    const char *failed = NULL;
    void *inst_1, *inst_2;

    start(false);
    shared.plugins = &two;
    inst_1 = make_plugin("1", &desc, &two)->inst;
    inst_2 = make_plugin("2", &desc, &two)->inst;
    cr_assert_eq(worker_core_start(&worker, &failed), 0);
    plugin_set_drain(&two, 0);
    worker_core_stop(&worker);
    plugin_set_stop(&two, 0);
    plugin_set_destroy(&two);
    cr_assert_str_eq(calls, "+1 +2 drain 1 drain 2 -2 -1 stop 2 stop 1 destroy 2 destroy 1 ");
    free(inst_1);
    free(inst_2);
    worker_core_fini(&worker);
    route_table_free(&routes);
}

/* ---- routes ---- */

Test(route, names_both_plugins_whose_expressions_differ, .timeout = 30)
{
    static const struct spoe_arg_decl other = {sizeof other, SPOE_ACCEPT_IP,         0, 0,
                                               "who",        "hdr(x-forwarded-for)", ""};
    static const struct spoe_arg_decl *const args[] = {&other, NULL};
    static const struct spoe_message_decl message = {
        sizeof message, 0, "check", "on-frontend-http-request", "", args};
    static const struct spoe_message_decl *const messages[] = {&message, NULL};
    static const struct spoe_plugin desc = DESCRIPTOR("c", messages, handle_b, NULL);
    struct spoe_instance plugin_c = {
        .desc = &desc, .index = 1, .n_messages = 1, .n_arguments = {1}};
    struct plugin_set both = {.plugin = {&plugin_a, &plugin_c}, .n = 2};
    struct route_table table;
    struct error error;

    cr_assert_eq(route_table_build(&table, &both, &error), -1);
    cr_assert_str_eq(error.text, "plugins a and c disagree on argument who of message check: "
                                 "src and hdr(x-forwarded-for)");
}

Test(route, names_both_plugins_whose_events_differ, .timeout = 30)
{
    static const struct spoe_message_decl message = {sizeof message,     0,  "check",
                                                     "on-http-response", "", args_b};
    static const struct spoe_message_decl *const messages[] = {&message, NULL};
    static const struct spoe_plugin desc = DESCRIPTOR("c", messages, handle_b, NULL);
    struct spoe_instance plugin_c = {
        .desc = &desc, .index = 1, .n_messages = 1, .n_arguments = {1}};
    struct plugin_set both = {.plugin = {&plugin_a, &plugin_c}, .n = 2};
    struct route_table table;
    struct error error;

    cr_assert_eq(route_table_build(&table, &both, &error), -1);
    cr_assert_str_eq(error.text, "plugins a and c disagree on message check: event "
                                 "on-frontend-http-request and on-http-response");
}

/* 4.3 What is free is recognised by its magic before it is touched. */
Test(dispatch, an_exchange_that_is_released_twice_is_noticed, .timeout = 10, .signal = SIGABRT)
{
    struct exchange *exchange;

    start(false);
    exchange = exchange_get(&worker);
    exchange_release(&worker, exchange);
    exchange_release(&worker, exchange);
}

/* 4.3 */
Test(dispatch, a_worker_that_is_gone_is_noticed, .timeout = 10, .signal = SIGABRT)
{
    start(false);
    finish();
    (void)exchange_get(&worker);
    worker_core_stop(&worker);
}
