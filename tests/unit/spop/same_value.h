/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/same_value.h - whether two typed values say the same.
 */
#ifndef TESTS_SAME_VALUE_H
#define TESTS_SAME_VALUE_H

#include <stdbool.h>
#include <string.h>

#include <spoe/plugin.h>

static inline bool same_value(const struct spoe_value *a, const struct spoe_value *b)
{
    if (a->type != b->type || a->flags != b->flags)
        return false;
    switch (a->type) {
    case SPOE_T_NULL:
        return true;
    case SPOE_T_BOOL:
        return a->u.b == b->u.b;
    case SPOE_T_INT32:
    case SPOE_T_UINT32:
        return a->u.u32 == b->u.u32;
    case SPOE_T_INT64:
    case SPOE_T_UINT64:
        return a->u.u64 == b->u.u64;
    case SPOE_T_IPV4:
        return memcmp(a->u.ip4, b->u.ip4, sizeof a->u.ip4) == 0;
    case SPOE_T_IPV6:
        return memcmp(a->u.ip6, b->u.ip6, sizeof a->u.ip6) == 0;
    default:
        return a->u.s.n == b->u.s.n && (a->u.s.n == 0 || memcmp(a->u.s.p, b->u.s.p, a->u.s.n) == 0);
    }
}

#endif
