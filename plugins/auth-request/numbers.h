/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/numbers.h - the plugin's metrics; without the host's facet they are nothing.
 */
#ifndef AUTH_REQUEST_NUMBERS_H
#define AUTH_REQUEST_NUMBERS_H

#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>

#include "auth-request/reasons.h"

enum lookup { LOOKUP_HIT, LOOKUP_MISS, LOOKUP_EXPIRED, LOOKUP_COUNT };

struct numbers {
    const struct spoe_metrics *facet;          /* NULL: none */
    struct spoe_metric *answers[REASON_COUNT]; /* one for each message */
    struct spoe_metric
        *questions[REASON_OF_QUESTION_COUNT]; /* one for each that was put to the service */
    struct spoe_metric *lookups[LOOKUP_COUNT];
    struct spoe_metric *coalesced, *evicted, *not_kept, *connections;
    struct spoe_metric *in_flight, *in_flight_bytes, *entries, *bytes;
    struct spoe_metric *seconds;
};

/* During configure(). @return SPOE_OK, also where the host has no metrics; SPOE_E_NOMEM ... */
spoe_status numbers_declare(struct numbers *numbers, const struct spoe_host *host,
                            struct spoe_instance *self);

static inline void number_count(const struct numbers *numbers, struct spoe_metric *counter,
                                uint64_t n)
{
    if (numbers->facet != NULL && n > 0)
        numbers->facet->counter_add(counter, n);
}

static inline void number_move(const struct numbers *numbers, struct spoe_metric *gauge, int64_t n)
{
    if (numbers->facet != NULL && n != 0)
        numbers->facet->gauge_add(gauge, n);
}

#endif
