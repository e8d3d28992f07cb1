/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/schedule.c - parked batches, and the collector as it was seen last. */
#include "send/schedule.h"

#include <assert.h>

#define NS_PER_MS INT64_C(1000000)

/* The first retry of a batch, unless `initial` is shorter. */
#define FIRST_LOW_NS (100 * NS_PER_MS)
#define FIRST_HIGH_NS (1000 * NS_PER_MS)
/* In a hurry: the first of the waits, which double up to the last. */
#define HURRY_FIRST_NS (100 * NS_PER_MS)
#define HURRY_MAX_NS (1000 * NS_PER_MS)
/* So many failures in a row, and the collector counts as down. */
#define DOWN 2u

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* n * 3 / 2, at most max; n is at most max. */
static int64_t grow(int64_t n, int64_t max)
{
    return n < max - n / 2 ? n + n / 2 : max;
}

static int64_t between(int64_t low, int64_t high, uint32_t random)
{
    return low + (int64_t)((double)(high - low) * (random / (double)UINT32_MAX));
}

/* After the batch's n-th failure, from 1. */
static int64_t wait_after(const struct schedule_conf *conf, uint32_t failures, uint32_t random)
{
    int64_t high = conf->initial_ns;

    if (failures <= 1)
        return between(min64(FIRST_LOW_NS, conf->initial_ns),
                       min64(FIRST_HIGH_NS, conf->initial_ns), random);
    for (uint32_t n = 1; n < failures && high < conf->max_ns; n++)
        high = grow(high, conf->max_ns);
    return between(high - high / 3, high, random);
}

static int64_t hurried_wait(uint32_t failures)
{
    int64_t wait = HURRY_FIRST_NS;

    for (uint32_t n = 1; n < failures && wait < HURRY_MAX_NS; n++)
        wait *= 2;
    return min64(wait, HURRY_MAX_NS);
}

static bool may_begin(const struct schedule *s, int64_t now_ns)
{
    return now_ns >= s->_not_before_ns &&
           s->in_flight < (s->_failures == 0 ? s->conf.concurrency : 1);
}

struct batch *schedule_take(struct schedule *s, int64_t now_ns)
{
    if (!may_begin(s, now_ns))
        return NULL;
    for (struct batch **link = &s->_parked; *link != NULL; link = &(*link)->next) {
        struct batch *batch = *link;

        if (batch->due_ns > now_ns)
            continue;
        *link = batch->next;
        batch->next = NULL;
        s->parked_batches--;
        s->parked_spans -= batch->n;
        s->in_flight++;
        return batch;
    }
    return NULL;
}

bool schedule_takes_new(const struct schedule *s, int64_t now_ns)
{
    return may_begin(s, now_ns) && (s->_failures < DOWN || s->parked_batches < SCHEDULE_DOWN_MAX);
}

void schedule_begin(struct schedule *s, struct batch *batch, int64_t now_ns)
{
    batch->next = NULL;
    batch->failures = 0;
    batch->hastened = false;
    batch->first_ns = now_ns;
    s->in_flight++;
}

static void park(struct schedule *s, struct batch *batch)
{
    struct batch **link = &s->_parked;

    while (*link != NULL && (*link)->first_ns <= batch->first_ns)
        link = &(*link)->next;
    batch->next = *link;
    *link = batch;
    s->parked_batches++;
    s->parked_spans += batch->n;
}

static void make_due(struct schedule *s, int64_t now_ns)
{
    for (struct batch *batch = s->_parked; batch != NULL; batch = batch->next)
        batch->due_ns = min64(batch->due_ns, now_ns);
}

/* The collector is back. Once for each batch: one that it cannot take is not to come each time. */
static void hasten(struct schedule *s, int64_t now_ns)
{
    for (struct batch *batch = s->_parked; batch != NULL; batch = batch->next) {
        if (!batch->hastened)
            batch->due_ns = min64(batch->due_ns, now_ns);
        batch->hastened = true;
    }
}

void schedule_answered(struct schedule *s, int64_t now_ns)
{
    assert(s->in_flight > 0);
    s->in_flight--;
    if (s->_failures >= DOWN)
        hasten(s, now_ns);
    s->_failures = 0;
}

enum schedule_end schedule_failed(struct schedule *s, struct batch *batch, int64_t now_ns,
                                  int64_t pause_ns, uint32_t random, int64_t *ret_wait_ns)
{
    const int64_t left = s->conf.give_up_ns - (now_ns - batch->first_ns);
    int64_t wait;

    assert(s->in_flight > 0 && batch->magic == BATCH_MAGIC);
    s->in_flight--;
    s->_failures += s->_failures < UINT32_MAX;
    batch->failures += batch->failures < UINT32_MAX;
    if (pause_ns > 0)
        s->_not_before_ns = max64(s->_not_before_ns, add_sat(now_ns, pause_ns));
    if (left <= 0 || pause_ns > left)
        return SCHEDULE_GAVE_UP;
    wait = wait_after(&s->conf, batch->failures, random);
    if (s->_hurry)
        wait = min64(wait, hurried_wait(s->_failures));
    /* The last attempt falls on the end of the batch's time. */
    batch->due_ns = add_sat(now_ns, min64(max64(wait, pause_ns), left));
    park(s, batch);
    *ret_wait_ns = max64(batch->due_ns, s->_not_before_ns) - now_ns;
    return SCHEDULE_PARKED;
}

int64_t schedule_next_ns(const struct schedule *s, int64_t now_ns, int64_t new_ns)
{
    const bool paused = now_ns < s->_not_before_ns;
    int64_t next = INT64_MAX;

    if (s->in_flight >= (s->_failures == 0 ? s->conf.concurrency : 1))
        return INT64_MAX; /* a request's end comes first */
    if (schedule_takes_new(s, paused ? s->_not_before_ns : now_ns))
        next = new_ns;
    for (const struct batch *batch = s->_parked; batch != NULL; batch = batch->next)
        next = min64(next, batch->due_ns);
    if (next == INT64_MAX)
        return next;
    return paused ? max64(next, s->_not_before_ns) : next;
}

void schedule_hurry(struct schedule *s, int64_t now_ns)
{
    s->_hurry = true;
    make_due(s, now_ns);
}

struct batch *schedule_drop(struct schedule *s)
{
    struct batch *batches = s->_parked;

    s->_parked = NULL;
    s->parked_batches = s->parked_spans = 0;
    return batches;
}
