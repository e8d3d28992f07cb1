/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/kept.h - a message that came before its request's, as a copy in one block.
 */
#ifndef OTEL_INPUT_KEPT_H
#define OTEL_INPUT_KEPT_H

#include <stddef.h>

#include <spoe/plugin.h>

struct kept {
    struct kept *next; /* of the same request */
    size_t bytes;      /* of this block */
    struct spoe_message msg;
};

/** Copy a message whole. @return [own] NULL: out of memory */
struct kept *kept_copy(const struct spoe_message *msg);
/** Free a list; takes NULL. */
void kept_free(struct kept *list);
/** The message of that kind in a list, or NULL. */
const struct spoe_message *kept_find(const struct kept *list, uint32_t index);

#endif
