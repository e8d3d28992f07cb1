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
#define FD_PREFIX "fd:"
#define FD_NAME_BYTES_MAX 255u /* FileDescriptorName= of systemd.socket(5) */
#define STR(x) STR_(x)
#define STR_(x) #x

void listen_fini(struct host_listen *listen)
{
    free(listen->text);
    free(listen->host);
    free(listen->port);
    free(listen->path);
    free(listen->fd_name);
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

static int check_fd_name(const char *name, struct error *reterr)
{
    const size_t n = strlen(name);

    if (n == 0 || n > FD_NAME_BYTES_MAX)
        return error_set(reterr, "a name of 1 to 255 characters comes after fd:");
    for (size_t i = 0; i < n; i++) {
        if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
            return error_set(reterr, "the name after fd: has no white space, no : and ASCII alone");
    }
    return 0;
}

/* What is behind a prefix. @return NULL: it is not there */
static const char *after(const char *item, const char *prefix)
{
    const size_t n = strlen(prefix);

    return strncmp(item, prefix, n) == 0 ? item + n : NULL;
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
            return error_set(reterr, "expected HOST:PORT, [IPV6]:PORT, *:PORT, unix:/PATH "
                                     "or fd:NAME");
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
    const char *path = after(item, UNIX_PREFIX), *fd_name = after(item, FD_PREFIX);
    struct host_listen listen = {.text = NULL};
    struct spoe_span host = {NULL, 0};
    const char *port = NULL;
    int result;
    bool ok;

    if (path != NULL)
        result = check_path(path, reterr);
    else if (fd_name != NULL)
        result = check_fd_name(fd_name, reterr);
    else
        result = split_tcp(item, &host, &port, reterr);
    if (result != 0)
        return 1;
    assert(path != NULL || fd_name != NULL || port != NULL);
    listen.text = strdup(item);
    ok = listen.text != NULL;
    if (fd_name != NULL)
        ok = ok && (listen.fd_name = strdup(fd_name)) != NULL;
    else if (path != NULL)
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
