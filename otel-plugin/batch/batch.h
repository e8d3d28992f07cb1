/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/batch/batch.h - a list of spans to the bytes of one ExportTraceServiceRequest.
 *
 * Pure: no I/O, no clock, no thread. How the bytes are made shows nowhere in this interface. An
 * encoder keeps its memory from batch to batch, so that a batch costs no allocation once the
 * encoder has seen one of its size.
 */
#ifndef OTEL_BATCH_BATCH_H
#define OTEL_BATCH_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "conf_types.h"
#include "span/span.h"

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

enum { BATCH_E_NOMEM = -1 };

/**
 * Encode spans from the head of a list until the list ends, the next one would pass bytes_max, or
 * there is no memory for it; the first is encoded whatever its size. A span whose parent is the
 * next one stays for the next time, if it is not the only one.
 *
 * @param spans      [borrow] linked by `next`, at least one, all ended
 * @param ret_bytes  [pin until the next call or the encoder's end]
 * @param ret_n      how many spans are in it, at least 1
 * @return 0; BATCH_E_NOMEM
 */
int batch_encode(struct batch_encoder *encoder, const struct span *spans, size_t bytes_max,
                 const uint8_t **ret_bytes, size_t *ret_size, size_t *ret_n);

#endif
