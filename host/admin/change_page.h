/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/change_page.h - /control: what can change while the host runs, and POST, which
 * changes it, by way of the main thread. One change is done after the other: each waits for
 * CHANGE_TURN_NS at most until the host has started and no other is under way.
 */
#ifndef HOST_ADMIN_CHANGE_PAGE_H
#define HOST_ADMIN_CHANGE_PAGE_H

#include <stdio.h>

#include "admin/handover.h"
#include "admin/http.h"
#include "json/json_pairs.h"

#define CHANGE_TURN_NS INT64_C(2000000000)

/* What is asked for, and what came of it. */
struct change {
    struct json_pairs pairs; /* "ID.KEY": its new value */
    char who[128];           /* asks */
    int status;              /* 200 done; another, or ADMIN_BUSY: nothing has changed */
    char *text;              /* [own] what it says; NULL: out of memory */
    size_t n;
};

/* The way from the page to the main thread. */
struct changes {
    struct handover handover;
    struct change change; /* the handover's */
    /** Do it. [main] */
    void (*run)(void *arg, struct change *change);
    void *arg;
};

/** Whether an option can be changed so: at run time, and by others than the configuration. */
bool change_is_for(const struct spoe_option *option);

/** Whom run() is called for. @param arg  run()'s */
void changes_init(struct changes *changes, void (*run)(void *arg, struct change *change),
                  void *arg);
void changes_fini(struct changes *changes);

/* Of view_pages[]. */
int page_control(void *arg, FILE *out);
int page_control_post(void *arg, const struct admin_post *post, FILE *out);
int page_control_later(void *arg, FILE *out);

#endif
