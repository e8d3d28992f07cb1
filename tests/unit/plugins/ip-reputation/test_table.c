/* SPDX-License-Identifier: Apache-2.0 */
/* 12.4: the longest prefix, held against a search through all of them. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "list_line.h"
#include "table.h"

#define TABLE_TEST(name) Test(ip_table, name, .timeout = 120)

struct entry {
    struct prefix prefix;
    uint16_t list;
};

static uint64_t seed = 1;

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool contains(const struct prefix *p, bool v4, struct ip6 ip)
{
    if (p->v4 != v4)
        return false;
    if (v4)
        return (((uint32_t)p->ip.lo ^ (uint32_t)ip.lo) & ~ip4_host_mask(p->len)) == 0;
    return ((p->ip.hi ^ ip.hi) & ~ip6_host_mask(p->len).hi) == 0 &&
           ((p->ip.lo ^ ip.lo) & ~ip6_host_mask(p->len).lo) == 0;
}

static struct match search(const struct entry *entries, size_t n, bool v4, struct ip6 ip)
{
    struct match best = {.found = false};

    for (size_t i = 0; i < n; i++) {
        const struct entry *e = &entries[i];

        if (contains(&e->prefix, v4, ip) && (!best.found || e->prefix.len > best.len ||
                                             (e->prefix.len == best.len && e->list < best.list)))
            best = (struct match){.list = e->list, .len = e->prefix.len, .found = true};
    }
    return best;
}

static struct table *table_of(const struct entry *entries, size_t n)
{
    struct prefix_set set = {.max = 0};
    struct table *table;

    for (size_t i = 0; i < n; i++)
        cr_assert_eq(prefix_set_add(&set, &entries[i].prefix, entries[i].list), 0);
    table = table_create(&set);
    prefix_set_fini(&set);
    cr_assert_not_null(table);
    return table;
}

static void compare(const struct table *table, const struct entry *entries, size_t n, bool v4,
                    struct ip6 ip)
{
    const struct match want = search(entries, n, v4, ip);
    const struct match got = v4 ? table_find4(table, (uint32_t)ip.lo) : table_find6(table, ip);

    cr_assert(got.found == want.found && got.list == want.list && got.len == want.len,
              "%s %016jx%016jx: list %u /%u, not %u /%u", v4 ? "v4" : "v6", (uintmax_t)ip.hi,
              (uintmax_t)ip.lo, got.list, got.len, want.list, want.len);
}

static struct ip6 neighbour(struct ip6 ip, int by)
{
    const struct ip6 next = {ip.hi + (by > 0 && ip.lo == UINT64_MAX) - (by < 0 && ip.lo == 0),
                             ip.lo + (uint64_t)(int64_t)by};

    return next;
}

/* The first and the last address of each prefix, those beside them, and any. */
static void compare_all(const struct entry *entries, size_t n, unsigned n_random)
{
    struct table *table = table_of(entries, n);

    for (size_t i = 0; i < n; i++) {
        const struct prefix *p = &entries[i].prefix;
        const struct ip6 mask =
            p->v4 ? (struct ip6){0, ip4_host_mask(p->len)} : ip6_host_mask(p->len);
        const struct ip6 last = {p->ip.hi | mask.hi, p->ip.lo | mask.lo};

        compare(table, entries, n, p->v4, p->ip);
        compare(table, entries, n, p->v4, last);
        compare(table, entries, n, p->v4, neighbour(p->ip, -1));
        compare(table, entries, n, p->v4, neighbour(last, 1));
    }
    for (unsigned i = 0; i < n_random; i++) {
        const struct ip6 ip = {draw(), draw()};

        compare(table, entries, n, true, ip);
        compare(table, entries, n, false, ip);
    }
    for (int v4 = 0; v4 < 2; v4++) {
        compare(table, entries, n, v4 != 0, (struct ip6){0, 0});
        compare(table, entries, n, v4 != 0, (struct ip6){UINT64_MAX, UINT64_MAX});
    }
    table_destroy(table);
}

/* In a space of so many free bits at the top, so that prefixes lie in each other and side by side.
 */
static void fill(struct entry *entries, size_t n, unsigned free_bits, unsigned shortest, bool hosts)
{
    for (size_t i = 0; i < n; i++) {
        struct prefix *p = &entries[i].prefix;
        const bool v4 = draw() % 2 == 0;
        const unsigned width = v4 ? 32 : 128;
        unsigned len = shortest + (unsigned)(draw() % (width - shortest + 1));

        if (hosts && draw() % 2 == 0)
            len = width;
        *p = (struct prefix){.v4 = v4, .len = (uint8_t)len};
        if (v4) {
            p->ip.lo = (uint32_t)draw() & (UINT32_MAX << (32 - free_bits) | 0xf);
            p->ip.lo &= (uint32_t)~ip4_host_mask(len);
        } else {
            p->ip = (struct ip6){draw() & (UINT64_MAX << (64 - free_bits) | 0xf),
                                 draw() & (UINT64_MAX << (64 - free_bits) | 0xff)};
            p->ip.hi &= ~ip6_host_mask(len).hi;
            p->ip.lo &= ~ip6_host_mask(len).lo;
        }
        entries[i].list = (uint16_t)(draw() % TABLE_LISTS_MAX);
    }
}

