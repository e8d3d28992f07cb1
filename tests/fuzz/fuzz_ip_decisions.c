/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_ip_decisions.c - an answer of CrowdSec's local API, twice: what is there stays
 * sorted and each once, so that the second time, where nothing was deleted, nothing is added.
 */
#include <stdint.h>
#include <stdlib.h>

#include "decisions.h"

#define MAX 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct prefix_set *set)
{
    for (size_t i = 1; i < set->n4; i++) {
        if (set->v4[i - 1] >= set->v4[i])
            abort();
    }
    if (set->n4 + set->n6 > MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decisions decisions = {.set.max = MAX};
    const char *why;
    bool changed;
    const int first = decisions_take(&decisions, (const char *)data, size, &changed, &why);
    const size_t n4 = decisions.set.n4, n6 = decisions.set.n6;

    if ((first != 0) != (why != NULL))
        abort();
    check(&decisions.set);
    if (decisions_take(&decisions, (const char *)data, size, &changed, &why) == 0 && first == 0 &&
        (decisions.set.n4 != n4 || decisions.set.n6 != n6))
        abort();
    check(&decisions.set);
    decisions_fini(&decisions);
    return 0;
}
