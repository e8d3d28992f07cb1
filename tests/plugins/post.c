/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker contexts and post(): each message goes to a thread of the plugin's, which posts it back
 * to the worker that it came from; there it is answered with the worker's index and how many this
 * worker answered so far. The context is touched without a lock, so that a host that calls it
 * from two threads is caught, by the thread check here or by ThreadSanitizer.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

struct post {
    const struct spoe_host *host;
    struct spoe_instance *self;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t news;
    struct job *jobs;
    bool stopping;
};

struct wctx {
    struct post *post;
    struct spoe_worker *worker;
    uint32_t index;
    pthread_t thread;
    int64_t answered; /* [worker] */
};

struct job {
    struct job *next;
    struct wctx *w;
    struct spoe_request *req;
};

/* On the worker. */
static void answer(void *arg)
{
    struct job *job = arg;
    struct wctx *w = job->w;
    const struct spoe_host *host = w->post->host;
    struct spoe_value index = spoe_value_int(w->index);
    struct spoe_value answered = spoe_value_int(++w->answered);
    struct spoe_value right = spoe_value_bool(pthread_equal(w->thread, pthread_self()));

    (void)host->set_var(job->req, SPOE_SCOPE_TXN, spoe_str("worker"), &index);
    (void)host->set_var(job->req, SPOE_SCOPE_TXN, spoe_str("answered"), &answered);
    (void)host->set_var(job->req, SPOE_SCOPE_TXN, spoe_str("right_thread"), &right);
    host->complete(job->req, SPOE_OK);
    free(job);
}

static void *run(void *arg)
{
    struct post *post = arg;

    pthread_mutex_lock(&post->lock);
    while (!post->stopping || post->jobs != NULL) {
        struct job *job = post->jobs;

        if (job == NULL) {
            pthread_cond_wait(&post->news, &post->lock);
            continue;
        }
        post->jobs = job->next;
        pthread_mutex_unlock(&post->lock);
        if (post->host->post(job->w->worker, answer, job) != SPOE_OK) {
            post->host->complete(job->req, SPOE_E_STOPPING);
            free(job);
        }
        pthread_mutex_lock(&post->lock);
    }
    pthread_mutex_unlock(&post->lock);
    return NULL;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct post *post = calloc(1, sizeof *post);

    (void)cfg;
    if (post == NULL)
        return SPOE_E_NOMEM;
    post->host = host;
    post->self = self;
    pthread_mutex_init(&post->lock, NULL);
    pthread_cond_init(&post->news, NULL);
    *ret_inst = post;
    return SPOE_OK;
}

static spoe_status start(void *inst)
{
    struct post *post = inst;

    if (pthread_create(&post->thread, NULL, run, post) != 0)
        return SPOE_E_NOMEM;
    post->started = true;
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct wctx *w = calloc(1, sizeof *w);

    if (w == NULL)
        return SPOE_E_NOMEM;
    *w = (struct wctx){inst, worker, index, pthread_self(), 0};
    *ret_wctx = w;
    return SPOE_OK;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct wctx *w = wctx;
    struct job *job = malloc(sizeof *job);

    (void)msg;
    if (job == NULL)
        return SPOE_E_NOMEM;
    pthread_mutex_lock(&w->post->lock);
    *job = (struct job){w->post->jobs, w, req};
    w->post->jobs = job;
    pthread_cond_signal(&w->post->news);
    pthread_mutex_unlock(&w->post->lock);
    return SPOE_PENDING;
}

static void worker_stop(void *wctx)
{
    free(wctx);
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    struct post *post = inst;

    (void)deadline_mono_ns;
    if (!post->started)
        return;
    pthread_mutex_lock(&post->lock);
    post->stopping = true;
    pthread_cond_signal(&post->news);
    pthread_mutex_unlock(&post->lock);
    pthread_join(post->thread, NULL);
    post->started = false;
}

static void destroy(void *inst)
{
    struct post *post = inst;

    pthread_cond_destroy(&post->news);
    pthread_mutex_destroy(&post->lock);
    free(post);
}

static const struct spoe_arg_decl *const args[] = {NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "post", "on-frontend-http-request", "is answered by post()", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = "post",
        .version = "1",
        .help = "answers by post()",
        .messages = messages,
        .configure = configure,
        .start = start,
        .worker_start = worker_start,
        .handle = handle,
        .worker_stop = worker_stop,
        .stop = stop,
        .destroy = destroy,
    };

    return &plugin;
}