TABLE_TEST(nothing_is_found_in_nothing)
{
    compare_all(NULL, 0, 10);
}

TABLE_TEST(a_prefix_of_all_holds_all)
{
    const struct entry all[] = {{.prefix = {.v4 = true, .len = 0}, .list = 3},
                                {.prefix = {.v4 = false, .len = 0}, .list = 255}};

    compare_all(all, 2, 100);
}

TABLE_TEST(random_prefixes_of_every_length)
{
    static struct entry entries[2000];

    for (unsigned round = 0; round < 12; round++) {
        const size_t n = round < 8 ? 1 + draw() % 60 : 1000 + draw() % 1000;

        fill(entries, n, 1 + (unsigned)(draw() % 30), round % 3 == 0 ? 0 : 8, round % 2 == 0);
        compare_all(entries, n, 300);
    }
}

/* As many as there are lengths, each in the one before: the end of one is the end of many. */
TABLE_TEST(prefixes_in_each_other)
{
    struct entry entries[129 + 33];
    size_t n = 0;

    for (unsigned ones = 0; ones < 2; ones++) {
        n = 0;
        for (unsigned len = 0; len <= 128; len++) {
            struct ip6 mask = ip6_host_mask(len);

            entries[n].list = (uint16_t)(len % 7);
            entries[n++].prefix = (struct prefix){.len = (uint8_t)len,
                                                  .ip = ones != 0 ? (struct ip6){~mask.hi, ~mask.lo}
                                                                  : (struct ip6){0, 0}};
        }
        for (unsigned len = 0; len <= 32; len++) {
            entries[n].list = (uint16_t)len;
            entries[n++].prefix =
                (struct prefix){.v4 = true,
                                .len = (uint8_t)len,
                                .ip = {0, ones != 0 ? (uint32_t)~ip4_host_mask(len) : 0}};
        }
        compare_all(entries, n, 100);
    }
}

/* Many hosts of one /64 agree in the half that the tree is searched by. */
TABLE_TEST(hosts_of_one_network)
{
    static struct entry entries[1500];

    for (size_t i = 0; i < 1500; i++)
        entries[i] = (struct entry){
            .prefix = {.len = (uint8_t)(i % 3 == 0 ? 120 : 128),
                       .ip = {UINT64_C(0x20010db800000000) + i % 4,
                              i % 3 == 0 ? (draw() & 0xffff00) : (draw() & 0xffffff)}},
            .list = (uint16_t)(i % 5)};
    compare_all(entries, 1500, 100);
}

/* So many begin alike that a lookup begins in a layer above the leaves: at each of them, and just
 * beside what is alone in its place of the index. */
TABLE_TEST(crowded_and_empty_places_of_the_index)
{
    static struct entry entries[5000];
    static const size_t crowds[] = {7, 20, 150, 2500};
    size_t n = 0;

    for (size_t crowd = 0; crowd < sizeof crowds / sizeof crowds[0]; crowd++) {
        for (size_t i = 0; i < crowds[crowd]; i++) {
            const bool v4 = i % 2 == 0;
            const uint64_t at = draw() % (4 * crowds[crowd]);

            entries[n++] = (struct entry){
                .prefix = {.v4 = v4,
                           .len = v4 ? 32 : 64,
                           .ip = v4 ? (struct ip6){0, UINT64_C(0x40000000) * crowd + at}
                                    : (struct ip6){(UINT64_C(1) << 62) * crowd + at, 0}},
                .list = (uint16_t)(draw() % TABLE_LISTS_MAX)};
        }
    }
    for (; n < 2800; n++)
        entries[n] = (struct entry){
            .prefix = {.v4 = true, .len = 24, .ip = {0, (uint32_t)draw() & UINT32_C(0xffffff00)}},
            .list = (uint16_t)(draw() % TABLE_LISTS_MAX)};
    compare_all(entries, n, 1000);
}

/* Around the numbers at which a lookup has to begin one layer higher, 128 and 2048: with each of 8
 * others before them, so that they begin anywhere in a leaf. */
TABLE_TEST(as_many_as_a_layer_holds)
{
    static struct entry entries[2200];

    for (size_t before = 0; before < 8; before++) {
        for (size_t n = before == 3 ? 2044 : 110; n <= 2060; n += n == 150 ? 2060 : 4) {
            for (size_t i = 0; i < before + n; i++)
                entries[i] =
                    (struct entry){.prefix = {.v4 = true,
                                              .len = 32,
                                              .ip = {0, i < before ? i : UINT64_C(0x50000000) + i}},
                                   .list = (uint16_t)(draw() % TABLE_LISTS_MAX)};
            compare_all(entries, before + n, 20);
        }
    }
}

