/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/reloader.c - see reloader.h; what a source does next follows from its times. */
#include "core/reloader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/file_watch.h"
#include "core/handler_log.h"
#include "core/plugin.h"
#include "core/worker_core.h"

#define NAME_MAX_BYTES 32u
#define POLL_NS (5 * NS_PER_S)
#define SETTLE_NS (250 * NS_PER_MS)  /* files stay as they are for so long before they are read */
#define SETTLE_MAX_NS (5 * NS_PER_S) /* but those that always change do not wait for ever */
#define RETRY_NS (60 * NS_PER_S)
#define NEVER INT64_MAX
#define NICENESS 10 /* building is work in the background: workers come first */

/* One worker's word that it has come out of whatever callback it was in. */
struct grace {
    struct mail mail;
    struct spoe_reload_source *source;
};

struct spoe_reload_source {
    struct reloader *reloader;
    char name[NAME_MAX_BYTES + 1];
    uint32_t flags;
    int64_t poll_ns, every_ns;
    spoe_status (*build)(void *arg, struct spoe_reload_source *source, void **ret_state);
    void (*release)(void *arg, void *state);
    void *arg;
    _Atomic(void *) state; /* [any] reads */
    struct reload_counts counts;
    _Atomic bool triggered; /* [any] */
    struct file_watch watch;
    /* When what is due; NEVER where nothing is. */
    int64_t look_at, settled_at, settle_end, again_at;
    void *retired;           /* some worker may see it */
    _Atomic uint32_t seeing; /* how many, and one while they are told */
    struct grace *grace;     /* one a worker */
    bool was_built;          /* or tried */
    bool failing;            /* the last build did */
};

struct reloader {
    struct spoe_instance *plugin;
    const struct host_shared *shared;
    struct spoe_reload_source *source[SPOE_RELOAD_SOURCES_MAX];
    size_t n;
    pthread_t thread;
    bool has_thread;
    int wake_fd, first_fd;
    _Atomic bool cancelled, building;
    _Atomic uint32_t n_awaited; /* required ones that were not built yet */
    _Atomic(const struct spoe_reload_source *) failed_first;
    _Atomic spoe_status first_status;
};

static void signal_fd(int fd)
{
    static const uint64_t one = 1;

    (void)!write(fd, &one, sizeof one);
}

/* ---- publishing and releasing ------------------------------------------------------------- */

static void on_grace(struct mail *mail)
{
    struct spoe_reload_source *source = container_of(mail, struct grace, mail)->source;

    if (atomic_fetch_sub(&source->seeing, 1) == 1)
        signal_fd(source->reloader->wake_fd);
}

static void publish(struct spoe_reload_source *source, void *state)
{
    const struct host_shared *shared = source->reloader->shared;

    source->retired = atomic_exchange(&source->state, state);
    if (source->retired == NULL)
        return;
    atomic_store(&source->seeing, shared->n_workers + 1);
    for (uint32_t i = 0; i < shared->n_workers; i++) {
        source->grace[i].source = source;
        source->grace[i].mail.run = on_grace;
        /* A worker that ends takes no mail, and may be in worker_stop(): reloader_stop() releases.
         */
        (void)mailbox_put(&shared->workers[i]->mailbox, &source->grace[i].mail);
    }
    on_grace(&(struct grace){.source = source}.mail);
}

static void release(const struct spoe_reload_source *source, void *state)
{
    if (state == NULL)
        return;
    thread_enter(&source->reloader->plugin->callee, "release()");
    source->release(source->arg, state);
    thread_leave();
}

static void release_retired(struct spoe_reload_source *source)
{
    if (source->retired == NULL || atomic_load(&source->seeing) != 0)
        return;
    release(source, source->retired);
    source->retired = NULL;
}

/* ---- building ----------------------------------------------------------------------------- */

