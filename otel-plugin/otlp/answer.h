/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/answer.h - what a collector's answer says: the same over gRPC and HTTP. Pure.
 */
#ifndef OTEL_OTLP_ANSWER_H
#define OTEL_OTLP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that is read of an answer, as the specification has it. */
#define OTLP_ANSWER_MAX ((size_t)4 * 1024 * 1024)
/* A wait that the collector asks for and that is longer is not believed. */
#define OTLP_RETRY_DELAY_MAX_NS (INT64_C(3600) * INT64_C(1000000000))

/**
 * What a collector says as one line of valid UTF-8: cut to fit, white space and control characters
 * are one space each time.
 * @param size  of ret, NUL included
 */
void otlp_clean_text(const void *bytes, size_t len, char *ret, size_t size);

/**
 * Read an ExportTraceServiceResponse.
 * @param ret_rejected  spans that the collector did not take
 * @param ret_text      what it says, clean; size bytes, may be empty
 * @return false: it is no such message; then none were rejected
 */
bool otlp_read_response(const uint8_t *bytes, size_t len, uint64_t *ret_rejected, char *ret_text,
                        size_t size);

/**
 * Find google.rpc.RetryInfo in a google.rpc.Status.
 * @return whether there is one; its delay is then in 0 .. OTLP_RETRY_DELAY_MAX_NS
 */
bool otlp_read_retry_info(const uint8_t *bytes, size_t size, int64_t *ret_delay_ns);

/** The message of a google.rpc.Status, clean; empty if that is none. */
void otlp_read_status_message(const uint8_t *bytes, size_t size, char *ret, size_t ret_size);

#endif
