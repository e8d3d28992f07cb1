/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/recent.h - requests that are finished, for somebody who looks at the host's page: the
 * last SPOE_RECENT_MAX, kept in memory while somebody looks, and never else.
 *
 *     const struct spoe_recent *recent = host->get_extension(self, SPOE_RECENT_1);
 *     if (recent != NULL && recent->wanted(self))
 *         recent->add(self, &request);
 *
 * NULL where the host has no such facet: the plugin goes on without. What is added is shown to
 * people: a plugin leaves out, or makes unrecognisable, what it would not write to a log either.
 *
 * Threads and lifetimes are those of spoe/plugin.h. The table grows at its end only. Since 1.1.
 */
#ifndef SPOE_EXT_RECENT_H
#define SPOE_EXT_RECENT_H

#include <stdint.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPOE_RECENT_1 "spoe.recent/1"

#define SPOE_RECENT_MAX 200u     /* requests that are kept; the next takes the oldest's place */
#define SPOE_RECENT_PARTS_MAX 8u /* of a request; more are left out */
#define SPOE_RECENT_BYTES_MAX                                                                      \
    8192u                          /* of a request, as it is kept; attributes beyond are left out */
#define SPOE_RECENT_VALUE_MAX 512u /* bytes of a text, as it is kept; longer ones are cut */

/* spoe_recent_part.kind */
enum {
    SPOE_RECENT_SERVER = 1, /* a span: what HAProxy did for the client */
    SPOE_RECENT_CLIENT = 2, /* a span: what HAProxy asked a server for */
    SPOE_RECENT_PHASE = 3   /* no span: a stretch of the time of one, such as the wait in a queue */
};

/* spoe_recent_part.flags */
#define SPOE_RECENT_ERROR UINT32_C(1)
/* spoe_recent_request.flags */
#define SPOE_RECENT_SAMPLED UINT32_C(1)    /* its trace is sampled */
#define SPOE_RECENT_INCOMPLETE UINT32_C(2) /* nobody told its end */
#define SPOE_RECENT_EXPORTED UINT32_C(4)   /* its spans are handed to an exporter, sampled or not */

/* Frozen: a stretch of a request's time. All pointers are [borrow]. */
struct spoe_recent_part {
    uint32_t kind;         /* SPOE_RECENT_SERVER to _PHASE; another is shown as a phase */
    uint32_t flags;        /* SPOE_RECENT_ERROR */
    struct spoe_span name; /* UTF-8; what is none of it is replaced */
    uint8_t id[8];         /* all zero: it has none */
    uint8_t parent_id[8];
    int64_t start_unix_ns, end_unix_ns;
    uint32_t n_attributes;
    uint32_t n_left_out; /* attributes that it has beside these */
    const struct spoe_arg *attributes;
};

/* One request. Texts are UTF-8, and empty where nothing is known; all pointers are [borrow]. */
struct spoe_recent_request {
    uint32_t size;  /* sizeof(struct spoe_recent_request) */
    uint32_t flags; /* SPOE_RECENT_SAMPLED, _INCOMPLETE, _EXPORTED */
    uint8_t trace_id[16];
    int64_t start_unix_ns, end_unix_ns;
    int64_t status; /* 0: none, or not known */
    struct spoe_span method, target, client, frontend, backend, server, termination;
    uint32_t n_parts;
    uint32_t reserved; /* 0 */
    const struct spoe_recent_part *parts;
};

/* The facet's functions; one table, [const]. Mandatory in 1.1. */
struct spoe_recent {
    uint32_t size;
    uint32_t reserved; /* 0 */

    /**
     * Whether somebody looks. Ask before anything is made for add(): where nobody does, this is all
     * that a request costs, one load of a number that hardly ever changes.
     *
     * @return 1 or 0
     * Threads: [any], from configure() until destroy() returns. Since: 1.1.
     */
    int32_t (*wanted)(struct spoe_instance *self);

    /**
     * A request is finished. It is copied; where nobody looks it is not. Never waits: what would
     * have to is counted as missed.
     *
     * @param request  [borrow]
     * Threads: as wanted(). Since: 1.1.
     */
    void (*add)(struct spoe_instance *self, const struct spoe_recent_request *request);
};

#ifdef __cplusplus
}
#endif
#endif
