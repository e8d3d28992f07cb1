/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/conf.c - see conf.h. */
#include "auth-request/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <spoe/options.h>
#include <spoe/util.h>

#define MS INT64_C(1000000)
#define HOUR (INT64_C(3600000) * MS)
#define MIB INT64_C(1048576)

#define OPTION(key_, variable, ...)                                                                \
    &(const struct spoe_option)                                                                    \
    {                                                                                              \
        .size = sizeof(struct spoe_option), .key = (key_),                                         \
        .env = (const char *const[]){"AUTH_REQUEST_" variable, NULL}, __VA_ARGS__                  \
    }

/* In the order of the enums that they become. */
static const char *const fail_choices[] = {"closed", "open", NULL};
static const char *const http_choices[] = {
    [HTTP_AUTO] = "auto", [HTTP_1_1] = "1.1", [HTTP_2] = "2", NULL};
static const char *const send_words[] = {"method", "uri",   "path",
                                         "host",   "proto", "client-address"};

const struct spoe_option *const auth_options[OPT_COUNT + 1] = {
    [OPT_URL] =
        OPTION("url", "URL", .type = SPOE_OPT_URL, .flags = SPOE_OPTION_REQUIRED,
               .help = "the service to ask: `http://` or `https://`, without user and password"),
    [OPT_SEND] = OPTION("send", "SEND", .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_LIST,
                        .default_text = "method, uri, host, proto, client-address",
                        .help = "what of the request is sent: `method`, `uri` or `path`, `host`, "
                                "`proto`, `client-address`"),
    [OPT_REQUEST_HEADERS] = OPTION(
        "request-headers", "REQUEST_HEADERS", .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_LIST,
        .default_text = "authorization, cookie",
        .help =
            "headers of the request that are sent as they are. Up to 64 names of up to 57 bytes"),
    [OPT_RESPONSE_HEADERS] =
        OPTION("response-headers", "RESPONSE_HEADERS", .type = SPOE_OPT_STRING,
               .flags = SPOE_OPTION_LIST, .default_text = "",
               .help = "headers of the answer that become variables, `header_NAME`. Up to 64 names "
                       "of up to 57 bytes"),
    [OPT_DENY_STATUS] =
        OPTION("deny-status", "DENY_STATUS", .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_LIST,
               .default_text = "401, 403",
               .help = "statuses by which the service says no; 2xx is yes, others are failures. Up "
                       "to 16, from 300 to 599"),
    [OPT_FAIL] = OPTION("fail", "FAIL", .type = SPOE_OPT_ENUM, .default_text = "closed",
                        .choices = fail_choices,
                        .help = "what holds without an answer: `closed`, denied; `open`, allowed"),
    [OPT_TIMEOUT] =
        OPTION("timeout", "TIMEOUT", .type = SPOE_OPT_DURATION, .default_text = "500ms", .min = MS,
               .max = 60000 * MS,
               .help = "how long to wait for an answer. Keep it below `processing-timeout`"),
    [OPT_MAX_IN_FLIGHT] =
        OPTION("max-in-flight", "MAX_IN_FLIGHT", .type = SPOE_OPT_INT, .default_text = "1024",
               .min = 1, .max = 1000000, .help = "questions under way, of all workers together"),
    [OPT_MAX_IN_FLIGHT_BYTES] =
        OPTION("max-in-flight-bytes", "MAX_IN_FLIGHT_BYTES", .type = SPOE_OPT_SIZE,
               .default_text = "32m", .min = 65536, .max = 1024 * MIB,
               .help = "bytes of questions under way and their answers, of all workers together"),
    [OPT_CONNECTIONS] =
        OPTION("connections", "CONNECTIONS", .type = SPOE_OPT_INT, .default_text = "64", .min = 1,
               .max = 10000, .help = "connections to the service, of all workers together"),
    [OPT_COALESCE] = OPTION("coalesce", "COALESCE", .type = SPOE_OPT_BOOL, .default_text = "on",
                            .help = "while a question is under way, further requests with the same "
                                    "question wait for its answer"),
    [OPT_CACHE_TTL] =
        OPTION("cache-ttl", "CACHE_TTL", .type = SPOE_OPT_DURATION, .default_text = "0", .min = 0,
               .max = 24 * HOUR, .help = "how long a yes is kept; 0: ask each time"),
    [OPT_CACHE_DENY_TTL] =
        OPTION("cache-deny-ttl", "CACHE_DENY_TTL", .type = SPOE_OPT_DURATION, .default_text = "0",
               .min = 0, .max = 24 * HOUR, .help = "how long a no is kept; 0: ask each time"),
    [OPT_CACHE_ENTRIES] =
        OPTION("cache-entries", "CACHE_ENTRIES", .type = SPOE_OPT_INT, .default_text = "10000",
               .min = 1, .max = 1000000, .help = "answers that are kept, of all workers together"),
    [OPT_CACHE_BYTES] = OPTION("cache-bytes", "CACHE_BYTES", .type = SPOE_OPT_SIZE,
                               .default_text = "16m", .min = 4096, .max = 4096 * MIB,
                               .help = "bytes of kept answers, of all workers together"),
    [OPT_HTTP_VERSION] = OPTION(
        "http-version", "HTTP_VERSION", .type = SPOE_OPT_ENUM, .default_text = "auto",
        .choices = http_choices,
        .help =
            "`auto`: HTTP/2 if TLS agrees on it, else 1.1; `1.1`; `2`: also without TLS. The last "
            "takes libcurl 8.0: Debian 12 has 7.88, which cannot use such a connection again"),
    [OPT_TLS_CA] = OPTION("tls-ca", "TLS_CA", .type = SPOE_OPT_PATH,
                          .help = "PEM file of the CAs to trust, in place of the system's"),
    [OPT_TLS_CERT] =
        OPTION("tls-cert", "TLS_CERT", .type = SPOE_OPT_PATH,
               .help = "PEM file of the client's certificate. Read anew for each connection"),
    [OPT_TLS_KEY] =
        OPTION("tls-key", "TLS_KEY", .type = SPOE_OPT_PATH, .flags = SPOE_OPTION_SECRET_FILE,
               .help = "PEM file of the key of `tls-cert`. Read anew for each connection. One that "
                       "every user may read is a warning"),
    [OPT_SOURCE_ADDRESS] = OPTION(
        "source-address", "SOURCE_ADDRESS", .type = SPOE_OPT_ADDRESS,
        .help = "address of this machine that connections to the service come from. Of the family "
                "that `url` has"),
    NULL,
};

