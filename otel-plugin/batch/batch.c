/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/batch/batch.c - the encoder on protobuf-c.
 *
 * protobuf-c packs a tree of structs. The tree of a batch lives in one arena whose size is counted
 * before it is filled, so nothing moves while it is built:
 *
 *   request - resource spans - resource, made once per encoder
 *                            - scope spans - scope, likewise
 *                                          - spans[] - attributes[], events[], status
 *
 * protobuf-c takes strings up to their NUL, ours have a length: each is copied with a NUL behind
 * it, and a NUL inside it (valid UTF-8, but no string of C) becomes U+FFFD.
 */
#include "batch/batch.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

typedef Opentelemetry__Proto__Common__V1__AnyValue any_value;
typedef Opentelemetry__Proto__Common__V1__ArrayValue array_value;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope scope_msg;
typedef Opentelemetry__Proto__Resource__V1__Resource resource_msg;
typedef Opentelemetry__Proto__Trace__V1__ResourceSpans resource_spans_msg;
typedef Opentelemetry__Proto__Trace__V1__ScopeSpans scope_spans_msg;
typedef Opentelemetry__Proto__Trace__V1__Span span_msg;
typedef Opentelemetry__Proto__Trace__V1__Span__Event event_msg;
typedef Opentelemetry__Proto__Trace__V1__Status status_msg;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest request_msg;

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define REPLACEMENT_LEN 3u
#define OWN_ATTRIBUTES 4u /* service.name and telemetry.sdk.* */

/* The most that the tag and the length of one span add to its scope's message. */
#define SPAN_FRAMING 6u
/* The same for the messages around the spans: two tags with lengths. */
#define ENVELOPE_FRAMING 12u

struct arena {
    char *base;
    size_t size, used;
};

/* One attribute of the resource. */
struct resource_part {
    any_value value;
    key_value pair;
    char *key, *str; /* owned */
};

struct batch_encoder {
    struct arena arena;
    uint8_t *bytes; /* the last request */
    size_t bytes_size;
    char *version;
    struct resource_part *parts; /* of the resource, as many as it has attributes */
    resource_msg resource;
    scope_msg scope;
};

/* ---- arena -------------------------------------------------------------------------------- */

static size_t align_up(size_t n)
{
    return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

/* Memory from the arena; the counting pass has made sure that it is there. */
static void *take(struct arena *arena, size_t size)
{
    char *p = arena->base + arena->used;

    size = align_up(size);
    assert(size <= arena->size - arena->used);
    arena->used += size;
    return p;
}

static size_t count_nuls(const char *p, size_t n)
{
    size_t nuls = 0;

    for (size_t i = 0; i < n; i++)
        nuls += p[i] == '\0';
    return nuls;
}

static size_t string_size(const char *p, size_t n)
{
    return align_up(n + count_nuls(p, n) * (REPLACEMENT_LEN - 1) + 1);
}

static char *take_string(struct arena *arena, const char *p, size_t n)
{
    char *ret = take(arena, string_size(p, n));
    char *out = ret;

    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\0') {
            *out++ = p[i];
        } else {
            memcpy(out, REPLACEMENT, REPLACEMENT_LEN);
            out += REPLACEMENT_LEN;
        }
    }
    *out = '\0';
    return ret;
}

/* ---- counting ----------------------------------------------------------------------------- */

static size_t value_size(const struct span_attr *attr)
{
    size_t size = align_up(sizeof(any_value)), pos = 0, n;
    const char *p;

    switch (attr->type) {
    case SPAN_STRING:
        return size + string_size(attr->str, attr->str_len);
    case SPAN_STRINGS:
        size += align_up(sizeof(array_value));
        while (span_attr_string(attr, &pos, &p, &n))
            size += align_up(sizeof(any_value)) + align_up(sizeof(any_value *)) + string_size(p, n);
        return size;
    default: /* bytes are packed from the span's own memory */
        return size;
    }
}

