/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip-lookup [PREFIXES]: what plugins/ip-reputation's table costs (12.4). For a million prefixes of
 * each kind, random and clustered as public lists are, IPv4 and IPv6: bytes of a table; the most
 * that the process takes while a second one is built beside it, as in a reload; and a lookup, held
 * against one dependent random read into an array of the same size. Each lookup waits for the one
 * before.
 *
 * The numbers are the best of several rounds, in which both take turns: whatever else the machine
 * does only adds to them.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "table.h"

#define PREFIXES 1000000u
#define ADDRESSES (1u << 18) /* few enough to leave the caches to the table */
#define ROUNDS 25u
#define LINE 64u

enum kind { V4_RANDOM, V4_CLUSTERED, V6_RANDOM, V6_CLUSTERED, N_KINDS };
static const char *const names[N_KINDS] = {"IPv4 random", "IPv4 clustered", "IPv6 random",
                                           "IPv6 clustered"};

static uint64_t seed = 1;
static volatile uint64_t zero; /* so that the compiler does not know it */

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Small numbers are far more frequent than large ones, as few networks have most of the hosts. */
static uint64_t skewed(uint64_t n)
{
    const uint64_t a = draw() % n, b = draw() % n, c = draw() % n;

    return a * b / n * c / n;
}

static uint64_t scatter(uint64_t n) /* the same number everywhere for the same n */
{
    n = (n + 1) * UINT64_C(0xbf58476d1ce4e5b9);
    n ^= n >> 29;
    return n * UINT64_C(0x94d049bb133111eb);
}

static struct prefix prefix_of(enum kind kind)
{
    const unsigned dice = (unsigned)(draw() % 100);
    struct prefix p = {.v4 = kind <= V4_CLUSTERED};

    switch (kind) {
    case V4_RANDOM:
        p.ip.lo = (uint32_t)draw();
        p.len = (uint8_t)(dice < 60 ? 32 : dice < 85 ? 24 : 16 + draw() % 16);
        break;
    case V4_CLUSTERED: /* of 6000 networks /16, and of their 256 /24, some have most of the hosts */
        p.ip.lo = (uint32_t)(scatter(skewed(6000)) >> 48 << 16 | skewed(256) << 8 | draw() % 256);
        p.len = (uint8_t)(dice < 80 ? 32 : dice < 95 ? 24 : 17 + draw() % 14);
        break;
    case V6_RANDOM:
        p.ip = (struct ip6){UINT64_C(1) << 61 | draw() >> 3, draw()};
        p.len = (uint8_t)(dice < 20 ? 128 : dice < 70 ? 64 : 32 + draw() % 32);
        break;
    default: /* of 2000 networks /32 some have most of the /48 and /64, and of the hosts */
        p.ip = (struct ip6){UINT64_C(1) << 61 | scatter(skewed(2000)) >> 35 << 32 |
                                skewed(65536) << 16 | skewed(65536),
                            dice % 2 == 0 ? draw() % 4096 : draw()};
        p.len = (uint8_t)(dice < 40 ? 128 : dice < 85 ? 64 : dice < 95 ? 48 : 33 + draw() % 31);
        break;
    }
    if (p.v4) {
        p.ip.lo &= (uint32_t)~ip4_host_mask(p.len);
    } else {
        p.ip.hi &= ~ip6_host_mask(p.len).hi;
        p.ip.lo &= ~ip6_host_mask(p.len).lo;
    }
    return p;
}

static struct table *make(enum kind kind, unsigned n)
{
    struct prefix_set set = {.max = 0};
    struct table *table;

    for (unsigned i = 0; i < n; i++) {
        const struct prefix p = prefix_of(kind);

        if (prefix_set_add(&set, &p, (uint16_t)(i % 10)) != 0)
            abort();
    }
    table = table_create(&set);
    prefix_set_fini(&set);
    if (table == NULL)
        abort();
    return table;
}

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Half of them in prefixes, half anywhere. */
static struct ip6 make_address(enum kind kind, unsigned i)
{
    if (i % 2 == 0)
        return prefix_of(kind).ip;
    if (kind <= V4_CLUSTERED)
        return (struct ip6){0, (uint32_t)draw()};
    return (struct ip6){UINT64_C(1) << 61 | draw() >> 3, draw()};
}

struct addresses {
    uint32_t v4[ADDRESSES];
    struct ip6 v6[ADDRESSES];
};

