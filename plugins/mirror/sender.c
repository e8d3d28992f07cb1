/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/mirror/sender.c - see sender.h.
 *
 * One multi handle, with its connections, and an easy handle in each slot; a slot has one request
 * at a time. Only the thread touches them; others only wake it up, and only where it sleeps.
 */
#include "mirror/sender.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
/* A wait has a limit in any case, should a wake-up be lost. */
#define POLL_MAX_MS 1000
/* Requests in a row without an answer, after which the second origin counts as one that does not
 * answer. */
#define FAILURES_BEFORE_DOWN 5u
/* What a slot keeps of the memory for its header lines. */
#define LINES_KEPT 65536u

struct slot {
    CURL *easy;
    struct mirror_job *job; /* NULL: nothing is under way */
    struct slot *next_free;
    struct mirror_lines lines;
    struct curl_slist *nodes; /* into lines, an array */
    size_t n_nodes;
    int64_t begun_mono_ns;
    uint64_t answer_bytes;
    bool answer_too_long;
    const struct mirror_sender *sender;
    char error[CURL_ERROR_SIZE];
};

struct mirror_sender {
    const struct mirror_conf *conf;
    struct mirror_queue *queue;
    struct mirror_counters *counters;
    struct mirror_sender_events events;
    CURLM *multi;
    struct slot *slots, *free_slots;
    unsigned n_made;                 /* slots with an easy handle */
    struct mirror_job *first, *last; /* taken from the queue, not begun */
    unsigned failures_in_a_row;
    _Atomic uint64_t in_flight;
    _Atomic bool asleep, stopping;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the two below */
    pthread_cond_t changed;
    bool draining, idle;
};

static int64_t mono_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* ---- a slot's settings ---------------------------------------------------------------------- */

#define SET(slot, option, value)                                                                   \
    do {                                                                                           \
        if (curl_easy_setopt((slot)->easy, (option), (value)) != CURLE_OK)                         \
            return -1;                                                                             \
    } while (0)

/* The answer's body is read and thrown away, up to a limit: a connection is worth that much. */
static size_t take_answer(char *bytes, size_t one, size_t n, void *arg)
{
    struct slot *slot = arg;

    (void)bytes;
    (void)one; /* is 1 */
    slot->answer_bytes += n;
    if (slot->answer_bytes > slot->sender->conf->response_max) {
        slot->answer_too_long = true;
        return 0; /* ends the transfer */
    }
    return n;
}

