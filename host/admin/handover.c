/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/handover.c - see handover.h. */
#include "admin/handover.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/container_of.h"

static void run_mail(struct mail *mail)
{
    struct handover *h = container_of(mail, struct handover, mail);
    bool wanted;

    (void)pthread_mutex_lock(&h->lock);
    wanted = h->state == HANDOVER_ASKED;
    h->state = wanted ? HANDOVER_RUNNING : HANDOVER_IDLE;
    (void)pthread_mutex_unlock(&h->lock);
    if (!wanted)
        return;
    h->run(h);
    (void)pthread_mutex_lock(&h->lock);
    h->state = h->state == HANDOVER_LEFT ? HANDOVER_IDLE : HANDOVER_DONE;
    (void)pthread_cond_signal(&h->changed);
    (void)pthread_mutex_unlock(&h->lock);
}

void handover_init(struct handover *h, void (*run)(struct handover *handover))
{
    pthread_condattr_t attributes;

    *h = (struct handover){.mail = {.run = run_mail}, .wait_ns = HANDOVER_WAIT_NS, .run = run};
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&h->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void handover_fini(struct handover *h)
{
    (void)pthread_cond_destroy(&h->changed);
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

enum handover_result handover_ask(struct handover *h, struct mailbox *box)
{
    const int64_t end_ns = clock_mono_ns() + h->wait_ns;
    const struct timespec end = {.tv_sec = end_ns / NS_PER_S, .tv_nsec = end_ns % NS_PER_S};
    enum handover_result result = HANDOVER_NOT_DONE;
    int error = 0;

    (void)pthread_mutex_lock(&h->lock);
    if (h->state != HANDOVER_IDLE || h->closed)
        goto out;
    h->state = HANDOVER_ASKED;
    h->mail.run = run_mail;
    if (!mailbox_put(box, &h->mail)) {
        h->state = HANDOVER_IDLE;
        goto out;
    }
    while (h->state != HANDOVER_DONE && !h->closed && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&h->changed, &h->lock, &end);
    if (h->state == HANDOVER_DONE) {
        h->state = HANDOVER_IDLE;
        result = HANDOVER_OK;
    } else if (h->state == HANDOVER_ASKED) {
        h->state = HANDOVER_WITHDRAWN;
    } else {
        h->state = HANDOVER_LEFT;
        result = HANDOVER_UNKNOWN;
    }
out:
    (void)pthread_mutex_unlock(&h->lock);
    return result;
}

void handover_close(struct handover *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->closed = true;
    (void)pthread_cond_signal(&h->changed);
    (void)pthread_mutex_unlock(&h->lock);
}
