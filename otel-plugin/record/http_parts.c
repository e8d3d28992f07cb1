/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/record/http_parts.c - methods, hosts, ports, addresses. */
#include "record/http_parts.h"

#include <arpa/inet.h>
#include <string.h>

#include <spoe/util.h>

_Static_assert(HTTP_ADDRESS_MAX >= INET6_ADDRSTRLEN, "an address fits");

bool http_method_known(const char *list, struct spoe_span method)
{
    const char *word = list;

    if (method.n == 0)
        return false;
    for (const char *p = list;; p++) {
        if (*p != ',' && *p != '\0')
            continue;
        if ((size_t)(p - word) == method.n && memcmp(word, method.p, method.n) == 0)
            return true;
        if (*p == '\0')
            return false;
        word = p + 1;
    }
}

/* Digits of a port, 1 to 65535. */
static bool read_port(const char *p, size_t n, uint32_t *ret)
{
    uint32_t port = 0;

    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(p[i] - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    *ret = port;
    return true;
}

static bool never_in_host(char c)
{
    switch (c) {
    case '[':
    case ']':
    case '@':
    case '/':
    case ',': /* two hosts, or two lines of the header */
    case ' ':
    case '\t':
    case '\0':
        return true;
    default:
        return false;
    }
}

bool http_split_host(struct spoe_span text, struct spoe_span *ret_host, uint32_t *ret_port)
{
    const char *const end = text.n > 0 ? text.p + text.n : text.p;
    struct spoe_span host;
    const char *after;
    uint32_t port = 0;

    if (text.n == 0)
        return false;
    if (text.p[0] == '[') {
        const char *close = memchr(text.p, ']', text.n);

        if (close == NULL)
            return false;
        host = (struct spoe_span){text.p + 1, (size_t)(close - text.p - 1)};
        after = close + 1;
    } else {
        const char *colon = memchr(text.p, ':', text.n);

        after = colon != NULL ? colon : end;
        host = (struct spoe_span){text.p, (size_t)(after - text.p)};
    }
    if (host.n == 0)
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (never_in_host(host.p[i]))
            return false;
    if (after < end) {
        if (*after != ':')
            return false;
        after++;
        /* "name:" is a name without a port (RFC 3986, 3.2.3) */
        if (after < end && !read_port(after, (size_t)(end - after), &port))
            return false;
    }
    *ret_host = host;
    *ret_port = port;
    return true;
}

bool http_get_port(const struct spoe_value *value, int64_t *ret)
{
    uint32_t port;

    if (http_is_text(value)) {
        if (!read_port(value->u.s.p, value->u.s.n, &port))
            return false;
        *ret = port;
        return true;
    }
    return spoe_get_int(value, ret) && *ret > 0 && *ret <= 65535;
}

bool http_get_size(const struct spoe_value *value, int64_t *ret)
{
    int64_t n = 0;

    if (!http_is_text(value))
        return spoe_get_int(value, ret) && *ret >= 0;
    if (value->u.s.n == 0 || value->u.s.n > 18) /* 18 digits fit */
        return false;
    for (size_t i = 0; i < value->u.s.n; i++) {
        if (value->u.s.p[i] < '0' || value->u.s.p[i] > '9')
            return false;
        n = n * 10 + (value->u.s.p[i] - '0');
    }
    *ret = n;
    return true;
}

bool http_get_bool(const struct spoe_value *value, bool *ret)
{
    if (value->type == SPOE_T_BOOL) {
        *ret = value->u.b != 0;
        return true;
    }
    if (!http_is_text(value))
        return false;
    *ret = spoe_span_is(value->u.s, "1") || spoe_span_is(value->u.s, "true");
    return *ret || spoe_span_is(value->u.s, "0") || spoe_span_is(value->u.s, "false");
}

bool http_is_unknown(const struct spoe_value *value)
{
    return http_is_text(value) && value->u.s.n > 0 && value->u.s.p[0] == '<';
}

bool http_get_version(const struct spoe_value *value, char *buf, struct spoe_span *ret,
                      struct spoe_span *ret_old)
{
    int64_t major;

    if (spoe_get_int(value, &major)) {
        if (major < 2 || major > 9)
            return false;
        memcpy(buf, "0.0", HTTP_VERSION_MAX);
        buf[0] = (char)('0' + major);
        *ret_old = (struct spoe_span){buf, 3};
    } else if (http_is_text(value) && value->u.s.n > 0 && !http_is_unknown(value)) {
        *ret_old = value->u.s;
        if (ret_old->n > 5 && memcmp(ret_old->p, "HTTP/", 5) == 0)
            *ret_old = (struct spoe_span){ret_old->p + 5, ret_old->n - 5};
    } else {
        return false;
    }
    *ret = *ret_old;
    if (ret->n == 3 && ret->p[0] >= '2' && memcmp(ret->p + 1, ".0", 2) == 0)
        ret->n = 1;
    return true;
}

/* inet_ntop(3) goes through printf, which costs more than all else that is done for a request. */
static struct spoe_span ipv4_text(const uint8_t ip[4], char *buf)
{
    char *p = buf;

    for (int i = 0; i < 4; i++) {
        const unsigned n = ip[i];

        if (i > 0)
            *p++ = '.';
        if (n >= 100)
            *p++ = (char)('0' + n / 100);
        if (n >= 10)
            *p++ = (char)('0' + n / 10 % 10);
        *p++ = (char)('0' + n % 10);
    }
    return (struct spoe_span){buf, (size_t)(p - buf)};
}

bool http_get_address(const struct spoe_value *value, char *buf, struct spoe_span *ret)
{
    const char *text;

    switch (value->type) {
    case SPOE_T_IPV4:
        *ret = ipv4_text(value->u.ip4, buf);
        return true;
    case SPOE_T_IPV6:
        text = inet_ntop(AF_INET6, value->u.ip6, buf, HTTP_ADDRESS_MAX);
        break;
    case SPOE_T_STR:
    case SPOE_T_BIN:
        *ret = value->u.s;
        return ret->n > 0;
    default:
        return false;
    }
    if (text == NULL)
        return false;
    *ret = spoe_str(text);
    return true;
}
