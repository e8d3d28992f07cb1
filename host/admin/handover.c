/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/handover.c - see handover.h. */
#include "admin/handover.h"

#include "base/clock.h"
#include "base/container_of.h"

static void run_mail(struct mail *mail)
{
    struct handover *h = container_of(mail, struct handover, mail);
    bool wanted;

    (void)pthread_mutex_lock(&h->lock);
    wanted = h->state == HANDOVER_ASKED;
    h->state = wanted ? HANDOVER_RUNNING : HANDOVER_IDLE;
    h->end_ns = clock_mono_ns() + h->wait_ns;
    (void)pthread_mutex_unlock(&h->lock);
    if (!wanted)
        return;
    h->run(h);
    (void)pthread_mutex_lock(&h->lock);
    h->state = h->state == HANDOVER_LEFT ? HANDOVER_IDLE : HANDOVER_DONE;
    (void)pthread_mutex_unlock(&h->lock);
}

void handover_init(struct handover *h, void (*run)(struct handover *handover))
{
    *h = (struct handover){.mail = {.run = run_mail}, .wait_ns = HANDOVER_WAIT_NS, .run = run};
    (void)pthread_mutex_init(&h->lock, NULL);
}

void handover_fini(struct handover *h)
{
    (void)pthread_mutex_destroy(&h->lock);
}

bool handover_is_idle(struct handover *h)
{
    bool idle;

    (void)pthread_mutex_lock(&h->lock);
    idle = h->state == HANDOVER_IDLE && !h->closed;
    (void)pthread_mutex_unlock(&h->lock);
    return idle;
}

bool handover_ask(struct handover *h, struct mailbox *box)
{
    bool asked = false;

    (void)pthread_mutex_lock(&h->lock);
    if (h->state == HANDOVER_IDLE && !h->closed) {
        h->state = HANDOVER_ASKED;
        h->end_ns = clock_mono_ns() + h->wait_ns;
        h->mail.run = run_mail;
        asked = mailbox_put(box, &h->mail);
        if (!asked)
            h->state = HANDOVER_IDLE;
    }
    (void)pthread_mutex_unlock(&h->lock);
    return asked;
}

/* Locked. @return what whoever waited is told */
static enum handover_result end_wait(struct handover *h)
{
    switch (h->state) {
    case HANDOVER_DONE:
        h->state = HANDOVER_IDLE;
        return HANDOVER_OK;
    case HANDOVER_RUNNING:
        h->state = HANDOVER_LEFT;
        return HANDOVER_UNKNOWN;
    case HANDOVER_ASKED:
        h->state = HANDOVER_WITHDRAWN;
        return HANDOVER_NOT_DONE;
    default:
        return HANDOVER_NOT_DONE;
    }
}

enum handover_result handover_look(struct handover *h)
{
    enum handover_result result = HANDOVER_WAITING;

    (void)pthread_mutex_lock(&h->lock);
    if (h->state == HANDOVER_DONE || h->closed || clock_mono_ns() >= h->end_ns)
        result = end_wait(h);
    (void)pthread_mutex_unlock(&h->lock);
    return result;
}

void handover_leave(struct handover *h)
{
    (void)pthread_mutex_lock(&h->lock);
    (void)end_wait(h);
    (void)pthread_mutex_unlock(&h->lock);
}

void handover_close(struct handover *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->closed = true;
    (void)pthread_mutex_unlock(&h->lock);
}
