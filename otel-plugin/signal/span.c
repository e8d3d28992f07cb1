/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/span.c - spans, packed for a process that keeps 200 000 of them open:
 * packed.h.
 *
 * Nearly every attribute has a known key that is set once, and a text without anything to repair;
 * that way is short (place_new(), utf8_copy_clean()), and all else takes the long one.
 */
#include "signal/span.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "signal/packed.h"
#include "signal/pool.h"
#include "base/utf8.h"

_Static_assert(SPAN_VALUE_MAX <= UINT16_MAX, "a name's length fits _name_len");
/* The worst case fits the 32-bit offsets with room: 1024 * (4096 + 256 + 6) + 4096 < 2^23. */
#define STEP 64u
/*
 * The first block lies behind the span itself, in one allocation, and holds what a usual request
 * brings, some custom attributes included; a span that outgrows it gets a block of its own.
 */
#define SERVER_DATA 176u
#define CLIENT_DATA 112u

/* Shared by the spans of a request; the last one to go frees it. */
struct trace_state {
    uint32_t refs; /* they are all in one place, so it needs no lock either */
    uint16_t len;
    char text[];
};

struct known {
    const char *key;
    size_t len;
};

#define X(id, text) [SPAN_KEY_##id] = {text, sizeof text - 1},
static const struct known known_keys[N_SPAN_KEYS] = {SPAN_KNOWN_KEYS(X)};
#undef X
_Static_assert(N_SPAN_KEYS <= 64, "a known key is one bit of struct span's _keys");

/* The same keys' lengths side by side, so that a search looks at few keys: find_known(). */
#define X(id, text) [SPAN_KEY_##id] = (uint8_t)(sizeof text - 1),
static const uint8_t known_lengths[N_SPAN_KEYS] = {SPAN_KNOWN_KEYS(X)};
#undef X
#define X(id, text) _Static_assert(sizeof text - 1 <= SPAN_KNOWN_KEY_MAX, text);
SPAN_KNOWN_KEYS(X)
#undef X

/* A key as it is packed: its number, or a repaired copy. */
struct key {
    uint64_t bit; /* in _keys, or where it is not known in _others */
    uint8_t id;
    uint16_t len;
    char text[SPAN_KEY_MAX];
};

static struct span_limits limits = {
    .value_length = UINT32_MAX, .attributes = SPAN_ATTRIBUTES_DEFAULT, .events = SPAN_EVENTS_MAX};

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
    data = realloc(has_own_block(span) ? span->_data : NULL, want + PACKED_SLACK);
    if (data == NULL)
        return false;
    if (!has_own_block(span))
        memcpy(data, span->_first, span->_used);
    span->_data = data;
    span->_size = (uint32_t)want;
    return true;
}

