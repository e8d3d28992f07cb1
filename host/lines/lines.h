/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/lines.h - the addresses of log-listen, from the host's start to its end.
 *
 * This layer stands above net: its sockets are read by the workers, in their event loops, into
 * their blocks and through their deadlines, so it needs all of a worker; and a worker needs nothing
 * of it, since the mail that begins and ends reading is all that the two ever say to each other. A
 * socket of datagrams is one worker's, a connection that of the worker with the fewest. Threads:
 * [main], unless said.
 */
#ifndef HOST_LINES_LINES_H
#define HOST_LINES_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/host_conf.h"
#include "net/worker.h"

struct lines;

/**
 * Bind every address. Warns where other machines can send, and where the kernel keeps less than
 * log-receive-buffer. Nothing is read yet.
 * @return NULL with the reason logged
 */
struct lines *lines_open(const struct host_conf *conf);
/**
 * Read, and accept connections in this event loop. The workers run.
 * @param max  connections at a time
 * @return 0; -1 logged
 */
int lines_start(struct lines *lines, struct event_base *base, struct worker *workers,
                uint32_t n_workers, uint32_t max);
/** Accept no more; the workers read what the kernel has. */
void lines_drain(struct lines *lines);
/** Wait until they have. @return false: the deadline came first */
bool lines_wait(struct lines *lines, int64_t deadline_mono_ns);
/** Have the workers close what is left, before they end. */
void lines_stop(struct lines *lines);
/** Free it; no worker runs. Takes NULL. */
void lines_close(struct lines *lines);

/** Call fn for each frontend of which lines are missing. Takes NULL. [any, once the workers run] */
void lines_each_missing(const struct lines *lines,
                        void (*fn)(void *arg, struct spoe_span frontend, uint64_t missing),
                        void *arg);
/** Connections that are open. Takes NULL. [any] */
uint32_t lines_connections(const struct lines *lines);

#endif
