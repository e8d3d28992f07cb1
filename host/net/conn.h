/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/conn.h - one connection from HAProxy: its bytes, its handshake, its frames.
 *
 *   HELLO --HELLO accepted--> OPEN --drain--> DRAINING --nothing in flight--> CLOSING
 *     any error, a health check answered, HAPROXY-DISCONNECT: --> CLOSING
 *     end of stream, reset, time-out of CLOSING: --> freed
 *
 * CLOSING has put its last frame (DISCONNECT, or the reply to a health check) into the output;
 * when that is written it shuts its side down and reads to the end, for LINGER_NS at most, so that
 * a reset does not overtake the frame. Threads: the worker's only.
 */
#ifndef HOST_NET_CONN_H
#define HOST_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/worker.h"

#define CONN_OUTPUT_HIGH ((size_t)256 * 1024) /* bytes of unread output at which reading stops */
#define CONN_PEER_MAX 64u
#define CONN_ENGINE_ID_MAX 128u

/** Take an accepted, non-blocking socket; closes it on failure. */
void conn_create(struct worker *worker, int fd, const char *peer);

/** The ACK of an exchange can leave; the exchange is released. Flushed with the dirty list. */
void conn_exchange_done(struct spoe_worker *core, struct exchange *exchange);
/** processing-timeout has passed: answer without what is still pending. */
void conn_exchange_expired(struct worker *worker, struct exchange *exchange);

/** Let go of what messages pinned that were not completed before the worker stopped. [main] */
void conn_unpin_all(struct worker *worker);

/** Write the output of every connection in the dirty list. */
void conn_flush_dirty(struct worker *worker);
/** Go on with the connections that waited for room below max-pending. */
void conn_resume_paused(struct worker *worker);

/** Deadline lists of a worker. */
void conn_hello_expired(struct deadline *deadline);
void conn_linger_expired(struct deadline *deadline);

/** Read what has arrived at each connection, answer it, then go to DRAINING. */
void conn_drain_all(struct worker *worker);
/** Close now. */
void conn_destroy(struct conn *conn);

/**
 * The time to end is over: answer what is in flight without the parts that are not there, as at
 * its deadline, say goodbye as far as the peer takes it, and destroy.
 */
void conn_end(struct conn *conn);

#endif
