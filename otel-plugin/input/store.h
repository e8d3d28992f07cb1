/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/store.h - the requests that are open, by their unique-id.
 *
 *   (none) --open--> SERVER --attach--> SERVER + CLIENT --take--> (none)
 *                      |                       |
 *                      +------take, expire-----+------expire--> (none)
 *
 * One table for all workers, since a request's messages may come over different connections. It
 * is cut into shards by the key's hash, each with a mutex that is held for a few loads and stores
 * and no longer. Every request lives equally long, so that a shard's list in the order of opening
 * is also the order of expiry. There is no clock in here: moments are handed in.
 *
 * Whoever takes a request out owns its spans; nobody else can see them any more.
 *
 * A request that is not sampled has an entry as well, with its context in the place of spans: its
 * backend message is to be answered, and its messages are not to count as unknown.
 */
#ifndef OTEL_INPUT_STORE_H
#define OTEL_INPUT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signal/span.h"

#define STORE_KEY_MAX 256u /* bytes of a unique-id */

struct store;

enum store_result {
    STORE_OK = 0,
    STORE_DUPLICATE, /* open(): the id is open; attach(): there is a CLIENT span */
    STORE_UNKNOWN,   /* the id is not open */
    STORE_UNSAMPLED, /* attach(): the request has no spans */
    STORE_FULL,      /* the cap is reached */
    STORE_KEY,       /* the key is empty or above STORE_KEY_MAX */
    STORE_NOMEM
};

/* One request that was taken out. */
struct store_request {
    struct span *server;  /* [give] NULL: not sampled, then there is no client either */
    struct span *client;  /* [give] NULL: no backend message came */
    int64_t last_unix_ns; /* receipt of its last message */
};

/**
 * @param max     open requests at most
 * @param ttl_ns  how long one may be open
 * @return [own] NULL with errno: out of memory, or the kernel gave no random key
 */
struct store *store_create(size_t max, int64_t ttl_ns);
/** Free the store and what is open. No other thread may use it. Takes NULL. */
void store_destroy(struct store *store);

/**
 * Open a request.
 * @param server       [own] on STORE_OK, else the caller keeps it
 * @param now_mono_ns  the TTL begins
 * @param now_unix_ns  receipt of the message
 */
enum store_result store_open(struct store *store, const char *key, size_t key_len,
                             struct span *server, int64_t now_mono_ns, int64_t now_unix_ns);

/**
 * Open a request without spans. It counts as open, lives as long, and answers store_unsampled().
 * @param context  copied
 */
enum store_result store_open_unsampled(struct store *store, const char *key, size_t key_len,
                                       const struct trace_context *context, int64_t now_mono_ns,
                                       int64_t now_unix_ns);

/**
 * The context of an open request without spans, so that its child's can be made without one.
 * Takes no lock while no such request is open.
 * @return false: there is none of that id
 */
bool store_unsampled(struct store *store, const char *key, size_t key_len,
                     struct trace_context *ret);

/**
 * Give an open request its CLIENT span, which becomes the SERVER span's child: it takes over the
 * trace id, the flags and the tracestate, and begins no earlier.
 * @param client       [own] on STORE_OK, else the caller keeps it
 * @param ret_context  the CLIENT span's context; set on STORE_OK only
 */
enum store_result store_attach(struct store *store, const char *key, size_t key_len,
                               struct span *client, int64_t now_unix_ns,
                               struct trace_context *ret_context);

/** Take a request out. *ret is set on STORE_OK only. */
enum store_result store_take(struct store *store, const char *key, size_t key_len,
                             struct store_request *ret);

/**
 * Take out one request whose TTL has passed.
 * @param now_mono_ns  INT64_MAX: any open request
 * @param max_spans    leave a request that has more spans than this
 * @return true: *ret is set. false: none is there; *ret_left says whether one was left behind
 * Threads: one at a time.
 */
bool store_expire(struct store *store, int64_t now_mono_ns, size_t max_spans,
                  struct store_request *ret, bool *ret_left);

/** When the next request expires; INT64_MAX: none is open. Threads: [any], a hint. */
int64_t store_next_expiry(struct store *store);

/** Open requests. Threads: [any] */
size_t store_count(struct store *store);
/** Their spans. Threads: [any] */
size_t store_span_count(struct store *store);

#endif
