/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/handover.h - something that the admin thread wants done on the main thread. It goes on
 * with what else it has to do, and looks whether that is done: for HANDOVER_WAIT_NS at most until
 * it is begun, and as long again until it is done.
 *
 *   IDLE --asked--> ASKED --main begins--> RUNNING --main is through--> DONE --seen--> IDLE
 *     nobody waits any more: ASKED --> WITHDRAWN, RUNNING --> LEFT; both are IDLE again once main
 *     has come by. What is withdrawn is never done.
 */
#ifndef HOST_ADMIN_HANDOVER_H
#define HOST_ADMIN_HANDOVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/mailbox.h"

#define HANDOVER_WAIT_NS INT64_C(2000000000)

enum handover_state {
    HANDOVER_IDLE,
    HANDOVER_ASKED,
    HANDOVER_RUNNING,
    HANDOVER_DONE,
    HANDOVER_WITHDRAWN,
    HANDOVER_LEFT
};

struct handover {
    struct mail mail;
    pthread_mutex_t lock;
    enum handover_state state;
    bool closed;    /* the main thread will not come by any more */
    int64_t end_ns; /* of the wait for what comes next */
    int64_t wait_ns;
    void (*run)(struct handover *handover); /* on the main thread */
};

enum handover_result {
    HANDOVER_WAITING,  /* look again */
    HANDOVER_OK,       /* it was done */
    HANDOVER_NOT_DONE, /* nor will it be */
    HANDOVER_UNKNOWN   /* it was begun, and goes on */
};

/** @param run  does it [main] */
void handover_init(struct handover *handover, void (*run)(struct handover *handover));
void handover_fini(struct handover *handover);

/** Whether something may be asked for: then whoever asks may write what run() reads. [admin] */
bool handover_is_idle(struct handover *handover);
/** Have it run. @return false: it will not be, since another is under way or main ends. [admin] */
bool handover_ask(struct handover *handover, struct mailbox *box);
/** What came of it. Once that is said it is over, and is not asked again. [admin] */
enum handover_result handover_look(struct handover *handover);
/** Nobody waits for it any more. [admin] */
void handover_leave(struct handover *handover);
/** The main thread turns no more: who looks is told. [main] */
void handover_close(struct handover *handover);

#endif
