/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/span.c - a span's life, for a process that keeps 200 000 of them open; its
 * attributes are span_attributes.c's.
 */
#include "signal/span.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "signal/block.h"
#include "signal/pool.h"

_Static_assert(SPAN_VALUE_MAX <= UINT16_MAX, "a name's length fits _name_len");
/*
 * The worst case fits the 32-bit offsets with room: 1024 attributes of 3 * 4096 + 256 + 16 bytes (a
 * list of empty strings takes most) and the name are below 2^24.
 */
#define STEP 64u
/*
 * The first block lies behind the span itself, in one allocation, and holds what a usual request
 * brings and no more (test_handlers.c: an_open_request_is_small); a span that outgrows it gets a
 * block of its own, and one that ends has span_use_room().
 */
#define SERVER_DATA 292u
#define CLIENT_DATA 72u

/* Shared by the spans of a request; the last one to go frees it. */
struct trace_state {
    uint32_t refs; /* they are all in one place, so it needs no lock either */
    uint16_t len;
    char text[];
};

struct span_limits span_limits = {
    .value_length = UINT32_MAX, .attributes = SPAN_ATTRIBUTES_DEFAULT, .events = SPAN_EVENTS_MAX};

void span_set_limits(const struct span_limits *new_limits)
{
    span_limits = *new_limits;
    if (span_limits.attributes > SPAN_ATTRIBUTES_MAX)
        span_limits.attributes = SPAN_ATTRIBUTES_MAX;
    if (span_limits.events > SPAN_EVENTS_MAX)
        span_limits.events = SPAN_EVENTS_MAX;
}

/* The block grows in steps, to twice its size at first: a request may bring much more than usual.
 */
bool span_reserve(struct span *span, size_t n)
{
    size_t want = span->_used + n;
    uint8_t *data;

    if (want <= span->_size)
        return true;
    want += span->_has_own_block ? want / 4 : want / 2;
    want = (want + STEP - 1) & ~(size_t)(STEP - 1);
    data = realloc(span->_has_own_block ? span->_data : NULL, want);
    if (data == NULL)
        return false;
    if (!span->_has_own_block)
        memcpy(data, span->_data, span->_used);
    span->_has_own_block = true;
    span->_data = data;
    span->_size = (uint32_t)want;
    return true;
}

void span_use_room(struct span *span, struct span_room *room)
{
    if (span->_has_own_block || span->_used > SPAN_ROOM)
        return;
    memcpy(room->bytes, span->_data, span->_used);
    span->_data = room->bytes;
    span->_size = SPAN_ROOM;
}

static size_t block_size(enum span_kind kind)
{
    return sizeof(struct span) + (kind == SPAN_SERVER ? SERVER_DATA : CLIENT_DATA);
}

static unsigned pool_kind(enum span_kind kind)
{
    return kind == SPAN_SERVER ? 0 : 1;
}

struct span *span_create(enum span_kind kind, const struct trace_context *context,
                         const uint8_t *parent_id, bool parent_remote, int64_t start_unix_ns,
                         const char *name, size_t name_len)
{
    struct pool_cache none = {.kinds = {{NULL, 0}}};

    return span_create_from(&none, kind, context, parent_id, parent_remote, start_unix_ns, name,
                            name_len);
}

struct span *span_create_from(struct pool_cache *cache, enum span_kind kind,
                              const struct trace_context *context, const uint8_t *parent_id,
                              bool parent_remote, int64_t start_unix_ns, const char *name,
                              size_t name_len)
{
    const size_t first = block_size(kind) - sizeof(struct span);
    struct span *span = pool_get(cache, pool_kind(kind), block_size(kind));

    if (span == NULL)
        return NULL;
    *span = (struct span){.kind = (uint8_t)kind,
                          .context = *context,
                          .start_unix_ns = start_unix_ns,
                          ._size = (uint32_t)first};
    span->_data = span->_first;
    if (name_len <= first && utf8_copy_clean(name, name_len, (char *)span->_first)) {
        span->_name_len = (uint16_t)name_len;
    } else {
        const size_t len = utf8_repair(name, name_len, NULL, SPAN_VALUE_MAX);

        if (!span_reserve(span, len)) {
            free(span);
            return NULL;
        }
        span->_name_len = (uint16_t)utf8_repair(name, name_len, (char *)span->_data, len);
    }
    span->_used = span->_name_len;
    if (parent_id != NULL) {
        memcpy(span->parent_id, parent_id, sizeof span->parent_id);
        span->parent_remote = parent_remote;
    }
    return span;
}

