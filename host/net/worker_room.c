/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/net/worker_room.c - how workers share the room below max-pending.
 *
 * A worker whose connections wait for room says so (ROOM_WANTED). Who sees places come free gives
 * them to one that does (ROOM_GIVEN, and wakes it) or takes them, in turns. A wake-up is for room
 * that was there, and each wish is answered by one: workers do not wake each other for nothing.
 */
#include <assert.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/worker.h"

#define ROOM_WAIT_MS 5 /* for another worker to take the room that it was given */

static bool is_room(const struct host_shared *shared)
{
    return atomic_load(&shared->n_pending) < shared->conf->max_pending;
}

bool worker_has_room(struct worker *worker)
{
    const struct host_shared *shared = worker->core.shared;

    if (is_room(shared))
        return true;
    /* First say that we wait, then look again: who frees a place does it the other way round. */
    atomic_store(&worker->room, ROOM_WANTED);
    return is_room(shared);
}

/* Wake the next worker that waits for room. @return false: none does */
static bool give_room(struct worker *worker)
{
    const struct host_shared *shared = worker->core.shared;
    const uint32_t n = atomic_load(&shared->n_workers);
    const uint64_t one = 1;

    for (uint32_t i = 1; i < n; i++) {
        struct worker *other = worker_of(shared->workers[(worker->core.index + i) % n]);
        int wanted = ROOM_WANTED;

        if (atomic_compare_exchange_strong(&other->room, &wanted, ROOM_GIVEN)) {
            (void)!write(other->core.mailbox.fd, &one, sizeof one);
            return true;
        }
    }
    return false;
}

/*
 * Places below max-pending came free here, or another worker says that some are. Where others wait
 * as well they and our own connections take turns. The next message of ours that ends brings us
 * back here, or a timer if that takes longer: that another worker hangs costs nobody room.
 */
void worker_share_room(struct worker *worker)
{
    const struct host_shared *shared = worker->core.shared;

    /* Where there is none we go on waiting; it may have gone again since we were told. */
    if (TAILQ_EMPTY(&worker->paused) ? !is_room(shared) : !worker_has_room(worker))
        return;
    if (!worker->gave_room && !TAILQ_EMPTY(&worker->paused) && give_room(worker)) {
        const struct timeval wait = {0, ROOM_WAIT_MS * 1000L};

        worker->gave_room = true;
        (void)evtimer_add(worker->room_timer, &wait);
        return;
    }
    worker->gave_room = false;
    conn_resume_paused(worker);
    while (is_room(shared) && give_room(worker))
        ;
}

void worker_on_room_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    worker_share_room(arg);
}
