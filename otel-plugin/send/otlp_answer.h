/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_answer.h - what a collector's answer says, and who we say we are: the
 * same over gRPC and HTTP. Pure.
 */
#ifndef OTEL_SEND_OTLP_ANSWER_H
#define OTEL_SEND_OTLP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send/transport.h"

/* The most that is read of an answer, as the specification has it. */
#define OTLP_ANSWER_MAX ((size_t)4 * 1024 * 1024)
/* A wait that the collector asks for and that is longer is not believed. */
#define OTLP_RETRY_DELAY_MAX_NS (INT64_C(3600) * INT64_C(1000000000))

/* OTLP's specification, "User Agent", with our own name before it; twice the plugin's version. */
#define OTLP_USER_AGENT_FORMAT "spoe-host-otel/%s OTel-OTLP-Exporter-C/%s"

/** Read an ExportTraceServiceResponse: sets `rejected` and `text` of a result that is OK. */
void otlp_read_response(const uint8_t *bytes, size_t size, struct transport_result *ret);

/**
 * Find google.rpc.RetryInfo in a google.rpc.Status.
 * @return whether there is one; its delay is then in 0 .. OTLP_RETRY_DELAY_MAX_NS
 */
bool otlp_read_retry_info(const uint8_t *bytes, size_t size, int64_t *ret_delay_ns);

/** Copy the message of a google.rpc.Status; empty if that is none. */
void otlp_read_status_message(const uint8_t *bytes, size_t size, char *ret, size_t ret_size);

#endif
