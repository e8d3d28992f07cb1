/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/base/thread.h - what every thread of the host's own has: a name, a stack for the crash
 * handler, and a record of the plugin's function that it is in.
 *
 * The record is two plain stores around each call. The thread itself reads it when it crashes; the
 * watch over the end reads those of all threads, to name who is late.
 */
#ifndef HOST_BASE_THREAD_H
#define HOST_BASE_THREAD_H

#include <stdatomic.h>
#include <stddef.h>

#define THREADS_MAX 80u /* the workers, and a few; further ones have no record */
#define THREAD_NAME_MAX 16u

/* Who is called; lives longer than the call. */
struct callee {
    /* The plugin's; NULL while it is not known. It may come, and change, while somebody is still
     * reading of a call that is over. */
    _Atomic(const char *) id;
    const char *path; /* its file; NULL where that is not known */
};

struct thread_record {
    _Atomic(const struct callee *) callee; /* NULL: in no plugin */
    _Atomic(const char *) function;        /* [const] "handle()" */
    char name[THREAD_NAME_MAX];
    _Atomic int taken;
};

/* The calling thread's; a shared one that nobody reads for threads that are not the host's. */
extern _Thread_local struct thread_record *thread_mine;
extern struct thread_record thread_nobody;

/** Take a record, and the name; to be called by the thread itself, first. Never fails. */
void thread_begin(const char *name);
/** Give it back, last. */
void thread_end(void);

/** The calling thread enters a plugin's function. @param function  [const] */
static inline void thread_enter(const struct callee *callee, const char *function)
{
    struct thread_record *mine = thread_mine;

    atomic_store_explicit(&mine->function, function, memory_order_relaxed);
    atomic_store_explicit(&mine->callee, callee, memory_order_release);
}

static inline void thread_leave(void)
{
    atomic_store_explicit(&thread_mine->callee, NULL, memory_order_relaxed);
}

/**
 * Describe where a thread is: "worker-0 is in handle() of plugin x (/path/x.so)".
 * Async-signal-safe.
 * @return bytes written, at most size, without a NUL; 0: it is in no plugin
 */
size_t thread_describe(const struct thread_record *record, char *to, size_t size);

/** All threads that are in a plugin, after one another. [any] @return bytes, as above */
size_t thread_describe_all(char *to, size_t size);

/** A callee that no thread is in any more goes: wait until nobody can be reading it. [any] */
void thread_forget_callee(void);

#endif
