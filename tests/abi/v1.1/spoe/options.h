/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/options.h - what the texts of options say: lists, URLs, addresses and prefixes. The host
 * checks options of these types with the same functions, so that a plugin's own call succeeds.
 * Inline, no allocation, no part of the ABI. Since 1.1.
 *
 *     struct spoe_span rest = spoe_config_str(host, cfg, NETWORKS), item;
 *     struct spoe_prefix prefix;
 *
 *     while (spoe_list_next(&rest, &item))
 *         if (spoe_prefix_parse(item, &prefix) == 1)
 *             ...
 */
#ifndef SPOE_OPTIONS_H
#define SPOE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <spoe/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- lists ------------------------------------------------------------------------------- */

static inline int spoe_is_blank_(char c)
{
    return c == ' ' || c == '\t';
}

/**
 * Take the next item of a list: what stands between commas, without the white space around it. A
 * comma at the end counts for nothing.
 * @param rest  in and out: what is left
 * @param ret   set on success only; empty where nothing stands between two commas
 * @return 1; 0 at the end
 */
static inline int spoe_list_next(struct spoe_span *rest, struct spoe_span *ret)
{
    const char *p = rest->p, *comma;
    size_t n = rest->n, item;

    while (n > 0 && spoe_is_blank_(*p)) {
        p++;
        n--;
    }
    if (n == 0) {
        rest->n = 0;
        return 0;
    }
    comma = (const char *)memchr(p, ',', n);
    item = comma != NULL ? (size_t)(comma - p) : n;
    ret->p = p;
    ret->n = item;
    while (ret->n > 0 && spoe_is_blank_(p[ret->n - 1]))
        ret->n--;
    item += comma != NULL;
    rest->p = p + item;
    rest->n = n - item;
    return 1;
}

/* ---- addresses --------------------------------------------------------------------------- */

static inline int spoe_ip4_parse_(const char *p, size_t n, uint8_t ret[4])
{
    unsigned part = 0, digits = 0, parts = 0;

    for (size_t i = 0; i <= n; i++) {
        if (i < n && p[i] >= '0' && p[i] <= '9') {
            if (digits++ > 0 && part == 0)
                return 0; /* a leading 0: octal to some */
            part = part * 10 + (unsigned)(p[i] - '0');
            if (part > 255)
                return 0;
        } else if (digits == 0 || parts == 4 || (i < n && p[i] != '.')) {
            return 0;
        } else {
            ret[parts++] = (uint8_t)part;
            part = digits = 0;
        }
    }
    return parts == 4;
}

static inline int spoe_hex_(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One group of an IPv6 address, or what is left of it as an IPv4 address.
 * @return bytes of the text that it takes; 0: it is none */
static inline size_t spoe_ip6_group_(const char *p, size_t n, uint8_t *to, size_t room,
                                     size_t *ret_bytes)
{
    unsigned v = 0;
    size_t digits = 0;

    while (digits < n && digits < 5 && spoe_hex_(p[digits]) >= 0)
        v = v << 4 | (unsigned)spoe_hex_(p[digits++]);
    if (digits < n && p[digits] == '.') {
        *ret_bytes = 4;
        return room >= 4 && spoe_ip4_parse_(p, n, to) ? n : 0;
    }
    if (digits == 0 || digits > 4 || room < 2)
        return 0;
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
    *ret_bytes = 2;
    return digits;
}

static inline int spoe_ip6_parse_(const char *p, size_t n, uint8_t ret[16])
{
    size_t i = 0, used = 0, gap = 17, bytes = 0, tail; /* gap 17: there is no "::" */

    memset(ret, 0, 16);
    if (n >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        i = 2;
    } else if (n == 0) {
        return 0;
    }
    while (i < n) {
        size_t taken = spoe_ip6_group_(p + i, n - i, ret + used, 16 - used, &bytes);

        if (taken == 0)
            return 0;
        i += taken;
        used += bytes;
        if (i == n)
            break;
        if (p[i++] != ':' || i == n)
            return 0;
        if (p[i] == ':') {
            if (gap <= 16)
                return 0;
            gap = used;
            i++;
        }
    }
    if (gap > 16)
        return used == 16;
    if (used == 16)
        return 0;
    tail = used - gap;
    memmove(ret + 16 - tail, ret + gap, tail);
    memset(ret + gap, 0, 16 - used);
    return 1;
}

/**
 * An address, IPv4 as four decimal numbers or IPv6 as RFC 4291 2.2 has it, without a zone.
 * @param ret  set on success only: of type SPOE_T_IPV4 or SPOE_T_IPV6
 * @return 1, or 0
 */
static inline int spoe_address_parse(struct spoe_span text, struct spoe_value *ret)
{
    struct spoe_value v;

    memset(&v, 0, sizeof v);
    if (spoe_ip4_parse_(text.p, text.n, v.u.ip4))
        v.type = SPOE_T_IPV4;
    else if (spoe_ip6_parse_(text.p, text.n, v.u.ip6))
        v.type = SPOE_T_IPV6;
    else
        return 0;
    *ret = v;
    return 1;
}

/* Addresses that begin alike. */
struct spoe_prefix {
    struct spoe_value address; /* the lowest of them */
    uint32_t bits;             /* 0 to 32 or 128 */
};

/**
 * An address and, behind a slash, how many bits of it count: 10.0.0.0/8. An address alone counts
 * whole.
 * @param ret  set unless 0 is returned
 * @return 1; 0 it is none; -1 the address has bits beyond those that count: *ret is without them
 */
static inline int spoe_prefix_parse(struct spoe_span text, struct spoe_prefix *ret)
{
    const char *slash = text.n > 0 ? (const char *)memchr(text.p, '/', text.n) : NULL;
    struct spoe_span address = text;
    struct spoe_prefix prefix;
    uint32_t size, bits = 0;
    uint8_t *bytes;
    int result = 1;

    if (slash != NULL)
        address.n = (size_t)(slash - text.p);
    if (!spoe_address_parse(address, &prefix.address))
        return 0;
    size = prefix.address.type == SPOE_T_IPV4 ? 4 : 16;
    bytes = prefix.address.type == SPOE_T_IPV4 ? prefix.address.u.ip4 : prefix.address.u.ip6;
    prefix.bits = size * 8;
    if (slash != NULL) {
        size_t digits = text.n - address.n - 1;

        if (digits == 0 || digits > 3 || (digits > 1 && slash[1] == '0'))
            return 0;
        for (size_t i = 1; i <= digits; i++) {
            if (slash[i] < '0' || slash[i] > '9')
                return 0;
            bits = bits * 10 + (uint32_t)(slash[i] - '0');
        }
        if (bits > size * 8)
            return 0;
        prefix.bits = bits;
    }
    for (uint32_t i = prefix.bits / 8; i < size; i++) {
        const uint8_t keep =
            (uint8_t)(i == prefix.bits / 8 ? 0xffu & ~(0xffu >> prefix.bits % 8) : 0u);

        if ((bytes[i] & ~keep) != 0)
            result = -1;
        bytes[i] &= keep;
    }
    *ret = prefix;
    return result;
}

/** Whether an address, as it comes in a slot, begins with the prefix. */
static inline int spoe_prefix_has(const struct spoe_prefix *prefix, const struct spoe_value *v)
{
    const uint8_t *a =
        prefix->address.type == SPOE_T_IPV4 ? prefix->address.u.ip4 : prefix->address.u.ip6;
    const uint8_t *b = v->type == SPOE_T_IPV4 ? v->u.ip4 : v->u.ip6;
    const uint32_t whole = prefix->bits / 8, rest = prefix->bits % 8;

    if (v->type != prefix->address.type || memcmp(a, b, whole) != 0)
        return 0;
    return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest) & 0xffu) == 0;
}

