/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/meter/instruments.h - the metrics that there are.
 *
 * Sources: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ for names, units and the
 * boundaries of durations. It advises none for sizes: these are powers of four from 1 KiB to 1 GiB,
 * and 0 for what has no body.
 */
#ifndef OTEL_METER_INSTRUMENTS_H
#define OTEL_METER_INSTRUMENTS_H

#include <stdint.h>

#include "meter/meter.h"

#define METER_BOUNDS_MAX 14u
#define METER_BUCKETS_MAX (METER_BOUNDS_MAX + 1)

enum meter_instrument_id {
    METER_SERVER_DURATION,
    METER_REQUEST_SIZE,
    METER_RESPONSE_SIZE,
    METER_CLIENT_DURATION,
    METER_TERMINATIONS,
    METER_N_INSTRUMENTS
};

/* One metric. A counter has no bounds. */
struct meter_instrument {
    const char *name, *help, *unit; /* [const] of OpenTelemetry; the unit as UCUM has it */
    enum meter_kind kind;           /* whose attributes it has */
    uint32_t n_bounds;              /* 0: a counter */
    const double *bounds;           /* in the unit */
    const int64_t *whole_bounds;    /* the same in what is recorded: ns, bytes */
    double per_unit;                /* of these, so many are one unit */
};

extern const struct meter_instrument meter_instruments[METER_N_INSTRUMENTS];

/* Of a kind: its first instrument, and how many follow each other. */
struct meter_kind_instruments {
    enum meter_instrument_id first;
    uint32_t n;
    uint32_t cells; /* of all of them, in one writer's block */
};

extern const struct meter_kind_instruments meter_kinds[METER_N_KINDS];

/* Cells of one bucket's exemplar. */
enum { EXEMPLAR_TRACE, EXEMPLAR_SPAN = 2, EXEMPLAR_VALUE, EXEMPLAR_TIME, EXEMPLAR_CELLS };

/* Cells of one instrument: its buckets (of a counter one), the sum as a double, each bucket's
 * exemplar. */
static inline uint32_t meter_buckets(const struct meter_instrument *instrument)
{
    return instrument->n_bounds + 1;
}

static inline uint32_t meter_cells(const struct meter_instrument *instrument)
{
    return instrument->n_bounds == 0 ? 1 : meter_buckets(instrument) * (1 + EXEMPLAR_CELLS) + 1;
}

#endif
