/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/otlp-console/traces.c - open traces in a list, each with pointers to its spans. The spans
 * stay where protobuf-c unpacked them: a request lives as long as a span of it is not printed.
 */
#include "traces.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define SPANS_MAX 1000u /* of one trace: then it is printed as it is */
#define DEPTH_MAX 64u
#define INDENT 2

typedef Opentelemetry__Proto__Common__V1__AnyValue any_value;
typedef Opentelemetry__Proto__Common__V1__ArrayValue array_value;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;
typedef Opentelemetry__Proto__Resource__V1__Resource resource_msg;
typedef Opentelemetry__Proto__Trace__V1__ResourceSpans resource_spans;
typedef Opentelemetry__Proto__Trace__V1__ScopeSpans scope_spans;
typedef Opentelemetry__Proto__Trace__V1__Span span_msg;

/* An unpacked request that traces point into. */
struct batch {
    export_request *request;
    size_t refs;
};

struct entry {
    const span_msg *span;
    const resource_msg *resource;
    struct batch *batch;
    bool printed;
};

struct trace {
    struct trace *next;
    ProtobufCBinaryData id; /* in the first span */
    struct entry *entries;
    size_t n, room;
    int64_t last_ns;
    bool touched; /* by the request that is being added */
};

struct traces {
    FILE *out;
    bool json;
    struct trace *open;
};

/* ---- parts of a span ---------------------------------------------------------------------- */

