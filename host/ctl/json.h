/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/json.h - to look things up in a JSON text, as the admin endpoint's pages are. No
 * allocation; what is asked for is searched for each time. Threads: [any].
 */
#ifndef HOST_CTL_JSON_H
#define HOST_CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#define JSON_DEPTH_MAX 32u

/** The value of a member of an object, as it stands there. @return p NULL: there is none */
struct spoe_span json_member(struct spoe_span object, const char *name);
/** The i-th element of an array. @return p NULL: there is none */
struct spoe_span json_element(struct spoe_span array, size_t i);
/**
 * A value as text: a string without its quotes and escapes, anything else as it stands there. What
 * does not fit is cut; control characters become spaces, so that no page can paint a terminal.
 * @return ret
 */
const char *json_text(struct spoe_span value, char *ret, size_t size);
/** The whole number that a text begins with, INT64_MAX at most; 0: with none. */
int64_t json_whole(struct spoe_span text);

#endif
