/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/try/call.h - one message handed to the plugins of a worker, and what became of it. Threads:
 * the peer's.
 */
#ifndef HOST_TRY_CALL_H
#define HOST_TRY_CALL_H

#include "try/peer.h"
#include "try/script.h"

/* What the host counts of messages that go wrong. */
#define CALL_FAULTS(X)                                                                             \
    X(unknown_messages, "no plugin takes it")                                                      \
    X(missing_arguments, "not handed over: an argument that is required is not there")             \
    X(bad_types, "an argument is of a type that is not declared, and counts as absent")            \
    X(handler_errors, "the plugin failed, and what it set is left out")                            \
    X(timeouts, "not answered in time, HAProxy goes on without")                                   \
    X(withheld_messages, "not handed over: the plugin holds too many whose time is over")          \
    X(refused_messages, "not handed over: the host stops")                                         \
    X(misbehaviour, "the plugin breaks the contract: see the log")

enum call_fault {
#define X(name, text) CALL_##name,
    CALL_FAULTS(X)
#undef X
        N_CALL_FAULTS
};

struct call {
    bool answered; /* an ACK has come */
    bool silent;   /* a message of the log: there is none */
    int64_t ns;    /* from sending to the answer */
    uint64_t faults[N_CALL_FAULTS];
    struct spop_frame ack; /* points into the peer, until the next call */
};

/** "no plugin takes it". [const] */
const char *call_fault_text(enum call_fault fault);
void call_count_faults(const struct spoe_worker *worker, uint64_t ret[N_CALL_FAULTS]);

/**
 * Hand over a frame, as it is but for its ids, or a message with these values.
 * @param args      as many as line->n; a frame has none
 * @param id        of the stream; another one each time
 * @param limit_ns  how long the answer may take
 * @return 0: see *ret; -1 with *reterr
 */
int call_plugins(struct peer *peer, const struct script_line *line, const struct spoe_arg *args,
                 uint64_t id, int64_t limit_ns, struct call *ret, struct error *reterr);

#endif