static bool same(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static const char *kind_name(const span_msg *span)
{
    static const char *const names[] = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                        "CLIENT",      "PRODUCER", "CONSUMER"};
    const int kind = (int)span->kind;

    return kind >= 0 && (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "UNKNOWN";
}

static const char *status_name(const span_msg *span)
{
    static const char *const names[] = {"UNSET", "OK", "ERROR"};
    const int code = span->status != NULL ? (int)span->status->code : 0;

    return code >= 0 && (size_t)code < sizeof names / sizeof names[0] ? names[code] : "UNKNOWN";
}

static const char *service_name(const resource_msg *resource)
{
    for (size_t i = 0; resource != NULL && i < resource->n_attributes; i++) {
        const key_value *pair = resource->attributes[i];

        if (strcmp(pair->key, "service.name") == 0 && pair->value != NULL &&
            pair->value->value_case ==
                OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE)
            return pair->value->string_value;
    }
    return "";
}

static void print_value(FILE *out, const any_value *value, bool json, unsigned depth);

static void print_array(FILE *out, const array_value *array, bool json, unsigned depth)
{
    (void)putc('[', out);
    for (size_t i = 0; i < array->n_values; i++) {
        (void)fputs(i == 0 ? "" : json ? "," : ", ", out);
        print_value(out, array->values[i], json, depth + 1);
    }
    (void)putc(']', out);
}

/* A value; what HAProxy's spans never hold is shown by its kind alone. */
static void print_value(FILE *out, const any_value *value, bool json, unsigned depth)
{
    switch (value != NULL ? value->value_case
                          : OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE__NOT_SET) {
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE:
        if (json)
            text_json(out, value->string_value);
        else
            text_plain(out, value->string_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE:
        (void)fputs(value->bool_value ? "true" : "false", out);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE:
        (void)fprintf(out, "%" PRId64, value->int_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE:
        (void)fprintf(out, json ? "\"%g\"" : "%g", value->double_value); /* may be a NaN */
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_ARRAY_VALUE:
        if (depth < DEPTH_MAX)
            print_array(out, value->array_value, json, depth);
        else
            (void)fputs(json ? "\"(array)\"" : "(array)", out);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_KVLIST_VALUE:
        (void)fputs(json ? "\"(map)\"" : "(map)", out);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE:
        (void)fputs(json ? "\"0x" : "0x", out);
        text_hex(out, value->bytes_value.data, value->bytes_value.len);
        (void)fputs(json ? "\"" : "", out);
        break;
    default:
        (void)fputs(json ? "null" : "(none)", out);
        break;
    }
}

/* ---- one line of JSON for each span ------------------------------------------------------- */

static void json_hex(FILE *out, const char *key, ProtobufCBinaryData id)
{
    (void)fprintf(out, ",\"%s\":\"", key);
    text_hex(out, id.data, id.len);
    (void)putc('"', out);
}

static void print_json(FILE *out, const span_msg *span, const resource_msg *resource)
{
    (void)fputs("{\"service\":", out);
    text_json(out, service_name(resource));
    json_hex(out, "trace_id", span->trace_id);
    json_hex(out, "span_id", span->span_id);
    json_hex(out, "parent_span_id", span->parent_span_id);
    (void)fprintf(out,
                  ",\"kind\":\"%s\",\"status\":\"%s\",\"flags\":%" PRIu32
                  ",\"start_unix_nano\":%" PRIu64 ",\"end_unix_nano\":%" PRIu64 ",\"name\":",
                  kind_name(span), status_name(span), span->flags, span->start_time_unix_nano,
                  span->end_time_unix_nano);
    text_json(out, span->name);
    (void)fputs(",\"attributes\":{", out);
    for (size_t i = 0; i < span->n_attributes; i++) {
        (void)fputs(i > 0 ? "," : "", out);
        text_json(out, span->attributes[i]->key);
        (void)putc(':', out);
        print_value(out, span->attributes[i]->value, true, 0);
    }
    (void)fputs("},\"events\":[", out);
    for (size_t i = 0; i < span->n_events; i++) {
        (void)fputs(i > 0 ? ",{\"name\":" : "{\"name\":", out);
        text_json(out, span->events[i]->name);
        (void)fprintf(out, ",\"time_unix_nano\":%" PRIu64 "}", span->events[i]->time_unix_nano);
    }
    (void)fputs("]}\n", out);
}

/* ---- trees -------------------------------------------------------------------------------- */

static double milliseconds(uint64_t from, uint64_t to)
{
    return ((double)to - (double)from) / 1e6;
}

static void print_span(FILE *out, const struct entry *entry, unsigned depth)
{
    const span_msg *span = entry->span;
    const int indent = INDENT * (int)(depth + 1);

    (void)fprintf(out, "%*s%s ", indent, "", kind_name(span));
    text_plain(out, span->name);
    (void)fprintf(out, "  %.3f ms",
                  (double)(int64_t)(span->end_time_unix_nano - span->start_time_unix_nano) / 1e6);
    if (strcmp(status_name(span), "UNSET") != 0)
        (void)fprintf(out, "  %s", status_name(span));
    (void)fputs("  [", out);
    text_hex(out, span->span_id.data, span->span_id.len);
    (void)fputs("]\n", out);
    for (size_t i = 0; i < span->n_attributes; i++) {
        (void)fprintf(out, "%*s", indent + 2 * INDENT, "");
        text_plain(out, span->attributes[i]->key);
        (void)fputs(" = ", out);
        print_value(out, span->attributes[i]->value, false, 0);
        (void)putc('\n', out);
    }
    for (size_t i = 0; i < span->n_events; i++) {
        (void)fprintf(out, "%*sevent ", indent + 2 * INDENT, "");
        text_plain(out, span->events[i]->name);
        (void)fprintf(out, " at +%.3f ms\n",
                      milliseconds(span->start_time_unix_nano, span->events[i]->time_unix_nano));
    }
}

static void print_branch(FILE *out, struct trace *trace, struct entry *entry, unsigned depth)
{
    entry->printed = true;
    print_span(out, entry, depth);
    for (size_t i = 0; i < trace->n && depth < DEPTH_MAX; i++) {
        struct entry *child = &trace->entries[i];

        if (!child->printed && same(child->span->parent_span_id, entry->span->span_id))
            print_branch(out, trace, child, depth + 1);
    }
}

static const struct entry *find_parent(const struct trace *trace, const span_msg *span)
{
    if (span->parent_span_id.len == 0)
        return NULL;
    for (size_t i = 0; i < trace->n; i++)
        if (same(trace->entries[i].span->span_id, span->parent_span_id))
            return &trace->entries[i];
    return NULL;
}

static int by_start(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    const uint64_t from = left->span->start_time_unix_nano, to = right->span->start_time_unix_nano;

    return from < to ? -1 : from > to;
}

static void print_tree(FILE *out, struct trace *trace)
{
    qsort(trace->entries, trace->n, sizeof *trace->entries, by_start);
    (void)fputs("trace ", out);
    text_hex(out, trace->id.data, trace->id.len);
    (void)fputs("  service ", out);
    text_plain(out, service_name(trace->entries[0].resource));
    (void)putc('\n', out);
    for (size_t i = 0; i < trace->n; i++)
        if (!trace->entries[i].printed && find_parent(trace, trace->entries[i].span) == NULL)
            print_branch(out, trace, &trace->entries[i], 0);
    /* Circles, and what is too deep. */
    for (size_t i = 0; i < trace->n; i++)
        if (!trace->entries[i].printed)
            print_branch(out, trace, &trace->entries[i], 0);
    (void)putc('\n', out);
    (void)fflush(out);
}

/* ---- keeping traces ----------------------------------------------------------------------- */

static void unref_batch(struct batch *batch)
{
    if (--batch->refs > 0)
        return;
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(
        batch->request, NULL);
    free(batch);
}

/* Print a trace and take it off the list. */
static void finish(struct traces *traces, struct trace **link)
{
    struct trace *trace = *link;

    *link = trace->next;
    print_tree(traces->out, trace);
    for (size_t i = 0; i < trace->n; i++)
        unref_batch(trace->entries[i].batch);
    free(trace->entries);
    free(trace);
}

static bool is_complete(const struct trace *trace)
{
    const uint32_t remote =
        OPENTELEMETRY__PROTO__TRACE__V1__SPAN_FLAGS__SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK;
    bool server = false;

    for (size_t i = 0; i < trace->n; i++) {
        const span_msg *span = trace->entries[i].span;

        if (span->kind == OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_SERVER)
            server = true;
        if (span->parent_span_id.len > 0 && (span->flags & remote) == 0 &&
            find_parent(trace, span) == NULL)
            return false;
    }
    return server;
}

static struct trace *find_trace(struct traces *traces, ProtobufCBinaryData id)
{
    struct trace *trace;

    for (trace = traces->open; trace != NULL; trace = trace->next)
        if (same(trace->id, id))
            return trace;
    trace = calloc(1, sizeof *trace);
    if (trace == NULL)
        return NULL;
    trace->id = id;
    trace->next = traces->open;
    traces->open = trace;
    return trace;
}

static int add_span(struct traces *traces, struct batch *batch, const resource_msg *resource,
                    const span_msg *span, int64_t now_ns)
{
    struct trace *trace = find_trace(traces, span->trace_id);

    if (trace == NULL)
        return -1;
    if (trace->n == trace->room) {
        const size_t room = trace->room > 0 ? trace->room * 2 : 4;
        struct entry *entries = realloc(trace->entries, room * sizeof *entries);

        if (entries == NULL)
            return -1;
        trace->entries = entries;
        trace->room = room;
    }
    batch->refs++;
    trace->entries[trace->n++] = (struct entry){.span = span, .resource = resource, .batch = batch};
    trace->last_ns = now_ns;
    trace->touched = true;
    return 0;
}

struct traces *traces_create(FILE *out, bool json)
{
    struct traces *traces = calloc(1, sizeof *traces);

    if (traces == NULL)
        return NULL;
    traces->out = out;
    traces->json = json;
    return traces;
}

void traces_destroy(struct traces *traces)
{
    if (traces == NULL)
        return;
    while (traces->open != NULL)
        finish(traces, &traces->open);
    free(traces);
}

/* Print the traces that a request made complete, or too large. */
static void finish_touched(struct traces *traces)
{
    struct trace **link = &traces->open;

    while (*link != NULL) {
        struct trace *trace = *link;
        const bool touched = trace->touched;

        trace->touched = false;
        if (trace->n == 0 || (touched && (trace->n >= SPANS_MAX || is_complete(trace))))
            finish(traces, link);
        else
            link = &trace->next;
    }
}

int traces_add(struct traces *traces, export_request *request, int64_t now_ns)
{
    struct batch *batch = calloc(1, sizeof *batch);
    int rc = batch != NULL ? 0 : -1;

    if (batch == NULL) {
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(
            request, NULL);
        return -1;
    }
    *batch = (struct batch){.request = request, .refs = 1};
    for (size_t r = 0; r < request->n_resource_spans; r++) {
        const resource_spans *resource = request->resource_spans[r];

        for (size_t s = 0; s < resource->n_scope_spans; s++) {
            const scope_spans *scope = resource->scope_spans[s];

            for (size_t i = 0; i < scope->n_spans; i++) {
                if (traces->json)
                    print_json(traces->out, scope->spans[i], resource->resource);
                else if (add_span(traces, batch, resource->resource, scope->spans[i], now_ns) != 0)
                    rc = -1;
            }
        }
    }
    if (traces->json)
        (void)fflush(traces->out);
    finish_touched(traces);
    unref_batch(batch);
    return rc;
}

void traces_tick(struct traces *traces, int64_t now_ns)
{
    struct trace **link = &traces->open;

    while (*link != NULL) {
        if (now_ns - (*link)->last_ns >= TRACE_QUIET_NS)
            finish(traces, link);
        else
            link = &(*link)->next;
    }
}
