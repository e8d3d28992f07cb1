/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/kept.c - a message and all that it points at, in one allocation. */
#include "input/kept.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t text_size(const struct spoe_value *value)
{
    return value->type == SPOE_T_STR || value->type == SPOE_T_BIN ? value->u.s.n : 0;
}

/* Copy a text to *at, which moves on. */
static struct spoe_span put(char **at, struct spoe_span text)
{
    char *const p = *at;

    if (text.n > 0)
        memcpy(p, text.p, text.n);
    *at += text.n;
    return (struct spoe_span){p, text.n};
}

static void put_value(char **at, struct spoe_value *value)
{
    if (value->type == SPOE_T_STR || value->type == SPOE_T_BIN)
        value->u.s = put(at, value->u.s);
}

struct kept *kept_copy(const struct spoe_message *msg)
{
    const size_t slots = msg->n_slots * sizeof *msg->slot, args = msg->n_args * sizeof *msg->args;
    size_t size = sizeof(struct kept) + slots + args;
    struct spoe_value *slot;
    struct spoe_arg *arg;
    struct kept *kept;
    char *at;

    /* Each length is part of a frame that lies in memory: the sum cannot overflow. */
    for (uint32_t i = 0; i < msg->n_slots; i++)
        size += text_size(&msg->slot[i]);
    for (uint32_t i = 0; i < msg->n_args; i++)
        size += msg->args[i].name.n + text_size(&msg->args[i].value);
    kept = malloc(size);
    if (kept == NULL)
        return NULL;
    slot = (struct spoe_value *)(kept + 1);
    arg = (struct spoe_arg *)((char *)slot + slots);
    at = (char *)arg + args;
    if (slots > 0)
        memcpy(slot, msg->slot, slots);
    if (args > 0)
        memcpy(arg, msg->args, args);
    for (uint32_t i = 0; i < msg->n_slots; i++)
        put_value(&at, &slot[i]);
    for (uint32_t i = 0; i < msg->n_args; i++) {
        arg[i].name = put(&at, arg[i].name);
        put_value(&at, &arg[i].value);
    }
    *kept = (struct kept){.bytes = size, .msg = *msg};
    kept->msg.size = sizeof kept->msg;
    kept->msg.slot = slot;
    kept->msg.args = arg;
    kept->msg.name = kept->msg.engine_id = (struct spoe_span){NULL, 0};
    return kept;
}

void kept_free(struct kept *list)
{
    while (list != NULL) {
        struct kept *next = list->next;

        free(list);
        list = next;
    }
}

const struct spoe_message *kept_find(const struct kept *list, uint32_t index)
{
    for (; list != NULL; list = list->next)
        if (list->msg.index == index)
            return &list->msg;
    return NULL;
}
