/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/log_listen.h - one item of the option `log-listen`: udp:HOST:PORT, unixgram:/PATH,
 * tcp:HOST:PORT, tcp+octet:HOST:PORT, unix:/PATH; fd:NAME, fd+octet:NAME. What stands behind the
 * kind is as in `listen`.
 */
#ifndef HOST_CONF_LOG_LISTEN_H
#define HOST_CONF_LOG_LISTEN_H

#include "base/error.h"
#include "conf/host_conf.h"

/**
 * @param item    [borrow]
 * @param ret     [give: listen_fini of its `at`] set on success only
 * @param reterr  set where the item is bad
 * @return 0; 1 bad item; -1 out of memory
 */
int log_listen_parse(const char *item, struct host_log_listen *ret, struct error *reterr);

#endif
