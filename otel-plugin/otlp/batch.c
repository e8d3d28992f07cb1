/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/batch.c - a request around the spans that the workers wrote (span_wire.c).
 *
 *   resource_spans, length
 *     resource, length, ...            made once per encoder, with protobuf-c
 *     scope_spans, length
 *       scope, length, ...             likewise
 *       spans, length, ...             one after the other, chunk by chunk
 *       schema_url                     likewise, if there is one
 *     schema_url                       the same bytes
 */
#include "otlp/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

typedef Opentelemetry__Proto__Common__V1__AnyValue any_value;
typedef Opentelemetry__Proto__Common__V1__KeyValue key_value;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope scope_msg;
typedef Opentelemetry__Proto__Resource__V1__Resource resource_msg;

#define OWN_ATTRIBUTES 4u /* service.name and telemetry.sdk.* */

/* Tags of the messages around the spans, all of them with a length. */
#define REQUEST_RESOURCE_SPANS 0x0au     /* field 1 */
#define RESOURCE_SPANS_RESOURCE 0x0au    /* field 1 */
#define RESOURCE_SPANS_SCOPE_SPANS 0x12u /* field 2 */
#define SCOPE_SPANS_SCOPE 0x0au          /* field 1 */
#define SCHEMA_URL 0x1au                 /* field 3 of ResourceSpans and of ScopeSpans */
#define FRAMING_MAX 6u                   /* a tag and a length of 32 bits */

/* The fields as they stand in every request. */
struct batch_encoder {
    uint8_t *resource, *scope, *schema; /* schema: NULL where there is none */
    size_t resource_len, scope_len, schema_len;
};

static size_t put_framing(uint8_t *p, uint8_t tag, size_t len)
{
    size_t n = 0;

    p[n++] = tag;
    for (; len >= 0x80; len >>= 7)
        p[n++] = (uint8_t)(len | 0x80);
    p[n++] = (uint8_t)len;
    return n;
}

/* ---- what every request says, made once ---------------------------------------------------- */

/* One attribute of the resource; the strings are the caller's. */
struct resource_part {
    any_value value;
    key_value pair;
};

static void set_part(struct resource_part *part, const char *key, const char *str, int64_t i)
{
    opentelemetry__proto__common__v1__any_value__init(&part->value);
    opentelemetry__proto__common__v1__key_value__init(&part->pair);
    /* protobuf-c only reads what it packs; its types have no const. */
    part->pair.key = (char *)(uintptr_t)key;
    part->pair.value = &part->value;
    if (str != NULL) {
        part->value.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
        part->value.string_value = (char *)(uintptr_t)str;
    } else {
        part->value.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE;
        part->value.int_value = i;
    }
}

static bool has_attribute(const struct batch_resource *resource, const char *key)
{
    for (size_t i = 0; i < resource->n_attributes; i++) {
        if (strcmp(resource->attributes[i].key, key) == 0)
            return true;
    }
    return false;
}

/* A message as a field: tag, length, bytes. @return [own] NULL: out of memory */
static uint8_t *pack_field(uint8_t tag, const ProtobufCMessage *message, size_t *ret_len)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *p = malloc(FRAMING_MAX + size);

    if (p == NULL)
        return NULL;
    *ret_len = put_framing(p, tag, size);
    *ret_len += protobuf_c_message_pack(message, p + *ret_len);
    return p;
}

static int pack_resource(struct batch_encoder *encoder, const struct batch_resource *resource)
{
    /* "opentelemetry" is reserved for the official SDKs, and no language "c" is registered. */
    const struct resource_attribute own[OWN_ATTRIBUTES] = {
        {.key = "service.name", .str = resource->service_name},
        {.key = "telemetry.sdk.name", .str = "spoe-host"},
        {.key = "telemetry.sdk.language", .str = "c"},
        {.key = "telemetry.sdk.version", .str = resource->version},
    };
    const size_t max = OWN_ATTRIBUTES + resource->n_attributes;
    struct resource_part *parts = calloc(max, sizeof *parts);
    key_value **pairs = calloc(max, sizeof(key_value *));
    resource_msg message;
    size_t n = 0;

    if (parts != NULL && pairs != NULL) {
        for (size_t i = 0; i < OWN_ATTRIBUTES; i++) {
            if (!has_attribute(resource, own[i].key))
                set_part(&parts[n++], own[i].key, own[i].str, 0);
        }
        for (size_t i = 0; i < resource->n_attributes; i++) {
            const struct resource_attribute *more = &resource->attributes[i];

            set_part(&parts[n++], more->key, more->str, more->i);
        }
        for (size_t i = 0; i < n; i++)
            pairs[i] = &parts[i].pair;
        opentelemetry__proto__resource__v1__resource__init(&message);
        message.n_attributes = n;
        message.attributes = pairs;
        encoder->resource =
            pack_field(RESOURCE_SPANS_RESOURCE, &message.base, &encoder->resource_len);
    }
    free(parts);
    free(pairs);
    return encoder->resource != NULL ? 0 : BATCH_E_NOMEM;
}

