/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/geo_none.c - geo.h in a build without libmaxminddb. */
#include <stdio.h>

#include "geo.h"

bool geo_is_built(void)
{
    return false;
}

struct geo *geo_open(const char *country, const char *asn, char ret_why[WHY_MAX])
{
    (void)country;
    (void)asn;
    (void)snprintf(ret_why, WHY_MAX, "built without libmaxminddb");
    return NULL;
}

void geo_close(struct geo *geo)
{
    (void)geo;
}

struct spoe_span geo_country(const struct geo *geo, const struct spoe_value *ip)
{
    (void)geo;
    (void)ip;
    return (struct spoe_span){NULL, 0};
}

uint32_t geo_asn(const struct geo *geo, const struct spoe_value *ip)
{
    (void)geo;
    (void)ip;
    return 0;
}
