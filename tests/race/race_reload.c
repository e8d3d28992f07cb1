/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 12.2: workers that look at a state in every turn while it is built anew all the time, for the
 * TSan build: who is in a callback never sees a state that has been released or is being built.
 */
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/plugin.h"
#include "core/reloader.h"
#include "core/worker_core.h"

#define N_WORKERS 4u
#define N_BUILDS 300u
#define N_CELLS 64u
#define LIMIT_NS (240 * NS_PER_S)

static const struct spoe_plugin desc = {.id = "p"};
static struct spoe_worker workers[N_WORKERS];
static struct host_shared shared;
static struct spoe_instance plugin = {.desc = &desc, .callee = {.id = "p"}, .state = PLUGIN_LOADED};
static struct spoe_reload_source *source;
static _Atomic bool end;
static _Atomic uint64_t n_looks;
static unsigned n_built, n_released; /* [build], then [main] */

static spoe_status build(void *arg, struct spoe_reload_source *me, void **ret_state)
{
    unsigned *state = malloc(N_CELLS * sizeof *state);

    (void)arg;
    (void)me;
    assert(state != NULL);
    n_built++;
    for (unsigned i = 0; i < N_CELLS; i++)
        state[i] = n_built;
    *ret_state = state;
    return SPOE_OK;
}

static void release(void *arg, void *state)
{
    (void)arg;
    n_released++;
    memset(state, 0, N_CELLS * sizeof(unsigned));
    free(state);
}

/* A callback: all of it is of one build, and none is older than the one before. */
static unsigned look(unsigned before)
{
    const unsigned *state = reload_facet.get(source);

    if (state == NULL)
        return before;
    for (unsigned i = 0; i < N_CELLS; i++)
        assert(state[i] == state[0] && state[i] >= before && state[i] != 0);
    (void)atomic_fetch_add(&n_looks, 1);
    return state[0];
}

static void *work(void *arg)
{
    struct spoe_worker *worker = arg;
    unsigned last = 0;

    while (!atomic_load(&end)) {
        struct pollfd fd = {.fd = worker->mailbox.fd, .events = POLLIN};

        for (unsigned i = 0; i < 10; i++)
            last = look(last);
        (void)poll(&fd, 1, 1);
        (void)mailbox_run(&worker->mailbox);
    }
    mailbox_close(&worker->mailbox);
    (void)look(last); /* worker_stop() may as well */
    return NULL;
}

int main(void)
{
    const struct spoe_reload_decl decl = {
        .size = sizeof decl, .name = "state", .every_ns = 1, .build = build, .release = release};
    pthread_t threads[N_WORKERS];
    const struct reload_counts *counts;
    const int64_t limit = clock_mono_ns() + LIMIT_NS;
    struct error error;

    assert(reload_facet.declare(&plugin, &decl, &source) == SPOE_OK);
    for (uint32_t i = 0; i < N_WORKERS; i++) {
        assert(mailbox_init(&workers[i].mailbox) == 0);
        shared.workers[i] = &workers[i];
    }
    shared.n_workers = N_WORKERS;
    for (uint32_t i = 0; i < N_WORKERS; i++)
        assert(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    assert(reloader_start(plugin.reloader, &shared, &error) == 0);
    (void)reloader_source(plugin.reloader, 0, &counts);
    while (atomic_load(&counts->built) < N_BUILDS) {
        assert(clock_mono_ns() < limit);
        reload_facet.trigger(source);
        (void)poll(NULL, 0, 1);
    }
    atomic_store(&end, true);
    for (uint32_t i = 0; i < N_WORKERS; i++)
        assert(pthread_join(threads[i], NULL) == 0);
    reloader_stop(plugin.reloader);
    assert(n_released == n_built && n_built >= N_BUILDS);
    reloader_destroy(plugin.reloader);
    for (uint32_t i = 0; i < N_WORKERS; i++)
        mailbox_fini(&workers[i].mailbox);
    printf("%u states, looked at %ju times\n", n_built, (uintmax_t)atomic_load(&n_looks));
    return 0;
}
