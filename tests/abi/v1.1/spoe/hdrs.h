/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/hdrs.h - the headers of a request or response as HAProxy's req.hdrs_bin and res.hdrs_bin
 * have them: *(name value) and a pair of empty ones, each text behind its length, which is one of
 * SPOP's variable integers (HAProxy configuration manual, SPOE.txt 3.1). Inline, no part of the
 * ABI. Since 1.1.
 *
 *     struct spoe_hdrs hdrs = spoe_hdrs_of(spoe_slot_str(msg, HEADERS));
 *     struct spoe_span name, value;
 *
 *     while (spoe_hdrs_next(&hdrs, &name, &value))
 *         ...
 *     if (hdrs.cut)  // more was there: what came is a part, to its last whole header
 *
 * Any bytes will do: every length is held against what is there.
 */
#ifndef SPOE_HDRS_H
#define SPOE_HDRS_H

#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoe_hdrs {
    const char *p; /* what is left */
    size_t n;
    int cut; /* it ended before the pair of empty ones, or is no list of headers */
};

static inline struct spoe_hdrs spoe_hdrs_of(struct spoe_span bin)
{
    struct spoe_hdrs hdrs;

    hdrs.p = bin.p;
    hdrs.n = bin.n;
    hdrs.cut = 0;
    return hdrs;
}

/* One variable integer. @return 1; 0: there is no whole one, or none that 64 bits hold */
static inline int spoe_hdrs_length_(struct spoe_hdrs *hdrs, uint64_t *ret)
{
    uint64_t v, byte;
    unsigned shift = 4;

    if (hdrs->n == 0)
        return 0;
    v = (unsigned char)*hdrs->p++;
    hdrs->n--;
    if (v < 240) {
        *ret = v;
        return 1;
    }
    do {
        if (hdrs->n == 0 || shift > 60)
            return 0;
        byte = (unsigned char)*hdrs->p++;
        hdrs->n--;
        if (byte > UINT64_MAX >> shift || v > UINT64_MAX - (byte << shift))
            return 0;
        v += byte << shift;
        shift += 7;
    } while (byte >= 128);
    *ret = v;
    return 1;
}

/* One text behind its length. @return 1, or 0 */
static inline int spoe_hdrs_text_(struct spoe_hdrs *hdrs, struct spoe_span *ret)
{
    uint64_t n;

    if (!spoe_hdrs_length_(hdrs, &n) || n > hdrs->n)
        return 0;
    ret->p = hdrs->p;
    ret->n = (size_t)n;
    hdrs->p += (size_t)n;
    hdrs->n -= (size_t)n;
    return 1;
}

/**
 * The next header.
 *
 * @param ret_name   set on success only; lower case, as HAProxy has it; lives as long as the bytes
 * @param ret_value  likewise; may be empty, may hold any byte
 * @return 1; 0 at the end, and from then on. hdrs->cut says which end
 */
static inline int spoe_hdrs_next(struct spoe_hdrs *hdrs, struct spoe_span *ret_name,
                                 struct spoe_span *ret_value)
{
    struct spoe_span name, value;
    int is_end = hdrs->p == NULL; /* came to its end before; or nothing was sent */

    if (!is_end && spoe_hdrs_text_(hdrs, &name) && spoe_hdrs_text_(hdrs, &value)) {
        if (name.n > 0) {
            *ret_name = name;
            *ret_value = value;
            return 1;
        }
        hdrs->cut = value.n > 0; /* a value without a name: not what HAProxy writes */
    } else if (!is_end) {
        hdrs->cut = 1;
    }
    hdrs->p = NULL;
    hdrs->n = 0;
    return 0;
}

/** The value of the first header of a name, in lower case. @return 1; 0 there is none */
static inline int spoe_hdrs_find(struct spoe_span bin, const char *name, struct spoe_span *ret)
{
    struct spoe_hdrs hdrs = spoe_hdrs_of(bin);
    struct spoe_span each, value;
    size_t n = 0;

    while (name[n] != '\0')
        n++;
    while (spoe_hdrs_next(&hdrs, &each, &value)) {
        size_t i = 0;

        while (i < n && i < each.n && each.p[i] == name[i])
            i++;
        if (i == n && each.n == n) {
            *ret = value;
            return 1;
        }
    }
    return 0;
}

#ifdef __cplusplus
}
#endif
#endif
