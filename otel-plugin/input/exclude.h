/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/exclude.h - requests that are not traced at all, by their path.
 */
#ifndef OTEL_INPUT_EXCLUDE_H
#define OTEL_INPUT_EXCLUDE_H

#include <stdbool.h>

#include <spoe/plugin.h>

#define EXCLUDE_PATTERNS_MAX 64u

struct exclude;

/**
 * Why a list is none, or NULL. A list is comma-separated: paths as they are, "/healthz", or
 * beginnings of paths with a '*' behind them, "/internal/" and '*'. White space around each goes.
 */
const char *exclude_error(const char *list);

/**
 * @param list  without an error; copied
 * @return [own] NULL: out of memory
 */
struct exclude *exclude_create(const char *list);
void exclude_destroy(struct exclude *exclude); /* takes NULL */

/** Whether a request with this path is left out. Threads: [any] */
bool exclude_path(const struct exclude *exclude, struct spoe_span path);

#endif
