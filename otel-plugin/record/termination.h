/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/termination.h - what HAProxy's termination state says of a request's end.
 *
 * Source: HAProxy's configuration manual, 8.5.
 */
#ifndef OTEL_RECORD_TERMINATION_H
#define OTEL_RECORD_TERMINATION_H

#include <stdbool.h>

#include <spoe/plugin.h>

/* Why the session ended: the first letter. When: the second. "--": as it should, or not told. */
struct termination {
    char why, when;
};

/** The first two letters of a text; what is none is "--". */
struct termination termination_read(const struct spoe_value *value);

/** The client left, or was too slow. */
bool termination_by_client(struct termination state);

/** error.type of what a server did wrong. @return [const]; NULL: nothing, or not a server */
const char *termination_error(struct termination state);

#endif
