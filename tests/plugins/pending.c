/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers later, from a thread of its own. The argument `mode` of a message says when:
 *   after   `delay` milliseconds after it came (the default, of 0)
 *   hold    when a message "pending-release" with the same `key` comes, or at stop()
 *   cancel  once the host has cancelled it (its deadline passed, its connection is gone), or at
 *           stop(): then variables are refused, and complete() is due all the same
 *   twice   at once, two times
 *   inline  before handle() returns
 *   fail    at once, with an error, so that its variable is left out
 * Before it completes it sets `pending` to the key, which it reads from the message only then: what
 * is [pin] must still be there, also when the connection is gone. A line tells about every message
 * that is to wait, and about every completion.
 */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

enum mode { AFTER, HOLD, CANCEL, TWICE, INLINE, FAIL, N_MODES };
static const char *const mode_names[N_MODES] = {"after", "hold",   "cancel",
                                                "twice", "inline", "fail"};

struct item {
    struct item *next;
    struct spoe_request *req;
    enum mode mode;
    bool ready;     /* may complete as soon as due_ns has come */
    int64_t due_ns; /* only for AFTER */
    const struct spoe_message *msg;
};

struct pending {
    const struct spoe_host *host;
    struct spoe_instance *self;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t news;  /* on CLOCK_MONOTONIC */
    struct item *items;
    bool stopping;
};

/* Slots of both messages. */
enum { KEY, MODE, DELAY, N_SLOTS };

/* Byte by byte: AddressSanitizer does not see what printf() reads for "%.*s". */
static void copy(char *to, size_t size, struct spoe_span from)
{
    size_t n = from.n < size ? from.n : size - 1;

    for (size_t i = 0; i < n; i++)
        to[i] = from.p[i];
    to[n] = '\0';
}

/* Set the variable and complete; no lock is held, as complete() may do much. */
static void finish(struct pending *pe, struct item *item)
{
    const struct spoe_value *value = &item->msg->slot[KEY];
    spoe_status set = pe->host->set_var(item->req, SPOE_SCOPE_TXN, spoe_str("pending"), value);
    char key[64], engine[64];

    copy(key, sizeof key, value->u.s);
    copy(engine, sizeof engine, item->msg->engine_id);
    spoe_logf(pe->host, pe->self, SPOE_LOG_INFO, "completes key=%s engine=%s set_var=%d", key,
              engine, (int)set);
    pe->host->complete(item->req, item->mode == FAIL ? SPOE_E_INTERNAL : SPOE_OK);
    if (item->mode == TWICE)
        pe->host->complete(item->req, SPOE_OK);
}

/* Take the first item that is due off the list; else NULL, and when to look again (0: at news). */
static struct item *take_due(struct pending *pe, int64_t now_ns, int64_t *ret_next_ns)
{
    *ret_next_ns = 0;
    for (struct item **at = &pe->items; *at != NULL; at = &(*at)->next) {
        struct item *item = *at;

        if (pe->stopping || (item->ready && item->due_ns <= now_ns)) {
            *at = item->next;
            return item;
        }
        if (item->ready && (*ret_next_ns == 0 || item->due_ns < *ret_next_ns))
            *ret_next_ns = item->due_ns;
    }
    return NULL;
}

static void *run(void *arg)
{
    struct pending *pe = arg;

    pthread_mutex_lock(&pe->lock);
    for (;;) {
        int64_t next_ns;
        struct item *item = take_due(pe, pe->host->now_mono_ns(), &next_ns);

        if (item != NULL) {
            pthread_mutex_unlock(&pe->lock);
            finish(pe, item);
            free(item);
            pthread_mutex_lock(&pe->lock);
        } else if (pe->stopping) {
            break;
        } else if (next_ns != 0) {
            struct timespec ts = {next_ns / 1000000000, next_ns % 1000000000};
            (void)pthread_cond_timedwait(&pe->news, &pe->lock, &ts);
        } else {
            pthread_cond_wait(&pe->news, &pe->lock);
        }
    }
    pthread_mutex_unlock(&pe->lock);
    return NULL;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct pending *pe = calloc(1, sizeof *pe);
    pthread_condattr_t attr;

    (void)cfg;
    if (pe == NULL)
        return SPOE_E_NOMEM;
    pe->host = host;
    pe->self = self;
    pthread_mutex_init(&pe->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pe->news, &attr);
    pthread_condattr_destroy(&attr);
    *ret_inst = pe;
    return SPOE_OK;
}

static spoe_status start(void *inst)
{
    struct pending *pe = inst;

    if (pthread_create(&pe->thread, NULL, run, pe) != 0)
        return SPOE_E_NOMEM;
    pe->started = true;
    return SPOE_OK;
}

