/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/list_line.c - see list_line.h. */
#include "list_line.h"

#include <string.h>

#include <spoe/options.h>

static int fail(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -1;
}

int prefix_parse(const char *text, size_t n, struct prefix *ret, const char **ret_why)
{
    const char *slash = n != 0 ? memchr(text, '/', n) : NULL;
    const struct spoe_span address = {text, slash != NULL ? (size_t)(slash - text) : n};
    struct spoe_prefix prefix;
    struct spoe_value only;
    const int result = spoe_prefix_parse((struct spoe_span){text, n}, &prefix);

    if (result < 0)
        return fail(ret_why, "address has bits set beyond the prefix's length");
    if (result == 0)
        return fail(ret_why,
                    spoe_address_parse(address, &only) ? "bad length of a prefix" : "no address");
    if (prefix.address.type == SPOE_T_IPV4)
        *ret = (struct prefix){.v4 = true, .ip = {0, ip4_load(prefix.address.u.ip4)}};
    else
        *ret = (struct prefix){.ip = ip6_load(prefix.address.u.ip6)};
    ret->len = (uint8_t)prefix.bits;
    if (!ret->v4 && ret->len >= 96 && ip6_is_mapped(ret->ip))
        *ret = (struct prefix){
            .v4 = true, .len = (uint8_t)(ret->len - 96), .ip = {0, ret->ip.lo & UINT32_MAX}};
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int list_line_parse(const char *line, size_t n, struct prefix *ret, const char **ret_why)
{
    size_t begin = 0, end;

    if (n > LIST_LINE_MAX)
        return fail(ret_why, "line too long");
    while (begin < n && is_blank(line[begin]))
        begin++;
    for (end = begin; end < n && line[end] != '#' && line[end] != ';'; end++)
        ;
    while (end > begin && is_blank(line[end - 1]))
        end--;
    if (end == begin)
        return 0;
    return prefix_parse(line + begin, end - begin, ret, ret_why) == 0 ? 1 : -1;
}
