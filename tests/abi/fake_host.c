/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host of version 1.0, for plugins that are newer: its table ends where 1.0's ended, at the end
 * of a page that is followed by none, so that a plugin that reads a member which 1.0 did not have
 * crashes here. It configures the plugin with the defaults, starts it and hands it one message
 * for every declaration, all arguments absent but the required ones. What is pending then has to be
 * completed by the end of stop(). It refuses a plugin that needs more, as hosts of 1.0 do.
 *
 *   fake_host PLUGIN.so [errors | texts]    with "errors" a message may be answered with one; with
 *                                           "texts" all arguments that may be a text are one
 */
#include <assert.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <spoe/plugin.h>
#include <spoe/util.h>

#define HOST_SIZE_1_0 104 /* LP64; layout.c holds it */
#define MESSAGES_MAX 64u
#define REFUSED 3 /* what it leaves with then */

static const struct spoe_option *const *options;
static atomic_uint variables, completed; /* a thread of the plugin's may answer */
static unsigned pending;
static bool may_fail, all_texts;

static const void *get_extension(struct spoe_instance *self, const char *id)
{
    (void)self;
    (void)id;
    return NULL;
}

static int32_t log_is_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 1;
}

static void log_text(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                     struct spoe_span text)
{
    (void)self;
    (void)req;
    printf("log %d %.*s\n", (int)level, (int)text.n, text.p);
}

/* A number and its unit, as hosts of 1.0 read them: a bare duration is milliseconds. */
static int64_t number_of(const struct spoe_option *opt)
{
    static const struct {
        uint32_t type;
        const char *unit;
        int64_t factor;
    } units[] = {
        {SPOE_OPT_INT, "", 1},
        {SPOE_OPT_DURATION, "us", 1000},
        {SPOE_OPT_DURATION, "ms", 1000000},
        {SPOE_OPT_DURATION, "", 1000000},
        {SPOE_OPT_DURATION, "s", 1000000000},
        {SPOE_OPT_DURATION, "m", INT64_C(60000000000)},
        {SPOE_OPT_DURATION, "h", INT64_C(3600000000000)},
        {SPOE_OPT_DURATION, "d", INT64_C(86400000000000)},
        {SPOE_OPT_SIZE, "", 1},
        {SPOE_OPT_SIZE, "k", 1 << 10},
        {SPOE_OPT_SIZE, "m", 1 << 20},
        {SPOE_OPT_SIZE, "g", 1 << 30},
    };
    char *unit;
    const int64_t n = strtoll(opt->default_text, &unit, 10);

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].type == opt->type && strcmp(units[i].unit, unit) == 0)
            return n * units[i].factor;
    }
    (void)fprintf(stderr, "%s: %s is no number\n", opt->key, opt->default_text);
    abort();
}

static uint32_t choice_of(const struct spoe_option *opt)
{
    uint32_t i = 0;

    while (opt->choices[i] != NULL && strcmp(opt->choices[i], opt->default_text) != 0)
        i++;
    assert(opt->choices[i] != NULL);
    return i;
}

/* Its default; nothing is set. */
static const struct spoe_setting *config_get(struct spoe_config *cfg, size_t option)
{
    static struct spoe_setting settings[256];
    const struct spoe_option *opt = options[option];
    struct spoe_setting *setting = &settings[option];

    (void)cfg;
    assert(option < sizeof settings / sizeof settings[0]);
    *setting = (struct spoe_setting){.size = sizeof *setting, .flags = SPOE_SETTING_DEFAULT};
    setting->origin = spoe_str("default");
    if (opt->default_text == NULL)
        return setting;
    setting->raw = spoe_str(opt->default_text);
    switch (opt->type) {
    case SPOE_OPT_BOOL:
        setting->value = spoe_value_bool(strcmp(opt->default_text, "on") == 0);
        break;
    case SPOE_OPT_STRING:
        setting->value = spoe_value_str(setting->raw);
        break;
    case SPOE_OPT_SIZE:
        setting->value.type = SPOE_T_UINT64;
        setting->value.u.u64 = (uint64_t)number_of(opt);
        break;
    case SPOE_OPT_ENUM:
        setting->value.type = SPOE_T_UINT32;
        setting->value.u.u32 = choice_of(opt);
        break;
    default:
        setting->value = spoe_value_int(number_of(opt));
    }
    return setting;
}

static void config_error(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    (void)cfg;
    (void)fprintf(stderr, "config_error %zu %.*s\n", option, (int)text.n, text.p);
}

static spoe_status set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value)
{
    (void)req;
    (void)scope;
    printf("set_var %.*s type %u\n", (int)name.n, name.p, value->type);
    variables++;
    return SPOE_OK;
}

static spoe_status unset_var(struct spoe_request *req, uint32_t scope, struct spoe_span name)
{
    (void)req;
    (void)scope;
    (void)name;
    return SPOE_OK;
}

static void complete(struct spoe_request *req, spoe_status status)
{
    (void)req;
    (void)status;
    completed++;
}

