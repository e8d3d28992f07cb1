/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/mirror/conf.c - see conf.h. */
#include "mirror/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <spoe/util.h>

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)
#define MIB INT64_C(1048576)

enum {
    URL,
    SHARE,
    SEND_CUT,
    SET_HEADERS,
    REMOVE_HEADERS,
    HOST,
    MARKER,
    QUEUE,
    MEMORY,
    CONCURRENCY,
    QUEUE_TIME,
    CONNECT_TIMEOUT,
    TIMEOUT,
    RESPONSE_MAX,
    HTTP,
    CA,
    CERT,
    KEY,
    VERIFY,
    INTERFACE,
    LOCAL_PORT,
    LOCAL_PORT_RANGE,
};

/* In the order of the enum that they become. */
static const char *const http_choices[] = {"auto", "1.1", "2", NULL};

const struct spoe_option *const mirror_options[] = {
    [URL] = SPOE_OPTION(
        "url", .type = SPOE_OPT_URL, .flags = SPOE_OPTION_REQUIRED, .env = SPOE_TEXTS("MIRROR_URL"),
        .help = "the second origin: http or https, host, port; a path is put before every path"),
    [SHARE] = SPOE_OPTION("share", .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_RELOADABLE,
                          .default_text = "100", .env = SPOE_TEXTS("MIRROR_SHARE"),
                          .help = "percent of the requests that are repeated, as `0.5` or `20`"),
    [SEND_CUT] =
        SPOE_OPTION("send-cut-bodies", .type = SPOE_OPT_BOOL, .flags = SPOE_OPTION_RELOADABLE,
                    .default_text = "off", .env = SPOE_TEXTS("MIRROR_SEND_CUT_BODIES"),
                    .help = "repeat requests of whose body HAProxy had only the beginning. "
                            "`Content-Length` is what is sent"),
    [SET_HEADERS] =
        SPOE_OPTION("set-headers", .type = SPOE_OPT_STRING, .env = SPOE_TEXTS("MIRROR_SET_HEADERS"),
                    .help = "headers to set: `Name: value, Name: value`. In place of the request's "
                            "own of that name; a comma in a value is `\\,`"),
    [REMOVE_HEADERS] =
        SPOE_OPTION("remove-headers", .type = SPOE_OPT_STRING, .flags = SPOE_OPTION_LIST,
                    .env = SPOE_TEXTS("MIRROR_REMOVE_HEADERS"),
                    .help = "names of headers to leave out. `x-internal-*` is all that begin so"),
    [HOST] = SPOE_OPTION("host", .type = SPOE_OPT_STRING, .env = SPOE_TEXTS("MIRROR_HOST"),
                         .help = "the `Host` header, in place of the request's own"),
    [MARKER] = SPOE_OPTION("marker", .type = SPOE_OPT_STRING, .default_text = "X-Mirror: 1",
                           .env = SPOE_TEXTS("MIRROR_MARKER"),
                           .help = "a header that marks what is repeated. A request that has it "
                                   "already is not repeated again. Empty: none"),
    [QUEUE] = SPOE_OPTION("queue", .type = SPOE_OPT_INT, .default_text = "1000", .min = 1,
                          .max = 1000000, .env = SPOE_TEXTS("MIRROR_QUEUE"),
                          .help = "requests that wait for their turn at most"),
    [MEMORY] = SPOE_OPTION("memory", .type = SPOE_OPT_SIZE, .default_text = "32m", .min = 65536,
                           .max = 65536 * MIB, .env = SPOE_TEXTS("MIRROR_MEMORY"),
                           .help = "memory of requests that wait or are under way at most"),
    [CONCURRENCY] =
        SPOE_OPTION("concurrency", .type = SPOE_OPT_INT, .default_text = "64", .min = 1,
                    .max = MIRROR_CONCURRENCY_MAX, .env = SPOE_TEXTS("MIRROR_CONCURRENCY"),
                    .help = "requests under way at once, and connections that are kept, at most"),
    [QUEUE_TIME] =
        SPOE_OPTION("queue-time", .type = SPOE_OPT_DURATION, .default_text = "5s", .min = MS,
                    .max = 3600 * SECONDS, .env = SPOE_TEXTS("MIRROR_QUEUE_TIME"),
                    .help = "how long a request waits for its turn at most; then it is dropped"),
    [CONNECT_TIMEOUT] =
        SPOE_OPTION("connect-timeout", .type = SPOE_OPT_DURATION, .default_text = "1s", .min = MS,
                    .max = 600 * SECONDS, .env = SPOE_TEXTS("MIRROR_CONNECT_TIMEOUT"),
                    .help = "how long the name's lookup, the connection and TLS may take together"),
    [TIMEOUT] = SPOE_OPTION("timeout", .type = SPOE_OPT_DURATION, .default_text = "5s", .min = MS,
                            .max = 600 * SECONDS, .env = SPOE_TEXTS("MIRROR_TIMEOUT"),
                            .help = "how long a request and its answer may take together"),
    [RESPONSE_MAX] =
        SPOE_OPTION("response-max", .type = SPOE_OPT_SIZE, .default_text = "1m", .min = 0,
                    .max = 1024 * MIB, .env = SPOE_TEXTS("MIRROR_RESPONSE_MAX"),
                    .help = "bytes of an answer's body that are read. A longer one is ended, with "
                            "its connection (HTTP/1.1)"),
    [HTTP] = SPOE_OPTION(
        "http", .type = SPOE_OPT_ENUM, .default_text = "auto", .choices = http_choices,
        .env = SPOE_TEXTS("MIRROR_HTTP"),
        .help =
            "`auto`: HTTP/2 where TLS agrees on it, else 1.1; `1.1`; `2`: HTTP/2 without TLS too"),
    [CA] =
        SPOE_OPTION("tls-ca", .type = SPOE_OPT_PATH, .env = SPOE_TEXTS("MIRROR_TLS_CA"),
                    .help = "file with the authorities that are trusted, in place of the system's"),
    [CERT] = SPOE_OPTION("tls-cert", .type = SPOE_OPT_PATH, .env = SPOE_TEXTS("MIRROR_TLS_CERT"),
                         .help = "file with the client certificate, PEM"),
    [KEY] = SPOE_OPTION("tls-key", .type = SPOE_OPT_PATH, .env = SPOE_TEXTS("MIRROR_TLS_KEY"),
                        .flags = SPOE_OPTION_SECRET_FILE,
                        .help = "file with the key of `tls-cert`, PEM. It may be in the same file. "
                                "One that every user may read is a warning"),
    [VERIFY] = SPOE_OPTION("tls-verify", .type = SPOE_OPT_BOOL, .default_text = "on",
                           .env = SPOE_TEXTS("MIRROR_TLS_VERIFY"),
                           .help = "`off`: any certificate will do, for tests"),
    [INTERFACE] =
        SPOE_OPTION("interface", .type = SPOE_OPT_STRING, .env = SPOE_TEXTS("MIRROR_INTERFACE"),
                    .help = "interface or address that connections come from"),
    [LOCAL_PORT] = SPOE_OPTION("local-port", .type = SPOE_OPT_INT, .default_text = "0",
                               .max = 65535, .env = SPOE_TEXTS("MIRROR_LOCAL_PORT"),
                               .help = "first port that connections come from; 0: any"),
    [LOCAL_PORT_RANGE] =
        SPOE_OPTION("local-port-range", .type = SPOE_OPT_INT, .default_text = "1", .min = 1,
                    .max = 65535, .env = SPOE_TEXTS("MIRROR_LOCAL_PORT_RANGE"),
                    .help = "how many ports from `local-port` on"),
    NULL};

