/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/span_attributes.c - a span's attributes, written as OTLP's bytes: block.h.
 *
 * Nearly every attribute has a known key that is set once, and a text without anything to repair;
 * that way is short (put_short()), and all else takes the long one.
 */
#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "signal/block.h"
#include "signal/span.h"

/* The field KeyValue.key of each known key, as it is written: tag, length, text. */
#define KEY_FIELD_SIZE (2u + SPAN_KNOWN_KEY_MAX)
struct key_field {
    uint8_t tag, len;
    char text[SPAN_KNOWN_KEY_MAX]; /* zeros behind it */
};
_Static_assert(sizeof(struct key_field) == KEY_FIELD_SIZE, "no gaps: it is copied as it lies");
#define X(id, text) [SPAN_KEY_##id] = {BLOCK_KEY, sizeof text - 1, text},
static const struct key_field known_keys[N_SPAN_KEYS] = {SPAN_KNOWN_KEYS(X)};
#undef X
_Static_assert(N_SPAN_KEYS <= 64, "a known key is one bit of struct span's _keys");

/* The same keys for who reads them as texts. */
#define X(id, text) [SPAN_KEY_##id] = text,
static const char *const known_texts[N_SPAN_KEYS] = {SPAN_KNOWN_KEYS(X)};
#undef X

/* Their lengths side by side, so that a search looks at few keys: find_known(). */
#define X(id, text) [SPAN_KEY_##id] = (uint8_t)(sizeof text - 1),
static const uint8_t known_lengths[N_SPAN_KEYS] = {SPAN_KNOWN_KEYS(X)};
#undef X
#define X(id, text) _Static_assert(sizeof text - 1 <= SPAN_KNOWN_KEY_MAX, text);
SPAN_KNOWN_KEYS(X)
#undef X

/* A key that is looked for or written. */
struct key {
    const char *p;
    size_t len;
    uint64_t bit; /* in _keys, or where it is not known in _others */
    bool known;
};

/* One attribute in the block; offsets. */
struct record {
    uint32_t start, end;
    uint32_t key, key_len;
    uint32_t value; /* the AnyValue's tag */
};

/* ---- keys --------------------------------------------------------------------------------- */

