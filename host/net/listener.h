/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/listener.h - the addresses that HAProxy connects to; accepted sockets go to the worker
 * with the fewest connections. When all places are taken one that does nothing goes first: silent
 * connections shut nobody out. Threads: [main].
 */
#ifndef HOST_NET_LISTENER_H
#define HOST_NET_LISTENER_H

#include "conf/host_conf.h"
#include "net/worker.h"

struct listeners;

/**
 * Bind and listen on every address. A socket file that nobody listens on is replaced; one that
 * somebody does is an error. Warns once where other machines can connect. Nothing is accepted yet.
 * @return NULL with the reason logged
 */
struct listeners *listeners_open(const struct host_conf *conf);
/** Accept for these workers, in this event loop. @return 0; -1 logged */
int listeners_start(struct listeners *listeners, struct event_base *base, struct worker *workers,
                    uint32_t n_workers);
/** Accept no more: close the sockets and remove our socket files. */
void listeners_stop(struct listeners *listeners);
/** Stop and free. Takes NULL. */
void listeners_close(struct listeners *listeners);
/**
 * Connections at a time: max-connections, or what the limit of open files leaves after a reserve
 * for plugins and the admin endpoint. With streams in log-listen there may be as many of those. 0
 * before listeners_start(). [any]
 */
uint32_t listeners_max(const struct listeners *listeners);
/** That number, for a limit and the descriptors that are open already; for tests. */
uint32_t listeners_fit(const struct host_conf *conf, uint64_t limit, uint32_t open);

#endif
