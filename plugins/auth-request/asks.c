/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/asks.c - see asks.h. */
#include "auth-request/asks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <spoe/util.h>

#include "auth-request/cache.h"
#include "auth-request/question.h"
#include "auth-request/reply.h"
#include "auth-request/service.h"
#include "auth-request/siphash.h"

#define BUCKETS 1024u /* a power of two */

/* A request that waits. */
struct waiter {
    LIST_ENTRY(waiter) link; /* of its question, or of the free ones */
    struct spoe_request *req;
};

/* A question under way. */
struct ask {
    LIST_ENTRY(ask) in_bucket;
    TAILQ_ENTRY(ask) in_order; /* by started_ns, and so by when they end */
    LIST_HEAD(, waiter) waiters;
    struct asks *asks;
    struct transfer *transfer;
    uint64_t hash;
    int64_t started_ns;
    size_t bytes; /* of max-in-flight-bytes */
    size_t n;
    char text[]; /* n bytes: the question */
};

struct asks {
    struct auth *auth;
    struct service *service;
    struct cache *cache; /* NULL: nothing is kept */
    struct spoe_timer *timer;
    LIST_HEAD(, ask) buckets[BUCKETS];
    TAILQ_HEAD(, ask) order;
    uint64_t n, bytes; /* under way */
    LIST_HEAD(, waiter) free;
    struct question question; /* being made */
};

/* ---- health -------------------------------------------------------------------------------- */

/* How long after an answer no failure is told of: where some questions fail and others do not, a
 * client could fill the log. */
#define CALM_NS INT64_C(1000000000)

static void note_answer(struct auth *auth)
{
    uint64_t failures;

    if (atomic_load_explicit(&auth->n_failed, memory_order_relaxed) == 0)
        return;
    failures = atomic_exchange(&auth->n_failed, 0);
    if (!atomic_load(&auth->is_down))
        return;
    atomic_store(&auth->calm_until_ns, auth->host->now_mono_ns() + CALM_NS);
    if (!atomic_exchange(&auth->is_down, false))
        return; /* another worker has seen one, too */
    spoe_logf(auth->host, auth->self, SPOE_LOG_NOTICE,
              "the service answers again, after %llu failures", (unsigned long long)failures);
    auth_show_health(auth, "it fails again");
}

/* The log hears of the first failure and of the first answer after it. */
static void note_health(struct auth *auth, enum reason reason, unsigned status, const char *text)
{
    if (!reason_is_failure(reason)) {
        if (reason <= REASON_DENIED)
            note_answer(auth);
        return;
    }
    (void)atomic_fetch_add(&auth->n_failed, 1);
    if (atomic_load(&auth->is_down) ||
        auth->host->now_mono_ns() < atomic_load(&auth->calm_until_ns) ||
        atomic_exchange(&auth->is_down, true))
        return;
    if (text != NULL)
        spoe_logf(auth->host, auth->self, SPOE_LOG_WARNING, "%s: %s: %s; requests are %s",
                  auth->conf.url, reason_texts[reason], text,
                  auth->conf.fail_open ? "allowed" : "denied");
    else
        spoe_logf(auth->host, auth->self, SPOE_LOG_WARNING,
                  "%s: HTTP %u is no answer; requests are %s", auth->conf.url, status,
                  auth->conf.fail_open ? "allowed" : "denied");
    auth_show_health(auth, reason_texts[reason]);
}

/* ---- requests that wait ------------------------------------------------------------------- */

static void free_waiter(struct asks *asks, struct waiter *waiter)
{
    LIST_REMOVE(waiter, link);
    waiter->req = NULL;
    LIST_INSERT_HEAD(&asks->free, waiter, link);
}

static struct waiter *get_waiter(struct asks *asks)
{
    struct waiter *waiter = LIST_FIRST(&asks->free);

    if (waiter != NULL)
        LIST_REMOVE(waiter, link);
    else
        waiter = malloc(sizeof *waiter);
    return waiter;
}

/* Take a request's handle away and complete it; its variables are set. */
static void complete(struct asks *asks, struct waiter *waiter, spoe_status status)
{
    struct spoe_request *req = waiter->req;

    free_waiter(asks, waiter);
    asks->auth->host->complete(req, status);
}

