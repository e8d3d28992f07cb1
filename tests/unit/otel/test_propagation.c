/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_propagation.c - from inbound headers to variables and spans. */
#include "recording_host.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"
#define INBOUND "00-" TRACE "-" SPAN "-"

TestSuite(propagation, .init = set_up, .fini = tear_down, .timeout = 20);

static void with_b3(void)
{
    policy.propagators = (struct propagator_conf){.set = PROPAGATOR_TRACECONTEXT | PROPAGATOR_B3,
                                                  .list = {PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3},
                                                  .n = 2};
}

Test(propagation, answers_every_variable)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text(INBOUND "01"),
                                                   [REQUEST_TRACESTATE] = text("a=1, b=2"),
                                                   [REQUEST_TRACESTATE2] = text("c=3"),
                                                   [REQUEST_TRACESTATE3] = text("d=4")};
    char server[17], client[17];
    const char *traceparent, *b3;

    with_b3();
    send(MESSAGE_REQUEST, slot);
    cr_expect_eq(answer.n, 6);
    expect_variable("trace_id", TRACE);
    expect_variable("sampled", "1");
    expect_variable("tracestate", "a=1,b=2,c=3,d=4");
    cr_assert_not_null(variable("span_id"));
    (void)snprintf(server, sizeof server, "%s", variable("span_id"));
    cr_expect_str_neq(server, SPAN);
    traceparent = variable("traceparent");
    cr_assert_not_null(traceparent);
    cr_expect_eq(memcmp(traceparent, "00-" TRACE "-", 36), 0);
    cr_expect_eq(memcmp(traceparent + 36, server, 16), 0);
    cr_expect_str_eq(traceparent + 52, "-01");
    b3 = variable("b3");
    cr_assert_not_null(b3);
    cr_expect_eq(memcmp(b3, TRACE "-", 33), 0);
    cr_expect_eq(memcmp(b3 + 33, server, 16), 0);
    cr_expect_str_eq(b3 + 49, "-1");
    cr_expect_eq(answer.list[3].type, SPOE_T_BOOL, "sampled");

    send_backend("u1");
    cr_expect_eq(answer.n, 3, "what has not changed is not sent again");
    cr_assert_not_null(variable("span_id"));
    (void)snprintf(client, sizeof client, "%s", variable("span_id"));
    cr_expect_str_neq(client, server);
    cr_assert_not_null(variable("traceparent"));
    cr_expect_eq(memcmp(variable("traceparent") + 36, client, 16), 0);
    cr_assert_not_null(variable("b3"));
    cr_expect_eq(memcmp(variable("b3") + 33, client, 16), 0);
    cr_expect_eq(counted(&counters.unanswered), 0);
}

Test(propagation, answers_what_is_asked_for)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1")};

    policy.variables = CONTEXT_BIT(CONTEXT_TRACE_ID) | CONTEXT_BIT(CONTEXT_SAMPLED);
    send(MESSAGE_REQUEST, slot);
    cr_expect_eq(answer.n, 2);
    cr_expect_not_null(variable("trace_id"));
    expect_variable("sampled", "1");
    send_backend("u1");
    cr_expect_eq(answer.n, 0);

    handlers.policy = NULL; /* the default */
    send(MESSAGE_REQUEST, (struct spoe_value[REQUEST_SLOTS]){[REQUEST_UNIQUE_ID] = text("u2")});
    cr_expect_eq(answer.n, 1);
    cr_expect_str_eq(answered_flags(), "03");
}

Test(propagation, without_tracecontext_no_traceparent_goes_out)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text(INBOUND "01"),
                                                   [REQUEST_TRACESTATE] = text("a=1")};

    policy.propagators =
        (struct propagator_conf){.set = PROPAGATOR_B3MULTI, .list = {PROPAGATOR_B3MULTI}, .n = 1};
    send(MESSAGE_REQUEST, slot);
    cr_expect_eq(answer.n, 4);
    expect_variable("traceparent", NULL);
    expect_variable("tracestate", NULL);
    cr_expect_not_null(variable("b3"));
    cr_expect_str_neq(variable("trace_id"), TRACE);

    policy.propagators = (struct propagator_conf){.n = 0};
    send(MESSAGE_REQUEST, (struct spoe_value[REQUEST_SLOTS]){[REQUEST_UNIQUE_ID] = text("u2")});
    cr_expect_eq(answer.n, 3, "ids and decision, for logs");
    expect_variable("b3", NULL);
}

