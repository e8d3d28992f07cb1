/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/record/termination.c - see termination.h. */
#include "record/termination.h"

#include <stddef.h>

#include "record/http_parts.h"

struct termination termination_read(const struct spoe_value *value)
{
    if (!http_is_text(value) || value->u.s.n < 2)
        return (struct termination){'-', '-'};
    return (struct termination){value->u.s.p[0], value->u.s.p[1]};
}

bool termination_by_client(struct termination state)
{
    return state.why == 'C' || state.why == 'c';
}

const char *termination_error(struct termination state)
{
    const bool timeout = state.why == 's';

    if (state.why != 'S' && !timeout)
        return NULL;
    switch (state.when) {
    case 'Q':
        return timeout ? "queue_timeout" : NULL; /* SQ: no server was there to wait for */
    case 'C':
        return timeout ? "connect_timeout" : "connect_failed";
    case 'H':
        return timeout ? "response_timeout" : "response_invalid";
    case 'D':
    case 'L':
        return timeout ? "data_timeout" : "response_truncated";
    default:
        return NULL;
    }
}
