/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_http.c - POST of a signal's request (ExportTraceServiceRequest), one at a
 * time on each slot.
 *
 * Each slot has a multi handle with one easy handle in it, for two things that curl_easy_perform()
 * lacks: curl_multi_wakeup() ends a wait from another thread, and the connections stay with the
 * multi handle, so that a slot goes on with its connection. A slot takes over the settings that are
 * files when their generation has changed; libcurl then connects anew, as it compares them.
 */
#include "send/otlp_http.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include <spoe/util.h>

#include "otlp/answer.h"
#include "otlp/signals.h"
#include "send/gzip.h"
#include "send/live_files.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define CONNECT_TIMEOUT_MS 5000L
/* What is shown of an answer that is not protobuf. */
#define SHOWN_MAX 100
/* A wait has a limit in any case, should a wake-up be lost. */
#define POLL_MAX_MS 1000
/* Followed for one request at most. */
#define REDIRECTS_MAX 3u

struct slot {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    uint64_t generation; /* of the files whose contents `easy` has; 0: none */
    struct gzip *gzip;
    char error[CURL_ERROR_SIZE];
    /* The answer of the request that is under way. */
    uint8_t *answer;
    size_t answer_size, answer_len;
    bool answer_too_large, answer_no_memory;
    bool
        head_is_whole; /* libcurl takes the end of the connection for the end of the headers, too */
};

struct otlp_http {
    struct transport transport; /* first: the two are cast into each other */
    struct exporter_conf conf;  /* its strings outlive this */
    char *url, *user_agent;
    char shown_url[128]; /* for people */
    unsigned n_slots;
    struct slot slots[EXPORTER_CONCURRENCY_MAX];
    _Atomic bool cancelled;
    bool curl_started;
    pthread_mutex_t lock; /* guards the files */
    struct live_files files;
};

static int64_t mono_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* ---- settings ----------------------------------------------------------------------------- */

/* The rest of libcurl's options is kept by easy handles from request to request. */
#define SET(slot, option, value)                                                                   \
    do {                                                                                           \
        if (curl_easy_setopt((slot)->easy, (option), (value)) != CURLE_OK)                         \
            return -1;                                                                             \
    } while (0)

static size_t take_answer(char *bytes, size_t one, size_t n, void *arg)
{
    struct slot *slot = arg;

    (void)one; /* is 1 */
    if (n > OTLP_ANSWER_MAX - slot->answer_len) {
        slot->answer_too_large = true;
        return 0; /* ends the transfer */
    }
    if (n > slot->answer_size - slot->answer_len) {
        const size_t size = slot->answer_len + n + 4096;
        uint8_t *more = realloc(slot->answer, size);

        if (more == NULL) {
            slot->answer_no_memory = true;
            return 0;
        }
        slot->answer = more;
        slot->answer_size = size;
    }
    memcpy(slot->answer + slot->answer_len, bytes, n);
    slot->answer_len += n;
    return n;
}

/* Line by line: an answer's status, its headers, an empty line; behind the body maybe trailers. */
static size_t take_header(char *line, size_t one, size_t n, void *arg)
{
    struct slot *slot = arg;

    (void)one; /* is 1 */
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0)
        slot->head_is_whole = false;
    else if (n > 0 && (line[0] == '\r' || line[0] == '\n'))
        slot->head_is_whole = true;
    return n;
}

static int set_blob(struct slot *slot, CURLoption option, const char *text)
{
    struct curl_blob blob = {.flags = CURL_BLOB_COPY};

    if (text == NULL)
        return 0;
    blob.data = (void *)(uintptr_t)text; /* only read */
    blob.len = strlen(text);
    SET(slot, option, &blob);
    return 0;
}

