/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/haproxy.h - what a plugin needs in HAProxy's configuration beside its messages, for
 * `spoe-host --print-haproxy-config`: rules, conditions, further arguments.
 *
 * A facet of the plugin: the host asks for it by spoe_plugin.get_extension(inst, SPOE_HAPROXY_1).
 * Without it the host writes the messages as they are declared, and no rules. Hosts that do not
 * know the facet never ask.
 *
 * Threads and lifetimes are those of spoe/plugin.h. Tables grow at their end only. Since 1.1.
 */
#ifndef SPOE_EXT_HAPROXY_H
#define SPOE_EXT_HAPROXY_H

#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_HAPROXY_1 "spoe.haproxy/1"

/* spoe_haproxy_ask.ways: how HAProxy tells of a request. Both bits: one request in both ways. */
#define SPOE_HAPROXY_BY_SPOE UINT32_C(1) /* messages over SPOP */
#define SPOE_HAPROXY_BY_LOG UINT32_C(2)  /* SPOE_MESSAGE_FROM_LOG */

/* spoe_haproxy_ask.place: where the lines go. */
enum {
    SPOE_HAPROXY_FRONTEND = 1, /* the `defaults` of frontends; rules come before theirs */
    SPOE_HAPROXY_BACKEND = 2,  /* the `defaults` of backends */
    /* One message: "args NAME=EXPRESSION", "acl ..." in its section, or, of a log message, further
     * pairs "KEY=FORMAT" of its line; those whose format begins with "%{+Q" come last in it. */
    SPOE_HAPROXY_MESSAGE = 3,
    SPOE_HAPROXY_EVENT = 4,    /* one message over SPOP: "if ..." behind its event, one line */
    SPOE_HAPROXY_LOG_LEVEL = 5 /* the least level of lines that are sent, one word; else info */
};

/* What the host wants to know; [borrow]. */
struct spoe_haproxy_ask {
    uint32_t size;
    uint32_t ways;      /* SPOE_HAPROXY_BY_* */
    uint32_t version;   /* the least HAProxy that has to take it: 0x0206 is 2.6 */
    uint32_t place;     /* SPOE_HAPROXY_*; one that the plugin does not know has no lines */
    uint32_t message;   /* its place in messages[], for MESSAGE and EVENT */
    uint32_t reserved;  /* 0 */
    const char *prefix; /* variables of an answer come back as txn.PREFIX.NAME */
};

/* Take one line, [borrow], without indentation and line end. */
typedef void spoe_haproxy_put(void *arg, const char *line);

/* The facet's functions; one table, [const]. */
struct spoe_haproxy {
    uint32_t size;
    uint32_t reserved; /* 0 */

    /**
     * Write the lines of a place, in their order, each by a put(arg, line).
     * Threads: [main], between configure() and destroy(), without start(). Since 1.1. Mandatory.
     */
    void (*lines)(void *inst, const struct spoe_haproxy_ask *ask, spoe_haproxy_put *put, void *arg);

    /**
     * Whether an argument that is declared is to be written at all. A message of which no argument
     * is wanted is not written either.
     * @param ask   place is SPOE_HAPROXY_MESSAGE
     * @param slot  the argument's place in the declaration
     * Threads: as lines(). Since 1.1. NULL: all are.
     */
    int32_t (*wants)(void *inst, const struct spoe_haproxy_ask *ask, uint32_t slot);
};

#ifdef __cplusplus
}
#endif
#endif
