/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/totals.c - the counters of all workers, summed up in one log line. */
#include "admin/totals.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

static void add(const struct counters *from, struct counters *to)
{
#define ADD(name) COUNT_ADD(to, name, atomic_load_explicit(&from->name, memory_order_relaxed));
    COUNTERS(ADD)
#undef ADD
}

void totals_log(const struct host_shared *shared)
{
    struct counters sum = {0};
    char text[2048];
    size_t n;

    for (uint32_t i = 0; i < shared->n_workers; i++)
        add(&shared->workers[i]->counters, &sum);
    n = (size_t)snprintf(text, sizeof text, "totals:");
#define PRINT(name)                                                                                \
    if (n < sizeof text)                                                                           \
        n += (size_t)snprintf(text + n, sizeof text - n, " " #name "=%" PRIu64,                    \
                              atomic_load_explicit(&sum.name, memory_order_relaxed));
    COUNTERS(PRINT)
#undef PRINT
    log_line(SPOE_LOG_INFO, "host", "%s refused_connections=%" PRIu64, text,
             atomic_load_explicit(&shared->n_refused, memory_order_relaxed));
}