static struct addresses *make_addresses(enum kind kind)
{
    struct addresses *addresses = malloc(sizeof *addresses);

    if (addresses == NULL)
        abort();
    for (unsigned i = 0; i < ADDRESSES; i++) {
        addresses->v6[i] = make_address(kind, i);
        addresses->v4[i] = (uint32_t)addresses->v6[i].lo;
    }
    return addresses;
}

/* Each begins when the one before has its answer; `after` is 0, but who knows. */
static double look_up4(const struct table *table, const struct addresses *addresses)
{
    uint64_t after = 0;
    const double begin = now();

    for (unsigned i = 0; i < ADDRESSES; i++) {
        const struct match match = table_find4(table, addresses->v4[i] ^ (uint32_t)after);

        after = zero & (match.list + match.len + 1u);
    }
    return (now() - begin) / ADDRESSES + (double)after;
}

static double look_up6(const struct table *table, const struct addresses *addresses)
{
    uint64_t after = 0;
    const double begin = now();

    for (unsigned i = 0; i < ADDRESSES; i++) {
        const struct ip6 *ip = &addresses->v6[i];
        const struct match match = table_find6(table, (struct ip6){ip->hi ^ after, ip->lo ^ after});

        after = zero & (match.list + match.len + 1u);
    }
    return (now() - begin) / ADDRESSES + (double)after;
}

/* One ring through all lines of the array, in random order. */
static size_t *make_ring(size_t bytes, size_t *ret_n)
{
    const size_t n = bytes / LINE, step = LINE / sizeof(size_t);
    size_t *ring = aligned_alloc(LINE, n * LINE), *order = malloc(n * sizeof *order);

    if (ring == NULL || order == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n - 1; i > 0; i--) {
        const size_t other = draw() % (i + 1), was = order[i];

        order[i] = order[other];
        order[other] = was;
    }
    for (size_t i = 0; i < n; i++)
        ring[order[i] * step] = order[(i + 1) % n] * step;
    free(order);
    *ret_n = n;
    return ring;
}

static double read_ring(const size_t *ring, size_t *at)
{
    const double begin = now();

    for (unsigned i = 0; i < ADDRESSES; i++)
        *at = ring[*at];
    return (now() - begin) / ADDRESSES;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* The most that a process of its own takes, while a table stands and another is built. */
static double reload_mib(enum kind kind, unsigned n)
{
    struct rusage usage;
    int status = 1;
    pid_t pid = fork();
    double idle;

    if (pid == 0) {
        struct table *first = make(kind, n), *second = make(kind, n);

        table_destroy(first);
        table_destroy(second);
        _exit(0);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0)
        abort();
    pid = fork();
    idle = (double)usage.ru_maxrss;
    if (pid == 0)
        _exit(0);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0)
        abort();
    return (idle - (double)usage.ru_maxrss) / 1024;
}

int main(int argc, char **argv)
{
    const unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : PREFIXES;
    double most[N_KINDS];

    if (n == 0 || n > 100 * PREFIXES)
        return 2;
    for (unsigned kind = 0; kind < N_KINDS; kind++) /* while this process has next to nothing */
        most[kind] = reload_mib(kind, n);
    printf(
        "| %u prefixes | table MiB | reload's most MiB | build s | lookup ns | read ns | ratio |\n"
        "|---|---|---|---|---|---|---|\n",
        n);
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        const double begin = now();
        struct table *table = make(kind, n);
        const double build = now() - begin;
        double lookup = 1e9, read = 1e9;
        struct addresses *addresses = make_addresses(kind);
        size_t at = 0, n_lines;
        size_t *ring = make_ring(table_bytes(table), &n_lines);

        for (unsigned r = 0; r < ROUNDS; r++) {
            read = least(read, read_ring(ring, &at));
            lookup = least(lookup, kind <= V4_CLUSTERED ? look_up4(table, addresses)
                                                        : look_up6(table, addresses));
        }
        assert(at < n_lines * LINE / sizeof(size_t));
        printf("| %s | %.1f | %.1f | %.2f | %.1f | %.1f | %.2f |\n", names[kind],
               (double)table_bytes(table) / (1024 * 1024), most[kind], build / 1e9, lookup, read,
               lookup / read);
        free(ring);
        free(addresses);
        table_destroy(table);
    }
    return 0;
}