static enum span_key find_known(const char *key, size_t n)
{
    if (memchr(key, '.', n) == NULL)
        return SPAN_KEY_NONE; /* each known key has one */
    for (size_t i = SPAN_KEY_NONE + 1; n <= SPAN_KNOWN_KEY_MAX && i < N_SPAN_KEYS; i++) {
        const uint8_t *at = memchr(known_lengths + i, (int)n, N_SPAN_KEYS - i);

        if (at == NULL)
            break;
        i = (size_t)(at - known_lengths);
        if (memcmp(known_keys[i].text, key, n) == 0)
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

static struct key known_key(enum span_key key)
{
    return (struct key){known_keys[key].text, known_keys[key].len, UINT64_C(1) << key, true};
}

/* @param buf  SPAN_KEY_MAX bytes, for a repaired copy. @return false: it cannot be one */
static bool read_key(const char *key, size_t n, char *buf, struct key *ret)
{
    enum span_key known;

    if (n == 0)
        return false;
    known = find_known(key, n);
    if (known != SPAN_KEY_NONE) {
        *ret = known_key(known);
        return true;
    }
    if (n > SPAN_KEY_MAX)
        return false;
    *ret = (struct key){.p = key, .len = n};
    if (!utf8_is_clean(key, n)) {
        /* Asks for a character more than fits, to tell a key that is too long from one that fits.
         */
        if (utf8_repair(key, n, NULL, SPAN_KEY_MAX + 3) > SPAN_KEY_MAX)
            return false;
        ret->p = buf;
        ret->len = utf8_repair(key, n, buf, SPAN_KEY_MAX);
    }
    ret->bit = other_bit(ret->p, ret->len);
    return true;
}

/* ---- the bytes ------------------------------------------------------------------------------ */

/* Bytes of an attribute whose AnyValue takes value_size. */
static size_t attribute_size(size_t key_len, size_t value_size)
{
    return pb_bytes_size(pb_bytes_size(key_len) + pb_bytes_size(value_size));
}

/* All of it up to the AnyValue's tag. */
static uint8_t *put_head(uint8_t *p, const char *key, size_t key_len, size_t value_size)
{
    *p++ = BLOCK_ATTRIBUTE;
    p = pb_put_varint(p, pb_bytes_size(key_len) + pb_bytes_size(value_size));
    *p++ = BLOCK_KEY;
    p = pb_put_varint(p, key_len);
    memcpy(p, key, key_len);
    p += key_len;
    *p++ = BLOCK_VALUE;
    return pb_put_varint(p, value_size);
}

/* Read the attribute at `at`, the start of one or the end of the last. @return false: the end */
static inline bool read_record(const struct span *span, uint32_t at, struct record *ret)
{
    const uint8_t *p = span->_data + at;
    uint64_t n;

    if (at >= span->_used)
        return false;
    assert(*p == BLOCK_ATTRIBUTE);
    ret->start = at;
    p = pb_get_varint(p + 1, &n);
    ret->end = (uint32_t)((size_t)(p - span->_data) + n);
    assert(ret->end <= span->_used && *p == BLOCK_KEY);
    p = pb_get_varint(p + 1, &n);
    ret->key = (uint32_t)(p - span->_data);
    ret->key_len = (uint32_t)n;
    return true;
}

/* And where its value is. */
static void read_value(const struct span *span, struct record *record)
{
    const uint8_t *p = span->_data + record->key + record->key_len;
    uint64_t n;

    assert(*p == BLOCK_VALUE);
    p = pb_get_varint(p + 1, &n);
    record->value = (uint32_t)(p - span->_data);
    assert(record->value + n == record->end);
}

static bool find_record(const struct span *span, const struct key *key, struct record *ret)
{
    if (((key->known ? span->_keys : span->_others) & key->bit) == 0)
        return false; /* most keys are set once */
    for (uint32_t at = span->_name_len; read_record(span, at, ret); at = ret->end) {
        if (ret->key_len == key->len && memcmp(span->_data + ret->key, key->p, key->len) == 0) {
            read_value(span, ret);
            return true;
        }
    }
    return false;
}

static void remove_record(struct span *span, const struct record *record)
{
    memmove(span->_data + record->start, span->_data + record->end, span->_used - record->end);
    span->_used -= record->end - record->start;
    span->n_attributes--;
}

/*
 * Append an attribute with an AnyValue of so many bytes, and take out the one that has the key.
 * @return where the AnyValue goes; NULL: left out and counted
 */
static uint8_t *place(struct span *span, const struct key *key, size_t value_size)
{
    const size_t need = attribute_size(key->len, value_size);
    struct record record;
    const bool found = find_record(span, key, &record);
    uint8_t *p;

    if ((!found && span->n_attributes >= span_limits.attributes) || !span_reserve(span, need)) {
        span->dropped_attributes++; /* an old value stays */
        return NULL;
    }
    if (found)
        remove_record(span, &record);
    p = put_head(span->_data + span->_used, key->p, key->len, value_size);
    if (key->known)
        span->_keys |= key->bit;
    else
        span->_others |= (uint32_t)key->bit;
    span->_used += (uint32_t)need;
    span->n_attributes++;
    return p;
}

/* ---- the long way ---------------------------------------------------------------------------- */

/* The length that an attribute's text has once it is repaired and cut. @param max  bytes */
static size_t value_length(const char *p, size_t n, size_t max)
{
    const size_t len = utf8_repair(p, n, NULL, max);

    if (len <= span_limits.value_length) /* a character has a byte at least */
        return len;
    return utf8_repair_chars(p, n, max, span_limits.value_length);
}

static void put_str(struct span *span, const struct key *key, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX);
    uint8_t *out = place(span, key, pb_bytes_size(len));

    if (out == NULL)
        return;
    *out++ = BLOCK_STRING;
    out = pb_put_varint(out, len);
    (void)utf8_repair(p, n, (char *)out, len);
}

static void put_int(struct span *span, const struct key *key, int64_t value)
{
    uint8_t *out = place(span, key, 1 + pb_varint_size((uint64_t)value));

    if (out == NULL)
        return;
    *out++ = BLOCK_INT;
    (void)pb_put_varint(out, (uint64_t)value);
}

static void put_bool(struct span *span, const struct key *key, bool value)
{
    uint8_t *out = place(span, key, 2);

    if (out == NULL)
        return;
    *out++ = BLOCK_BOOL;
    *out = value ? 1 : 0;
}

/* ---- the short way --------------------------------------------------------------------------- */

/*
 * A text whose key the span did not have, into the block at once: it counts only if nothing was to
 * be repaired. @param key  clean. @return false: not so, and nothing is changed
 */
static bool put_new(struct span *span, const struct key *key, const char *p, size_t n)
{
    const size_t size = attribute_size(key->len, pb_bytes_size(n));
    const bool had = ((key->known ? span->_keys : span->_others) & key->bit) != 0;
    uint8_t *out = span->_data + span->_used;

    if (had || span->n_attributes >= span_limits.attributes || size > span->_size - span->_used ||
        n > SPAN_VALUE_MAX || n > span_limits.value_length)
        return false;
    out = put_head(out, key->p, key->len, pb_bytes_size(n));
    *out++ = BLOCK_STRING;
    out = pb_put_varint(out, n);
    if (!utf8_copy_clean(p, n, (char *)out))
        return false;
    if (key->known)
        span->_keys |= key->bit;
    else
        span->_others |= (uint32_t)key->bit;
    span->_used += (uint32_t)size;
    span->n_attributes++;
    return true;
}

/*
 * The start of an attribute with a known key whose lengths are all below 128 and so a byte each:
 * nearly every one. @return where the AnyValue goes, NULL: it is not such a one, or there is not
 * room enough at the block's end to copy the key by one size for all, which is fastest
 */
static inline uint8_t *put_short(struct span *span, enum span_key key, size_t value_size)
{
    const struct key_field *field = &known_keys[key];
    const size_t size = 2u + field->len + 2u + value_size, room = span->_size - span->_used;
    uint8_t *out = span->_data + span->_used;

    assert(key > SPAN_KEY_NONE && key < N_SPAN_KEYS);
    if (size >= 0x80 || room < 2 + size || room < 2 + KEY_FIELD_SIZE ||
        (span->_keys >> key & 1) != 0 || span->n_attributes >= span_limits.attributes)
        return NULL;
    out[0] = BLOCK_ATTRIBUTE;
    out[1] = (uint8_t)size;
    memcpy(out + 2, field, KEY_FIELD_SIZE);
    out += 2u + 2u + field->len;
    out[0] = BLOCK_VALUE;
    out[1] = (uint8_t)value_size;
    return out + 2;
}

/* It is written, up to `end`. */
static inline void end_short(struct span *span, enum span_key key, const uint8_t *end)
{
    span->_used = (uint32_t)(end - span->_data);
    span->_keys |= UINT64_C(1) << key;
    span->n_attributes++;
}

__attribute__((noinline)) static void set_known_str(struct span *span, enum span_key key,
                                                    const char *p, size_t n)
{
    const struct key known = known_key(key);

    if (!put_new(span, &known, p, n))
        put_str(span, &known, p, n);
}

void span_set_known_str(struct span *span, enum span_key key, const char *p, size_t n)
{
    uint8_t *out = n < 0x80 && n <= span_limits.value_length ? put_short(span, key, 2 + n) : NULL;

    if (out != NULL) {
        out[0] = BLOCK_STRING;
        out[1] = (uint8_t)n;
        if (utf8_copy_clean(p, n, (char *)out + 2)) {
            end_short(span, key, out + 2 + n);
            return;
        }
    }
    set_known_str(span, key, p, n);
}

void span_set_known_int(struct span *span, enum span_key key, int64_t value)
{
    const size_t size = 1 + pb_varint_size((uint64_t)value);
    uint8_t *out = put_short(span, key, size);

    if (out != NULL) {
        *out++ = BLOCK_INT;
        end_short(span, key, pb_put_varint(out, (uint64_t)value));
    } else {
        const struct key known = known_key(key);

        put_int(span, &known, value);
    }
}

/* ---- any key ----------------------------------------------------------------------------------
 */

void span_set_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n)
{
    char buf[SPAN_KEY_MAX];
    struct key read;

    if (!read_key(key, key_len, buf, &read))
        span->dropped_attributes++;
    else if (!put_new(span, &read, p, n))
        put_str(span, &read, p, n);
}

