/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/heartbeat.c - see heartbeat.h. */
#include "core/heartbeat.h"

#include "base/container_of.h"

static void answer(struct mail *mail)
{
    atomic_store(&container_of(mail, struct heartbeat, mail)->asked_ns, 0);
}

bool heartbeat_check(struct heartbeat *heartbeat, struct mailbox *box, int64_t now_ns)
{
    const int64_t asked_ns = atomic_load(&heartbeat->asked_ns);

    if (asked_ns != 0)
        return now_ns - asked_ns < HEARTBEAT_LIMIT_NS;
    atomic_store(&heartbeat->asked_ns, now_ns);
    heartbeat->mail.run = answer;
    if (!mailbox_put(box, &heartbeat->mail))
        atomic_store(&heartbeat->asked_ns, 0); /* it is stopping: that is not what is asked */
    return true;
}