struct reader {
    const struct spoe_host *host;
    struct spoe_config *cfg;
    bool wrong, no_memory;
};

static void report(struct reader *reader, size_t option, const char *text)
{
    reader->wrong = true;
    reader->host->config_error(reader->cfg, option, spoe_str(text));
}

static struct spoe_span text_of(struct reader *reader, size_t option)
{
    return spoe_config_str(reader->host, reader->cfg, option);
}

/* @return [give] NULL where it is empty */
static char *copy_of(struct reader *reader, size_t option)
{
    const struct spoe_span text = text_of(reader, option);
    char *copy;

    if (text.n == 0)
        return NULL;
    copy = strndup(text.p, text.n);
    if (copy == NULL)
        reader->no_memory = true;
    return copy;
}

int mirror_share_parse(struct spoe_span text, uint32_t *ret)
{
    uint64_t share = 0, unit = 10000; /* of one percent, in millionths */
    size_t i = 0;

    if (text.n > 1 && text.p[text.n - 1] == '%')
        text.n--;
    if (text.n == 0 || text.p[0] < '0' || text.p[0] > '9')
        return -1;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        share = share * 10 + (uint64_t)(text.p[i] - '0') * unit;
        if (share > MIRROR_SHARE_ALL)
            return -1;
    }
    if (i < text.n && text.p[i] == '.')
        for (i++; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
            unit /= 10;
            share += (uint64_t)(text.p[i] - '0') * unit;
        }
    if (i < text.n || share > MIRROR_SHARE_ALL)
        return -1;
    *ret = (uint32_t)share;
    return 0;
}