void span_set_int(struct span *span, const char *key, size_t key_len, int64_t value)
{
    char buf[SPAN_KEY_MAX];
    struct key read;

    if (read_key(key, key_len, buf, &read))
        put_int(span, &read, value);
    else
        span->dropped_attributes++;
}

void span_set_bool(struct span *span, const char *key, size_t key_len, bool value)
{
    char buf[SPAN_KEY_MAX];
    struct key read;

    if (read_key(key, key_len, buf, &read))
        put_bool(span, &read, value);
    else
        span->dropped_attributes++;
}

void span_set_known_bool(struct span *span, enum span_key key, bool value)
{
    const struct key known = known_key(key);

    put_bool(span, &known, value);
}

void span_remove_known(struct span *span, enum span_key key)
{
    const struct key known = known_key(key);
    struct record record;

    if (find_record(span, &known, &record))
        remove_record(span, &record);
}

void span_set_bytes(struct span *span, const char *key, size_t key_len, const void *p, size_t n)
{
    const size_t limit = span_limits.value_length;
    const size_t max = limit < SPAN_VALUE_MAX ? limit : SPAN_VALUE_MAX;
    const size_t len = n < max ? n : max;
    char buf[SPAN_KEY_MAX];
    struct key read;
    uint8_t *out;

    if (!read_key(key, key_len, buf, &read)) {
        span->dropped_attributes++;
        return;
    }
    out = place(span, &read, pb_bytes_size(len));
    if (out == NULL)
        return;
    *out++ = BLOCK_BYTES;
    out = pb_put_varint(out, len);
    if (len > 0)
        memcpy(out, p, len);
}