static int set_constants(struct otlp_http *self, struct slot *slot)
{
    const struct exporter_conf *conf = &self->conf;
    const bool verify = conf->tls != OTLP_TLS_SKIP_VERIFY;

    SET(slot, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(slot, CURLOPT_POST, 1L);
    SET(slot, CURLOPT_USERAGENT, self->user_agent);
    SET(slot, CURLOPT_NOSIGNAL, 1L);
    SET(slot, CURLOPT_QUICK_EXIT, 1L); /* no wait for a name server that does not answer */
    SET(slot, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(slot, CURLOPT_WRITEFUNCTION, take_answer);
    SET(slot, CURLOPT_WRITEDATA, slot);
    SET(slot, CURLOPT_HEADERFUNCTION, take_header);
    SET(slot, CURLOPT_HEADERDATA, slot);
    SET(slot, CURLOPT_ERRORBUFFER, slot->error);
    if (!conf->use_proxy)
        SET(slot, CURLOPT_PROXY, ""); /* not even the environment's */
    if (conf->keepalive_ns > 0) {
        const int64_t s = conf->keepalive_ns / NS_PER_S;

        SET(slot, CURLOPT_TCP_KEEPALIVE, 1L);
        SET(slot, CURLOPT_TCP_KEEPIDLE, s < 1 ? 1L : s > INT_MAX ? (long)INT_MAX : (long)s);
    }
    SET(slot, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(slot, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    SET(slot, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    return 0;
}

static int add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *more = curl_slist_append(*list, text);

    if (more == NULL)
        return -1;
    *list = more;
    return 0;
}

static int add_pair(struct curl_slist **list, const struct pair *pair)
{
    char *text;
    /* "key;" is how libcurl is told of an empty value */
    const int n =
        asprintf(&text, pair->value[0] != '\0' ? "%s: %s" : "%s;%s", pair->key, pair->value);
    int rc;

    if (n < 0)
        return -1;
    rc = add_header(list, text);
    explicit_bzero(text, (size_t)n); /* may be a secret */
    free(text);
    return rc;
}

/* @return [give: curl_slist_free_all()] NULL: out of memory */
static struct curl_slist *make_headers(const struct otlp_http *self)
{
    const struct pair_list *headers = &self->files.headers;
    struct curl_slist *list = NULL;
    bool ok = add_header(&list, "Content-Type: application/x-protobuf") == 0 &&
              add_header(&list, "Expect:") == 0 && /* no wait for a 100 */
              (!self->conf.gzip || add_header(&list, "Content-Encoding: gzip") == 0);

    for (size_t i = 0; ok && i < headers->n; i++)
        ok = add_pair(&list, &headers->item[i]) == 0;
    if (!ok) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

/* With the lock held: what is in files, if it is not what the slot has already. */
static int set_files(struct otlp_http *self, struct slot *slot)
{
    const struct tls_pem *pem = &self->files.pem;
    struct curl_slist *headers;

    live_files_refresh(&self->files);
    if (slot->generation == self->files.generation + 1)
        return 0;
    headers = make_headers(self);
    if (headers == NULL)
        return -1;
    SET(slot, CURLOPT_HTTPHEADER, headers);
    curl_slist_free_all(slot->headers);
    slot->headers = headers;
    if (pem->ca != NULL)
        SET(slot, CURLOPT_CAPATH, NULL); /* libcurl's own folder would be trusted beside it */
    if (set_blob(slot, CURLOPT_CAINFO_BLOB, pem->ca) != 0 ||
        set_blob(slot, CURLOPT_SSLCERT_BLOB, pem->cert) != 0 ||
        set_blob(slot, CURLOPT_SSLKEY_BLOB, pem->key) != 0)
        return -1;
    slot->generation = self->files.generation + 1;
    return 0;
}

/* ---- the answer --------------------------------------------------------------------------- */

/* OTLP's specification, "Retryable Response Codes". */
static bool is_retryable(long status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static bool is_type(const char *type, const char *name)
{
    return type != NULL && strncasecmp(type, name, strlen(name)) == 0;
}

/* The first bytes of a body, unless it is a page for people. */
static void read_body(const struct slot *slot, char *ret, size_t size)
{
    const char *type = NULL;

    ret[0] = '\0';
    (void)curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_TYPE, &type); /* NULL if it fails */
    if (is_type(type, "application/x-protobuf"))
        otlp_read_status_message(slot->answer, slot->answer_len, ret, size);
    else if (!is_type(type, "text/html"))
        otlp_clean_text(slot->answer, slot->answer_len < SHOWN_MAX ? slot->answer_len : SHOWN_MAX,
                        ret, size);
}

/* What to do about it, where that can be told. */
static void put_advice(long status, enum otlp_signal signal, char *ret, size_t size)
{
    switch (status) {
    case 401:
    case 403:
        (void)snprintf(ret, size, "; are the headers those that the collector wants?");
        break;
    case 404:
    case 405:
        (void)snprintf(ret, size, "; is that the collector's path for %s?",
                       signal_names(signal)->name);
        break;
    default:
        ret[0] = '\0';
    }
}

/* What a server says that refuses. */
static void read_refusal(const struct otlp_http *self, const struct slot *slot, long status,
                         struct transport_result *ret)
{
    const bool unknown = status == 404 || status == 405;
    char said[160], advice[80];

    read_body(slot, said, sizeof said);
    put_advice(status, self->conf.signal, advice, sizeof advice);
    ret->unsupported = unknown;
    (void)snprintf(ret->text, sizeof ret->text, "HTTP %ld%s%s%s%s%s", status, unknown ? " of " : "",
                   unknown ? self->shown_url : "", said[0] != '\0' ? ": " : "", said, advice);
}

/* Whether a body that is JSON says nothing, as "{}" and {"partialSuccess":{}} do. */
static bool is_empty_json(const struct slot *slot)
{
    static const char partial[] = "{\"partialSuccess\":{}}";
    char text[sizeof partial + 1];
    size_t n = 0;

    for (size_t i = 0; i < slot->answer_len; i++) {
        const uint8_t c = slot->answer[i];

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        if (n == sizeof text - 1)
            return false;
        text[n++] = (char)c;
    }
    text[n] = '\0';
    return n == 0 || strcmp(text, "{}") == 0 || strcmp(text, partial) == 0;
}

/* Whether a body is a page for people, as a login or what else may be at an address says it. */
static bool is_page(const struct slot *slot, const char *type)
{
    size_t i = 0;

    if (!is_type(type, "text/html"))
        return false;
    while (i < slot->answer_len && isspace(slot->answer[i]))
        i++;
    return i < slot->answer_len && slot->answer[i] == '<';
}

/* The collector has taken the request. Answers are protobuf, but some say "{}" or "OK". */
static void read_success(const struct slot *slot, struct transport_result *ret)
{
    const char *type = NULL;

    (void)curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_TYPE, &type); /* NULL if it fails */
    if (slot->answer_no_memory) {
        (void)snprintf(ret->text, sizeof ret->text, "no memory for its answer");
    } else if (type == NULL || is_type(type, "application/x-protobuf")) {
        if (!otlp_read_response(slot->answer, slot->answer_len, &ret->rejected, ret->text,
                                sizeof ret->text))
            (void)snprintf(ret->text, sizeof ret->text, "its answer cannot be read");
    } else if (is_type(type, "application/json") && !is_empty_json(slot)) {
        read_body(slot, ret->text, sizeof ret->text);
    } else if (is_page(slot, type)) {
        (void)snprintf(ret->text, sizeof ret->text,
                       "its answer is a web page; is that the collector's address?");
    }
}

static void read_answer(const struct otlp_http *self, const struct slot *slot,
                        struct transport_result *ret)
{
    curl_off_t retry_after = 0;
    long status = 0;

    *ret = (struct transport_result){.outcome = TRANSPORT_OK};
    (void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 if it fails */
    if (status >= 200 && status <= 299) {
        if (!slot->answer_too_large) {
            read_success(slot, ret);
            return;
        }
        /* As over gRPC: what an answer of that size says is not known. */
        ret->outcome = TRANSPORT_NOT_RETRYABLE;
        (void)snprintf(ret->text, sizeof ret->text, "HTTP %ld, but its answer is above 4 MiB",
                       status);
        return;
    }
    read_refusal(self, slot, status, ret);
    ret->outcome = is_retryable(status) ? TRANSPORT_RETRYABLE : TRANSPORT_NOT_RETRYABLE;
    /* Seconds, also where the header has a date. */
    if (curl_easy_getinfo(slot->easy, CURLINFO_RETRY_AFTER, &retry_after) != CURLE_OK)
        retry_after = 0;
    if (ret->outcome == TRANSPORT_RETRYABLE && retry_after > 0)
        ret->min_wait_ns = retry_after < OTLP_RETRY_DELAY_MAX_NS / NS_PER_S
                               ? retry_after * NS_PER_S
                               : OTLP_RETRY_DELAY_MAX_NS;
}

/* There is no whole answer: try again, as nothing says that the server has taken it. */
static void read_failure(const struct slot *slot, CURLcode code, struct transport_result *ret)
{
    /* Another protocol's first bytes; a gRPC server sends frames of HTTP/2. */
    const bool other = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY;

    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE};
    (void)snprintf(ret->text, sizeof ret->text, "%s%s",
                   slot->error[0] != '\0' ? slot->error : curl_easy_strerror(code),
                   other
                       ? "; if that is the port for gRPC (4317), take the one for HTTP (4318), or "
                         "protocol grpc"
                       : "");
}

/* ---- redirects ----------------------------------------------------------------------------- */

static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;

    return curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *const of_a = url_part(a, part), *const of_b = url_part(b, part);
    const bool same = of_a != NULL && of_b != NULL && strcasecmp(of_a, of_b) == 0;

    curl_free(of_a);
    curl_free(of_b);
    return same;
}

/* Scheme, host and port, RFC 6454. */
static bool same_origin(const char *a, const char *b)
{
    CURLU *const of_a = curl_url(), *const of_b = curl_url();
    const bool same =
        of_a != NULL && of_b != NULL && curl_url_set(of_a, CURLUPART_URL, a, 0) == CURLUE_OK &&
        curl_url_set(of_b, CURLUPART_URL, b, 0) == CURLUE_OK &&
        same_part(of_a, of_b, CURLUPART_SCHEME) && same_part(of_a, of_b, CURLUPART_HOST) &&
        same_part(of_a, of_b, CURLUPART_PORT);

    curl_url_cleanup(of_a);
    curl_url_cleanup(of_b);
    return same;
}

/* A URL for the log, without what may be secret in it. */
static void show_url(const char *text, char *ret, size_t size)
{
    CURLU *url = curl_url();
    char *shown = NULL;

    if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK)
        (void)curl_url_get(url, CURLUPART_URL, &shown, 0); /* NULL if it fails */
    otlp_clean_text(shown != NULL ? shown : "", shown != NULL ? strlen(shown) : 0, ret, size);
    curl_free(shown);
    curl_url_cleanup(url);
}

/*
 * The answer sends us elsewhere. 307 and 308 are followed within the origin, as the method stays
 * the same and the headers' secrets with whom they were meant for.
 * @return true: the slot's URL is the new one
 */
static bool follow(const struct otlp_http *self, struct slot *slot, unsigned hops,
                   struct transport_result *ret)
{
    char shown[200];
    const char *why = "";
    char *to = NULL;
    long status = 0;

    (void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 if it fails */
    (void)curl_easy_getinfo(slot->easy, CURLINFO_REDIRECT_URL, &to);      /* NULL if it fails */
    if (status < 301 || status > 308 || to == NULL)
        return false;
    if (status != 307 && status != 308)
        why = "; is that the collector's URL?";
    else if (!same_origin(self->url, to))
        why = ", which is not followed to another origin; is that the collector's URL?";
    else if (hops == REDIRECTS_MAX)
        why = ", and so on";
    else
        return curl_easy_setopt(slot->easy, CURLOPT_URL, to) == CURLE_OK; /* it copies */
    show_url(to, shown, sizeof shown);
    (void)snprintf(ret->text, sizeof ret->text, "HTTP %ld sends to %s%s", status, shown, why);
    return false;
}

/* ---- one request -------------------------------------------------------------------------- */

static int set_deadline(struct slot *slot, int64_t deadline_mono_ns)
{
    const int64_t left = deadline_mono_ns - mono_now();
    long ms = 0; /* no limit */

    if (deadline_mono_ns != INT64_MAX)
        ms = left <= NS_PER_MS ? 1 : (long)(left / NS_PER_MS);
    SET(slot, CURLOPT_TIMEOUT_MS, ms);
    return 0;
}

static int set_request(struct otlp_http *self, struct slot *slot, const uint8_t *bytes, size_t size)
{
    int rc;

    if (self->conf.gzip && gzip_pack(slot->gzip, bytes, size, &bytes, &size) != 0)
        return -1;
    SET(slot, CURLOPT_URL, self->url);
    SET(slot, CURLOPT_POSTFIELDS, (const char *)bytes);
    SET(slot, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    (void)pthread_mutex_lock(&self->lock);
    rc = set_files(self, slot);
    (void)pthread_mutex_unlock(&self->lock);
    return rc;
}

/* Until the transfer is over or cancelled. @return false: cancelled, or libcurl cannot go on */
static bool transfer(struct otlp_http *self, struct slot *slot, CURLcode *ret_code)
{
    int running = 1;

    while (!atomic_load(&self->cancelled)) {
        const CURLMsg *msg;
        int left;

        if (curl_multi_perform(slot->multi, &running) != CURLM_OK)
            return false;
        msg = curl_multi_info_read(slot->multi, &left);
        if (msg != NULL && msg->msg == CURLMSG_DONE) {
            *ret_code = msg->data.result;
            return true;
        }
        if (curl_multi_poll(slot->multi, NULL, 0, POLL_MAX_MS, NULL) != CURLM_OK)
            return false;
    }
    return false;
}

/* @return whether the answer is a redirect that the slot now follows */
static bool exchange(struct otlp_http *self, struct slot *slot, unsigned hops,
                     struct transport_result *ret)
{
    bool again = false;
    CURLcode code;

    slot->answer_len = 0;
    slot->answer_too_large = slot->answer_no_memory = slot->head_is_whole = false;
    slot->error[0] = '\0';
    if (curl_multi_add_handle(slot->multi, slot->easy) != CURLM_OK)
        return false;
    if (!transfer(self, slot, &code)) {
        (void)snprintf(ret->text, sizeof ret->text, "stopping");
    } else if (code == CURLE_OK && !slot->head_is_whole) {
        read_failure(slot, CURLE_GOT_NOTHING, ret);
    } else if (code == CURLE_OK || slot->answer_too_large || slot->answer_no_memory) {
        read_answer(self, slot, ret);
        again = follow(self, slot, hops, ret);
    } else {
        read_failure(slot, code, ret);
    }
    (void)curl_multi_remove_handle(slot->multi, slot->easy); /* it was added */
    return again;
}

static void http_send(struct transport *transport, unsigned index, const uint8_t *bytes,
                      size_t size, int64_t deadline_mono_ns, struct transport_result *ret)
{
    struct otlp_http *self = (struct otlp_http *)transport;
    struct slot *slot = &self->slots[index];

    assert(index < self->n_slots);
    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE, .text = "out of memory"};
    if (set_request(self, slot, bytes, size) != 0)
        return;
    for (unsigned hops = 0; set_deadline(slot, deadline_mono_ns) == 0; hops++)
        if (!exchange(self, slot, hops, ret))
            return;
}

static void http_cancel(struct transport *transport)
{
    struct otlp_http *self = (struct otlp_http *)transport;

    atomic_store(&self->cancelled, true);
    for (unsigned i = 0; i < self->n_slots; i++)
        (void)curl_multi_wakeup(self->slots[i].multi); /* if not, the wait has a limit */
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void close_slot(struct slot *slot)
{
    curl_easy_cleanup(slot->easy);
    if (slot->multi != NULL)
        (void)curl_multi_cleanup(slot->multi); /* the easy handle is out of it */
    curl_slist_free_all(slot->headers);
    gzip_destroy(slot->gzip);
    free(slot->answer);
}

static int open_slot(struct otlp_http *self, struct slot *slot)
{
    slot->easy = curl_easy_init();
    slot->multi = curl_multi_init();
    if (slot->easy == NULL || slot->multi == NULL)
        return -1;
    if (self->conf.gzip) {
        slot->gzip = gzip_create();
        if (slot->gzip == NULL)
            return -1;
    }
    return set_constants(self, slot);
}

/* Takes half-built ones. */
static void http_stop(struct transport *transport, int64_t deadline_mono_ns)
{
    struct otlp_http *self = (struct otlp_http *)transport;

    (void)deadline_mono_ns;
    for (unsigned i = 0; i < self->n_slots; i++)
        close_slot(&self->slots[i]);
    if (self->curl_started)
        curl_global_cleanup();
    live_files_fini(&self->files);
    (void)pthread_mutex_destroy(&self->lock);
    free(self->url);
    free(self->user_agent);
    free(self);
}

static int set_names(struct otlp_http *self, const struct exporter_conf *conf)
{
    if (asprintf(&self->user_agent, OTLP_USER_AGENT_FORMAT, conf->service_version,
                 conf->service_version) < 0) {
        self->user_agent = NULL;
        return -1;
    }
    self->url = strdup(conf->url);
    return self->url != NULL ? 0 : -1;
}

/* @return NULL, or what is wrong with the URL */
static const char *check_url(const char *url)
{
    CURLU *parts = curl_url();
    const char *error = "out of memory";
    char *scheme = NULL;

    if (parts == NULL)
        return error;
    if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        error = "the endpoint is no URL";
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        error = "the endpoint's URL is neither http nor https";
    else
        error = NULL;
    curl_free(scheme);
    curl_url_cleanup(parts);
    return error;
}

struct transport *otlp_http_start(const struct exporter_conf *conf,
                                  const struct spoe_host *log_host, struct spoe_instance *log_self)
{
    struct otlp_http *self = calloc(1, sizeof *self);
    const unsigned n = conf->concurrency > 0 ? conf->concurrency : 1;
    char error[512] = "out of memory";
    const char *url_error;

    assert(n <= EXPORTER_CONCURRENCY_MAX);
    if (self == NULL)
        goto failed;
    self->transport =
        (struct transport){.send = http_send, .cancel = http_cancel, .stop = http_stop};
    self->conf = *conf;
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail with default attributes */
    if (live_files_init(&self->files, conf, log_host, log_self, error, sizeof error) != 0)
        goto stop;
    (void)snprintf(error, sizeof error, "libcurl cannot be used");
    self->curl_started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (!self->curl_started || set_names(self, conf) != 0)
        goto stop;
    show_url(self->url, self->shown_url, sizeof self->shown_url);
    url_error = check_url(self->url);
    if (url_error != NULL) {
        (void)snprintf(error, sizeof error, "%s", url_error);
        goto stop;
    }
    while (self->n_slots < n)
        if (open_slot(self, &self->slots[self->n_slots++]) != 0)
            goto stop;
    return &self->transport;

stop:
    http_stop(&self->transport, 0);
failed:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export: %s", error);
    return NULL;
}
