/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_arguments.c - any arguments make spans that a collector takes: keys once, texts
 * that are UTF-8, within their limits; and redaction leaves no value.
 *
 * Input: a byte for the message and the names' mode, then per argument a byte that chooses its
 * name (conventional ones first), its type, the length of its value, and the value.
 */
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "input/message_fill.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "record/query.h"
#include "base/utf8.h"

#define ARGS_MAX 32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
#define X(id, name, ...) name,
    OTEL_FIELDS(OTEL_NOTHING, X)
#undef X
        "http.request.header.X-a",
    "http.response.header.b"};
#define N_NAMES (sizeof names / sizeof names[0])

static size_t read_args(const uint8_t *p, const uint8_t *end, struct spoe_arg *ret)
{
    size_t n = 0;

    for (; n < ARGS_MAX && end - p >= 3; n++) {
        const uint8_t name = p[0], type = p[1] % 10;
        size_t len = p[2];
        struct spoe_value *value = &ret[n].value;

        p += 3;
        if (len > (size_t)(end - p))
            len = (size_t)(end - p);
        *value = (struct spoe_value){.type = type};
        if (type == SPOE_T_STR || type == SPOE_T_BIN)
            value->u.s = (struct spoe_span){(const char *)p, len};
        else
            memcpy(&value->u, p, len < sizeof value->u ? len : sizeof value->u);
        if (type == SPOE_T_BOOL)
            value->u.b &= 1;
        ret[n].name =
            name < N_NAMES ? spoe_str(names[name]) : (struct spoe_span){(const char *)p, len / 2};
        p += len;
    }
    return n;
}

static void check_span(const struct span *span)
{
    struct span_attr attr, other;
    size_t pos = 0, n = 0;

    while (span_attribute(span, &pos, &attr)) {
        const char *p;
        size_t at = 0, len, after = pos;

        n++;
        if (attr.key_len == 0 || attr.key_len > SPAN_KEY_MAX ||
            !utf8_is_clean(attr.key, attr.key_len) || attr.str_len > SPAN_VALUE_MAX)
            abort();
        if (attr.type == SPAN_STRING && !utf8_is_clean(attr.str, attr.str_len))
            abort();
        if (attr.type == SPAN_STRINGS)
            while (span_attr_string(&attr, &at, &p, &len))
                if (!utf8_is_clean(p, len))
                    abort();
        while (span_attribute(span, &after, &other))
            if (other.key_len == attr.key_len && memcmp(other.key, attr.key, attr.key_len) == 0)
                abort();
    }
    if (n != span->n_attributes || n > SPAN_ATTRIBUTES_DEFAULT)
        abort();
    if (!utf8_is_clean(span_name(span, &pos), pos))
        abort();
}

/* Every value of a query that was redacted is the word, or empty. */
static void check_query(const uint8_t *data, size_t size)
{
    static char out[SPAN_VALUE_MAX];
    const size_t n =
        query_redact("*", (struct spoe_span){(const char *)data, size}, out, sizeof out);

    for (size_t i = 0; n < sizeof out && i < n; i++) {
        const char *end;

        if (out[i] != '=')
            continue;
        end = memchr(out + i, '&', n - i);
        end = end != NULL ? end : out + n;
        if (end - (out + i) != 1 && (end - (out + i) != 1 + (long)strlen(QUERY_REDACTED) ||
                                     memcmp(out + i + 1, QUERY_REDACTED, 8) != 0))
            abort();
        i = (size_t)(end - out);
    }
    (void)query_redact_url("sig", (struct spoe_span){(const char *)data, size}, out, sizeof out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct trace_context context = {.trace_id = {1}, .span_id = {1}};
    struct spoe_arg args[ARGS_MAX];
    struct span *server, *client;
    struct policy policy = {
        .conventions = {.known_methods = HTTP_KNOWN_METHODS, .redact_query = "*"}};
    struct spoe_value slots[REQUEST_SLOTS] = {
        {.type = SPOE_T_NULL}}; /* more than the others have */
    struct spoe_message msg = {
        .size = sizeof msg, .slot = slots, .args = args, .recv_unix_ns = INT64_C(1) << 60};

    if (size == 0)
        return 0;
    check_query(data, size);
    msg.index = data[0] % 3;
    policy.conventions.semconv = (enum semconv_mode)(data[0] / 3 % 3);
    msg.n_args = (uint32_t)read_args(data + 1, data + size, args);
    server = msg.index == MESSAGE_BACKEND
                 ? NULL
                 : span_create(SPAN_SERVER, &context, NULL, false, 1, "GET", 3);
    client = msg.index == MESSAGE_REQUEST
                 ? NULL
                 : span_create(SPAN_CLIENT, &context, NULL, false, 1, "GET", 3);
    (void)message_fill(&policy, &msg, server, client);
    if (server != NULL)
        check_span(server);
    if (client != NULL) {
        fill_full_url(&policy.conventions, client);
        check_span(client);
    }
    span_destroy(server);
    span_destroy(client);
    return 0;
}