static void answer_all(struct asks *asks, struct ask *ask, enum reason reason,
                       const struct answer *answer)
{
    struct waiter *waiter;

    while ((waiter = LIST_FIRST(&ask->waiters)) != NULL)
        complete(asks, waiter, reply_set(asks->auth, waiter->req, reason, answer));
}

/* ---- questions under way ------------------------------------------------------------------ */

static struct spoe_span key_of(const struct ask *ask)
{
    return (struct spoe_span){ask->text, ask->n};
}

static struct ask *find_ask(struct asks *asks, uint64_t hash, struct spoe_span key)
{
    struct ask *ask;

    LIST_FOREACH(ask, &asks->buckets[hash % BUCKETS], in_bucket)
    {
        if (ask->hash == hash && ask->n == key.n && memcmp(ask->text, key.p, key.n) == 0)
            return ask;
    }
    return NULL;
}

static void free_ask(struct asks *asks, struct ask *ask)
{
    const struct numbers *numbers = &asks->auth->numbers;

    assert(LIST_EMPTY(&ask->waiters) && asks->n > 0 && asks->bytes >= ask->bytes);
    LIST_REMOVE(ask, in_bucket);
    TAILQ_REMOVE(&asks->order, ask, in_order);
    asks->n--;
    asks->bytes -= ask->bytes;
    number_move(numbers, numbers->in_flight, -1);
    number_move(numbers, numbers->in_flight_bytes, -(int64_t)ask->bytes);
    explicit_bzero(ask->text, ask->n); /* holds what clients prove themselves by */
    free(ask);
}

/* The time at which the oldest question ends. */
static void arm(struct asks *asks)
{
    const struct ask *oldest = TAILQ_FIRST(&asks->order);

    (void)asks->auth->loop->timer_set(
        asks->timer,
        oldest == NULL ? SPOE_TIMER_OFF : oldest->started_ns + asks->auth->conf.timeout_ns);
}

static void keep(struct asks *asks, const struct ask *ask, const struct answer *answer,
                 int64_t ttl_ns)
{
    struct auth *auth = asks->auth;
    const struct numbers *numbers = &auth->numbers;
    struct cache_change change;

    if (asks->cache == NULL || ttl_ns <= 0)
        return;
    if (cache_put(asks->cache, ask->hash, key_of(ask), answer, auth->host->now_mono_ns() + ttl_ns,
                  auth_share(auth, auth->conf.cache_entries),
                  auth_share(auth, auth->conf.cache_bytes), &change) != 0)
        number_count(numbers, numbers->not_kept, 1);
    number_count(numbers, numbers->evicted, change.evicted);
    number_move(numbers, numbers->entries, change.entries);
    number_move(numbers, numbers->bytes, change.bytes);
}

static void end_ask(struct asks *asks, struct ask *ask, enum reason reason,
                    const struct answer *answer)
{
    struct auth *auth = asks->auth;
    const struct numbers *numbers = &auth->numbers;

    number_count(numbers, numbers->questions[reason], 1);
    if (numbers->facet != NULL)
        numbers->facet->observe(numbers->seconds,
                                (double)(auth->host->now_mono_ns() - ask->started_ns) / 1e9);
    answer_all(asks, ask, reason, answer);
    free_ask(asks, ask);
}

/* The service has answered, or has failed to. */
static void on_end(void *arg, const struct service_end *end)
{
    struct ask *ask = arg;
    struct asks *asks = ask->asks;
    struct auth *auth = asks->auth;
    const struct answer_reader *reader = end->answer;
    const struct answer answer = {.status = reader->status,
                                  .allowed = end->reason == REASON_ALLOWED,
                                  .n = (uint32_t)reader->n,
                                  .bytes = reader->bytes};

    ask->transfer = NULL;
    number_count(&auth->numbers, auth->numbers.connections, end->connections);
    note_health(auth, end->reason, reader->status, end->text);
    if (end->reason <= REASON_DENIED)
        keep(asks, ask, &answer,
             answer_ttl(reader, answer.allowed ? auth->conf.ttl_ns : auth->conf.deny_ttl_ns));
    end_ask(asks, ask, end->reason, reader->ended ? &answer : NULL);
    arm(asks);
}

