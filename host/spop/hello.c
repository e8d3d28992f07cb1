/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/spop/hello.c - the frames that open and close a connection, as HAProxy sends them, and the
 * texts of the status codes. Their payload is a list of names and values in any order.
 */
#include "spop/spop.h"

#include <spoe/util.h>

#include "base/text.h"

const char *spop_status_text(int status)
{
    switch (status) { /* SPOE.txt 3.5 */
    case SPOP_OK:
        return "normal";
    case SPOP_ERR_IO:
        return "I/O error";
    case SPOP_ERR_TIMEOUT:
        return "a timeout occurred";
    case SPOP_ERR_TOO_BIG:
        return "frame is too big";
    case SPOP_ERR_INVALID:
        return "invalid frame received";
    case SPOP_ERR_NO_VERSION:
        return "version value not found";
    case SPOP_ERR_NO_MAX_FRAME_SIZE:
        return "max-frame-size value not found";
    case SPOP_ERR_NO_CAPABILITIES:
        return "capabilities value not found";
    case SPOP_ERR_BAD_VERSION:
        return "unsupported version";
    case SPOP_ERR_BAD_FRAME_SIZE:
        return "max-frame-size too big or too small";
    case SPOP_ERR_FRAGMENTED:
        return "payload fragmentation is not supported";
    case SPOP_ERR_INTERLACED:
        return "invalid interlaced frames";
    case SPOP_ERR_NO_FRAME_ID:
        return "frame-id not found";
    case SPOP_ERR_RESOURCE:
        return "resource allocation error";
    default:
        return "an unknown error occurred";
    }
}

/* "2.N": whoever speaks it speaks 2.0 too (SPOE.txt 3.2.4). */
static bool is_version_2(struct spoe_span item)
{
    if (item.n < 3 || item.p[0] != '2' || item.p[1] != '.')
        return false;
    for (size_t i = 2; i < item.n; i++)
        if (item.p[i] < '0' || item.p[i] > '9')
            return false;
    return true;
}

static bool speaks_version_2(struct spoe_span versions)
{
    struct spoe_span item;

    while (text_next_item(&versions, ',', &item))
        if (is_version_2(item))
            return true;
    return false;
}

static bool has_item(struct spoe_span list, const char *name)
{
    struct spoe_span item;

    while (text_next_item(&list, ',', &item))
        if (spoe_span_is(item, name))
            return true;
    return false;
}

/* The items of a HELLO as they stand in the payload; NULL where they do not. */
struct hello_items {
    struct spoe_value versions;
    struct spoe_value max_frame_size;
    struct spoe_value capabilities;
    struct spoe_value healthcheck;
    struct spoe_value engine_id;
};

static int collect_hello(const uint8_t *payload, size_t len, struct hello_items *ret)
{
    struct spop_cursor c = {payload, payload + len};
    struct spoe_arg item;

    *ret = (struct hello_items){0};
    while (c.p != c.end) {
        if (spop_get_arg(&c, &item) != 0)
            return -SPOP_ERR_INVALID;
        if (spoe_span_is(item.name, "supported-versions"))
            ret->versions = item.value;
        else if (spoe_span_is(item.name, "max-frame-size"))
            ret->max_frame_size = item.value;
        else if (spoe_span_is(item.name, "capabilities"))
            ret->capabilities = item.value;
        else if (spoe_span_is(item.name, "healthcheck"))
            ret->healthcheck = item.value;
        else if (spoe_span_is(item.name, "engine-id"))
            ret->engine_id = item.value;
    }
    return 0;
}

/* UINT32 by the specification; any integer is taken, as HAProxy itself takes any from an agent. */
static int read_frame_size(const struct spoe_value *v, uint32_t *ret)
{
    int64_t size;

    if (v->type == SPOE_T_NULL)
        return -SPOP_ERR_NO_MAX_FRAME_SIZE;
    if (!spoe_get_int(v, &size) || size < SPOP_FRAME_SIZE_MIN || size > (int64_t)UINT32_MAX)
        return -SPOP_ERR_BAD_FRAME_SIZE;
    *ret = (uint32_t)size;
    return 0;
}

int spop_decode_hello(const uint8_t *payload, size_t len, struct spop_hello *ret)
{
    struct spop_hello hello = {0};
    struct hello_items items;
    int r;

    r = collect_hello(payload, len, &items);
    if (r != 0)
        return r;
    if (items.versions.type != SPOE_T_STR)
        return -SPOP_ERR_NO_VERSION;
    if (!speaks_version_2(items.versions.u.s))
        return -SPOP_ERR_BAD_VERSION;
    r = read_frame_size(&items.max_frame_size, &hello.max_frame_size);
    if (r != 0)
        return r;
    if (items.capabilities.type != SPOE_T_STR)
        return -SPOP_ERR_NO_CAPABILITIES;
    hello.versions = items.versions.u.s;
    hello.pipelining = has_item(items.capabilities.u.s, "pipelining");
    hello.healthcheck = items.healthcheck.type == SPOE_T_BOOL && items.healthcheck.u.b;
    if (items.engine_id.type == SPOE_T_STR)
        hello.engine_id = items.engine_id.u.s;
    *ret = hello;
    return 0;
}

int spop_decode_disconnect(const uint8_t *payload, size_t len, uint32_t *ret_status,
                           struct spoe_span *ret_message)
{
    struct spop_cursor c = {payload, payload + len};
    struct spoe_span message = {NULL, 0};
    int64_t status = -1;
    struct spoe_arg item;

    while (c.p != c.end) {
        if (spop_get_arg(&c, &item) != 0)
            return -SPOP_ERR_INVALID;
        if (spoe_span_is(item.name, "status-code") && !spoe_get_int(&item.value, &status))
            return -SPOP_ERR_INVALID;
        if (spoe_span_is(item.name, "message") && item.value.type == SPOE_T_STR)
            message = item.value.u.s;
    }
    if (status < 0 || status > (int64_t)UINT32_MAX)
        return -SPOP_ERR_INVALID;
    *ret_status = (uint32_t)status;
    *ret_message = message;
    return 0;
}