static enum mode mode_of(const struct spoe_message *msg)
{
    for (int i = 0; i < N_MODES; i++)
        if (msg->slot[MODE].type == SPOE_T_STR && spoe_span_is(msg->slot[MODE].u.s, mode_names[i]))
            return (enum mode)i;
    return AFTER;
}

/* "pending-release": whoever is held under this key may go. */
static void release(struct pending *pe, struct spoe_span key)
{
    pthread_mutex_lock(&pe->lock);
    for (struct item *item = pe->items; item != NULL; item = item->next) {
        struct spoe_span held = item->msg->slot[KEY].u.s;

        if (item->mode == HOLD && held.n == key.n &&
            (key.n == 0 || memcmp(held.p, key.p, key.n) == 0))
            item->ready = true;
    }
    pthread_cond_signal(&pe->news);
    pthread_mutex_unlock(&pe->lock);
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct pending *pe = wctx;
    struct spoe_span key = msg->slot[KEY].u.s;
    struct item *item;
    int64_t delay_ms;

    if (msg->index == 1) {
        release(pe, key);
        return SPOE_OK;
    }
    item = calloc(1, sizeof *item);
    if (item == NULL)
        return SPOE_E_NOMEM;
    item->req = req;
    item->mode = mode_of(msg);
    item->ready = item->mode != HOLD && item->mode != CANCEL;
    item->msg = msg;
    if (item->mode == AFTER && spoe_get_int(&msg->slot[DELAY], &delay_ms))
        item->due_ns = msg->recv_mono_ns + delay_ms * 1000000;
    if (item->mode == INLINE) {
        finish(pe, item);
        free(item);
        return SPOE_PENDING;
    }
    if (!item->ready)
        spoe_logf(pe->host, pe->self, SPOE_LOG_INFO, "waits key=%.*s", (int)key.n, key.p);
    pthread_mutex_lock(&pe->lock);
    item->next = pe->items;
    pe->items = item;
    pthread_cond_signal(&pe->news);
    pthread_mutex_unlock(&pe->lock);
    return SPOE_PENDING;
}

static void cancel(void *wctx, struct spoe_request *req, int32_t why)
{
    struct pending *pe = wctx;

    spoe_logf(pe->host, pe->self, SPOE_LOG_INFO, "cancelled why=%d", (int)why);
    pthread_mutex_lock(&pe->lock);
    for (struct item *item = pe->items; item != NULL; item = item->next)
        if (item->req == req && item->mode == CANCEL)
            item->ready = true;
    pthread_cond_signal(&pe->news);
    pthread_mutex_unlock(&pe->lock);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct pending *pe = inst;

    (void)deadline_mono_ns;
    if (!pe->started)
        return;
    pthread_mutex_lock(&pe->lock);
    pe->stopping = true;
    pthread_cond_signal(&pe->news);
    pthread_mutex_unlock(&pe->lock);
    pthread_join(pe->thread, NULL);
    pe->started = false;
}

static void destroy(void *inst)
{
    struct pending *pe = inst;

    assert(pe->items == NULL);
    pthread_cond_destroy(&pe->news);
    pthread_mutex_destroy(&pe->lock);
    free(pe);
}

static const struct spoe_arg_decl arg_key = {sizeof arg_key, SPOE_ACCEPT_STR, SPOE_ARG_REQUIRED, 0,
                                             "key",          "unique-id",     "echoed"};
static const struct spoe_arg_decl arg_mode = {sizeof arg_mode,   SPOE_ACCEPT_STR,   0, 0, "mode",
                                              "req.hdr(x-mode)", "when to complete"};
static const struct spoe_arg_decl arg_delay = {sizeof arg_delay,   SPOE_ACCEPT_INT, 0, 0, "delay",
                                               "req.hdr(x-delay)", "milliseconds"};
static const struct spoe_arg_decl *const args[N_SLOTS + 1] = {&arg_key, &arg_mode, &arg_delay};
static const struct spoe_message_decl message = {
    sizeof message, 0, "pending", "on-frontend-http-request", "is answered later", args};
static const struct spoe_message_decl releasing = {
    sizeof releasing,        0,   "pending-release", "on-frontend-http-request",
    "releases what is held", args};
static const struct spoe_message_decl shared = {
    sizeof shared, 0, "shared", "on-frontend-http-request", "is answered later", args};
static const struct spoe_message_decl *const messages[] = {&message, &releasing, &shared, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = "pending",
        .version = "1",
        .help = "answers later",
        .messages = messages,
        .configure = configure,
        .start = start,
        .handle = handle,
        .cancel = cancel,
        .stop = stop,
        .destroy = destroy,
    };

    return &plugin;
}
