/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/record/record.c - see record.h. */
#include "record/record.h"

#include <spoe/util.h>

static struct spoe_span error_type(const struct record *record, const char *error, int64_t status,
                                   int64_t error_from, char *buf)
{
    if (record->by_client)
        return (struct spoe_span){NULL, 0};
    if (error != NULL)
        return spoe_str(error);
    if (status < error_from || status > 999)
        return (struct spoe_span){NULL, 0};
    for (int i = 2; i >= 0; i--, status /= 10)
        buf[i] = (char)('0' + status % 10);
    return (struct spoe_span){buf, 3};
}

struct spoe_span record_error_type(const struct record *record, char *buf)
{
    return error_type(record, record->error, record->status, 500, buf);
}

struct spoe_span record_server_error_type(const struct record *record, char *buf)
{
    return error_type(record, record->server_error, record->server_status, 400, buf);
}
