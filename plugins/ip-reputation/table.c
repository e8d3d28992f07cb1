/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/table.c - see table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define LEAF 8u /* entries side by side */
#define LEAF_BITS 3u
#define NODE 16u /* keys that are counted at once: of two leaves, or of a layer */
#define NODE_BITS 4u
#define LAYERS_MAX 8u
#define LINE_BYTES 64u
#define VALUES_MAX 65536u
#define LENGTHS 129u
/* Of the index: entries a place on average, and at most so many places. Of IPv6 only an eighth of
 * all addresses is given to anybody. */
#define V4_ENTRIES_A_PLACE 4u
#define V6_ENTRIES_A_PLACE 2u
#define INDEX_BITS_MAX 24u
#define LAYER_BITS 3u
#define ENTRIES_MAX (UINT32_C(1) << (32 - LAYER_BITS))

__extension__ typedef unsigned __int128 uint128;

/* An entry's values: in its prefix << 16, and behind it. */
struct leaf4 {
    int32_t key[LEAF]; /* address ^ 2^31, so that signed numbers compare as addresses do */
    uint32_t value[LEAF];
};
struct leaf6 {
    uint64_t hi[LEAF], lo[LEAF];
    uint32_t value[LEAF];
};

/*
 * Of each family. Layer 1 has the first key of each leaf, each layer above each 16th key of the one
 * below. Behind the last of them there are some that no lookup counts, but for the highest address,
 * which has its own way: so wherever there is a key or a leaf, a whole NODE can be counted.
 */
struct tree {
    void *leaves;            /* layer 0 */
    void *layer[LAYERS_MAX]; /* from 1; int32_t or uint64_t, as in the leaves */
    unsigned n_layers;
    /* By the upper bits of a key, where a lookup begins: leaf or key of a layer, and below the
     * layer. */
    uint32_t *index;
    unsigned shift;
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
    struct tree *tree = sweep->tree;
    const size_t i = sweep->n++;
    const uint32_t value = (uint32_t)in << 16 | out;

