/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/untraced.h - a short memory of the ids of requests that are not traced.
 *
 * A request that is excluded, or that found no room, opens nothing, but its backend and response
 * messages come all the same. So that they are told from messages whose request was never seen
 * (which say that something is wrong), the hashes of such ids are remembered until the response:
 * UNTRACED_IDS of them, in a table of fixed size without a lock. Of more than that under way at
 * once some are forgotten, and their later messages count as unknown_id.
 */
#ifndef OTEL_INPUT_UNTRACED_H
#define OTEL_INPUT_UNTRACED_H

#include <stdbool.h>

#include <spoe/plugin.h>

#define UNTRACED_IDS 16384u

enum untraced { UNTRACED_NOT = 0, UNTRACED_EXCLUDED = 1, UNTRACED_REFUSED = 2 };

struct untraced_ids;

/** @return [own] NULL: out of memory, or the kernel gave no random key */
struct untraced_ids *untraced_create(void);
void untraced_destroy(struct untraced_ids *ids); /* takes NULL */

/** Remember a request's id. Threads: [any] */
void untraced_remember(struct untraced_ids *ids, struct spoe_span id, enum untraced why);

/**
 * Why the request of an id is not traced.
 * @param last  no further message will come: forget it
 * Threads: [any]
 */
enum untraced untraced_find(struct untraced_ids *ids, struct spoe_span id, bool last);

#endif
