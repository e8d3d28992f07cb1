/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/scenario.c - see scenario.h. */
#include "check/scenario.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/thread.h"
#include "check/left.h"
#include "check/memory.h"
#include "check/messages.h"
#include "check/rules.h"
#include "check/table.h"
#include "check/watch.h"
#include "net/loop.h"
#include "try/call.h"
#include "try/rig.h"

#define LIMIT_NS (12 * NS_PER_S) /* for a function, or an answer, to come */
#define PLUGIN_NS (2 * NS_PER_S) /* what drain() and stop() are given */
#define SLACK_NS (5 * NS_PER_S)  /* for them to be late */
#define SLOW_NS (3 * NS_PER_S)   /* a handler that takes so long blocks */
#define SHORT_NS NS_PER_MS       /* the least processing-timeout */
#define BUSY_WORKERS 2u
#define BUSY_PEERS 4u
#define BUSY_ROUNDS 50u
#define CLOSED_ROUNDS 10u
/* Lines of the log, above debug, that are too many: one for so many messages, and so many. */
#define LINES_PART 4u
#define LINES_MAX 50u

/* One life. */
struct life {
    const struct check *check;
    enum scenario scenario;
    unsigned nth;
    struct left before;
    struct conf *conf;
    struct host_conf host_conf;
    struct plugin_set plugins;
    struct route_table routes;
    struct messages messages;
    struct rig rig;
    struct peer peers[BUSY_PEERS]; /* fd -1: it is not open */
    uint64_t id;                   /* of streams */
    const char *path;
};

const char *scenario_name(enum scenario scenario)
{
    static const char *const names[N_SCENARIOS] = {
#define X(name, text) [SCENARIO_##name] = #name,
        SCENARIOS(X)
#undef X
    };

    return names[scenario];
}

const char *scenario_text(enum scenario scenario)
{
    static const char *const texts[N_SCENARIOS] = {
#define X(name, text) [SCENARIO_##name] = (text),
        SCENARIOS(X)
#undef X
    };

    return texts[scenario];
}

/* Whether failures are what is wanted. */
static bool may_fail(const struct life *life)
{
    return life->scenario == SCENARIO_memory;
}

/* ---- the beginning ---- */

static bool begin(struct life *life)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    thread_begin("main");
    crash_install();
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    if (log_start(true) != 0 || watch_start() != 0)
        return false;
    table_set_phase(TABLE_CONFIGURING);
    left_look(&life->before);
    watch_set(LIMIT_NS);
    return true;
}

static int64_t processing_timeout_ns(const struct life *life)
{
    return life->scenario == SCENARIO_late ? SHORT_NS : LIMIT_NS / 2;
}

static bool load(struct life *life)
{
    static struct left now;
    char *dirs[] = {NULL}, *names[] = {(char *)(uintptr_t)life->path, NULL};
    struct error wrong;

    life->plugins.trust = life->check->trust_any ? PLUGIN_TRUST_ANY : PLUGIN_TRUST_CHECKED;
    life->plugins.processing_timeout_ns = processing_timeout_ns(life); /* as plugins are told */
    if (plugin_set_load(&life->plugins, dirs, names, &wrong) != 0) {
        rule_broken(RULE_load, "%s", wrong.text);
        return false;
    }
    left_add_file(&life->before, life->plugins.plugin[0]->path);
    left_look(&now);
    if (now.n_threads > life->before.n_threads && life->check->libraries[0] == NULL)
        rule_broken(RULE_entry, "a thread is started while the file is loaded");
    if (now.n_fds > life->before.n_fds && life->check->libraries[0] == NULL)
        rule_broken(RULE_entry, "a descriptor is opened while the file is loaded");
    return true;
}

static bool report_errors(const struct life *life, size_t n)
{
    const struct error_list *errors = conf_errors(life->conf);

    for (size_t i = 0; i < n && !may_fail(life); i++)
        rule_broken(RULE_configure, "%s", error_list_text(errors, i));
    return n == 0;
}

