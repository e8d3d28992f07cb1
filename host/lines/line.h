/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lines/line.h - one line of HAProxy's log, taken apart; pure.
 *
 *   v=1 [msg=NAME] KEY=VALUE ...                                     log ... format raw
 *   1 TIME HOST APP PROCID MSGID v=1 [msg=NAME] KEY=VALUE ... TEXT   format rfc5424, log-format-sd
 *   1 TIME HOST APP PROCID MSGID [ID v=1 [msg=NAME] ...] TEXT        the same, within brackets
 *
 * A priority, <134>, may stand before each. Nothing is copied. Threads: [any].
 */
#ifndef HOST_LINES_LINE_H
#define HOST_LINES_LINE_H

#include "lines/pairs.h"

#define LINE_MESSAGE "on-http-log" /* of a line without msg= */

struct line {
    struct pairs pairs;    /* with those of the head as SPOE_LOG_..., without v and msg */
    struct spoe_span name; /* of the message */
    struct spoe_span pid;  /* PROCID; empty: none */
    size_t fault_at;       /* the byte that is wrong, where something is */
};

/**
 * Take a line apart; its end, if it has one, must be off.
 * @param p, n  changed where escapes are taken out; what ret has points into it
 * @param ret   zeroed before its first line; all of it is set, but what it remembers of lines
 *              before; of a line that is broken only fault_at means anything
 */
enum line_fault line_parse(struct line *ret, char *p, size_t n);

#endif