Test(propagation, an_answer_that_does_not_fit_is_counted_once)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1")};

    answer.room = 2;
    send(MESSAGE_REQUEST, slot);
    cr_expect_not_null(variable("traceparent"), "what is needed most goes first");
    cr_expect_not_null(variable("trace_id"));
    cr_expect_eq(counted(&counters.unanswered), 1);
}

Test(propagation, both_spans_carry_the_tracestate)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text(INBOUND "00"),
                                                   [REQUEST_TRACESTATE] = text("a=1,b=2")};
    struct pair pair;
    const char *p;
    size_t n;

    send(MESSAGE_REQUEST, slot);
    send_backend("u1");
    send_response("u1", 200);
    pair = ended();
    cr_assert(pair.client != NULL && pair.server != NULL);
    span_destroy(pair.server); /* the other one lives on */
    p = span_trace_state(pair.client, &n);
    cr_assert_eq(n, 7);
    cr_expect_eq(memcmp(p, "a=1,b=2", 7), 0);
    span_destroy(pair.client);
}

static void drops_tracestate(const char *traceparent, const char *again, const char *tracestate)
{
    static int serial;
    char id[8];
    struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_TRACESTATE] = text(tracestate)};

    (void)snprintf(id, sizeof id, "t%d", serial++);
    slot[REQUEST_UNIQUE_ID] = text(id);
    if (traceparent != NULL)
        slot[REQUEST_TRACEPARENT] = text(traceparent);
    if (again != NULL)
        slot[REQUEST_TRACEPARENT2] = text(again);
    send(MESSAGE_REQUEST, slot);
    expect_variable("tracestate", NULL);
    cr_expect_not_null(variable("traceparent"));
}

Test(propagation, a_tracestate_goes_with_its_traceparent)
{
    drops_tracestate(NULL, NULL, "foo=1");
    drops_tracestate("nonsense", NULL, "foo=1");
    drops_tracestate(INBOUND "01", INBOUND "01", "foo=1");
    drops_tracestate(INBOUND "01", NULL, "");
    drops_tracestate(INBOUND "01", NULL, "FOO=1");
    policy.trust_inbound = TRUST_INBOUND_IGNORE;
    drops_tracestate(INBOUND "01", NULL, "foo=1");
}

Test(propagation, an_invalid_tracestate_does_not_touch_the_trace)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text(INBOUND "01"),
                                                   [REQUEST_TRACESTATE] = text("foo")};

    send(MESSAGE_REQUEST, slot);
    expect_variable("trace_id", TRACE);
}

Test(propagation, a_tracestate_does_not_go_with_b3)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text("nonsense"),
                                                   [REQUEST_TRACESTATE] = text("foo=1"),
                                                   [REQUEST_B3] = text(TRACE "-" SPAN "-1")};

    with_b3();
    send(MESSAGE_REQUEST, slot);
    expect_variable("trace_id", TRACE);
    expect_variable("tracestate", NULL);
}

Test(propagation, two_traceparents_begin_a_new_trace)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text(INBOUND "01"),
                                                   [REQUEST_TRACEPARENT2] = text(INBOUND "01")};

    send(MESSAGE_REQUEST, slot);
    cr_expect_str_neq(variable("trace_id"), TRACE);
    cr_expect_str_eq(answered_flags(), "03");
}

Test(propagation, inbound_context_can_be_ignored)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1"),
                                                   [REQUEST_TRACEPARENT] = text(INBOUND "00"),
                                                   [REQUEST_B3] = text(TRACE "-" SPAN "-0")};

    with_b3();
    policy.trust_inbound = TRUST_INBOUND_IGNORE;
    policy.sampler.kind = SAMPLER_PARENTBASED_ALWAYS_ON;
    send(MESSAGE_REQUEST, slot);
    cr_expect_str_neq(variable("trace_id"), TRACE);
    cr_expect_str_eq(answered_flags(), "03");
}

