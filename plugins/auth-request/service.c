/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/service.c - see service.h.
 *
 * libcurl tells which descriptors to watch (on_socket) and when to be woken (on_timer), both in
 * whatever call of it; the loop then calls on_ready() and on_due(), which let it go on and take
 * what has ended. Handles are kept and used again, with all that is the same for every question.
 */
#include "auth-request/service.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include <spoe/util.h>

#define NS_PER_MS INT64_C(1000000)
/* Of a body, which nobody reads: beyond it the connection is given up and the head counts. */
#define BODY_MAX 65536u
/* A name may have moved: a connection is used no longer, in seconds. */
#define CONNECTION_LIFE 300L
/* Files of tls-ca are read again after so long, in seconds. */
#define CA_LIFE 300L
/* The first that can use a connection of HTTP/2 without TLS again: curl's issue 10634. */
#define H2C_LIBCURL_VERSION 0x080000u

struct transfer {
    LIST_ENTRY(transfer) link; /* of the free ones, or of those under way */
    struct service *service;
    CURL *easy;
    struct curl_slist *lines; /* n_lines of them, over the question's bytes */
    unsigned n_lines;
    void *arg; /* NULL: it is free */
    struct answer_reader reader;
    size_t body;
    bool too_long; /* its body; the head is good */
    char error[CURL_ERROR_SIZE];
};

struct watch {
    LIST_ENTRY(watch) link;
    struct service *service;
    struct spoe_watch *watch;
};

struct service {
    struct service_env env;
    service_end_fn *on_end;
    CURLM *multi;
    struct spoe_timer *timer;
    unsigned connections;
    LIST_HEAD(, transfer) busy, free;
    LIST_HEAD(, watch) watches;
};

int service_global_start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

void service_global_stop(void)
{
    curl_global_cleanup();
}

int service_check_url(const char *url, char *why, size_t size)
{
    CURLU *handle = curl_url();
    char *scheme = NULL, *user = NULL;
    int result = -1;

    if (handle == NULL || curl_url_set(handle, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        (void)snprintf(why, size, "is no address as http://127.0.0.1:4180/auth");
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        (void)snprintf(why, size, "only http:// and https://");
    else if (curl_url_get(handle, CURLUPART_USER, &user, 0) == CURLUE_OK)
        (void)snprintf(why, size, "takes no user and password");
    else
        result = 0;
    curl_free(scheme);
    curl_free(user);
    curl_url_cleanup(handle);
    return result;
}

static bool is_tls(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0;
}

int service_check_version(const struct auth_conf *conf, char *why, size_t size)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

    if (conf->http_version != HTTP_2 || is_tls(conf->url) ||
        info->version_num >= H2C_LIBCURL_VERSION)
        return 0;
    (void)snprintf(why, size, "2 without TLS takes libcurl 8.0.0, this is %s", info->version);
    return -1;
}

/* ---- what has ended ----------------------------------------------------------------------- */

static enum reason reason_of(CURLcode code)
{
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return REASON_MEMORY;
    case CURLE_OPERATION_TIMEDOUT:
        return REASON_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED: /* source-address is none of this machine's */
        return REASON_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return REASON_TLS;
    default:
        return REASON_PROTOCOL;
    }
}

static enum reason judge(const struct transfer *transfer, CURLcode code, const char **ret_text)
{
    const struct answer_reader *reader = &transfer->reader;
    const bool whole = code == CURLE_OK || transfer->too_long;

    if (!whole) {
        *ret_text = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
        return reason_of(code);
    }
    if (!reader->ended) {
        *ret_text = "there is no whole head in its answer";
        return REASON_PROTOCOL;
    }
    if (reader->fault == ANSWER_NO_MEMORY) {
        *ret_text = "no memory for its answer";
        return REASON_MEMORY;
    }
    if (reader->fault != ANSWER_GOOD) {
        *ret_text = reader->fault == ANSWER_TOO_LARGE
                        ? "its answer's headers are too large for HAProxy"
                        : "its answer has a header with control characters";
        return REASON_BAD_ANSWER;
    }
    if (reader->status >= 200 && reader->status <= 299)
        return REASON_ALLOWED;
    return auth_conf_denies(transfer->service->env.conf, reader->status) ? REASON_DENIED
                                                                         : REASON_STATUS;
}

static void put_back(struct transfer *transfer)
{
    struct service *service = transfer->service;

    (void)curl_multi_remove_handle(service->multi, transfer->easy);
    transfer->arg = NULL;
    LIST_REMOVE(transfer, link);
    LIST_INSERT_HEAD(&service->free, transfer, link);
}

