/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_queue_chunks.c - chunks of the queue: what lies together, many writers,
 * memory. */
#include "queue_rig.h"

TestSuite(queue, .timeout = 60);

/* ---- what lies together -------------------------------------------------------------------- */

Test(queue, a_request_s_spans_are_taken_together)
{
    struct span_queue *queue = make_queue(100, 3, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_list(1, 2));
    push(writer, make_list(3, 4)); /* one of them would fit the first chunk */
    push(writer, make_list(5, 6));
    expect_taken(queue, 3, 1, 2);
    expect_taken(queue, 2, 3, 4);
    cr_assert_eq(stats_of(queue).waiting, 2);
    cr_assert_eq(stats_of(queue).in_flight, 4);
    span_queue_settle(queue, 4, 0);
    expect_taken(queue, 1, 5, 6);
    span_queue_settle(queue, 2, 0);
    span_queue_destroy(queue);
}

Test(queue, batches_of_one_part_them)
{
    struct span_queue *queue = make_queue(100, 1, BATCH_BYTES);

    push(make_writer(queue), make_list(1, 2));
    expect_taken(queue, 1, 1, 1);
    expect_taken(queue, 1, 2, 2);
    span_queue_settle(queue, 2, 0);
    span_queue_destroy(queue);
}

Test(queue, spans_too_large_for_one_chunk_are_parted)
{
    struct span_queue *queue = make_queue(100, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make(1);

    push(writer, list);
    list = make_big(2, 40000);
    list->next = make_big(3, 40000);
    cr_assert_leq(span_wire_size(list), SPAN_CHUNK_BYTES);
    cr_assert_gt(span_wire_size(list) + span_wire_size(list->next), SPAN_CHUNK_BYTES);
    push(writer, list);
    push(writer, make(4));
    expect_taken(queue, 100, 1, 4);
    span_queue_destroy(queue);
}

Test(queue, a_span_above_a_chunk_has_its_own)
{
    struct span_queue *queue = make_queue(100, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_big(2, 100 * 1024);
    struct span_chunk *chunks;
    size_t n;

    push(writer, make(1));
    cr_assert_gt(span_wire_size(list), SPAN_CHUNK_BYTES);
    list->next = make_big(3, 100 * 1024);
    push(writer, list);
    push(writer, make(4));
    chunks = span_queue_take(queue, 100, SIZE_MAX, &n);
    cr_assert_eq(n, 4);
    expect_spans(chunks, 1, 4);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        cr_expect_eq(chunk->n, 1);
    cr_expect_gt(chunks->next->len, SPAN_CHUNK_BYTES);
    span_queue_release(chunks);
    span_queue_destroy(queue);
}

Test(queue, a_chunk_has_its_share_of_a_batch_s_bytes)
{
    struct span_queue *queue = make_queue(1000, 512, 4 * 4096);
    struct span_writer *writer = make_writer(queue);
    struct span_chunk *chunks;
    size_t n;

    for (uint8_t i = 1; i <= 100; i++)
        push(writer, make(i));
    chunks = span_queue_take(queue, 512, SIZE_MAX, &n);
    cr_assert_eq(n, 100);
    expect_spans(chunks, 1, 100);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
        cr_expect(chunk->len <= 4096 && (chunk->next == NULL || chunk->len > 4096 / 2), "%u",
                  chunk->len);
    span_queue_release(chunks);
    span_queue_destroy(queue);
}

/* Without any room for bytes each span has a chunk of its own. */
Test(queue, works_with_no_bytes_at_all)
{
    struct span_queue *queue = make_queue(1000, 512, 0);
    struct span_writer *writer = make_writer(queue);

    push(writer, make_list(1, 3));
    for (int i = 1; i <= 3; i++) {
        size_t n;
        struct span_chunk *chunk = span_queue_take(queue, 512, 0, &n);

        cr_assert_eq(n, 1);
        expect_spans(chunk, i, i);
        span_queue_release(chunk);
    }
    span_queue_destroy(queue);
}

Test(queue, a_take_keeps_to_its_bytes)
{
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES); /* a span in a chunk */
    struct span_writer *writer = make_writer(queue);
    struct span_chunk *chunks;
    size_t n, size;

    for (uint8_t i = 1; i <= 10; i++)
        push(writer, make(i));
    chunks = span_queue_take(queue, 1, SIZE_MAX, &n);
    size = chunks->len;
    span_queue_release(chunks);
    chunks = span_queue_take(queue, 100, 3 * size, &n);
    cr_expect_eq(n, 3);
    cr_expect_eq(chunks_size(chunks), 3 * size);
    expect_spans(chunks, 2, 4);
    span_queue_release(chunks);
    chunks = span_queue_take(queue, 100, 3 * size - 1, &n);
    cr_expect_eq(n, 2);
    expect_spans(chunks, 5, 6);
    span_queue_release(chunks);
    chunks = span_queue_take(queue, 100, 1, &n);
    cr_expect_eq(n, 1, "the first is taken whatever its size");
    expect_spans(chunks, 7, 7);
    span_queue_release(chunks);
    cr_assert_eq(stats_of(queue).waiting, 3);
    expect_taken(queue, 100, 8, 10);
    span_queue_destroy(queue);
}

Test(queue, a_chunk_sums_what_its_spans_lack)
{
    struct span_queue *queue = make_queue(1000, 10, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_list(1, 4);
    struct span_chunk *chunks;
    size_t n;

    list->next->dropped_attributes = 2;
    list->next->next->dropped_attributes = UINT32_MAX;
    list->next->next->dropped_events = 5;
    list->next->next->next->dropped_events = UINT32_MAX;
    push(writer, list);
    chunks = span_queue_take(queue, 100, SIZE_MAX, &n);
    cr_assert_eq(n, 4);
    cr_assert_null(chunks->next);
    cr_expect_eq(chunks->attributes_dropped, UINT64_C(2) + UINT32_MAX);
    cr_expect_eq(chunks->events_dropped, UINT64_C(5) + UINT32_MAX);
    cr_expect_eq(chunks->first_attributes_dropped, 2);
    cr_expect_eq(chunks->first_events_dropped, 0);
    span_queue_release(chunks);
    push(writer, make(5));
    chunks = span_queue_take(queue, 100, SIZE_MAX, &n);
    cr_expect_eq(chunks->attributes_dropped, 0, "nothing is left of the chunk's earlier spans");
    cr_expect_eq(chunks->events_dropped, 0);
    cr_expect_eq(chunks->first_attributes_dropped, 0);
    span_queue_release(chunks);
    span_queue_destroy(queue);
}

/* ---- many pushes, many takes --------------------------------------------------------------- */

/* A list of n spans, numbered on by their start. */
static struct span *make_numbered(uint64_t first, size_t n)
{
    struct span *head = NULL;

    for (size_t i = n; i > 0; i--) {
        struct span *span = make(1);

        span->start_unix_ns = (int64_t)(first + i);
        span->next = head;
        head = span;
    }
    return head;
}

/* Take up to max and expect them numbered from `first` on. @return how many */
static size_t take_numbered(struct span_queue *queue, size_t max, size_t first)
{
    size_t n;
    struct span_chunk *chunks = span_queue_take(queue, max, SIZE_MAX, &n);
    chunks_msg *msg = chunks_unpack(chunks);

    cr_assert_not_null(msg);
    cr_assert_eq(msg->n_spans, n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(msg->spans[i]->start_time_unix_nano, first + i + 1);
    for (const struct span_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        chunks_msg *one = chunks_unpack_one(chunk);

        cr_assert_not_null(one, "each chunk is whole");
        chunks_free_unpacked(one);
    }
    chunks_free_unpacked(msg);
    span_queue_release(chunks);
    span_queue_settle(queue, n, 0);
    return n;
}

/* However the pushes fall into groups, takes of any size see every span once and in order. */
Test(queue, takes_any_number_out_of_many_pushes)
{
    static const size_t sizes[] = {1, 2, 3, 63, 64, 65, 200, 512, 1000};
    static const size_t pushes[] = {1, 2, 2, 5, 2, 1, 63, 64, 65, 2, 300, 2, 1, 1, 2};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct span_queue *queue = make_queue(100000, sizes[s], BATCH_BYTES);
        struct span_writer *writer = make_writer(queue);
        size_t pushed = 0, taken = 0, n;

        for (size_t i = 0; pushed < 10000; i++) {
            n = pushes[i % (sizeof pushes / sizeof pushes[0])];
            push(writer, make_numbered(pushed, n));
            pushed += n;
            if (i % 3 == 0)
                taken += take_numbered(queue, sizes[s], taken);
        }
        while (taken < pushed) {
            n = take_numbered(queue, sizes[s], taken);
            cr_assert(n > 0 && n <= sizes[s]);
            taken += n;
        }
        cr_expect_eq(taken, pushed);
        cr_expect_eq(take_numbered(queue, sizes[s], 0), 0);
        cr_expect_eq(span_queue_room(queue), 100000);
        span_queue_destroy(queue);
    }
}

#define WRITERS 5u

/*
 * Push requests of two spans from `n_writers` in turn, and take as the exporter does, as soon as a
 * batch waits, or where it lags, when `lag` more do. @return the least that a batch had
 */
static size_t least_batch(size_t batch_max, size_t n_writers, size_t lag)
{
    struct span_queue *queue = make_queue(1000000, batch_max, BATCH_BYTES);
    struct span_writer *writers[WRITERS];
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < n_writers; i++)
        writers[i] = make_writer(queue);
    for (size_t i = 0; i < 10 * batch_max + 500; i++) {
        push(writers[i % n_writers], make_list(1, 2));
        if (stats_of(queue).waiting < batch_max + lag)
            continue;
        while (stats_of(queue).waiting >= batch_max) {
            size_t n;
            struct span_chunk *chunks = span_queue_take(queue, batch_max, SIZE_MAX, &n);

            cr_assert(n > 0 && n <= batch_max);
            cr_assert_eq(chunks_count(chunks), n);
            span_queue_release(chunks);
            span_queue_settle(queue, n, 0);
            if (n < least)
                least = n;
        }
    }
    span_queue_destroy(queue);
    return least;
}

/* A batch lacks less than the chunk that did not fit it. */
Test(queue, batches_come_out_full)
{
    static const size_t sizes[] = {1, 2, 3, 10, 50, 64, 65, 100, 512, 1000};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const size_t max = sizes[s];

        printf("%4zu: %zu %zu | %zu %zu %zu\n", max, least_batch(max, 1, 0),
               least_batch(max, 1, max + 40), least_batch(max, WRITERS, 0),
               least_batch(max, WRITERS, 30), least_batch(max, WRITERS, 2 * max + 20));
    }
}

