/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/listen.h - one item of the option `listen`: HOST:PORT, [IPV6]:PORT, :PORT or *:PORT
 * (all addresses), unix:/PATH, fd:NAME (a socket that is inherited, net/inherited.h). Names are not
 * looked up here.
 */
#ifndef HOST_CONF_LISTEN_H
#define HOST_CONF_LISTEN_H

#include "base/error.h"
#include "conf/host_conf.h"

/**
 * @param item    [borrow]
 * @param ret     [give: listen_fini] set on success only
 * @param reterr  set where the item is bad
 * @return 0; 1 bad item; -1 out of memory
 */
int listen_parse(const char *item, struct host_listen *ret, struct error *reterr);
void listen_fini(struct host_listen *listen);

#endif
