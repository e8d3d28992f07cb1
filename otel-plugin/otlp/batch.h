/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/batch.h - chunks of spans to the bytes of one ExportTraceServiceRequest.
 *
 * Pure: no I/O, no clock, no thread. An encoder keeps its memory from batch to batch, so that a
 * batch costs no allocation once the encoder has seen one of its size.
 */
#ifndef OTEL_OTLP_BATCH_H
#define OTEL_OTLP_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/conf_types.h"
#include "otlp/queue.h"

/* Collectors take 4 MiB by default; a request of one span (at most about 600 kB) always fits. */
#define BATCH_BYTES_MAX (UINT32_C(4) * 1000 * 1000)

#define BATCH_SCOPE_NAME "spoe-host/otel"

/* What every request says about its sender; the strings are copied. */
struct batch_resource {
    const char *service_name; /* service.name, UTF-8 */
    const char *version;      /* of the scope, and telemetry.sdk.version */
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

enum { BATCH_E_NOMEM = -1 };

/**
 * Make a request of all spans of a list of chunks.
 * @param chunks     [borrow] linked by `next`, at least one
 * @param ret_bytes  [pin until the next call or the encoder's end]
 * @return 0; BATCH_E_NOMEM
 */
int batch_join(struct batch_encoder *encoder, const struct span_chunk *chunks,
               const uint8_t **ret_bytes, size_t *ret_size);

#endif
