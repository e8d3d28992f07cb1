/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/mark.c - ids as digits, with dashes between them. */
#include "input/mark.h"

#include "base/hex.h"
#include "record/http_parts.h"

#define ID_DIGITS 16u
#define STEP (ID_DIGITS + 1) /* with the dash */
#define LEN_ALONE (2 * STEP - 1)

_Static_assert(MARK_LEN_MAX == 3 * STEP - 1, "three ids");

size_t mark_write(const struct mark *mark, char ret[MARK_LEN_MAX])
{
    hex_write(mark->process, sizeof mark->process, ret);
    ret[ID_DIGITS] = '-';
    hex_write(mark->server_id, sizeof mark->server_id, ret + STEP);
    if (!mark->has_parent)
        return LEN_ALONE;
    ret[LEN_ALONE] = '-';
    hex_write(mark->parent_id, sizeof mark->parent_id, ret + 2 * STEP);
    return MARK_LEN_MAX;
}

bool mark_read(const struct spoe_value *value, struct mark *ret)
{
    struct spoe_span text;

    if (!http_is_text(value))
        return false;
    text = value->u.s;
    ret->has_parent = text.n == MARK_LEN_MAX;
    if (text.n != LEN_ALONE && !ret->has_parent)
        return false;
    if (text.p[ID_DIGITS] != '-' || !hex_read(text.p, ret->process, sizeof ret->process) ||
        !hex_read(text.p + STEP, ret->server_id, sizeof ret->server_id) ||
        hex_is_zero(ret->server_id, sizeof ret->server_id))
        return false;
    return !ret->has_parent ||
           (text.p[LEN_ALONE] == '-' &&
            hex_read(text.p + 2 * STEP, ret->parent_id, sizeof ret->parent_id) &&
            !hex_is_zero(ret->parent_id, sizeof ret->parent_id));
}
