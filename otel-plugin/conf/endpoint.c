/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/conf/endpoint.c - see endpoint.h. */
#include "conf/endpoint.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <spoe/util.h>

#include "otlp/signals.h"
#include "record/http_parts.h"

const char *endpoint_error(const char *text)
{
    struct spoe_span host;
    uint32_t port;

    if (strlen(text) > ENDPOINT_MAX || !http_split_host(spoe_str(text), &host, &port))
        return "is not host:port nor [v6]:port";
    if (port == 0)
        return "has no port; OTLP/gRPC's usual one is 4317, OTLP/HTTP's 4318";
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* The path of a request: the URL's own, or with OTLP's behind it. */
static void set_path(const char *path, enum otlp_signal signal, enum endpoint_rule rule,
                     struct endpoint *ret)
{
    const char *traces = signal_names(SIGNAL_TRACES)->path;
    size_t n = strlen(path);

    if (rule == ENDPOINT_SIGNAL || (rule == ENDPOINT_OURS && n > 1)) {
        (void)snprintf(ret->path, sizeof ret->path, "%s", n > 0 ? path : "/");
        return;
    }
    if (rule == ENDPOINT_SHARED && ends_with(path, traces))
        n -= strlen(traces);
    if (n > 0 && path[n - 1] == '/')
        n--;
    (void)snprintf(ret->path, sizeof ret->path, "%.*s/%s", (int)n, path,
                   signal_names(signal)->path);
}

/* The path of the plugin's own endpoint is that of traces. @return whether it tells another one */
static bool is_foreign(const char *path, enum otlp_protocol protocol, enum endpoint_rule rule)
{
    return rule == ENDPOINT_SHARED && protocol == OTLP_HTTP && strlen(path) > 1 &&
           !ends_with(path, signal_names(SIGNAL_TRACES)->path);
}

static const char *read_host_port(enum otlp_signal signal, const char *text, struct endpoint *ret)
{
    const char *error = endpoint_error(text);

    if (error != NULL)
        return error;
    *ret = (struct endpoint){.scheme = ENDPOINT_NO_SCHEME};
    set_path("", signal, ENDPOINT_OURS, ret);
    (void)snprintf(ret->authority, sizeof ret->authority, "%s", text);
    return NULL;
}

/* ---- gRPC's targets ------------------------------------------------------------------------ */

#define UNIX_PATH_MAX 107u /* sun_path without its NUL */

static bool has_port(const char *p, size_t n)
{
    struct spoe_span host;
    uint32_t port;

    return http_split_host((struct spoe_span){p, n}, &host, &port) && port != 0;
}

/* The part behind the scheme. @return NULL, or what is wrong with it */
static const char *check_dns(const char *rest)
{
    if (strncmp(rest, "//", 2) == 0) {
        rest = strchr(rest + 2, '/');
        if (rest == NULL)
            return "is not dns:///host:port";
        rest++;
    }
    return has_port(rest, strlen(rest)) ? NULL : "has no host, or no port";
}

static const char *check_unix(const char *rest)
{
    if (strncmp(rest, "//", 2) == 0) {
        rest += 2;
        if (*rest != '/')
            return "is not unix:///path, nor unix:path";
    }
    if (*rest == '\0')
        return "has no path";
    return strlen(rest) <= UNIX_PATH_MAX ? NULL : "has a path that is too long for a socket";
}

static const char *check_addresses(const char *rest)
{
    for (;;) {
        const size_t n = strcspn(rest, ",");

        if (!has_port(rest, n))
            return "has an address without a port";
        if (rest[n] == '\0')
            return NULL;
        rest += n + 1;
    }
}

static const struct {
    const char *scheme;
    const char *(*check)(const char *rest);
} targets[] = {{"dns:", check_dns},
               {"unix:", check_unix},
               {"unix-abstract:", check_unix},
               {"ipv4:", check_addresses},
               {"ipv6:", check_addresses}};

/* The part of a target behind its scheme. @return NULL: it is none; a host may have such a name */
static const char *target_rest(const char *text, size_t *ret_i)
{
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        const size_t n = strlen(targets[i].scheme);

        if (strncasecmp(text, targets[i].scheme, n) == 0 &&
            strspn(text + n, "0123456789") < strlen(text + n)) {
            *ret_i = i;
            return text + n;
        }
    }
    return NULL;
}