/* ---- lists ------------------------------------------------------------------------------------
 */

/* An ArrayValue's element of a text of len bytes. */
static size_t element_size(size_t len)
{
    return pb_bytes_size(pb_bytes_size(len));
}

static void put_element(uint8_t *out, const char *p, size_t n, size_t len)
{
    *out++ = BLOCK_ARRAY_VALUE;
    out = pb_put_varint(out, pb_bytes_size(len));
    *out++ = BLOCK_STRING;
    out = pb_put_varint(out, len);
    (void)utf8_repair(p, n, (char *)out, len);
}

/* What counts against SPAN_VALUE_MAX: two bytes for each text's length. */
static size_t list_size(const struct span_attr *list)
{
    size_t size = 0, pos = 0, n;
    const char *p;

    while (span_attr_string(list, &pos, &p, &n))
        size += 2 + n;
    return size;
}

static void show(const struct span *span, struct record *record, struct span_attr *ret);

/* Add a string behind the last one of a list, whose lengths may grow. @return false: no place */
static bool extend(struct span *span, struct record *list, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX), key_len = list->key_len;
    struct span_attr attr;
    size_t texts, old_size, new_size, more, body, tail;
    char key[SPAN_KEY_MAX];
    uint8_t *out;

    show(span, list, &attr);
    if (list_size(&attr) + 2 + len > SPAN_VALUE_MAX)
        return false;
    texts = attr.str_len + element_size(len);
    old_size = list->end - list->start;
    new_size = attribute_size(key_len, pb_bytes_size(texts));
    more = new_size - old_size;
    body = list->end - attr.str_len; /* where the old texts begin */
    if (!span_reserve(span, more))
        return false;
    tail = span->_used - list->end;
    memmove(span->_data + list->end + more, span->_data + list->end, tail);
    memmove(span->_data + list->start + new_size - texts, span->_data + body, attr.str_len);
    memcpy(key, span->_data + list->key, key_len);
    out = put_head(span->_data + list->start, key, key_len, pb_bytes_size(texts));
    *out++ = BLOCK_ARRAY;
    out = pb_put_varint(out, texts);
    assert(out == span->_data + list->start + new_size - texts);
    put_element(out + attr.str_len, p, n, len);
    span->_used += (uint32_t)more;
    return true;
}

