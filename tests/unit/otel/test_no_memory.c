/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/test_no_memory.c - each allocation of a run fails once. The linker leads the
 * allocating calls of the layers here (--wrap, see CMakeLists.txt). A request may be lost or lack
 * attributes, which is counted; nothing crashes, and under ASan nothing leaks.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "fake_host.h"
#include "input/handlers.h"
#include "record/http_parts.h"
#include "input/messages.h"
#include "input/evict.h"

static volatile unsigned calls, fail_at; /* 0: none fails */

static bool fails(void)
{
    return ++calls == fail_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

static struct spoe_value text(const char *s)
{
    return spoe_value_str(spoe_str(s));
}

static void send(struct handlers_worker *worker, uint32_t index, uint32_t n,
                 const struct spoe_value *slot)
{
    static const struct spoe_arg args[] = {
        {{"route", 5}, {.type = SPOE_T_STR, .u.s = {"/a/route/that/makes/the/name/longer", 35}}},
        {{"query", 5}, {.type = SPOE_T_STR, .u.s = {"a=1&b=2", 7}}},
        {{"some.bytes", 10}, {.type = SPOE_T_BIN, .u.s = {"0123456789012345678901234567", 28}}},
        {{"http.request.header.x-plan", 26}, {.type = SPOE_T_STR, .u.s = {"gold", 4}}},
    };
    const struct spoe_message msg = {.size = sizeof msg,
                                     .index = index,
                                     .n_slots = n,
                                     .slot = slot,
                                     .n_args = 4,
                                     .args = args,
                                     .recv_unix_ns = 1};

    cr_assert_eq(handlers_handle(worker, NULL, &msg), SPOE_OK);
}

/* One whole request, and one that stays without a response. @return spans that reached the end */
static size_t scenario(struct counters *counters)
{
    struct sink sink = {.queue = span_queue_create(10, SPAN_QUEUE_BYTES_MAX, 10, 4000000),
                        .counters = counters};
    struct store *store = store_create(&(struct store_conf){.max = 10, .ttl_ns = 1});
    struct handlers handlers = {.host = &fake_table,
                                .store = store,
                                .sink = &sink,
                                .counters = counters,
                                .untraced = untraced_create(),
                                .reorder = true};
    struct span_writer *writer = sink.queue != NULL ? span_queue_writer(sink.queue) : NULL;
    struct handlers_worker worker = {.shared = &handlers, .writer = writer};
    struct evictor evictor = {.worker = &worker};
    struct spoe_value request[REQUEST_SLOTS] = {
        [REQUEST_UNIQUE_ID] = text("one"),
        [REQUEST_METHOD] = text("GET"),
        [REQUEST_PATH] = text("/a/path/that/takes/some/room/in/the/block/of/the/span"),
        [REQUEST_HOST] = text("a-rather-long-host-name.example.org:8443"),
        [REQUEST_FRONTEND_NAME] = text("frontend-of-a-usual-length"),
        [REQUEST_TRACEPARENT] = text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        [REQUEST_TRACESTATE] = text("vendor=value"),
    };
    const struct spoe_value backend[BACKEND_SLOTS] = {text("one"), text("GET")};
    const struct spoe_value response[RESPONSE_SLOTS] = {
        [RESPONSE_UNIQUE_ID] = text("one"),
        [RESPONSE_STATUS] = spoe_value_int(500),
        [RESPONSE_BACKEND_NAME] = text("backend-of-a-usual-length"),
        [RESPONSE_CUSTOM] = text("a.key.of.ones.own=with a value;another.key=and its value"),
    };
    size_t n = 0;

    if (writer == NULL || store == NULL || handlers.untraced == NULL)
        goto done;
    cr_assert_eq(id_source_init(&worker.ids), 0);
    send(&worker, MESSAGE_REQUEST, REQUEST_SLOTS, request);
    send(&worker, MESSAGE_BACKEND, BACKEND_SLOTS, backend);
    send(&worker, MESSAGE_RESPONSE, RESPONSE_SLOTS, response);
    request[REQUEST_UNIQUE_ID] = text("two");
    send(&worker, MESSAGE_REQUEST, REQUEST_SLOTS, request);
    request[REQUEST_UNIQUE_ID] = text("not sampled");
    request[REQUEST_SAMPLE] = spoe_value_bool(0);
    send(&worker, MESSAGE_REQUEST, REQUEST_SLOTS, request);
    (void)evictor_run(&evictor, INT64_C(1000000000));
    cr_expect_eq(store_count(store), 0);
    cr_expect_eq(counted(&counters->opened),
                 counted(&counters->ended) + counted(&counters->evicted));
    span_queue_destroy(sink.queue);
    sink.queue = NULL;
    n = (size_t)(counted(&counters->opened) + counted(&counters->no_memory));
done:
    pool_cache_fini(&worker.spans);
    id_source_fini(&worker.ids);
    untraced_destroy(handlers.untraced);
    store_destroy(store);
    span_queue_destroy(sink.queue);
    return n;
}

Test(no_memory, costs_no_more_than_the_request, .timeout = 60)
{
    unsigned n;

    for (n = 1; n < 10000; n++) {
        struct counters counters = {0};
        size_t requests;

        calls = 0;
        fail_at = n;
        requests = scenario(&counters);
        fail_at = 0;
        if (calls < n) /* nothing failed: all of them have been tried */
            break;
        if (requests != 0)
            cr_expect_geq(requests, 2, "call %u: a request is neither open nor counted", n);
    }
    cr_expect_gt(n, 70, "the store's shards and the spans: %u", n);
    cr_expect_lt(n, 10000);
}
