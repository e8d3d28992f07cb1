/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/batch.h - chunks of spans to the bytes of one ExportTraceServiceRequest.
 *
 * Pure: no I/O, no clock, no thread. A batch keeps its memory when it is used again, so that it
 * costs no allocation once it has had one of its size.
 */
#ifndef OTEL_OTLP_BATCH_H
#define OTEL_OTLP_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf_types.h"
#include "otlp/queue.h"

/* Collectors take 4 MiB by default. A span of 128 attributes, the default limit, has 600 kB at
 * most; one that a configured limit makes too large for a request is counted as too_large. */
#define BATCH_BYTES_MAX (UINT32_C(4) * 1000 * 1000)

#define BATCH_SCOPE_NAME "spoe-host/otel"

/* The newest conventions whose names the spans have; OTEL_SEMCONV_STABILITY_OPT_IN brings older. */
#define BATCH_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"

/* What every request says about its sender; the strings are copied. */
struct batch_resource {
    const char *service_name; /* service.name, UTF-8 */
    const char *version;      /* of the scope, and telemetry.sdk.version */
    /* Of resource and scope; NULL: what the spans say is of no one version. */
    const char *schema_url;
    /* Further attributes; one called telemetry.sdk.* takes the place of what is said anyway. */
    const struct resource_attribute *attributes;
    size_t n_attributes;
};

struct batch_encoder;

/** @return [own] NULL: out of memory */
struct batch_encoder *batch_encoder_create(const struct batch_resource *resource);
void batch_encoder_destroy(struct batch_encoder *encoder); /* takes NULL */

/** Bytes of a request beside its spans, at most. */
size_t batch_overhead(const struct batch_encoder *encoder);

#define BATCH_MAGIC UINT32_C(0x62617463)

/* A request as it leaves, and what is known of its way. */
struct batch {
    uint32_t magic;
    size_t n;          /* spans in it */
    size_t span_bytes; /* of them, as the queue counts them */
    uint8_t *bytes;    /* an ExportTraceServiceRequest */
    size_t size;
    size_t _room;
    /* For whoever sends it. */
    struct batch *next;
    uint32_t failures; /* attempts that failed */
    int64_t first_ns;  /* the first attempt; set where there was one */
    int64_t due_ns;    /* the next one, not before */
    bool hastened;     /* due early, as the collector was back */
};

/** @return [own] empty. NULL: out of memory */
struct batch *batch_create(void);
void batch_destroy(struct batch *batch); /* takes NULL */

enum { BATCH_E_NOMEM = -1 };

/**
 * Make a request of all spans of a list of chunks.
 * @param chunks  [borrow] linked by `next`, at least one
 * @param batch   what was in it is gone; n and span_bytes are set in any case
 * @return 0; BATCH_E_NOMEM
 */
int batch_join(const struct batch_encoder *encoder, const struct span_chunk *chunks,
               struct batch *batch);

#endif
