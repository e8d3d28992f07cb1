/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/store.h - the requests that are open, by their unique-id; for a while those
 * that were evicted; and for a moment messages that came before their request's.
 *
 *   (none) --open--> SERVER --attach--> SERVER + CLIENT --take--> (none)
 *     |  ^              |                       |
 *     |  |              +--------expire---------+--> remembered --take (late), expire--> (none)
 *     |  +--expire--+
 *     +--keep--> messages --open--> SERVER, and the messages to whoever opened it
 *
 * One table for all workers, since a request's messages may come over different connections. It
 * is cut into shards by the key's hash, each with a mutex that is held for a few loads and stores
 * and no longer. Each shard has a list for each of the three kinds, in the order in which they are
 * due. There is no clock in here: moments are handed in.
 *
 * What is open is bounded in requests and in bytes; so is what is remembered, and what is kept.
 * Whoever takes a request out owns its spans; nobody else can see them any more.
 *
 * A request that a line of HAProxy's log is to end stays open when its response comes: only the
 * line takes it out, or the end of its time.
 *
 * A request that is not sampled has an entry as well, with its context in the place of spans: its
 * backend message is to be answered, and its messages are not to count as unknown.
 *
 * Times: the wall clock is read once for a request, when it opens (`opened_unix_ns`); all its other
 * moments are that one plus what the monotonic clock says has passed (store_unix_ns()).
 */
#ifndef OTEL_INPUT_STORE_H
#define OTEL_INPUT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "input/kept.h"
#include "signal/span.h"

#define STORE_KEY_MAX 256u /* bytes of a unique-id */

struct store;

enum store_result {
    STORE_OK = 0,
    STORE_DUPLICATE, /* open(): the id is open; attach(): there is a CLIENT span; keep(): likewise
                      */
    STORE_UNKNOWN,   /* the id is not open */
    STORE_UNSAMPLED, /* attach(): the request has no spans */
    STORE_LATE,      /* attach(), take(): it was evicted, and is remembered */
    STORE_WAIT,      /* take(): its backend message is still to come */
    STORE_LOGGED,    /* take(): a line is to end it; store_update() */
    STORE_OTHER,     /* take_by_line(): another request has the line's id */
    STORE_AGAIN,     /* keep(): the request is there now */
    STORE_FULL,      /* a bound is reached */
    STORE_KEY,       /* the key is empty or above STORE_KEY_MAX */
    STORE_NOMEM
};

/* Zero is no bound, and of times: off. */
struct store_conf {
    size_t max, bytes_max; /* open requests, and their bytes with those of their spans */
    int64_t ttl_ns;        /* how long one may be open, if nothing holds it */
    int64_t reorder_ns;    /* how long a message is kept for its request */
    size_t kept_max, kept_bytes_max;
    int64_t late_ns; /* how long an evicted request is remembered */
    size_t late_max, late_bytes_max;
};

/* What the numbers of a finished request need of its first messages: numbers of names (meter.h). */
struct store_begun {
    uint16_t frontend, route, method, scheme, version;
    uint16_t reserved;
    uint32_t asked_us; /* when a server was asked for, after the opening; 0: it was not */
};

/* A request that opens. */
struct store_opening {
    struct span *server; /* [own] on STORE_OK, else the caller keeps it; NULL: not sampled */
    const struct trace_context *context; /* copied; not looked at where there is a span */
    int64_t mono_ns, unix_ns;            /* receipt of its message, by both clocks */
    int64_t hold_ns;                     /* not evicted before; 0: the TTL counts */
    struct store_begun begun;
    bool logged; /* a line of the log ends it, and no response */
};

/* One request that was taken out. */
struct store_request {
    struct span *server;          /* [give] NULL: not sampled, then there is no client either */
    struct span *client;          /* [give] NULL: no backend message came */
    struct kept *kept;            /* [give: kept_free] messages that nobody has applied */
    struct trace_context context; /* SERVER's, also where there is no span */
    int64_t opened_mono_ns, opened_unix_ns;
    int64_t last_mono_ns; /* receipt of its last message */
    struct store_begun begun;
    int64_t evicted_mono_ns; /* STORE_LATE only */
    bool never_opened;       /* there are kept messages and nothing else */
    bool logged;             /* a line was to end it */
    bool answered;           /* and its response came */
    bool forgot;             /* expire(): one that was evicted is not remembered for want of room */
};

struct store_attached {
    struct trace_context context; /* the CLIENT span's */
    bool response_waits;          /* it came before: due is store_take() */
};

