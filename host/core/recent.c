/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/recent.c - the ring of the last finished requests. */
#include "core/recent.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/plugin.h"
#include "core/recent_json.h"

#define SLOTS (SPOE_RECENT_MAX + 1u) /* the last is that of the trace that is sought */
#define TRIES 4u                     /* slots that a request looks at for one that is free */

struct slot {
    pthread_mutex_t lock;
    uint64_t number; /* of the request; 0: there is none */
    size_t n;
    char *text; /* SPOE_RECENT_BYTES_MAX; NULL: it is off */
};

struct recent {
    _Atomic bool on;
    _Atomic uint64_t turn;   /* which slot is next */
    _Atomic uint64_t number; /* of the last request; given under its slot's lock */
    _Atomic uint64_t missed;
    pthread_mutex_t turning; /* it on and off, and what follows */
    int64_t looked_ns;
    _Atomic uint64_t sought[2]; /* a trace's id; 0: none is. Half of a new one is no trace's */
    uint64_t kept[2];           /* of which trace the last slot's request is; with its lock */
    struct slot slot[SLOTS];
};

struct recent *recent_create(void)
{
    struct recent *recent = calloc(1, sizeof *recent);

    if (recent == NULL)
        return NULL;
    (void)pthread_mutex_init(&recent->turning, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        (void)pthread_mutex_init(&recent->slot[i].lock, NULL);
    return recent;
}

void recent_destroy(struct recent *recent)
{
    if (recent == NULL)
        return;
    recent_end(recent);
    for (size_t i = 0; i < SLOTS; i++)
        (void)pthread_mutex_destroy(&recent->slot[i].lock);
    (void)pthread_mutex_destroy(&recent->turning);
    free(recent);
}

bool recent_is_on(const struct recent *recent)
{
    return atomic_load_explicit(&recent->on, memory_order_relaxed);
}

/* ---- on and off. In all of this `turning` is locked ----------------------------------------- */

static void turn_off(struct recent *recent)
{
    atomic_store(&recent->on, false);
    atomic_store(&recent->sought[0], 0);
    atomic_store(&recent->sought[1], 0);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &recent->slot[i];

        (void)pthread_mutex_lock(&slot->lock);
        if (slot->text != NULL)
            explicit_bzero(slot->text, SPOE_RECENT_BYTES_MAX);
        free(slot->text);
        slot->text = NULL;
        slot->number = 0;
        if (i == SPOE_RECENT_MAX)
            memset(recent->kept, 0, sizeof recent->kept);
        (void)pthread_mutex_unlock(&slot->lock);
    }
}

/* @return 0; -1: out of memory */
static int turn_on(struct recent *recent)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &recent->slot[i];

        (void)pthread_mutex_lock(&slot->lock);
        if (slot->text == NULL)
            slot->text = malloc(SPOE_RECENT_BYTES_MAX);
        (void)pthread_mutex_unlock(&slot->lock);
        if (slot->text == NULL) {
            turn_off(recent);
            return -1;
        }
    }
    atomic_store(&recent->on, true);
    return 0;
}

static int64_t expire(struct recent *recent, int64_t now_mono_ns)
{
    const int64_t left = recent->looked_ns + RECENT_LOOK_NS - now_mono_ns;

    if (!recent_is_on(recent))
        return 0;
    if (left > 0)
        return left;
    turn_off(recent);
    return 0;
}

int recent_start(struct recent *recent, int64_t now_mono_ns)
{
    int result;

    (void)pthread_mutex_lock(&recent->turning);
    result = turn_on(recent);
    recent->looked_ns = now_mono_ns;
    (void)pthread_mutex_unlock(&recent->turning);
    return result;
}

void recent_end(struct recent *recent)
{
    (void)pthread_mutex_lock(&recent->turning);
    turn_off(recent);
    (void)pthread_mutex_unlock(&recent->turning);
}

bool recent_look(struct recent *recent, int64_t now_mono_ns)
{
    bool on;

    (void)pthread_mutex_lock(&recent->turning);
    on = expire(recent, now_mono_ns) > 0;
    if (on)
        recent->looked_ns = now_mono_ns;
    (void)pthread_mutex_unlock(&recent->turning);
    return on;
}