static int set_tls(const struct mirror_conf *conf, struct slot *slot)
{
    SET(slot, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(slot, CURLOPT_SSL_VERIFYPEER, conf->verify ? 1L : 0L);
    SET(slot, CURLOPT_SSL_VERIFYHOST, conf->verify ? 2L : 0L);
    if (conf->ca != NULL) {
        SET(slot, CURLOPT_CAINFO, conf->ca);
        SET(slot, CURLOPT_CAPATH, NULL); /* libcurl's own folder would be trusted beside it */
    }
    if (conf->cert != NULL) {
        SET(slot, CURLOPT_SSLCERT, conf->cert);
        SET(slot, CURLOPT_SSLKEY, conf->key != NULL ? conf->key : conf->cert);
    }
    return 0;
}

static bool has_tls(const struct mirror_conf *conf)
{
    return strncmp(conf->base, "https:", 6) == 0;
}

static int set_constants(const struct mirror_conf *conf, struct slot *slot)
{
    static const long versions[] = {[MIRROR_HTTP_AUTO] = CURL_HTTP_VERSION_2TLS,
                                    [MIRROR_HTTP_1] = CURL_HTTP_VERSION_1_1,
                                    [MIRROR_HTTP_2] = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE};

    SET(slot, CURLOPT_URL, conf->base);
    SET(slot, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(slot, CURLOPT_HTTP_VERSION, versions[conf->http]);
    /* Wait for a connection that may take many, where TLS is about to tell whether it does. One of
     * HTTP/1.1 without TLS would tell so with its first answer only. */
    SET(slot, CURLOPT_PIPEWAIT, has_tls(conf) && conf->http != MIRROR_HTTP_1 ? 1L : 0L);
    /* libcurl 7.88.1, Debian 12's, fails each request but the first on a connection that is HTTP/2
     * without TLS (CURLE_HTTP2). */
    SET(slot, CURLOPT_FORBID_REUSE, !has_tls(conf) && conf->http == MIRROR_HTTP_2 ? 1L : 0L);
    SET(slot, CURLOPT_FRESH_CONNECT, !has_tls(conf) && conf->http == MIRROR_HTTP_2 ? 1L : 0L);
    SET(slot, CURLOPT_NOSIGNAL, 1L);
    SET(slot, CURLOPT_QUICK_EXIT, 1L); /* no wait for a name server that does not answer */
    SET(slot, CURLOPT_PROXY, "");      /* not even the environment's */
    SET(slot, CURLOPT_CONNECTTIMEOUT_MS, (long)(conf->connect_timeout_ns / NS_PER_MS));
    SET(slot, CURLOPT_TIMEOUT_MS, (long)(conf->timeout_ns / NS_PER_MS));
    SET(slot, CURLOPT_WRITEFUNCTION, take_answer);
    SET(slot, CURLOPT_WRITEDATA, slot);
    SET(slot, CURLOPT_PRIVATE, slot);
    SET(slot, CURLOPT_ERRORBUFFER, slot->error);
    if (conf->interface != NULL)
        SET(slot, CURLOPT_INTERFACE, conf->interface);
    if (conf->local_port != 0) {
        SET(slot, CURLOPT_LOCALPORT, (long)conf->local_port);
        SET(slot, CURLOPT_LOCALPORTRANGE, (long)conf->local_port_range);
    }
    return set_tls(conf, slot);
}

/* The lines as libcurl wants them; it only reads them. */
static int set_header_lines(struct slot *slot)
{
    char *line = slot->lines.bytes;

    if (slot->lines.n > slot->n_nodes) {
        struct curl_slist *more =
            realloc(slot->nodes, slot->lines.n * 2 * sizeof(struct curl_slist));

        if (more == NULL)
            return -1;
        slot->nodes = more;
        slot->n_nodes = slot->lines.n * 2;
    }
    for (size_t i = 0; i < slot->lines.n; i++) {
        slot->nodes[i].data = line;
        slot->nodes[i].next = i + 1 < slot->lines.n ? &slot->nodes[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    SET(slot, CURLOPT_HTTPHEADER, slot->nodes); /* never none: some are always unwanted */
    return 0;
}

/* Method and body. libcurl's own POST is the one that has a body in memory; its name is changed. */
static int set_request(struct slot *slot)
{
    const struct mirror_job *job = slot->job;
    const char *method = job->bytes, *target = method + job->method_len + 1;
    const char *body = target + job->target_len + 1 + job->headers_len;
    const bool expects_body =
        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;

    SET(slot, CURLOPT_REQUEST_TARGET, target);
    if (strcmp(method, "HEAD") == 0) {
        SET(slot, CURLOPT_HTTPGET, 1L);
        SET(slot, CURLOPT_CUSTOMREQUEST, NULL);
        SET(slot, CURLOPT_NOBODY, 1L);
        return 0;
    }
    SET(slot, CURLOPT_NOBODY, 0L);
    if (job->body_len > 0 || expects_body) {
        SET(slot, CURLOPT_POST, 1L);
        SET(slot, CURLOPT_POSTFIELDS, body);
        SET(slot, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->body_len);
    } else {
        SET(slot, CURLOPT_HTTPGET, 1L);
    }
    SET(slot, CURLOPT_CUSTOMREQUEST, method);
    return 0;
}

/* ---- one request ---------------------------------------------------------------------------- */

static void give_back(struct mirror_sender *sender, struct mirror_job *job)
{
    const size_t size = job->size;

    mirror_job_give_back(job);
    mirror_queue_release(sender->queue, size);
}

static void drop(struct mirror_sender *sender, struct mirror_job *job, enum mirror_drop why)
{
    mirror_count(&sender->counters->dropped[why], 1);
    mirror_queue_leave(sender->queue);
    give_back(sender, job);
}

/* @return MIRROR_N_DROPS where the request can be sent, else why not */
static enum mirror_drop prepare(struct mirror_sender *sender, struct slot *slot)
{
    const struct mirror_job *job = slot->job;
    const struct spoe_span headers = {job->bytes + job->method_len + 1 + job->target_len + 1,
                                      job->headers_len};

    switch (mirror_headers_write(&sender->conf->rules, headers, job->binary, &slot->lines)) {
    case MIRROR_HEADERS_OK:
        break;
    case MIRROR_HEADERS_MARKED:
        return MIRROR_DROP_MARKED;
    case MIRROR_HEADERS_BROKEN:
        return MIRROR_DROP_INVALID;
    default:
        return MIRROR_DROP_NO_MEMORY;
    }
    if (set_header_lines(slot) != 0 || set_request(slot) != 0)
        return MIRROR_DROP_NO_MEMORY;
    slot->error[0] = '\0';
    slot->answer_bytes = 0;
    slot->answer_too_long = false;
    slot->begun_mono_ns = mono_now();
    return curl_multi_add_handle(sender->multi, slot->easy) == CURLM_OK ? MIRROR_N_DROPS
                                                                        : MIRROR_DROP_NO_MEMORY;
}

static void free_slot(struct mirror_sender *sender, struct slot *slot)
{
    slot->job = NULL;
    if (slot->lines.size > LINES_KEPT)
        mirror_lines_fini(&slot->lines);
    slot->next_free = sender->free_slots;
    sender->free_slots = slot;
}

/* @return NULL: all are in use, or out of memory for another one */
static struct slot *take_slot(struct mirror_sender *sender)
{
    struct slot *slot = sender->free_slots;

    if (slot != NULL) {
        sender->free_slots = slot->next_free;
        return slot;
    }
    if (sender->n_made == sender->conf->concurrency)
        return NULL;
    slot = &sender->slots[sender->n_made];
    slot->sender = sender;
    slot->easy = curl_easy_init();
    if (slot->easy == NULL)
        return NULL;
    if (set_constants(sender->conf, slot) != 0) {
        curl_easy_cleanup(slot->easy);
        slot->easy = NULL;
        return NULL;
    }
    sender->n_made++;
    return slot;
}

static void begin(struct mirror_sender *sender, struct slot *slot, struct mirror_job *job)
{
    enum mirror_drop why;

    slot->job = job;
    why = prepare(sender, slot);
    if (why != MIRROR_N_DROPS) {
        drop(sender, job, why);
        free_slot(sender, slot);
        return;
    }
    mirror_queue_leave(sender->queue);
    mirror_count(&sender->in_flight, 1);
}

static enum mirror_failure failure_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return MIRROR_FAILURE_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
        return MIRROR_FAILURE_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return MIRROR_FAILURE_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return MIRROR_FAILURE_TLS;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return MIRROR_FAILURE_BROKEN;
    default:
        return MIRROR_FAILURE_OTHER;
    }
}

static void note_failure(struct mirror_sender *sender, const struct slot *slot, CURLcode code)
{
    mirror_count(&sender->counters->failures[failure_of(code)], 1);
    if (sender->failures_in_a_row <= FAILURES_BEFORE_DOWN &&
        ++sender->failures_in_a_row == FAILURES_BEFORE_DOWN)
        sender->events.state(sender->events.arg,
                             slot->error[0] != '\0' ? slot->error : curl_easy_strerror(code));
}

static void note_answer(struct mirror_sender *sender, const struct slot *slot, long status)
{
    mirror_count(&sender->counters->answers[status / 100 - 1], 1);
    if (slot->answer_too_long)
        mirror_count(&sender->counters->long_answers, 1);
    sender->events.answered(sender->events.arg,
                            (double)(mono_now() - slot->begun_mono_ns) / (double)NS_PER_S);
    if (sender->failures_in_a_row >= FAILURES_BEFORE_DOWN)
        sender->events.state(sender->events.arg, NULL);
    sender->failures_in_a_row = 0;
}

static void finish(struct mirror_sender *sender, struct slot *slot, CURLcode code)
{
    struct mirror_job *job = slot->job;
    long status = 0, connects = 0;

    (void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 if it fails */
    if (curl_easy_getinfo(slot->easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK && connects > 0)
        mirror_count(&sender->counters->connections, (uint64_t)connects);
    (void)curl_multi_remove_handle(sender->multi, slot->easy); /* cannot fail: it is in there */
    if ((code == CURLE_OK || slot->answer_too_long) && status >= 100 && status <= 599)
        note_answer(sender, slot, status);
    else
        note_failure(sender, slot, code);
    mirror_count(&sender->counters->sent_bytes, job->body_len);
    give_back(sender, job);
    free_slot(sender, slot);
    (void)atomic_fetch_sub_explicit(&sender->in_flight, 1, memory_order_relaxed);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void take_new(struct mirror_sender *sender)
{
    struct mirror_job *job = mirror_queue_take(sender->queue);

    if (job == NULL)
        return;
    if (sender->first == NULL)
        sender->first = job;
    else
        sender->last->next = job;
    while (job->next != NULL)
        job = job->next;
    sender->last = job;
}

static struct mirror_job *pop(struct mirror_sender *sender)
{
    struct mirror_job *job = sender->first;

    sender->first = job->next;
    return job;
}

static bool is_late(const struct mirror_sender *sender, const struct mirror_job *job, int64_t now)
{
    return now - job->queued_mono_ns >= sender->conf->queue_time_ns;
}

/* The oldest come first: what is late is at the front. */
static void begin_all(struct mirror_sender *sender)
{
    const int64_t now = mono_now();
    struct slot *slot;

    while (sender->first != NULL && is_late(sender, sender->first, now))
        drop(sender, pop(sender), MIRROR_DROP_LATE);
    while (sender->first != NULL && (slot = take_slot(sender)) != NULL)
        begin(sender, slot, pop(sender));
}

static void finish_all(struct mirror_sender *sender)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
        char *slot = NULL;

        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot) == CURLE_OK)
            finish(sender, (struct slot *)(void *)slot, message->data.result);
    }
}

static bool has_work(const struct mirror_sender *sender)
{
    return atomic_load(&sender->queue->incoming) != NULL || sender->first != NULL;
}

static void tell_if_idle(struct mirror_sender *sender)
{
    pthread_mutex_lock(&sender->lock);
    if (sender->draining && !has_work(sender) && mirror_sender_in_flight(sender) == 0) {
        sender->idle = true;
        pthread_cond_broadcast(&sender->changed);
    }
    pthread_mutex_unlock(&sender->lock);
}

/* Until something comes, one of libcurl's sockets or times is due, or the oldest job is late. */
static void wait_for_work(struct mirror_sender *sender)
{
    int64_t limit_ms = POLL_MAX_MS;

    if (sender->first != NULL) {
        const int64_t due = sender->first->queued_mono_ns + sender->conf->queue_time_ns;
        const int64_t left_ms = (due - mono_now()) / NS_PER_MS + 1;

        limit_ms = left_ms < 0 ? 0 : left_ms < limit_ms ? left_ms : limit_ms;
    }
    atomic_store(&sender->asleep, true);
    if (atomic_load(&sender->queue->incoming) == NULL && !atomic_load(&sender->stopping))
        (void)curl_multi_poll(sender->multi, NULL, 0, (int)limit_ms, NULL);
    atomic_store(&sender->asleep, false);
}

/* The end: whatever is left is counted and given back. */
static void abandon_all(struct mirror_sender *sender)
{
    take_new(sender);
    while (sender->first != NULL)
        drop(sender, pop(sender), MIRROR_DROP_SHUTDOWN);
    for (unsigned i = 0; i < sender->n_made; i++) {
        struct slot *slot = &sender->slots[i];

        if (slot->job == NULL)
            continue;
        (void)curl_multi_remove_handle(sender->multi, slot->easy);
        mirror_count(&sender->counters->failures[MIRROR_FAILURE_ENDED], 1);
        give_back(sender, slot->job);
        slot->job = NULL;
        (void)atomic_fetch_sub_explicit(&sender->in_flight, 1, memory_order_relaxed);
    }
}

static void *run(void *arg)
{
    struct mirror_sender *sender = arg;
    int running;

    (void)pthread_setname_np(pthread_self(), "mirror-send");
    while (!atomic_load(&sender->stopping)) {
        take_new(sender);
        begin_all(sender);
        (void)curl_multi_perform(sender->multi, &running); /* fails for misuse only */
        finish_all(sender);
        tell_if_idle(sender);
        if (sender->first == NULL || sender->free_slots == NULL)
            wait_for_work(sender);
    }
    abandon_all(sender);
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void destroy(struct mirror_sender *sender)
{
    for (unsigned i = 0; i < sender->n_made; i++) {
        curl_easy_cleanup(sender->slots[i].easy);
        mirror_lines_fini(&sender->slots[i].lines);
        free(sender->slots[i].nodes);
    }
    (void)curl_multi_cleanup(sender->multi); /* takes NULL */
    free(sender->slots);
    (void)pthread_cond_destroy(&sender->changed);
    (void)pthread_mutex_destroy(&sender->lock);
    free(sender);
    curl_global_cleanup();
}

static void init_changed(struct mirror_sender *sender)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr); /* none of these fails on Linux */
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sender->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&sender->lock, NULL);
}

