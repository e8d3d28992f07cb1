/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/span/span.c - spans, packed for a process that keeps 200 000 of them open.
 *
 * The block of a span holds the name, then one record per attribute:
 *
 *   u8 key     0: u16 length and the bytes follow; else a known key, counted from 1
 *   u8 type    enum span_value_type
 *   value      STRING, BYTES: u16 length and the bytes; BOOL: u8; INT: i64
 *              STRINGS: u16 length of what follows, for each string u16 length and the bytes
 *
 * Numbers are in the machine's order and not aligned.
 */
#include "span/span.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "span/known_keys.h"
#include "span/utf8.h"

/* The worst case fits the 32-bit offsets with room: 128 * (4096 + 256 + 6) + 4096 < 2^20. */
#define STEP 64u
/*
 * The first block lies behind the span itself, in one allocation, and holds what a usual request
 * brings while it is open; a span that outgrows it, as SERVER does by custom attributes with the
 * response, gets a block of its own.
 */
#define SERVER_DATA 144u
#define CLIENT_DATA 112u

/* The spans of a request may be in different batches, so the last one to go frees it. */
struct trace_state {
    _Atomic uint32_t refs;
    uint16_t len;
    char text[];
};

struct known {
    const char *key;
    size_t len;
};

#define KNOWN(text) {text, sizeof text - 1},
static const struct known known_keys[] = {SPAN_KNOWN_KEYS(KNOWN)};
#define N_KNOWN (sizeof known_keys / sizeof known_keys[0])
_Static_assert(N_KNOWN < 64, "a known key is one bit of struct span's _keys; bit 0: others");

/* The same keys' lengths side by side, so that a search looks at few keys: pack_key(). */
#define LENGTH(text) (uint8_t)(sizeof text - 1),
static const uint8_t known_lengths[] = {SPAN_KNOWN_KEYS(LENGTH)};

/* A key as it is packed: a byte, and for keys that are not known a repaired copy. */
struct packed_key {
    uint8_t id;
    uint16_t len;
    char text[SPAN_KEY_MAX];
};

/* One record; offsets into the block. */
struct record {
    uint8_t id, type;
    uint16_t key_len, str_len;
    uint32_t start, key, value, end;
};

static struct span_limits limits = {
    .value_length = UINT32_MAX, .attributes = SPAN_ATTRIBUTES_MAX, .events = SPAN_EVENTS_MAX};

void span_set_limits(const struct span_limits *new_limits)
{
    limits = *new_limits;
    if (limits.attributes > SPAN_ATTRIBUTES_MAX)
        limits.attributes = SPAN_ATTRIBUTES_MAX;
    if (limits.events > SPAN_EVENTS_MAX)
        limits.events = SPAN_EVENTS_MAX;
}

/* The length that an attribute's text has once it is repaired and cut. @param max  bytes */
static size_t value_length(const char *p, size_t n, size_t max)
{
    const size_t len = utf8_repair(p, n, NULL, max);

    if (len <= limits.value_length) /* a character has a byte at least */
        return len;
    return utf8_repair_chars(p, n, max, limits.value_length);
}

static uint16_t get_u16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static char *put_u16(char *p, size_t v)
{
    const uint16_t small = (uint16_t)v;

    memcpy(p, &small, sizeof small);
    return p + sizeof small;
}

static bool has_own_block(const struct span *span)
{
    return span->_data != span->_first;
}

/* Make room for n more bytes. The block grows in steps, by a quarter at least. */
static bool reserve(struct span *span, size_t n)
{
    size_t want = span->_used + n;
    char *data;

    if (want <= span->_size)
        return true;
    want = (want + want / 4 + STEP - 1) & ~(size_t)(STEP - 1);
    data = realloc(has_own_block(span) ? span->_data : NULL, want);
    if (data == NULL)
        return false;
    if (!has_own_block(span))
        memcpy(data, span->_first, span->_used);
    span->_data = data;
    span->_size = (uint32_t)want;
    return true;
}

struct span *span_create(enum span_kind kind, const struct trace_context *context,
                         const uint8_t *parent_id, bool parent_remote, int64_t start_unix_ns,
                         const char *name, size_t name_len)
{
    const size_t first = kind == SPAN_SERVER ? SERVER_DATA : CLIENT_DATA;
    struct span *span = malloc(sizeof *span + first);
    size_t len;

    if (span == NULL)
        return NULL;
    *span = (struct span){.kind = (uint8_t)kind,
                          .context = *context,
                          .start_unix_ns = start_unix_ns,
                          ._size = (uint32_t)first};
    span->_data = span->_first;
    len = utf8_repair(name, name_len, NULL, SPAN_VALUE_MAX);
    if (!reserve(span, len)) {
        free(span);
        return NULL;
    }
    span->_name_len = (uint32_t)utf8_repair(name, name_len, span->_data, len);
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
    if (state != NULL && atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) == 1)
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
    atomic_init(&state->refs, 1);
    state->len = (uint16_t)n;
    memcpy(state->text, p, n);
    span->_state = state;
}