/* Time is over for the oldest. */
static void on_due(void *arg)
{
    struct asks *asks = arg;
    const int64_t now = asks->auth->host->now_mono_ns();
    struct ask *ask;

    while ((ask = TAILQ_FIRST(&asks->order)) != NULL &&
           ask->started_ns + asks->auth->conf.timeout_ns <= now) {
        service_abort(asks->service, ask->transfer);
        ask->transfer = NULL;
        note_health(asks->auth, REASON_TIMEOUT, 0, "no answer in time");
        end_ask(asks, ask, REASON_TIMEOUT, NULL);
    }
    arm(asks);
}

/* @return NULL: *ret_reason says why */
static struct ask *begin_ask(struct asks *asks, uint64_t hash, enum reason *ret_reason)
{
    struct auth *auth = asks->auth;
    const struct question *question = &asks->question;
    const struct numbers *numbers = &auth->numbers;
    const size_t bytes = sizeof(struct ask) + question->n + ANSWER_HEADERS_MAX;
    const uint64_t bytes_max = auth_share(auth, auth->conf.in_flight_bytes);
    struct ask *ask;

    *ret_reason = REASON_BUSY;
    if (asks->n >= auth_share(auth, auth->conf.in_flight) || bytes > bytes_max ||
        asks->bytes > bytes_max - bytes)
        return NULL;
    *ret_reason = REASON_MEMORY;
    ask = malloc(sizeof *ask + question->n);
    if (ask == NULL)
        return NULL;
    *ask = (struct ask){.asks = asks, .hash = hash, .n = question->n, .bytes = bytes};
    memcpy(ask->text, question->text, question->n);
    ask->started_ns = auth->host->now_mono_ns();
    ask->transfer = service_ask(asks->service, ask->text, question->n_lines,
                                (unsigned)auth_share(auth, auth->conf.connections), ask);
    if (ask->transfer == NULL) {
        free(ask);
        return NULL;
    }
    LIST_INIT(&ask->waiters);
    LIST_INSERT_HEAD(&asks->buckets[hash % BUCKETS], ask, in_bucket);
    TAILQ_INSERT_TAIL(&asks->order, ask, in_order);
    asks->n++;
    asks->bytes += bytes;
    number_move(numbers, numbers->in_flight, 1);
    number_move(numbers, numbers->in_flight_bytes, (int64_t)bytes);
    if (asks->n == 1)
        arm(asks);
    return ask;
}

/* ---- what the host calls ------------------------------------------------------------------ */

/* @return whether it was found, and the request is answered */
static bool answer_kept(struct asks *asks, struct spoe_request *req, uint64_t hash,
                        spoe_status *ret)
{
    const struct question *question = &asks->question;
    const struct numbers *numbers = &asks->auth->numbers;
    struct answer answer;
    enum cache_result found;
    size_t n, bytes;

    if (asks->cache == NULL)
        return false;
    n = cache_entries(asks->cache);
    bytes = cache_bytes(asks->cache);
    found = cache_find(asks->cache, hash, (struct spoe_span){question->text, question->n},
                       asks->auth->host->now_mono_ns(), &answer);
    number_count(numbers, numbers->lookups[found], 1);
    number_move(numbers, numbers->entries, (int64_t)cache_entries(asks->cache) - (int64_t)n);
    number_move(numbers, numbers->bytes, (int64_t)cache_bytes(asks->cache) - (int64_t)bytes);
    if (found != CACHE_HIT)
        return false;
    *ret = reply_set(asks->auth, req, answer.allowed ? REASON_ALLOWED : REASON_DENIED, &answer);
    return true;
}

static spoe_status wait_for(struct asks *asks, struct ask *ask, struct waiter *waiter,
                            struct spoe_request *req)
{
    struct auth *auth = asks->auth;

    waiter->req = req;
    LIST_INSERT_HEAD(&ask->waiters, waiter, link);
    /* What cannot be committed is no answer at the deadline: HAProxy's rule denies then. */
    (void)reply_commit(auth, req);
    (void)auth->host->request_set_data(req, waiter);
    return SPOE_PENDING;
}

