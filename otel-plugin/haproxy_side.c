/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/haproxy_side.c - HAProxy's rules for the messages, as `spoe-host
 * --print-haproxy-config` writes them. haproxy/otel-spoe.cfg, spoe-otel.cfg, otel-log.cfg,
 * otel-both.cfg and spoe-otel-both.cfg have the same with a reason for each line; a test holds them
 * equal.
 */
#include "haproxy_side.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/conf_types.h"
#include "input/messages.h"

#define SPOE (UINT32_C(1) << SPOE_HAPROXY_BY_SPOE)
#define LOG (UINT32_C(1) << SPOE_HAPROXY_BY_LOG)
#define BOTH (UINT32_C(1) << (SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG))

#define HAPROXY_2_9 UINT32_C(0x0209)
#define HAPROXY_3_0 UINT32_C(0x0300)

/* The agent's variables stand as txn.otel.NAME; they are written with the prefix in use. */
#define VARIABLES "txn.otel."
#define LINE_MAX 1024u

static const struct line {
    uint32_t place;      /* SPOE_HAPROXY_* */
    uint32_t message;    /* where the place is one of a message */
    uint32_t ways;       /* 1 << SPOE_HAPROXY_BY_*, those in which it is there */
    uint32_t version;    /* from this HAProxy on */
    unsigned propagator; /* needed; 0: none */
    const char *text;
} table[] = {
#define RULE(place, ways, propagator, text) {SPOE_HAPROXY_##place, 0, ways, 0, propagator, text},
#define MORE(message, ways, version, text)                                                         \
    {SPOE_HAPROXY_MESSAGE, MESSAGE_##message, ways, version, 0, text},
#define WHEN(message, ways, text) {SPOE_HAPROXY_EVENT, MESSAGE_##message, ways, 0, 0, text},
#include "haproxy_lines.inc"
};

/* With the prefix of the agent's variables. @return false: there is no room */
static bool with_prefix(const char *text, const char *prefix, char ret[LINE_MAX])
{
    size_t n = 0;
    const char *at;
    int written;

    while ((at = strstr(text, VARIABLES)) != NULL) {
        written = snprintf(ret + n, LINE_MAX - n, "%.*stxn.%s.", (int)(at - text), text, prefix);
        if (written < 0 || (size_t)written >= LINE_MAX - n)
            return false;
        n += (size_t)written;
        text = at + sizeof VARIABLES - 1;
    }
    written = snprintf(ret + n, LINE_MAX - n, "%s", text);
    return written >= 0 && (size_t)written < LINE_MAX - n;
}

static bool is_asked_for(const struct line *line, const struct spoe_haproxy_ask *ask)
{
    const bool of_message =
        line->place == SPOE_HAPROXY_MESSAGE || line->place == SPOE_HAPROXY_EVENT;

    return line->place == ask->place && (!of_message || line->message == ask->message) &&
           (line->ways & UINT32_C(1) << ask->ways) != 0 && ask->version >= line->version;
}

static void lines(void *inst, const struct spoe_haproxy_ask *ask, spoe_haproxy_put *put, void *arg)
{
    const unsigned propagators = otel_propagators(inst);
    char text[LINE_MAX];

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (is_asked_for(&table[i], ask) && (table[i].propagator & ~propagators) == 0 &&
            with_prefix(table[i].text, ask->prefix, text))
            put(arg, text);
    }
}

/* A line's: whose the context is says which of its keys are there. */
static bool wants_of_line(bool beside_spoe, uint32_t version, uint32_t slot)
{
    switch (slot) {
    case LOG_TRACEPARENT:
    case LOG_SERVER_ID:
    case LOG_CLIENT_ID:
    case LOG_INBOUND:
    case LOG_TRACESTATE:
        return !beside_spoe;
    case LOG_UNIQUE_ID:
    case LOG_MARK:
        return false; /* written with the prefix of the agent's variables */
    case LOG_START:
        return version >= HAPROXY_2_9;
    default:
        return true;
    }
}

/* B3 where it is asked for; what only few need is a comment in the files, and what older versions
 * do not know is left out for them. */
static int32_t wants(void *inst, const struct spoe_haproxy_ask *ask, uint32_t slot)
{
    const unsigned propagators = otel_propagators(inst);
    const bool both = ask->ways == (SPOE_HAPROXY_BY_SPOE | SPOE_HAPROXY_BY_LOG);

    if (ask->message == MESSAGE_LOG)
        return wants_of_line(both, ask->version, slot);
    if (ask->message == MESSAGE_RESPONSE)
        return !both; /* the line has all of it */
    if (ask->message != MESSAGE_REQUEST)
        return 1;
    switch (slot) {
    case REQUEST_B3:
        return (propagators & PROPAGATOR_B3) != 0;
    case REQUEST_B3_TRACE_ID:
    case REQUEST_B3_SPAN_ID:
    case REQUEST_B3_SAMPLED:
    case REQUEST_B3_FLAGS:
        return (propagators & PROPAGATOR_B3MULTI) != 0;
    case REQUEST_SAMPLE:
    case REQUEST_HOLD:
    case REQUEST_LOG_LINE:
        return 0;
    default:
        return 1;
    }
}

const struct spoe_haproxy haproxy_side = {
    .size = sizeof haproxy_side, .lines = lines, .wants = wants};