void span_share_trace_state(struct span *span, const struct span *from)
{
    assert(span->_state == NULL);
    if (from->_state == NULL)
        return;
    atomic_fetch_add_explicit(&from->_state->refs, 1, memory_order_relaxed);
    span->_state = from->_state;
}

const char *span_trace_state(const struct span *span, size_t *ret_len)
{
    *ret_len = span->_state != NULL ? span->_state->len : 0;
    return span->_state != NULL ? span->_state->text : NULL;
}

void span_destroy(struct span *span)
{
    if (span == NULL)
        return;
    drop_trace_state(span);
    free(span->events);
    if (has_own_block(span))
        free(span->_data);
    free(span);
}

/* Read the record at `at`; false at the end of the block. */
static bool read_record(const struct span *span, uint32_t at, struct record *ret)
{
    const char *data = span->_data;

    if (at >= span->_used)
        return false;
    ret->start = at;
    ret->id = (uint8_t)data[at++];
    if (ret->id == 0) {
        ret->key_len = get_u16(data + at);
        ret->key = at + 2;
        at = ret->key + ret->key_len;
    } else {
        ret->key_len = 0;
        ret->key = 0;
    }
    ret->type = (uint8_t)data[at++];
    ret->str_len = 0;
    switch (ret->type) {
    case SPAN_STRING:
    case SPAN_BYTES:
    case SPAN_STRINGS:
        ret->str_len = get_u16(data + at);
        ret->value = at + 2;
        ret->end = ret->value + ret->str_len;
        break;
    case SPAN_BOOL:
        ret->value = at;
        ret->end = at + 1;
        break;
    default:
        assert(ret->type == SPAN_INT);
        ret->value = at;
        ret->end = at + (uint32_t)sizeof(int64_t);
        break;
    }
    assert(ret->end <= span->_used);
    return true;
}

static bool pack_key(const char *key, size_t n, struct packed_key *ret)
{
    if (n == 0)
        return false;
    for (size_t i = 0; n <= UINT8_MAX && i < N_KNOWN; i++) {
        const uint8_t *at = memchr(known_lengths + i, (int)n, N_KNOWN - i);

        if (at == NULL)
            break;
        i = (size_t)(at - known_lengths);
        if (memcmp(known_keys[i].key, key, n) == 0) {
            ret->id = (uint8_t)(i + 1);
            ret->len = 0;
            return true;
        }
    }
    /* Asks for a character more than fits, to tell a key that is too long from one that fits. */
    if (n > SPAN_KEY_MAX || utf8_repair(key, n, NULL, SPAN_KEY_MAX + 3) > SPAN_KEY_MAX)
        return false;
    ret->id = 0;
    ret->len = (uint16_t)utf8_repair(key, n, ret->text, sizeof ret->text);
    return true;
}

static bool same_key(const struct span *span, const struct record *record,
                     const struct packed_key *key)
{
    return record->id == key->id && record->key_len == key->len &&
           (key->len == 0 || memcmp(span->_data + record->key, key->text, key->len) == 0);
}

/* The bit of a key in struct span's _keys: one for each known key, bit 0 for all others. */
static uint64_t key_bit(const struct packed_key *key)
{
    return UINT64_C(1) << key->id;
}

static bool find_record(const struct span *span, const struct packed_key *key, struct record *ret)
{
    if ((span->_keys & key_bit(key)) == 0)
        return false; /* most keys are set once */
    for (uint32_t at = span->_name_len; read_record(span, at, ret); at = ret->end)
        if (same_key(span, ret, key))
            return true;
    return false;
}

/*
 * Append a record for the key with n bytes for its value, and take out the one that has the key.
 * @return where the type goes, followed by the value; NULL: left out and counted
 */
static char *place(struct span *span, const char *key, size_t key_len, size_t n)
{
    struct packed_key packed;
    struct record record;
    bool found;
    size_t need;
    char *p;

    if (!pack_key(key, key_len, &packed))
        goto drop;
    found = find_record(span, &packed, &record);
    if (!found && span->n_attributes >= limits.attributes)
        goto drop;
    need = 1u + (packed.id == 0 ? 2u + packed.len : 0u) + 1u + n;
    if (!reserve(span, need))
        goto drop; /* an old value stays */
    if (found) {
        memmove(span->_data + record.start, span->_data + record.end, span->_used - record.end);
        span->_used -= record.end - record.start;
        span->n_attributes--;
    }
    p = span->_data + span->_used;
    *p++ = (char)packed.id;
    if (packed.id == 0) {
        p = put_u16(p, packed.len);
        memcpy(p, packed.text, packed.len);
        p += packed.len;
    }
    span->_used += (uint32_t)need;
    span->n_attributes++;
    span->_keys |= key_bit(&packed);
    return p;
drop:
    span->dropped_attributes++;
    return NULL;
}

