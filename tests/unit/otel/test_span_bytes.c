/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_span_bytes.c - 4.1: an attribute is OTLP's bytes as soon as it is set. */
#include <criterion/criterion.h>
#include <string.h>

#include "opentelemetry/proto/trace/v1/trace.pb-c.h"
#include "signal/span.h"

#define KEY(text) text, sizeof text - 1

typedef Opentelemetry__Proto__Trace__V1__Span span_msg;

static const struct trace_context context = {.flags = 0};
static char text[SPAN_VALUE_MAX + 1];

static struct span *new_span(enum span_kind kind)
{
    struct span *span = span_create(kind, &context, NULL, false, 0, KEY("GET"));

    cr_assert_not_null(span);
    return span;
}

/* What a collector reads; protobuf-c packs it to the same bytes again. */
static span_msg *unpack(const struct span *span)
{
    static uint8_t again[1u << 20];
    size_t n;
    const uint8_t *bytes = span_attribute_bytes(span, &n);
    span_msg *msg = opentelemetry__proto__trace__v1__span__unpack(NULL, n, bytes);

    cr_assert_not_null(msg);
    cr_assert_eq(msg->n_attributes, span->n_attributes);
    cr_assert_eq(opentelemetry__proto__trace__v1__span__get_packed_size(msg), n);
    (void)opentelemetry__proto__trace__v1__span__pack(msg, again);
    cr_assert_arr_eq(again, bytes, n);
    return msg;
}

static void free_msg(span_msg *msg)
{
    opentelemetry__proto__trace__v1__span__free_unpacked(msg, NULL);
}

static void expect_text(const span_msg *msg, size_t i, const char *key, size_t n)
{
    cr_assert_str_eq(msg->attributes[i]->key, key);
    cr_assert_eq(strlen(msg->attributes[i]->value->string_value), n);
    cr_assert_arr_eq(msg->attributes[i]->value->string_value, text, n);
}

/* Wherever the block's end is, and whichever of its lengths take two bytes. */
Test(span_bytes, texts_of_every_length_fit_blocks_of_every_rest)
{
    memset(text, 't', sizeof text - 1);
    for (size_t n = 0; n <= 400; n++) {
        struct span *span = new_span(n % 2 == 0 ? SPAN_SERVER : SPAN_CLIENT);
        span_msg *msg;

        span_set_known_str(span, SPAN_KEY_URL_PATH, text, n);
        span_set_known_str(span, SPAN_KEY_URL_QUERY, text, 3);
        span_set_str(span, KEY("other"), text, n);
        span_set_known_int(span, SPAN_KEY_SERVER_PORT, (int64_t)n - 200);
        span_set_known_str(span, SPAN_KEY_ERROR_TYPE, text, 400 - n);
        msg = unpack(span);
        expect_text(msg, 0, "url.path", n);
        expect_text(msg, 1, "url.query", 3);
        expect_text(msg, 2, "other", n);
        cr_assert_eq(msg->attributes[3]->value->int_value, (int64_t)n - 200);
        expect_text(msg, 4, "error.type", 400 - n);
        free_msg(msg);
        span_destroy(span);
    }
}

Test(span_bytes, a_value_that_comes_again_leaves_nothing_of_the_old_one)
{
    static const size_t lengths[] = {0, 1, 90, 99, 100, 125, 126, 127, 128, 4000, 5};
    struct span *span = new_span(SPAN_SERVER);

    memset(text, 'u', sizeof text - 1);
    span_set_known_int(span, SPAN_KEY_SERVER_PORT, 443);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        span_msg *msg;

        span_set_known_str(span, SPAN_KEY_URL_PATH, text, lengths[i]);
        span_set_str(span, KEY("other"), text, lengths[i]);
        msg = unpack(span);
        cr_assert_eq(msg->attributes[0]->value->int_value, 443);
        expect_text(msg, 1, "url.path", lengths[i]);
        expect_text(msg, 2, "other", lengths[i]);
        free_msg(msg);
    }
    span_remove_known(span, SPAN_KEY_URL_PATH);
    span_remove_known(span, SPAN_KEY_SERVER_PORT);
    cr_assert_eq(span->n_attributes, 1);
    free_msg(unpack(span));
    span_destroy(span);
}

/* The lengths around a list grow while it does: from one byte to two. */
Test(span_bytes, lists_grow_in_their_place)
{
    struct span *span = new_span(SPAN_SERVER);

    memset(text, 'l', sizeof text - 1);
    span_add_str(span, KEY("http.request.header.a"), text, 0);
    span_set_known_int(span, SPAN_KEY_SERVER_PORT, 443);
    for (size_t n = 1; n < 80; n++) {
        const Opentelemetry__Proto__Common__V1__ArrayValue *list;
        span_msg *msg;

        span_add_str(span, KEY("http.request.header.a"), text, n);
        msg = unpack(span);
        list = msg->attributes[0]->value->array_value;
        cr_assert_eq(list->n_values, n + 1);
        for (size_t i = 0; i <= n; i++)
            cr_assert_eq(strlen(list->values[i]->string_value), i);
        cr_assert_eq(msg->attributes[1]->value->int_value, 443);
        free_msg(msg);
    }
    cr_assert_eq(span->dropped_attributes, 0);
    span_destroy(span);
}

/* What is lent to a span that ends is neither overrun nor freed. */
Test(span_bytes, a_span_may_outgrow_the_room_that_it_is_lent)
{
    static struct span_room room;
    struct pool_cache cache = {.kinds = {{NULL, 0}}};

    memset(text, 'r', sizeof text - 1);
    for (size_t n = 0; n <= SPAN_ROOM; n += 13) {
        struct span *span = span_create_from(&cache, SPAN_SERVER, &context, NULL, false, 0, "G", 1);
        span_msg *msg;

        cr_assert_not_null(span);
        span_set_known_str(span, SPAN_KEY_URL_PATH, text,
                           n); /* a block of its own from some n on */
        span_use_room(span, &room);
        span_set_known_str(span, SPAN_KEY_URL_QUERY, text, 500);
        span_set_str(span, KEY("other"), text, n);
        msg = unpack(span);
        expect_text(msg, 0, "url.path", n);
        expect_text(msg, 1, "url.query", 500);
        expect_text(msg, 2, "other", n);
        free_msg(msg);
        span_recycle(&cache, span);
    }
    pool_cache_fini(&cache);
}