static size_t span_size(const struct span *span)
{
    size_t size = align_up(sizeof(span_msg)) + align_up(sizeof(status_msg)), n, pos = 0;
    const char *name = span_name(span, &n), *state;
    struct span_attr attr;

    size += string_size(name, n);
    state = span_trace_state(span, &n);
    if (state != NULL)
        size += string_size(state, n);
    size += align_up(span->n_attributes * sizeof(key_value *));
    while (span_attribute(span, &pos, &attr)) {
        size += align_up(sizeof(key_value)) + value_size(&attr);
        size += string_size(attr.key, attr.key_len);
    }
    size += align_up(span->n_events * sizeof(event_msg *));
    for (size_t i = 0; i < span->n_events; i++)
        size += align_up(sizeof(event_msg)) +
                string_size(span->events[i].name, strlen(span->events[i].name));
    return size;
}

/*
 * Empty the arena and make it hold the list, or as much of its head as passes the limit: the tree
 * is larger than its bytes, but not often more than twice.
 */
static int reserve(struct arena *arena, const struct span *spans, size_t limit, size_t *ret_n)
{
    size_t need = 0, n = 0;

    for (const struct span *span = spans; span != NULL && need < limit; span = span->next) {
        need += span_size(span);
        n++;
    }
    need += align_up(n * sizeof(span_msg *));
    if (need > arena->size) {
        free(arena->base);
        *arena = (struct arena){.base = malloc(need), .size = need};
        if (arena->base == NULL) {
            arena->size = 0;
            return BATCH_E_NOMEM;
        }
    }
    arena->used = 0;
    *ret_n = n;
    return 0;
}

/* ---- building ----------------------------------------------------------------------------- */

static any_value *build_string(struct arena *arena, const char *p, size_t n)
{
    any_value *value = take(arena, sizeof *value);

    opentelemetry__proto__common__v1__any_value__init(value);
    value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
    value->string_value = take_string(arena, p, n);
    return value;
}

static array_value *build_strings(struct arena *arena, const struct span_attr *attr)
{
    array_value *array = take(arena, sizeof *array);
    size_t pos = 0, n, count = 0;
    const char *p;

    opentelemetry__proto__common__v1__array_value__init(array);
    while (span_attr_string(attr, &pos, &p, &n))
        count++;
    array->values = take(arena, count * sizeof(any_value *));
    for (pos = 0; span_attr_string(attr, &pos, &p, &n);)
        array->values[array->n_values++] = build_string(arena, p, n);
    return array;
}

static ProtobufCBinaryData binary(const void *p, size_t n)
{
    /* protobuf-c only reads what it packs; its type has no const. */
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)p};
}

