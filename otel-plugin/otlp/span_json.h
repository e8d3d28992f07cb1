/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/span_json.h - the spans of an encoded request as lines of JSON, one for each.
 */
#ifndef OTEL_OTLP_SPAN_JSON_H
#define OTEL_OTLP_SPAN_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * @param bytes  [borrow] an ExportTraceServiceRequest
 * @param out    gets the lines
 * @return the number of spans; -1: out of memory, or the bytes are no such request
 */
int span_json_write(const uint8_t *bytes, size_t size, FILE *out);

#endif
