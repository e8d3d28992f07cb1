/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_answer.c - what a collector says, and what it must not do to a line. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "otlp/answer.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

TestSuite(answer, .timeout = 60);

/* An answer with this number and text. @return its length */
static size_t pack(int64_t rejected, const char *text, uint8_t bytes[256])
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess partial;
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse response;

    opentelemetry__proto__collector__trace__v1__export_trace_partial_success__init(&partial);
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__init(&response);
    partial.rejected_spans = rejected;
    partial.error_message = (char *)(uintptr_t)text;
    response.partial_success = &partial;
    return opentelemetry__proto__collector__trace__v1__export_trace_service_response__pack(
        &response, bytes);
}

/* 9.1: otlp_answer.c:72, a negative number. */
Test(answer, reads_how_many_were_rejected)
{
    const struct {
        int64_t said;
        uint64_t wanted;
    } rows[] = {{0, 0}, {1, 1}, {3, 3}, {-1, 0}, {INT64_MIN, 0}, {INT64_MAX, INT64_MAX}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[256];
        uint64_t rejected = 7;
        char text[64];

        cr_assert(otlp_read_response(bytes, pack(rows[i].said, "too old", bytes), &rejected, text,
                                     sizeof text));
        cr_expect_eq(rejected, rows[i].wanted, "%ld: %lu", (long)rows[i].said,
                     (unsigned long)rejected);
        cr_expect_str_eq(text, "too old");
    }
}

Test(answer, an_empty_one_rejects_nothing)
{
    uint64_t rejected = 7;
    char text[64] = "x";

    cr_assert(otlp_read_response(NULL, 0, &rejected, text, sizeof text));
    cr_assert_eq(rejected, 0);
    cr_assert_str_empty(text);
}

Test(answer, what_is_no_answer_is_told)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff};
    uint64_t rejected = 7;
    char text[64] = "x";

    cr_assert_not(otlp_read_response(bytes, sizeof bytes, &rejected, text, sizeof text));
    cr_assert_eq(rejected, 0);
    cr_assert_str_empty(text);
}

Test(answer, texts_become_one_clean_line)
{
    const struct {
        const char *said, *wanted;
    } rows[] = {{"", ""},
                {" \r\n\t", ""},
                {"because\r\nof", "because of"},
                {"{\n  \"error\": \"no\"\n}\n", "{ \"error\": \"no\" }"},
                {"a\x1b[31mb\x7f", "a [31mb"},
                {"\xc3\xa4\xff", "\xc3\xa4\xef\xbf\xbd"},
                {"0123456789abcdefghi", "0123456789abcde"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[16];

        otlp_clean_text(rows[i].said, strlen(rows[i].said), text, sizeof text);
        if (strlen(rows[i].wanted) < sizeof text)
            cr_expect_str_eq(text, rows[i].wanted, "%zu: %s", i, text);
        else
            cr_expect_eq(strncmp(text, rows[i].wanted, strlen(text)), 0, "%zu: %s", i, text);
    }
}

static long peak_kib(void)
{
    struct rusage usage;

    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Two million fields that nobody knows in a message of 4 MiB cost no memory. */
Test(answer, a_message_of_many_fields_is_not_unpacked)
{
    static const uint8_t fields[][2] = {{0x78, 0}, {0x1a, 0}, {0x12, 0}, {0x0a, 0}};
    uint8_t *bytes = malloc(OTLP_ANSWER_MAX);
    uint64_t rejected;
    int64_t delay;
    char text[64];
    long before;

    cr_assert_not_null(bytes);
    memset(bytes, 0, OTLP_ANSWER_MAX);
    before = peak_kib();
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (size_t at = 0; at < OTLP_ANSWER_MAX; at += 2)
            memcpy(bytes + at, fields[i], 2);
        cr_expect(otlp_read_response(bytes, OTLP_ANSWER_MAX, &rejected, text, sizeof text));
        cr_expect_eq(rejected, 0);
        cr_expect_not(otlp_read_retry_info(bytes, OTLP_ANSWER_MAX, &delay));
        otlp_read_status_message(bytes, OTLP_ANSWER_MAX, text, sizeof text);
        cr_expect_str_empty(text);
    }
    cr_expect_leq(peak_kib() - before, 20 * 1024);
    free(bytes);
}

/* Each way in which a message can end too early, or be none. */
Test(answer, what_is_cut_is_no_message)
{
    static const struct {
        uint8_t bytes[12];
        size_t n;
        bool good;
    } rows[] = {
        {{0x0a, 0x02, 0x08, 0x05}, 4, true},
        {{0x0a, 0x02, 0x08}, 3, false},            /* shorter than its length */
        {{0x0a, 0x01, 0x08}, 3, false},            /* no number */
        {{0x0a, 0x02, 0x08, 0x85}, 4, false},      /* half a number */
        {{0x0a}, 1, false},                        /* no length */
        {{0x8a}, 1, false},                        /* half a tag */
        {{0x02, 0x00}, 2, false},                  /* field 0 */
        {{0x0b}, 1, false},                        /* a group */
        {{0x7d, 1, 2, 3, 4, 0x08, 0x05}, 7, true}, /* fixed32, and field 1 of another type */
        {{0x7d, 1, 2, 3}, 4, false},
        {{0x79, 1, 2, 3, 4, 5, 6, 7, 8}, 9, true}, /* fixed64 */
        {{0x79, 1, 2, 3, 4, 5, 6, 7}, 8, false},
        {{0x78, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 11, true},
        {{0x78, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 12, false},
        {{0x7a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 11, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t rejected = 7;
        char text[64];

        cr_expect_eq(otlp_read_response(rows[i].bytes, rows[i].n, &rejected, text, sizeof text),
                     rows[i].good, "row %zu", i);
        cr_expect_eq(rejected, i == 0 ? 5 : 0, "row %zu", i);
    }
}