    sweep->in = in;
    sweep->out = out;
    if (!sweep->writes)
        return;
    if (sweep->v4) {
        struct leaf4 *leaf = (struct leaf4 *)tree->leaves + i / LEAF;

        leaf->key[i % LEAF] = (int32_t)((uint32_t)start ^ UINT32_C(0x80000000));
        leaf->value[i % LEAF] = value;
    } else {
        struct leaf6 *leaf = (struct leaf6 *)tree->leaves + i / LEAF;

        leaf->hi[i % LEAF] = (uint64_t)(start >> 64);
        leaf->lo[i % LEAF] = (uint64_t)start;
        leaf->value[i % LEAF] = value;
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

/* Of layer l, how many bits of an entry's number its keys leave out; 0 is the leaves'. */
static unsigned bits_below(unsigned l)
{
    return l == 0 ? LEAF_BITS : LEAF_BITS + NODE_BITS * (l - 1);
}

/* Keys of a layer; of layer 0 the leaves. */
static size_t keys_of(const struct tree *tree, unsigned l)
{
    return ((tree->n - 1) >> bits_below(l)) + 1;
}

static int allocate(struct table *table, struct tree *tree, bool v4)
{
    if (tree->n > ENTRIES_MAX)
        return -1;
    tree->leaves = lines(table, keys_of(tree, 0) + NODE / LEAF - 1,
                         v4 ? sizeof(struct leaf4) : sizeof(struct leaf6));
    if (tree->leaves == NULL)
        return -1;
    for (unsigned l = 1; l == 1 || keys_of(tree, l - 1) > NODE; l++) {
        tree->layer[l] =
            lines(table, keys_of(tree, l) + NODE - 1, v4 ? sizeof(int32_t) : sizeof(uint64_t));
        if (tree->layer[l] == NULL)
            return -1;
        tree->n_layers = l + 1;
    }
    return 0;
}

static void pad_leaves(struct tree *tree, bool v4)
{
    for (size_t i = tree->n; i < (keys_of(tree, 0) + NODE / LEAF - 1) * LEAF; i++) {
        if (v4)
            ((struct leaf4 *)tree->leaves)[i / LEAF].key[i % LEAF] = INT32_MAX;
        else
            ((struct leaf6 *)tree->leaves)[i / LEAF].hi[i % LEAF] = UINT64_MAX;
    }
}

static void build_layer4(struct tree *tree, unsigned l)
{
    const struct leaf4 *leaves = tree->leaves;
    const int32_t *below = tree->layer[l - 1];
    const size_t n = keys_of(tree, l);
    int32_t *keys = tree->layer[l];

    for (size_t i = 0; i < n; i++)
        keys[i] = l == 1 ? leaves[i].key[0] : below[i * NODE];
    for (size_t i = n; i < n + NODE - 1; i++)
        keys[i] = INT32_MAX;
}

static void build_layer6(struct tree *tree, unsigned l)
{
    const struct leaf6 *leaves = tree->leaves;
    const uint64_t *below = tree->layer[l - 1];
    const size_t n = keys_of(tree, l);
    uint64_t *keys = tree->layer[l];

    for (size_t i = 0; i < n; i++)
        keys[i] = l == 1 ? leaves[i].hi[0] : below[i * NODE];
    for (size_t i = n; i < n + NODE - 1; i++)
        keys[i] = UINT64_MAX;
}

/* An entry's key, in the upper bits. */
static uint64_t key_at(const struct tree *tree, size_t i, bool v4)
{
    uint32_t key;

    if (!v4)
        return ((const struct leaf6 *)tree->leaves)[i / LEAF].hi[i % LEAF];
    key = (uint32_t)((const struct leaf4 *)tree->leaves)[i / LEAF].key[i % LEAF];
    return (uint64_t)(key ^ UINT32_C(0x80000000)) << 32;
}

/* What is looked for is one of the entries from `first` to `last`: the lowest layer that has them,
 * or the leaves that have them, within NODE keys. */
static uint32_t place_of(size_t first, size_t last)
{
    unsigned l = 0;

    if ((last >> LEAF_BITS) - (first >> LEAF_BITS) >= NODE / LEAF) {
        do
            l++;
        while ((last >> bits_below(l)) - (first >> bits_below(l)) >= NODE);
    }
    return (uint32_t)(first >> bits_below(l)) << LAYER_BITS | l;
}

/* For the addresses that begin alike, where a lookup begins. */
static int build_index(struct table *table, struct tree *tree, bool v4)
{
    const size_t few = v4 ? V4_ENTRIES_A_PLACE : V6_ENTRIES_A_PLACE;
    unsigned bits = 1;
    size_t first, last = 0;

    while (bits < INDEX_BITS_MAX && tree->n >> (bits + 1) >= few)
        bits++;
    tree->shift = (v4 ? 32 : 64) - bits;
    tree->index = lines(table, (size_t)1 << bits, sizeof *tree->index);
    if (tree->index == NULL)
        return -1;
    for (uint64_t place = 0; place >> bits == 0; place++) {
        const uint64_t begin = place << (64 - bits), end = begin + (UINT64_MAX >> bits);

        for (first = last; first + 1 < tree->n && key_at(tree, first + 1, v4) <= begin; first++)
            ;
        for (last = first; last + 1 < tree->n && key_at(tree, last + 1, v4) <= end; last++)
            ;
        tree->index[place] = place_of(first, last);
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
        if (pass == 0 && allocate(table, tree, v4) != 0)
            return -1;
    }
    pad_leaves(tree, v4);
    for (unsigned l = 1; l < tree->n_layers; l++) {
        if (v4)
            build_layer4(tree, l);
        else
            build_layer6(tree, l);
    }
    return build_index(table, tree, v4);
}

static void free_tree(struct tree *tree)
{
    for (unsigned l = 1; l < tree->n_layers; l++)
        free(tree->layer[l]);
    free(tree->leaves);
    free(tree->index);
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

/* Of LEAF keys those that are not above, without a branch. */
static size_t count4(const int32_t *keys, int32_t key)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < LEAF; i++)
        n += keys[i] <= key;
    return n;
}

static size_t count6(const uint64_t *keys, uint64_t key)
{
    size_t n = 0;

    for (unsigned i = 0; i < LEAF; i++)
        n += keys[i] <= key;
    return n;
}

/* The last entry whose key is not above. */
static size_t find4(const struct tree *tree, int32_t key, uint32_t place)
{
    size_t i = place >> LAYER_BITS;
    const struct leaf4 *leaf;

    if (key == INT32_MAX)
        return tree->n - 1;
    for (unsigned l = place & ((1u << LAYER_BITS) - 1); l > 0; l--) {
        const int32_t *keys = (const int32_t *)tree->layer[l] + i;

        i += count4(keys, key) + count4(keys + LEAF, key) - 1;
        if (l > 1)
            i *= NODE;
    }
    leaf = (const struct leaf4 *)tree->leaves + i;
    return i * LEAF + count4(leaf[0].key, key) + count4(leaf[1].key, key) - 1;
}

struct match table_find4(const struct table *table, uint32_t ip)
{
    const struct tree *tree = &table->v4;
    const struct leaf4 *leaf;
    uint32_t value, start;
    struct match in;
    size_t i;

