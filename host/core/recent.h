/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/recent.h - the last finished requests, for the page of the admin endpoint: a ring of
 * memory that is there while somebody looks, by the facet "spoe.recent/1" (spoe/ext/recent.h).
 *
 *   off  --recent_start()-->  on  --recent_end(), or RECENT_LOOK_NS without recent_look()-->  off
 *
 * Off there is no memory, and a request costs a load. On, whoever finishes one writes it as JSON
 * into the next slot whose lock is free: nobody waits for anybody, but the one who reads, for a
 * slot. What the end throws away is overwritten first.
 */
#ifndef HOST_CORE_RECENT_H
#define HOST_CORE_RECENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <spoe/ext/recent.h>

#define RECENT_LOOK_NS (INT64_C(600) * 1000000000)

struct recent;

/** @return NULL: out of memory. Off. */
struct recent *recent_create(void);
void recent_destroy(struct recent *recent); /* nobody may use it any more. Takes NULL */

/** Begin, or go on. Threads: [any], as the next three. @return 0; -1: out of memory */
int recent_start(struct recent *recent, int64_t now_mono_ns);
/** Throw all away. */
void recent_end(struct recent *recent);
/** Somebody looks. @return false: it is off */
bool recent_look(struct recent *recent, int64_t now_mono_ns);
/** End it if nobody has looked for long. @return ns until it ends; 0: it is off */
int64_t recent_expire(struct recent *recent, int64_t now_mono_ns);

/** Whether it is on. Threads: [any] */
bool recent_is_on(const struct recent *recent);

/**
 * Keep a request, if it is on. Threads: [any]
 * @param plugin   [borrow] whose it is
 * @param request  [borrow]
 */
void recent_add(struct recent *recent, const char *plugin,
                const struct spoe_recent_request *request);

/**
 * Write those that came after a number, as the elements of a JSON array, in no order: each has its
 * number as "n". One thread at a time.
 * @return the number of the last that has come: what to ask for the next time
 */
uint64_t recent_write(struct recent *recent, uint64_t after, FILE *out);
/**
 * Keep the first request of a trace in a place of its own, where those that come after it, however
 * many, do not take its place. The trace that was sought last counts, until it ends. Threads: [any]
 */
void recent_seek(struct recent *recent, const uint8_t trace_id[16]);
/** Requests that found no slot whose lock was free. Threads: [any] */
uint64_t recent_missed(const struct recent *recent);

/* The facet. [const] */
extern const struct spoe_recent recent_facet;

#endif