/* Each writer's spans keep their order, and each is the first in its turn. */
Test(queue, several_writers_take_turns)
{
    struct span_queue *queue = make_queue(1000, 4, BATCH_BYTES);
    struct span_writer *writers[WRITERS];
    size_t seen[WRITERS] = {0}, last[WRITERS], rounds;

    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = make_writer(queue);
        for (uint8_t n = 0; n < 20; n++)
            push(writers[i], make((uint8_t)(i * 20 + n)));
    }
    /* One of them goes on as fast as it is taken from, so that it always has a batch. */
    memset(last, 0xff, sizeof last);
    for (rounds = 0; rounds < WRITERS * 5; rounds++) {
        size_t n, writer;
        struct span_chunk *chunks = span_queue_take(queue, 4, SIZE_MAX, &n);
        chunks_msg *msg = chunks_unpack(chunks);

        cr_assert_not_null(msg);
        cr_assert_eq(n, 4);
        writer = msg->spans[0]->span_id.data[0] / 20u;
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(msg->spans[i]->span_id.data[0], writer * 20 + (seen[writer] + i) % 20);
        seen[writer] += n;
        cr_assert(last[writer] == SIZE_MAX || rounds - last[writer] <= WRITERS,
                  "each in %u batches", WRITERS);
        last[writer] = rounds;
        if (writer == 2)
            for (uint8_t i = 0; i < 4; i++)
                push(writers[2], make((uint8_t)(40 + (seen[2] - 4 + i) % 20)));
        chunks_free_unpacked(msg);
        span_queue_release(chunks);
        span_queue_settle(queue, n, 0);
    }
    for (size_t i = 0; i < WRITERS; i++)
        cr_expect_eq(seen[i], 20, "writer %zu: %zu", i, seen[i]);
    cr_expect_eq(stats_of(queue).waiting, 20, "the busy one's");
    cr_expect_eq(stats_of(queue).pushed, WRITERS * 20 + 20);
    span_queue_destroy(queue);
}