static const char *read_target(enum otlp_signal signal, const char *text,
                               enum otlp_protocol protocol, const char *rest, size_t i,
                               struct endpoint *ret)
{
    const char *error;

    if (protocol != OTLP_GRPC)
        return "is a target of gRPC; with http/protobuf it is host:port or a URL";
    if (strlen(text) > ENDPOINT_MAX)
        return "is too long";
    error = targets[i].check(rest);
    if (error != NULL)
        return error;
    *ret = (struct endpoint){.scheme = ENDPOINT_NO_SCHEME};
    set_path("", signal, ENDPOINT_OURS, ret);
    (void)snprintf(ret->authority, sizeof ret->authority, "%s", text);
    return NULL;
}

/* ---- all of them --------------------------------------------------------------------------- */

const char *endpoint_read(enum otlp_signal signal, const char *text, enum otlp_protocol protocol,
                          enum endpoint_rule rule, struct endpoint *ret)
{
    const char *authority = text, *path;
    struct spoe_span host, span;
    struct endpoint endpoint = {.scheme = ENDPOINT_NO_SCHEME};
    uint32_t port;
    size_t i;

    path = target_rest(text, &i);
    if (path != NULL)
        return read_target(signal, text, protocol, path, i, ret);
    if ((rule == ENDPOINT_OURS || rule == ENDPOINT_SHARED) && strstr(text, "://") == NULL)
        return read_host_port(signal, text, ret);
    if (strlen(text) > ENDPOINT_MAX)
        return "is too long";
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return "has a byte that a URL cannot have";
    }
    if (strncasecmp(text, "http://", 7) == 0)
        endpoint.scheme = ENDPOINT_HTTP;
    else if (strncasecmp(text, "https://", 8) == 0)
        endpoint.scheme = ENDPOINT_HTTPS;
    else if (strstr(text, "://") != NULL)
        return "has a scheme other than http and https";
    else if (protocol != OTLP_GRPC)
        return "is not a URL with scheme http or https";
    if (endpoint.scheme != ENDPOINT_NO_SCHEME)
        authority = strstr(text, "://") + 3;
    if (strpbrk(authority, "?#") != NULL)
        return "has a query or a fragment";
    path = authority + strcspn(authority, "/");
    span = (struct spoe_span){authority, (size_t)(path - authority)};
    if (!http_split_host(span, &host, &port))
        return "has no host, or one that is not name:port nor [v6]:port";
    if (port == 0 && endpoint.scheme == ENDPOINT_NO_SCHEME)
        return "has neither a scheme nor a port";
    if (port == 0)
        port = endpoint.scheme == ENDPOINT_HTTPS ? 443 : 80;
    (void)snprintf(endpoint.authority, sizeof endpoint.authority, "%s%.*s%s:%u",
                   *authority == '[' ? "[" : "", (int)host.n, host.p, *authority == '[' ? "]" : "",
                   (unsigned)port);
    if (is_foreign(path, protocol, rule))
        return "has a path, which is that for traces; other signals need an endpoint of their own";
    set_path(path, signal, rule, &endpoint);
    *ret = endpoint;
    return NULL;
}

const char *endpoint_lookup_error(const char *authority)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    struct spoe_span host;
    char name[ENDPOINT_MAX + 1];
    uint32_t port;
    int error;

    if (!http_split_host(spoe_str(authority), &host, &port) || host.n >= sizeof name)
        return "is not host:port";
    memcpy(name, host.p, host.n);
    name[host.n] = '\0';
    error = getaddrinfo(name, NULL, &hints, &list);
    if (error != 0)
        return gai_strerror(error);
    freeaddrinfo(list);
    return NULL;
}
