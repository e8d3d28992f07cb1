/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_thread.c - which plugin's function a thread is in, as it is told (9.1). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"

static const struct callee callee = {"mine", "/lib/mine.so"}, nameless = {NULL, NULL};

TestSuite(thread, .timeout = 30);

static void expect(const char *want)
{
    char got[256];
    size_t n = thread_describe(thread_mine, got, sizeof got);

    cr_assert_eq(n, strlen(want), "%.*s", (int)n, got);
    cr_assert_eq(memcmp(got, want, n), 0, "%.*s", (int)n, got);
    cr_assert_eq(thread_describe_all(got, sizeof got), n);
    cr_assert_eq(memcmp(got, want, n), 0, "%.*s", (int)n, got);
}

Test(thread, says_where_it_is_and_nothing_where_it_is_nowhere)
{
    thread_begin("main");
    expect("");
    thread_enter(&callee, "configure()");
    expect("main is in configure() of plugin mine (/lib/mine.so)");
    thread_leave();
    expect("");
    thread_enter(&nameless, "entry()");
    expect("main is in entry() of plugin ?");
    thread_end();
    thread_begin("again");
    expect("");
    thread_end();
}

/* Every room: what fits, and not a byte more. */
Test(thread, is_cut_where_there_is_no_room)
{
    static const char want[] = "main is in start() of plugin mine (/lib/mine.so)";

    thread_begin("main");
    thread_enter(&callee, "start()");
    for (size_t size = 0; size <= sizeof want; size++) {
        char got[sizeof want + 1];
        const size_t fits = size < sizeof want - 1 ? size : sizeof want - 1;

        memset(got, '#', sizeof got);
        cr_assert_eq(thread_describe(thread_mine, got, size), fits);
        cr_assert_eq(memcmp(got, want, fits), 0);
        cr_assert_eq(got[fits], '#', "size %zu", size);
        memset(got, '#', sizeof got);
        cr_assert_leq(thread_describe_all(got, size), size);
        cr_assert_eq(got[size < sizeof want ? size : sizeof want], '#', "size %zu", size);
    }
    thread_end();
}

static pthread_barrier_t barrier;

static void *be_in_plugin(void *arg)
{
    thread_begin(arg);
    thread_enter(&callee, "handle()");
    (void)pthread_barrier_wait(&barrier); /* all are where they are */
    (void)pthread_barrier_wait(&barrier); /* and were described */
    thread_end();
    return NULL;
}

Test(thread, all_are_listed_and_their_places_come_back)
{
    static char names[3][16] = {"one", "two", "three"};
    char got[512];

    thread_begin("main");
    for (int round = 0; round < 100; round++) { /* more than there are records */
        pthread_t threads[3];
        size_t n;

        cr_assert_eq(pthread_barrier_init(&barrier, NULL, 4), 0);
        for (size_t i = 0; i < 3; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, be_in_plugin, names[i]), 0);
        (void)pthread_barrier_wait(&barrier);
        n = thread_describe_all(got, sizeof got - 1);
        got[n] = '\0';
        for (size_t i = 0; i < 3; i++) {
            char want[80];

            (void)snprintf(want, sizeof want, "%s is in handle() of plugin mine (/lib/mine.so)",
                           names[i]);
            cr_assert_not_null(strstr(got, want), "%s", got);
        }
        cr_assert_eq(n,
                     strlen("one two three") - 2 + 2 * 2 +
                         3 * strlen(" is in handle() of plugin mine (/lib/mine.so)"),
                     "%s", got);
        (void)pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < 3; i++)
            cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(pthread_barrier_destroy(&barrier), 0);
        cr_assert_eq(thread_describe_all(got, sizeof got), 0, "none is anywhere now");
    }
    thread_end();
}

static void *be_one_of_many(void *arg)
{
    thread_begin("many");
    thread_enter(&callee, "start()");
    *(int *)arg = thread_mine != &thread_nobody;
    (void)pthread_barrier_wait(&barrier);
    thread_end();
    return NULL;
}

/* Threads beyond the last record run as well; nobody is told where they are. */
Test(thread, there_are_so_many_records)
{
    enum { N = THREADS_MAX + 5 };
    static pthread_t threads[N];
    static int has[N];
    unsigned n = 0;

    cr_assert_eq(pthread_barrier_init(&barrier, NULL, N + 1), 0);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, be_one_of_many, &has[i]), 0);
    (void)pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        n += (unsigned)has[i];
    }
    cr_assert_eq(n, THREADS_MAX);
}