int64_t recent_expire(struct recent *recent, int64_t now_mono_ns)
{
    int64_t left;

    (void)pthread_mutex_lock(&recent->turning);
    left = expire(recent, now_mono_ns);
    (void)pthread_mutex_unlock(&recent->turning);
    return left;
}

/* ---- requests ------------------------------------------------------------------------------ */

/* @param slot  locked */
static void fill(struct recent *recent, struct slot *slot, const char *plugin,
                 const struct spoe_recent_request *request)
{
    if (slot->text == NULL)
        return; /* it has ended meanwhile */
    slot->number = atomic_fetch_add(&recent->number, 1) + 1;
    slot->n = recent_json(slot->number, plugin, request, slot->text);
}

void recent_seek(struct recent *recent, const uint8_t trace_id[16])
{
    uint64_t id[2];

    memcpy(id, trace_id, sizeof id);
    atomic_store(&recent->sought[0], id[0]);
    atomic_store(&recent->sought[1], id[1]);
}

static bool is_sought(const struct recent *recent, const uint8_t trace_id[16])
{
    uint64_t id[2];

    memcpy(id, trace_id, sizeof id);
    return (id[0] | id[1]) != 0 &&
           id[0] == atomic_load_explicit(&recent->sought[0], memory_order_relaxed) &&
           id[1] == atomic_load_explicit(&recent->sought[1], memory_order_relaxed);
}

/* @return false: somebody has its lock */
static bool add_to(struct recent *recent, struct slot *slot, const char *plugin,
                   const struct spoe_recent_request *request)
{
    if (pthread_mutex_trylock(&slot->lock) != 0)
        return false;
    fill(recent, slot, plugin, request);
    (void)pthread_mutex_unlock(&slot->lock);
    return true;
}

/* The first of the trace has the slot, the next ones are some of many. @return whether it is it */
static bool add_sought(struct recent *recent, const char *plugin,
                       const struct spoe_recent_request *request)
{
    struct slot *slot = &recent->slot[SPOE_RECENT_MAX];
    bool first;

    if (!is_sought(recent, request->trace_id) || pthread_mutex_trylock(&slot->lock) != 0)
        return false;
    first = slot->text != NULL && memcmp(recent->kept, request->trace_id, sizeof recent->kept) != 0;
    if (first) {
        fill(recent, slot, plugin, request);
        memcpy(recent->kept, request->trace_id, sizeof recent->kept);
    }
    (void)pthread_mutex_unlock(&slot->lock);
    return first;
}

void recent_add(struct recent *recent, const char *plugin,
                const struct spoe_recent_request *request)
{
    if (!recent_is_on(recent) || add_sought(recent, plugin, request))
        return;
    for (unsigned i = 0; i < TRIES; i++) {
        const uint64_t turn = atomic_fetch_add(&recent->turn, 1);

        if (add_to(recent, &recent->slot[turn % SPOE_RECENT_MAX], plugin, request))
            return;
    }
    (void)atomic_fetch_add(&recent->missed, 1);
}

uint64_t recent_write(struct recent *recent, uint64_t after, FILE *out)
{
    /* Whoever has a number up to this one holds the lock of its slot, or has written it. */
    const uint64_t last = atomic_load(&recent->number);
    const char *separator = "";

    if (after > last)
        after = 0; /* a number of the process before */
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &recent->slot[i];

        (void)pthread_mutex_lock(&slot->lock);
        if (slot->number > after && slot->number <= last) {
            (void)fprintf(out, "%s", separator);
            (void)fwrite(slot->text, 1, slot->n, out);
            separator = ",\n";
        }
        (void)pthread_mutex_unlock(&slot->lock);
    }
    return last;
}

uint64_t recent_missed(const struct recent *recent)
{
    return atomic_load(&recent->missed);
}

/* ---- the facet --------------------------------------------------------------------------- */

static int32_t facet_wanted(struct spoe_instance *self)
{
    return recent_is_on(self->recent) ? 1 : 0;
}

static void facet_add(struct spoe_instance *self, const struct spoe_recent_request *request)
{
    if (request->size >= sizeof *request)
        recent_add(self->recent, plugin_name(self), request);
}

const struct spoe_recent recent_facet = {
    .size = sizeof(struct spoe_recent),
    .wanted = facet_wanted,
    .add = facet_add,
};