/* Counted before it is said. */
static void count(struct spoe_reload_source *source, spoe_status status, int64_t ns)
{
    const char *id = plugin_name(source->reloader->plugin);

    if (status == SPOE_OK) {
        atomic_store(&source->counts.built_unix_ns, clock_unix_ns());
        atomic_store(&source->counts.build_ns, ns);
        (void)atomic_fetch_add(&source->counts.built, 1);
        log_line(source->failing ? SPOE_LOG_NOTICE : SPOE_LOG_DEBUG, id, "%s: built%s in %.3f s",
                 source->name, source->failing ? " again" : "", (double)ns / NS_PER_S);
        source->failing = false;
    } else if (status != SPOE_E_STOPPING || !atomic_load(&source->reloader->cancelled)) {
        (void)atomic_fetch_add(&source->counts.failed, 1);
        log_line(source->failing ? SPOE_LOG_DEBUG : SPOE_LOG_ERR, id, "%s: not built: %s (%d)%s",
                 source->name, handler_status_text(status), status,
                 atomic_load(&source->state) != NULL ? "; what was there stays in use" : "");
        source->failing = true; /* said once; each time it is the plugin that says why */
    }
}

static void note_first(struct spoe_reload_source *source, spoe_status status)
{
    struct reloader *reloader = source->reloader;

    if (source->was_built)
        return;
    source->was_built = true;
    if ((source->flags & SPOE_RELOAD_REQUIRED) == 0)
        return;
    if (status != SPOE_OK) {
        atomic_store(&reloader->first_status, status);
        atomic_store(&reloader->failed_first, source);
    }
    (void)atomic_fetch_sub(&reloader->n_awaited, 1);
    signal_fd(reloader->first_fd);
}

static void build(struct spoe_reload_source *source)
{
    struct reloader *reloader = source->reloader;
    void *state = NULL;
    spoe_status status;
    int64_t begin, end;

    atomic_store(&source->triggered, false);
    (void)file_watch_look(&source->watch); /* what changes from here on is seen later */
    source->settled_at = source->settle_end = source->again_at = NEVER;
    begin = clock_mono_ns();
    thread_enter(&reloader->plugin->callee, "build()");
    status = source->build(source->arg, source, &state);
    thread_leave();
    end = clock_mono_ns();
    if (status != SPOE_OK)
        release(source, state); /* it should be NULL */
    else if (state != NULL)
        publish(source, state);
    count(source, status, end - begin);
    source->look_at = end + source->poll_ns;
    if (source->every_ns > 0)
        source->again_at = end + source->every_ns;
    else if (status != SPOE_OK)
        source->again_at = end + RETRY_NS;
    note_first(source, status);
}

/* Whether it is time to build; files that still change are waited for. */
static bool look(struct spoe_reload_source *source, bool told, int64_t now)
{
    const bool settled = now >= source->settled_at;

    if (told)
        file_watch_drain(&source->watch);
    if (!told && !settled && now < source->look_at)
        return now >= source->settle_end;
    source->look_at = now + source->poll_ns;
    if (!file_watch_look(&source->watch))
        return settled || now >= source->settle_end;
    source->settled_at = now + SETTLE_NS;
    if (source->settle_end == NEVER)
        source->settle_end = now + SETTLE_MAX_NS;
    return now >= source->settle_end;
}

