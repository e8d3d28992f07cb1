/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_pool.c - blocks of spans that go round. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "signal/pool.h"
#include "signal/span.h"

TestSuite(pool, .timeout = 10);

#define SIZE 128u

static const struct trace_context context = {.flags = TRACE_FLAG_SAMPLED};

static void *block(struct pool_cache *cache, unsigned kind)
{
    void *new = pool_get(cache, kind, SIZE);

    cr_assert_not_null(new);
    memset(new, 0x5a, SIZE); /* all of it is ours */
    return new;
}

static size_t count_blocks(const struct pool_cache *cache, unsigned kind)
{
    size_t n = 0;

    for (const struct pool_block *b = cache->kinds[kind].first; b != NULL; b = b->next)
        n++;
    cr_expect_eq(cache->kinds[kind].n, n, "it knows how many it has");
    return n;
}

Test(pool, gives_back_what_was_put_in)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}};
    void *first = block(&cache, 0), *second = block(&cache, 0);

    cr_expect_neq(first, second);
    pool_put(&cache, 0, SIZE, first);
    pool_put(&cache, 0, SIZE, second);
    cr_expect_eq(count_blocks(&cache, 0), 2);
    cr_expect_eq(block(&cache, 0), second, "the warmest first");
    cr_expect_eq(block(&cache, 0), first);
    cr_expect_eq(count_blocks(&cache, 0), 0);
    free(first);
    free(second);
}

Test(pool, keeps_the_kinds_apart)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}};
    void *one = block(&cache, 1), *other;

    pool_put(&cache, 1, SIZE, one);
    other = block(&cache, 0);
    cr_expect_neq(other, one);
    cr_expect_eq(block(&cache, 1), one);
    free(one);
    free(other);
}

Test(pool, takes_blocks_of_another_cache)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}}, other = {.kinds = {{NULL, 0}}};
    void *one = block(&other, 0);

    pool_put(&other, 0, SIZE, one);
    one = block(&other, 0);
    pool_put(&cache, 0, SIZE, one);
    cr_expect_eq(count_blocks(&other, 0), 0);
    cr_expect_eq(block(&cache, 0), one);
    free(one);
}

/* LeakSanitizer sees whether what does not fit is freed, and what does when all ends. */
Test(pool, keeps_no_more_than_its_bound)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}};
    void *blocks[POOL_MAX + 10];

    for (size_t i = 0; i < POOL_MAX + 10; i++)
        blocks[i] = block(&cache, 0);
    for (size_t i = 0; i < POOL_MAX + 10; i++)
        pool_put(&cache, 0, SIZE, blocks[i]);
    cr_expect_eq(count_blocks(&cache, 0), POOL_MAX);
    pool_put(&cache, 1, SIZE, block(&cache, 1));
    cr_expect_eq(count_blocks(&cache, 1), 1, "each kind has its own bound");
    free(block(&cache, 0));
    pool_put(&cache, 0, SIZE, block(&cache, 0));
    cr_expect_eq(count_blocks(&cache, 0), POOL_MAX - 1);
    pool_cache_fini(&cache);
    cr_expect_eq(count_blocks(&cache, 0), 0);
    cr_expect_eq(count_blocks(&cache, 1), 0);
    pool_cache_fini(&cache);
}

static struct span *make_span(struct pool_cache *cache, enum span_kind kind, bool big)
{
    static char text[1000];
    struct span *span = span_create_from(cache, kind, &context, NULL, true, 5, "GET", 3);

    cr_assert_not_null(span);
    if (big) {
        memset(text, 'x', sizeof text);
        span_set_str(span, "big", 3, text, sizeof text); /* a block of its own */
        span_set_trace_state(span, "a=b", 3);
        span_add_event(span, "event", 7);
        span->status = SPAN_STATUS_ERROR;
        span->dropped_attributes = 3;
        span->notes = 1;
    }
    return span;
}

/* Nothing of what a span was shows in the one that gets its block. */
Test(pool, a_recycled_span_is_a_new_one)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}};
    struct span *first = make_span(&cache, SPAN_SERVER, true);
    struct span *second = make_span(&cache, SPAN_SERVER, true);

    first->next = second;
    span_recycle(&cache, first);
    span_recycle(&cache, second);
    span_recycle(&cache, NULL);
    cr_expect_eq(count_blocks(&cache, 0), 2);
    for (int i = 0; i < 2; i++) {
        struct span *span =
            span_create_from(&cache, SPAN_SERVER, &context, NULL, false, 6, "PUT", 3);
        size_t n, pos = 0;
        struct span_attr attr;

        cr_assert(span == first || span == second, "one of the two blocks");
        cr_expect_arr_eq(span_name(span, &n), "PUT", 3);
        cr_expect_not(span_attribute(span, &pos, &attr));
        cr_expect_eq(span->n_events, 0);
        cr_expect_eq(span->status, SPAN_STATUS_UNSET);
        cr_expect_eq(span->dropped_attributes, 0);
        cr_expect_eq(span->notes, 0);
        cr_expect_null(span_trace_state(span, &n));
        cr_expect_null(span->next);
        span_destroy(span);
    }
    pool_cache_fini(&cache);
}

Test(pool, the_kinds_of_spans_do_not_mix)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}};
    struct span *server = make_span(&cache, SPAN_SERVER, false);
    struct span *client = make_span(&cache, SPAN_CLIENT, false);

    span_recycle(&cache, server);
    span_recycle(&cache, client);
    cr_expect_eq(count_blocks(&cache, 0), 1);
    cr_expect_eq(count_blocks(&cache, 1), 1);
    cr_expect_eq(make_span(&cache, SPAN_CLIENT, true), client);
    cr_expect_eq(make_span(&cache, SPAN_SERVER, true), server);
    span_recycle(&cache, server);
    span_recycle(&cache, client);
    pool_cache_fini(&cache);
}

/* A tracestate that two spans share goes with the last of them. */
Test(pool, a_recycled_span_leaves_the_shared_tracestate)
{
    struct pool_cache cache = {.kinds = {{NULL, 0}}};
    struct span *server = make_span(&cache, SPAN_SERVER, true);
    struct span *client = make_span(&cache, SPAN_CLIENT, false);
    const char *state;
    size_t n;

    span_share_trace_state(client, server);
    span_recycle(&cache, server);
    state = span_trace_state(client, &n);
    cr_assert_eq(n, 3);
    cr_expect_arr_eq(state, "a=b", 3);
    span_recycle(&cache, client);
    pool_cache_fini(&cache);
}
