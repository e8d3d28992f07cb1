/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/util.h - inline helpers over spoe/plugin.h; no part of the ABI, all of it compiled into
 * the plugin. Brings spoe/declare.h. Since 1.0.
 */
#ifndef SPOE_UTIL_H
#define SPOE_UTIL_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <spoe/declare.h>
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

/**
 * The value in a slot, also of one that the message does not have: SPOE_T_NULL then. Since 1.1.
 */
static inline struct spoe_value spoe_slot(const struct spoe_message *msg, uint32_t slot)
{
    struct spoe_value none;

    if (slot < msg->n_slots)
        return msg->slot[slot];
    memset(&none, 0, sizeof none);
    return none;
}

/** The text or bytes in a slot; empty where it has neither. [pin] Since 1.1. */
static inline struct spoe_span spoe_slot_str(const struct spoe_message *msg, uint32_t slot)
{
    struct spoe_value v = spoe_slot(msg, slot);

    return v.type == SPOE_T_STR || v.type == SPOE_T_BIN ? v.u.s : spoe_str(NULL);
}

/**
 * Whether all of a request's body came, by three arguments of its message:
 *     body=req.body,bytes(0,N)  body_len=req.body_len  body_end=internal.htx.has_eom
 * with `option http-buffer-request` in the frontend. It did not where N or HAProxy's buffer cut it,
 * nor where it cannot be told, since one of them is missing. What counts as no body is whole. A
 * plugin that decides by the body, or repeats it, has to ask: a client chooses how long it is.
 * Since 1.1.
 */
static inline int spoe_body_is_whole(const struct spoe_value *body, const struct spoe_value *length,
                                     const struct spoe_value *end)
{
    const size_t n = body->type == SPOE_T_STR || body->type == SPOE_T_BIN ? body->u.s.n : 0;
    int64_t all;

    return spoe_get_int(length, &all) && all >= 0 && (uint64_t)all == n &&
           end->type == SPOE_T_BOOL && end->u.b != 0;
}

/* ---- variables --------------------------------------------------------------------------- */

/**
 * Set a variable of the answer, as spoe_host.set_var() does.
 * @param name  [borrow] 1 to 64 bytes, [A-Za-z0-9_.]
 * @return as set_var()
 * Since 1.1.
 */
static inline spoe_status spoe_set_bool(const struct spoe_host *host, struct spoe_request *req,
                                        uint32_t scope, const char *name, int b)
{
    struct spoe_value v = spoe_value_bool(b);

    return host->set_var(req, scope, spoe_str(name), &v);
}

static inline spoe_status spoe_set_int(const struct spoe_host *host, struct spoe_request *req,
                                       uint32_t scope, const char *name, int64_t i)
{
    struct spoe_value v = spoe_value_int(i);

    return host->set_var(req, scope, spoe_str(name), &v);
}

static inline spoe_status spoe_set_str(const struct spoe_host *host, struct spoe_request *req,
                                       uint32_t scope, const char *name, struct spoe_span text)
{
    struct spoe_value v = spoe_value_str(text);

    return host->set_var(req, scope, spoe_str(name), &v);
}

/* ---- options, by their places in options[]; in configure() and reconfigure() only ---------  */

/** Whether anything, a default among it, sets the option. Since 1.1. */
static inline int spoe_config_is_set(const struct spoe_host *host, struct spoe_config *cfg,
                                     size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);

    return setting != NULL && setting->value.type != SPOE_T_NULL;
}

/** The value of an option of type SPOE_OPT_BOOL; 0 where nothing sets it. Since 1.1. */
static inline int spoe_config_bool(const struct spoe_host *host, struct spoe_config *cfg,
                                   size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);

    return setting != NULL && setting->value.type == SPOE_T_BOOL && setting->value.u.b != 0;
}

/** The same of SPOE_OPT_INT, or of SPOE_OPT_DURATION in nanoseconds. Since 1.1. */
static inline int64_t spoe_config_int(const struct spoe_host *host, struct spoe_config *cfg,
                                      size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);

    return setting != NULL && setting->value.type == SPOE_T_INT64 ? setting->value.u.i64 : 0;
}