static spoe_status post(struct spoe_worker *worker, void (*fn)(void *arg), void *arg)
{
    (void)worker;
    (void)fn;
    (void)arg;
    return SPOE_E_STOPPING;
}

static int64_t now_mono_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The table at the very end of a page. */
static const struct spoe_host *make_host(void)
{
    const struct spoe_host host = {
        .size = HOST_SIZE_1_0,
        .abi_major = 1,
        .abi_minor = 0,
        .name = "fake",
        .version = "1.0",
        .get_extension = get_extension,
        .log_enabled = log_is_enabled,
        .log = log_text,
        .config_get = config_get,
        .config_error = config_error,
        .set_var = set_var,
        .unset_var = unset_var,
        .complete = complete,
        .post = post,
        .now_mono_ns = now_mono_ns,
    };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert(two != MAP_FAILED);
    memcpy(two + page - HOST_SIZE_1_0, &host, HOST_SIZE_1_0);
    if (mprotect(two + page, page, PROT_NONE) != 0)
        abort();
    return (const struct spoe_host *)(void *)(two + page - HOST_SIZE_1_0);
}

static void hand_message(const struct spoe_plugin *plugin, void *wctx, const char *name,
                         uint32_t index)
{
    /* As long as the process: what is pending keeps them. */
    static struct spoe_value all_slots[MESSAGES_MAX][64];
    static struct spoe_message messages[MESSAGES_MAX];
    static int handles[MESSAGES_MAX]; /* what a request points at is the host's own affair */
    struct spoe_value *slots = all_slots[index];
    const struct spoe_arg_decl *const *args = plugin->messages[index]->args;
    struct spoe_message msg = {.size = sizeof msg, .index = index, .slot = slots};
    spoe_status status;

    assert(index < MESSAGES_MAX);
    for (; args[msg.n_slots] != NULL; msg.n_slots++) {
        if (!(args[msg.n_slots]->flags & SPOE_ARG_REQUIRED) &&
            !(all_texts && (args[msg.n_slots]->types & SPOE_ACCEPT_STR)))
            continue;
        assert(args[msg.n_slots]->types & SPOE_ACCEPT_STR); /* all that this host can make up */
        slots[msg.n_slots] = spoe_value_str(spoe_str("text"));
    }
    msg.name = spoe_str(name);
    msg.recv_mono_ns = now_mono_ns();
    msg.deadline_mono_ns = msg.recv_mono_ns + 1000000000;
    messages[index] = msg;
    status = plugin->handle(wctx, (struct spoe_request *)(void *)&handles[index], &messages[index]);
    printf("handle %s %d\n", name, (int)status);
    assert(status == SPOE_OK || status == SPOE_PENDING || may_fail);
    pending += status == SPOE_PENDING;
}

static void work(const struct spoe_plugin *plugin, void *inst)
{
    static int worker;
    void *wctx = inst;

    if (SPOE_HAS(plugin, worker_start) &&
        plugin->worker_start(inst, (struct spoe_worker *)(void *)&worker, 0, &wctx) != SPOE_OK)
        abort();
    for (uint32_t i = 0; plugin->messages[i] != NULL; i++)
        hand_message(plugin, wctx, plugin->messages[i]->name, i);
    if (SPOE_HAS(plugin, drain))
        plugin->drain(inst, now_mono_ns() + 1000000000);
    if (SPOE_HAS(plugin, worker_stop))
        plugin->worker_stop(wctx);
    if (SPOE_HAS(plugin, stop))
        plugin->stop(inst, now_mono_ns() + 1000000000);
    printf("pending %u completed %u\n", pending, completed);
    assert(pending == completed);
}

int main(int argc, char **argv)
{
    spoe_plugin_entry_fn *entry;
    const struct spoe_plugin *plugin;
    static int self;
    void *library, *inst = NULL;

    assert(argc == 2 || argc == 3);
    may_fail = argc == 3 && strcmp(argv[2], "errors") == 0;
    all_texts = argc == 3 && !may_fail;
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&entry = dlsym(library, SPOE_PLUGIN_ENTRY);
    assert(entry != NULL);
    plugin = entry();
    assert(plugin->magic == SPOE_PLUGIN_MAGIC && plugin->abi_major == 1);
    if (plugin->needs_minor > 0) {
        (void)fprintf(stderr, "plugin needs ABI 1.%u, this host has 1.0\n", plugin->needs_minor);
        return REFUSED;
    }
    options = plugin->options;
    if (plugin->configure(make_host(), (struct spoe_instance *)(void *)&self,
                          (struct spoe_config *)(void *)&self, &inst) != SPOE_OK)
        return 1;
    if (SPOE_HAS(plugin, start) && plugin->start(inst) != SPOE_OK)
        return 1;
    work(plugin, inst);
    if (SPOE_HAS(plugin, destroy))
        plugin->destroy(inst);
    printf("variables %u\n", variables);
    return variables > 0 ? 0 : 1;
}
