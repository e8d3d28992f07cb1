/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/totals.h - the counters of all workers, summed up in one log line.
 */
#ifndef HOST_ADMIN_TOTALS_H
#define HOST_ADMIN_TOTALS_H

#include "core/dispatch.h"

/** "totals: connections=2 hellos=2 ..."; every counter, also those at 0. Threads: [any] */
void totals_log(const struct host_shared *shared);

#endif
