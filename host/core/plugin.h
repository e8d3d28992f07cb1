/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/plugin.h - plugins: found, loaded, checked, configured, and taken down again.
 *
 * Threads: [main], but for the fields that workers read once everything has started.
 */
#ifndef HOST_CORE_PLUGIN_H
#define HOST_CORE_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdatomic.h>

#include <spoe/ext/loop.h>
#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>

#include "base/error.h"
#include "base/thread.h"
#include "conf/conf.h"
#include "core/descriptor.h"
#include "core/health.h"
#include "core/instance.h"
#include "core/metrics.h"
#include "core/plugin_file.h"
#include "core/reloader.h"

#define PLUGINS_MAX 64u
#define PLUGIN_LOG_PER_SECOND 100u /* lines of one plugin; more are held back and counted */

struct recent;

/* How far a plugin got; taking it down undoes exactly this. */
enum plugin_state { PLUGIN_LOADED, PLUGIN_CONFIGURED, PLUGIN_STARTED, PLUGIN_STOPPED };

/* One plugin; what the ABI calls an instance. */
struct spoe_instance {
    char *path;           /* absolute */
    struct callee callee; /* name and path, for whoever is asked where a thread is */
    char *name;           /* "ID:INSTANCE"; NULL: it is called by its id, see plugin_name() */
    const struct spoe_plugin *desc;
    uint32_t index; /* in configuration order */
    uint32_t n_messages;
    uint32_t n_arguments[PLUGIN_MESSAGES_MAX]; /* slots of each message */
    int64_t processing_timeout_ns;             /* the host's */
    int64_t timeout_ns[PLUGIN_MESSAGES_MAX];   /* of each, processing-timeout; 0: the host's */
    enum plugin_state state;
    void *inst;                  /* the plugin's own, from configure() on */
    _Atomic uint64_t log_window; /* second << 32 | lines in it */
    _Atomic uint64_t log_held;
    struct instance_options options; /* from configure() on */
    struct conf_section *settings;   /* as resolved, to be shown; NULL before */
    const struct spoe_loop *loop;    /* the facet; NULL: this host has none */
    const struct spoe_host *host;    /* the table that it was handed */
    struct metrics *metrics;         /* NULL: this host has none */
    uint32_t n_families;             /* declared */
    bool claims_taken_metric;        /* an unprefixed name that is another's: no start */
    struct health health;            /* what it says of itself */
    struct reloader *reloader;       /* of its sources; NULL: it has none */
    struct recent *recent;           /* where finished requests go; NULL: nowhere */
};

/* What it is called, as no other in this host is. */
static inline const char *plugin_name(const struct spoe_instance *plugin)
{
    return plugin->name != NULL ? plugin->name : plugin->desc->id;
}

/* What it is called among the instances of its plugin. @return NULL: it has no name there */
static inline const char *plugin_instance(const struct spoe_instance *plugin)
{
    return plugin->name != NULL ? plugin->name + strlen(plugin->desc->id) + 1 : NULL;
}

struct plugin_set {
    struct spoe_instance *plugin[PLUGINS_MAX];
    size_t n;
    enum plugin_trust trust;
    int64_t processing_timeout_ns; /* the host's */
    const struct spoe_loop *loop;  /* the facet that plugins get; NULL: none */
    const struct spoe_host *host;  /* the table that plugins get; NULL: host_table */
    struct metrics *metrics;       /* where plugins declare theirs; outlives them. NULL: nowhere */
    struct recent *recent;         /* where their finished requests go; likewise */
};

/* What configure() and reconfigure() may ask for. */
struct spoe_config {
    struct conf *conf;
    struct conf_section *section;
    const struct spoe_instance *plugin;
    int64_t processing_timeout_ns; /* the host's */
    size_t n_options;
    size_t errors; /* reported by the plugin */
};

/** Load one file and check its descriptor and tables. @return NULL with *reterr set */
struct spoe_instance *plugin_open(const char *path, enum plugin_trust trust, struct error *reterr);
/**
 * The file of this name in the directories or in their folders "optional", with or without ".so".
 * @return [give: free()] NULL: none has it, or out of memory
 */
char *plugin_find(char *const *dirs, const char *name);
void plugin_close(struct spoe_instance *plugin); /* frees; never unmaps. Takes NULL */

/**
 * Load every *.so of the directories, in name order, or those that are named, in that order.
 * @param names  ends with NULL, or NULL for all; a name without '/' is looked for in the
 *               directories, with or without ".so"; with ":INSTANCE" at its end it is one of
 * several
 * @return 0; -1 with *reterr set: nothing is left half loaded
 */
int plugin_set_load(struct plugin_set *set, char *const *dirs, char *const *names,
                    struct error *reterr);

/**
 * Resolve the options of every plugin and call configure().
 * @return 0; -1: errors are in conf. If there is one that is not about an option, *reterr has it as
 *         well, else it is empty
 */
int plugin_set_configure(struct plugin_set *set, struct conf *conf, struct error *reterr);

/**
 * reconfigure() of one plugin that has it.
 * @param settings  [borrow] as the plugin shall see them
 * @return 0: it has taken all; -1: nothing has changed, and why is in conf or in *reterr; -2: it
 * cannot now, as *reterr says, but later; 1: it has reported an error and says that it has taken
 * all
 */
int plugin_reconfigure(struct spoe_instance *plugin, struct conf *conf,
                       struct conf_section *settings, struct error *reterr);

/** check() of every plugin that has it. @return false: one found that it could not start */
bool plugin_set_check(struct plugin_set *set);

/** try_out() of every plugin that has it. @return false: it did not go well, or none has it */
bool plugin_set_try_out(struct plugin_set *set, int64_t deadline_mono_ns);

/** start() of every plugin. @return 0; -1 with *reterr set */
int plugin_set_start(struct plugin_set *set, struct error *reterr);

/**
 * Begin to build what plugins read again while they run, and wait for what they cannot do without.
 * @param stop_fd  readable where nobody waits any more
 * @return 0; -1 with *reterr
 */
int plugin_set_start_reloaders(struct plugin_set *set, const struct host_shared *shared,
                               int stop_fd, struct error *reterr);
/** Have all of it built anew. */
void plugin_set_trigger_reloaders(struct plugin_set *set);

/** No build begins any more; quiesce() of every plugin that has it. */
void plugin_set_quiesce(struct plugin_set *set);
/** The sum of open_count() over the plugins that have it. @return false: none has */
bool plugin_set_open_count(const struct plugin_set *set, uint64_t *ret);

/** drain() of one plugin, which no worker calls any more; nothing where it has not started. */
void plugin_drain(struct spoe_instance *plugin, int64_t deadline_mono_ns);
/** stop() and destroy(), each as far as the plugin had got. One that is building comes last. */
void plugin_set_stop(struct plugin_set *set, int64_t deadline_mono_ns);
void plugin_set_destroy(struct plugin_set *set);

/* The host's table, as every plugin sees it, and its facets. [const] */
extern const struct spoe_host host_table;
extern const struct spoe_metrics metrics_facet;

#endif
