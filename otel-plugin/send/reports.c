/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/reports.c - the states of failing, and the lines. */
#include "send/reports.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#define NS_PER_S 1e9

#define LOG(r, level, ...)                                                                         \
    do {                                                                                           \
        if ((r)->host != NULL)                                                                     \
            spoe_logf((r)->host, (r)->self, (level), __VA_ARGS__);                                 \
    } while (0)

void reports_init(struct reports *r)
{
    (void)pthread_mutex_init(&r->_lock, NULL); /* with default attributes it cannot fail */
}

void reports_fini(struct reports *r)
{
    (void)pthread_mutex_destroy(&r->_lock);
}

static void lock(struct reports *r)
{
    int rc = pthread_mutex_lock(&r->_lock);

    assert(rc == 0);
    (void)rc;
}

static void unlock(struct reports *r)
{
    int rc = pthread_mutex_unlock(&r->_lock);

    assert(rc == 0);
    (void)rc;
}

void reports_failure(struct reports *r, int64_t now_ns, const char *text, size_t waiting,
                     int64_t wait_ns)
{
    bool soon, news;

    lock(r);
    soon = r->_state == REPORTS_WORKING && now_ns - r->_last_ns < REPORTS_STEADY_NS;
    if (r->_state == REPORTS_FINE || (r->_state == REPORTS_WORKING && !soon)) {
        r->_state = REPORTS_FAILING;
        r->_reasons = (struct texts){._n = 0};
        r->_failures = 0;
        r->_first_ns = now_ns;
    }
    r->_failures++;
    r->_last_ns = now_ns;
    news = texts_is_new(&r->_reasons, text, now_ns, INT64_MAX);
    if (soon) {
        r->_state = REPORTS_UNSTEADY;
        LOG(r, SPOE_LOG_WARNING,
            "export to %s fails again: %s; %zu spans wait; until it has worked for %d minutes only "
            "other reasons are told",
            r->target, text, waiting, REPORTS_STEADY_MINUTES);
    } else if (news) {
        LOG(r, SPOE_LOG_WARNING, "export to %s failed: %s; %zu spans wait, next try in %.1f s",
            r->target, text, waiting, (double)wait_ns / NS_PER_S);
    }
    unlock(r);
}

void reports_success(struct reports *r, int64_t now_ns)
{
    lock(r);
    if (r->_state == REPORTS_FAILING) {
        r->_state = REPORTS_WORKING;
        LOG(r, SPOE_LOG_NOTICE, "export to %s works again, after %.1f s; failed attempts: %" PRIu64,
            r->target, (double)(now_ns - r->_first_ns) / NS_PER_S, r->_failures);
    } else if (r->_state == REPORTS_UNSTEADY && now_ns - r->_last_ns >= REPORTS_STEADY_NS) {
        r->_state = REPORTS_FINE;
        LOG(r, SPOE_LOG_NOTICE,
            "export to %s works again, for %d minutes without a failure; failed attempts in the "
            "%.1f s before: %" PRIu64,
            r->target, REPORTS_STEADY_MINUTES, (double)(r->_last_ns - r->_first_ns) / NS_PER_S,
            r->_failures);
    }
    unlock(r);
}

void reports_warning(struct reports *r, int64_t now_ns, const char *text)
{
    lock(r);
    if (texts_is_new(&r->_warnings, text, now_ns, REPORTS_FORGET_NS))
        LOG(r, SPOE_LOG_WARNING, "the collector took all spans but warns: %s", text);
    unlock(r);
}

void reports_attributes(struct reports *r, uint32_t attributes, uint32_t events)
{
    lock(r);
    if (!r->_attributes_told)
        LOG(r, SPOE_LOG_WARNING,
            "a span was made without %" PRIu32 " attributes and %" PRIu32
            " events that it should have: over a limit, with a key that cannot be, or for want of "
            "memory; from now on they are only counted, as attributes_dropped and events_dropped",
            attributes, events);
    r->_attributes_told = true;
    unlock(r);
}

void reports_said(struct reports *r, const char *text)
{
    if (text[0] == '\0')
        return;
    lock(r);
    (void)snprintf(r->_said, sizeof r->_said, "%s", text);
    unlock(r);
}

void reports_losses(struct reports *r, int64_t now_ns, const struct losses *losses, bool at_once)
{
    char text[LOSSES_TEXT_MAX];

    lock(r);
    if ((at_once || now_ns >= r->_losses_next_ns) &&
        losses_format(&r->_losses_told, losses, text)) {
        LOG(r, SPOE_LOG_WARNING, "%s%s%s", text, r->_said[0] != '\0' ? "; " : "", r->_said);
        r->_losses_next_ns = now_ns + REPORTS_LOSSES_EVERY_NS;
        r->_losses_told = *losses;
        r->_said[0] = '\0';
    }
    unlock(r);
}
