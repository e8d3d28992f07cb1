/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/mailbox.c - work handed to a worker from any thread. */
#include "core/mailbox.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The head of a closed box. */
static struct mail closed;

int mailbox_init(struct mailbox *box)
{
    atomic_init(&box->head, NULL);
    box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return box->fd < 0 ? -1 : 0;
}

void mailbox_fini(struct mailbox *box)
{
    if (box->fd >= 0)
        (void)close(box->fd);
    box->fd = -1;
}

bool mailbox_put(struct mailbox *box, struct mail *mail)
{
    struct mail *head = atomic_load_explicit(&box->head, memory_order_relaxed);

    do {
        if (head == &closed)
            return false;
        mail->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&box->head, &head, mail, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) { /* the consumer has emptied the box since it last woke */
        const uint64_t one = 1;

        /* EAGAIN means that the counter is full: the consumer will wake all the same. */
        (void)!write(box->fd, &one, sizeof one);
    }
    return true;
}

static unsigned run_all(struct mail *stack)
{
    struct mail *mail = NULL;
    unsigned n = 0;

    while (stack != NULL) { /* the newest is on top: turn round */
        struct mail *next = stack->next;

        stack->next = mail;
        mail = stack;
        stack = next;
    }
    while (mail != NULL) {
        struct mail *next = mail->next;

        mail->run(mail);
        mail = next;
        n++;
    }
    return n;
}

unsigned mailbox_run(struct mailbox *box)
{
    uint64_t count;
    struct mail *stack = atomic_load_explicit(&box->head, memory_order_relaxed);

    (void)!read(box->fd, &count, sizeof count); /* EAGAIN: called without a wake-up */
    if (stack == &closed)
        return 0;
    stack = atomic_exchange_explicit(&box->head, NULL, memory_order_acquire);
    return run_all(stack);
}

void mailbox_close(struct mailbox *box)
{
    struct mail *stack = atomic_exchange_explicit(&box->head, &closed, memory_order_acquire);

    if (stack != &closed)
        (void)run_all(stack);
}
