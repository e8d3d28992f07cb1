/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/meter/meter.c - sets of attributes, and each writer's cells for them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "meter/mix.h"
#include "meter/tables.h"

/* ---- sets --------------------------------------------------------------------------------- */

static void set_kind_of(union meter_set *set, enum meter_kind kind)
{
    set->value[METER_WORDS * 4 - 1] = (uint16_t)kind;
}

static bool is_same(const union meter_set *a, const union meter_set *b)
{
    return memcmp(a->words, b->words, sizeof a->words) == 0;
}

/* The place of a set, or the empty one where it belongs. */
static _Atomic(struct known_set *) *find(const struct meter *meter, const union meter_set *set)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < METER_WORDS; i++)
        hash = mix_word(hash, set->words[i]);
    for (size_t at = hash & (meter->n_slots - 1);; at = (at + 1) & (meter->n_slots - 1)) {
        const struct known_set *known =
            atomic_load_explicit(&meter->slots[at], memory_order_acquire);

        if (known == NULL || is_same(&known->set, set))
            return &meter->slots[at];
    }
}

/* The lock is held, or nobody else is there yet. @return NULL: out of memory */
static struct known_set *add_set(struct meter *meter, const union meter_set *set)
{
    const uint32_t number = atomic_load_explicit(&meter->n_sets, memory_order_relaxed);
    struct known_set *known = malloc(sizeof *known);

    if (known == NULL)
        return NULL;
    *known = (struct known_set){
        .set = *set, .number = number, .first_series = (uint32_t)meter->n_series};
    meter->n_series += meter_kinds[set_kind(set)].n;
    atomic_store_explicit(&meter->by_number[number], known, memory_order_release);
    atomic_store_explicit(&meter->n_sets, number + 1, memory_order_release);
    return known;
}

static bool has_overflow(const union meter_set *set)
{
    static const bool is_number[METER_N_ATTRIBUTES] = {
#define X(id, name, number) [METER_##id] = (number) != 0,
        METER_ATTRIBUTES(X)
#undef X
    };
    bool found = false;

    for (size_t i = 0; i < METER_N_ATTRIBUTES; i++)
        found |= set->value[i] == NAME_OVERFLOW && !is_number[i];
    return found;
}

/*
 * The number of a set; that of its kind's overflow where there is no room, or where one of its
 * names is the overflow's: such a set is never added.
 */
static uint32_t number_of(struct meter *meter, const union meter_set *set)
{
    const enum meter_kind kind = set_kind(set);
    _Atomic(struct known_set *) *slot = find(meter, set);
    struct known_set *known = atomic_load_explicit(slot, memory_order_acquire);

    if (known != NULL)
        return known->number;
    if (atomic_load_explicit(&meter->is_full, memory_order_relaxed) || has_overflow(set))
        return kind;
    (void)pthread_mutex_lock(&meter->lock);
    slot = find(meter, set); /* somebody else may have added it */
    known = atomic_load_explicit(slot, memory_order_relaxed);
    if (known == NULL) {
        if (meter->n_series + meter_kinds[kind].n > meter->series_max)
            atomic_store_explicit(&meter->is_full, true, memory_order_relaxed);
        else if ((known = add_set(meter, set)) != NULL)
            atomic_store_explicit(slot, known, memory_order_release);
    }
    (void)pthread_mutex_unlock(&meter->lock);
    return known != NULL ? known->number : kind;
}

/* ---- cells -------------------------------------------------------------------------------- */

static struct cells *make_cells(enum meter_kind kind)
{
    const struct cells *layout = NULL;

    return calloc(1, sizeof *layout + meter_kinds[kind].cells * sizeof layout->cell[0]);
}

static struct cells *my_cells(struct meter_writer *writer, union meter_set *set,
                              enum meter_kind kind)
{
    uint32_t number;
    struct cells *cells;

    set_kind_of(set, kind);
    number = number_of(writer->meter, set);
    cells = atomic_load_explicit(&writer->cells[number], memory_order_relaxed);
    if (cells != NULL)
        return cells;
    cells = make_cells(kind);
    if (cells == NULL) /* these are there from the start */
        return atomic_load_explicit(&writer->cells[kind], memory_order_relaxed);
    atomic_store_explicit(&writer->cells[number], cells, memory_order_release);
    return cells;
}

