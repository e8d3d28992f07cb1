/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what no plugin may do, in the function that is asked for: hangs, crashes in several ways,
 * calls exit(). Options: at, the function; what. In handle() it answers meanwhile whatever comes
 * with another text than "now".
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

enum { OPT_AT, OPT_WHAT };
enum { HANG, SEGV, BUS, FPE, ILL, ABORT, EXIT, DEEP, THREAD, THREADS, WILD };

static const char *const places[] = {"nowhere", "configure", "start",       "worker_start",
                                     "handle",  "drain",     "worker_stop", "stop",
                                     "destroy", "posted",    NULL};
static const char *const whats[] = {"hang", "segv", "bus",    "fpe",     "ill",  "abort",
                                    "exit", "deep", "thread", "threads", "wild", NULL};

struct trouble {
    const struct spoe_host *host;
    struct spoe_instance *self;
    uint32_t at, what;
    struct spoe_worker *worker; /* the last that was started */
};

/* A sanitizer must not see it come: the signal is what is wanted. */
#define UNCHECKED __attribute__((no_sanitize("undefined", "address", "thread"), noinline))

static UNCHECKED void *crash(void *nothing)
{
    (void)pthread_setname_np(pthread_self(), "troublemaker");
    *(volatile int *)nothing = 1;
    return NULL;
}

/* Fills its stack: every frame is used after the call that it makes. The compiler must not see that
 * this has no end. */
static int deep(int n);
static int (*volatile deeper)(int n) = deep;

static int deep(int n)
{
    volatile char room[4096];

    room[n & 4095] = 1;
    return deeper(n + 1) + room[n & 1];
}

static UNCHECKED void divide(void)
{
#if defined __x86_64__
    volatile int zero = 0;

    zero = 1 / zero; /* NOLINT(clang-analyzer-core.DivideZero): what is wanted */
#endif
    (void)raise(SIGFPE); /* where dividing by 0 is no fault */
}

static pthread_barrier_t together;

static void *crash_together(void *nothing)
{
    (void)pthread_barrier_wait(&together);
    return crash(nothing);
}

static void crash_twice(void)
{
    pthread_t thread;

    (void)pthread_barrier_init(&together, NULL, 2);
    (void)pthread_create(&thread, NULL, crash_together, NULL);
    (void)crash_together(NULL);
}

static void make_trouble(uint32_t what)
{
    pthread_t thread;

    switch (what) {
    case HANG:
        for (;;)
            (void)pause();
    case SEGV:
        (void)crash(NULL);
        break;
    case BUS:
        (void)raise(SIGBUS);
        break;
    case FPE:
        divide();
        break;
    case ILL:
        __builtin_trap();
    case ABORT:
        abort();
    case EXIT:
        exit(0); // NOLINT(concurrency-mt-unsafe)
    case DEEP:
        (void)deep(0);
        break;
    case THREADS:
        crash_twice();
        break;
    case WILD:
        (void)crash((void *)(uintptr_t)0x8000000000000000); /* of x86-64: no such address can be */
        break;
    default:
        (void)pthread_create(&thread, NULL, crash, NULL);
        (void)pthread_join(thread, NULL);
    }
}

static void here(const struct trouble *trouble, const char *place)
{
    if (strcmp(places[trouble->at], place) != 0)
        return;
    spoe_logf(trouble->host, trouble->self, SPOE_LOG_INFO, "trouble in %s", place);
    make_trouble(trouble->what);
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    struct trouble *trouble = malloc(sizeof *trouble);

    if (trouble == NULL)
        return SPOE_E_NOMEM;
    *trouble = (struct trouble){host, self, host->config_get(cfg, OPT_AT)->value.u.u32,
                                host->config_get(cfg, OPT_WHAT)->value.u.u32, NULL};
    *ret_inst = trouble;
    here(trouble, "configure");
    return SPOE_OK;
}

static spoe_status start(void *inst)
{
    here(inst, "start");
    return SPOE_OK;
}

static spoe_status worker_start(void *inst, struct spoe_worker *worker, uint32_t index,
                                void **ret_wctx)
{
    struct trouble *trouble = inst;

    (void)index;
    trouble->worker = worker;
    here(inst, "worker_start");
    *ret_wctx = inst;
    return SPOE_OK;
}

static void posted(void *arg)
{
    here(arg, "posted");
}

/* From a thread that the host does not know. */
static void *post(void *arg)
{
    const struct trouble *trouble = arg;

    (void)trouble->host->post(trouble->worker, posted, arg);
    return NULL;
}

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct spoe_value *text = &msg->slot[0];

    pthread_t thread;

    (void)req;
    if (text->type != SPOE_T_STR || text->u.s.n != 3 || memcmp(text->u.s.p, "now", 3) != 0)
        return SPOE_OK;
    here(wctx, "handle");
    if (pthread_create(&thread, NULL, post, wctx) == 0)
        (void)pthread_join(thread, NULL);
    return SPOE_OK;
}

static void drain(void *inst, int64_t deadline_mono_ns)
{
    (void)deadline_mono_ns;
    here(inst, "drain");
}

static void worker_stop(void *wctx)
{
    here(wctx, "worker_stop");
}

static void stop(void *inst, int64_t deadline_mono_ns)
{
    (void)deadline_mono_ns;
    here(inst, "stop");
}

static void destroy(void *inst)
{
    here(inst, "destroy");
    free(inst);
}

static const struct spoe_arg_decl text = {sizeof text, SPOE_ACCEPT_STR, 0, 0, "text",
                                          "str(x)",    "now: trouble"};
static const struct spoe_arg_decl *const args[] = {&text, NULL};
static const struct spoe_message_decl message = {
    sizeof message, 0, "trouble", "on-frontend-http-request", "asks for it", args};
static const struct spoe_message_decl *const messages[] = {&message, NULL};
static const struct spoe_option at = {.size = sizeof at,
                                      .type = SPOE_OPT_ENUM,
                                      .key = "at",
                                      .default_text = "nowhere",
                                      .choices = places,
                                      .help = "where"},
                                what = {.size = sizeof what,
                                        .type = SPOE_OPT_ENUM,
                                        .key = "what",
                                        .default_text = "hang",
                                        .choices = whats,
                                        .help = "what"};
static const struct spoe_option *const options[] = {&at, &what, NULL};

const struct spoe_plugin *spoe_plugin_entry_v1(void)
{
    static const struct spoe_plugin plugin = {
        .magic = SPOE_PLUGIN_MAGIC,
        .size = sizeof plugin,
        .abi_major = SPOE_ABI_MAJOR,
        .abi_minor = SPOE_ABI_MINOR,
        .id = "trouble",
        .version = "1",
        .help = "does what no plugin may do",
        .messages = messages,
        .options = options,
        .configure = configure,
        .start = start,
        .worker_start = worker_start,
        .handle = handle,
        .drain = drain,
        .worker_stop = worker_stop,
        .stop = stop,
        .destroy = destroy,
    };

    return &plugin;
}