void span_set_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX);
    char *out = place(span, key, key_len, 2 + len);

    if (out == NULL)
        return;
    *out++ = SPAN_STRING;
    out = put_u16(out, len);
    (void)utf8_repair(p, n, out, len);
}

void span_set_int(struct span *span, const char *key, size_t key_len, int64_t value)
{
    char *out = place(span, key, key_len, sizeof value);

    if (out == NULL)
        return;
    *out++ = SPAN_INT;
    memcpy(out, &value, sizeof value);
}

void span_set_bool(struct span *span, const char *key, size_t key_len, bool value)
{
    char *out = place(span, key, key_len, 1);

    if (out == NULL)
        return;
    *out++ = SPAN_BOOL;
    *out = value ? 1 : 0;
}

void span_set_bytes(struct span *span, const char *key, size_t key_len, const void *p, size_t n)
{
    const size_t max = limits.value_length < SPAN_VALUE_MAX ? limits.value_length : SPAN_VALUE_MAX;
    const size_t len = n < max ? n : max;
    char *out = place(span, key, key_len, 2 + len);

    if (out == NULL)
        return;
    *out++ = SPAN_BYTES;
    out = put_u16(out, len);
    if (len > 0)
        memcpy(out, p, len);
}

/* Add a string behind the last one of a list. @return false: it does not fit */
static bool extend(struct span *span, const struct record *list, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX);
    char *out;

    if (list->str_len + 2 + len > SPAN_VALUE_MAX || !reserve(span, 2 + len))
        return false;
    out = span->_data + list->end;
    memmove(out + 2 + len, out, span->_used - list->end);
    span->_used += (uint32_t)(2 + len);
    out = put_u16(out, len);
    (void)utf8_repair(p, n, out, len);
    (void)put_u16(span->_data + list->value - 2, list->str_len + 2 + len);
    return true;
}

void span_add_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX - 2);
    struct packed_key packed;
    struct record record;
    char *out;

    if (pack_key(key, key_len, &packed) && find_record(span, &packed, &record) &&
        record.type == SPAN_STRINGS) {
        if (!extend(span, &record, p, n))
            span->dropped_attributes++;
        return;
    }
    out = place(span, key, key_len, 2 + 2 + len);
    if (out == NULL)
        return;
    *out++ = SPAN_STRINGS;
    out = put_u16(out, 2 + len);
    out = put_u16(out, len);
    (void)utf8_repair(p, n, out, len);
}

void span_set_name(struct span *span, const char *name, size_t name_len)
{
    const size_t len = utf8_repair(name, name_len, NULL, SPAN_VALUE_MAX);

    if (len > span->_name_len && !reserve(span, len - span->_name_len))
        return;
    memmove(span->_data + len, span->_data + span->_name_len, span->_used - span->_name_len);
    span->_used = span->_used - span->_name_len + (uint32_t)len;
    span->_name_len = (uint32_t)utf8_repair(name, name_len, span->_data, len);
}

void span_add_event(struct span *span, const char *name, int64_t time_unix_ns)
{
    if (span->n_events >= limits.events) {
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
    return span->_data;
}

size_t span_data_size(const struct span *span)
{
    return span->_used;
}

static void show(const struct span *span, const struct record *record, struct span_attr *ret)
{
    *ret = (struct span_attr){.type = (enum span_value_type)record->type};
    if (record->id == 0) {
        ret->key = span->_data + record->key;
        ret->key_len = record->key_len;
    } else {
        ret->key = known_keys[record->id - 1].key;
        ret->key_len = known_keys[record->id - 1].len;
    }
    switch (ret->type) {
    case SPAN_STRING:
    case SPAN_BYTES:
    case SPAN_STRINGS:
        ret->str = span->_data + record->value;
        ret->str_len = record->str_len;
        break;
    case SPAN_BOOL:
        ret->i = span->_data[record->value] != 0;
        break;
    default:
        memcpy(&ret->i, span->_data + record->value, sizeof ret->i);
        break;
    }
}

bool span_attribute(const struct span *span, size_t *pos, struct span_attr *ret)
{
    struct record record;

    if (*pos == 0)
        *pos = span->_name_len;
    if (!read_record(span, (uint32_t)*pos, &record))
        return false;
    show(span, &record, ret);
    *pos = record.end;
    return true;
}

bool span_find(const struct span *span, const char *key, size_t key_len, struct span_attr *ret)
{
    struct packed_key packed;
    struct record record;

    if (!pack_key(key, key_len, &packed) || !find_record(span, &packed, &record))
        return false;
    show(span, &record, ret);
    return true;
}

bool span_attr_string(const struct span_attr *attr, size_t *pos, const char **ret, size_t *ret_len)
{
    if (*pos >= attr->str_len)
        return false;
    *ret_len = get_u16(attr->str + *pos);
    *ret = attr->str + *pos + 2;
    *pos += 2 + *ret_len;
    assert(*pos <= attr->str_len);
    return true;
}