static bool configure(struct life *life)
{
    struct error wrong;
    bool good;

    for (size_t i = 0; life->check->sets[i] != NULL; i++)
        conf_add_set(life->conf, life->check->sets[i]);
    if (life->check->conf_file != NULL)
        conf_add_file(life->conf, life->check->conf_file);
    if (host_conf_init(&life->host_conf, life->conf, "/nonexistent", NULL) != 0)
        return false;
    if (may_fail(life))
        memory_fail_nth(life->plugins.plugin[0]->path, life->nth);
    (void)plugin_set_configure(&life->plugins, life->conf, &wrong);
    conf_check_unknown(life->conf);
    good = report_errors(life, conf_error_count(life->conf));
    if (good && life->scenario == SCENARIO_configure && !plugin_set_check(&life->plugins))
        rule_broken(RULE_configure, "check() says that it could not start");
    if (good && route_table_build(&life->routes, &life->plugins, &wrong) != 0) {
        rule_broken(RULE_load, "%s", wrong.text);
        good = false;
    }
    table_set_phase(TABLE_RUNNING);
    return good;
}

/* Options of the host, as this scenario wants them. */
static void choose(struct life *life)
{
    struct host_conf *conf = &life->host_conf;

    conf->workers = life->scenario == SCENARIO_busy ? BUSY_WORKERS : 1;
    conf->slow_handle_ns = SLOW_NS;
    conf->processing_timeout_ns = processing_timeout_ns(life);
    table_set_all_wait(life->scenario == SCENARIO_quiet || life->scenario == SCENARIO_busy);
}

static bool start(struct life *life)
{
    struct error wrong;

    choose(life);
    watch_set(LIMIT_NS);
    if (rig_start(&life->rig, &life->host_conf, &life->plugins, &life->routes, &wrong) == 0)
        return true;
    if (!may_fail(life))
        rule_broken(RULE_start, "%s", wrong.text);
    return false;
}

/* ---- messages ---- */

static bool open_peer(struct life *life, uint32_t worker, struct peer *ret)
{
    struct error wrong;

    if (peer_open(ret, &life->rig.workers[worker], clock_mono_ns() + LIMIT_NS, &wrong) == 0)
        return true;
    rule_broken(RULE_answers, "%s", wrong.text);
    return false;
}

static void send_message(struct life *life, struct peer *peer, const struct message *m)
{
    uint8_t frame[FRAME_SIZE + SPOP_LENGTH_BYTES];
    struct error wrong;
    const size_t n = frame_notify(frame, ++life->id, 1, m->line.message, m->args, m->line.n);

    if (n != 0 && peer_send(peer, frame, n, clock_mono_ns() + LIMIT_NS, &wrong) != 0)
        rule_broken(RULE_answers, "%s", wrong.text);
}

/* One after the other. */
static void run_quiet(struct life *life)
{
    struct peer *peer = &life->peers[0];

    if (!open_peer(life, 0, peer))
        return;
    for (size_t i = 0; i < life->messages.n; i++) {
        const struct message *m = life->messages.item[i];
        struct error wrong;
        struct call call;

        watch_set(2 * LIMIT_NS);
        if (call_plugins(peer, &m->line, m->args, ++life->id, LIMIT_NS, &call, &wrong) != 0) {
            rule_broken(RULE_answers, "%s", wrong.text);
            break;
        }
        if (!call.answered) {
            watch_set(1); /* it says where the plugin is */
            (void)pause();
        }
        if (call.faults[CALL_timeouts] != 0 && life->scenario == SCENARIO_quiet)
            rule_broken(RULE_completes, "message %.*s is not completed within %d s",
                        (int)m->line.message.n, m->line.message.p, (int)(LIMIT_NS / 2 / NS_PER_S));
        if (call.faults[CALL_handler_errors] != 0 && life->messages.of_script && !may_fail(life))
            rule_broken(RULE_answers, "message %.*s: handle() or complete() with an error",
                        (int)m->line.message.n, m->line.message.p);
    }
    peer_close(peer);
}