Test(propagation, continues_b3_in_both_forms)
{
    const struct spoe_value single[REQUEST_SLOTS] = {
        [REQUEST_UNIQUE_ID] = text("u1"), [REQUEST_B3] = text("8448eb211c80319c-" SPAN "-d")};
    const struct spoe_value multi[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u2"),
                                                    [REQUEST_B3_TRACE_ID] = text(TRACE),
                                                    [REQUEST_B3_SPAN_ID] = text(SPAN),
                                                    [REQUEST_B3_SAMPLED] = text("0")};
    static const uint8_t parent[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    struct pair pair;

    with_b3();
    send(MESSAGE_REQUEST, single);
    expect_variable("trace_id", "00000000000000008448eb211c80319c");
    cr_expect_str_eq(answered_flags(), "01");
    cr_assert_not_null(variable("b3"));
    cr_expect_str_eq(variable("b3") + 49, "-d", "debug goes on");
    send_backend("u1");
    cr_assert_not_null(variable("b3"));
    cr_expect_str_eq(variable("b3") + 49, "-d", "and on");
    send_response("u1", 200);
    pair = ended();
    cr_assert_not_null(pair.server);
    cr_expect_eq(memcmp(pair.server->parent_id, parent, 8), 0);
    cr_expect(pair.server->parent_remote);
    free_pair(&pair);

    send(MESSAGE_REQUEST, multi);
    expect_variable("trace_id", TRACE);
    cr_expect_str_eq(answered_flags(), "01", "always_on");
}

Test(propagation, b3_may_decide_without_a_parent)
{
    const struct spoe_value slot[REQUEST_SLOTS] = {
        [REQUEST_UNIQUE_ID] = text("u1"), [REQUEST_B3] = text("0")};

    with_b3();
    policy.sampler.kind = SAMPLER_PARENTBASED_ALWAYS_ON;
    send(MESSAGE_REQUEST, slot);
    expect_variable("sampled", "0");
    cr_expect_str_eq(answered_flags(), "00");
}

/* O7, 3.9: another sampler's threshold is not handed on with our decision. */
Test(propagation, a_threshold_is_that_of_who_decided)
{
    static const struct {
        enum sampler_kind kind;
        const char *flags;
        struct spoe_value sample;
        const char *out;
    } cases[] = {
        {SAMPLER_ALWAYS_ON, "00", {.type = SPOE_T_NULL}, "ot=th:0,a=1"},
        {SAMPLER_ALWAYS_ON, "01", {.type = SPOE_T_NULL}, "ot=th:0,a=1"},
        {SAMPLER_ALWAYS_OFF, "01", {.type = SPOE_T_NULL}, "a=1"},
        {SAMPLER_TRACEIDRATIO, "01", {.type = SPOE_T_NULL}, "a=1"},
        {SAMPLER_PARENTBASED_ALWAYS_OFF, "01", {.type = SPOE_T_NULL}, "a=1,ot=th:c"},
        {SAMPLER_PARENTBASED_ALWAYS_ON, "00", {.type = SPOE_T_NULL}, "a=1,ot=th:c"},
        {SAMPLER_ALWAYS_ON, "01", {.type = SPOE_T_BOOL, .u.b = 1}, "a=1"},
    };
    char parent[TRACEPARENT_LEN + 1], id[8];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spoe_value slot[REQUEST_SLOTS] = {
            [REQUEST_TRACESTATE] = text("a=1,ot=th:c"), [REQUEST_SAMPLE] = cases[i].sample};

        (void)snprintf(parent, sizeof parent, INBOUND "%s", cases[i].flags);
        (void)snprintf(id, sizeof id, "u%zu", i);
        slot[REQUEST_UNIQUE_ID] = text(id);
        slot[REQUEST_TRACEPARENT] = text(parent);
        policy.sampler.kind = cases[i].kind;
        send(MESSAGE_REQUEST, slot);
        expect_variable("tracestate", cases[i].out);
    }
    rate_cap_init(&rate_cap, 1000); /* a cap makes always_on a guess */
    policy.sampler.kind = SAMPLER_ALWAYS_ON;
    send(MESSAGE_REQUEST,
         (struct spoe_value[REQUEST_SLOTS]){[REQUEST_UNIQUE_ID] = text("capped"),
                                            [REQUEST_TRACEPARENT] = text(INBOUND "00"),
                                            [REQUEST_TRACESTATE] = text("ot=th:c")});
    expect_variable("tracestate", NULL);
}