static size_t block_size(enum span_kind kind)
{
    return sizeof(struct span) + (kind == SPAN_SERVER ? SERVER_DATA : CLIENT_DATA) + PACKED_SLACK;
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
    const size_t first = block_size(kind) - sizeof(struct span) - PACKED_SLACK;
    struct span *span = pool_get(cache, pool_kind(kind), block_size(kind));

    if (span == NULL)
        return NULL;
    *span = (struct span){.kind = (uint8_t)kind,
                          .context = *context,
                          .start_unix_ns = start_unix_ns,
                          ._size = (uint32_t)first};
    span->_data = span->_first;
    if (name_len <= first && utf8_copy_clean(name, name_len, span->_first)) {
        span->_name_len = (uint16_t)name_len;
    } else {
        const size_t len = utf8_repair(name, name_len, NULL, SPAN_VALUE_MAX);

        if (!reserve(span, len)) {
            free(span);
            return NULL;
        }
        span->_name_len = (uint16_t)utf8_repair(name, name_len, span->_data, len);
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
    if (has_own_block(span))
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

static enum span_key find_known(const char *key, size_t n)
{
    if (memchr(key, '.', n) == NULL)
        return SPAN_KEY_NONE; /* each known key has one */
    for (size_t i = SPAN_KEY_NONE + 1; n <= SPAN_KNOWN_KEY_MAX && i < N_SPAN_KEYS; i++) {
        const uint8_t *at = memchr(known_lengths + i, (int)n, N_SPAN_KEYS - i);

        if (at == NULL)
            break;
        i = (size_t)(at - known_lengths);
        if (memcmp(known_keys[i].key, key, n) == 0)
            return (enum span_key)i;
    }
    return SPAN_KEY_NONE;
}

/* A bit that tells most keys apart. */
static uint32_t other_bit(const char *key, size_t n)
{
    const unsigned hash = (unsigned)n * 7u + (unsigned char)key[0] * 3u +
                          (unsigned char)key[n / 2] * 5u + (unsigned char)key[n - 1];

    return UINT32_C(1) << (hash & 31);
}

static void know_key(enum span_key id, struct key *ret)
{
    ret->id = (uint8_t)id;
    ret->len = 0;
    ret->bit = UINT64_C(1) << id;
}

static bool read_key(const char *key, size_t n, struct key *ret)
{
    enum span_key id;

    if (n == 0)
        return false;
    id = find_known(key, n);
    if (id != SPAN_KEY_NONE) {
        know_key(id, ret);
        return true;
    }
    ret->id = SPAN_KEY_NONE;
    ret->len = (uint16_t)n;
    if (n > SPAN_KEY_MAX)
        return false;
    if (!utf8_copy_clean(key, n, ret->text)) {
        /* Asks for a character more than fits, to tell a key that is too long from one that fits.
         */
        if (utf8_repair(key, n, NULL, SPAN_KEY_MAX + 3) > SPAN_KEY_MAX)
            return false;
        ret->len = (uint16_t)utf8_repair(key, n, ret->text, sizeof ret->text);
    }
    ret->bit = other_bit(ret->text, ret->len);
    return true;
}

static bool same_key(const struct span *span, const struct packed *record, const struct key *key)
{
    return record->id == key->id && record->key_len == key->len &&
           (key->len == 0 || memcmp(span->_data + record->key, key->text, key->len) == 0);
}

static bool find_record(const struct span *span, const struct key *key, struct packed *ret)
{
    if (((key->id != SPAN_KEY_NONE ? span->_keys : span->_others) & key->bit) == 0)
        return false; /* most keys are set once */
    for (uint32_t at = packed_first(span); packed_read(span, at, ret); at = ret->end)
        if (same_key(span, ret, key))
            return true;
    return false;
}

static void remove_record(struct span *span, const struct packed *record)
{
    memmove(span->_data + record->start, span->_data + record->end, span->_used - record->end);
    span->_used -= record->end - record->start;
    span->n_attributes--;
}

/*
 * Append a record for the key with n bytes for its value, and take out the one that has the key.
 * @return where the type goes, followed by the value; NULL: left out and counted
 */
static char *place(struct span *span, const struct key *key, size_t n)
{
    struct packed record;
    const bool found = find_record(span, key, &record);
    const size_t need = 1u + (key->id == SPAN_KEY_NONE ? 2u + key->len : 0u) + 1u + n;
    char *p;

    if ((!found && span->n_attributes >= limits.attributes) || !reserve(span, need)) {
        span->dropped_attributes++; /* an old value stays */
        return NULL;
    }
    assert(span->_data != NULL);
    if (found)
        remove_record(span, &record);
    p = span->_data + span->_used;
    *p++ = (char)key->id;
    if (key->id == SPAN_KEY_NONE) {
        p = put_u16(p, key->len);
        memcpy(p, key->text, key->len);
        p += key->len;
        span->_others |= (uint32_t)key->bit;
    } else {
        span->_keys |= key->bit;
    }
    span->_used += (uint32_t)need;
    span->n_attributes++;
    return p;
}

static void put_str(struct span *span, const struct key *key, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX);
    char *out = place(span, key, 2 + len);

    if (out == NULL)
        return;
    *out++ = SPAN_STRING;
    out = put_u16(out, len);
    (void)utf8_repair(p, n, out, len);
}

static void put_int(struct span *span, const struct key *key, int64_t value)
{
    char *out = place(span, key, sizeof value);

    if (out == NULL)
        return;
    *out++ = SPAN_INT;
    memcpy(out, &value, sizeof value);
}

static void put_bool(struct span *span, const struct key *key, bool value)
{
    char *out = place(span, key, 1);

    if (out == NULL)
        return;
    *out++ = SPAN_BOOL;
    *out = value ? 1 : 0;
}

/*
 * The short way for a text of a key that is not known: into the block at once, which counts only
 * if nothing was to be repaired. @return false: not so, and nothing is changed
 */
static bool put_new_other(struct span *span, const char *key, size_t key_len, const char *p,
                          size_t n)
{
    const uint32_t bit = other_bit(key, key_len);
    char *out = span->_data + span->_used;

    if ((span->_others & bit) != 0 || span->n_attributes >= limits.attributes ||
        n > SPAN_VALUE_MAX || n > limits.value_length ||
        6 + key_len + n > span->_size - span->_used)
        return false;
    if (!utf8_copy_clean(key, key_len, out + 3) || !utf8_copy_clean(p, n, out + 6 + key_len))
        return false;
    *out++ = SPAN_KEY_NONE;
    out = put_u16(out, key_len) + key_len;
    *out++ = SPAN_STRING;
    out = put_u16(out, n) + n;
    span->_used = (uint32_t)(out - span->_data);
    span->_others |= bit;
    span->n_attributes++;
    return true;
}

void span_set_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n)
{
    struct key read;

    if (key_len > 0 && key_len <= SPAN_KEY_MAX && find_known(key, key_len) == SPAN_KEY_NONE &&
        put_new_other(span, key, key_len, p, n))
        return;
    if (read_key(key, key_len, &read))
        put_str(span, &read, p, n);
    else
        span->dropped_attributes++;
}

