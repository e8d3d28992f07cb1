/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/packed.h - how a span's attributes lie in its block; for span.c, which writes
 * them, and for the encoder, which reads each of them once. All others: span.h.
 *
 * The block holds the name, then one record per attribute:
 *
 *   u8 key     enum span_key; SPAN_KEY_NONE: u16 length and the bytes follow
 *   u8 type    enum span_value_type
 *   value      STRING, BYTES: u16 length and the bytes; BOOL: u8; INT: i64
 *              STRINGS: u16 length of what follows, for each string u16 length and the bytes
 *
 * Numbers are in the machine's order and not aligned.
 */
#ifndef OTEL_SIGNAL_PACKED_H
#define OTEL_SIGNAL_PACKED_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "signal/span.h"

/*
 * Bytes behind a block that may be read and mean nothing, so that a short text can be copied as
 * PACKED_SLACK bytes: one size for all is copied fastest.
 */
#define PACKED_SLACK 32u

/* One record; start, key, value and end are offsets into the block. */
struct packed {
    uint8_t id;   /* enum span_key */
    uint8_t type; /* enum span_value_type */
    uint16_t key_len, str_len;
    uint32_t start, key, value, end;
};

static inline uint16_t packed_u16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/** Where the first record is. */
static inline uint32_t packed_first(const struct span *span)
{
    return span->_name_len;
}

/** Read the record at `at`, the start of one or the end of the last. @return false: the end */
static inline bool packed_read(const struct span *span, uint32_t at, struct packed *ret)
{
    const char *data = span->_data;

    if (at >= span->_used)
        return false;
    ret->start = at;
    ret->id = (uint8_t)data[at++];
    ret->key_len = 0;
    ret->key = 0;
    if (ret->id == SPAN_KEY_NONE) {
        ret->key_len = packed_u16(data + at);
        ret->key = at + 2;
        at = ret->key + ret->key_len;
    }
    ret->type = (uint8_t)data[at++];
    ret->str_len = 0;
    switch (ret->type) {
    case SPAN_STRING:
    case SPAN_BYTES:
    case SPAN_STRINGS:
        ret->str_len = packed_u16(data + at);
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

/** A record's value as span_attribute() shows it, without its key. */
static inline void packed_value(const struct span *span, const struct packed *record,
                                struct span_attr *ret)
{
    const char *const value = span->_data + record->value;

    ret->type = (enum span_value_type)record->type;
    ret->str = value;
    ret->str_len = record->str_len;
    ret->i = 0;
    if (record->type == SPAN_INT)
        memcpy(&ret->i, value, sizeof ret->i);
    else if (record->type == SPAN_BOOL)
        ret->i = *value != 0;
}

#endif
