/* SPDX-License-Identifier: Apache-2.0 */
/* host/base/thread.c - see thread.h. */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The crash handler needs some 12 KiB, the kernel's frame 3 KiB where there is AVX-512. */
#define CRASH_STACK_BYTES 65536u

struct thread_record thread_nobody = {.name = "?"};
_Thread_local struct thread_record *thread_mine = &thread_nobody;

static struct thread_record records[THREADS_MAX];
static atomic_uint n_reading; /* thread_describe_all() that are under way */
static _Thread_local void *crash_stack;

/* A sanitizer has given its threads one already, and takes it back at their end. */
static void take_stack(void)
{
    stack_t stack;

    if (sigaltstack(NULL, &stack) != 0 || (stack.ss_flags & SS_DISABLE) == 0)
        return;
    crash_stack = malloc(CRASH_STACK_BYTES);
    stack = (stack_t){.ss_sp = crash_stack, .ss_size = CRASH_STACK_BYTES};
    if (crash_stack != NULL) /* without one a crash is named as well, but for a full stack */
        (void)sigaltstack(&stack, NULL);
}

void thread_begin(const char *name)
{
    for (size_t i = 0; i < THREADS_MAX && thread_mine == &thread_nobody; i++) {
        int free_record = 0;

        if (!atomic_compare_exchange_strong(&records[i].taken, &free_record, 1))
            continue;
        (void)snprintf(records[i].name, sizeof records[i].name, "%s", name);
        thread_mine = &records[i];
        atomic_store(&records[i].taken, 2); /* the name may be read */
    }
    take_stack();
}

void thread_end(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};

    if (crash_stack != NULL) {
        (void)sigaltstack(&none, NULL);
        free(crash_stack);
        crash_stack = NULL;
    }
    if (thread_mine != &thread_nobody) {
        struct thread_record *mine = thread_mine;

        thread_leave();
        thread_mine = &thread_nobody;
        atomic_store(&mine->taken, 0);
    }
}

static size_t add(char *to, size_t size, size_t n, const char *text)
{
    size_t len = strlen(text);

    if (len > size - n)
        len = size - n;
    memcpy(to + n, text, len);
    return n + len;
}

size_t thread_describe(const struct thread_record *record, char *to, size_t size)
{
    const struct callee *callee = atomic_load_explicit(&record->callee, memory_order_acquire);
    const char *id;
    size_t n = 0;

    if (callee == NULL)
        return 0;
    id = atomic_load_explicit(&callee->id, memory_order_acquire);
    n = add(to, size, n, record->name);
    n = add(to, size, n, " is in ");
    n = add(to, size, n, atomic_load_explicit(&record->function, memory_order_relaxed));
    n = add(to, size, n, " of plugin ");
    n = add(to, size, n, id != NULL ? id : "?");
    if (callee->path != NULL) {
        n = add(to, size, n, " (");
        n = add(to, size, n, callee->path);
        n = add(to, size, n, ")");
    }
    return n;
}

size_t thread_describe_all(char *to, size_t size)
{
    size_t n = 0;

    (void)atomic_fetch_add(&n_reading, 1);
    for (size_t i = 0; i < THREADS_MAX; i++) {
        size_t more;

        if (atomic_load(&records[i].taken) != 2 || size - n < 2)
            continue;
        more = thread_describe(&records[i], to + n + (n != 0 ? 2 : 0), size - n - (n != 0 ? 2 : 0));
        if (more != 0 && n != 0)
            memcpy(to + n, ", ", 2);
        if (more != 0)
            n += more + (n != 0 ? 2 : 0);
    }
    (void)atomic_fetch_sub(&n_reading, 1);
    return n;
}

void thread_forget_callee(void)
{
    /* An exchange, so that whoever begins to read after it sees that the callee was left. */
    while (atomic_fetch_add(&n_reading, 0) != 0)
        (void)sched_yield();
}
