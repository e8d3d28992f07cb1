/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/table.c - see table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define NODE 16u /* keys of a node, and children */
#define LAYERS_MAX 8u
#define LINE_BYTES 64u
#define VALUES_MAX 65536u
#define LENGTHS 129u

__extension__ typedef unsigned __int128 uint128;

/* An entry's values: in its prefix << 16, and behind it. */
struct leaf4 {
    int32_t key[NODE]; /* address ^ 2^31, so that signed numbers compare as addresses do */
    uint32_t value[NODE];
};
struct leaf6 {
    uint64_t hi[NODE], lo[NODE];
    uint32_t value[NODE];
};

/* Of each family: the first keys of the nodes below, from the layer above the leaves upwards. */
struct tree {
    void *layer[LAYERS_MAX];
    size_t n_keys[LAYERS_MAX];
    unsigned n_layers;
    void *leaves;
    size_t n; /* entries */
};

struct table {
    struct tree v4, v6;
    struct match *values; /* 0 is none */
    size_t n_values;
    size_t bytes;
};

/* ---- collecting ---------------------------------------------------------------------------- */

static void *grow(void *array, size_t n, size_t *room, size_t size)
{
    const size_t more = n < 1024 ? 1024 : n + n / 2;
    void *bigger;

    if (n < *room)
        return array;
    bigger = reallocarray(array, more, size);
    if (bigger != NULL)
        *room = more;
    return bigger;
}

int prefix_set_add(struct prefix_set *set, const struct prefix *prefix, uint16_t list)
{
    if (set->max != 0 && set->n4 + set->n6 >= set->max)
        return -1;
    if (prefix->v4) {
        uint64_t *bigger = grow(set->v4, set->n4, &set->room4, sizeof *set->v4);

        if (bigger == NULL)
            return -2;
        set->v4 = bigger;
        set->v4[set->n4++] = prefix->ip.lo << 32 | (uint64_t)prefix->len << 16 | list;
    } else {
        struct prefix6 *bigger = grow(set->v6, set->n6, &set->room6, sizeof *set->v6);

        if (bigger == NULL)
            return -2;
        set->v6 = bigger;
        set->v6[set->n6++] = (struct prefix6){.ip = prefix->ip, .list = list, .len = prefix->len};
    }
    return 0;
}

void prefix_set_fini(struct prefix_set *set)
{
    free(set->v4);
    free(set->v6);
    *set = (struct prefix_set){.max = set->max};
}