struct mirror_sender *mirror_sender_start(const struct mirror_conf *conf,
                                          struct mirror_queue *queue,
                                          struct mirror_counters *counters,
                                          const struct mirror_sender_events *events, char *reterr,
                                          size_t reterr_size)
{
    struct mirror_sender *sender = calloc(1, sizeof *sender);

    if (sender == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(sender);
        (void)snprintf(reterr, reterr_size, "libcurl does not start");
        return NULL;
    }
    sender->conf = conf;
    sender->queue = queue;
    sender->counters = counters;
    sender->events = *events;
    init_changed(sender);
    sender->multi = curl_multi_init();
    sender->slots = calloc(conf->concurrency, sizeof *sender->slots);
    if (sender->multi == NULL || sender->slots == NULL ||
        curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS, (long)conf->concurrency) !=
            CURLM_OK) {
        (void)snprintf(reterr, reterr_size, "out of memory");
        destroy(sender);
        return NULL;
    }
    /* What can be wrong with the settings is found now, not with the first request. */
    sender->free_slots = take_slot(sender);
    if (sender->free_slots == NULL) {
        (void)snprintf(reterr, reterr_size, "this libcurl does not take the settings");
        destroy(sender);
        return NULL;
    }
    if (pthread_create(&sender->thread, NULL, run, sender) != 0) {
        (void)snprintf(reterr, reterr_size, "no thread");
        destroy(sender);
        return NULL;
    }
    return sender;
}

