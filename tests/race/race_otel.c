/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_otel.c - four workers handle the messages of shared requests while a fifth thread
 * does what the export thread does: evict, take, settle; for ThreadSanitizer to watch. In the end
 * every request has ended in one way, and every span was taken or counted as dropped.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <spoe/util.h>

#include "input/handlers.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "input/evict.h"

enum { WORKERS = 4, ROUNDS = 40000, IDS = 300, STORE_MAX = 120, QUEUE_MAX = 100 };
#define TTL_NS 500

static _Atomic int64_t clock_ns = 1;
static _Atomic unsigned answers, running = WORKERS;

static int64_t now(void)
{
    return atomic_fetch_add(&clock_ns, 1);
}

static int32_t log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 1;
}

static void log_line(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                     struct spoe_span text)
{
    (void)self;
    (void)req;
    (void)level;
    assert(text.n > 0);
}

static spoe_status set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value)
{
    (void)req;
    (void)name;
    assert(scope == SPOE_SCOPE_TXN && value->u.s.n == TRACEPARENT_LEN);
    if ((value->u.s.p[TRACEPARENT_LEN - 1] & 1) != 0) /* sampled */
        atomic_fetch_add(&answers, 1);
    return SPOE_OK;
}

static const struct spoe_host host = {.size = sizeof host,
                                      .log_enabled = log_enabled,
                                      .log = log_line,
                                      .set_var = set_var,
                                      .now_mono_ns = now};

static struct counters counters;
static struct sink sink = {.counters = &counters};
static struct rate_cap rate_cap;
static struct policy policies[2]; /* one in the place of the other, all the time */
static struct handlers handlers = {
    .host = &host, .sink = &sink, .counters = &counters, .reorder = true};
static struct handlers_worker evictor_worker = {.shared = &handlers};
static struct evictor evictor = {.worker = &evictor_worker, .now_mono_ns = now};

