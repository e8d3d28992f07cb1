/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch names whoever is late while plugins go: what it reads of one is whole, or nothing
 * (2.1).
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

#define ROUNDS 5000u

static const char want[] = "main is in destroy() of plugin mine (/lib/mine.so)";
/* Its id becomes known between two calls: who is still at the first may have parts of both. */
static const char *const also[] = {"main is in load() of plugin ? (/lib/mine.so)",
                                   "main is in load() of plugin mine (/lib/mine.so)",
                                   "main is in destroy() of plugin ? (/lib/mine.so)"};
static _Atomic bool over;
static _Atomic unsigned n_whole;
static unsigned n_other;

static bool is_one_of(const char *got, size_t n)
{
    for (size_t i = 0; i < sizeof also / sizeof also[0]; i++) {
        if (n == strlen(also[i]) && memcmp(got, also[i], n) == 0)
            return true;
    }
    return false;
}

static void *describe(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        char got[256];
        const size_t n = thread_describe_all(got, sizeof got);

        if (n == sizeof want - 1 && memcmp(got, want, n) == 0)
            n_whole++;
        else if (n != 0 && !is_one_of(got, n))
            n_other++;
    }
    return NULL;
}

static void go_through(struct callee *callee, bool wait_for_it)
{
    char *const path = strdup("/lib/mine.so");
    char *const id = strdup("mine");

    if (path == NULL || id == NULL)
        abort();
    atomic_store(&callee->id, NULL);
    callee->path = path;
    thread_enter(callee, "load()");
    thread_leave();
    callee->id = id;
    thread_enter(callee, "destroy()");
    if (wait_for_it) { /* now and then it is described for sure */
        const unsigned n = atomic_load(&n_whole);

        while (atomic_load(&n_whole) == n)
            (void)sched_yield();
    }
    thread_leave();
    thread_forget_callee();
    memset(path, '#', strlen(path));
    memset(id, '#', strlen(id));
    free(path);
    free(id);
}

int main(void)
{
    static struct callee callee;
    pthread_t thread;

    thread_begin("main");
    if (pthread_create(&thread, NULL, describe, NULL) != 0)
        return 1;
    for (unsigned i = 0; i < ROUNDS; i++)
        go_through(&callee, i % 64 == 0);
    atomic_store(&over, true);
    (void)pthread_join(thread, NULL);
    thread_end();
    printf("described %u times, and wrongly %u times\n", n_whole, n_other);
    return n_other == 0 ? 0 : 1;
}