static void turn(struct spoe_reload_source *source, bool told)
{
    struct reloader *reloader = source->reloader;
    const int64_t now = clock_mono_ns();
    bool due;

    release_retired(source);
    due = look(source, told, now);
    if (due)
        atomic_store(&source->triggered, true);
    if (source->retired != NULL || (!atomic_load(&source->triggered) && now < source->again_at))
        return;
    /* Either reloader_is_building() sees this, or we see that it is over. */
    atomic_store(&reloader->building, true);
    if (!atomic_load(&reloader->cancelled))
        build(source);
    atomic_store(&reloader->building, false);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the source has to be looked at next; one whose old state waits for workers is woken. */
static int64_t next_time(const struct spoe_reload_source *source)
{
    int64_t at = source->watch.n != 0 ? source->look_at : NEVER;

    at = earlier(at, earlier(source->settled_at, source->settle_end));
    if (source->retired == NULL)
        at = earlier(at, atomic_load(&source->triggered) ? 0 : source->again_at);
    return at;
}

/* Wait for a time, a change or a call. @param ret_told  by source: its files may have changed */
static void wait_for_work(const struct reloader *reloader, bool *ret_told)
{
    struct pollfd fds[SPOE_RELOAD_SOURCES_MAX + 1] = {{.fd = reloader->wake_fd, .events = POLLIN}};
    int64_t at = NEVER, left;
    struct timespec ts;
    uint64_t n;

    for (size_t i = 0; i < reloader->n; i++) {
        fds[i + 1] = (struct pollfd){.fd = reloader->source[i]->watch.fd, .events = POLLIN};
        at = earlier(at, next_time(reloader->source[i]));
    }
    left = at == NEVER ? 0 : at - clock_mono_ns();
    if (left < 0)
        left = 0;
    ts = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    if (ppoll(fds, (nfds_t)reloader->n + 1, at == NEVER ? NULL : &ts, NULL) < 0)
        return;
    if (fds[0].revents != 0)
        (void)!read(reloader->wake_fd, &n, sizeof n);
    for (size_t i = 0; i < reloader->n; i++)
        ret_told[i] = fds[i + 1].revents != 0;
}

static void *reloader_main(void *arg)
{
    struct reloader *reloader = arg;
    bool told[SPOE_RELOAD_SOURCES_MAX] = {false};
    char name[THREAD_NAME_MAX];

    (void)snprintf(name, sizeof name, "reload-%u", reloader->plugin->index);
    (void)pthread_setname_np(pthread_self(), name);
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread, in Linux */
    thread_begin(name);
    while (!atomic_load(&reloader->cancelled)) {
        for (size_t i = 0; i < reloader->n; i++)
            turn(reloader->source[i], told[i]);
        memset(told, 0, sizeof told);
        if (!atomic_load(&reloader->cancelled))
            wait_for_work(reloader, told);
    }
    thread_end();
    return NULL;
}

/* ---- life --------------------------------------------------------------------------------- */

int reloader_start(struct reloader *reloader, const struct host_shared *shared,
                   struct error *reterr)
{
    int error;

    if (reloader == NULL)
        return 0;
    reloader->shared = shared;
    for (size_t i = 0; i < reloader->n; i++) {
        struct spoe_reload_source *source = reloader->source[i];

        source->look_at = source->settled_at = source->settle_end = source->again_at = NEVER;
        atomic_store(&source->triggered, true);
        if ((source->flags & SPOE_RELOAD_REQUIRED) != 0)
            (void)atomic_fetch_add(&reloader->n_awaited, 1);
        source->grace = calloc(shared->n_workers, sizeof *source->grace);
        if (source->grace == NULL)
            return error_set(reterr, "out of memory");
    }
    error = pthread_create(&reloader->thread, NULL, reloader_main, reloader);
    if (error != 0)
        return error_set(reterr, "plugin %s: thread: %s", plugin_name(reloader->plugin),
                         strerror(error));
    reloader->has_thread = true;
    return 0;
}

int reloader_wait(struct reloader *reloader, int stop_fd, struct error *reterr)
{
    const struct spoe_reload_source *failed = NULL;

    if (reloader == NULL)
        return 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN},
                               {.fd = reloader->first_fd, .events = POLLIN}};
        uint64_t n;

        failed = atomic_load(&reloader->failed_first);
        if (failed != NULL || atomic_load(&reloader->n_awaited) == 0)
            break;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return error_set(reterr, "poll: %s", strerror(errno));
        if (fds[0].revents != 0)
            return 0;
        if (fds[1].revents != 0)
            (void)!read(reloader->first_fd, &n, sizeof n);
    }
    if (failed == NULL)
        return 0;
    return error_set(reterr, "plugin %s: %s: build() failed with %s", plugin_name(reloader->plugin),
                     failed->name, handler_status_text(atomic_load(&reloader->first_status)));
}

void reloader_trigger(struct reloader *reloader)
{
    if (reloader == NULL)
        return;
    for (size_t i = 0; i < reloader->n; i++)
        atomic_store(&reloader->source[i]->triggered, true);
    signal_fd(reloader->wake_fd);
}

void reloader_cancel(struct reloader *reloader)
{
    if (reloader == NULL)
        return;
    atomic_store(&reloader->cancelled, true);
    signal_fd(reloader->wake_fd);
}

bool reloader_is_building(const struct reloader *reloader)
{
    return reloader != NULL && atomic_load(&reloader->building);
}

void reloader_stop(struct reloader *reloader)
{
    if (reloader == NULL)
        return;
    reloader_cancel(reloader);
    if (reloader->has_thread)
        (void)pthread_join(reloader->thread, NULL);
    reloader->has_thread = false;
    for (size_t i = 0; i < reloader->n; i++) {
        struct spoe_reload_source *source = reloader->source[i];

        release(source, source->retired);
        source->retired = NULL;
        release(source, atomic_exchange(&source->state, NULL));
    }
}

