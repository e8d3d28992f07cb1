/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/mirror/plugin.c - repeats requests at a second origin, off the request's path.
 *
 * handle() decides, copies the request once into a bounded queue and returns; HAProxy's request
 * never waits for the second origin. A thread of the plugin's (sender.h) does the rest.
 */
#include <spoe/ext/health.h>
#include <spoe/util.h>

#include <stdlib.h>
#include <string.h>

#include "mirror/conf.h"
#include "mirror/counters.h"
#include "mirror/job.h"
#include "mirror/metrics.h"
#include "mirror/sender.h"

enum { METHOD, TARGET, HEADERS, BODY, BODY_LEN, BODY_END, SHARE };

/* What a worker has: its jobs, and its own random numbers. */
struct worker {
    struct mirror *mirror;
    struct worker *next;
    struct mirror_job_pool pool;
    uint64_t random;
};

struct mirror {
    const struct spoe_host *host;
    struct spoe_instance *self;
    const struct spoe_health *health; /* NULL: the host has none */
    struct mirror_conf conf;
    size_t prefix_len;
    _Atomic uint32_t share;
    _Atomic bool send_cut;
    struct mirror_counters counters;
    struct mirror_metrics metrics;
    struct mirror_queue queue;
    struct mirror_sender *sender;
    _Atomic(struct worker *) workers; /* a job may come back after its worker has stopped */
};

/* ---- a request ------------------------------------------------------------------------------ */

/* The rule of HAProxy's, where it says something that can be read; else the option. */
static bool is_selected(struct worker *worker, const struct spoe_value *rule)
{
    uint32_t share = atomic_load_explicit(&worker->mirror->share, memory_order_relaxed);
    int64_t percent;

    if (rule->type == SPOE_T_STR)
        (void)mirror_share_parse(rule->u.s, &share); /* unchanged if it is none */
    else if (spoe_get_int(rule, &percent) && percent >= 0 && percent <= 100)
        share = (uint32_t)percent * (MIRROR_SHARE_ALL / 100);
    return mirror_share_takes(share, &worker->random);
}

/* A request line can be made of it: no byte that ends a word, a line or the text. */
static bool is_target(struct spoe_span target)
{
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f)
            return false;
    return target.n > 0 && target.p[0] == '/';
}

static bool can_be_sent(const struct spoe_message *msg)
{
    const struct spoe_span method = spoe_slot_str(msg, METHOD), body = spoe_slot_str(msg, BODY);

    if (!mirror_is_token(method) || spoe_span_is(method, "CONNECT") ||
        !is_target(spoe_slot_str(msg, TARGET)))
        return false;
    return !spoe_span_is(method, "HEAD") || body.n == 0; /* nobody sends one, libcurl cannot */
}

static char *put(char *p, const char *from, size_t n)
{
    if (n > 0)
        memcpy(p, from, n);
    return p + n;
}

/* The one copy. */
static void fill(const struct mirror *mirror, struct mirror_job *job,
                 const struct spoe_message *msg, int64_t now)
{
    const struct spoe_span method = spoe_slot_str(msg, METHOD), target = spoe_slot_str(msg, TARGET);
    const struct spoe_span headers = spoe_slot_str(msg, HEADERS), body = spoe_slot_str(msg, BODY);
    char *p = job->bytes;

    job->queued_mono_ns = now;
    job->method_len = method.n;
    job->target_len = mirror->prefix_len + target.n;
    job->headers_len = headers.n;
    job->body_len = body.n;
    job->binary = msg->slot[HEADERS].type == SPOE_T_BIN;
    p = put(p, method.p, method.n);
    *p++ = '\0';
    p = put(p, mirror->conf.prefix, mirror->prefix_len);
    p = put(p, target.p, target.n);
    *p++ = '\0';
    p = put(p, headers.p, headers.n);
    (void)put(p, body.p, body.n);
}

static void drop(struct mirror *mirror, enum mirror_drop why)
{
    mirror_count(&mirror->counters.dropped[why], 1);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct worker *worker = wctx;
    struct mirror *mirror = worker->mirror;
    /* None is larger than a frame, so the sum cannot overflow. */
    const size_t n = spoe_slot_str(msg, METHOD).n + 1 + mirror->prefix_len +
                     spoe_slot_str(msg, TARGET).n + 1 + spoe_slot_str(msg, HEADERS).n +
                     spoe_slot_str(msg, BODY).n;
    const size_t size = mirror_job_size(n);
    enum mirror_queue_result room;
    struct mirror_job *job;

    (void)req; /* there is no answer */
    mirror_count(&mirror->counters.requests, 1);
    if (!is_selected(worker, &msg->slot[SHARE])) {
        mirror_count(&mirror->counters.unselected, 1);
        return SPOE_OK;
    }
    if (!can_be_sent(msg)) {
        drop(mirror, MIRROR_DROP_INVALID);
        return SPOE_OK;
    }
    if (!spoe_body_is_whole(&msg->slot[BODY], &msg->slot[BODY_LEN], &msg->slot[BODY_END]) &&
        !atomic_load_explicit(&mirror->send_cut, memory_order_relaxed)) {
        drop(mirror, MIRROR_DROP_CUT);
        return SPOE_OK;
    }
    room = mirror_queue_reserve(&mirror->queue, size);
    if (room != MIRROR_QUEUE_OK) {
        drop(mirror, room == MIRROR_QUEUE_FULL ? MIRROR_DROP_FULL : MIRROR_DROP_FULL_BYTES);
        return SPOE_OK;
    }
    job = mirror_job_take(&worker->pool, n);
    if (job == NULL) {
        mirror_queue_release(&mirror->queue, size);
        mirror_queue_leave(&mirror->queue);
        drop(mirror, MIRROR_DROP_NO_MEMORY);
        return SPOE_OK;
    }
    fill(mirror, job, msg, mirror->host->now_mono_ns());
    mirror_queue_push(&mirror->queue, job);
    mirror_sender_wake(mirror->sender);
    return SPOE_OK;
}

