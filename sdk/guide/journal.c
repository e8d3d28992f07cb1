/* SPDX-License-Identifier: Apache-2.0 */
/* Work on a thread of the plugin's own, which HAProxy does not wait for: paths of requests are
 * written to a file. What waits is bounded; what finds no room is counted. */
#include <fcntl.h>
#include <pthread.h>
#include <spoe/ext/metrics.h>
#include <spoe/util.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM 1024 /* lines that wait */

struct line {
    size_t n;
    char text[1025];
};
struct journal { /* one instance */
    const struct spoe_host *host;
    struct spoe_instance *self;
    struct spoe_meter written, dropped, failed;
    char path[4096];
    int fd;
    pthread_t thread;
    pthread_mutex_t lock; /* held for a copy only: workers wait for it */
    pthread_cond_t more;
    size_t first, n; /* from here on with the lock */
    int ending;
    struct line waiting[ROOM];
};
enum { URI, PATH = 0 }; /* the slot; the option */

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    struct journal *me = wctx;
    const struct spoe_span uri = spoe_slot_str(msg, URI);
    struct line *line = NULL;
    (void)req;
    (void)pthread_mutex_lock(&me->lock);
    if (me->n < ROOM && uri.n < sizeof line->text) {
        line = &me->waiting[(me->first + me->n++) % ROOM];
        line->n = uri.n + 1;
        if (uri.n > 0)
            memcpy(line->text, uri.p, uri.n); /* the message is gone when we return */
        line->text[uri.n] = '\n';
    }
    (void)pthread_cond_signal(&me->more);
    (void)pthread_mutex_unlock(&me->lock);
    if (line == NULL)
        spoe_meter_count(&me->dropped, 1);
    return SPOE_OK;
}

static void *run(void *arg)
{
    struct journal *me = arg;
    struct line line;
    (void)pthread_mutex_lock(&me->lock);
    for (;;) {
        while (me->n == 0 && !me->ending)
            (void)pthread_cond_wait(&me->more, &me->lock);
        if (me->n == 0)
            break; /* what came before the end is written */
        line = me->waiting[me->first];
        me->first = (me->first + 1) % ROOM;
        me->n--;
        (void)pthread_mutex_unlock(&me->lock);
        const int whole = write(me->fd, line.text, line.n) == (ssize_t)line.n;
        spoe_meter_count(whole ? &me->written : &me->failed, 1);
        (void)pthread_mutex_lock(&me->lock);
    }
    (void)pthread_mutex_unlock(&me->lock);
    return NULL;
}

/* Threads begin here and not before: with all signals blocked, as this is called. */
static spoe_status start(void *inst)
{
    struct journal *me = inst;
    me->fd = open(me->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (me->fd >= 0 && pthread_create(&me->thread, NULL, run, me) == 0)
        return SPOE_OK;
    spoe_logf(me->host, me->self, SPOE_LOG_ERR, "%s: %s", me->path,
              me->fd < 0 ? "cannot be opened" : "no thread");
    if (me->fd >= 0)
        (void)close(me->fd);
    return SPOE_E_INTERNAL;
}
static void stop(void *inst, int64_t deadline)
{
    struct journal *me = inst;
    (void)deadline; /* a file that hangs beyond it is named by the host, which ends without us */
    (void)pthread_mutex_lock(&me->lock);
    me->ending = 1;
    (void)pthread_cond_signal(&me->more);
    (void)pthread_mutex_unlock(&me->lock);
    (void)pthread_join(me->thread, NULL);
    (void)close(me->fd);
}

static void destroy(void *inst)
{
    struct journal *me = inst;
    (void)pthread_cond_destroy(&me->more);
    (void)pthread_mutex_destroy(&me->lock);
    free(me);
}
static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    const struct spoe_span path = spoe_config_str(host, cfg, PATH);
    struct journal *me = calloc(1, sizeof *me);
    if (me == NULL)
        return SPOE_E_NOMEM;
    me->host = host;
    me->self = self;
    if (path.n > 0)
        memcpy(me->path, path.p, path.n); /* the host takes none that is longer */
    me->written = spoe_meter_counter(host, self, "written_total", "Lines", NULL);
    me->dropped = spoe_meter_counter(host, self, "dropped_total", "No room", NULL);
    me->failed = spoe_meter_counter(host, self, "failed_total", "Lost lines", NULL);
    if (pthread_mutex_init(&me->lock, NULL) != 0)
        return free(me), SPOE_E_NOMEM;
    if (pthread_cond_init(&me->more, NULL) != 0)
        return (void)pthread_mutex_destroy(&me->lock), free(me), SPOE_E_NOMEM;
    return *ret_inst = me, SPOE_OK;
}

SPOE_PLUGIN("journal", .version = "1.0", .help = "writes down paths", .needs_minor = 1,
            .messages = SPOE_MESSAGES(SPOE_MESSAGE(
                "journal", .event = "on-frontend-http-request", .help = "a request",
                .args = SPOE_ARGS([URI] = SPOE_ARG("uri", .types = SPOE_ACCEPT_STR,
                                                   .expression = "path,bytes(0,1024)")))),
            .options = SPOE_OPTIONS([PATH] = SPOE_OPTION("path", .type = SPOE_OPT_PATH,
                                                         .flags = SPOE_OPTION_REQUIRED,
                                                         .help = "the file")),
            .configure = configure, .start = start, .handle = handle, .stop = stop,
            .destroy = destroy);
