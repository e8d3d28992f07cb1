/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/geo.h - country and autonomous system of an address, of databases in
 * MaxMind's format, by libmaxminddb.
 *
 * The library maps a file, and the process dies of a mapped file that is cut short beneath it. So
 * what is mapped is a copy in memory, which nobody can write to.
 */
#ifndef IP_REPUTATION_GEO_H
#define IP_REPUTATION_GEO_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "address.h"
#include "lists.h"

#define GEO_BYTES_MAX (1024u << 20)

struct geo;

/** Whether the build has libmaxminddb. */
bool geo_is_built(void);

/**
 * @param country, asn  files; NULL: there is none
 * @return [give] NULL with a reason in ret_why
 */
struct geo *geo_open(const char *country, const char *asn, char ret_why[WHY_MAX]);
void geo_close(struct geo *geo);

/** "DE"; empty where it is not known. Valid as long as geo. No lock, no allocation. [any] */
struct spoe_span geo_country(const struct geo *geo, const struct spoe_value *ip);
/** @return 0: it is not known. [any] */
uint32_t geo_asn(const struct geo *geo, const struct spoe_value *ip);

#endif
