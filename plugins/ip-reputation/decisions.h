/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/decisions.h - what CrowdSec's local API tells of: the body of
 * GET /v1/decisions/stream, and the decisions that are in force by all that came so far.
 *
 *     {"new": [{"scope": "Ip", "value": "192.0.2.1", "type": "ban", ...}, ...], "deleted": [...]}
 *
 * Either may be null. Decisions about anything but addresses are counted and left out.
 */
#ifndef IP_REPUTATION_DECISIONS_H
#define IP_REPUTATION_DECISIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table.h"

/* The list of a decision, by its type. */
enum { DECISION_BAN, DECISION_CAPTCHA, DECISION_OTHER, N_DECISIONS };

/* Sorted. Zero-initialised but for set.max; decisions_fini(). */
struct decisions {
    struct prefix_set set;
    uint64_t n_skipped; /* other scopes, so far */
};

/**
 * Take a body: what is deleted goes, then what is new comes.
 * @param ret_changed  whether anything is other than before
 * @return 0; -1 with *ret_why [const]: as far as it could be read it has been taken
 */
int decisions_take(struct decisions *decisions, const char *body, size_t n, bool *ret_changed,
                   const char **ret_why);
/** Forget all. */
void decisions_fini(struct decisions *decisions);

#endif
