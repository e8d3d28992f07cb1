/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_sampling.c - requests that are passed over, kept, capped or chosen. */
#include "recording_host.h"

#define INBOUND "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"

TestSuite(sampling, .init = set_up, .fini = tear_down, .timeout = 20);

static void send_request(const char *id, const char *traceparent, struct spoe_value sample)
{
    struct spoe_value slot[REQUEST_SLOTS] = {
        [REQUEST_UNIQUE_ID] = text(id), [REQUEST_METHOD] = text("GET"), [REQUEST_SAMPLE] = sample};

    if (traceparent != NULL)
        slot[REQUEST_TRACEPARENT] = text(traceparent);
    send(MESSAGE_REQUEST, slot);
}

static const struct spoe_value absent = {.type = SPOE_T_NULL};

static bool has_kept(const struct span *span)
{
    struct span_attr attr;
    size_t pos = 0;

    while (span_attribute(span, &pos, &attr))
        if (attr.key_len == 21 && memcmp(attr.key, "haproxy.sampling.kept", 21) == 0)
            return attr.type == SPAN_STRING && attr.str_len == 5 &&
                   memcmp(attr.str, "error", 5) == 0;
    return false;
}

static void expect_no_spans(void)
{
    const struct pair pair = ended();

    cr_expect_null(pair.server);
    cr_expect_null(pair.client);
}

Test(sampling, what_is_not_sampled_is_answered_and_leaves_no_span)
{
    char server[17];

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    send_request("u1", NULL, absent);
    cr_expect_str_eq(answered_flags(), "00");
    expect_variable("sampled", "0");
    (void)snprintf(server, sizeof server, "%s", variable("span_id"));
    cr_expect_eq(store_count(handlers.store), 1);

    send_backend("u1");
    cr_expect_str_eq(answered_flags(), "00");
    cr_assert_not_null(variable("span_id"));
    cr_expect_str_neq(variable("span_id"), server, "a child of its own");

    send_response("u1", 500);
    expect_no_spans();
    cr_expect_eq(store_count(handlers.store), 0);
    cr_expect_eq(counted(&counters.unsampled), 1);
    cr_expect_eq(counted(&counters.opened), 0);
    cr_expect_eq(counted(&counters.ended), 0);
    cr_expect_eq(counted(&counters.unknown_id), 0);
}

Test(sampling, the_child_stays_in_its_trace)
{
    policy.sampler.kind = SAMPLER_PARENTBASED_ALWAYS_ON;
    send_request("u1", INBOUND "02", absent);
    cr_expect_str_eq(answered_flags(), "02", "the random flag goes on as it came");
    send_backend("u1");
    cr_assert_not_null(variable("traceparent"));
    cr_expect_eq(memcmp(variable("traceparent"), INBOUND, 36), 0);
    cr_expect_neq(memcmp(variable("traceparent"), INBOUND, 53), 0);
    cr_expect_str_eq(answered_flags(), "02");
}

