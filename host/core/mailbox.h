/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/mailbox.h - work handed to a worker from any thread.
 *
 * An intrusive lock-free stack with many producers and one consumer, and an eventfd that wakes
 * the consumer's event loop. Once closed, nothing can be put in any more, exactly: what was
 * accepted runs, what was refused does not.
 */
#ifndef HOST_CORE_MAILBOX_H
#define HOST_CORE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct mail;
typedef void mail_fn(struct mail *mail);

struct mail {
    struct mail *next;
    mail_fn *run; /* called once on the consumer's thread; may free the mail */
};

struct mailbox {
    _Atomic(struct mail *) head;
    int fd; /* readable when there may be mail */
};

/** @return 0; -1 with errno */
int mailbox_init(struct mailbox *box);
void mailbox_fini(struct mailbox *box);

/** @return false: closed, the mail stays the caller's. [any] */
bool mailbox_put(struct mailbox *box, struct mail *mail);

/** Run what has arrived, in order of arrival. @return how many. [consumer] */
unsigned mailbox_run(struct mailbox *box);

/** Refuse further mail, then run what had arrived before. [consumer] */
void mailbox_close(struct mailbox *box);

#endif