/* A writer that comes later, while the consumer is among the others, has its turn too. */
Test(queue, a_later_writer_has_its_turn)
{
    struct span_queue *queue = make_queue(1000, 2, BATCH_BYTES);
    struct span_writer *first = make_writer(queue), *second;
    size_t n;

    push(first, make_list(1, 10));
    expect_taken(queue, 2, 1, 2);
    second = make_writer(queue);
    push(second, make_list(11, 12));
    for (int i = 0; stats_of(queue).waiting > 0; i++) {
        struct span_chunk *chunks = span_queue_take(queue, 2, SIZE_MAX, &n);

        cr_assert_eq(n, 2);
        if (chunks_count(chunks) == 2 && i < 2) {
            chunks_msg *msg = chunks_unpack(chunks);

            if (msg->spans[0]->span_id.data[0] == 11)
                i = 100;
            chunks_free_unpacked(msg);
        } else {
            cr_assert_geq(i, 100, "it is among the next two");
        }
        span_queue_release(chunks);
    }
    span_queue_destroy(queue);
}

/* One batch gathers what the writers have. */
Test(queue, a_batch_is_of_all_writers)
{
    struct span_queue *queue = make_queue(1000, 512, BATCH_BYTES);
    struct span_chunk *chunks;
    bool seen[WRITERS] = {false};
    chunks_msg *msg;
    size_t n;

    for (uint8_t i = 0; i < WRITERS; i++)
        push(make_writer(queue), make(i));
    chunks = span_queue_take(queue, 512, SIZE_MAX, &n);
    cr_assert_eq(n, WRITERS);
    msg = chunks_unpack(chunks);
    cr_assert_not_null(msg);
    for (size_t i = 0; i < WRITERS; i++) {
        cr_assert_not(seen[msg->spans[i]->span_id.data[0]]);
        seen[msg->spans[i]->span_id.data[0]] = true;
    }
    chunks_free_unpacked(msg);
    span_queue_release(chunks); /* to five writers */
    expect_nothing(queue);
    span_queue_destroy(queue);
}

