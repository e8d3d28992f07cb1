/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/left.h - threads and descriptors of this process: which ones came, and are still
 * there. Threads: [main].
 */
#ifndef HOST_CHECK_LEFT_H
#define HOST_CHECK_LEFT_H

#include <stddef.h>
#include <stdint.h>

#define LEFT_MAX 1024u

struct left {
    int threads[LEFT_MAX], fds[LEFT_MAX];
    size_t n_threads, n_fds;
};

/** What is there now. */
void left_look(struct left *ret);
/** Take descriptors of this file for those that were there: the host's own. */
void left_add_file(struct left *left, const char *path);
/**
 * Break the rule `left` for what is there and was not before. A thread that has been joined is
 * seen for a moment more: it is waited for until the deadline.
 * @param libraries  ends with NULL: threads whose names begin so, and descriptors to whose targets
 *                   one belongs, are a library's
 */
void left_compare(const struct left *before, const char *const *libraries, int64_t deadline_ns);
/** Break the rule `signals` for threads that came and take signals; the workers' do not. */
void left_check_signals(const struct left *before);

#endif
