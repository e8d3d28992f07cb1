/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/haproxy_side.c - HAProxy's rules for the messages, as `spoe-host
 * --print-haproxy-config` writes them. haproxy/otel-spoe.cfg, spoe-otel.cfg, otel-log.cfg,
 * otel-both.cfg and spoe-otel-both.cfg have the same with a reason for each line; a test holds them
 * equal.
 */
#include "haproxy_side.h"

#include <inttypes.h>
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

/* What options call for, as bits. */
enum need {
    B3 = 1,
    B3MULTI = 2,
    FOLLOW = 4,      /* the caller's decision counts */
    NEW_ON = 8,      /* where it does not, or there is none: sampled */
    NEW_OFF = 16,    /* not sampled */
    ANY_ON = 32,     /* the caller's decision does not count: sampled */
    ANY_OFF = 64,    /* not sampled */
    NEW_SHARE = 128, /* a share of the new traces */
    ANY_SHARE = 256, /* a share of all traces */
    ALL_LINES = 512,
    SOME_LINES = 1024, /* those of sampled requests */
    ERRORS = 2048,     /* and those of errors */
    W3C = 4096,
    NO_W3C = 8192 /* there is no variable traceparent */
};

static const struct line {
    uint32_t place;   /* SPOE_HAPROXY_* */
    uint32_t message; /* where the place is one of a message */
    uint32_t ways;    /* 1 << SPOE_HAPROXY_BY_*, those in which it is there */
    uint32_t version; /* from this HAProxy on */
    unsigned needs;   /* all of these */
    const char *text;
} table[] = {
#define RULE(place, ways, needs, text) {SPOE_HAPROXY_##place, 0, ways, 0, needs, text},
#define MORE(message, ways, version, text)                                                         \
    {SPOE_HAPROXY_MESSAGE, MESSAGE_##message, ways, version, 0, text},
#define NEED(message, ways, needs, text)                                                           \
    {SPOE_HAPROXY_MESSAGE, MESSAGE_##message, ways, 0, needs, text},
#define WHEN(message, ways, text) {SPOE_HAPROXY_EVENT, MESSAGE_##message, ways, 0, 0, text},
#include "haproxy_lines.inc"
};

/* ---- what options call for --------------------------------------------------------------- */

static unsigned needs_of_sampler(const struct haproxy_wishes *wishes)
{
    switch (wishes->sampler) {
    case SAMPLER_ALWAYS_ON:
        return NEW_ON | ANY_ON;
    case SAMPLER_ALWAYS_OFF:
        return NEW_OFF | ANY_OFF;
    case SAMPLER_TRACEIDRATIO:
        return wishes->ratio >= 1   ? NEW_ON | ANY_ON
               : wishes->ratio <= 0 ? NEW_OFF | ANY_OFF
                                    : NEW_ON | ANY_ON | ANY_SHARE;
    case SAMPLER_PARENTBASED_ALWAYS_OFF:
        return NEW_OFF | FOLLOW;
    case SAMPLER_PARENTBASED_TRACEIDRATIO:
        return wishes->ratio >= 1   ? NEW_ON | FOLLOW
               : wishes->ratio <= 0 ? NEW_OFF | FOLLOW
                                    : NEW_ON | FOLLOW | NEW_SHARE;
    case SAMPLER_PARENTBASED_ALWAYS_ON:
    default:
        return NEW_ON | FOLLOW;
    }
}

static unsigned needs_of(const struct haproxy_wishes *wishes)
{
    return needs_of_sampler(wishes) |
           ((wishes->propagators & PROPAGATOR_TRACECONTEXT) != 0 ? W3C : NO_W3C) |
           ((wishes->propagators & PROPAGATOR_B3) != 0 ? B3 : 0u) |
           ((wishes->propagators & PROPAGATOR_B3MULTI) != 0 ? B3MULTI : 0u) |
           (wishes->all_lines ? ALL_LINES
            : wishes->errors  ? SOME_LINES | ERRORS
                              : SOME_LINES);
}

/* ---- lines ------------------------------------------------------------------------------- */

/* What stands for something in a line. */
struct replacement {
    const char *name;
    char text[80];
};
#define N_REPLACEMENTS 3u

/* The threshold that a share of the traces has: as a number, and as digits of `th`. */
static void set_threshold(double ratio, struct replacement *number, struct replacement *digits)
{
    const uint64_t all = UINT64_C(1) << 56;
    const double share = ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
    /* One more, unless it is whole or all: no fewer are kept than was said. */
    const uint64_t kept = (uint64_t)(share * (double)all);
    const uint64_t threshold = all - kept - ((double)kept < share * (double)all ? 1 : 0);
    size_t n;

    (void)snprintf(number->text, sizeof number->text, "%" PRIu64, threshold);
    (void)snprintf(digits->text, sizeof digits->text, "%014" PRIx64, threshold);
    n = strlen(digits->text);
    while (n > 1 && digits->text[n - 1] == '0')
        n--;
    digits->text[n] = '\0';
}

/* The first that stands in the text. @param ret_at  where; the text's end: none does */
static const struct replacement *find_first(const struct replacement all[N_REPLACEMENTS],
                                            const char *text, const char **ret_at)
{
    const struct replacement *found = NULL;

    *ret_at = text + strlen(text);
    for (size_t i = 0; i < N_REPLACEMENTS; i++) {
        const char *at = strstr(text, all[i].name);

        if (at != NULL && at < *ret_at) {
            found = &all[i];
            *ret_at = at;
        }
    }
    return found;
}

/* @return false: there is no room */
static bool replace(const char *text, const struct replacement all[N_REPLACEMENTS],
                    char ret[LINE_MAX])
{
    const struct replacement *found;
    const char *at;
    size_t n = 0;
    int written;

    while ((found = find_first(all, text, &at)) != NULL) {
        written = snprintf(ret + n, LINE_MAX - n, "%.*s%s", (int)(at - text), text, found->text);
        if (written < 0 || (size_t)written >= LINE_MAX - n)
            return false;
        n += (size_t)written;
        text = at + strlen(found->name);
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
    const struct haproxy_wishes wishes = otel_haproxy_wishes(inst);
    const unsigned needs = needs_of(&wishes);
    struct replacement all[N_REPLACEMENTS] = {
        {.name = VARIABLES}, {.name = "{threshold}"}, {.name = "{th}"}};
    char text[LINE_MAX];

    (void)snprintf(all[0].text, sizeof all[0].text, "txn.%s.", ask->prefix);
    set_threshold(wishes.ratio, &all[1], &all[2]);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (is_asked_for(&table[i], ask) && (table[i].needs & ~needs) == 0 &&
            replace(table[i].text, all, text))
            put(arg, text);
    }
}

/* A line's: whose the context is says which of its keys are there. */
static bool wants_of_line(bool beside_spoe, uint32_t version, uint32_t slot)
{
    switch (slot) {
    case LOG_TRACEPARENT:
    case LOG_INBOUND:
    case LOG_TRACESTATE:
        return !beside_spoe;
    case LOG_SERVER_ID: /* the one in tp is enough for these rules, and the other is the plugin's */
    case LOG_CLIENT_ID:
    case LOG_UNIQUE_ID: /* written with the prefix of the agent's variables */
    case LOG_MARK:
        return false;
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
    const unsigned propagators = otel_haproxy_wishes(inst).propagators;
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
