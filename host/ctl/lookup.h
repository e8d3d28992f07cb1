/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/lookup.h - the addresses of a name, until a time. getaddrinfo() has no limit of its own:
 * it runs on a thread, which is left to itself when the time is over.
 */
#ifndef HOST_CTL_LOOKUP_H
#define HOST_CTL_LOOKUP_H

#include <netdb.h>
#include <stdint.h>

#include "base/error.h"

/**
 * Look up where to connect to by TCP. Blocks.
 * @param end_ns  of CLOCK_MONOTONIC
 * @param ret     [give: freeaddrinfo()]
 * @return 0; -1 with *reterr
 */
int lookup_run(const char *host, const char *port, int64_t end_ns, struct addrinfo **ret,
               struct error *reterr);

#endif
