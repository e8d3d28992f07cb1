/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/value.c - see value.h. */
#include "conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first, as value_format_duration() wants them. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000000)}, {"h", UINT64_C(3600000000000)}, {"m", UINT64_C(60000000000)},
    {"s", UINT64_C(1000000000)},     {"ms", UINT64_C(1000000)},      {"us", UINT64_C(1000)},
};
static const struct unit size_units[] = {
    {"g", UINT64_C(1) << 30},
    {"m", UINT64_C(1) << 20},
    {"k", UINT64_C(1) << 10},
};
#define N_DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])
#define N_SIZE_UNITS (sizeof size_units / sizeof size_units[0])
#define NS_PER_MS UINT64_C(1000000)

/*
 * Read the digits at *text and move past them. Too many digits are VALUE_E_RANGE, but *text moves
 * past all of them, so that the caller can still tell whether the rest is well-formed.
 */
static int read_digits(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t v = 0;
    int result = VALUE_OK;

    if (*p < '0' || *p > '9')
        return VALUE_E_SYNTAX;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            result = VALUE_E_RANGE;
    }
    *text = p;
    *ret = v;
    return result;
}

typedef int compare_fn(const char *a, const char *b);

/* A number with an optional unit, found by `compare`; without one it counts `bare`. */
static int parse_with_unit(const char *text, const struct unit *units, size_t n_units,
                           compare_fn *compare, uint64_t bare, uint64_t *ret)
{
    uint64_t v = 0;
    uint64_t factor = 0;
    int result = read_digits(&text, &v);

    if (result == VALUE_E_SYNTAX)
        return result;
    if (*text == '\0')
        factor = bare;
    for (size_t i = 0; i < n_units && factor == 0; i++) {
        if (compare(text, units[i].name) == 0)
            factor = units[i].factor;
    }
    if (factor == 0)
        return VALUE_E_SYNTAX;
    if (result != VALUE_OK || __builtin_mul_overflow(v, factor, &v))
        return VALUE_E_RANGE;
    *ret = v;
    return VALUE_OK;
}

int value_parse_bool(const char *text, bool *ret)
{
    static const char *const words[][2] = {
        {"off", "on"}, {"false", "true"}, {"no", "yes"}, {"0", "1"}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (size_t on = 0; on < 2; on++) {
            if (strcasecmp(text, words[i][on]) == 0) {
                *ret = on == 1;
                return VALUE_OK;
            }
        }
    }
    return VALUE_E_SYNTAX;
}

int value_parse_int(const char *text, int64_t *ret)
{
    const bool negative = *text == '-';
    /* INT64_MIN has one more than INT64_MAX. */
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t v = 0;
    int result;

    if (negative)
        text++;
    result = read_digits(&text, &v);
    if (result == VALUE_E_SYNTAX || *text != '\0')
        return VALUE_E_SYNTAX;
    if (result != VALUE_OK || v > limit)
        return VALUE_E_RANGE;
    if (!negative)
        *ret = (int64_t)v;
    else
        *ret = v == limit ? INT64_MIN : -(int64_t)v;
    return VALUE_OK;
}

int value_parse_duration(const char *text, int64_t *ret_ns)
{
    uint64_t v = 0;
    int result = parse_with_unit(text, duration_units, N_DURATION_UNITS, strcmp, NS_PER_MS, &v);

    if (result != VALUE_OK)
        return result;
    if (v > (uint64_t)INT64_MAX)
        return VALUE_E_RANGE;
    *ret_ns = (int64_t)v;
    return VALUE_OK;
}

int value_parse_size(const char *text, uint64_t *ret_bytes)
{
    return parse_with_unit(text, size_units, N_SIZE_UNITS, strcasecmp, 1, ret_bytes);
}

int value_parse_enum(const char *text, const char *const *choices, uint32_t *ret_index)
{
    for (uint32_t i = 0; choices[i] != NULL; i++) {
        if (strcasecmp(text, choices[i]) == 0) {
            *ret_index = i;
            return VALUE_OK;
        }
    }
    return VALUE_E_SYNTAX;
}

static void format_with_unit(uint64_t v, const struct unit *units, size_t n_units, const char *rest,
                             char text[VALUE_TEXT_MAX])
{
    for (size_t i = 0; i < n_units; i++) {
        if (v != 0 && v % units[i].factor == 0) {
            (void)snprintf(text, VALUE_TEXT_MAX, "%" PRIu64 "%s", v / units[i].factor,
                           units[i].name);
            return;
        }
    }
    (void)snprintf(text, VALUE_TEXT_MAX, "%" PRIu64 "%s", v, rest);
}

void value_format_duration(int64_t ns, char text[VALUE_TEXT_MAX])
{
    /* Durations have no sign; a plugin's bound below zero is shown as what it amounts to. */
    format_with_unit(ns > 0 ? (uint64_t)ns : 0, duration_units, N_DURATION_UNITS,
                     ns > 0 ? "ns" : "", text);
}

void value_format_size(uint64_t bytes, char text[VALUE_TEXT_MAX])
{
    format_with_unit(bytes, size_units, N_SIZE_UNITS, "", text);
}