static void reconfigure(struct life *life)
{
    struct spoe_instance *plugin = life->plugins.plugin[0];
    struct error wrong;
    int result;

    if (!SPOE_HAS(plugin->desc, reconfigure))
        return;
    watch_set(LIMIT_NS);
    table_set_phase(TABLE_CONFIGURING);
    result = plugin_reconfigure(plugin, life->conf, plugin->settings, &wrong);
    table_set_phase(TABLE_RUNNING);
    if (result != 0)
        rule_broken(RULE_reconfigure, "%s",
                    wrong.text[0] != '\0' ? wrong.text : "it reports an error");
}

static void scrape(struct life *life)
{
    FILE *out = fopen("/dev/null", "we");

    if (out == NULL)
        return;
    watch_set(LIMIT_NS);
    metrics_write(life->plugins.metrics, METRICS_PROMETHEUS, NULL, out);
    (void)fclose(out);
}

/* As many answers as questions, of each connection. */
static bool receive(struct peer *peer, size_t n)
{
    struct spop_frame frame;
    struct error wrong;

    while (n-- > 0) {
        const int result = peer_receive(peer, clock_mono_ns() + LIMIT_NS, &frame, &wrong);

        if (result > 0 && frame.type == SPOP_ACK)
            continue;
        if (result > 0)
            rule_broken(RULE_answers, "the host ends the connection");
        else
            rule_broken(RULE_answers, "%s", result < 0 ? wrong.text : "no answer");
        return false;
    }
    return true;
}

static void run_busy(struct life *life)
{
    struct peer *peers = life->peers;
    const unsigned lines_before = table_lines();
    bool good = true;
    size_t n_open = 0, n_all = 0;

    while (n_open < BUSY_PEERS && open_peer(life, (uint32_t)n_open % BUSY_WORKERS, &peers[n_open]))
        n_open++;
    for (unsigned round = 0; round < BUSY_ROUNDS && good; round++) {
        size_t n_sent = 0;

        watch_set(2 * LIMIT_NS);
        for (size_t i = 0; i < life->messages.n; i++) {
            if (life->messages.item[i]->from_log)
                continue;
            for (size_t p = 0; p < n_open; p++)
                send_message(life, &peers[p], life->messages.item[i]);
            n_sent++;
        }
        n_all += n_sent * n_open;
        if (round == BUSY_ROUNDS / 2) {
            reconfigure(life);
            scrape(life);
        }
        for (size_t p = 0; p < n_open && good; p++)
            good = receive(&peers[p], n_sent);
    }
    if (good && table_lines() - lines_before > n_all / LINES_PART + LINES_MAX)
        rule_broken(RULE_log, "%u lines for %zu messages", table_lines() - lines_before, n_all);
}

/* Nobody waits for an answer. @param rounds  a connection each, closed at its end */
static void run_unheard(struct life *life, unsigned rounds, bool closes)
{
    struct peer *peer = &life->peers[0];

    for (unsigned round = 0; round < rounds; round++) {
        watch_set(2 * LIMIT_NS);
        if (!open_peer(life, 0, peer))
            return;
        for (size_t i = 0; i < life->messages.n; i++) {
            if (!life->messages.item[i]->from_log)
                send_message(life, peer, life->messages.item[i]);
        }
        if (closes)
            peer_close(peer);
    }
}

static void run(struct life *life)
{
    switch (life->scenario) {
    case SCENARIO_busy:
        run_busy(life);
        break;
    case SCENARIO_closed:
        run_unheard(life, CLOSED_ROUNDS, true);
        break;
    case SCENARIO_drain:
        run_unheard(life, 1, false);
        break;
    default:
        run_quiet(life);
        break;
    }
    left_check_signals(&life->before);
}

/* ---- the end ---- */

static void count_incomplete(struct exchange *exchange, void *arg)
{
    unsigned *n = arg;

    if (exchange->magic == 0)
        return;
    for (const struct request *r = exchange->first; r != NULL; r = r->next)
        *n += r->pending && request_state(r) != REQUEST_DONE;
}

