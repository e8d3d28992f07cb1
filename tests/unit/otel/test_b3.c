/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_b3.c - B3 in both forms, in and out. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "context/b3.h"

#define T "80f198ee56343ba864fe8b2a57d3eff7"
#define T64 "64fe8b2a57d3eff7"
#define S "e457b5a2e4d86bd1"
#define P "05e3ac9a4f6e3b90"

static const uint8_t trace_id[16] = {0x80, 0xf1, 0x98, 0xee, 0x56, 0x34, 0x3b, 0xa8,
                                     0x64, 0xfe, 0x8b, 0x2a, 0x57, 0xd3, 0xef, 0xf7};
static const uint8_t short_trace_id[16] = {0,    0,    0,    0,    0,    0,    0,    0,
                                           0x64, 0xfe, 0x8b, 0x2a, 0x57, 0xd3, 0xef, 0xf7};
static const uint8_t span_id[8] = {0xe4, 0x57, 0xb5, 0xa2, 0xe4, 0xd8, 0x6b, 0xd1};

/* What is to come of a header. */
struct want {
    bool valid, ids;
    enum sampled sampled;
    bool debug;
};

#define INVALID                                                                                    \
    {                                                                                              \
        false, false, SAMPLED_DEFERRED, false                                                      \
    }
#define IDS(sampled, debug)                                                                        \
    {                                                                                              \
        true, true, sampled, debug                                                                 \
    }
#define STATE(sampled, debug)                                                                      \
    {                                                                                              \
        true, false, sampled, debug                                                                \
    }

static void expect(const char *name, bool valid, const struct inbound *got, const struct want *want,
                   const uint8_t trace[16])
{
    cr_expect_eq(valid, want->valid, "%s: valid %d", name, valid);
    if (!valid) {
        cr_expect_eq(got->parent.flags, 0x55, "%s: the result was touched", name);
        return;
    }
    cr_expect_eq(got->has_parent, want->ids, "%s: has_parent", name);
    cr_expect_eq(got->sampled, want->sampled, "%s: sampled %d", name, (int)got->sampled);
    cr_expect_eq(got->debug, want->debug, "%s: debug", name);
    cr_expect_not(got->w3c);
    cr_expect_eq(got->parent.flags, want->sampled == SAMPLED_YES ? 1 : 0, "%s: flags", name);
    if (!want->ids)
        return;
    cr_expect_eq(memcmp(got->parent.trace_id, trace, 16), 0, "%s: trace id", name);
    cr_expect_eq(memcmp(got->parent.span_id, span_id, 8), 0, "%s: span id", name);
}

static const struct {
    const char *text;
    struct want want;
    bool is_short;
} singles[] = {
    {T "-" S "-1-" P, IDS(SAMPLED_YES, false), false},
    {T "-" S "-1", IDS(SAMPLED_YES, false), false},
    {T "-" S "-0", IDS(SAMPLED_NO, false), false},
    {T "-" S "-d", IDS(SAMPLED_YES, true), false},
    {T "-" S "-d-" P, IDS(SAMPLED_YES, true), false},
    {T "-" S, IDS(SAMPLED_DEFERRED, false), false},
    {T64 "-" S "-1", IDS(SAMPLED_YES, false), true},
    {T64 "-" S, IDS(SAMPLED_DEFERRED, false), true},
    {"0", STATE(SAMPLED_NO, false), false},
    {"1", STATE(SAMPLED_YES, false), false},
    {"d", STATE(SAMPLED_YES, true), false},
    {"", INVALID, false},
    {"2", INVALID, false},
    {"-", INVALID, false},
    {"-1", INVALID, false},
    {"true", INVALID, false},
    {T, INVALID, false},
    {T "-", INVALID, false},
    {T "-1", INVALID, false},
    {T "-" S "-", INVALID, false},
    {T "-" S "-2", INVALID, false},
    {T "-" S "-true", INVALID, false},
    {T "-" S "-1-", INVALID, false},
    {T "-" S "-1-05e3ac9a4f6e3b9", INVALID, false},
    {T "-" S "-1-05e3ac9a4f6e3b9g", INVALID, false},
    {T "-" S "-1-" P "-", INVALID, false},
    {T "-" S "-1-" P "0", INVALID, false}, /* 9.1 */
    {T "-" S "-1x" P, INVALID, false},
    {T "-" S "x1-" P, INVALID, false},
    {T "-" S "-2-" P, INVALID, false},
    {T "-" S "1", INVALID, false},
    {T "0-" S "-1", INVALID, false},
    {T64 "0-" S "-1", INVALID, false},
    {T "-" S "0-1", INVALID, false},
    {"80F198EE56343BA864FE8B2A57D3EFF7-" S "-1", INVALID, false},
    {"0000000000000000-" S "-1", INVALID, false},
    {"00000000000000000000000000000000-" S "-1", INVALID, false},
    {T "-0000000000000000-1", INVALID, false},
    {T "-" S "-1," T "-" S "-1", INVALID, false},
};

