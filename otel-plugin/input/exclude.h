/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/exclude.h - requests that are not traced at all, by their path, and a short
 * memory of their ids.
 *
 * An excluded request opens nothing, but its backend and response messages come all the same. So
 * that they are told from messages whose request was never seen (which say that something is
 * wrong), the hashes of excluded ids are remembered until the response: EXCLUDE_IDS of them, in a
 * table of fixed size without a lock. Of more than that under way at once some are forgotten, and
 * their later messages count as unknown_id.
 */
#ifndef OTEL_INPUT_EXCLUDE_H
#define OTEL_INPUT_EXCLUDE_H

#include <stdbool.h>

#include <spoe/plugin.h>

#define EXCLUDE_PATTERNS_MAX 64u
#define EXCLUDE_IDS 16384u

struct exclude;

/**
 * Why a list is none, or NULL. A list is comma-separated: paths as they are, "/healthz", or
 * beginnings of paths with a '*' behind them, "/internal/" and '*'. White space around each goes.
 */
const char *exclude_error(const char *list);

/**
 * @param list  without an error; copied
 * @return [own] NULL: out of memory, or the kernel gave no random key
 */
struct exclude *exclude_create(const char *list);
void exclude_destroy(struct exclude *exclude); /* takes NULL */

/** Whether a request with this path is left out. Threads: [any] */
bool exclude_path(const struct exclude *exclude, struct spoe_span path);

/** Remember an excluded request's id. Threads: [any] */
void exclude_remember(struct exclude *exclude, struct spoe_span id);

/**
 * Whether an id is remembered.
 * @param last  no further message will come: forget it
 * Threads: [any]
 */
bool exclude_remembers(struct exclude *exclude, struct spoe_span id, bool last);

#endif