/* One reading of the options. */
struct reading {
    const struct spoe_host *host;
    struct spoe_config *cfg;
    spoe_status status;
};

static const struct spoe_value *value_of(const struct reading *r, enum auth_option option)
{
    return &r->host->config_get(r->cfg, option)->value;
}

static void reject(struct reading *r, enum auth_option option, const char *text)
{
    r->host->config_error(r->cfg, option, spoe_str(text));
    r->status = SPOE_E_CONFIG;
}

static struct spoe_span text_of(const struct reading *r, enum auth_option option)
{
    const struct spoe_value *value = value_of(r, option);

    return value->type == SPOE_T_STR ? value->u.s : (struct spoe_span){0};
}

/* @return [give] NULL: it is not set */
static char *copy_text(struct reading *r, enum auth_option option)
{
    const struct spoe_span text = text_of(r, option);
    char *copy;

    if (text.n == 0)
        return NULL;
    copy = strndup(text.p, text.n);
    if (copy == NULL)
        r->status = SPOE_E_NOMEM;
    return copy;
}

static void read_names(struct reading *r, enum auth_option option, struct names *ret)
{
    char why[160];

    if (names_parse(ret, text_of(r, option), why, sizeof why) != 0)
        reject(r, option, why);
}

/* Two headers whose variable is the same, as of X-User and X_User: one would pass for the other. */
static void check_variables(struct reading *r, const struct names *names)
{
    char why[200];

    for (size_t i = 0; i < names->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names->item[i].variable, names->item[j].variable) != 0)
                continue;
            (void)snprintf(why, sizeof why, "%s and %s would be the same variable",
                           names->item[j].text, names->item[i].text);
            reject(r, OPT_RESPONSE_HEADERS, why);
        }
    }
}

/* What would change the question's frame on the wire, or say what is for the plugin to say. */
static void check_sent(struct reading *r, const struct names *names)
{
    static const char *const refused[] = {
        "connection",        "content-length",    "expect",           "host",
        "http2-settings",    "keep-alive",        "proxy-connection", "te",
        "trailer",           "transfer-encoding", "upgrade",          "x-original-method",
        "x-original-uri",    "x-forwarded-for",   "x-forwarded-host", "x-forwarded-method",
        "x-forwarded-proto", "x-forwarded-uri",   "x-real-ip",
    };
    char why[160];

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (names_find(names, refused[i], strlen(refused[i])) < 0)
            continue;
        (void)snprintf(why, sizeof why, "%s cannot be sent on as the client has it", refused[i]);
        reject(r, OPT_REQUEST_HEADERS, why);
    }
}

static unsigned read_send(struct reading *r)
{
    struct spoe_span list = text_of(r, OPT_SEND), word;
    unsigned send = 0;

    while (spoe_list_next(&list, &word)) {
        size_t i = 0;

        while (i < sizeof send_words / sizeof send_words[0] && !spoe_span_is(word, send_words[i]))
            i++;
        if (i == sizeof send_words / sizeof send_words[0])
            reject(r, OPT_SEND, "only method, uri, path, host, proto and client-address");
        else
            send |= 1u << i;
    }
    if ((send & SEND_URI) != 0 && (send & SEND_PATH) != 0)
        reject(r, OPT_SEND, "uri or path, not both");
    return send;
}