Test(b3, reads_the_single_header, .timeout = 10)
{
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        struct inbound got = {.parent = {.flags = 0x55}};
        const bool valid = b3_read_single(text_of(singles[i].text), &got);

        expect(singles[i].text, valid, &got, &singles[i].want,
               singles[i].is_short ? short_trace_id : trace_id);
    }
}

Test(b3, every_shorter_single_header_is_another_one_or_invalid, .timeout = 10)
{
    static const char text[] = T "-" S "-1-" P;
    struct inbound got;

    for (size_t n = 2; n < sizeof text - 1; n++) {
        char *const exact = malloc(n); /* for ASan, should more be read */
        bool valid;

        cr_assert_not_null(exact);
        memcpy(exact, text, n);
        valid = b3_read_single((struct text){exact, n}, &got);
        cr_expect_eq(valid, n == 49 || n == 51, "%zu bytes", n);
        free(exact);
    }
}

static const struct {
    const char *name, *trace, *span, *sampled, *flags;
    struct want want;
} multis[] = {
    {"all", T, S, "1", "", IDS(SAMPLED_YES, false)},
    {"not sampled", T, S, "0", "", IDS(SAMPLED_NO, false)},
    {"true", T, S, "true", "", IDS(SAMPLED_YES, false)},
    {"false", T, S, "false", "", IDS(SAMPLED_NO, false)},
    {"deferred", T, S, "", "", IDS(SAMPLED_DEFERRED, false)},
    {"debug", T, S, "", "1", IDS(SAMPLED_YES, true)},
    {"debug beats sampled", T, S, "0", "1", IDS(SAMPLED_YES, true)},
    {"other flags", T, S, "1", "0", IDS(SAMPLED_YES, false)},
    {"decision alone", "", "", "0", "", STATE(SAMPLED_NO, false)},
    {"debug alone", "", "", "", "1", STATE(SAMPLED_YES, true)},
    {"nothing", "", "", "", "", INVALID},
    {"unknown decision", T, S, "yes", "", INVALID},
    {"no span id", T, "", "1", "", INVALID},
    {"no trace id", "", S, "1", "", INVALID},
    {"bad trace id", "x" T, S, "1", "", INVALID},
    {"bad span id", T, "e457b5a2e4d86bdg", "1", "", INVALID},
    {"zero trace id", "0000000000000000", S, "1", "", INVALID},
};

Test(b3, reads_the_headers_of_the_other_form, .timeout = 10)
{
    for (size_t i = 0; i < sizeof multis / sizeof multis[0]; i++) {
        const struct b3_headers headers = {.trace_id = text_of(multis[i].trace),
                                           .span_id = text_of(multis[i].span),
                                           .sampled = text_of(multis[i].sampled),
                                           .flags = text_of(multis[i].flags)};
        struct inbound got = {.parent = {.flags = 0x55}};
        const bool valid = b3_read_multi(&headers, &got);

        expect(multis[i].name, valid, &got, &multis[i].want, trace_id);
    }
}

static void writes(uint8_t flags, bool debug, const char *want)
{
    struct trace_context context = {.flags = flags, .debug = debug};
    char out[B3_SINGLE_LEN];

    memcpy(context.trace_id, short_trace_id, 16);
    memcpy(context.span_id, span_id, 8);
    b3_write_single(&context, out);
    cr_expect_eq(strlen(want), B3_SINGLE_LEN);
    cr_expect_eq(memcmp(out, want, B3_SINGLE_LEN), 0, "got %.*s", (int)B3_SINGLE_LEN, out);
}

Test(b3, writes_the_single_header, .timeout = 10)
{
    writes(3, false, "0000000000000000" T64 "-" S "-1");
    writes(2, false, "0000000000000000" T64 "-" S "-0");
    writes(1, true, "0000000000000000" T64 "-" S "-d");
    writes(0, true, "0000000000000000" T64 "-" S "-0");
}
