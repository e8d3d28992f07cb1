/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/otlp-console/traces.h - spans that arrived, put together to traces and printed.
 *
 * A trace is printed as a tree when it looks complete - it has a SERVER span, and no span's parent
 * is missing but those that are known to be in another process - or TRACE_QUIET_NS after its last
 * span. As JSON each span is one line, printed as it arrives.
 */
#ifndef OTLP_CONSOLE_TRACES_H
#define OTLP_CONSOLE_TRACES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#define TRACE_QUIET_NS INT64_C(1000000000)

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest export_request;

struct traces;

/** @return [own] NULL: out of memory */
struct traces *traces_create(FILE *out, bool json);
/** Print what is left, and free. Takes NULL. */
void traces_destroy(struct traces *traces);

/**
 * @param request  [own] from protobuf-c's unpack
 * @return 0; -1: out of memory
 */
int traces_add(struct traces *traces, export_request *request, int64_t now_ns);

/** Print the traces for which nothing has come for a while. */
void traces_tick(struct traces *traces, int64_t now_ns);

#endif