static key_value *build_attribute(struct arena *arena, const struct span_attr *attr)
{
    key_value *pair = take(arena, sizeof *pair);
    any_value *value = take(arena, sizeof *value);

    opentelemetry__proto__common__v1__key_value__init(pair);
    opentelemetry__proto__common__v1__any_value__init(value);
    pair->key = take_string(arena, attr->key, attr->key_len);
    pair->value = value;
    switch (attr->type) {
    case SPAN_STRING:
        value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
        value->string_value = take_string(arena, attr->str, attr->str_len);
        break;
    case SPAN_BOOL:
        value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE;
        value->bool_value = attr->i != 0;
        break;
    case SPAN_INT:
        value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE;
        value->int_value = attr->i;
        break;
    case SPAN_BYTES:
        value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE;
        value->bytes_value = binary(attr->str, attr->str_len);
        break;
    case SPAN_STRINGS:
        value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_ARRAY_VALUE;
        value->array_value = build_strings(arena, attr);
        break;
    }
    return pair;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

/* Span.flags: the W3C flags, and whether the parent came from another process. */
static uint32_t span_flags(const struct span *span)
{
    uint32_t flags = span->context.flags;

    flags |= OPENTELEMETRY__PROTO__TRACE__V1__SPAN_FLAGS__SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK;
    if (span->parent_remote)
        flags |= OPENTELEMETRY__PROTO__TRACE__V1__SPAN_FLAGS__SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK;
    return flags;
}

static void build_events(struct arena *arena, const struct span *span, span_msg *msg)
{
    if (span->n_events == 0)
        return;
    msg->events = take(arena, span->n_events * sizeof(event_msg *));
    for (size_t i = 0; i < span->n_events; i++) {
        const struct span_event *from = &span->events[i];
        event_msg *event = take(arena, sizeof *event);

        opentelemetry__proto__trace__v1__span__event__init(event);
        event->time_unix_nano = (uint64_t)from->time_unix_ns;
        event->name = take_string(arena, from->name, strlen(from->name));
        msg->events[msg->n_events++] = event;
    }
}

static span_msg *build_span(struct arena *arena, const struct span *span)
{
    span_msg *msg = take(arena, sizeof *msg);
    size_t name_len, state_len, pos = 0;
    const char *name = span_name(span, &name_len), *state = span_trace_state(span, &state_len);
    struct span_attr attr;

    opentelemetry__proto__trace__v1__span__init(msg);
    msg->trace_id = binary(span->context.trace_id, sizeof span->context.trace_id);
    msg->span_id = binary(span->context.span_id, sizeof span->context.span_id);
    if (!is_zero(span->parent_id, sizeof span->parent_id))
        msg->parent_span_id = binary(span->parent_id, sizeof span->parent_id);
    if (state != NULL)
        msg->trace_state = take_string(arena, state, state_len);
    msg->flags = span_flags(span);
    msg->name = take_string(arena, name, name_len);
    msg->kind = (Opentelemetry__Proto__Trace__V1__Span__SpanKind)span->kind;
    msg->start_time_unix_nano = (uint64_t)span->start_unix_ns;
    msg->end_time_unix_nano = (uint64_t)span->end_unix_ns;
    msg->dropped_attributes_count = span->dropped_attributes;
    msg->dropped_events_count = span->dropped_events;
    if (span->n_attributes > 0)
        msg->attributes = take(arena, span->n_attributes * sizeof(key_value *));
    while (span_attribute(span, &pos, &attr)) {
        assert(msg->n_attributes < span->n_attributes);
        msg->attributes[msg->n_attributes++] = build_attribute(arena, &attr);
    }
    build_events(arena, span, msg);
    if (span->status != SPAN_STATUS_UNSET) {
        msg->status = take(arena, sizeof *msg->status);
        opentelemetry__proto__trace__v1__status__init(msg->status);
        msg->status->code = (Opentelemetry__Proto__Trace__V1__Status__StatusCode)span->status;
    }
    return msg;
}

/* ---- the encoder -------------------------------------------------------------------------- */

static int add_resource_attribute(struct batch_encoder *encoder, const char *key, const char *str,
                                  int64_t i)
{
    struct resource_part *part = &encoder->parts[encoder->resource.n_attributes];

    opentelemetry__proto__common__v1__any_value__init(&part->value);
    opentelemetry__proto__common__v1__key_value__init(&part->pair);
    part->key = strdup(key);
    part->str = str != NULL ? strdup(str) : NULL;
    encoder->resource.attributes[encoder->resource.n_attributes++] = &part->pair;
    if (part->key == NULL || (str != NULL && part->str == NULL))
        return BATCH_E_NOMEM;
    if (str != NULL) {
        part->value.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
        part->value.string_value = part->str;
    } else {
        part->value.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE;
        part->value.int_value = i;
    }
    part->pair.key = part->key;
    part->pair.value = &part->value;
    return 0;
}

static bool has_attribute(const struct batch_resource *resource, const char *key)
{
    for (size_t i = 0; i < resource->n_attributes; i++) {
        if (strcmp(resource->attributes[i].key, key) == 0)
            return true;
    }
    return false;
}

static int build_resource(struct batch_encoder *encoder, const struct batch_resource *resource)
{
    /* "opentelemetry" is reserved for the official SDKs, and no language "c" is registered. */
    const struct resource_attribute own[OWN_ATTRIBUTES] = {
        {.key = "service.name", .str = resource->service_name},
        {.key = "telemetry.sdk.name", .str = "spoe-host"},
        {.key = "telemetry.sdk.language", .str = "c"},
        {.key = "telemetry.sdk.version", .str = resource->version},
    };
    const size_t max = OWN_ATTRIBUTES + resource->n_attributes;
    int rc = 0;

    opentelemetry__proto__resource__v1__resource__init(&encoder->resource);
    encoder->parts = calloc(max, sizeof *encoder->parts);
    encoder->resource.attributes = calloc(max, sizeof(key_value *));
    if (encoder->parts == NULL || encoder->resource.attributes == NULL)
        return BATCH_E_NOMEM;
    for (size_t i = 0; i < OWN_ATTRIBUTES && rc == 0; i++) {
        if (!has_attribute(resource, own[i].key))
            rc = add_resource_attribute(encoder, own[i].key, own[i].str, 0);
    }
    for (size_t i = 0; i < resource->n_attributes && rc == 0; i++) {
        const struct resource_attribute *more = &resource->attributes[i];

        rc = add_resource_attribute(encoder, more->key, more->str, more->i);
    }
    return rc;
}

struct batch_encoder *batch_encoder_create(const struct batch_resource *resource)
{
    struct batch_encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder == NULL)
        return NULL;
    encoder->version = strdup(resource->version);
    if (encoder->version == NULL || build_resource(encoder, resource) != 0) {
        batch_encoder_destroy(encoder);
        return NULL;
    }
    opentelemetry__proto__common__v1__instrumentation_scope__init(&encoder->scope);
    encoder->scope.name = (char *)(uintptr_t)BATCH_SCOPE_NAME; /* only read */
    encoder->scope.version = encoder->version;
    return encoder;
}

