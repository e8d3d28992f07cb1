/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/lists.h - the files of the option `lists`, and the table that they become.
 *
 * The option is NAME[:SCORE]=PATH, and more of it behind commas. Where two lists have one and the
 * same prefix, the one that is named first counts.
 */
#ifndef IP_REPUTATION_LISTS_H
#define IP_REPUTATION_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include "table.h"

#define LISTS_MAX 64u
#define LIST_NAME_MAX 64u
#define SCORE_MAX 100
#define WHY_MAX 512u

struct list {
    char *name, *path;
    int64_t score;
    size_t n; /* entries when it was last read; of the thread that reads */
};

struct lists {
    struct list list[LISTS_MAX];
    size_t n;
};

/** @param ret  lists_fini() is due in both cases @return 0; -1 with a reason in ret_why */
int lists_parse(const char *text, size_t n, struct lists *ret, char ret_why[WHY_MAX]);
void lists_fini(struct lists *lists);

/**
 * Read all files.
 * @param max        entries, over all of them
 * @param cancelled  asked now and then; may be NULL
 * @return [give] NULL with a reason in ret_why: "FILE:LINE: ..."; empty where it was cancelled
 */
struct table *lists_read(struct lists *lists, size_t max, int (*cancelled)(void *arg), void *arg,
                         char ret_why[WHY_MAX]);

#endif