spoe_status asks_handle(struct asks *asks, struct spoe_request *req, const struct spoe_message *msg)
{
    struct auth *auth = asks->auth;
    struct question *question = &asks->question;
    struct waiter *waiter;
    struct ask *ask = NULL;
    enum reason reason = REASON_MEMORY;
    spoe_status status;
    uint64_t hash;

    if (question_make(question, &auth->conf, msg) != 0)
        return reply_set(asks->auth, req, REASON_INVALID, NULL);
    hash = siphash(auth->hash_key, question->text, question->n);
    if (answer_kept(asks, req, hash, &status))
        return status;
    waiter = get_waiter(asks);
    if (waiter == NULL)
        return reply_set(asks->auth, req, REASON_MEMORY, NULL);
    if (auth->conf.coalesce)
        ask = find_ask(asks, hash, (struct spoe_span){question->text, question->n});
    if (ask != NULL)
        number_count(&auth->numbers, auth->numbers.coalesced, 1);
    else
        ask = begin_ask(asks, hash, &reason);
    if (ask == NULL) {
        LIST_INSERT_HEAD(&asks->free, waiter, link);
        return reply_set(asks->auth, req, reason, NULL);
    }
    return wait_for(asks, ask, waiter, req);
}

void asks_cancel(struct asks *asks, struct spoe_request *req, int32_t why)
{
    const struct numbers *numbers = &asks->auth->numbers;
    const enum reason reason = why == SPOE_CANCEL_DEADLINE ? REASON_DEADLINE
                               : why == SPOE_CANCEL_DRAIN  ? REASON_STOPPING
                                                           : REASON_GONE;
    struct waiter *waiter = asks->auth->host->request_data(req);

    if (waiter == NULL)
        return;
    assert(waiter->req == req);
    number_count(numbers, numbers->answers[reason], 1);
    complete(asks, waiter, SPOE_OK); /* what it has committed has left */
}

/* ---- life --------------------------------------------------------------------------------- */

struct asks *asks_create(struct auth *auth, struct spoe_worker *worker)
{
    const struct service_env env = {
        .host = auth->host, .loop = auth->loop, .worker = worker, .conf = &auth->conf};
    struct asks *asks = calloc(1, sizeof *asks);
    bool made;

    if (asks == NULL)
        return NULL;
    asks->auth = auth;
    TAILQ_INIT(&asks->order);
    made = auth->loop->timer_new(worker, on_due, asks, &asks->timer) == SPOE_OK;
    asks->service = service_create(&env, on_end);
    if (auth->conf.ttl_ns > 0 || auth->conf.deny_ttl_ns > 0) {
        asks->cache = cache_create((size_t)auth->conf.cache_entries);
        made = made && asks->cache != NULL;
    }
    if (!made || asks->service == NULL) {
        asks_destroy(asks);
        return NULL;
    }
    return asks;
}

void asks_destroy(struct asks *asks)
{
    const struct numbers *numbers;
    struct waiter *waiter, *next_waiter;
    struct ask *ask, *next;

    if (asks == NULL)
        return;
    numbers = &asks->auth->numbers;
    for (ask = TAILQ_FIRST(&asks->order); ask != NULL; ask = next) {
        next = TAILQ_NEXT(ask, in_order);
        if (ask->transfer != NULL)
            service_abort(asks->service, ask->transfer);
        answer_all(asks, ask, REASON_STOPPING, NULL);
        free_ask(asks, ask);
    }
    service_destroy(asks->service);
    if (asks->cache != NULL) {
        number_move(numbers, numbers->entries, -(int64_t)cache_entries(asks->cache));
        number_move(numbers, numbers->bytes, -(int64_t)cache_bytes(asks->cache));
    }
    cache_destroy(asks->cache);
    asks->auth->loop->timer_free(asks->timer);
    for (waiter = LIST_FIRST(&asks->free); waiter != NULL; waiter = next_waiter) {
        next_waiter = LIST_NEXT(waiter, link);
        free(waiter);
    }
    explicit_bzero(&asks->question, sizeof asks->question);
    free(asks);
}