void batch_encoder_destroy(struct batch_encoder *encoder)
{
    if (encoder == NULL)
        return;
    for (size_t i = 0; i < encoder->resource.n_attributes; i++) {
        free(encoder->parts[i].key);
        free(encoder->parts[i].str);
    }
    free(encoder->parts);
    free(encoder->resource.attributes);
    free(encoder->arena.base);
    free(encoder->bytes);
    free(encoder->version);
    free(encoder);
}

static int pack(struct batch_encoder *encoder, const request_msg *request, size_t *ret_size)
{
    size_t size =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__get_packed_size(
            request);

    if (size > encoder->bytes_size) {
        free(encoder->bytes);
        encoder->bytes = malloc(size);
        encoder->bytes_size = encoder->bytes != NULL ? size : 0;
        if (encoder->bytes == NULL)
            return BATCH_E_NOMEM;
    }
    *ret_size = opentelemetry__proto__collector__trace__v1__export_trace_service_request__pack(
        request, encoder->bytes);
    return 0;
}

int batch_encode(struct batch_encoder *encoder, const struct span *spans, size_t bytes_max,
                 const uint8_t **ret_bytes, size_t *ret_size, size_t *ret_n)
{
    request_msg request;
    resource_spans_msg resource_spans, *resource_spans_list = &resource_spans;
    scope_spans_msg scope_spans, *scope_spans_list = &scope_spans;
    const struct span *last = NULL;
    size_t bytes, n;
    int rc;

    assert(spans != NULL);
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__init(&request);
    opentelemetry__proto__trace__v1__resource_spans__init(&resource_spans);
    opentelemetry__proto__trace__v1__scope_spans__init(&scope_spans);
    rc = reserve(&encoder->arena, spans, bytes_max * 2, &n);
    if (rc != 0)
        return rc;
    request.n_resource_spans = 1;
    request.resource_spans = &resource_spans_list;
    resource_spans.resource = &encoder->resource;
    resource_spans.n_scope_spans = 1;
    resource_spans.scope_spans = &scope_spans_list;
    scope_spans.scope = &encoder->scope;
    scope_spans.spans = take(&encoder->arena, n * sizeof(span_msg *));

    bytes =
        ENVELOPE_FRAMING +
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__get_packed_size(
            &request);
    for (const struct span *span = spans; n > 0; span = span->next, n--) {
        span_msg *msg = build_span(&encoder->arena, span);
        size_t size = SPAN_FRAMING + opentelemetry__proto__trace__v1__span__get_packed_size(msg);

        if (scope_spans.n_spans > 0 && (bytes > bytes_max || size > bytes_max - bytes))
            break;
        bytes += size;
        scope_spans.spans[scope_spans.n_spans++] = msg;
        last = span;
    }
    if (scope_spans.n_spans > 1 && last != NULL && last->next != NULL &&
        span_is_child(last, last->next))
        scope_spans.n_spans--; /* a request's two spans leave together */
    rc = pack(encoder, &request, ret_size);
    if (rc != 0)
        return rc;
    *ret_bytes = encoder->bytes;
    *ret_n = scope_spans.n_spans;
    return 0;
}