/* ---- what the sender tells ------------------------------------------------------------------ */

static void on_answered(void *arg, double seconds)
{
    const struct mirror *mirror = arg;

    mirror_metrics_answered(&mirror->metrics, seconds);
}

static void on_state(void *arg, const char *why)
{
    const struct mirror *mirror = arg;
    char text[SPOE_HEALTH_TEXT_MAX] = "";

    if (why != NULL)
        (void)snprintf(text, sizeof text, "%s does not answer: %s", mirror->conf.base, why);
    if (mirror->health != NULL) /* which the host logs */
        mirror->health->set(mirror->self, why != NULL ? SPOE_HEALTH_DEGRADED : SPOE_HEALTH_READY,
                            spoe_str(text));
    else if (why != NULL)
        spoe_logf(mirror->host, mirror->self, SPOE_LOG_WARNING, "%s", text);
    else
        spoe_logf(mirror->host, mirror->self, SPOE_LOG_NOTICE, "%s answers again",
                  mirror->conf.base);
}

static void read_gauges(void *arg, struct mirror_gauges *ret)
{
    struct mirror *mirror = arg;

    *ret =
        (struct mirror_gauges){.waiting = mirror_counted(&mirror->queue.jobs),
                               .waiting_max = mirror->queue.max_jobs,
                               .in_flight = mirror_sender_in_flight(mirror->sender),
                               .in_flight_max = mirror->conf.concurrency,
                               .held_bytes = mirror_counted(&mirror->queue.bytes),
                               .held_bytes_max = mirror->queue.max_bytes,
                               .share = atomic_load_explicit(&mirror->share, memory_order_relaxed)};
}

/* ---- life ----------------------------------------------------------------------------------- */

static void destroy(void *inst)
{
    struct mirror *mirror = inst;
    struct worker *worker = atomic_load(&mirror->workers);

    while (worker != NULL) {
        struct worker *next = worker->next;

        mirror_job_pool_fini(&worker->pool);
        free(worker);
        worker = next;
    }
    mirror_conf_fini(&mirror->conf);
    free(mirror);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);
    spoe_status status;

    if (mirror == NULL)
        return SPOE_E_NOMEM;
    mirror->host = host;
    mirror->self = self;
    status = mirror_conf_read(&mirror->conf, host, cfg);
    if (status != SPOE_OK) {
        destroy(mirror);
        return status;
    }
    mirror->prefix_len = strlen(mirror->conf.prefix);
    atomic_init(&mirror->share, mirror->conf.share);
    atomic_init(&mirror->send_cut, mirror->conf.send_cut);
    mirror->queue.max_jobs = mirror->conf.queue;
    mirror->queue.max_bytes = mirror->conf.memory;
    mirror->health = host->get_extension(self, SPOE_HEALTH_1);
    mirror->metrics.counters = &mirror->counters;
    mirror->metrics.read_gauges = read_gauges;
    mirror->metrics.arg = mirror;
    mirror_metrics_declare(&mirror->metrics, host, self);
    *ret_inst = mirror;
    return SPOE_OK;
}

/* The line of /status. */
static void tell_share(const struct mirror *mirror)
{
    char text[SPOE_HEALTH_TEXT_MAX];
    const uint32_t share = atomic_load_explicit(&mirror->share, memory_order_relaxed);

    (void)snprintf(text, sizeof text, "repeats %g %% of the requests at %s%s",
                   (double)share * 100 / MIRROR_SHARE_ALL, mirror->conf.base, mirror->conf.prefix);
    spoe_logf(mirror->host, mirror->self, SPOE_LOG_INFO, "%s", text);
    if (mirror->health != NULL)
        mirror->health->status(mirror->self, spoe_str(text));
}

