/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/otlp_http.c - POST of an ExportTraceServiceRequest, one at a time on each
 * lane.
 *
 * Each lane has a multi handle with one easy handle in it, for two things that curl_easy_perform()
 * lacks: curl_multi_wakeup() ends a wait from another thread, and the connections stay with the
 * multi handle, so that a lane goes on with its connection. A lane takes over the settings that are
 * files when their generation has changed; libcurl then connects anew, as it compares them.
 */
#include "send/otlp_http.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include <spoe/util.h>

#include "send/gzip.h"
#include "send/live_files.h"
#include "send/otlp_answer.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define CONNECT_TIMEOUT_MS 5000L
/* What is shown of an answer that is not protobuf. */
#define SHOWN_MAX 100
/* A wait has a limit in any case, should a wake-up be lost. */
#define POLL_MAX_MS 1000

struct lane {
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
};

struct otlp_http {
    struct transport transport; /* first: the two are cast into each other */
    struct exporter_conf conf;  /* its strings outlive this */
    char *url, *user_agent;
    unsigned n_lanes;
    struct lane lanes[EXPORTER_CONCURRENCY_MAX];
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
#define SET(lane, option, value)                                                                   \
    do {                                                                                           \
        if (curl_easy_setopt((lane)->easy, (option), (value)) != CURLE_OK)                         \
            return -1;                                                                             \
    } while (0)

static size_t take_answer(char *bytes, size_t one, size_t n, void *arg)
{
    struct lane *lane = arg;

    (void)one; /* is 1 */
    if (n > OTLP_ANSWER_MAX - lane->answer_len) {
        lane->answer_too_large = true;
        return 0; /* ends the transfer */
    }
    if (n > lane->answer_size - lane->answer_len) {
        const size_t size = lane->answer_len + n + 4096;
        uint8_t *more = realloc(lane->answer, size);

        if (more == NULL) {
            lane->answer_no_memory = true;
            return 0;
        }
        lane->answer = more;
        lane->answer_size = size;
    }
    memcpy(lane->answer + lane->answer_len, bytes, n);
    lane->answer_len += n;
    return n;
}

static int set_blob(struct lane *lane, CURLoption option, const char *text)
{
    struct curl_blob blob = {.flags = CURL_BLOB_COPY};

    if (text == NULL)
        return 0;
    blob.data = (void *)(uintptr_t)text; /* only read */
    blob.len = strlen(text);
    SET(lane, option, &blob);
    return 0;
}

static int set_constants(struct otlp_http *self, struct lane *lane)
{
    const struct exporter_conf *conf = &self->conf;
    const bool verify = conf->tls != OTLP_TLS_SKIP_VERIFY;

    SET(lane, CURLOPT_URL, self->url);
    SET(lane, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(lane, CURLOPT_POST, 1L);
    SET(lane, CURLOPT_USERAGENT, self->user_agent);
    SET(lane, CURLOPT_NOSIGNAL, 1L);
    SET(lane, CURLOPT_QUICK_EXIT, 1L); /* no wait for a name server that does not answer */
    SET(lane, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(lane, CURLOPT_WRITEFUNCTION, take_answer);
    SET(lane, CURLOPT_WRITEDATA, lane);
    SET(lane, CURLOPT_ERRORBUFFER, lane->error);
    if (!conf->use_proxy)
        SET(lane, CURLOPT_PROXY, ""); /* not even the environment's */
    if (conf->keepalive_ns > 0) {
        const int64_t s = conf->keepalive_ns / NS_PER_S;

        SET(lane, CURLOPT_TCP_KEEPALIVE, 1L);
        SET(lane, CURLOPT_TCP_KEEPIDLE, s < 1 ? 1L : s > INT_MAX ? (long)INT_MAX : (long)s);
    }
    SET(lane, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(lane, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    SET(lane, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
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

/* With the lock held: what is in files, if it is not what the lane has already. */
static int set_files(struct otlp_http *self, struct lane *lane)
{
    const struct tls_pem *pem = &self->files.pem;
    struct curl_slist *headers;

    live_files_refresh(&self->files);
    if (lane->generation == self->files.generation + 1)
        return 0;
    headers = make_headers(self);
    if (headers == NULL)
        return -1;
    SET(lane, CURLOPT_HTTPHEADER, headers);
    curl_slist_free_all(lane->headers);
    lane->headers = headers;
    if (set_blob(lane, CURLOPT_CAINFO_BLOB, pem->ca) != 0 ||
        set_blob(lane, CURLOPT_SSLCERT_BLOB, pem->cert) != 0 ||
        set_blob(lane, CURLOPT_SSLKEY_BLOB, pem->key) != 0)
        return -1;
    lane->generation = self->files.generation + 1;
    return 0;
}

/* ---- the answer --------------------------------------------------------------------------- */

/* OTLP's specification, "Retryable Response Codes". */
static bool is_retryable(long status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* What a server says that refuses: a google.rpc.Status, or some text. */
static void read_refusal(const struct lane *lane, long status, struct transport_result *ret)
{
    const char *type = NULL;
    char said[256] = "";

    (void)curl_easy_getinfo(lane->easy, CURLINFO_CONTENT_TYPE, &type); /* NULL if it fails */
    if (type != NULL && strncmp(type, "application/x-protobuf", 22) == 0)
        otlp_read_status_message(lane->answer, lane->answer_len, said, sizeof said);
    else if (type != NULL && strncmp(type, "text/plain", 10) == 0)
        (void)snprintf(said, sizeof said, "%.*s",
                       lane->answer_len < SHOWN_MAX ? (int)lane->answer_len : SHOWN_MAX,
                       lane->answer_len > 0 ? (const char *)lane->answer : "");
    said[strcspn(said, "\r\n")] = '\0';
    (void)snprintf(ret->text, sizeof ret->text, "HTTP %ld%s%s", status, said[0] != '\0' ? ": " : "",
                   said);
}

static void read_answer(const struct lane *lane, struct transport_result *ret)
{
    curl_off_t retry_after = 0;
    long status = 0;

    *ret = (struct transport_result){.outcome = TRANSPORT_OK};
    (void)curl_easy_getinfo(lane->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 if it fails */
    if (status >= 200 && status <= 299) {
        if (lane->answer_too_large || lane->answer_no_memory)
            (void)snprintf(ret->text, sizeof ret->text, "its answer is too large");
        else
            otlp_read_response(lane->answer, lane->answer_len, ret);
        return;
    }
    read_refusal(lane, status, ret);
    ret->outcome = is_retryable(status) ? TRANSPORT_RETRYABLE : TRANSPORT_NOT_RETRYABLE;
    /* Seconds, also where the header has a date. */
    if (curl_easy_getinfo(lane->easy, CURLINFO_RETRY_AFTER, &retry_after) != CURLE_OK)
        retry_after = 0;
    if (ret->outcome == TRANSPORT_RETRYABLE && retry_after > 0)
        ret->min_wait_ns = retry_after < OTLP_RETRY_DELAY_MAX_NS / NS_PER_S
                               ? retry_after * NS_PER_S
                               : OTLP_RETRY_DELAY_MAX_NS;
}

/* There is no whole answer: try again, as nothing says that the server has taken it. */
static void read_failure(const struct lane *lane, CURLcode code, struct transport_result *ret)
{
    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE};
    (void)snprintf(ret->text, sizeof ret->text, "%s",
                   lane->error[0] != '\0' ? lane->error : curl_easy_strerror(code));
}

/* ---- one request -------------------------------------------------------------------------- */

static int set_request(struct otlp_http *self, struct lane *lane, const uint8_t *bytes, size_t size,
                       int64_t deadline_mono_ns)
{
    const int64_t left = deadline_mono_ns - mono_now();
    long ms = 0; /* no limit */
    int rc;

    if (deadline_mono_ns != INT64_MAX)
        ms = left <= NS_PER_MS ? 1 : (long)(left / NS_PER_MS);
    if (self->conf.gzip && gzip_pack(lane->gzip, bytes, size, &bytes, &size) != 0)
        return -1;
    SET(lane, CURLOPT_POSTFIELDS, (const char *)bytes);
    SET(lane, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    SET(lane, CURLOPT_TIMEOUT_MS, ms);
    (void)pthread_mutex_lock(&self->lock);
    rc = set_files(self, lane);
    (void)pthread_mutex_unlock(&self->lock);
    return rc;
}

/* Until the transfer is over or cancelled. @return false: cancelled, or libcurl cannot go on */
static bool transfer(struct otlp_http *self, struct lane *lane, CURLcode *ret_code)
{
    int running = 1;

    while (!atomic_load(&self->cancelled)) {
        const CURLMsg *msg;
        int left;

        if (curl_multi_perform(lane->multi, &running) != CURLM_OK)
            return false;
        msg = curl_multi_info_read(lane->multi, &left);
        if (msg != NULL && msg->msg == CURLMSG_DONE) {
            *ret_code = msg->data.result;
            return true;
        }
        if (curl_multi_poll(lane->multi, NULL, 0, POLL_MAX_MS, NULL) != CURLM_OK)
            return false;
    }
    return false;
}

static void http_send(struct transport *transport, unsigned index, const uint8_t *bytes,
                      size_t size, int64_t deadline_mono_ns, struct transport_result *ret)
{
    struct otlp_http *self = (struct otlp_http *)transport;
    struct lane *lane = &self->lanes[index];
    CURLcode code;

    assert(index < self->n_lanes);
    *ret = (struct transport_result){.outcome = TRANSPORT_RETRYABLE, .text = "out of memory"};
    lane->answer_len = 0;
    lane->answer_too_large = lane->answer_no_memory = false;
    lane->error[0] = '\0';
    if (set_request(self, lane, bytes, size, deadline_mono_ns) != 0 ||
        curl_multi_add_handle(lane->multi, lane->easy) != CURLM_OK)
        return;
    if (!transfer(self, lane, &code))
        (void)snprintf(ret->text, sizeof ret->text, "stopping");
    else if (code == CURLE_OK || lane->answer_too_large || lane->answer_no_memory)
        read_answer(lane, ret);
    else
        read_failure(lane, code, ret);
    (void)curl_multi_remove_handle(lane->multi, lane->easy); /* it was added */
}

static void http_cancel(struct transport *transport)
{
    struct otlp_http *self = (struct otlp_http *)transport;

    atomic_store(&self->cancelled, true);
    for (unsigned i = 0; i < self->n_lanes; i++)
        (void)curl_multi_wakeup(self->lanes[i].multi); /* if not, the wait has a limit */
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void close_lane(struct lane *lane)
{
    curl_easy_cleanup(lane->easy);
    if (lane->multi != NULL)
        (void)curl_multi_cleanup(lane->multi); /* the easy handle is out of it */
    curl_slist_free_all(lane->headers);
    gzip_destroy(lane->gzip);
    free(lane->answer);
}

static int open_lane(struct otlp_http *self, struct lane *lane)
{
    lane->easy = curl_easy_init();
    lane->multi = curl_multi_init();
    if (lane->easy == NULL || lane->multi == NULL)
        return -1;
    if (self->conf.gzip) {
        lane->gzip = gzip_create();
        if (lane->gzip == NULL)
            return -1;
    }
    return set_constants(self, lane);
}

/* Takes half-built ones. */
static void http_stop(struct transport *transport, int64_t deadline_mono_ns)
{
    struct otlp_http *self = (struct otlp_http *)transport;

    (void)deadline_mono_ns;
    for (unsigned i = 0; i < self->n_lanes; i++)
        close_lane(&self->lanes[i]);
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
    int n;

    if (asprintf(&self->user_agent, OTLP_USER_AGENT_FORMAT, conf->service_version,
                 conf->service_version) < 0) {
        self->user_agent = NULL;
        return -1;
    }
    if (conf->url != NULL)
        n = asprintf(&self->url, "%s", conf->url);
    else
        n = asprintf(&self->url, "%s://%s/v1/traces",
                     conf->tls == OTLP_TLS_DISABLED ? "http" : "https", conf->endpoint);
    if (n < 0)
        self->url = NULL;
    return n < 0 ? -1 : 0;
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
    url_error = check_url(self->url);
    if (url_error != NULL) {
        (void)snprintf(error, sizeof error, "%s", url_error);
        goto stop;
    }
    while (self->n_lanes < n)
        if (open_lane(self, &self->lanes[self->n_lanes++]) != 0)
            goto stop;
    return &self->transport;

stop:
    http_stop(&self->transport, 0);
failed:
    if (log_host != NULL)
        spoe_logf(log_host, log_self, SPOE_LOG_ERR, "cannot start the export: %s", error);
    return NULL;
}