static int by_key(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* By start, then length, then list, as the numbers of IPv4 are. */
static int by_prefix6(const void *a, const void *b)
{
    const struct prefix6 *x = a, *y = b;

    if (x->ip.hi != y->ip.hi)
        return x->ip.hi < y->ip.hi ? -1 : 1;
    if (x->ip.lo != y->ip.lo)
        return x->ip.lo < y->ip.lo ? -1 : 1;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return (x->list > y->list) - (x->list < y->list);
}

/* ---- from prefixes to entries ------------------------------------------------------------- */

struct open_prefix {
    uint128 end; /* its last address */
    uint16_t value;
};

/* Walks over sorted prefixes of one family, and counts entries or writes them. */
struct sweep {
    struct tree *tree;
    bool v4, writes;
    size_t n;                         /* entries so far */
    struct open_prefix open[LENGTHS]; /* each inside the one before */
    unsigned depth;
    uint128 last_end; /* of the prefix of the last entry */
    uint16_t in, out; /* the last entry's */
};

static void emit(struct sweep *sweep, uint128 start, uint16_t in, uint16_t out)
{
    const size_t node = sweep->n / NODE, i = sweep->n % NODE;
    const uint32_t value = (uint32_t)in << 16 | out;

    sweep->n++;
    sweep->in = in;
    sweep->out = out;
    if (!sweep->writes)
        return;
    if (sweep->v4) {
        struct leaf4 *leaf = (struct leaf4 *)sweep->tree->leaves + node;

        leaf->key[i] = (int32_t)((uint32_t)start ^ UINT32_C(0x80000000));
        leaf->value[i] = value;
    } else {
        struct leaf6 *leaf = (struct leaf6 *)sweep->tree->leaves + node;

        leaf->hi[i] = (uint64_t)(start >> 64);
        leaf->lo[i] = (uint64_t)start;
        leaf->value[i] = value;
    }
}

static uint16_t outer(const struct sweep *sweep)
{
    return sweep->depth != 0 ? sweep->open[sweep->depth - 1].value : 0;
}

/* Prefixes end, until one that holds `next`, where another starts. */
static void close_before(struct sweep *sweep, uint128 next, bool any_next)
{
    while (sweep->depth != 0 && (!any_next || sweep->open[sweep->depth - 1].end < next)) {
        const uint128 end = sweep->open[--sweep->depth].end;
        const uint128 top = sweep->v4 ? (uint128)UINT32_MAX : ~(uint128)0;

        if (end == top || (any_next && end + 1 == next) ||
            (sweep->depth != 0 && sweep->open[sweep->depth - 1].end == end))
            continue;
        if ((end + 1 <= sweep->last_end ? sweep->in : sweep->out) != outer(sweep)) {
            emit(sweep, end + 1, outer(sweep), outer(sweep));
            sweep->last_end = end + 1;
        }
    }
}

static void add(struct sweep *sweep, uint128 start, uint128 host_mask, uint16_t value)
{
    if (sweep->n == 0 && start != 0)
        emit(sweep, 0, 0, 0); /* so that there is an entry at or before every address */
    close_before(sweep, start, true);
    emit(sweep, start, value, outer(sweep));
    sweep->last_end = start | host_mask;
    sweep->open[sweep->depth++] = (struct open_prefix){.end = start | host_mask, .value = value};
}

/* Numbers for the pairs of list and length that occur. */
struct interned {
    uint16_t id[TABLE_LISTS_MAX * LENGTHS];
    struct match match[TABLE_LISTS_MAX * LENGTHS + 1];
    size_t n;
};
_Static_assert(TABLE_LISTS_MAX *LENGTHS < VALUES_MAX, "a number fits into 16 bits");

static uint16_t intern(struct interned *interned, uint16_t list, uint8_t len)
{
    uint16_t *id = &interned->id[list * LENGTHS + len];

    if (*id == 0) {
        *id = (uint16_t)++interned->n;
        interned->match[*id] = (struct match){.list = list, .len = len, .found = true};
    }
    return *id;
}

static void sweep4(struct sweep *sweep, const struct prefix_set *set, struct interned *interned)
{
    for (size_t i = 0; i < set->n4; i++) {
        const uint64_t key = set->v4[i];
        const uint8_t len = (uint8_t)(key >> 16);

        if (i == 0 || key >> 16 != set->v4[i - 1] >> 16)
            add(sweep, key >> 32, ip4_host_mask(len), intern(interned, (uint16_t)key, len));
    }
    close_before(sweep, 0, false);
}

static uint128 wide(struct ip6 ip)
{
    return (uint128)ip.hi << 64 | ip.lo;
}

static void sweep6(struct sweep *sweep, const struct prefix_set *set, struct interned *interned)
{
    for (size_t i = 0; i < set->n6; i++) {
        const struct prefix6 *p = &set->v6[i], *before = i != 0 ? p - 1 : NULL;

        if (before == NULL || p->ip.hi != before->ip.hi || p->ip.lo != before->ip.lo ||
            p->len != before->len)
            add(sweep, wide(p->ip), wide(ip6_host_mask(p->len)), intern(interned, p->list, p->len));
    }
    close_before(sweep, 0, false);
}

/* ---- the tree ------------------------------------------------------------------------------ */

static void *lines(struct table *table, size_t n, size_t size)
{
    const size_t bytes = (n * size + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;

    table->bytes += bytes;
    return aligned_alloc(LINE_BYTES, bytes);
}

static size_t nodes(size_t n)
{
    return (n + NODE - 1) / NODE;
}

/* What a lookup never counts, but for the highest address, which is kept in bounds. */
static void pad(struct tree *tree, bool v4)
{
    for (size_t i = tree->n; i < nodes(tree->n) * NODE; i++) {
        if (v4)
            ((struct leaf4 *)tree->leaves)[i / NODE].key[i % NODE] = INT32_MAX;
        else
            ((struct leaf6 *)tree->leaves)[i / NODE].hi[i % NODE] = UINT64_MAX;
    }
}

/* The first key of node i of the layer below: layer l - 1, or the leaves. */
static void set_key(struct tree *tree, unsigned l, size_t i, bool v4)
{
    if (v4)
        ((int32_t *)tree->layer[l])[i] = l != 0 ? ((const int32_t *)tree->layer[l - 1])[i * NODE]
                                                : ((const struct leaf4 *)tree->leaves)[i].key[0];
    else
        ((uint64_t *)tree->layer[l])[i] = l != 0 ? ((const uint64_t *)tree->layer[l - 1])[i * NODE]
                                                 : ((const struct leaf6 *)tree->leaves)[i].hi[0];
}

static int build_layers(struct table *table, struct tree *tree, bool v4)
{
    const size_t size = v4 ? sizeof(int32_t) : sizeof(uint64_t);

    for (size_t n = nodes(tree->n); n > 1; n = nodes(n)) {
        const unsigned l = tree->n_layers;

        tree->layer[l] = lines(table, nodes(n) * NODE, size);
        if (tree->layer[l] == NULL)
            return -1;
        tree->n_keys[l] = n;
        tree->n_layers++;
        for (size_t i = 0; i < n; i++)
            set_key(tree, l, i, v4);
        for (size_t i = n; i < nodes(n) * NODE; i++) {
            if (v4)
                ((int32_t *)tree->layer[l])[i] = INT32_MAX;
            else
                ((uint64_t *)tree->layer[l])[i] = UINT64_MAX;
        }
    }
    return 0;
}

static int build_tree(struct table *table, const struct prefix_set *set, struct interned *interned,
                      bool v4)
{
    struct tree *tree = v4 ? &table->v4 : &table->v6;
    struct sweep sweep = {.tree = tree, .v4 = v4};

    for (unsigned pass = 0; pass < 2; pass++) {
        sweep = (struct sweep){.tree = tree, .v4 = v4, .writes = pass == 1};
        if (v4)
            sweep4(&sweep, set, interned);
        else
            sweep6(&sweep, set, interned);
        tree->n = sweep.n;
        if (tree->n == 0)
            return 0;
        if (pass == 0)
            tree->leaves =
                lines(table, nodes(tree->n), v4 ? sizeof(struct leaf4) : sizeof(struct leaf6));
        if (tree->leaves == NULL)
            return -1;
    }
    pad(tree, v4);
    return build_layers(table, tree, v4);
}

static void free_tree(struct tree *tree)
{
    for (unsigned l = 0; l < tree->n_layers; l++)
        free(tree->layer[l]);
    free(tree->leaves);
}

void table_destroy(struct table *table)
{
    if (table == NULL)
        return;
    free_tree(&table->v4);
    free_tree(&table->v6);
    free(table->values);
    free(table);
}

struct table *table_create(struct prefix_set *set)
{
    struct table *table = calloc(1, sizeof *table);
    struct interned *interned = calloc(1, sizeof *interned);

    if (table == NULL || interned == NULL)
        goto fail;
    if (set->n4 != 0)
        qsort(set->v4, set->n4, sizeof *set->v4, by_key);
    if (set->n6 != 0)
        qsort(set->v6, set->n6, sizeof *set->v6, by_prefix6);
    if (build_tree(table, set, interned, true) != 0 || build_tree(table, set, interned, false) != 0)
        goto fail;
    table->n_values = interned->n + 1;
    table->values = malloc(table->n_values * sizeof *table->values);
    if (table->values == NULL)
        goto fail;
    memcpy(table->values, interned->match, table->n_values * sizeof *table->values);
    table->bytes += sizeof *table + table->n_values * sizeof *table->values;
    free(interned);
    return table;
fail:
    free(interned);
    table_destroy(table);
    return NULL;
}

size_t table_bytes(const struct table *table)
{
    return table->bytes;
}

/* ---- looking ------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t count4(const int32_t *keys, int32_t key)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < NODE; i++)
        n += keys[i] <= key;
    return n;
}

static size_t count6(const uint64_t *keys, uint64_t key)
{
    size_t n = 0;

    for (unsigned i = 0; i < NODE; i++)
        n += keys[i] <= key;
    return n;
}

struct match table_find4(const struct table *table, uint32_t ip)
{
    const struct tree *tree = &table->v4;
    const struct leaf4 *leaves = tree->leaves;
    const int32_t key = (int32_t)(ip ^ UINT32_C(0x80000000));
    size_t i = 0;
    uint32_t value, start;
    struct match in;

    if (tree->n == 0)
        return (struct match){.found = false};
    for (unsigned l = tree->n_layers; l-- > 0;) {
        i = i * NODE + count4((const int32_t *)tree->layer[l] + i * NODE, key) - 1;
        i = least(i, tree->n_keys[l] - 1);
    }
    i = least(i * NODE + count4(leaves[i].key, key) - 1, tree->n - 1);
    value = leaves[i / NODE].value[i % NODE];
    start = (uint32_t)leaves[i / NODE].key[i % NODE] ^ UINT32_C(0x80000000);
    in = table->values[value >> 16];
    return ((start ^ ip) & ~ip4_host_mask(in.len)) == 0 ? in : table->values[value & 0xffff];
}

/* Of entries that agree in the upper half, the last one that is not above the address. */
static size_t step_back(const struct leaf6 *leaves, size_t i, struct ip6 ip)
{
    size_t low = i, step = 1; /* entry i is above */

    for (;;) {
        low = low > step ? low - step : 0;
        if (leaves[low / NODE].hi[low % NODE] != ip.hi ||
            leaves[low / NODE].lo[low % NODE] <= ip.lo)
            break;
        step *= 2;
    }
    while (i - low > 1) { /* low is not above, i is */
        const size_t mid = low + (i - low) / 2;

        if (leaves[mid / NODE].hi[mid % NODE] != ip.hi ||
            leaves[mid / NODE].lo[mid % NODE] <= ip.lo)
            low = mid;
        else
            i = mid;
    }
    return low;
}

struct match table_find6(const struct table *table, struct ip6 ip)
{
    const struct tree *tree = &table->v6;
    const struct leaf6 *leaves = tree->leaves, *leaf;
    size_t i = 0;
    struct ip6 mask;
    struct match in;

    if (tree->n == 0)
        return (struct match){.found = false};
    for (unsigned l = tree->n_layers; l-- > 0;) {
        i = i * NODE + count6((const uint64_t *)tree->layer[l] + i * NODE, ip.hi) - 1;
        i = least(i, tree->n_keys[l] - 1);
    }
    i = least(i * NODE + count6(leaves[i].hi, ip.hi) - 1, tree->n - 1);
    if (leaves[i / NODE].hi[i % NODE] == ip.hi && leaves[i / NODE].lo[i % NODE] > ip.lo)
        i = step_back(leaves, i, ip);
    leaf = &leaves[i / NODE];
    in = table->values[leaf->value[i % NODE] >> 16];
    mask = ip6_host_mask(in.len);
    if (((leaf->hi[i % NODE] ^ ip.hi) & ~mask.hi) == 0 &&
        ((leaf->lo[i % NODE] ^ ip.lo) & ~mask.lo) == 0)
        return in;
    return table->values[leaf->value[i % NODE] & 0xffff];
}