/* ---- URLs -------------------------------------------------------------------------------- */

/* The parts of a URL, views into its text; each may be empty but scheme and host. */
struct spoe_url {
    struct spoe_span scheme;   /* https */
    struct spoe_span userinfo; /* user:password */
    struct spoe_span host;     /* a name or an address, without the brackets of IPv6 */
    struct spoe_span port;     /* 1 to 65535 */
    struct spoe_span path;     /* with the query: /a?b */
};

/* What stands before the path. @return 1, or 0 */
static inline int spoe_url_authority_(const char *p, size_t n, struct spoe_url *url)
{
    uint32_t port = 0;
    size_t i, host = n;

    for (i = n; i > 0 && p[i - 1] != '@'; i--)
        ;
    url->userinfo.p = p;
    url->userinfo.n = i > 0 ? i - 1 : 0;
    p += i;
    n -= i;
    if (n > 0 && p[0] == '[') {
        struct spoe_value v;

        for (host = 1; host < n && p[host] != ']'; host++)
            ;
        url->host.p = p + 1;
        url->host.n = host - 1;
        if (host == n || !spoe_address_parse(url->host, &v) || v.type != SPOE_T_IPV6)
            return 0;
        host++;
    } else {
        for (host = 0; host < n && p[host] != ':'; host++)
            ;
        url->host.p = p;
        url->host.n = host;
    }
    url->port.p = p + host;
    url->port.n = 0;
    if (host == n)
        return url->host.n > 0;
    if (p[host] != ':' || n - host < 2 || n - host > 6)
        return 0;
    for (i = host + 1; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(p[i] - '0');
    }
    url->port.p = p + host + 1;
    url->port.n = n - host - 1;
    return url->host.n > 0 && port > 0 && port <= 65535;
}

/**
 * Split scheme://[user[:password]@]host[:port][/path][?query]. No white space, no fragment.
 * @param ret  set on success only
 * @return 1, or 0
 */
static inline int spoe_url_split(struct spoe_span text, struct spoe_url *ret)
{
    struct spoe_url url;
    const char *p = text.p;
    size_t i, start;

    memset(&url, 0, sizeof url);
    for (i = 0; i < text.n; i++) {
        if ((unsigned char)p[i] <= ' ' || p[i] == 0x7f || p[i] == '#')
            return 0;
    }
    for (i = 0;
         i < text.n &&
         ((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
          (i > 0 && ((p[i] >= '0' && p[i] <= '9') || p[i] == '+' || p[i] == '-' || p[i] == '.')));
         i++)
        ;
    if (i == 0 || text.n - i < 3 || memcmp(p + i, "://", 3) != 0)
        return 0;
    url.scheme.p = p;
    url.scheme.n = i;
    start = i + 3;
    for (i = start; i < text.n && p[i] != '/' && p[i] != '?'; i++)
        ;
    if (!spoe_url_authority_(p + start, i - start, &url))
        return 0;
    url.path.p = p + i;
    url.path.n = text.n - i;
    *ret = url;
    return 1;
}

#ifdef __cplusplus
}
#endif
#endif
