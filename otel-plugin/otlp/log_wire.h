/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/log_wire.h - one log record as OTLP's bytes, of a request's spans and a line.
 *
 * What it says of the request is what SERVER says: ids, attributes, how bad it was.
 */
#ifndef OTEL_OTLP_LOG_WIRE_H
#define OTEL_OTLP_LOG_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "signal/span.h"

#define LOG_BODY_MAX 16384u

/* By the data model's table of severities; the texts are its short names. */
enum log_severity { LOG_INFO = 9, LOG_WARN = 13, LOG_ERROR = 17 };

/* All pointers are borrowed. */
struct log_record {
    const struct span *server; /* ended */
    const struct span *client; /* NULL: there is none */
    enum log_severity severity;
    const char *body; /* UTF-8, at most LOG_BODY_MAX bytes */
    size_t body_len;
    int64_t observed_unix_ns;
};

/** The bytes that log_wire_put() writes at most. */
size_t log_wire_bound(const struct log_record *record);

/**
 * Write it as one element of ScopeLogs.log_records, with its tag and length.
 * @param p  log_wire_bound() bytes
 * @return bytes written
 */
size_t log_wire_put(const struct log_record *record, uint8_t *p);

#endif
