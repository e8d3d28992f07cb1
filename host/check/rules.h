/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/rules.h - the rules of spoe/plugin.h that are checked, and where it is written down
 * that one was broken. Threads: [any].
 */
#ifndef HOST_CHECK_RULES_H
#define HOST_CHECK_RULES_H

#include <stdbool.h>

#define RULES(X)                                                                                   \
    X(load, "the file is a plugin whose descriptor is whole")                                      \
    X(alive, "it does not call exit() or abort(), and does not crash")                             \
    X(returns, "every function of it comes back in time")                                          \
    X(entry, "the entry function does nothing but return the same descriptor")                     \
    X(configure, "configure() takes the options that are set, and check() finds nothing wrong")    \
    X(start, "start() and worker_start() succeed")                                                 \
    X(answers, "handle() takes every message without an error")                                    \
    X(blocks, "handle() does not block")                                                           \
    X(completes, "what is PENDING is completed, at the latest in stop()")                          \
    X(once, "what is PENDING is completed once, and nothing else is")                              \
    X(late, "answers that come too late, or that nobody waits for, do no harm")                    \
    X(limits, "actions keep to the limits: names, types, and the size of an ACK")                  \
    X(threads, "functions of the host are called where they may be called")                        \
    X(signals, "threads of it have all signals blocked")                                           \
    X(log, "it logs no line for every message, but at debug, and lines without an end")            \
    X(reconfigure, "reconfigure() takes settings that have not changed")                           \
    X(stop, "after stop() it calls nothing of the host but from destroy(), after that nothing")    \
    X(left, "no thread and no descriptor of it is left after destroy()")                           \
    X(memory, "an allocation that fails is no reason to crash")

enum rule {
#define X(name, text) RULE_##name,
    RULES(X)
#undef X
        N_RULES
};

/** "completes". [const] */
const char *rule_name(enum rule rule);
const char *rule_text(enum rule rule);

/** Write what is broken to this descriptor from now on. */
void rules_report_to(int fd);
/** A rule was broken; the first lines of each are written. */
void rule_broken(enum rule rule, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The scenario has come to its end. */
void rules_done(void);

#endif