static void drop_trace_state(struct span *span)
{
    struct trace_state *state = span->_state;

    span->_state = NULL;
    if (state != NULL && --state->refs == 0)
        free(state);
}

void span_set_trace_state(struct span *span, const char *p, size_t n)
{
    struct trace_state *state;

    assert(span->_state == NULL && n <= UINT16_MAX);
    if (n == 0)
        return;
    state = malloc(sizeof *state + n);
    if (state == NULL)
        return;
    state->refs = 1;
    state->len = (uint16_t)n;
    memcpy(state->text, p, n);
    span->_state = state;
}

void span_share_trace_state(struct span *span, const struct span *from)
{
    assert(span->_state == NULL);
    if (from->_state == NULL)
        return;
    from->_state->refs++;
    span->_state = from->_state;
}

const char *span_trace_state(const struct span *span, size_t *ret_len)
{
    *ret_len = span->_state != NULL ? span->_state->len : 0;
    return span->_state != NULL ? span->_state->text : NULL;
}

/* Free all that a span has but its block. */
static void release(struct span *span)
{
    drop_trace_state(span);
    free(span->events);
    if (span->_has_own_block)
        free(span->_data);
}

void span_destroy(struct span *span)
{
    if (span == NULL)
        return;
    release(span);
    free(span);
}

void span_recycle(struct pool_cache *cache, struct span *span)
{
    enum span_kind kind;

    if (span == NULL)
        return;
    kind = (enum span_kind)span->kind;
    release(span);
    pool_put(cache, pool_kind(kind), block_size(kind), span);
}

void span_set_name(struct span *span, const char *name, size_t name_len)
{
    const size_t len = utf8_repair(name, name_len, NULL, SPAN_VALUE_MAX);

    if (len > span->_name_len && !span_reserve(span, len - span->_name_len))
        return;
    memmove(span->_data + len, span->_data + span->_name_len, span->_used - span->_name_len);
    span->_used = span->_used - span->_name_len + (uint32_t)len;
    span->_name_len = (uint16_t)utf8_repair(name, name_len, (char *)span->_data, len);
}

void span_add_event(struct span *span, const char *name, int64_t time_unix_ns)
{
    if (span->n_events >= span_limits.events) {
        span->dropped_events++;
        return;
    }
    if (span->events == NULL) {
        span->events = calloc(SPAN_EVENTS_MAX, sizeof *span->events);
        if (span->events == NULL) {
            span->dropped_events++;
            return;
        }
    }
    span->events[span->n_events++] =
        (struct span_event){.name = name, .time_unix_ns = time_unix_ns};
}

void span_end(struct span *span, int64_t end_unix_ns)
{
    span->end_unix_ns = end_unix_ns < span->start_unix_ns ? span->start_unix_ns : end_unix_ns;
}

const char *span_name(const struct span *span, size_t *ret_len)
{
    *ret_len = span->_name_len;
    return (const char *)span->_data;
}

size_t span_memory(const struct span *span)
{
    size_t size = block_size((enum span_kind)span->kind);

    if (span->_has_own_block)
        size += span->_size;
    if (span->events != NULL)
        size += SPAN_EVENTS_MAX * sizeof *span->events;
    if (span->_state != NULL && span->kind == SPAN_SERVER) /* shared, so counted once */
        size += sizeof *span->_state + span->_state->len;
    return size;
}
