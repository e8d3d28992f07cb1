/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/meter/snapshot.c - see snapshot.h; tables.h has how cells are read while they change.
 */
#include "meter/snapshot.h"

#include <string.h>

#include "meter/tables.h"

#define CELLS_MAX (METER_BUCKETS_MAX * (1 + EXEMPLAR_CELLS) + 1)
/* A writer is done within nanoseconds; one whose thread does not run is read as it is. */
#define TRIES_MAX 10000u

static const struct {
    const char *name;
    bool is_number;
} attributes[] = {
#define X(id, name, number) [METER_##id] = {name, number},
    METER_ATTRIBUTES(X)
#undef X
};

void meter_begin(struct meter *meter, struct meter_reader *ret)
{
    *ret = (struct meter_reader){.meter = meter, ._end = METER_N_INSTRUMENTS};
}

void meter_begin_one(struct meter *meter, enum meter_instrument_id id, struct meter_reader *ret)
{
    *ret = (struct meter_reader){.meter = meter, ._instrument = id, ._end = id + 1};
}

size_t meter_series_max(const struct meter *meter)
{
    return meter->series_max;
}

/* One writer's cells of an instrument, as they were at one moment. */
static void read_cells(const struct cells *cells, uint32_t first, uint32_t n, uint64_t *ret)
{
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        const uint32_t turn = atomic_load_explicit(&cells->turn, memory_order_acquire);

        for (uint32_t i = 0; i < n; i++)
            ret[i] = atomic_load_explicit(&cells->cell[first + i], memory_order_acquire);
        if (turn % 2 == 0 && turn == atomic_load_explicit(&cells->turn, memory_order_relaxed))
            return;
    }
}

static void read_exemplar(const struct meter_instrument *instrument, const uint64_t *cell,
                          struct meter_exemplar *ret)
{
    const int64_t unix_ns = (int64_t)cell[EXEMPLAR_TIME];

    if (unix_ns <= ret->unix_ns)
        return; /* none, or another writer's is younger */
    ret->unix_ns = unix_ns;
    memcpy(ret->trace_id, &cell[EXEMPLAR_TRACE], sizeof ret->trace_id);
    memcpy(ret->span_id, &cell[EXEMPLAR_SPAN], sizeof ret->span_id);
    ret->value = (double)cell[EXEMPLAR_VALUE] / instrument->per_unit;
}

/* Where the cells of an instrument begin in those of its kind. */
static uint32_t first_cell(enum meter_instrument_id id)
{
    uint32_t first = 0;

    for (unsigned i = meter_kinds[meter_instruments[id].kind].first; i < id; i++)
        first += meter_cells(&meter_instruments[i]);
    return first;
}

static void add_up(const struct meter *meter, uint32_t set, enum meter_instrument_id id,
                   struct meter_series *ret)
{
    const struct meter_instrument *instrument = &meter_instruments[id];
    const uint32_t n = meter_buckets(instrument), first = first_cell(id);
    uint64_t cell[CELLS_MAX] = {0};
    double sum = 0, one;

    for (const struct meter_writer *writer =
             atomic_load_explicit(&meter->writers, memory_order_acquire);
         writer != NULL; writer = atomic_load_explicit(&writer->next, memory_order_acquire)) {
        const struct cells *cells = atomic_load_explicit(&writer->cells[set], memory_order_acquire);

        if (cells == NULL)
            continue;
        read_cells(cells, first, meter_cells(instrument), cell);
        for (uint32_t i = 0; i < n; i++) {
            ret->buckets[i] += cell[i];
            ret->count += cell[i];
        }
        if (instrument->n_bounds == 0)
            continue;
        memcpy(&one, &cell[n], sizeof one);
        sum += one;
        for (uint32_t i = 0; i < n; i++)
            read_exemplar(instrument, &cell[n + 1 + i * EXEMPLAR_CELLS], &ret->exemplars[i]);
    }
    ret->sum = sum / instrument->per_unit;
}

static void name_attributes(const struct meter *meter, const union meter_set *set,
                            struct meter_series *ret)
{
    for (unsigned i = 0; i < METER_N_ATTRIBUTES; i++) {
        struct meter_value *value = &ret->values[ret->n_values];

        if (set->value[i] == 0)
            continue;
        *value = (struct meter_value){.attribute = i,
                                      .name = attributes[i].name,
                                      .is_number = attributes[i].is_number,
                                      .number = set->value[i]};
        if (!value->is_number)
            value->text = names_text(meter->names, set->value[i]);
        ret->n_values++;
    }
}

bool meter_next(struct meter_reader *reader, struct meter_series *ret)
{
    const struct meter *meter = reader->meter;

    for (; reader->_instrument < reader->_end; reader->_instrument++, reader->_set = 0) {
        const enum meter_instrument_id id = reader->_instrument;
        const struct meter_instrument *instrument = &meter_instruments[id];

        while (reader->_set < atomic_load_explicit(&meter->n_sets, memory_order_acquire)) {
            const uint32_t number = reader->_set++;
            const struct known_set *known =
                atomic_load_explicit(&meter->by_number[number], memory_order_acquire);

            if (set_kind(&known->set) != instrument->kind)
                continue;
            *ret = (struct meter_series){.number = known->first_series +
                                                   (id - meter_kinds[instrument->kind].first),
                                         .instrument = instrument,
                                         .is_overflow = number < METER_N_KINDS,
                                         .start_unix_ns = meter->start_unix_ns};
            add_up(meter, number, id, ret);
            if (ret->count == 0)
                continue;
            name_attributes(meter, &known->set, ret);
            return true;
        }
    }
    return false;
}
