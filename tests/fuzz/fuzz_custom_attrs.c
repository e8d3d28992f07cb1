/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_custom_attrs.c - custom attributes onto a span: every pair lies inside the text,
 * and what the span shows is UTF-8, bounded, and no key twice.
 */
#include <stdlib.h>
#include <string.h>

#include "record/custom_attrs.h"
#include "signal/span.h"
#include "base/utf8.h"

#define INPUT_MAX 768u /* more than SPAN_ATTRIBUTES_DEFAULT pairs; longer ones are only slower */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const char *p, size_t n, const char *begin, const char *end)
{
    if (n > 0 && (p < begin || p > end || n > (size_t)(end - p)))
        abort();
}

static void check_span(const struct span *span)
{
    struct span_attr a, b;
    size_t n = 0;

    for (size_t i = 0; span_attribute(span, &i, &a); n++) {
        if (a.key_len == 0 || a.key_len > SPAN_KEY_MAX || a.str_len > SPAN_VALUE_MAX ||
            !utf8_is_clean(a.key, a.key_len) || !utf8_is_clean(a.str, a.str_len))
            abort();
        for (size_t j = i; span_attribute(span, &j, &b);)
            if (a.key_len == b.key_len && memcmp(a.key, b.key, a.key_len) == 0)
                abort();
    }
    if (n != span->n_attributes || n > SPAN_ATTRIBUTES_DEFAULT)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {1}};
    const char *text = (const char *)data;
    const size_t len = size < INPUT_MAX ? size : INPUT_MAX;
    const char *end = len > 0 ? text + len : text;
    struct custom_attrs attrs = {.p = text, .end = end};
    struct custom_attr attr;
    struct span *span = span_create(SPAN_SERVER, &context, NULL, false, 1, text, len);
    size_t n = 0;

    if (span == NULL)
        abort();
    while (custom_attrs_next(&attrs, &attr)) {
        check_inside(attr.key, attr.key_len, text, end);
        check_inside(attr.value, attr.value_len, text, end);
        if (attr.key_len == 0 || ++n > CUSTOM_ATTRS_MAX)
            abort();
        span_set_str(span, attr.key, attr.key_len, attr.value, attr.value_len);
    }
    check_span(span);
    span_destroy(span);
    return 0;
}
