/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/value.h - option texts to values, and bounds back to texts. Pure: no allocation, no
 * state, no locale.
 *
 * A text is taken whole: neither white space nor anything else may stand around the value.
 */
#ifndef HOST_CONF_VALUE_H
#define HOST_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VALUE_OK = 0,
    VALUE_E_SYNTAX = -1, /* not of this type */
    VALUE_E_RANGE = -2   /* of this type, but more than its integer holds */
};

/* on/off, true/false, yes/no, 1/0, in any case. */
int value_parse_bool(const char *text, bool *ret);
/* Decimal, with an optional minus. */
int value_parse_int(const char *text, int64_t *ret);
/* As HAProxy writes them: a number and us, ms, s, m, h or d; a bare number is milliseconds. */
int value_parse_duration(const char *text, int64_t *ret_ns);
/* A number of bytes, or with k, m or g (1024, 1024^2, 1024^3), in any case. */
int value_parse_size(const char *text, uint64_t *ret_bytes);
/* One of choices[], which ends with NULL, in any case. */
int value_parse_enum(const char *text, const char *const *choices, uint32_t *ret_index);

#define VALUE_TEXT_MAX 32u

/* The shortest exact text that parses to the same value, nanoseconds apart: those end in "ns". */
void value_format_duration(int64_t ns, char text[VALUE_TEXT_MAX]);
void value_format_size(uint64_t bytes, char text[VALUE_TEXT_MAX]);

#endif