/* ---- memory -------------------------------------------------------------------------------- */

Test(queue, a_chunk_that_was_released_is_filled_again)
{
    struct span_queue *queue = make_queue(1000, 512, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span_chunk *chunk, *again;
    size_t n;

    push(writer, make_list(1, 2));
    chunk = span_queue_take(queue, 512, SIZE_MAX, &n);
    span_queue_release(chunk);
    for (uint8_t i = 1; i < 50; i++) {
        struct span *span = make(i);

        malloc_fails = true; /* none is needed */
        push(writer, span);
        malloc_fails = false;
        again = span_queue_take(queue, 512, SIZE_MAX, &n);
        cr_assert_eq(again, chunk);
        expect_spans(again, i, i);
        span_queue_release(again);
    }
    span_queue_destroy(queue);
}

static void expect_freed(struct span_chunk *chunks, size_t wanted)
{
    const size_t before = n_freed;

    span_queue_release(chunks);
    cr_assert_eq(n_freed - before, wanted, "freed %zu, wanted %zu", n_freed - before, wanted);
}

Test(queue, keeps_so_many_idle_chunks_and_frees_the_rest)
{
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue), *other = make_writer(queue);
    struct span *list;
    size_t n;

    push(writer, make_list(1, IDLE_MAX + 9));
    expect_freed(span_queue_take(queue, 100, SIZE_MAX, &n), 9);
    push(other, make_list(1, 3));
    expect_freed(span_queue_take(queue, 100, SIZE_MAX, &n), 0); /* each has its own */
    list = make_list(1, IDLE_MAX);
    malloc_fails = true;
    push(writer, list);
    malloc_fails = false;
    span_queue_release(span_queue_take(queue, 100, SIZE_MAX, &n));
    cr_assert_eq(n, IDLE_MAX);
    push(writer, make_big(1, 160000));
    expect_freed(span_queue_take(queue, 1, SIZE_MAX, &n), 1); /* of another size */
    span_queue_destroy(queue);                                /* LeakSanitizer checks */
}

Test(queue, without_memory_gives_the_places_back)
{
    struct span_queue *queue = make_queue(10, 2, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    struct span *list = make_list(2, 5);
    struct span_queue_stats stats;
    size_t dropped = 7;

    push(writer, make(1));
    malloc_fails = true;
    cr_assert_eq(span_queue_push(writer, list->next->next, &dropped), SPAN_QUEUE_NOMEM);
    cr_assert_eq(dropped, 2, "two that would lie together");
    cr_assert_eq(span_queue_room(queue), 9);
    cr_assert_eq(span_queue_push(writer, list, &dropped), SPAN_QUEUE_NOMEM);
    malloc_fails = false;
    cr_assert_eq(dropped, 3, "there was room for one in the chunk: %zu", dropped);
    chunks_destroy_spans(list);
    stats = stats_of(queue);
    cr_assert_eq(stats.waiting, 2);
    cr_assert_eq(stats.pushed, 2);
    cr_assert_eq(stats.dropped, 0, "they are counted where there was no room");
    cr_assert_eq(span_queue_room(queue), 8);
    push(writer, make_list(3, 4));
    expect_taken(queue, 2, 1, 2);
    expect_taken(queue, 2, 3, 4);
    span_queue_settle(queue, 4, 0);
    cr_assert_eq(span_queue_room(queue), 10);
    span_queue_destroy(queue);
}

static void *release_list(void *arg)
{
    span_queue_release(arg);
    return NULL;
}

/* A lane gives chunks back while another may be in the chair. */
Test(queue, another_thread_may_release)
{
    struct span_queue *queue = make_queue(1000, 1, BATCH_BYTES);
    struct span_writer *writer = make_writer(queue);
    pthread_t thread;
    size_t n;

    push(writer, make_list(1, 40));
    cr_assert_eq(
        pthread_create(&thread, NULL, release_list, span_queue_take(queue, 20, SIZE_MAX, &n)), 0);
    expect_taken(queue, 100, 21, 40);
    push(writer, make_list(1, 40));
    cr_assert_eq(pthread_join(thread, NULL), 0);
    expect_taken(queue, 100, 1, 40);
    span_queue_destroy(queue);
}