/* xorshift64*, Vigna 2016: which requests are taken has to be even, not secret. */
static uint32_t draw(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (uint32_t)(*random * UINT64_C(2685821657736338717) >> 32);
}

bool mirror_share_takes(uint32_t share, uint64_t *random)
{
    if (share == 0 || share == MIRROR_SHARE_ALL)
        return share != 0;
    return (uint64_t)draw(random) * MIRROR_SHARE_ALL >> 32 < share;
}

/* ---- the address ---------------------------------------------------------------------------- */

static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;

    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static const char *read_url(CURLU *url, struct mirror_conf *conf)
{
    char *scheme = part_of(url, CURLUPART_SCHEME, 0), *host = part_of(url, CURLUPART_HOST, 0);
    char *port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    char *path = part_of(url, CURLUPART_PATH, 0), *user = part_of(url, CURLUPART_USER, 0);
    char *query = part_of(url, CURLUPART_QUERY, 0);
    const char *wrong = NULL;

    if (scheme == NULL || host == NULL || port == NULL || path == NULL) {
        wrong = "is no URL";
    } else if (user != NULL || query != NULL) {
        wrong = "has a user or a query: only scheme, host, port and path are taken";
    } else {
        size_t n = strlen(path);

        while (n > 0 && path[n - 1] == '/')
            n--;
        conf->prefix = strndup(path, n);
        if (conf->prefix == NULL || asprintf(&conf->base, "%s://%s:%s", scheme, host, port) < 0) {
            conf->base = NULL;
            wrong = "out of memory";
        }
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(user);
    curl_free(query);
    return wrong;
}

static void take_url(struct reader *reader, struct mirror_conf *conf)
{
    char *text = copy_of(reader, URL);
    CURLU *url = curl_url();
    const char *wrong = "is no URL";

    if (url == NULL || (text == NULL && reader->no_memory))
        reader->no_memory = true;
    else if (text != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK)
        wrong = read_url(url, conf);
    if (!reader->no_memory && wrong != NULL)
        report(reader, URL, wrong);
    curl_url_cleanup(url);
    free(text);
}

/* ---- headers -------------------------------------------------------------------------------- */

static void take_rules(struct reader *reader, struct mirror_rules *rules)
{
    char wrong[200], host[300];
    const struct spoe_span name = text_of(reader, HOST);

    if (mirror_rules_set(rules, text_of(reader, MARKER), true, wrong, sizeof wrong) != 0)
        report(reader, MARKER, wrong);
    if (mirror_rules_set(rules, text_of(reader, SET_HEADERS), false, wrong, sizeof wrong) != 0)
        report(reader, SET_HEADERS, wrong);
    if (mirror_rules_remove(rules, text_of(reader, REMOVE_HEADERS), wrong, sizeof wrong) != 0)
        report(reader, REMOVE_HEADERS, wrong);
    if (name.n == 0)
        return;
    if (name.n > 255 || memchr(name.p, ',', name.n) != NULL) {
        report(reader, HOST, "is no host");
        return;
    }
    (void)snprintf(host, sizeof host, "Host: %.*s", (int)name.n, name.p);
    if (mirror_rules_set(rules, spoe_str(host), false, wrong, sizeof wrong) != 0)
        report(reader, HOST, wrong);
}

static void take_share(struct reader *reader, uint32_t *ret_share, bool *ret_send_cut)
{
    if (mirror_share_parse(text_of(reader, SHARE), ret_share) != 0)
        report(reader, SHARE, "is no percentage from 0 to 100");
    *ret_send_cut = spoe_config_bool(reader->host, reader->cfg, SEND_CUT) != 0;
}

static spoe_status result_of(const struct reader *reader)
{
    return reader->wrong ? SPOE_E_CONFIG : reader->no_memory ? SPOE_E_NOMEM : SPOE_OK;
}

spoe_status mirror_conf_read(struct mirror_conf *conf, const struct spoe_host *host,
                             struct spoe_config *cfg)
{
    struct reader reader = {.host = host, .cfg = cfg};

    take_url(&reader, conf);
    take_rules(&reader, &conf->rules);
    take_share(&reader, &conf->share, &conf->send_cut);
    conf->queue = (uint64_t)spoe_config_int(host, cfg, QUEUE);
    conf->memory = spoe_config_size(host, cfg, MEMORY);
    conf->concurrency = (unsigned)spoe_config_int(host, cfg, CONCURRENCY);
    conf->queue_time_ns = spoe_config_int(host, cfg, QUEUE_TIME);
    conf->connect_timeout_ns = spoe_config_int(host, cfg, CONNECT_TIMEOUT);
    conf->timeout_ns = spoe_config_int(host, cfg, TIMEOUT);
    conf->response_max = spoe_config_size(host, cfg, RESPONSE_MAX);
    conf->http = (enum mirror_http)spoe_config_choice(host, cfg, HTTP);
    conf->ca = copy_of(&reader, CA);
    conf->cert = copy_of(&reader, CERT);
    conf->key = copy_of(&reader, KEY);
    conf->interface = copy_of(&reader, INTERFACE);
    conf->verify = spoe_config_bool(host, cfg, VERIFY) != 0;
    conf->local_port = (uint16_t)spoe_config_int(host, cfg, LOCAL_PORT);
    conf->local_port_range = (uint16_t)spoe_config_int(host, cfg, LOCAL_PORT_RANGE);
    if (conf->key != NULL && conf->cert == NULL)
        report(&reader, KEY, "is set without tls-cert");
    return result_of(&reader);
}

spoe_status mirror_conf_read_again(const struct spoe_host *host, struct spoe_config *cfg,
                                   uint32_t *ret_share, bool *ret_send_cut)
{
    struct reader reader = {.host = host, .cfg = cfg};

    take_share(&reader, ret_share, ret_send_cut);
    return result_of(&reader);
}

void mirror_conf_fini(struct mirror_conf *conf)
{
    free(conf->base);
    free(conf->prefix);
    free(conf->ca);
    free(conf->cert);
    free(conf->key);
    free(conf->interface);
    mirror_rules_fini(&conf->rules);
    *conf = (struct mirror_conf){0};
}