static void end(struct transfer *transfer, CURLcode code)
{
    struct service *service = transfer->service;
    void *const arg = transfer->arg;
    struct service_end how = {.answer = &transfer->reader};
    long connections = 0;

    how.reason = judge(transfer, code, &how.text);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connections);
    how.connections = (unsigned)connections;
    put_back(transfer);
    service->on_end(arg, &how); /* may ask the next one, but by another question's end only */
}

static void take_ended(struct service *service)
{
    CURLMsg *msg;
    int more;

    while ((msg = curl_multi_info_read(service->multi, &more)) != NULL) {
        struct transfer *transfer = NULL;
        const CURLcode code = msg->data.result;

        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        assert(transfer != NULL && transfer->arg != NULL);
        end(transfer, code);
    }
}

/* ---- libcurl and the loop ----------------------------------------------------------------- */

static void go_on(struct service *service, curl_socket_t fd, int ready)
{
    int running;

    (void)curl_multi_socket_action(service->multi, fd, ready, &running);
    take_ended(service);
}

static void on_due(void *arg)
{
    go_on(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_ready(void *arg, int32_t fd, uint32_t ready)
{
    const struct watch *watch = arg;

    go_on(watch->service, fd,
          ((ready & SPOE_LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
              ((ready & SPOE_LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct service *service = arg;

    (void)multi;
    (void)service->env.loop->timer_set(service->timer,
                                       ms < 0 ? SPOE_TIMER_OFF
                                              : service->env.host->now_mono_ns() + ms * NS_PER_MS);
    return 0;
}

static void unwatch(struct watch *watch)
{
    watch->service->env.loop->watch_free(watch->watch);
    LIST_REMOVE(watch, link);
    free(watch);
}

/* @return NULL: no memory or no place; its question ends by its time-out then */
static struct watch *watch_new(struct service *service, curl_socket_t fd)
{
    struct watch *watch = malloc(sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->service = service;
    if (service->env.loop->watch_new(service->env.worker, fd, on_ready, watch, &watch->watch) !=
        SPOE_OK) {
        free(watch);
        return NULL;
    }
    LIST_INSERT_HEAD(&service->watches, watch, link);
    (void)curl_multi_assign(service->multi, fd, watch);
    return watch;
}

/* 0 in any case: another answer would end all questions, for ever. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct service *service = arg;
    struct watch *watch = of_socket;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL)
            unwatch(watch);
        return 0;
    }
    if (watch == NULL)
        watch = watch_new(service, fd);
    if (watch != NULL)
        (void)service->env.loop->watch_set(watch->watch,
                                           ((what & CURL_POLL_IN) != 0 ? SPOE_LOOP_READ : 0) |
                                               ((what & CURL_POLL_OUT) != 0 ? SPOE_LOOP_WRITE : 0));
    return 0;
}

/* ---- one question ------------------------------------------------------------------------- */

static size_t take_line(char *line, size_t one, size_t n, void *arg)
{
    struct transfer *transfer = arg;

    (void)one; /* is 1 */
    answer_take_line(&transfer->reader, line, n);
    return n;
}

static size_t take_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct transfer *transfer = arg;

    (void)one; /* is 1 */
    (void)bytes;
    if (n > BODY_MAX - transfer->body) {
        transfer->too_long = true;
        return 0; /* ends the transfer */
    }
    transfer->body += n;
    return n;
}

#define SET(easy, option, value)                                                                   \
    do {                                                                                           \
        if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK)                               \
            return -1;                                                                             \
    } while (0)

static int set_tls(CURL *easy, const struct auth_conf *conf)
{
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_LIFE);
    if (conf->tls_ca != NULL) {
        SET(easy, CURLOPT_CAPATH, NULL); /* libcurl's own folder would be trusted beside it */
        SET(easy, CURLOPT_CAINFO, conf->tls_ca);
    }
    if (conf->tls_cert != NULL) {
        SET(easy, CURLOPT_SSLCERT, conf->tls_cert);
        SET(easy, CURLOPT_SSLKEY, conf->tls_key);
    }
    return 0;
}

/* What libcurl is told: with TLS both sides agree on it, without it has to be known. */
static long version_of(const struct auth_conf *conf)
{
    if (conf->http_version == HTTP_1_1)
        return CURL_HTTP_VERSION_1_1;
    if (is_tls(conf->url))
        return CURL_HTTP_VERSION_2TLS;
    return conf->http_version == HTTP_2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                        : CURL_HTTP_VERSION_1_1;
}

/* All that is the same for every question. */
static int set_constants(struct transfer *transfer)
{
    const struct auth_conf *conf = transfer->service->env.conf;
    const long version = version_of(conf);
    CURL *easy = transfer->easy;

    SET(easy, CURLOPT_URL, conf->url);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_HTTP_VERSION, version);
    /* Wait for a connection that is being made, where it may take many questions at once. */
    SET(easy, CURLOPT_PIPEWAIT, version == CURL_HTTP_VERSION_1_1 ? 0L : 1L);
    SET(easy, CURLOPT_PROXY, ""); /* not even the environment's */
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_QUICK_EXIT, 1L); /* no wait for a name server that does not answer */
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(conf->timeout_ns / NS_PER_MS) + 1);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE);
    if (conf->source != NULL)
        SET(easy, CURLOPT_INTERFACE, conf->source);
    SET(easy, CURLOPT_USERAGENT, "spoe-host auth-request");
    SET(easy, CURLOPT_HEADERFUNCTION, take_line);
    SET(easy, CURLOPT_HEADERDATA, transfer);
    SET(easy, CURLOPT_WRITEFUNCTION, take_body);
    SET(easy, CURLOPT_WRITEDATA, transfer);
    SET(easy, CURLOPT_ERRORBUFFER, transfer->error);
    SET(easy, CURLOPT_PRIVATE, transfer);
    return set_tls(easy, conf);
}

static void transfer_free(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    answer_fini(&transfer->reader);
    free(transfer->lines);
    free(transfer);
}

/* @return NULL: out of memory */
static struct transfer *transfer_get(struct service *service)
{
    struct transfer *transfer = LIST_FIRST(&service->free);

    if (transfer != NULL)
        return transfer;
    transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return NULL;
    transfer->service = service;
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL || set_constants(transfer) != 0) {
        transfer_free(transfer);
        return NULL;
    }
    LIST_INSERT_HEAD(&service->free, transfer, link);
    return transfer;
}