/* ---- without room --------------------------------------------------------------------------- */

static void fill_store(void)
{
    char id[8];

    for (int i = 0; i < 10; i++) {
        (void)snprintf(id, sizeof id, "f%d", i);
        send(MESSAGE_REQUEST, (struct spoe_value[REQUEST_SLOTS]){[REQUEST_UNIQUE_ID] = text(id)});
    }
    cr_assert_eq(store_count(handlers.store), 10);
    handlers.untraced = untraced_create();
    cr_assert_not_null(handlers.untraced);
}

/* 3.3, O2, A9 */
Test(propagation, a_full_store_hands_on_the_callers_context)
{
    static const char *const flags[] = {"00", "01", "02", "03"};
    char parent[TRACEPARENT_LEN + 1], id[8];

    fill_store();
    for (size_t i = 0; i < 4; i++) {
        struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_TRACESTATE] = text("a=1,ot=th:c")};

        (void)snprintf(parent, sizeof parent, INBOUND "%s", flags[i]);
        (void)snprintf(id, sizeof id, "u%zu", i);
        slot[REQUEST_UNIQUE_ID] = text(id);
        slot[REQUEST_TRACEPARENT] = text(parent);
        send(MESSAGE_REQUEST, slot);
        expect_variable("traceparent", parent);
        expect_variable("trace_id", TRACE);
        expect_variable("span_id", SPAN);
        expect_variable("sampled", "0");
        expect_variable("tracestate", "a=1,ot=th:c");
        send_backend(id); /* what HAProxy has stays */
        cr_expect_eq(answer.n, 0);
        send_response(id, 200);
    }
    cr_expect_eq(counted(&counters.refused), 4);
    cr_expect_eq(counted(&counters.refused_later), 8);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    cr_expect_eq(counted(&counters.opened), 10);
    untraced_destroy(handlers.untraced);
}

/* 3.3, O2, A9 */
Test(propagation, a_full_store_begins_traces_that_are_not_sampled)
{
    struct spoe_value slot[REQUEST_SLOTS] = {[REQUEST_UNIQUE_ID] = text("u1")};
    char first[33];

    fill_store();
    send(MESSAGE_REQUEST, slot);
    cr_expect_str_eq(answered_flags(), "00");
    expect_variable("sampled", "0");
    (void)snprintf(first, sizeof first, "%s", variable("trace_id"));
    slot[REQUEST_UNIQUE_ID] = text("u2");
    send(MESSAGE_REQUEST, slot);
    cr_expect_str_neq(variable("trace_id"), first);
    slot[REQUEST_TRACEPARENT] = text("nonsense");
    slot[REQUEST_UNIQUE_ID] = text("u3");
    send(MESSAGE_REQUEST, slot);
    cr_expect_str_eq(answered_flags(), "00");
    /* A caller that is not trusted is not handed on either. */
    policy.trust_inbound = TRUST_INBOUND_IGNORE;
    slot[REQUEST_TRACEPARENT] = text(INBOUND "01");
    slot[REQUEST_UNIQUE_ID] = text("u4");
    send(MESSAGE_REQUEST, slot);
    cr_expect_str_eq(answered_flags(), "00");
    cr_expect_str_neq(variable("trace_id"), TRACE);
    untraced_destroy(handlers.untraced);
}

/* 3.3: B3's caller likewise, its debug flag included */
Test(propagation, a_full_store_hands_on_b3)
{
    with_b3();
    fill_store();
    send(MESSAGE_REQUEST,
         (struct spoe_value[REQUEST_SLOTS]){
             [REQUEST_UNIQUE_ID] = text("u1"), [REQUEST_B3] = text(TRACE "-" SPAN "-d")});
    expect_variable("b3", TRACE "-" SPAN "-d");
    untraced_destroy(handlers.untraced);
}
