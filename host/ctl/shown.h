/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/shown.h - what a host says, as a terminal may have it: control characters become spaces,
 * so that no page, and no URL on it, can paint or command a terminal. No state; threads: [any].
 */
#ifndef HOST_CTL_SHOWN_H
#define HOST_CTL_SHOWN_H

#include <stddef.h>

#include <jansson.h>

#include <spoe/plugin.h>

/** A text, without spaces at its end. What does not fit is cut. @return ret */
const char *shown_text(struct spoe_span text, char *ret, size_t size);
/** A member of an object: a string, number, true or false; "" where it is none. @return ret */
const char *shown_member(const json_t *object, const char *name, char *ret, size_t size);

#endif
