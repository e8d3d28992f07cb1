/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_answer.c - what a collector says, and what it must not do to a line. */
#include <criterion/criterion.h>
#include <string.h>

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
