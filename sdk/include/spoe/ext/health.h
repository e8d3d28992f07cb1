/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/health.h - how a plugin is, in its own words: on the host's pages /status and /readyz,
 * in its metrics and in its log.
 *
 *     const struct spoe_health *health = host->get_extension(self, SPOE_HEALTH_1);
 *
 * NULL where the host has no such facet: the plugin goes on without. Whoever says nothing is ready.
 * What was said stands until something else is said; a reload or a new configuration changes
 * nothing of it.
 *
 * Threads and lifetimes are those of spoe/plugin.h. The table grows at its end only. Since 1.1.
 */
#ifndef SPOE_EXT_HEALTH_H
#define SPOE_EXT_HEALTH_H

#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_HEALTH_1 "spoe.health/1"

enum {
    SPOE_HEALTH_READY = 0,    /* all is well */
    SPOE_HEALTH_DEGRADED = 1, /* it answers, but not as it should: old data, a part is missing */
    SPOE_HEALTH_DOWN = 2      /* what it answers is worth nothing */
};

#define SPOE_HEALTH_TEXT_MAX 256u /* bytes of a reason, of a line of status; the rest is cut */

/* The facet's functions; one table, [const]. Mandatory in 1.1. */
struct spoe_health {
    uint32_t size;
    uint32_t reserved; /* 0 */

    /**
     * Say how the plugin is. A change of state is logged; a new reason for the same state is not.
     * On the option `plugin-health` of the host it depends whether /readyz goes by it.
     *
     * @param state   SPOE_HEALTH_*; another number is ignored, and logged
     * @param reason  [borrow] one line of UTF-8 about why it is not ready; may be empty. Of a
     *                plugin that is ready it is shown as well
     * Threads: [any], from configure() until destroy() returns. Cost: where nothing changes, two
     * comparisons of what is there and no lock; else a short lock of this plugin's alone.
     * Since: 1.1.
     */
    void (*set)(struct spoe_instance *self, int32_t state, struct spoe_span reason);

    /**
     * Say in one line what the plugin has or does, such as "1 204 311 prefixes of 3 files, loaded
     * at 10:31". It is shown on /status only.
     *
     * @param text  [borrow] one line of UTF-8; empty: there is none
     * Threads, cost: as set(). Since: 1.1.
     */
    void (*status)(struct spoe_instance *self, struct spoe_span text);
};

#ifdef __cplusplus
}
#endif
#endif