static void read_deny_status(struct reading *r, struct auth_conf *ret)
{
    struct spoe_span list = text_of(r, OPT_DENY_STATUS), word;

    while (spoe_list_next(&list, &word)) {
        unsigned status = 0;

        for (size_t i = 0; i < word.n && word.n == 3; i++)
            status = word.p[i] >= '0' && word.p[i] <= '9'
                         ? status * 10 + (unsigned)(word.p[i] - '0')
                         : 1000;
        if (status < 300 || status > 599 || ret->n_deny_status == DENY_STATUS_MAX) {
            reject(r, OPT_DENY_STATUS, "at most 16 statuses from 300 to 599");
            return;
        }
        ret->deny_status[ret->n_deny_status++] = (uint16_t)status;
    }
}

static void check_file(struct reading *r, enum auth_option option, const char *path)
{
    char why[300];

    if (path == NULL || access(path, R_OK) == 0)
        return;
    (void)snprintf(why, sizeof why, "cannot read %.200s: %s", path, strerror(errno));
    reject(r, option, why);
}

static void read_tls(struct reading *r, struct auth_conf *ret)
{
    ret->tls_ca = copy_text(r, OPT_TLS_CA);
    ret->tls_cert = copy_text(r, OPT_TLS_CERT);
    ret->tls_key = copy_text(r, OPT_TLS_KEY);
    check_file(r, OPT_TLS_CA, ret->tls_ca);
    check_file(r, OPT_TLS_CERT, ret->tls_cert);
    check_file(r, OPT_TLS_KEY, ret->tls_key);
    if (r->status == SPOE_OK && (ret->tls_cert == NULL) != (ret->tls_key == NULL))
        reject(r, ret->tls_cert == NULL ? OPT_TLS_KEY : OPT_TLS_CERT,
               "tls-cert and tls-key belong together");
}

/* As libcurl has it: "host!" says that it is no name of an interface. */
static void read_source(struct reading *r, struct auth_conf *ret)
{
    const struct spoe_value v = spoe_config_address(r->host, r->cfg, OPT_SOURCE_ADDRESS);
    char text[INET6_ADDRSTRLEN];

    if (v.type == SPOE_T_NULL ||
        inet_ntop(v.type == SPOE_T_IPV4 ? AF_INET : AF_INET6, &v.u, text, sizeof text) == NULL)
        return;
    if (asprintf(&ret->source, "host!%s", text) < 0) {
        ret->source = NULL;
        r->status = SPOE_E_NOMEM;
    }
}

spoe_status auth_conf_read(const struct spoe_host *host, struct spoe_config *cfg,
                           struct auth_conf *ret)
{
    struct reading r = {.host = host, .cfg = cfg, .status = SPOE_OK};

    *ret = (struct auth_conf){0};
    ret->url = copy_text(&r, OPT_URL);
    ret->send = read_send(&r);
    read_names(&r, OPT_REQUEST_HEADERS, &ret->to_service);
    read_names(&r, OPT_RESPONSE_HEADERS, &ret->from_service);
    check_sent(&r, &ret->to_service);
    check_variables(&r, &ret->from_service);
    read_deny_status(&r, ret);
    ret->fail_open = value_of(&r, OPT_FAIL)->u.u32 == 1;
    ret->coalesce = value_of(&r, OPT_COALESCE)->u.b != 0;
    /* A cookie that is made for one client is for no other. */
    if (names_find(&ret->from_service, "set-cookie", sizeof "set-cookie" - 1) >= 0)
        ret->coalesce = false;
    ret->timeout_ns = value_of(&r, OPT_TIMEOUT)->u.i64;
    ret->ttl_ns = value_of(&r, OPT_CACHE_TTL)->u.i64;
    ret->deny_ttl_ns = value_of(&r, OPT_CACHE_DENY_TTL)->u.i64;
    ret->in_flight = (uint64_t)value_of(&r, OPT_MAX_IN_FLIGHT)->u.i64;
    ret->in_flight_bytes = value_of(&r, OPT_MAX_IN_FLIGHT_BYTES)->u.u64;
    ret->connections = (uint64_t)value_of(&r, OPT_CONNECTIONS)->u.i64;
    ret->cache_entries = (uint64_t)value_of(&r, OPT_CACHE_ENTRIES)->u.i64;
    ret->cache_bytes = value_of(&r, OPT_CACHE_BYTES)->u.u64;
    ret->http_version = (enum http_version)value_of(&r, OPT_HTTP_VERSION)->u.u32;
    read_tls(&r, ret);
    read_source(&r, ret);
    ret->patience_ns = host->config_timeout_ns(cfg, 0);
    return r.status;
}

void auth_conf_fini(struct auth_conf *conf)
{
    free(conf->url);
    free(conf->tls_ca);
    free(conf->tls_cert);
    free(conf->tls_key);
    free(conf->source);
    names_fini(&conf->to_service);
    names_fini(&conf->from_service);
    *conf = (struct auth_conf){0};
}

bool auth_conf_denies(const struct auth_conf *conf, unsigned status)
{
    for (size_t i = 0; i < conf->n_deny_status; i++) {
        if (conf->deny_status[i] == status)
            return true;
    }
    return false;
}