/* libcurl's list of lines, over the bytes of the question, which it only reads. */
static int set_lines(struct transfer *transfer, const char *lines, unsigned n)
{
    if (n > transfer->n_lines) {
        struct curl_slist *more = realloc(transfer->lines, n * sizeof *more);

        if (more == NULL)
            return -1;
        transfer->lines = more;
        transfer->n_lines = n;
    }
    for (unsigned i = 0; i < n; i++) {
        transfer->lines[i].data = (char *)(uintptr_t)lines;
        transfer->lines[i].next = i + 1 < n ? &transfer->lines[i + 1] : NULL;
        lines += strlen(lines) + 1;
    }
    return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, n > 0 ? transfer->lines : NULL) ==
                   CURLE_OK
               ? 0
               : -1;
}

struct transfer *service_ask(struct service *service, const char *lines, unsigned n_lines,
                             unsigned connections, void *arg)
{
    struct transfer *transfer = transfer_get(service);

    assert(arg != NULL);
    if (transfer == NULL || set_lines(transfer, lines, n_lines) != 0)
        return NULL;
    if (connections != service->connections) {
        service->connections = connections;
        (void)curl_multi_setopt(service->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections);
        (void)curl_multi_setopt(service->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    }
    answer_begin(&transfer->reader, &service->env.conf->from_service);
    transfer->body = 0;
    transfer->too_long = false;
    transfer->error[0] = '\0';
    if (curl_multi_add_handle(service->multi, transfer->easy) != CURLM_OK)
        return NULL;
    transfer->arg = arg;
    LIST_REMOVE(transfer, link);
    LIST_INSERT_HEAD(&service->busy, transfer, link);
    return transfer;
}

void service_abort(struct service *service, struct transfer *transfer)
{
    assert(transfer->service == service && transfer->arg != NULL);
    put_back(transfer);
}

/* ---- life --------------------------------------------------------------------------------- */

struct service *service_create(const struct service_env *env, service_end_fn *on_end)
{
    struct service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return NULL;
    service->env = *env;
    service->on_end = on_end;
    service->multi = curl_multi_init();
    if (service->multi == NULL ||
        env->loop->timer_new(env->worker, on_due, service, &service->timer) != SPOE_OK) {
        service_destroy(service);
        return NULL;
    }
    (void)curl_multi_setopt(service->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(service->multi, CURLMOPT_SOCKETDATA, service);
    (void)curl_multi_setopt(service->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(service->multi, CURLMOPT_TIMERDATA, service);
    return service;
}

void service_destroy(struct service *service)
{
    struct transfer *transfer, *next;
    struct watch *watch, *next_watch;

    if (service == NULL)
        return;
    for (transfer = LIST_FIRST(&service->busy); transfer != NULL; transfer = next) {
        next = LIST_NEXT(transfer, link);
        put_back(transfer);
    }
    for (transfer = LIST_FIRST(&service->free); transfer != NULL; transfer = next) {
        next = LIST_NEXT(transfer, link);
        transfer_free(transfer);
    }
    (void)curl_multi_cleanup(service->multi);
    for (watch = LIST_FIRST(&service->watches); watch != NULL; watch = next_watch) {
        next_watch = LIST_NEXT(watch, link);
        unwatch(watch);
    }
    service->env.loop->timer_free(service->timer);
    free(service);
}
