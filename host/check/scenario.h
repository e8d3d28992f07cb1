/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/scenario.h - one life of a plugin, in a process of its own, with something special in
 * it. What is broken is written down by rules.h.
 */
#ifndef HOST_CHECK_SCENARIO_H
#define HOST_CHECK_SCENARIO_H

#include <stdbool.h>

#define SCENARIOS(X)                                                                               \
    X(load, "the file is loaded, no more")                                                         \
    X(configure, "configure(), check(), destroy()")                                                \
    X(quiet, "one worker, one message after the other")                                            \
    X(busy, "two workers, messages of four connections, reconfigure(), a scrape")                  \
    X(late, "the time for an answer is over at once")                                              \
    X(closed, "connections close without waiting")                                                 \
    X(drain, "the end comes with messages in flight")                                              \
    X(memory, "an allocation fails")

enum scenario {
#define X(name, text) SCENARIO_##name,
    SCENARIOS(X)
#undef X
        N_SCENARIOS
};

#define CHECK_LIST_MAX 64

/* What is checked, and how; as on the command line. */
struct check {
    const char *file, *script;                 /* script NULL: there is none */
    const char *conf_file;                     /* -f; NULL: none */
    const char *sets[CHECK_LIST_MAX + 1];      /* --set; ends with NULL */
    const char *libraries[CHECK_LIST_MAX + 1]; /* --library; likewise */
    bool trust_any;
};

/** "busy". [const] */
const char *scenario_name(enum scenario scenario);
const char *scenario_text(enum scenario scenario);

/**
 * Run it. [main], once in a process.
 * @param nth        of SCENARIO_memory: the allocation that fails
 * @param report_fd  see rules.h; of SCENARIO_memory also "failed" once that has happened
 * @return the exit status
 */
int scenario_run(const struct check *check, enum scenario scenario, unsigned nth, int report_fd);

#endif
