/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/health.h - what a plugin says of itself, by the facet "spoe.health/1"
 * (spoe/ext/health.h): a state with its reason, and a line of status. Whoever reads does not wait
 * for whoever writes; writers lock only where something changes.
 */
#ifndef HOST_CORE_HEALTH_H
#define HOST_CORE_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <spoe/ext/health.h>

#include "base/published.h"

#define HEALTH_STATES 3u

/* A number and a text that change together: a line as it was at one moment. */
struct health_text {
    uint32_t number;
    uint32_t n; /* bytes of the text */
    char text[SPOE_HEALTH_TEXT_MAX];
};

/* The same, published. */
struct health_line {
    _Atomic uint32_t turn;
    _Atomic uint64_t words[PUBLISHED_WORDS(struct health_text)];
};

struct health {
    pthread_mutex_t writing;
    struct health_line state;  /* number: SPOE_HEALTH_* */
    struct health_line status; /* number: 0 */
    _Atomic int64_t unix_ns;   /* since when it has been in this state; 0: since the start */
};

void health_init(struct health *health);
void health_fini(struct health *health);

/** Say a state. @return whether the state itself is another one than before. Threads: [any]. */
bool health_set(struct health *health, uint32_t state, struct spoe_span reason);
void health_set_status(struct health *health, struct spoe_span text);

/** Read a line whole. Threads: [any]. */
void health_read(const struct health_line *line, struct health_text *ret);
/** The state alone. Threads: [any]. */
uint32_t health_state(const struct health *health);

/** "ready", "degraded", "down". [const] */
const char *health_name(uint32_t state);

/* The facet. [const] */
extern const struct spoe_health health_facet;

#endif
