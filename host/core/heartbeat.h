/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/heartbeat.h - whether an event loop still turns: a mail that it has to answer. Whoever
 * asks sends one and looks at the answer when it asks again, so that nobody waits and an idle loop
 * is woken no more often than somebody wants to know.
 */
#ifndef HOST_CORE_HEARTBEAT_H
#define HOST_CORE_HEARTBEAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/mailbox.h"

#define HEARTBEAT_LIMIT_NS                                                                         \
    INT64_C(5000000000) /* without an answer for so long, it does not turn                         \
                         */

struct heartbeat {
    struct mail mail;
    _Atomic int64_t asked_ns; /* 0: answered, or never asked */
};

/** Ask, unless it has been asked already. Threads: one at a time, not the loop's. */
void heartbeat_ask(struct heartbeat *heartbeat, struct mailbox *box, int64_t now_ns);
/** Whether it has not answered for so long. [any] */
bool heartbeat_is_late(const struct heartbeat *heartbeat, int64_t now_ns, int64_t limit_ns);
/**
 * Both: see whether it has answered, and ask again. Threads: as heartbeat_ask().
 * @return false: it has not answered for HEARTBEAT_LIMIT_NS
 */
bool heartbeat_check(struct heartbeat *heartbeat, struct mailbox *box, int64_t now_ns);

#endif