/* Small tables: what stands behind the last entry is counted by no lookup. */
TABLE_TEST(tables_of_every_small_size)
{
    static struct entry entries[70];

    for (size_t n = 1; n < sizeof entries / sizeof entries[0]; n++) {
        for (size_t i = 0; i < n; i++) {
            const bool v4 = i % 3 != 0, top = i % 5 == 0;

            entries[i] = (struct entry){
                .prefix = {.v4 = v4,
                           .len = v4 ? 32 : 128,
                           .ip = v4 ? (struct ip6){0, UINT32_MAX - (top ? i : i << 24)}
                                    : (struct ip6){UINT64_MAX - (top ? i / 10 : i << 56), i}},
                .list = (uint16_t)i};
        }
        compare_all(entries, n, 20);
    }
}

/* The list that is named first. */
TABLE_TEST(of_two_equal_prefixes_the_first_list_counts)
{
    const struct entry twice[] = {
        {.prefix = {.v4 = true, .len = 24, .ip = {0, 0x0a000000}}, .list = 9},
        {.prefix = {.v4 = true, .len = 24, .ip = {0, 0x0a000000}}, .list = 2},
        {.prefix = {.v4 = true, .len = 24, .ip = {0, 0x0a000000}}, .list = 5}};

    compare_all(twice, 3, 10);
}

TABLE_TEST(a_set_has_a_limit)
{
    struct prefix_set set = {.max = 2};
    const struct prefix p = {.v4 = true, .len = 32}, q = {.len = 128};

    cr_assert_eq(prefix_set_add(&set, &p, 0), 0);
    cr_assert_eq(prefix_set_add(&set, &q, 0), 0);
    cr_assert_eq(prefix_set_add(&set, &p, 0), -1);
    prefix_set_fini(&set);
}

/* ---- lines ---- */

static int parse(const char *line, struct prefix *ret, const char **ret_why)
{
    *ret_why = "";
    return list_line_parse(line, strlen(line), ret, ret_why);
}

TABLE_TEST(lines_of_public_lists)
{
    static const char *const blank[] = {"", "   ", "\r", "# all of it", "; as well", "\t# x", "\n"};
    static const struct {
        const char *line;
        bool v4;
        uint8_t len;
        uint64_t hi, lo;
    } good[] = {
        {"192.0.2.1", true, 32, 0, 0xc0000201},
        {"198.51.100.0/24 ; SBL1", true, 24, 0, 0xc6336400},
        {" 10.0.0.0/8\r", true, 8, 0, 0x0a000000},
        {"0.0.0.0/0", true, 0, 0, 0},
        {"2001:db8::/32#x", false, 32, UINT64_C(0x20010db800000000), 0},
        {"::1", false, 128, 0, 1},
        {"::/0", false, 0, 0, 0},
        {"::ffff:192.0.2.1", true, 32, 0, 0xc0000201},
        {"::ffff:192.0.2.0/120", true, 24, 0, 0xc0000200},
        {"::ffff:0:0/96", true, 0, 0, 0},
    };
    struct prefix p;
    const char *why;

    for (size_t i = 0; i < sizeof blank / sizeof blank[0]; i++)
        cr_assert_eq(parse(blank[i], &p, &why), 0, "\"%s\"", blank[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert_eq(parse(good[i].line, &p, &why), 1, "\"%s\": %s", good[i].line, why);
        cr_assert(p.v4 == good[i].v4 && p.len == good[i].len && p.ip.hi == good[i].hi &&
                      p.ip.lo == good[i].lo,
                  "\"%s\"", good[i].line);
    }
}

TABLE_TEST(broken_lines_say_why)
{
    static const struct {
        const char *line, *why;
    } broken[] = {
        {"example.com", "no address"},
        {"/24", "no address"},
        {"1.2.3", "no address"},
        {"1.2.3.4 5.6.7.8", "no address"},
        {"1.2.3.256", "no address"},
        {"::g", "no address"},
        {"1.2.3.4/33", "bad length of a prefix"},
        {"1.2.3.4/", "bad length of a prefix"},
        {"1.2.3.4/x", "bad length of a prefix"},
        {"1.2.3.4/024", "bad length of a prefix"},
        {"1.2.3.4/-1", "bad length of a prefix"},
        {"::1/129", "bad length of a prefix"},
        {"1.2.3.4/24", "address has bits set beyond the prefix's length"},
        {"2001:db8::1/64", "address has bits set beyond the prefix's length"},
        {"::ffff:1.2.3.4/120", "address has bits set beyond the prefix's length"},
    };
    char line[LIST_LINE_MAX + 2];
    struct prefix p;
    const char *why;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_assert_eq(parse(broken[i].line, &p, &why), -1, "\"%s\"", broken[i].line);
        cr_assert_str_eq(why, broken[i].why, "\"%s\"", broken[i].line);
    }
    cr_assert_eq(list_line_parse("1.2.3.4\0", 8, &p, &why), -1, "a NUL is no blank");
    memset(line, ' ', sizeof line);
    cr_assert_eq(list_line_parse(line, LIST_LINE_MAX, &p, &why), 0);
    cr_assert_eq(list_line_parse(line, LIST_LINE_MAX + 1, &p, &why), -1);
    cr_assert_str_eq(why, "line too long");
}
