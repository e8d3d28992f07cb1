/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/haproxy_side.c - the rules of haproxy/auth-request.cfg, for
 * `spoe-host --print-haproxy-config`: they fail closed, and follow response-headers.
 */
#include "auth-request/haproxy_side.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "auth-request/auth.h"

struct out {
    spoe_haproxy_put *put;
    void *arg;
};

static void put_line(const struct out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_line(const struct out *out, const char *format, ...)
{
    char line[1024]; /* names and prefixes are far below that */
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    out->put(out->arg, line);
}

/* Headers of an answer that are for the client, not for the server. */
static bool is_for_the_client(const struct name *name)
{
    static const char *const names[] = {"www-authenticate", "location", "set-cookie"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name->text, names[i]) == 0)
            return true;
    }
    return false;
}

static void lines(void *inst, const struct spoe_haproxy_ask *ask, spoe_haproxy_put *put, void *arg)
{
    const struct auth_conf *conf = &((const struct auth *)inst)->conf;
    const struct out out = {put, arg};
    const char *p = ask->prefix;

    if (ask->place != SPOE_HAPROXY_FRONTEND || (ask->ways & SPOE_HAPROXY_BY_SPOE) == 0)
        return;
    if (names_find(&conf->from_service, "www-authenticate", 16) >= 0 && auth_conf_denies(conf, 401))
        put_line(&out,
                 "http-request return status 401 hdr WWW-Authenticate "
                 "\"%%[var(txn.%s.header_www_authenticate)]\" if !{ var(txn.%s.allowed) -m bool } "
                 "{ var(txn.%s.reason) -m str denied } { var(txn.%s.status) -m int 401 }",
                 p, p, p, p);
    put_line(&out,
             "http-request deny deny_status 403 if !{ var(txn.%s.allowed) -m bool } "
             "{ var(txn.%s.reason) -m str denied }",
             p, p);
    put_line(&out, "http-request deny deny_status 503 unless { var(txn.%s.allowed) -m bool }", p);
    for (size_t i = 0; i < conf->from_service.n; i++) {
        const struct name *name = &conf->from_service.item[i];

        if (is_for_the_client(name))
            continue;
        put_line(&out, "http-request del-header %s", name->text);
        put_line(&out,
                 "http-request set-header %s %%[var(txn.%s.%s)] if { var(txn.%s.%s) -m found }",
                 name->text, p, name->variable, p, name->variable);
    }
}

const struct spoe_haproxy auth_haproxy_side = {.size = sizeof auth_haproxy_side, .lines = lines};
