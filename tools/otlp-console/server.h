/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/otlp-console/server.h - the gRPC side: TraceService/Export, unencrypted, one thread.
 */
#ifndef OTLP_CONSOLE_SERVER_H
#define OTLP_CONSOLE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "traces.h"

struct server;

/**
 * Listen.
 * @param address   host:port; port 0: any that is free
 * @param traces    [pin until server_destroy()] where spans go
 * @param ret_port  the port it listens on
 * @return [own] NULL: cannot listen there
 */
struct server *server_create(const char *address, struct traces *traces, int *ret_port);

/** Handle what comes in until the moment. */
void server_run(struct server *server, int64_t until_mono_ns);

/** Stop and free. */
void server_destroy(struct server *server);

/** CLOCK_MONOTONIC in nanoseconds. */
int64_t server_now(void);

#endif
