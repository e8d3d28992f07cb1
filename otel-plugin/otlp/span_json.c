/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/otlp/span_json.c - JSON of OTLP's messages; the strings in them are UTF-8. */
#include "otlp/span_json.h"

#include <inttypes.h>
#include <math.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

typedef Opentelemetry__Proto__Common__V1__AnyValue any_value;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope scope_msg;
typedef Opentelemetry__Proto__Resource__V1__Resource resource_msg;
typedef Opentelemetry__Proto__Trace__V1__Span span_msg;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest request_msg;

/* The results of stdio are looked at once, by whoever opened `out`. */

static void put_string(FILE *out, const char *s)
{
    (void)putc('"', out);
    for (; *s != '\0'; s++) {
        const unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)putc(c, out);
    }
    (void)putc('"', out);
}

static void put_hex(FILE *out, ProtobufCBinaryData bytes)
{
    (void)putc('"', out);
    for (size_t i = 0; i < bytes.len; i++)
        (void)fprintf(out, "%02x", bytes.data[i]);
    (void)putc('"', out);
}

static void put_attributes(FILE *out, key_value *const *attributes, size_t n);

static void put_value(FILE *out, const any_value *value)
{
    switch (value->value_case) {
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE:
        put_string(out, value->string_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE:
        (void)fputs(value->bool_value ? "true" : "false", out);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE:
        (void)fprintf(out, "%" PRId64, value->int_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE:
        (void)fprintf(out, isfinite(value->double_value) ? "%.17g" : "\"%f\"", value->double_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE:
        put_hex(out, value->bytes_value);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_ARRAY_VALUE:
        (void)putc('[', out);
        for (size_t i = 0; i < value->array_value->n_values; i++) {
            (void)fputs(i > 0 ? "," : "", out);
            put_value(out, value->array_value->values[i]);
        }
        (void)putc(']', out);
        break;
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_KVLIST_VALUE:
        put_attributes(out, value->kvlist_value->values, value->kvlist_value->n_values);
        break;
    default:
        (void)fputs("null", out);
    }
}

static void put_attributes(FILE *out, key_value *const *attributes, size_t n)
{
    (void)putc('{', out);
    for (size_t i = 0; i < n; i++) {
        (void)fputs(i > 0 ? "," : "", out);
        put_string(out, attributes[i]->key);
        (void)putc(':', out);
        if (attributes[i]->value != NULL)
            put_value(out, attributes[i]->value);
        else
            (void)fputs("null", out);
    }
    (void)putc('}', out);
}

static const char *kind_name(const span_msg *span)
{
    static const char *const names[] = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                        "CLIENT",      "PRODUCER", "CONSUMER"};
    const size_t kind = (size_t)span->kind;

    return kind < sizeof names / sizeof names[0] ? names[kind] : names[0];
}

static const char *status_name(const span_msg *span)
{
    static const char *const names[] = {"UNSET", "OK", "ERROR"};
    const size_t code = span->status != NULL ? (size_t)span->status->code : 0;

    return code < sizeof names / sizeof names[0] ? names[code] : names[0];
}

static void put_span(FILE *out, const span_msg *span, const scope_msg *scope,
                     const resource_msg *resource)
{
    (void)fputs("{\"trace_id\":", out);
    put_hex(out, span->trace_id);
    (void)fputs(",\"span_id\":", out);
    put_hex(out, span->span_id);
    (void)fputs(",\"parent_span_id\":", out);
    put_hex(out, span->parent_span_id);
    (void)fprintf(out,
                  ",\"kind\":\"%s\",\"status\":\"%s\",\"flags\":%" PRIu32
                  ",\"start_unix_nano\":%" PRIu64 ",\"end_unix_nano\":%" PRIu64 ",\"trace_state\":",
                  kind_name(span), status_name(span), span->flags, span->start_time_unix_nano,
                  span->end_time_unix_nano);
    put_string(out, span->trace_state);
    (void)fputs(",\"name\":", out);
    put_string(out, span->name);
    (void)fputs(",\"attributes\":", out);
    put_attributes(out, span->attributes, span->n_attributes);
    (void)fprintf(out, ",\"dropped_attributes\":%" PRIu32 ",\"events\":[",
                  span->dropped_attributes_count);
    for (size_t i = 0; i < span->n_events; i++) {
        (void)fputs(i > 0 ? ",{\"name\":" : "{\"name\":", out);
        put_string(out, span->events[i]->name);
        (void)fprintf(out, ",\"time_unix_nano\":%" PRIu64 "}", span->events[i]->time_unix_nano);
    }
    (void)fputs("],\"scope\":", out);
    put_string(out, scope != NULL ? scope->name : "");
    (void)fputs(",\"resource\":", out);
    if (resource != NULL)
        put_attributes(out, resource->attributes, resource->n_attributes);
    else
        (void)fputs("{}", out);
    (void)fputs("}\n", out);
}

int span_json_write(const uint8_t *bytes, size_t size, FILE *out)
{
    request_msg *request =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(NULL, size,
                                                                                         bytes);
    int n = 0;

    if (request == NULL)
        return -1;
    for (size_t r = 0; r < request->n_resource_spans; r++) {
        const Opentelemetry__Proto__Trace__V1__ResourceSpans *resource = request->resource_spans[r];

        for (size_t s = 0; s < resource->n_scope_spans; s++) {
            const Opentelemetry__Proto__Trace__V1__ScopeSpans *scope = resource->scope_spans[s];

            for (size_t i = 0; i < scope->n_spans; i++, n++)
                put_span(out, scope->spans[i], scope->scope, resource->resource);
        }
    }
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
    return n;
}
