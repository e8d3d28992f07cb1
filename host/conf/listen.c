/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/listen.c - see listen.h. */
#include "conf/listen.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/value.h"

#define PORT_MAX 65535
#define HOST_NAME_BYTES_MAX 253u /* RFC 1035 2.3.4, as text */
#define UNIX_PREFIX "unix:"
#define STR(x) STR_(x)
#define STR_(x) #x

void listen_fini(struct host_listen *listen)
{
    free(listen->text);
    free(listen->host);
    free(listen->port);
    free(listen->path);
    *listen = (struct host_listen){.text = NULL};
}

static bool port_is_valid(const char *port)
{
    int64_t v = 0;

    return value_parse_int(port, &v) == VALUE_OK && port[0] != '-' && v <= PORT_MAX;
}

static bool name_is_valid(const char *name, size_t n)
{
    if (n > HOST_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* An IPv6 address, with a zone ("fe80::1%eth0") or without. */
static bool ipv6_is_valid(const char *text, size_t n)
{
    const char *zone = memchr(text, '%', n);
    const size_t len = zone != NULL ? (size_t)(zone - text) : n;
    char address[INET6_ADDRSTRLEN];
    struct in6_addr in6;

    if (len >= sizeof address || (zone != NULL && len + 1 == n))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &in6) == 1;
}

static int check_path(const char *path, struct error *reterr)
{
    if (path[0] != '/')
        return error_set(reterr, "the path of a socket begins with /");
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return error_set(reterr, "the path of a socket has at most 107 bytes");
    return 0;
}

/* Split HOST:PORT. *ret_host is empty for all addresses. @return 0; -1 with *reterr */
static int split_tcp(const char *item, struct spoe_span *ret_host, const char **ret_port,
                     struct error *reterr)
{
    const char *host = item;
    const char *colon = strrchr(item, ':');
    size_t n;

    if (item[0] == '[') {
        const char *end = strchr(item, ']');

        if (end == NULL || end[1] != ':')
            return error_set(reterr, "expected [IPV6]:PORT");
        host = item + 1;
        colon = end + 1;
        n = (size_t)(end - host);
        if (!ipv6_is_valid(host, n))
            return error_set(reterr, "not an IPv6 address between [ and ]");
    } else {
        if (colon == NULL)
            return error_set(reterr, "expected HOST:PORT, [IPV6]:PORT, *:PORT or unix:/PATH");
        n = (size_t)(colon - host);
        if (memchr(host, ':', n) != NULL)
            return error_set(reterr, "an IPv6 address stands in brackets, as in [::1]:12345");
        if (n == 1 && host[0] == '*')
            n = 0;
        else if (!name_is_valid(host, n))
            return error_set(reterr, "not an address or a host name before the port");
    }
    if (!port_is_valid(colon + 1))
        return error_set(reterr, "the port is a number from 0 to " STR(PORT_MAX));
    *ret_host = (struct spoe_span){host, n};
    *ret_port = colon + 1;
    return 0;
}

int listen_parse(const char *item, struct host_listen *ret, struct error *reterr)
{
    const bool is_unix = strncmp(item, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
    const char *path = is_unix ? item + strlen(UNIX_PREFIX) : NULL;
    struct host_listen listen = {.text = NULL};
    struct spoe_span host = {NULL, 0};
    const char *port = NULL;
    bool ok;

    if ((is_unix ? check_path(path, reterr) : split_tcp(item, &host, &port, reterr)) != 0)
        return 1;
    assert(is_unix || port != NULL);
    listen.text = strdup(item);
    ok = listen.text != NULL;
    if (is_unix)
        ok = ok && (listen.path = strdup(path)) != NULL;
    else
        ok = ok && (listen.port = strdup(port)) != NULL;
    if (host.n != 0)
        ok = ok && (listen.host = strndup(host.p, host.n)) != NULL;
    if (!ok) {
        listen_fini(&listen);
        return -1;
    }
    *ret = listen;
    return 0;
}