    if (tree->n == 0)
        return (struct match){.found = false};
    i = find4(tree, (int32_t)(ip ^ UINT32_C(0x80000000)), tree->index[ip >> tree->shift]);
    leaf = (const struct leaf4 *)tree->leaves + i / LEAF;
    value = leaf->value[i % LEAF];
    start = (uint32_t)leaf->key[i % LEAF] ^ UINT32_C(0x80000000);
    in = table->values[value >> 16];
    return ((start ^ ip) & ~ip4_host_mask(in.len)) == 0 ? in : table->values[value & 0xffff];
}

/* The last entry whose key is not above. */
static size_t find6(const struct tree *tree, uint64_t key, uint32_t place)
{
    size_t i = place >> LAYER_BITS;
    const struct leaf6 *leaf;

    if (key == UINT64_MAX)
        return tree->n - 1;
    for (unsigned l = place & ((1u << LAYER_BITS) - 1); l > 0; l--) {
        const uint64_t *keys = (const uint64_t *)tree->layer[l] + i;

        i += count6(keys, key) + count6(keys + LEAF, key) - 1;
        if (l > 1)
            i *= NODE;
    }
    leaf = (const struct leaf6 *)tree->leaves + i;
    return i * LEAF + count6(leaf[0].hi, key) + count6(leaf[1].hi, key) - 1;
}

static bool is_above(const struct leaf6 *leaves, size_t i, struct ip6 ip)
{
    return leaves[i / LEAF].hi[i % LEAF] == ip.hi && leaves[i / LEAF].lo[i % LEAF] > ip.lo;
}

/* Of entries that agree in the upper half, the last one that is not above the address. */
static size_t step_back(const struct leaf6 *leaves, size_t i, struct ip6 ip)
{
    size_t low = i, step = 1; /* entry i is above */

    for (;;) {
        low = low > step ? low - step : 0;
        if (!is_above(leaves, low, ip))
            break;
        step *= 2;
    }
    while (i - low > 1) { /* low is not above, i is */
        const size_t mid = low + (i - low) / 2;

        if (is_above(leaves, mid, ip))
            i = mid;
        else
            low = mid;
    }
    return low;
}

struct match table_find6(const struct table *table, struct ip6 ip)
{
    const struct tree *tree = &table->v6;
    const struct leaf6 *leaves = tree->leaves, *leaf;
    struct ip6 mask;
    struct match in;
    size_t i;

    if (tree->n == 0)
        return (struct match){.found = false};
    i = find6(tree, ip.hi, tree->index[ip.hi >> tree->shift]);
    if (is_above(leaves, i, ip))
        i = step_back(leaves, i, ip);
    leaf = &leaves[i / LEAF];
    in = table->values[leaf->value[i % LEAF] >> 16];
    mask = ip6_host_mask(in.len);
    if (((leaf->hi[i % LEAF] ^ ip.hi) & ~mask.hi) == 0 &&
        ((leaf->lo[i % LEAF] ^ ip.lo) & ~mask.lo) == 0)
        return in;
    return table->values[leaf->value[i % LEAF] & 0xffff];
}
