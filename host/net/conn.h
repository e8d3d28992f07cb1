/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/conn.h - one connection from HAProxy: its bytes, its handshake, its frames.
 *
 *   HELLO --HELLO accepted--> OPEN --drain--> DRAINING --nothing left to do--> CLOSING
 *     any error, a health check answered, HAPROXY-DISCONNECT, idle for too long: --> CLOSING
 *     end of stream, reset, time-out of CLOSING: --> freed
 *
 * DRAINING handles the frames that had arrived before it, answers what is in flight, and then
 * closes. CLOSING has put its last frame (DISCONNECT, or the reply to a health check) into the
 * output; when that is written it shuts its side down and reads to the end, for LINGER_NS at most,
 * so that a reset does not overtake the frame. Threads: the worker's only.
 */
#ifndef HOST_NET_CONN_H
#define HOST_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/worker.h"

#define CONN_PEER_MAX 64u

/** Take an accepted, non-blocking socket; closes it on failure. */
void conn_create(struct worker *worker, int fd, const char *peer);

/**
 * Make a place: close, with a DISCONNECT if the peer takes it at once, the connection that goes
 * first by evict_steps[].
 * @return false: all of them have something to do
 */
bool conn_evict(struct worker *worker, bool crowded);

/** The ACK of an exchange can leave; the exchange is released. conn_run_due() sends it. */
void conn_exchange_done(struct spoe_worker *core, struct exchange *exchange);
/** What is still pending is too late: the ACK leaves without it. */
void conn_exchange_late(struct spoe_worker *core, struct exchange *exchange);
/** A processing-timeout has passed: wait no longer for what is due. */
void conn_exchange_expired(struct deadline *deadline, struct worker *worker, int64_t now_ns);
/** Let go of what messages pinned that were not completed before the worker stopped. [main] */
void conn_unpin_all(struct worker *worker);

/** Give a turn to each connection that has something to do. */
void conn_run_due(struct worker *worker);
/** Go on with the connections that wait for room below max-pending, as far as there is room. */
void conn_resume_paused(struct worker *worker);

/** Deadline lists of a worker. */
void conn_hello_expired(struct deadline *deadline);
void conn_idle_expired(struct deadline *deadline);
void conn_linger_expired(struct deadline *deadline);

/** Answer what has arrived at each connection, then close it. */
void conn_drain_all(struct worker *worker);
/** Close now. */
void conn_destroy(struct conn *conn);

/**
 * The time to end is over: answer what is in flight without the parts that are not there, as at
 * its deadline, say goodbye as far as the peer takes it, and destroy.
 */
void conn_end(struct conn *conn);

#endif
