/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/tracestate.h - W3C tracestate: other systems' part of a trace's context.
 * Source: https://www.w3.org/TR/trace-context-2/ section 3.3.
 *
 * It is checked, carried and handed back; only OpenTelemetry's own threshold in it is ours to
 * change (tracestate_set_threshold()). What comes out is one header value: members in the order of
 * arrival, joined by ',', without white space around them and without empty ones.
 *
 * A key is [a-z0-9][a-z0-9_*-/@]{0,255}, a value is 1 to 256 of 0x20-0x7e without ',' and '=' and
 * without a space at its end.
 */
#ifndef OTEL_CONTEXT_TRACESTATE_H
#define OTEL_CONTEXT_TRACESTATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define TRACESTATE_MEMBERS_MAX 32u
#define TRACESTATE_PART_MAX 256u /* bytes of a key, and of a value */
/* What is carried at most: the standard asks for 512 at least. */
#define TRACESTATE_MAX 512u

/**
 * Read a tracestate that came on n_lines lines, which count as one list.
 *
 * One bad member, a key that comes twice, a 33rd member, or more than TRACESTATE_MAX bytes, on one
 * line or in all, and the whole is no tracestate: of a list that HAProxy has cut (a line longer
 * than that), nobody knows what its last member was.
 *
 * @param ret  TRACESTATE_MAX bytes, no NUL
 * @return its length; 0: none, or not valid
 */
size_t tracestate_read(const struct text *lines, size_t n_lines, char ret[TRACESTATE_MAX]);

/**
 * Say at which threshold we sampled, in a list that says it: `th` of the member `ot`
 * (OpenTelemetry: trace/tracestate-probability-sampling.md). The member comes first then; one that
 * has nothing else goes. Without a `th` nothing is changed.
 * @param text  what tracestate_read() wrote, n bytes
 * @param all   every trace is kept: th:0; false: the probability is not known, no `th`
 * @return the new length, never more than n
 */
size_t tracestate_set_threshold(char text[TRACESTATE_MAX], size_t n, bool all);

#endif