void span_set_int(struct span *span, const char *key, size_t key_len, int64_t value)
{
    struct key read;

    if (read_key(key, key_len, &read))
        put_int(span, &read, value);
    else
        span->dropped_attributes++;
}

void span_set_bool(struct span *span, const char *key, size_t key_len, bool value)
{
    struct key read;

    if (read_key(key, key_len, &read))
        put_bool(span, &read, value);
    else
        span->dropped_attributes++;
}

/* The short way: room for a new known key and n bytes. @return where the key goes; NULL: not so */
static char *place_new(struct span *span, enum span_key key, size_t n)
{
    assert(key > SPAN_KEY_NONE && key < N_SPAN_KEYS);
    if ((span->_keys >> key & 1) != 0 || span->n_attributes >= limits.attributes ||
        2 + n > span->_size - span->_used)
        return NULL;
    return span->_data + span->_used;
}

/* A record that place_new() made room for is written, up to `end`. */
static void placed(struct span *span, enum span_key key, const char *end)
{
    span->_used = (uint32_t)(end - span->_data);
    span->_keys |= UINT64_C(1) << key;
    span->n_attributes++;
}

void span_set_known_str(struct span *span, enum span_key key, const char *p, size_t n)
{
    struct key known;
    char *out =
        n <= SPAN_VALUE_MAX && n <= limits.value_length ? place_new(span, key, 2 + n) : NULL;

    if (out != NULL && utf8_copy_clean(p, n, out + 4)) {
        out[0] = (char)key;
        out[1] = SPAN_STRING;
        (void)put_u16(out + 2, n);
        placed(span, key, out + 4 + n);
        return;
    }
    know_key(key, &known);
    put_str(span, &known, p, n);
}

void span_set_known_int(struct span *span, enum span_key key, int64_t value)
{
    struct key known;
    char *out = place_new(span, key, sizeof value);

    if (out != NULL) {
        out[0] = (char)key;
        out[1] = SPAN_INT;
        memcpy(out + 2, &value, sizeof value);
        placed(span, key, out + 2 + sizeof value);
        return;
    }
    know_key(key, &known);
    put_int(span, &known, value);
}

