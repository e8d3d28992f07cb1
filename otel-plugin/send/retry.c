/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/retry.c - exponential backoff with jitter. */
#include "send/retry.h"

#include <assert.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* n * 3 / 2, at most max; n is at most max. */
static int64_t grow(int64_t n, int64_t max)
{
    return n < max - n / 2 ? n + n / 2 : max;
}

void retry_begin(struct retry *retry, const struct retry_conf *conf, int64_t now_ns)
{
    assert(conf->initial_ns > 0 && conf->initial_ns <= conf->max_ns);
    retry->first_ns = now_ns;
    retry->upper_ns = grow(conf->initial_ns, conf->max_ns);
}

bool retry_next(struct retry *retry, const struct retry_conf *conf, int64_t now_ns,
                int64_t min_wait_ns, uint32_t random, int64_t *ret_wait_ns)
{
    int64_t left = conf->give_up_ns - (now_ns - retry->first_ns);
    int64_t upper = retry->upper_ns;
    int64_t lower = upper - upper / 3;
    int64_t wait = lower + (int64_t)((double)(upper - lower) * (random / (double)UINT32_MAX));

    if (left <= 0 || min_wait_ns > left)
        return false;
    if (wait < min_wait_ns)
        wait = min_wait_ns;
    retry->upper_ns = grow(upper, conf->max_ns);
    *ret_wait_ns = min64(wait, left);
    return true;
}
