/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/ids.c - random ids: xoshiro256**, seeded by the kernel.
 * Source of the generator: Blackman, Vigna, "Scrambled linear pseudorandom number generators".
 */
#include "context/ids.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

int id_source_init(struct id_source *ids)
{
    unsigned char *p = (unsigned char *)ids->_state;
    size_t have = 0;

    while (have < sizeof ids->_state) {
        const ssize_t n = getrandom(p + have, sizeof ids->_state - have, 0);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        have += (size_t)n;
    }
    if ((ids->_state[0] | ids->_state[1] | ids->_state[2] | ids->_state[3]) == 0)
        ids->_state[0] = 1; /* the one state the generator never leaves */
    return 0;
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t next(struct id_source *ids)
{
    uint64_t *s = ids->_state;
    const uint64_t result = rotl(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void id_trace(struct id_source *ids, uint8_t ret[16])
{
    uint64_t id[2];

    do {
        id[0] = next(ids);
        id[1] = next(ids);
    } while ((id[0] | id[1]) == 0);
    memcpy(ret, id, sizeof id);
}

void id_span(struct id_source *ids, uint8_t ret[8])
{
    uint64_t id;

    do {
        id = next(ids);
    } while (id == 0);
    memcpy(ret, &id, sizeof id);
}