static int pack_scope(struct batch_encoder *encoder, const struct batch_resource *resource)
{
    scope_msg message;

    opentelemetry__proto__common__v1__instrumentation_scope__init(&message);
    message.name = (char *)(uintptr_t)BATCH_SCOPE_NAME;
    message.version = (char *)(uintptr_t)resource->version;
    encoder->scope = pack_field(SCOPE_SPANS_SCOPE, &message.base, &encoder->scope_len);
    return encoder->scope != NULL ? 0 : BATCH_E_NOMEM;
}

static int pack_schema(struct batch_encoder *encoder, const char *url)
{
    const size_t n = url != NULL ? strlen(url) : 0;

    if (n == 0)
        return 0;
    encoder->schema = malloc(FRAMING_MAX + n);
    if (encoder->schema == NULL)
        return BATCH_E_NOMEM;
    encoder->schema_len = put_framing(encoder->schema, SCHEMA_URL, n);
    memcpy(encoder->schema + encoder->schema_len, url, n);
    encoder->schema_len += n;
    return 0;
}

struct batch_encoder *batch_encoder_create(const struct batch_resource *resource)
{
    struct batch_encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder == NULL)
        return NULL;
    if (pack_resource(encoder, resource) != 0 || pack_scope(encoder, resource) != 0 ||
        pack_schema(encoder, resource->schema_url) != 0) {
        batch_encoder_destroy(encoder);
        return NULL;
    }
    return encoder;
}

void batch_encoder_destroy(struct batch_encoder *encoder)
{
    if (encoder == NULL)
        return;
    free(encoder->resource);
    free(encoder->scope);
    free(encoder->schema);
    free(encoder);
}

/* ---- a request ----------------------------------------------------------------------------- */

struct batch *batch_create(void)
{
    struct batch *batch = calloc(1, sizeof *batch);

    if (batch != NULL)
        batch->magic = BATCH_MAGIC;
    return batch;
}

void batch_destroy(struct batch *batch)
{
    if (batch == NULL)
        return;
    assert(batch->magic == BATCH_MAGIC);
    batch->magic = 0;
    free(batch->bytes);
    free(batch);
}

size_t batch_overhead(const struct batch_encoder *encoder)
{
    return (size_t)2 * FRAMING_MAX + encoder->resource_len + encoder->scope_len +
           2 * encoder->schema_len;
}

/* Room for n bytes; what was there is gone. */
static int reserve(struct batch *batch, size_t n)
{
    size_t room = batch->_room + batch->_room / 2;

    if (n <= batch->_room)
        return 0;
    if (room < n)
        room = n;
    free(batch->bytes);
    batch->bytes = malloc(room);
    batch->_room = batch->bytes != NULL ? room : 0;
    return batch->bytes != NULL ? 0 : BATCH_E_NOMEM;
}

static uint8_t *put_bytes(uint8_t *p, const uint8_t *from, size_t n)
{
    if (n > 0)
        memcpy(p, from, n);
    return p + n;
}

/* What stands in front of the spans. @return its end */
static uint8_t *put_head(const struct batch_encoder *encoder, uint8_t *p, size_t spans_len)
{
    const size_t in_scope = encoder->scope_len + spans_len + encoder->schema_len;
    uint8_t framing[FRAMING_MAX];
    const size_t n = put_framing(framing, RESOURCE_SPANS_SCOPE_SPANS, in_scope);

    p += put_framing(p, REQUEST_RESOURCE_SPANS,
                     encoder->resource_len + n + in_scope + encoder->schema_len);
    p = put_bytes(p, encoder->resource, encoder->resource_len);
    p = put_bytes(p, framing, n);
    return put_bytes(p, encoder->scope, encoder->scope_len);
}

int batch_join(const struct batch_encoder *encoder, const struct span_chunk *chunks,
               struct batch *batch)
{
    uint8_t *p;

    assert(chunks != NULL && batch->magic == BATCH_MAGIC);
    batch->n = batch->span_bytes = batch->size = 0;
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        batch->n += chunk->n;
        batch->span_bytes += chunk->len;
    }
    if (reserve(batch, batch_overhead(encoder) + batch->span_bytes) != 0)
        return BATCH_E_NOMEM;
    p = put_head(encoder, batch->bytes, batch->span_bytes);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        p = put_bytes(p, chunk->bytes, chunk->len);
    p = put_bytes(p, encoder->schema, encoder->schema_len); /* the scope's */
    p = put_bytes(p, encoder->schema, encoder->schema_len); /* the resource's */
    batch->size = (size_t)(p - batch->bytes);
    return 0;
}
