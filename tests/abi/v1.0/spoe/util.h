/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/util.h - inline helpers over spoe/plugin.h; no part of the ABI, all of it compiled into
 * the plugin. Since 1.0.
 */
#ifndef SPOE_UTIL_H
#define SPOE_UTIL_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A span over a NUL-terminated string, which must outlive it. */
static inline struct spoe_span spoe_str(const char *s)
{
    struct spoe_span span;

    span.p = s;
    span.n = s != NULL ? strlen(s) : 0;
    return span;
}

/** Whether a span holds exactly this NUL-terminated string. */
static inline int spoe_span_is(struct spoe_span span, const char *s)
{
    size_t n = strlen(s);

    return span.n == n && (n == 0 || memcmp(span.p, s, n) == 0);
}

/** A value of a bool, an integer or a string; the string is borrowed. */
static inline struct spoe_value spoe_value_bool(int b)
{
    struct spoe_value v;

    memset(&v, 0, sizeof v);
    v.type = SPOE_T_BOOL;
    v.u.b = b ? 1 : 0;
    return v;
}

static inline struct spoe_value spoe_value_int(int64_t i)
{
    struct spoe_value v;

    memset(&v, 0, sizeof v);
    v.type = SPOE_T_INT64;
    v.u.i64 = i;
    return v;
}

static inline struct spoe_value spoe_value_str(struct spoe_span s)
{
    struct spoe_value v;

    memset(&v, 0, sizeof v);
    v.type = SPOE_T_STR;
    v.u.s = s;
    return v;
}

/**
 * Read any of SPOP's four integer types.
 * @param ret  set on success only; a UINT64 above INT64_MAX does not fit
 * @return 1 if the value is an integer that fits, else 0
 */
static inline int spoe_get_int(const struct spoe_value *v, int64_t *ret)
{
    switch (v->type) {
    case SPOE_T_INT32:
        *ret = v->u.i32;
        return 1;
    case SPOE_T_UINT32:
        *ret = (int64_t)v->u.u32;
        return 1;
    case SPOE_T_INT64:
        *ret = v->u.i64;
        return 1;
    case SPOE_T_UINT64:
        if (v->u.u64 > (uint64_t)INT64_MAX)
            return 0;
        *ret = (int64_t)v->u.u64;
        return 1;
    default:
        return 0;
    }
}

/** Format and log one line; what passes 1024 bytes is cut. Formats nothing below the level. */
static inline void spoe_logf(const struct spoe_host *host, struct spoe_instance *self,
                             int32_t level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline void spoe_logf(const struct spoe_host *host, struct spoe_instance *self,
                             int32_t level, const char *format, ...)
{
    char text[1024];
    struct spoe_span span;
    va_list ap;
    int n;

    if (!host->log_enabled(self, level))
        return;
    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    span.p = text;
    span.n = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    host->log(self, NULL, level, span);
}

#ifdef __cplusplus
}
#endif
#endif
