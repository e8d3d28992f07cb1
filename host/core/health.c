/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/health.c - what a plugin says of itself; see health.h. */
#include "core/health.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/plugin.h"

void health_init(struct health *health)
{
    memset(health, 0, sizeof *health);
    (void)pthread_mutex_init(&health->writing, NULL);
}

void health_fini(struct health *health)
{
    (void)pthread_mutex_destroy(&health->writing);
}

_Static_assert(sizeof(struct health_text) % sizeof(uint64_t) == 0, "it is whole words");

const char *health_name(uint32_t state)
{
    static const char *const names[HEALTH_STATES] = {[SPOE_HEALTH_READY] = "ready",
                                                     [SPOE_HEALTH_DEGRADED] = "degraded",
                                                     [SPOE_HEALTH_DOWN] = "down"};

    assert(state < HEALTH_STATES);
    return names[state];
}

static bool try_read(const struct health_line *line, struct health_text *ret)
{
    return published_try_get(&line->turn, line->words, ret, PUBLISHED_WORDS(*ret));
}

void health_read(const struct health_line *line, struct health_text *ret)
{
    published_get(&line->turn, line->words, ret, PUBLISHED_WORDS(*ret));
}

uint32_t health_state(const struct health *health)
{
    struct health_text state;

    health_read(&health->state, &state);
    return state.number;
}

/* As much of a text as there is room for, and no part of a character. */
static void make_text(uint32_t number, struct spoe_span text, struct health_text *ret)
{
    size_t n = text.n < SPOE_HEALTH_TEXT_MAX ? text.n : SPOE_HEALTH_TEXT_MAX;

    if (n < text.n) {
        while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--;
        if (n == 0) /* it is no UTF-8 at all */
            n = SPOE_HEALTH_TEXT_MAX;
    }
    memset(ret, 0, sizeof *ret);
    ret->number = number;
    ret->n = (uint32_t)n;
    if (n > 0)
        memcpy(ret->text, text.p, n);
}

static bool same(const struct health_text *a, const struct health_text *b)
{
    return a->number == b->number && a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

/* @return whether the number is another one than before */
static bool set_line(struct health *health, struct health_line *line, uint32_t number,
                     struct spoe_span text)
{
    struct health_text now, new;
    bool changed;

    make_text(number, text, &new);
    if (try_read(line, &now) && same(&now, &new))
        return false;
    (void)pthread_mutex_lock(&health->writing);
    (void)try_read(line, &now); /* nobody else writes */
    changed = now.number != number;
    if (changed)
        atomic_store_explicit(&health->unix_ns, clock_unix_ns(), memory_order_relaxed);
    published_put(&line->turn, line->words, &new, PUBLISHED_WORDS(new));
    (void)pthread_mutex_unlock(&health->writing);
    return changed;
}

bool health_set(struct health *health, uint32_t state, struct spoe_span reason)
{
    return set_line(health, &health->state, state, reason);
}

void health_set_status(struct health *health, struct spoe_span text)
{
    (void)set_line(health, &health->status, 0, text);
}

/* ---- the facet --------------------------------------------------------------------------- */

static void facet_set(struct spoe_instance *self, int32_t state, struct spoe_span reason)
{
    static const int32_t levels[HEALTH_STATES] = {[SPOE_HEALTH_READY] = SPOE_LOG_NOTICE,
                                                  [SPOE_HEALTH_DEGRADED] = SPOE_LOG_WARNING,
                                                  [SPOE_HEALTH_DOWN] = SPOE_LOG_ERR};
    char line[SPOE_HEALTH_TEXT_MAX + 64];
    struct health_text shown;
    int n;

    if (state < 0 || (uint32_t)state >= HEALTH_STATES) {
        n = snprintf(line, sizeof line, "health: there is no state %d", (int)state);
        host_table.log(self, NULL, SPOE_LOG_WARNING, (struct spoe_span){line, (size_t)n});
        return;
    }
    if (!health_set(&self->health, (uint32_t)state, reason))
        return;
    make_text((uint32_t)state, reason, &shown);
    n = snprintf(line, sizeof line, "health: %s%s%.*s", health_name((uint32_t)state),
                 shown.n > 0 ? ": " : "", (int)shown.n, shown.text);
    host_table.log(self, NULL, levels[state], (struct spoe_span){line, (size_t)n});
}

static void facet_status(struct spoe_instance *self, struct spoe_span text)
{
    health_set_status(&self->health, text);
}

const struct spoe_health health_facet = {
    .size = sizeof(struct spoe_health),
    .set = facet_set,
    .status = facet_status,
};