void span_set_known_bool(struct span *span, enum span_key key, bool value)
{
    struct key known;

    know_key(key, &known);
    put_bool(span, &known, value);
}

void span_remove_known(struct span *span, enum span_key key)
{
    struct packed record;
    struct key known;

    know_key(key, &known);
    if (find_record(span, &known, &record))
        remove_record(span, &record);
}

void span_set_bytes(struct span *span, const char *key, size_t key_len, const void *p, size_t n)
{
    const size_t max = limits.value_length < SPAN_VALUE_MAX ? limits.value_length : SPAN_VALUE_MAX;
    const size_t len = n < max ? n : max;
    struct key read;
    char *out;

    if (!read_key(key, key_len, &read)) {
        span->dropped_attributes++;
        return;
    }
    out = place(span, &read, 2 + len);
    if (out == NULL)
        return;
    *out++ = SPAN_BYTES;
    out = put_u16(out, len);
    if (len > 0)
        memcpy(out, p, len);
}

/* Add a string behind the last one of a list. @return false: it does not fit */
static bool extend(struct span *span, const struct packed *list, const char *p, size_t n)
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
    struct packed record;
    struct key read;
    char *out;

    if (!read_key(key, key_len, &read)) {
        span->dropped_attributes++;
        return;
    }
    if (find_record(span, &read, &record) && record.type == SPAN_STRINGS) {
        if (!extend(span, &record, p, n))
            span->dropped_attributes++;
        return;
    }
    out = place(span, &read, 2 + 2 + len);
    if (out == NULL)
        return;
    span->_has_lists = true;
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
    span->_name_len = (uint16_t)utf8_repair(name, name_len, span->_data, len);
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

size_t span_memory(const struct span *span)
{
    size_t size = block_size((enum span_kind)span->kind);

    if (has_own_block(span))
        size += span->_size + PACKED_SLACK;
    if (span->events != NULL)
        size += SPAN_EVENTS_MAX * sizeof *span->events;
    if (span->_state != NULL && span->kind == SPAN_SERVER) /* shared, so counted once */
        size += sizeof *span->_state + span->_state->len;
    return size;
}

size_t span_data_size(const struct span *span)
{
    return span->_used;
}

const char *span_key_text(enum span_key key)
{
    return known_keys[key].key;
}

static void show(const struct span *span, const struct packed *record, struct span_attr *ret)
{
    packed_value(span, record, ret);
    if (record->id == SPAN_KEY_NONE) {
        ret->key = span->_data + record->key;
        ret->key_len = record->key_len;
    } else {
        ret->key = known_keys[record->id].key;
        ret->key_len = known_keys[record->id].len;
    }
}

bool span_attribute(const struct span *span, size_t *pos, struct span_attr *ret)
{
    struct packed record;

    if (*pos == 0)
        *pos = packed_first(span);
    if (!packed_read(span, (uint32_t)*pos, &record))
        return false;
    show(span, &record, ret);
    *pos = record.end;
    return true;
}

static bool find(const struct span *span, const struct key *key, struct span_attr *ret)
{
    struct packed record;

    if (!find_record(span, key, &record))
        return false;
    show(span, &record, ret);
    return true;
}

bool span_find(const struct span *span, const char *key, size_t key_len, struct span_attr *ret)
{
    struct key read;

    return read_key(key, key_len, &read) && find(span, &read, ret);
}

bool span_find_known(const struct span *span, enum span_key key, struct span_attr *ret)
{
    struct key known;

    know_key(key, &known);
    return find(span, &known, ret);
}

bool span_attr_string(const struct span_attr *attr, size_t *pos, const char **ret, size_t *ret_len)
{
    if (*pos >= attr->str_len)
        return false;
    *ret_len = packed_u16(attr->str + *pos);
    *ret = attr->str + *pos + 2;
    *pos += 2 + *ret_len;
    assert(*pos <= attr->str_len);
    return true;
}
