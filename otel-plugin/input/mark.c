/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/mark.c - ids as digits, with dashes between them. */
#include "input/mark.h"

#include "base/hex.h"
#include "record/http_parts.h"

#define ID_DIGITS ((size_t)16)
#define STEP (ID_DIGITS + 1) /* with the dash */
#define DUE_BYTES ((size_t)4)
#define LEN_ALONE (2 * STEP + 2 * DUE_BYTES)

_Static_assert(MARK_LEN_MAX == LEN_ALONE + STEP, "a parent's id is the last");

size_t mark_write(const struct mark *mark, char ret[MARK_LEN_MAX])
{
    uint8_t due[DUE_BYTES];

    for (size_t i = 0; i < DUE_BYTES; i++)
        due[i] = (uint8_t)(mark->due_s >> (24 - 8 * i));
    hex_write(mark->process, sizeof mark->process, ret);
    ret[ID_DIGITS] = '-';
    hex_write(mark->server_id, sizeof mark->server_id, ret + STEP);
    ret[STEP + ID_DIGITS] = '-';
    hex_write(due, sizeof due, ret + 2 * STEP);
    if (!mark->has_parent)
        return LEN_ALONE;
    ret[LEN_ALONE] = '-';
    hex_write(mark->parent_id, sizeof mark->parent_id, ret + LEN_ALONE + 1);
    return MARK_LEN_MAX;
}

static bool read_id(const char *p, uint8_t ret[8])
{
    return hex_read(p, ret, 8) && !hex_is_zero(ret, 8);
}

bool mark_read(const struct spoe_value *value, struct mark *ret)
{
    uint8_t due[DUE_BYTES];
    struct spoe_span text;

    if (!http_is_text(value))
        return false;
    text = value->u.s;
    ret->has_parent = text.n == MARK_LEN_MAX;
    if (text.n != LEN_ALONE && !ret->has_parent)
        return false;
    if (text.p[ID_DIGITS] != '-' || text.p[STEP + ID_DIGITS] != '-' ||
        !hex_read(text.p, ret->process, sizeof ret->process) ||
        !read_id(text.p + STEP, ret->server_id) || !hex_read(text.p + 2 * STEP, due, sizeof due))
        return false;
    ret->due_s = 0;
    for (size_t i = 0; i < DUE_BYTES; i++)
        ret->due_s = ret->due_s << 8 | due[i];
    return !ret->has_parent ||
           (text.p[LEN_ALONE] == '-' && read_id(text.p + LEN_ALONE + 1, ret->parent_id));
}
