/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/auth.h - one instance: what its workers share. */
#ifndef AUTH_REQUEST_AUTH_H
#define AUTH_REQUEST_AUTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <spoe/ext/health.h>
#include <spoe/ext/loop.h>
#include <spoe/plugin.h>
#include <spoe/util.h>

#include "auth-request/conf.h"
#include "auth-request/numbers.h"

struct auth {
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_loop *loop;
    const struct spoe_health *health; /* NULL: the host has none */
    struct auth_conf conf;
    struct numbers numbers;
    uint64_t hash_key[2];
    _Atomic uint32_t n_workers;
    _Atomic uint64_t n_failed;     /* questions, since the service has answered one */
    _Atomic bool is_down;          /* a failure has been told of, and no answer since */
    _Atomic int64_t calm_until_ns; /* none is told of before */
    bool curl_started;
};

/*
 * Say how it is. Two workers may say different things at a time: who has said one looks again, so
 * that what is said last is what is so.
 */
static inline void auth_show_health(struct auth *auth, const char *reason)
{
    bool is_down;

    if (auth->health == NULL)
        return;
    do {
        is_down = atomic_load(&auth->is_down);
        auth->health->set(auth->self, is_down ? SPOE_HEALTH_DOWN : SPOE_HEALTH_READY,
                          spoe_str(is_down ? reason : ""));
    } while (atomic_load(&auth->is_down) != is_down);
}

/* What a worker may have of a bound for all of them. */
static inline uint64_t auth_share(struct auth *auth, uint64_t bound)
{
    const uint32_t n = atomic_load_explicit(&auth->n_workers, memory_order_relaxed);
    const uint64_t share = n > 1 ? bound / n : bound;

    return share > 0 ? share : 1;
}

#endif