Test(sampling, the_flags_say_what_was_decided)
{
    static const struct {
        enum sampler_kind kind;
        const char *inbound, *flags;
    } cases[] = {
        {SAMPLER_ALWAYS_ON, NULL, "03"},
        {SAMPLER_ALWAYS_ON, INBOUND "00", "01"},
        {SAMPLER_ALWAYS_OFF, NULL, "00"},
        {SAMPLER_ALWAYS_OFF, INBOUND "03", "02"},
        {SAMPLER_PARENTBASED_ALWAYS_ON, INBOUND "00", "00"},
        {SAMPLER_PARENTBASED_ALWAYS_ON, INBOUND "01", "01"},
        {SAMPLER_PARENTBASED_ALWAYS_ON, NULL, "03"},
        {SAMPLER_PARENTBASED_ALWAYS_OFF, NULL, "00"},
        {SAMPLER_PARENTBASED_ALWAYS_OFF, INBOUND "01", "01"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        policy.sampler.kind = cases[i].kind;
        send_request("u1", cases[i].inbound, absent);
        cr_expect_str_eq(answered_flags(), cases[i].flags, "case %zu: got %s", i, answered_flags());
        send_response("u1", 200);
        if (cases[i].flags[1] == '1' || cases[i].flags[1] == '3') {
            struct pair pair = ended();

            cr_expect_not_null(pair.server);
            free_pair(&pair);
        } else {
            expect_no_spans();
        }
    }
}

Test(sampling, an_unsampled_request_without_a_response_leaves_nothing)
{
    struct evictor evictor = {.worker = &worker};

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    send_request("u1", NULL, absent);
    policy.keep_errors = true;
    send_request("u2", NULL, absent);
    send_backend("u2");
    cr_expect_eq(store_count(handlers.store), 2);
    (void)evictor_run(&evictor, 100 * SECOND);
    cr_expect_eq(store_count(handlers.store), 0);
    cr_expect_eq(counted(&counters.evicted), 0);
    expect_no_spans();
}

Test(sampling, an_id_that_is_open_is_not_answered)
{
    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    send_request("u1", NULL, absent);
    send_request("u1", NULL, absent);
    cr_expect_eq(answer.n, 0);
    cr_expect_eq(counted(&counters.duplicate_id), 1);
}

Test(sampling, a_full_store_does_not_stop_the_answer)
{
    char id[8];

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof id, "u%d", i);
        send_request(id, NULL, absent);
        cr_expect_str_eq(answered_flags(), "00");
    }
    cr_expect_eq(store_count(handlers.store), 10);
    cr_expect_eq(counted(&counters.refused), 0);
}

/* ---- keep-errors --------------------------------------------------------------------------- */

Test(sampling, errors_are_kept_and_marked)
{
    static const int64_t errors[] = {500, 503, 599};
    struct pair pair;

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    policy.keep_errors = true;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        send_request("u1", NULL, absent);
        cr_expect_str_eq(answered_flags(), "00");
        expect_variable("sampled", "0");
        send_backend("u1");
        cr_expect_str_eq(answered_flags(), "00");
        send_response("u1", errors[i]);
        pair = ended();
        cr_assert(pair.server != NULL && pair.client != NULL);
        cr_expect(has_kept(pair.server));
        cr_expect(has_kept(pair.client));
        cr_expect_eq(pair.server->context.flags, 0);
        cr_expect_eq(pair.client->context.flags, 0);
        cr_expect_eq(pair.server->status, SPAN_STATUS_ERROR);
        free_pair(&pair);
    }
    cr_expect_eq(counted(&counters.kept_errors), 3);
    cr_expect_eq(counted(&counters.unsampled), 3);
    cr_expect_eq(counted(&counters.opened), 0);
}

Test(sampling, what_is_no_error_is_not_kept)
{
    static const int64_t codes[] = {200, 304, 404, 499, 0, 600, 999};

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    policy.keep_errors = true;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        send_request("u1", NULL, absent);
        send_backend("u1");
        send_response("u1", codes[i]);
        expect_no_spans();
    }
    cr_expect_eq(store_count(handlers.store), 0);
    cr_expect_eq(counted(&counters.kept_errors), 0);
}

Test(sampling, what_is_sampled_is_not_marked)
{
    struct pair pair;

    policy.keep_errors = true;
    send_request("u1", NULL, absent);
    send_response("u1", 500);
    pair = ended();
    cr_assert_not_null(pair.server);
    cr_expect_not(has_kept(pair.server));
    cr_expect_eq(pair.server->context.flags, 3);
    free_pair(&pair);
    cr_expect_eq(counted(&counters.kept_errors), 0);
}

/* ---- keep-slower (issue 11, 2.4) --------------------------------------------------------------
 */

#define MS INT64_C(1000000)

static void expect_kept(const struct span *span, const char *value)
{
    struct span_attr attr;

    cr_assert_not_null(span);
    cr_assert(span_find(span, "haproxy.sampling.kept", 21, &attr), "it is not marked");
    cr_expect(attr.str_len == strlen(value) && memcmp(attr.str, value, attr.str_len) == 0);
}