static void source_destroy(struct spoe_reload_source *source)
{
    file_watch_fini(&source->watch);
    free(source->grace);
    free(source);
}

void reloader_destroy(struct reloader *reloader)
{
    if (reloader == NULL)
        return;
    for (size_t i = 0; i < reloader->n; i++)
        source_destroy(reloader->source[i]);
    (void)close(reloader->wake_fd);
    (void)close(reloader->first_fd);
    free(reloader);
}

const char *reloader_source(const struct reloader *reloader, size_t i,
                            const struct reload_counts **ret_counts)
{
    if (reloader == NULL || i >= reloader->n)
        return NULL;
    *ret_counts = &reloader->source[i]->counts;
    return reloader->source[i]->name;
}

/* ---- the facet ---------------------------------------------------------------------------- */

static struct reloader *reloader_create(struct spoe_instance *plugin)
{
    struct reloader *reloader = calloc(1, sizeof *reloader);

    if (reloader == NULL)
        return NULL;
    reloader->plugin = plugin;
    reloader->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reloader->first_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reloader->wake_fd >= 0 && reloader->first_fd >= 0)
        return reloader;
    if (reloader->wake_fd >= 0)
        (void)close(reloader->wake_fd);
    free(reloader);
    return NULL;
}

static bool is_name(const char *name)
{
    const size_t n = strlen(name);

    return n != 0 && n <= NAME_MAX_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool is_valid(const struct spoe_reload_decl *decl)
{
    size_t n = 0;

    if (!SPOE_HAS(decl, name) || !SPOE_HAS(decl, build) || !SPOE_HAS(decl, release) ||
        decl->size < sizeof *decl || !is_name(decl->name) || decl->poll_ns < 0 ||
        decl->every_ns < 0 || (decl->flags & ~SPOE_RELOAD_REQUIRED) != 0)
        return false;
    while (decl->paths != NULL && decl->paths[n] != NULL)
        n++;
    return n <= SPOE_RELOAD_PATHS_MAX;
}

static struct spoe_reload_source *source_create(struct reloader *reloader,
                                                const struct spoe_reload_decl *decl)
{
    struct spoe_reload_source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return NULL;
    source->reloader = reloader;
    memcpy(source->name, decl->name, strlen(decl->name));
    source->flags = decl->flags;
    source->poll_ns = decl->poll_ns != 0 ? decl->poll_ns : POLL_NS;
    source->every_ns = decl->every_ns;
    source->build = decl->build;
    source->release = decl->release;
    source->arg = decl->arg;
    if (file_watch_init(&source->watch, decl->paths) == 0)
        return source;
    free(source);
    return NULL;
}

static spoe_status facet_declare(struct spoe_instance *self, const struct spoe_reload_decl *decl,
                                 struct spoe_reload_source **ret)
{
    struct spoe_reload_source *source;

    if (self->state != PLUGIN_LOADED)
        return SPOE_E_UNSUPPORTED;
    if (!is_valid(decl))
        return SPOE_E_INVAL;
    if (self->reloader == NULL)
        self->reloader = reloader_create(self);
    if (self->reloader == NULL)
        return SPOE_E_NOMEM;
    if (self->reloader->n == SPOE_RELOAD_SOURCES_MAX)
        return SPOE_E_LIMIT;
    for (size_t i = 0; i < self->reloader->n; i++) {
        if (strcmp(self->reloader->source[i]->name, decl->name) == 0)
            return SPOE_E_INVAL;
    }
    source = source_create(self->reloader, decl);
    if (source == NULL)
        return SPOE_E_NOMEM;
    self->reloader->source[self->reloader->n++] = source;
    *ret = source;
    return SPOE_OK;
}

static const void *facet_get(const struct spoe_reload_source *source)
{
    return atomic_load_explicit(&source->state, memory_order_acquire);
}

static void facet_trigger(struct spoe_reload_source *source)
{
    atomic_store(&source->triggered, true);
    signal_fd(source->reloader->wake_fd);
}

static int32_t facet_cancelled(const struct spoe_reload_source *source)
{
    return source != NULL && atomic_load(&source->reloader->cancelled);
}

const struct spoe_reload reload_facet = {
    .size = sizeof(struct spoe_reload),
    .declare = facet_declare,
    .get = facet_get,
    .trigger = facet_trigger,
    .cancelled = facet_cancelled,
};