static spoe_status reconfigure(void *inst, struct spoe_config *cfg)
{
    struct mirror *mirror = inst;
    uint32_t share;
    bool send_cut;
    const spoe_status status = mirror_conf_read_again(mirror->host, cfg, &share, &send_cut);

    if (status == SPOE_OK) {
        atomic_store_explicit(&mirror->share, share, memory_order_relaxed);
        atomic_store_explicit(&mirror->send_cut, send_cut, memory_order_relaxed);
        tell_share(mirror);
    }
    return status;
}

static spoe_status start(void *inst)
{
    struct mirror *mirror = inst;
    const struct mirror_sender_events events = {mirror, on_answered, on_state};
    char wrong[200];

    mirror->sender = mirror_sender_start(&mirror->conf, &mirror->queue, &mirror->counters, &events,
                                         wrong, sizeof wrong);
    if (mirror->sender == NULL) {
        spoe_logf(mirror->host, mirror->self, SPOE_LOG_ERR, "%s", wrong);
        return SPOE_E_INTERNAL;
    }
    tell_share(mirror);
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *host_worker, uint32_t index,
                                void **ret_wctx)
{
    struct mirror *mirror = inst;
    struct worker *worker = calloc(1, sizeof *worker);
    struct worker *head;

    (void)host_worker;
    if (worker == NULL)
        return SPOE_E_NOMEM;
    worker->mirror = mirror;
    worker->random = ((uint64_t)mirror->host->now_mono_ns() << 8) + index + 1; /* never 0 */
    head = atomic_load(&mirror->workers);
    do {
        worker->next = head;
    } while (!atomic_compare_exchange_weak(&mirror->workers, &head, worker));
    *ret_wctx = worker;
    return SPOE_OK;
}

static void drain(void *inst, int64_t deadline_mono_ns)
{
    const struct mirror *mirror = inst;

    mirror_sender_drain(mirror->sender, deadline_mono_ns);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct mirror *mirror = inst;
    const struct mirror_counters *c = &mirror->counters;
    uint64_t answers = 0, dropped = 0, failures = 0;

    (void)deadline_mono_ns; /* nothing in it waits */
    mirror_sender_stop(mirror->sender);
    mirror->sender = NULL;
    for (unsigned i = 0; i < MIRROR_N_CLASSES; i++)
        answers += mirror_counted(&c->answers[i]);
    for (unsigned i = 0; i < MIRROR_N_DROPS; i++)
        dropped += mirror_counted(&c->dropped[i]);
    for (unsigned i = 0; i < MIRROR_N_FAILURES; i++)
        failures += mirror_counted(&c->failures[i]);
    spoe_logf(mirror->host, mirror->self, SPOE_LOG_INFO,
              "totals: requests=%llu unselected=%llu dropped=%llu answers=%llu failures=%llu",
              (unsigned long long)mirror_counted(&c->requests),
              (unsigned long long)mirror_counted(&c->unselected), (unsigned long long)dropped,
              (unsigned long long)answers, (unsigned long long)failures);
}

static const struct spoe_arg_decl *const args[] = {
    [METHOD] = SPOE_ARG("method", .types = SPOE_ACCEPT_STR, .expression = "method",
                        .help = "the request's method"),
    [TARGET] = SPOE_ARG("target", .types = SPOE_ACCEPT_STR, .expression = "pathq",
                        .help = "path and query"),
    [HEADERS] =
        SPOE_ARG("headers", .types = SPOE_ACCEPT_BIN | SPOE_ACCEPT_STR,
                 .expression = "req.hdrs_bin", .help = "all headers; req.hdrs will do as well"),
    [BODY] = SPOE_ARG("body", .types = SPOE_ACCEPT_BIN | SPOE_ACCEPT_STR, .expression = "req.body",
                      .help = "what HAProxy has of the body; not to be cut here"),
    [BODY_LEN] = SPOE_ARG("body_len", .types = SPOE_ACCEPT_INT, .expression = "req.body_len",
                          .help = "how much of the body HAProxy has"),
    [BODY_END] =
        SPOE_ARG("body_end", .types = SPOE_ACCEPT_BOOL, .expression = "internal.htx.has_eom",
                 .help = "whether that is all of it"),
    [SHARE] = SPOE_ARG("share", .types = SPOE_ACCEPT_INT | SPOE_ACCEPT_STR,
                       .expression = "var(txn.mirror_share)",
                       .help = "percent, in place of the option share"),
    NULL};

SPOE_PLUGIN("mirror", .needs_minor = 1, .flags = SPOE_PLUGIN_INSTANCES,
            .version = MIRROR_PLUGIN_VERSION, .help = "repeats requests at a second origin",
            .messages = SPOE_MESSAGES(SPOE_MESSAGE("mirror", .event = "on-frontend-http-request",
                                                   .help = "a request to repeat", .args = args)),
            .options = mirror_options, .variables = SPOE_VARIABLES(NULL), .configure = configure,
            .reconfigure = reconfigure, .start = start, .worker_start = worker_start,
            .handle = handle, .drain = drain, .stop = stop, .destroy = destroy);