/** The same of SPOE_OPT_SIZE, in bytes. Since 1.1. */
static inline uint64_t spoe_config_size(const struct spoe_host *host, struct spoe_config *cfg,
                                        size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);

    return setting != NULL && setting->value.type == SPOE_T_UINT64 ? setting->value.u.u64 : 0;
}

/** The same of SPOE_OPT_ENUM: an index of choices[]. Since 1.1. */
static inline uint32_t spoe_config_choice(const struct spoe_host *host, struct spoe_config *cfg,
                                          size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);

    return setting != NULL && setting->value.type == SPOE_T_UINT32 ? setting->value.u.u32 : 0;
}

/** The same of an option whose value is a text; empty where nothing sets it. Since 1.1. */
static inline struct spoe_span spoe_config_str(const struct spoe_host *host,
                                               struct spoe_config *cfg, size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);

    return setting != NULL && setting->value.type == SPOE_T_STR ? setting->value.u.s
                                                                : spoe_str(NULL);
}

/**
 * The same of SPOE_OPT_ADDRESS: of type SPOE_T_IPV4 or SPOE_T_IPV6; SPOE_T_NULL where nothing sets
 * it. Since 1.1.
 */
static inline struct spoe_value spoe_config_address(const struct spoe_host *host,
                                                    struct spoe_config *cfg, size_t nth)
{
    const struct spoe_setting *setting = host->config_get(cfg, nth);
    struct spoe_value none;

    if (setting != NULL &&
        (setting->value.type == SPOE_T_IPV4 || setting->value.type == SPOE_T_IPV6))
        return setting->value;
    memset(&none, 0, sizeof none);
    return none;
}

/** Format and report what is wrong with an option's value, as config_error(). Since 1.1. */
static inline void spoe_config_errorf(const struct spoe_host *host, struct spoe_config *cfg,
                                      size_t nth, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline void spoe_config_errorf(const struct spoe_host *host, struct spoe_config *cfg,
                                      size_t nth, const char *format, ...)
{
    char text[1024];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    host->config_error(cfg, nth, spoe_str(n < 0 ? format : text));
}

/* ---- log --------------------------------------------------------------------------------- */

/* The line of spoe_logf() and spoe_req_logf(). */
static inline void spoe_vlogf(const struct spoe_host *host, struct spoe_instance *self,
                              struct spoe_request *req, int32_t level, const char *format,
                              va_list ap) __attribute__((format(printf, 5, 0)));
static inline void spoe_vlogf(const struct spoe_host *host, struct spoe_instance *self,
                              struct spoe_request *req, int32_t level, const char *format,
                              va_list ap)
{
    char text[1024];
    struct spoe_span span;
    int n;

    if (!host->log_enabled(self, level))
        return;
    n = vsnprintf(text, sizeof text, format, ap);
    if (n < 0)
        return;
    span.p = text;
    span.n = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    host->log(self, req, level, span);
}

/** Format and log one line; what passes 1024 bytes is cut. Formats nothing below the level. */
static inline void spoe_logf(const struct spoe_host *host, struct spoe_instance *self,
                             int32_t level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline void spoe_logf(const struct spoe_host *host, struct spoe_instance *self,
                             int32_t level, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    spoe_vlogf(host, self, NULL, level, format, ap);
    va_end(ap);
}

/** The same about a request, which must not be completed yet. Since 1.1. */
static inline void spoe_req_logf(const struct spoe_host *host, struct spoe_instance *self,
                                 struct spoe_request *req, int32_t level, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static inline void spoe_req_logf(const struct spoe_host *host, struct spoe_instance *self,
                                 struct spoe_request *req, int32_t level, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    spoe_vlogf(host, self, req, level, format, ap);
    va_end(ap);
}

#ifdef __cplusplus
}
#endif
#endif
