/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/heartbeat.c - see heartbeat.h. */
#include "core/heartbeat.h"

#include "base/container_of.h"

static void answer(struct mail *mail)
{
    atomic_store(&container_of(mail, struct heartbeat, mail)->asked_ns, 0);
}

void heartbeat_ask(struct heartbeat *heartbeat, struct mailbox *box, int64_t now_ns)
{
    if (atomic_load(&heartbeat->asked_ns) != 0)
        return;
    atomic_store(&heartbeat->asked_ns, now_ns);
    heartbeat->mail.run = answer;
    if (!mailbox_put(box, &heartbeat->mail))
        atomic_store(&heartbeat->asked_ns, 0); /* it is stopping: that is not what is asked */
}

bool heartbeat_is_late(const struct heartbeat *heartbeat, int64_t now_ns, int64_t limit_ns)
{
    const int64_t asked_ns = atomic_load(&heartbeat->asked_ns);

    return asked_ns != 0 && now_ns - asked_ns >= limit_ns;
}

bool heartbeat_check(struct heartbeat *heartbeat, struct mailbox *box, int64_t now_ns)
{
    const bool late = heartbeat_is_late(heartbeat, now_ns, HEARTBEAT_LIMIT_NS);

    heartbeat_ask(heartbeat, box, now_ns);
    return !late;
}
