/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/inbound.h - what a request brought along, whichever format it was in.
 */
#ifndef OTEL_CONTEXT_INBOUND_H
#define OTEL_CONTEXT_INBOUND_H

#include <stdbool.h>

#include "context/trace_context.h"

enum sampled {
    SAMPLED_DEFERRED = 0, /* the caller left it to us, or there is no caller */
    SAMPLED_NO,
    SAMPLED_YES
};

struct inbound {
    struct trace_context parent; /* where has_parent; its flags agree with `sampled` */
    bool has_parent;
    bool w3c;             /* a tracestate beside it belongs to it */
    bool debug;           /* B3 only; implies SAMPLED_YES */
    enum sampled sampled; /* B3 can say it without a parent */
};

#endif
