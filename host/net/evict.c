/* SPDX-License-Identifier: Apache-2.0 */
/* host/net/evict.c - see evict.h. */
#include "net/evict.h"

#include "base/clock.h"

#define NEWCOMERS_PART 8u
#define NEWCOMERS_MIN 8u /* HAProxy opens several at once */

#define KIND(name) (1u << EVICT_##name)

const struct evict_step evict_steps[N_EVICT_STEPS] = {
    {KIND(LINGERING), 0, false},           {KIND(WITHOUT_HELLO), HELLO_GRACE_NS, false},
    {KIND(UNUSED), HELLO_GRACE_NS, false}, {KIND(WITHOUT_HELLO) | KIND(UNUSED), 0, true},
    {KIND(UNUSED) | KIND(IDLE), 0, false}, {KIND(WITHOUT_HELLO), 0, false},
};

bool evict_is_crowded(uint32_t n_newcomers, uint32_t n_places)
{
    return n_newcomers >= NEWCOMERS_MIN && n_newcomers >= n_places / NEWCOMERS_PART;
}
