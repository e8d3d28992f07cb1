/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_pool.c - blocks of spans that go round. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "span/pool.h"
#include "span/span.h"

#define SIZE 128u

static const struct trace_context context = {.flags = TRACE_FLAG_SAMPLED};

static struct pool_block *block(struct pool_block *next)
{
    struct pool_block *new = malloc(SIZE);

    cr_assert_not_null(new);
    new->next = next;
    return new;
}

Test(pool, gives_back_what_was_put_in, .timeout = 10)
{
    struct pool_cache cache = {.blocks = {NULL}};
    struct pool_block *last = block(NULL), *first = block(last);

    pool_put(0, SIZE, first, last, 2);
    cr_expect_eq(pool_get(&cache, 0, SIZE), first);
    cr_expect_eq(pool_get(&cache, 0, SIZE), last, "the whole list came along");
    free(first);
    free(last);
}

Test(pool, keeps_the_kinds_apart, .timeout = 10)
{
    struct pool_cache cache = {.blocks = {NULL}};
    struct pool_block *one = block(NULL), *other;

    pool_put(1, SIZE, one, one, 1);
    other = pool_get(&cache, 0, SIZE);
    cr_expect_neq(other, one);
    cr_expect_eq(pool_get(&cache, 1, SIZE), one);
    free(one);
    free(other);
}

/* LeakSanitizer sees whether what does not fit is freed, and what does when all ends. */
Test(pool, keeps_no_more_than_its_bound, .timeout = 10)
{
    struct pool_cache cache = {.blocks = {NULL}};
    struct pool_block *last;
    size_t n = 0;

    for (size_t i = 0; i < POOL_MAX + 10; i++) {
        struct pool_block *one = block(NULL);

        pool_put(0, SIZE, one, one, 1);
    }
    free(pool_get(&cache, 0, SIZE));
    for (const struct pool_block *b = cache.blocks[0]; b != NULL; b = b->next)
        n++;
    cr_expect_eq(n, POOL_MAX - 1);
    pool_cache_fini(&cache);
    cr_expect_null(cache.blocks[0]);
    last = block(NULL);
    pool_put(1, SIZE, last, last, 1);
    pool_clear();
}

/* Nothing of what a span was shows in the one that gets its block. */
Test(pool, a_recycled_span_is_a_new_one, .timeout = 10)
{
    struct pool_cache cache = {.blocks = {NULL}};
    char big[1000];
    struct span *list = NULL, *rest, *first, *second;
    size_t pos = 0;
    struct span_attr attr;

    memset(big, 'x', sizeof big);
    for (int i = 0; i < 3; i++) {
        struct span *span =
            span_create_from(&cache, SPAN_SERVER, &context, NULL, true, 5, "GET", 3);

        cr_assert_not_null(span);
        span_set_str(span, "big", 3, big, sizeof big); /* a block of its own */
        span_set_trace_state(span, "a=b", 3);
        span_add_event(span, "event", 7);
        span->status = SPAN_STATUS_ERROR;
        span->next = list;
        list = span;
    }
    first = list;
    second = list->next;
    rest = span_recycle(list, 2);
    cr_assert_not_null(rest);
    cr_expect_null(rest->next);
    for (int i = 0; i < 2; i++) {
        struct span *span =
            span_create_from(&cache, SPAN_SERVER, &context, NULL, false, 6, "PUT", 3);
        size_t n;

        cr_assert(span == first || span == second, "one of the two blocks");
        cr_expect_arr_eq(span_name(span, &n), "PUT", 3);
        pos = 0;
        cr_expect_not(span_attribute(span, &pos, &attr));
        cr_expect_eq(span->n_events, 0);
        cr_expect_eq(span->status, SPAN_STATUS_UNSET);
        cr_expect_null(span_trace_state(span, &n));
        cr_expect_null(span->next);
        span_destroy(span);
    }
    span_destroy(rest);
    pool_cache_fini(&cache);
}
