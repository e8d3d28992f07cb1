/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/health.c - see health.h. */
#include "send/health.h"

#include <assert.h>
#include <stdio.h>

#include <spoe/util.h>

void export_health_init(struct export_health *health)
{
    (void)pthread_mutex_init(&health->_lock, NULL); /* with default attributes it cannot fail */
}

void export_health_fini(struct export_health *health)
{
    (void)pthread_mutex_destroy(&health->_lock);
}

static void lock(struct export_health *health)
{
    int rc = pthread_mutex_lock(&health->_lock);

    assert(rc == 0);
    (void)rc;
}

static void unlock(struct export_health *health)
{
    int rc = pthread_mutex_unlock(&health->_lock);

    assert(rc == 0);
    (void)rc;
}

/* Under the lock: the first signal that fails is told of. */
static void tell(struct export_health *health)
{
    if (health->_facet == NULL)
        return;
    for (int i = 0; i < N_SIGNALS; i++) {
        if (health->_fails[i]) {
            health->_facet->set(health->_self, SPOE_HEALTH_DEGRADED, spoe_str(health->_text[i]));
            return;
        }
    }
    health->_facet->set(health->_self, SPOE_HEALTH_READY, spoe_str(""));
}

void export_health_show(struct export_health *health, const struct spoe_health *facet,
                        struct spoe_instance *self)
{
    lock(health);
    health->_facet = facet;
    health->_self = self;
    unlock(health);
}

void export_health_fails(struct export_health *health, enum otlp_signal signal, const char *text)
{
    lock(health);
    health->_fails[signal] = true;
    (void)snprintf(health->_text[signal], sizeof health->_text[signal], "%s", text);
    tell(health);
    unlock(health);
}

void export_health_works(struct export_health *health, enum otlp_signal signal)
{
    lock(health);
    if (health->_fails[signal]) {
        health->_fails[signal] = false;
        tell(health);
    }
    unlock(health);
}