void span_add_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n)
{
    const size_t len = value_length(p, n, SPAN_VALUE_MAX - 2);
    char buf[SPAN_KEY_MAX];
    struct record record;
    struct key read;
    uint8_t *out;

    if (!read_key(key, key_len, buf, &read)) {
        span->dropped_attributes++;
        return;
    }
    if (find_record(span, &read, &record) && span->_data[record.value] == BLOCK_ARRAY) {
        if (!extend(span, &record, p, n))
            span->dropped_attributes++;
        return;
    }
    out = place(span, &read, pb_bytes_size(element_size(len)));
    if (out == NULL)
        return;
    *out++ = BLOCK_ARRAY;
    out = pb_put_varint(out, element_size(len));
    put_element(out, p, n, len);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* @param record  with its value's place */
static void show(const struct span *span, struct record *record, struct span_attr *ret)
{
    const uint8_t *value = span->_data + record->value;
    const uint8_t tag = *value;
    uint64_t n;

    value = pb_get_varint(value + 1, &n);
    *ret = (struct span_attr){.key = (const char *)span->_data + record->key,
                              .key_len = record->key_len};
    switch ((enum block_value)tag) {
    case BLOCK_BOOL:
    case BLOCK_INT:
        ret->type = tag == BLOCK_INT ? SPAN_INT : SPAN_BOOL;
        ret->i = (int64_t)n;
        return;
    case BLOCK_STRING:
        ret->type = SPAN_STRING;
        break;
    case BLOCK_ARRAY:
        ret->type = SPAN_STRINGS;
        break;
    case BLOCK_BYTES:
        ret->type = SPAN_BYTES;
        break;
    }
    ret->str = (const char *)value;
    ret->str_len = n;
}

const char *span_key_text(enum span_key key)
{
    return known_texts[key];
}

bool span_attribute(const struct span *span, size_t *pos, struct span_attr *ret)
{
    struct record record;

    if (*pos == 0)
        *pos = span->_name_len;
    if (!read_record(span, (uint32_t)*pos, &record))
        return false;
    read_value(span, &record);
    show(span, &record, ret);
    *pos = record.end;
    return true;
}

static bool find(const struct span *span, const struct key *key, struct span_attr *ret)
{
    struct record record;

    if (!find_record(span, key, &record))
        return false;
    show(span, &record, ret);
    return true;
}

bool span_find(const struct span *span, const char *key, size_t key_len, struct span_attr *ret)
{
    char buf[SPAN_KEY_MAX];
    struct key read;

    return read_key(key, key_len, buf, &read) && find(span, &read, ret);
}

bool span_find_known(const struct span *span, enum span_key key, struct span_attr *ret)
{
    const struct key known = known_key(key);

    return find(span, &known, ret);
}

bool span_attr_string(const struct span_attr *attr, size_t *pos, const char **ret, size_t *ret_len)
{
    const uint8_t *const bytes = (const uint8_t *)attr->str, *p = bytes + *pos;
    uint64_t n;

    if (*pos >= attr->str_len)
        return false;
    assert(*p == BLOCK_ARRAY_VALUE);
    p = pb_get_varint(p + 1, &n);
    assert(*p == BLOCK_STRING);
    p = pb_get_varint(p + 1, &n);
    *ret = (const char *)p;
    *ret_len = n;
    *pos = (size_t)(p - bytes) + n;
    assert(*pos <= attr->str_len);
    return true;
}
