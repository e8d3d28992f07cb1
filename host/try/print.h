/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/try/print.h - what was asked, and what a rule in HAProxy sees of the answer, for people.
 * Threads: [any].
 */
#ifndef HOST_TRY_PRINT_H
#define HOST_TRY_PRINT_H

#include <stdio.h>

#include "core/route.h"
#include "try/call.h"

/** A message as script.h reads it. @param route  NULL: nobody takes it */
void print_message(FILE *out, const struct route *route, struct spoe_span name,
                   const struct spoe_arg *args, uint32_t n);
/** The messages of a recorded frame, a line each. @return 0; -1 with *reterr */
int print_frame(FILE *out, const struct route_table *routes, const struct script_line *line,
                struct error *reterr);
/** The variables of the answer, what went wrong, and how long it took. @return whether all is well
 * @param prefix      of variables, as HAProxy is told: txn.PREFIX.NAME
 * @param timeout_ns  processing-timeout: what takes longer is told */
bool print_answer(FILE *out, const struct call *call, const char *prefix, int64_t timeout_ns);

#endif