void mirror_sender_wake(struct mirror_sender *sender)
{
    if (atomic_load(&sender->asleep) && atomic_exchange(&sender->asleep, false))
        (void)curl_multi_wakeup(sender->multi);
}

uint64_t mirror_sender_in_flight(const struct mirror_sender *sender)
{
    return atomic_load_explicit(&sender->in_flight, memory_order_relaxed);
}

void mirror_sender_drain(struct mirror_sender *sender, int64_t deadline_mono_ns)
{
    const struct timespec deadline = {.tv_sec = deadline_mono_ns / NS_PER_S,
                                      .tv_nsec = deadline_mono_ns % NS_PER_S};
    int rc = 0;

    pthread_mutex_lock(&sender->lock);
    sender->draining = true;
    (void)curl_multi_wakeup(sender->multi);
    while (!sender->idle && rc == 0)
        rc = pthread_cond_timedwait(&sender->changed, &sender->lock, &deadline);
    pthread_mutex_unlock(&sender->lock);
}

void mirror_sender_stop(struct mirror_sender *sender)
{
    if (sender == NULL)
        return;
    atomic_store(&sender->stopping, true);
    (void)curl_multi_wakeup(sender->multi);
    (void)pthread_join(sender->thread, NULL);
    destroy(sender);
}
