/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/deadline.h - things that must happen by a time, in one list per kind.
 *
 * All members of a list wait equally long, so that the order of adding is the order of falling
 * due, but for a few: adding and removing cost a few pointers, and one timer for the head serves
 * the list. Time is always a parameter. Threads: the owner's only.
 */
#ifndef HOST_BASE_DEADLINE_H
#define HOST_BASE_DEADLINE_H

#include <assert.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/queue.h>

struct deadline {
    TAILQ_ENTRY(deadline) link;
    int64_t at_ns; /* 0: in no list */
};
TAILQ_HEAD(deadline_list, deadline);

/** Add at the end; `at_ns` must not be before that of the last one. */
static inline void deadline_add(struct deadline_list *list, struct deadline *d, int64_t at_ns)
{
    assert(d->at_ns == 0 && at_ns > 0);
    d->at_ns = at_ns;
    TAILQ_INSERT_TAIL(list, d, link);
}

/** Add where it belongs, looked for from the end: for one that may be late. */
static inline void deadline_insert(struct deadline_list *list, struct deadline *d, int64_t at_ns)
{
    struct deadline *before = TAILQ_LAST(list, deadline_list);

    assert(d->at_ns == 0 && at_ns > 0);
    d->at_ns = at_ns;
    while (before != NULL && before->at_ns > at_ns)
        before = TAILQ_PREV(before, deadline_list, link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(list, before, d, link);
    else
        TAILQ_INSERT_HEAD(list, d, link);
}

/** Remove; nothing happens where it is in no list. */
static inline void deadline_remove(struct deadline_list *list, struct deadline *d)
{
    if (d->at_ns == 0)
        return;
    TAILQ_REMOVE(list, d, link);
    d->at_ns = 0;
}

/** Take the first that is due at `now_ns`, or NULL. */
static inline struct deadline *deadline_pop(struct deadline_list *list, int64_t now_ns)
{
    struct deadline *d = TAILQ_FIRST(list);

    if (d == NULL || d->at_ns > now_ns)
        return NULL;
    TAILQ_REMOVE(list, d, link);
    d->at_ns = 0;
    return d;
}

#endif
