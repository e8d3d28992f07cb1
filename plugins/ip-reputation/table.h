/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/table.h - prefixes, and the longest one that an address is in.
 *
 * A static B+ tree: the starts of all prefixes, sorted, in leaves of 8, and above them the first
 * start of each leaf and of each 16 nodes, layer by layer. A lookup counts in each node how many
 * starts are not above the address, without a branch, and ends at the last prefix that starts at or
 * before it. Of all that contain the address this is the longest one, if it contains it; what
 * counts behind its end stands beside it, and where that changes before the next prefix an entry of
 * its own does. It does not begin at the top: an index by the address's first bits, with some
 * entries a place, says in which layer, and where: two neighbouring leaves at once, unless many
 * prefixes begin alike.
 *
 * Why this one: it takes some 9 bytes an entry for IPv4 and 22 for IPv6, whatever the
 * prefixes are, random or clustered, where tries (poptrie, DIR-24-8) and ranges below a first level
 * (DXR) depend on that; a leaf's values lie beside its keys, so that a lookup waits for one or two
 * far reads, the index's and the leaves'; and one piece of code serves both families. IPv6's keys
 * are the upper 64 bits; the few entries that agree in them are told apart in the leaves.
 *
 * Never changed once built, so that any number of threads may look.
 */
#ifndef IP_REPUTATION_TABLE_H
#define IP_REPUTATION_TABLE_H

#include "address.h"

#define TABLE_LISTS_MAX 256u

/* What an address is in: of which list the prefix is, and its length. */
struct match {
    uint16_t list;
    uint8_t len;
    bool found;
};

/* Prefixes in no order, while they are collected. Zero-initialised. */
struct prefix_set {
    uint64_t *v4; /* start << 32 | length << 16 | list */
    struct prefix6 *v6;
    size_t n4, n6, room4, room6;
    size_t max; /* of both; 0: no limit */
};

struct prefix6 {
    struct ip6 ip;
    uint16_t list;
    uint8_t len;
};

/** @return 0; -1: there are max; -2: out of memory */
int prefix_set_add(struct prefix_set *set, const struct prefix *prefix, uint16_t list);
void prefix_set_fini(struct prefix_set *set);

struct table;

/**
 * Build a table. Of two equal prefixes that of the list with the lower number counts.
 * @param set  is sorted
 * @return [give] NULL: out of memory
 */
struct table *table_create(struct prefix_set *set);
void table_destroy(struct table *table);

/** The longest prefix that the address is in. No lock, no allocation. [any] */
struct match table_find4(const struct table *table, uint32_t ip);
struct match table_find6(const struct table *table, struct ip6 ip);

/** What it takes. */
size_t table_bytes(const struct table *table);

#endif
