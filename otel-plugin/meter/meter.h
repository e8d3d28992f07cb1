/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/meter/meter.h - numbers of finished requests, aggregated: histograms and a counter by
 * sets of attributes.
 *
 *   http.server.request.duration, .request.body.size, .response.body.size   METER_SERVER
 *   http.client.request.duration                                            METER_CLIENT
 *   haproxy.request.terminations                                            METER_END
 *
 * Attributes are numbers (names.h) in a set of fixed size, each set is known to all in one table
 * that only grows, and each writer has cells of its own for each set that it has met. A writer is
 * one thread's: recording takes no lock and allocates nothing but for a set that is new to it, and
 * whose requests are much alike finds their points by one look (meter_recall()).
 * Whoever reads (snapshot.h) adds the writers' cells up, and never makes a writer wait.
 *
 * At most so many series are made as meter_create() is told; what comes beyond them goes into one
 * series of its metric that has otel.metric.overflow = true and no other attribute
 * (https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits).
 *
 * Attributes come from HAProxy's configuration and from closed sets: whoever calls sees to it that
 * no client can choose one.
 */
#ifndef OTEL_METER_METER_H
#define OTEL_METER_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#define METER_SERIES_MIN 16u /* below it nothing but the overflow would fit */

/* X(id, name of the attribute, whether it is a number) */
#define METER_ATTRIBUTES(X)                                                                        \
    X(FRONTEND, "haproxy.frontend.name", 0)                                                        \
    X(BACKEND, "haproxy.backend.name", 0)                                                          \
    X(SERVER, "haproxy.server.name", 0)                                                            \
    X(ROUTE, "http.route", 0)                                                                      \
    X(METHOD, "http.request.method", 0)                                                            \
    X(STATUS, "http.response.status_code", 1)                                                      \
    X(SCHEME, "url.scheme", 0)                                                                     \
    X(VERSION, "network.protocol.version", 0)                                                      \
    X(ERROR, "error.type", 0)                                                                      \
    X(ADDRESS, "server.address", 0)                                                                \
    X(PORT, "server.port", 1)                                                                      \
    X(STATE, "haproxy.termination_state", 0)

enum meter_attribute {
#define X(id, name, is_number) METER_##id,
    METER_ATTRIBUTES(X)
#undef X
        METER_N_ATTRIBUTES
};

/* What a set of attributes is for. */
enum meter_kind { METER_SERVER_SIDE, METER_CLIENT_SIDE, METER_END, METER_N_KINDS };

/* A set of attributes: numbers of names, or numbers as they are; 0: the set lacks it. */
#define METER_WORDS 4
union meter_set {
    uint16_t value[METER_WORDS * 4]; /* enum meter_attribute; the last one is the kind */
    uint64_t words[METER_WORDS];
};
_Static_assert(METER_N_ATTRIBUTES < METER_WORDS * 4, "there is a place for the kind");

struct meter;
struct meter_writer;

/** @param series_max  METER_SERIES_MIN at least @return [own] NULL: out of memory */
struct meter *meter_create(size_t series_max, int64_t start_unix_ns);
/** No thread may use it or a writer any more. Takes NULL. */
void meter_destroy(struct meter *meter);

/** A writer, for one thread. @return [borrow from the meter] NULL: out of memory. Threads: [any] */
struct meter_writer *meter_writer(struct meter *meter);

/** The number of a text, for a set. Threads: [any] */
uint16_t meter_name(struct meter_writer *writer, struct spoe_span text);

/* A span that an exemplar may name. */
struct meter_trace {
    const uint8_t *trace_id, *span_id; /* [borrow] 16 and 8 bytes */
    int64_t unix_ns;                   /* when the request ended */
};

/* Where a set of attributes is recorded by one writer. Valid as long as the meter. */
struct meter_point;

/** Find it, or make it: a search. The set's kind is set here. Threads: the writer's */
struct meter_point *meter_point(struct meter_writer *writer, union meter_set *set,
                                enum meter_kind kind);

/* Points of one request, by kind. */
struct meter_points {
    struct meter_point *kind[METER_N_KINDS]; /* NULL: it has none of this kind */
};

#define METER_MEMO_KEY_MAX 192u /* bytes; what is longer is not remembered */

/**
 * Points that were found before for the same request but for its numbers, so that nobody need look
 * for each: requests are much alike.
 * @param key  [borrow] whatever decides about the points
 * @return [borrow until the next call] all NULL: they are to be filled in, and are remembered then
 * Threads: the writer's
 */
struct meter_points *meter_recall(struct meter_writer *writer, const void *key, size_t n);

/*
 * Record at a point of that kind. A size below 0 is not known.
 * @param trace  NULL: it is not sampled
 * Threads: the writer's
 */
void meter_record_server(struct meter_point *point, int64_t duration_ns, int64_t request_bytes,
                         int64_t response_bytes, const struct meter_trace *trace);
void meter_record_client(struct meter_point *point, int64_t duration_ns,
                         const struct meter_trace *trace);
void meter_record_end(struct meter_point *point);

/* The same for a set. */
void meter_server(struct meter_writer *writer, union meter_set *set, int64_t duration_ns,
                  int64_t request_bytes, int64_t response_bytes, const struct meter_trace *trace);
void meter_client(struct meter_writer *writer, union meter_set *set, int64_t duration_ns,
                  const struct meter_trace *trace);
void meter_end(struct meter_writer *writer, union meter_set *set);

#endif