static void *work(void *arg)
{
    static const uint32_t n_slots[] = {REQUEST_SLOTS, BACKEND_SLOTS, RESPONSE_SLOTS};
    struct handlers_worker worker = {.shared = &handlers,
                                     .counters = counters_add(&counters),
                                     .writer = span_queue_writer(sink.queue)};
    struct spoe_value slot[REQUEST_SLOTS];
    uint8_t random[8];
    char id[16];

    (void)arg;
    if (worker.counters == NULL || worker.writer == NULL || id_source_init(&worker.ids) != 0)
        abort();
    for (int i = 0; i < ROUNDS; i++) {
        const int64_t at = now();
        struct spoe_message msg = {
            .size = sizeof msg, .slot = slot, .recv_unix_ns = at, .recv_mono_ns = at};

        id_span(&worker.ids, random);
        (void)snprintf(id, sizeof id, "%d", (random[0] << 8 | random[1]) % IDS);
        for (int s = 0; s < REQUEST_SLOTS; s++)
            slot[s] = (struct spoe_value){.type = SPOE_T_NULL};
        slot[0] = spoe_value_str(spoe_str(id));
        msg.index = random[2] % 3;
        msg.n_slots = n_slots[msg.index];
        if (msg.index == MESSAGE_REQUEST) {
            slot[REQUEST_METHOD] = spoe_value_str(spoe_str("GET"));
            slot[REQUEST_PATH] = spoe_value_str(spoe_str(random[3] % 4 == 0 ? "/healthz" : "/"));
            slot[REQUEST_TRACEPARENT] =
                spoe_value_str(spoe_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
            slot[REQUEST_TRACESTATE] = spoe_value_str(spoe_str("shared=by-both-spans"));
            slot[REQUEST_SAMPLE] = spoe_value_bool(random[4] % 4 != 0);
        }
        if (msg.index == MESSAGE_RESPONSE)
            slot[RESPONSE_STATUS] = spoe_value_int(200);
        if (handlers_handle(&worker, NULL, &msg) != SPOE_OK)
            abort();
    }
    pool_cache_fini(&worker.spans);
    id_source_fini(&worker.ids);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static size_t take(size_t max)
{
    size_t n;
    struct span_chunk *chunks = span_queue_take(sink.queue, max, SIZE_MAX, &n);
    size_t seen = 0;

    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        seen += chunk->n;
    assert(seen == n);
    span_queue_release(chunks);
    span_queue_settle(sink.queue, n, 0);
    return n;
}

/* The export's and the evictor's part, and a reload now and then. @return spans taken, in *arg */
static void *export(void *arg)
{
    size_t *taken = arg;
    unsigned turn = 0;

    while (atomic_load(&running) > 0) {
        (void)evictor_run(&evictor, now());
        *taken += take(16);
        atomic_store_explicit(&handlers.policy, &policies[++turn % 2], memory_order_release);
    }
    while (evictor_end_open(&evictor))
        *taken += take(SIZE_MAX);
    *taken += take(SIZE_MAX);
    return NULL;
}

int main(void)
{
    pthread_t threads[WORKERS], exporter;
    struct exclude *exclude;
    size_t taken = 0;
    uint64_t ended, spans, made;

    handlers.store = store_create(&(struct store_conf){.max = STORE_MAX,
                                                       .ttl_ns = TTL_NS,
                                                       .reorder_ns = 100,
                                                       .kept_max = 20,
                                                       .late_ns = 40000,
                                                       .late_max = 200});
    sink.queue = span_queue_create(QUEUE_MAX, SPAN_QUEUE_BYTES_MAX, 16, 4000000);
    policies[0] = policies[1] = policy_default;
    policies[0].rate_cap = policies[1].rate_cap = &rate_cap;
    policies[0].exclude = policies[1].exclude = exclude = exclude_create("/healthz");
    handlers.untraced = untraced_create();
    evictor_worker.writer = sink.queue != NULL ? span_queue_writer(sink.queue) : NULL;
    if (handlers.store == NULL || evictor_worker.writer == NULL || exclude == NULL ||
        handlers.untraced == NULL || id_source_init(&evictor_worker.ids) != 0)
        return 1;
    rate_cap_init(&rate_cap, RATE_CAP_MAX); /* never reached, but shared by all */
    if (pthread_create(&exporter, NULL, export, &taken) != 0)
        abort();
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            abort();
    for (int i = 0; i < WORKERS; i++)
        if (pthread_join(threads[i], NULL) != 0)
            abort();
    if (pthread_join(exporter, NULL) != 0)
        abort();

    ended =
        COUNTED(&counters, ended) + COUNTED(&counters, evicted) + COUNTED(&counters, ended_at_stop);
    /* Each span that was made has left: SERVER, CLIENT, and those of late responses. */
    spans = taken + COUNTED(&counters, dropped);
    made = COUNTED(&counters, opened) + COUNTED(&counters, attached) + COUNTED(&counters, late);
#define X(name) (void)printf(#name "=%llu ", (unsigned long long)COUNTED(&counters, name));
    OTEL_COUNTERS(X)
#undef X
    (void)printf("taken=%zu answers=%u\n", taken, atomic_load(&answers));
    if (COUNTED(&counters, opened) != ended || spans != made || atomic_load(&answers) == 0 ||
        store_bytes(handlers.store) != 0 || store_kept(handlers.store) != 0 ||
        COUNTED(&counters, late) == 0 || COUNTED(&counters, reordered) == 0 ||
        store_count(handlers.store) != 0 || COUNTED(&counters, ended) == 0 ||
        COUNTED(&counters, excluded) == 0 || COUNTED(&counters, excluded_later) == 0 ||
        COUNTED(&counters, unsampled) == 0) {
        (void)fprintf(stderr, "the numbers do not add up\n");
        return 1;
    }
    pool_cache_fini(&evictor_worker.spans);
    id_source_fini(&evictor_worker.ids);
    untraced_destroy(handlers.untraced);
    exclude_destroy(exclude);
    store_destroy(handlers.store);
    counters_fini(&counters);
    span_queue_destroy(sink.queue);
    return 0;
}