static void begin(struct cells *cells)
{
    atomic_store_explicit(&cells->turn,
                          atomic_load_explicit(&cells->turn, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void end(struct cells *cells)
{
    atomic_store_explicit(&cells->turn,
                          atomic_load_explicit(&cells->turn, memory_order_relaxed) + 1,
                          memory_order_release);
}

static void put(_Atomic uint64_t *cell, uint64_t value)
{
    atomic_store_explicit(cell, value, memory_order_release);
}

static void add(_Atomic uint64_t *cell, uint64_t n)
{
    put(cell, atomic_load_explicit(cell, memory_order_relaxed) + n);
}

/* A double: whole ns of many long requests pass 2^64 within weeks. */
static void add_sum(_Atomic uint64_t *cell, double value)
{
    uint64_t bits = atomic_load_explicit(cell, memory_order_relaxed);
    double sum;

    memcpy(&sum, &bits, sizeof sum);
    sum += value;
    memcpy(&bits, &sum, sizeof bits);
    put(cell, bits);
}

static uint64_t word_of(const uint8_t bytes[8])
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/* @return the cells behind this instrument's */
static _Atomic uint64_t *observe(_Atomic uint64_t *cell, enum meter_instrument_id id, int64_t value,
                                 const struct meter_trace *trace)
{
    const struct meter_instrument *instrument = &meter_instruments[id];
    const uint32_t n = meter_buckets(instrument);
    uint32_t bucket = 0;

    if (value < 0)
        return cell + meter_cells(instrument);
    while (bucket < instrument->n_bounds && value > instrument->whole_bounds[bucket])
        bucket++;
    add(&cell[bucket], 1);
    add_sum(&cell[n], (double)value);
    if (trace != NULL) {
        _Atomic uint64_t *exemplar = &cell[n + 1 + bucket * EXEMPLAR_CELLS];

        put(&exemplar[EXEMPLAR_TRACE], word_of(trace->trace_id));
        put(&exemplar[EXEMPLAR_TRACE + 1], word_of(trace->trace_id + 8));
        put(&exemplar[EXEMPLAR_SPAN], word_of(trace->span_id));
        put(&exemplar[EXEMPLAR_VALUE], (uint64_t)value);
        put(&exemplar[EXEMPLAR_TIME], (uint64_t)trace->unix_ns);
    }
    return cell + meter_cells(instrument);
}

struct meter_point *meter_point(struct meter_writer *writer, union meter_set *set,
                                enum meter_kind kind)
{
    return (struct meter_point *)my_cells(writer, set, kind);
}

static struct cells *cells_of(struct meter_point *point)
{
    return (struct cells *)point;
}

void meter_record_server(struct meter_point *point, int64_t duration_ns, int64_t request_bytes,
                         int64_t response_bytes, const struct meter_trace *trace)
{
    struct cells *cells = cells_of(point);
    _Atomic uint64_t *cell = cells->cell;

    begin(cells);
    cell = observe(cell, METER_SERVER_DURATION, duration_ns > 0 ? duration_ns : 0, trace);
    cell = observe(cell, METER_REQUEST_SIZE, request_bytes, trace);
    (void)observe(cell, METER_RESPONSE_SIZE, response_bytes, trace);
    end(cells);
}

void meter_record_client(struct meter_point *point, int64_t duration_ns,
                         const struct meter_trace *trace)
{
    struct cells *cells = cells_of(point);

    begin(cells);
    (void)observe(cells->cell, METER_CLIENT_DURATION, duration_ns > 0 ? duration_ns : 0, trace);
    end(cells);
}

void meter_record_end(struct meter_point *point)
{
    struct cells *cells = cells_of(point);

    begin(cells);
    add(cells->cell, 1);
    end(cells);
}

void meter_server(struct meter_writer *writer, union meter_set *set, int64_t duration_ns,
                  int64_t request_bytes, int64_t response_bytes, const struct meter_trace *trace)
{
    meter_record_server(meter_point(writer, set, METER_SERVER_SIDE), duration_ns, request_bytes,
                        response_bytes, trace);
}

void meter_client(struct meter_writer *writer, union meter_set *set, int64_t duration_ns,
                  const struct meter_trace *trace)
{
    meter_record_client(meter_point(writer, set, METER_CLIENT_SIDE), duration_ns, trace);
}

void meter_end(struct meter_writer *writer, union meter_set *set)
{
    meter_record_end(meter_point(writer, set, METER_END));
}

/* ---- what was found before ---------------------------------------------------------------- */

static bool is_remembered(const struct remembered *one, uint64_t hash, const void *key, size_t n)
{
    return one->hash == hash && one->n == n && memcmp(one->key, key, n) == 0;
}

struct meter_points *meter_recall(struct meter_writer *writer, const void *key, size_t n)
{
    struct remembered *pair, *one;
    uint64_t hash;

    if (n == 0 || n > METER_MEMO_KEY_MAX) {
        writer->unremembered = (struct meter_points){.kind = {NULL}};
        return &writer->unremembered;
    }
    hash = mix_bytes(key, n);
    pair = &writer->memo[hash % MEMO_PAIRS * 2];
    if (is_remembered(&pair[0], hash, key, n))
        return &pair[0].points;
    if (is_remembered(&pair[1], hash, key, n))
        return &pair[1].points;
    one = &pair[writer->next_victim++ % 2];
    one->hash = hash;
    one->n = (uint32_t)n;
    one->points = (struct meter_points){.kind = {NULL}};
    memcpy(one->key, key, n);
    return &one->points;
}

uint16_t meter_name(struct meter_writer *writer, struct spoe_span text)
{
    return names_number(writer->meter->names, text.p, text.n);
}

/* ---- life --------------------------------------------------------------------------------- */

static size_t power_of_two(size_t n)
{
    size_t power = 1;

    while (power < n)
        power *= 2;
    return power;
}

struct meter *meter_create(size_t series_max, int64_t start_unix_ns)
{
    struct meter *meter =
        calloc(1, sizeof *meter + series_max * sizeof(_Atomic(struct known_set *)));

    assert(series_max >= METER_SERIES_MIN);
    if (meter == NULL)
        return NULL;
    (void)pthread_mutex_init(&meter->lock, NULL); /* cannot fail without attributes */
    meter->series_max = meter->sets_max = series_max;
    meter->start_unix_ns = start_unix_ns;
    meter->n_slots = power_of_two(2 * series_max);
    meter->names = names_create();
    meter->slots = calloc(meter->n_slots, sizeof *meter->slots);
    if (meter->names == NULL || meter->slots == NULL)
        goto fail;
    for (unsigned kind = 0; kind < METER_N_KINDS; kind++) {
        union meter_set overflow = {.words = {0}};

        set_kind_of(&overflow, kind); /* not found by its hash: nobody's attributes are these */
        if (add_set(meter, &overflow) == NULL)
            goto fail;
    }
    return meter;
fail:
    meter_destroy(meter);
    return NULL;
}

static void writer_free(struct meter_writer *writer)
{
    for (size_t i = 0; i < writer->meter->sets_max; i++)
        free(atomic_load(&writer->cells[i]));
    free(writer);
}

void meter_destroy(struct meter *meter)
{
    struct meter_writer *writer, *next;

    if (meter == NULL)
        return;
    for (writer = atomic_load(&meter->writers); writer != NULL; writer = next) {
        next = atomic_load(&writer->next);
        writer_free(writer);
    }
    for (size_t i = 0; i < meter->sets_max; i++)
        free(atomic_load(&meter->by_number[i]));
    names_destroy(meter->names);
    free(meter->slots);
    (void)pthread_mutex_destroy(&meter->lock);
    free(meter);
}

struct meter_writer *meter_writer(struct meter *meter)
{
    struct meter_writer *writer =
        calloc(1, sizeof *writer + meter->sets_max * sizeof writer->cells[0]);

    if (writer == NULL)
        return NULL;
    writer->meter = meter;
    for (unsigned kind = 0; kind < METER_N_KINDS; kind++) {
        struct cells *cells = make_cells(kind);

        if (cells == NULL) {
            writer_free(writer);
            return NULL;
        }
        atomic_init(&writer->cells[kind], cells);
    }
    (void)pthread_mutex_lock(&meter->lock);
    atomic_init(&writer->next, atomic_load_explicit(&meter->writers, memory_order_relaxed));
    atomic_store_explicit(&meter->writers, writer, memory_order_release);
    (void)pthread_mutex_unlock(&meter->lock);
    return writer;
}
