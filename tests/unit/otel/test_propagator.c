/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_propagator.c - several formats at once, first valid wins. */
#include <criterion/criterion.h>
#include <string.h>

#include "context/propagator.h"

#define W3C "00-11111111111111111111111111111111-1111111111111111-"
#define SINGLE "22222222222222222222222222222222-2222222222222222-"
#define MULTI_T "33333333333333333333333333333333"
#define MULTI_S "3333333333333333"

static const struct propagator_conf none = {.n = 0};
static const struct propagator_conf w3c = {
    .set = PROPAGATOR_TRACECONTEXT, .list = {PROPAGATOR_TRACECONTEXT}, .n = 1};
static const struct propagator_conf b3 = {
    .set = PROPAGATOR_B3 | PROPAGATOR_BAGGAGE, .list = {PROPAGATOR_BAGGAGE, PROPAGATOR_B3}, .n = 2};
static const struct propagator_conf b3multi = {
    .set = PROPAGATOR_B3MULTI, .list = {PROPAGATOR_B3MULTI}, .n = 1};
static const struct propagator_conf w3c_b3 = {.set = PROPAGATOR_TRACECONTEXT | PROPAGATOR_B3,
                                              .list = {PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3},
                                              .n = 2};
static const struct propagator_conf b3_w3c = {.set = PROPAGATOR_TRACECONTEXT | PROPAGATOR_B3,
                                              .list = {PROPAGATOR_B3, PROPAGATOR_TRACECONTEXT},
                                              .n = 2};

static struct carrier all(void)
{
    return (struct carrier){.traceparent = text_of(W3C "01"),
                            .b3 = text_of(SINGLE "1"),
                            .b3_multi = {.trace_id = text_of(MULTI_T),
                                         .span_id = text_of(MULTI_S),
                                         .sampled = text_of("1")}};
}

/* The first byte of the trace id says which header won; 0: none. */
static uint8_t winner(const struct propagator_conf *conf, const struct carrier *carrier)
{
    const struct inbound got = propagators_read(conf, carrier);

    cr_expect_eq(got.w3c, got.has_parent && got.parent.trace_id[0] == 0x11);
    return got.has_parent ? got.parent.trace_id[0] : 0;
}

Test(propagator, asks_only_the_formats_that_are_on, .timeout = 10)
{
    const struct carrier carrier = all();

    cr_expect_eq(winner(&none, &carrier), 0);
    cr_expect_eq(winner(&w3c, &carrier), 0x11);
    cr_expect_eq(winner(&b3, &carrier), 0x22, "single before multi");
    cr_expect_eq(winner(&b3multi, &carrier), 0x22, "and so here");
    cr_expect_eq(winner(&w3c_b3, &carrier), 0x11);
    cr_expect_eq(winner(&b3_w3c, &carrier), 0x22);
}

Test(propagator, goes_on_where_a_format_has_nothing_valid, .timeout = 10)
{
    struct carrier carrier = all();

    carrier.traceparent = text_of("nonsense");
    cr_expect_eq(winner(&w3c, &carrier), 0);
    cr_expect_eq(winner(&w3c_b3, &carrier), 0x22);
    carrier.b3 = text_of("nonsense");
    cr_expect_eq(winner(&w3c_b3, &carrier), 0x33);
    carrier.b3_multi.span_id = (struct text){NULL, 0};
    cr_expect_eq(winner(&w3c_b3, &carrier), 0);
    carrier.traceparent = text_of(W3C "00");
    cr_expect_eq(winner(&b3_w3c, &carrier), 0x11);
}

Test(propagator, two_traceparents_are_none, .timeout = 10)
{
    struct carrier carrier = all();

    carrier.traceparent_again = true;
    cr_expect_eq(winner(&w3c, &carrier), 0);
    cr_expect_eq(winner(&w3c_b3, &carrier), 0x22);
}

Test(propagator, shows_what_the_caller_decided, .timeout = 10)
{
    static const struct {
        const char *traceparent, *b3;
        enum sampled sampled;
        bool debug;
    } cases[] = {
        {W3C "00", "", SAMPLED_NO, false},
        {W3C "01", "", SAMPLED_YES, false},
        {W3C "02", "", SAMPLED_NO, false},
        {"", SINGLE "d", SAMPLED_YES, true},
        {"", SINGLE "0", SAMPLED_NO, false},
        {"", "22222222222222222222222222222222-2222222222222222", SAMPLED_DEFERRED, false},
        {"", "0", SAMPLED_NO, false},
        {"", "", SAMPLED_DEFERRED, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct carrier carrier = {.traceparent = text_of(cases[i].traceparent),
                                        .b3 = text_of(cases[i].b3)};
        const struct inbound got = propagators_read(&w3c_b3, &carrier);

        cr_expect_eq(got.sampled, cases[i].sampled, "%zu: got %d", i, (int)got.sampled);
        cr_expect_eq(got.debug, cases[i].debug, "%zu", i);
    }
}