/** @return [own] NULL with errno: out of memory, or the kernel gave no random key */
struct store *store_create(const struct store_conf *conf);
/** Free the store and all that is in it. No other thread may use it. Takes NULL. */
void store_destroy(struct store *store);
/** Change store_conf.max and .bytes_max; what is open already stays. Threads: [any] */
void store_set_limits(struct store *store, size_t max, size_t bytes_max);

/**
 * Open a request. A SERVER span whose start is 0 gets its start.
 * @param ret_kept  [give: kept_free] messages that came before it; set on each return; NULL:
 * unwanted
 */
enum store_result store_open(struct store *store, const char *key, size_t key_len,
                             const struct store_opening *opening, struct kept **ret_kept);

/**
 * The context of an open request without spans, so that its child's can be made without one.
 * Takes no lock while no such request is open.
 * @return false: there is none of that id
 */
bool store_unsampled(struct store *store, const char *key, size_t key_len, int64_t now_mono_ns,
                     struct trace_context *ret);

/**
 * Give an open request its CLIENT span, which becomes the SERVER span's child: it takes over the
 * trace id, the flags and the tracestate, and begins no earlier. A start of 0 is set.
 * @param client   [own] on STORE_OK, else the caller keeps it
 * @param hold_ns  the request is not evicted before so much after its opening; 0: as it is
 * @param ret      set on STORE_OK only
 */
enum store_result store_attach(struct store *store, const char *key, size_t key_len,
                               struct span *client, int64_t now_mono_ns, int64_t hold_ns,
                               struct store_attached *ret);

/**
 * Take a request out.
 * @param wait  leave one that has spans and no CLIENT, with STORE_WAIT, unless that was refused
 * @param ret   set on STORE_OK and STORE_LATE only
 */
enum store_result store_take(struct store *store, const char *key, size_t key_len, bool wait,
                             struct store_request *ret);

/**
 * The same for a line of the log, which ends every request, but another's that has the same id.
 * @param server_id  8 bytes, of the SERVER span that the line's request was answered with (mark.h);
 *                   NULL: it was not answered. Then it takes out any of its id, unless a second one
 *                   came with that (STORE_DUPLICATE), which was not answered either
 */
enum store_result store_take_by_line(struct store *store, const char *key, size_t key_len,
                                     bool wait, const uint8_t *server_id,
                                     struct store_request *ret);
/** The same after store_attach(), for what waits with the request: its response or line. */
enum store_result store_take_attached(struct store *store, const char *key, size_t key_len,
                                      struct store_request *ret);

/** What store_update() does: a response's part. @param client  NULL: there is none (yet) */
typedef void store_update_fn(void *arg, struct span *server, struct span *client);

/**
 * Let a response tell what it knows of a request that a line is to end. It stays open.
 * @param update  called under the shard's lock; not called where the request has no spans
 * @return STORE_UNKNOWN: no such request is open; STORE_FULL: bytes_max is reached, and what the
 * response tells is left to the line
 */
enum store_result store_update(struct store *store, const char *key, size_t key_len,
                               int64_t now_mono_ns, store_update_fn *update, void *arg);

/**
 * Keep a message for a request that is not open, or a response or a line for one without CLIENT. A
 * backend's message for one that is open by now is not kept: STORE_AGAIN.
 * @param kept  [own] on STORE_OK, else the caller keeps it
 */
enum store_result store_keep(struct store *store, const char *key, size_t key_len,
                             struct kept *kept, int64_t now_mono_ns);
/** Take out what is kept for an id that will not open. @return [give: kept_free] NULL: nothing */
struct kept *store_take_kept(struct store *store, const char *key, size_t key_len);

/**
 * Take out one request whose time is over, or messages whose request did not come.
 * @param now_mono_ns  INT64_MAX: any, and none is remembered
 * @return false: none is due
 * Threads: one at a time.
 */
bool store_expire(struct store *store, int64_t now_mono_ns, struct store_request *ret);

/** When the next is due; INT64_MAX: nothing is in there. Threads: [any], a hint. */
int64_t store_next_expiry(struct store *store);

/* Threads: [any] */
size_t store_count(struct store *store);      /* open requests */
size_t store_with_spans(struct store *store); /* of these, those that have spans */
size_t store_span_count(struct store *store); /* their spans */
size_t store_bytes(struct store *store);      /* of open requests with their spans */
size_t store_kept(struct store *store);       /* messages */
size_t store_remembered(struct store *store); /* requests that were evicted */

/** How long after its opening an open request ends, if nothing else ends it. Threads: [any] */
int64_t store_lifetime_ns(const struct store *store, int64_t hold_ns);

/** A moment of a request's life by the wall clock. */
static inline int64_t store_unix_ns(const struct store_request *request, int64_t mono_ns)
{
    return request->opened_unix_ns + (mono_ns - request->opened_mono_ns);
}

#endif
