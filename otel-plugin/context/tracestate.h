/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/tracestate.h - W3C tracestate: other systems' part of a trace's context.
 * Source: https://www.w3.org/TR/trace-context-2/ section 3.3.
 *
 * It is checked, carried and handed back; no member is ours, so none is changed. What comes out is
 * one header value: members in the order of arrival, joined by ',', without white space around
 * them and without empty ones.
 *
 * A key is [a-z0-9][a-z0-9_*-/@]{0,255}, a value is 1 to 256 of 0x20-0x7e without ',' and '=' and
 * without a space at its end. Narrower than level 2's text, as level 1, the working group's own
 * tests and OpenTelemetry's SDKs are: a key has at most one '@', with at most 241 bytes before it
 * and 1 to 14 after it.
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
 * One bad member, a key that comes twice, or a 33rd member, and the whole is no tracestate. What
 * passes TRACESTATE_MAX is cut as the standard says: members above 128 bytes go first, from the
 * right, then members from the right; never a part of one.
 *
 * @param ret  TRACESTATE_MAX bytes, no NUL
 * @return its length; 0: none, or not valid
 */
size_t tracestate_read(const struct text *lines, size_t n_lines, char ret[TRACESTATE_MAX]);

#endif