/* What the host has seen, when no function of a worker runs any more. */
static void look_at_counters(struct life *life)
{
    unsigned n_incomplete = 0;
    uint64_t twice = 0, slow = 0;

    for (uint32_t i = 0; i < life->rig.shared.n_workers; i++) {
        struct spoe_worker *worker = &life->rig.workers[i].core;

        exchange_each(&worker->exchanges, count_incomplete, &n_incomplete);
        twice += atomic_load(&worker->counters.misbehaviour);
        for (uint32_t t = 0; t < life->routes.n_targets; t++)
            slow += atomic_load(&worker->targets[t].slow);
    }
    if (n_incomplete != 0)
        rule_broken(RULE_completes, "%u messages are not completed, and stop() has returned",
                    n_incomplete);
    if (twice != 0)
        rule_broken(life->scenario == SCENARIO_late || life->scenario == SCENARIO_closed
                        ? RULE_late
                        : RULE_once,
                    "requests are completed that are not pending, or were already");
    if (slow != 0)
        rule_broken(RULE_blocks, "handle() took more than %d s", (int)(SLOW_NS / NS_PER_S));
}

static void look_at_time(const char *function, int64_t deadline_ns)
{
    const int64_t late_ns = clock_mono_ns() - deadline_ns;

    if (late_ns > SLACK_NS)
        rule_broken(RULE_returns, "%s came back %.1f s after its deadline", function,
                    (double)late_ns / 1e9);
}

static void stop(struct life *life)
{
    int64_t deadline_ns = clock_mono_ns() + PLUGIN_NS;

    watch_set(LIMIT_NS + 3 * PLUGIN_NS);
    rig_drain(&life->rig, deadline_ns, deadline_ns + PLUGIN_NS);
    look_at_time("drain()", deadline_ns + PLUGIN_NS);
    watch_set(LIMIT_NS);
    deadline_ns = clock_mono_ns() + PLUGIN_NS;
    rig_stop(&life->rig, deadline_ns);
    look_at_time("stop()", deadline_ns);
    table_set_phase(TABLE_STOPPED);
    look_at_counters(life);
    watch_set(LIMIT_NS);
}

static void destroy(struct life *life)
{
    const bool loaded = life->plugins.n != 0; /* else there is nothing to be left */

    watch_set(LIMIT_NS);
    life->rig.plugins = &life->plugins;
    rig_destroy(&life->rig);
    table_set_phase(TABLE_DESTROYED);
    for (size_t p = 0; p < BUSY_PEERS; p++)
        peer_close(&life->peers[p]);
    if (loaded)
        left_compare(&life->before, life->check->libraries, clock_mono_ns() + LIMIT_NS / 5);
    watch_set(0);
}

static void live(struct life *life)
{
    struct error wrong;

    if (!load(life) || life->scenario == SCENARIO_load)
        return;
    if (!configure(life) || life->scenario == SCENARIO_configure)
        return;
    if (messages_read(&life->messages, life->check->script, life->plugins.plugin[0], &life->routes,
                      &wrong) != 0) {
        rule_broken(RULE_answers, "%s", wrong.text);
        return;
    }
    if (start(life))
        run(life);
    stop(life);
}

int scenario_run(const struct check *check, enum scenario scenario, unsigned nth, int report_fd)
{
    static struct life life; /* large */

    life = (struct life){.check = check, .scenario = scenario, .nth = nth, .path = check->file};
    for (size_t p = 0; p < BUSY_PEERS; p++)
        life.peers[p].fd = -1;
    rules_report_to(report_fd);
    life.conf = conf_create();
    life.plugins.loop = &loop_facet;
    life.plugins.host = &checked_table;
    life.plugins.metrics = metrics_create();
    if (life.conf == NULL || life.plugins.metrics == NULL || !begin(&life)) {
        (void)fputs("out of memory or threads\n", stderr);
        return 1;
    }
    live(&life);
    destroy(&life);
    if (memory_has_failed())
        (void)!write(report_fd, "failed\n", strlen("failed\n"));
    messages_free(&life.messages);
    metrics_destroy(life.plugins.metrics);
    route_table_free(&life.routes);
    host_conf_fini(&life.host_conf);
    conf_destroy(life.conf);
    log_stop(INT64_MAX);
    thread_end();
    rules_done();
    crash_leaving();
    return 0;
}