/* An exchange of so many ms. */
static void exchange_of(int64_t ms, int64_t status, bool with_backend)
{
    send_request("u1", NULL, absent);
    cr_expect_str_eq(answered_flags(), "00");
    if (with_backend)
        send_backend("u1");
    fake.now_ns += ms * MS;
    send_response("u1", status);
}

Test(sampling, what_took_longer_is_kept_and_marked)
{
    struct pair pair;

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    policy.keep_slower_ns = 100 * MS;
    for (int i = 0; i < 2; i++) {
        exchange_of(101, i == 0 ? 200 : 503,
                    i == 0); /* errors are nothing else: keep-errors is off */
        pair = ended();
        expect_kept(pair.server, "slow");
        if (i == 0)
            expect_kept(pair.client, "slow");
        cr_expect_eq(pair.server->context.flags, 0);
        free_pair(&pair);
    }
    cr_expect_eq(counted(&counters.kept_slow), 2);
    cr_expect_eq(counted(&counters.kept_errors), 0);
    cr_expect_eq(counted(&counters.unsampled_spans), 0);
}

Test(sampling, what_took_no_longer_is_not_kept)
{
    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    policy.keep_slower_ns = 100 * MS;
    exchange_of(100, 200, true);
    expect_no_spans();
    exchange_of(99, 503, false);
    expect_no_spans();
    cr_expect_eq(counted(&counters.kept_slow), 0);
    cr_expect_eq(counted(&counters.unsampled_spans), 3);
    cr_expect_eq(store_count(handlers.store), 0);
}

Test(sampling, a_slow_error_is_an_error)
{
    struct pair pair;

    policy.sampler.kind = SAMPLER_ALWAYS_OFF;
    policy.keep_errors = true;
    policy.keep_slower_ns = 100 * MS;
    exchange_of(500, 500, false);
    pair = ended();
    expect_kept(pair.server, "error");
    free_pair(&pair);
    cr_expect_eq(counted(&counters.kept_errors), 1);
    cr_expect_eq(counted(&counters.kept_slow), 0);
}

/* ---- HAProxy decides, and the cap ----------------------------------------------------------- */

Test(sampling, haproxy_decides_by_the_argument)
{
    const struct {
        struct spoe_value value;
        bool decides, sampled;
    } cases[] = {
        {absent, false, false},
        {spoe_value_bool(1), true, true},
        {spoe_value_bool(0), true, false},
        {spoe_value_int(1), true, true},
        {spoe_value_int(0), true, false},
        {spoe_value_int(-7), true, true},
        {{.type = SPOE_T_UINT32, .u.u32 = 2}, true, true},
        {text("1"), true, true},
        {text("true"), true, true},
        {text("ON"), true, true},
        {text("yes"), true, true},
        {text("0"), true, false},
        {text("False"), true, false},
        {text("off"), true, false},
        {text("no"), true, false},
        {text(""), false, false},
        {text("maybe"), false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int on = 0; on < 2; on++) {
            const bool want = cases[i].decides ? cases[i].sampled : on;

            policy.sampler.kind = on ? SAMPLER_ALWAYS_ON : SAMPLER_ALWAYS_OFF;
            send_request("u1", NULL, cases[i].value);
            expect_variable("sampled", want ? "1" : "0");
            send_response("u1", 200);
        }
    }
}

Test(sampling, the_cap_has_the_last_word)
{
    rate_cap_init(&rate_cap, 2);
    send_request("a", NULL, absent);
    expect_variable("sampled", "1");
    send_request("b", NULL, absent);
    expect_variable("sampled", "1");
    send_request("c", NULL, absent);
    expect_variable("sampled", "0");
    cr_expect_str_eq(answered_flags(), "00");
    send_request("d", INBOUND "01", spoe_value_bool(1));
    expect_variable("sampled", "0");
    send_request("e", NULL, spoe_value_bool(0)); /* takes nothing from the cap */
    fake.now_ns += SECOND / 2;
    send_request("f", NULL, absent);
    expect_variable("sampled", "1");
    cr_expect_eq(counted(&counters.capped), 2);
    cr_expect_eq(counted(&counters.unsampled), 3);
    cr_expect_eq(counted(&counters.opened), 3);
}
