/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/policies.h - the policy in use, and those before it that somebody may still be
 * reading.
 *
 * A policy never changes once it is published: a reload makes another, with all that it points to,
 * and swaps one pointer (handlers.policy). The one before is freed when whoever may have read the
 * pointer before has come past a point at which it holds none: each worker by a function that is
 * posted to it, the evictor's thread by its count of turns, or at once where it waits. No message
 * pays for that. While a worker does not come back all of them stay, POLICIES_MAX at most: no other
 * is made then.
 */
#ifndef OTEL_POLICIES_H
#define OTEL_POLICIES_H

#include <spoe/plugin.h>

#include "conf/otel_conf.h"
#include "input/evict.h"
#include "input/handlers.h"

/* The one in use included. Far more than come while a worker that is well is busy. */
#define POLICIES_MAX 64u

struct policies;

/** @param handlers  whose policy it is @return [own] NULL: out of memory */
struct policies *policies_create(const struct spoe_host *host, struct handlers *handlers,
                                 struct evictor *evictor);
/** Frees every policy: nobody may read one any more. Takes NULL. */
void policies_destroy(struct policies *policies);

/** A worker that reads policies from now on. @return 0; -1 out of memory. Threads: [worker] */
int policies_add_worker(struct policies *policies, struct spoe_worker *worker);

/**
 * Make the policy of a configuration and put it in use.
 * @param fixed   the configuration of the start; outlives the policies
 * @param rules   what otel_conf_read_rules() has read; may be the same [borrow]
 * @return SPOE_OK; SPOE_E_NOMEM, or SPOE_E_LIMIT at POLICIES_MAX: nothing has changed
 * Threads: [main]
 */
spoe_status policies_use(struct policies *policies, const struct otel_conf *fixed,
                         const struct otel_conf *rules);

#endif
