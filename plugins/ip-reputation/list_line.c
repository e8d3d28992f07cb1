/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/list_line.c - see list_line.h. */
#include "list_line.h"

#include <arpa/inet.h>
#include <string.h>

#define TEXT_MAX 64 /* the longest prefix has 49 bytes */

/* A decimal number of at most three digits, without anything around it. @return -1: it is none */
static int number(const char *text, size_t n)
{
    int value = 0;

    if (n == 0 || n > 3 || (n > 1 && text[0] == '0'))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

static int fail(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -1;
}

static int check_host_bits(const struct prefix *prefix, const char **ret_why)
{
    const struct ip6 mask =
        prefix->v4 ? (struct ip6){0, ip4_host_mask(prefix->len)} : ip6_host_mask(prefix->len);

    if ((prefix->ip.hi & mask.hi) != 0 || (prefix->ip.lo & mask.lo) != 0)
        return fail(ret_why, "address has bits set beyond the prefix's length");
    return 0;
}

int prefix_parse(const char *text, size_t n, struct prefix *ret, const char **ret_why)
{
    const char *slash = n != 0 ? memchr(text, '/', n) : NULL;
    const size_t n_address = slash != NULL ? (size_t)(slash - text) : n;
    char address[TEXT_MAX];
    uint8_t bytes[16];
    int len = -1;

    if (n_address == 0 || n_address >= sizeof address || memchr(text, '\0', n_address) != NULL)
        return fail(ret_why, "no address");
    memcpy(address, text, n_address);
    address[n_address] = '\0';
    if (inet_pton(AF_INET, address, bytes) == 1)
        *ret = (struct prefix){.v4 = true, .len = 32, .ip = {0, ip4_load(bytes)}};
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        *ret = (struct prefix){.len = 128, .ip = ip6_load(bytes)};
    else
        return fail(ret_why, "no address");
    if (slash != NULL) {
        len = number(slash + 1, n - n_address - 1);
        if (len < 0 || len > ret->len)
            return fail(ret_why, "bad length of a prefix");
        ret->len = (uint8_t)len;
    }
    if (!ret->v4 && ret->len >= 96 && ip6_is_mapped(ret->ip))
        *ret = (struct prefix){
            .v4 = true, .len = (uint8_t)(ret->len - 96), .ip = {0, ret->ip.lo & UINT32_MAX}};
    return check_host_bits(ret, ret_why);
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
