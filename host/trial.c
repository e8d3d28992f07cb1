/* SPDX-License-Identifier: Apache-2.0 */
/* host/trial.c - see trial.h. */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "conf/read_file.h"
#include "conf/suggest.h"
#include "core/engine.h"
#include "try/call.h"
#include "try/print.h"
#include "try/rig.h"

#define LIMIT_NS (5 * NS_PER_S) /* for an answer, unless processing-timeout is longer */
#define SLACK_NS NS_PER_S       /* for the host to answer without the plugin */
#define PIPE_NS (30 * NS_PER_S) /* for a file that is a pipe */
#define WHERE_MAX 1024u

struct trial {
    const struct host_conf *conf; /* as it was configured */
    struct host_conf patient;     /* as it is run */
    const struct route_table *routes;
    struct plugin_set *plugins;
    struct rig rig;
    struct peer peer;
    uint64_t n; /* messages so far */
    bool good;
    bool stuck; /* a plugin does not come back: nothing more can be tried */
    bool late;  /* one has not completed a message: the end will not wait for long */
};

static void fail(struct trial *t, const char *where, unsigned line, const char *text)
{
    t->good = false;
    if (line != 0)
        log_line(SPOE_LOG_ERR, "host", "%s:%u: %s", where, line, text);
    else
        log_line(SPOE_LOG_ERR, "host", "%s: %s", where, text);
}

/* "no plugin takes it", and what was probably meant. */
static void say_unknown(const struct trial *t, struct spoe_span name, struct error *ret)
{
    char word[PLUGIN_NAME_MAX + 1];
    struct suggestion near;
    size_t n;

    (void)snprintf(word, sizeof word, "%.*s",
                   (int)(name.n < sizeof word ? name.n : sizeof word - 1), name.p);
    suggest_begin(&near, word);
    for (size_t i = 0; i < t->routes->n; i++)
        suggest_offer(&near, t->routes->routes[i].name);
    (void)error_set(ret, "no plugin that is loaded takes a message %s", word);
    n = strlen(ret->text);
    if (near.best != NULL) {
        (void)snprintf(ret->text + n, sizeof ret->text - n, "; did you mean %s?", near.best);
        return;
    }
    for (size_t i = 0; i < t->routes->n_messages && n < sizeof ret->text; i++)
        n += (size_t)snprintf(ret->text + n, sizeof ret->text - n, "%s%s",
                              i == 0 ? "; there are: " : ", ", t->routes->routes[i].name);
}

/* Of a message that will not be handed over: what it lacks. */
static void print_missing(const struct route *route, const struct script_line *line)
{
    for (uint32_t i = 0; i < route->n_targets; i++) {
        const struct route_target *target = &route->targets[i];

        for (uint32_t s = 0; s < target->n_slots; s++) {
            const struct spoe_arg_decl *arg = target->decl->args[s];
            bool there = (arg->flags & SPOE_ARG_REQUIRED) == 0;

            for (uint32_t w = 0; !there && w < line->n; w++)
                there = line->word[w].name.n == strlen(arg->name) &&
                        memcmp(line->word[w].name.p, arg->name, line->word[w].name.n) == 0;
            if (!there)
                (void)printf("    argument %s is required by plugin %s\n", arg->name,
                             plugin_name(target->plugin));
        }
    }
}

static void say_stuck(struct trial *t)
{
    char where[WHERE_MAX];
    const size_t n = thread_describe_all(where, sizeof where);

    t->stuck = true;
    log_line(SPOE_LOG_ERR, "host", "no answer: %.*s", n != 0 ? (int)n : 20,
             n != 0 ? where : "no plugin is at work");
}

/* What a rule in HAProxy says before the name of a variable that comes of this. */
static struct engine engine_of_line(const struct trial *t, const struct route *route,
                                    const struct script_line *line)
{
    struct spoe_span name;

    if (route == NULL && frame_first_message(line->frame, line->frame_len, &name))
        route = route_find(t->routes, name);
    return engine_of(t->plugins, t->conf->engine,
                     route != NULL ? route->targets[0].plugin : t->plugins->plugin[0]);
}

/* The longest of those that take it. @param route  NULL: it is not known who does */
static int64_t timeout_of(const struct trial *t, const struct route *route)
{
    int64_t longest_ns = 0;

    for (uint32_t i = 0; route != NULL && i < route->n_targets; i++) {
        const int64_t own_ns = route->targets[i].timeout_ns;
        const int64_t ns = own_ns != 0 ? own_ns : t->conf->processing_timeout_ns;

        if (ns > longest_ns)
            longest_ns = ns;
    }
    return longest_ns != 0 ? longest_ns : t->conf->processing_timeout_ns;
}

/* Hand over what has been read. @return 0; -1 with *reterr */
static int try_plugins(struct trial *t, const struct route *route, const struct script_line *line,
                       const struct spoe_arg *args, struct error *reterr)
{
    const struct engine engine = engine_of_line(t, route, line);
    struct call call;

    if (call_plugins(&t->peer, line, args, 2 * ++t->n - 1,
                     t->patient.processing_timeout_ns + SLACK_NS, &call, reterr) != 0)
        return -1;
    if (call.faults[CALL_missing_arguments] != 0 && route != NULL)
        print_missing(route, line);
    if (!print_answer(stdout, &call, engine.prefix, timeout_of(t, route)))
        t->good = false;
    t->late = t->late || !call.answered || call.faults[CALL_timeouts] != 0;
    if (!call.answered)
        say_stuck(t);
    return 0;
}

/* A message; one that several plugins take as the printed configuration has it, PLUGIN.message, to
 * one after the other. @return 0; -1 with *reterr */
static int try_message(struct trial *t, const struct route *route, struct script_line *line,
                       struct error *reterr)
{
    struct spoe_arg args[SCRIPT_WORDS_MAX];
    const uint32_t n = route->own_name == NULL && !route->from_log ? route->n_targets : 1;

    if (frame_values(route, line, args, reterr) != 0)
        return -1;
    for (uint32_t i = 0; i < n && !t->stuck; i++) {
        const struct route_target *target = &route->targets[i];
        const struct route *to = route;
        char own[ENGINE_MESSAGE_SIZE];

        if (n > 1) {
            engine_own_message(target->plugin, target->decl, own);
            line->message = (struct spoe_span){own, strlen(own)};
            to = route_find(t->routes, line->message);
        }
        print_message(stdout, to, line->message, args, line->n);
        if (to == NULL)
            return error_set(reterr, "plugin %s cannot be asked alone",
                             plugin_name(target->plugin));
        if (try_plugins(t, to, line, args, reterr) != 0)
            return -1;
    }
    return 0;
}

/* @return 0; -1 with *reterr */
static int try_line(struct trial *t, struct script_line *line, struct error *reterr)
{
    const struct route *route;

    if (line->kind == SCRIPT_FRAME)
        return print_frame(stdout, t->routes, line, reterr) == 0
                   ? try_plugins(t, NULL, line, NULL, reterr)
                   : -1;
    route = route_find(t->routes, line->message);
    if (route != NULL)
        return try_message(t, route, line, reterr);
    say_unknown(t, line->message, reterr);
    return -1;
}

/* HELLO and DISCONNECT do not: the connection is ours. */
static bool says_something(const struct script_line *line)
{
    if (line->kind == SCRIPT_FRAME && line->frame_len > SPOP_LENGTH_BYTES)
        return line->frame[SPOP_LENGTH_BYTES] == SPOP_NOTIFY;
    return line->kind != SCRIPT_NOTHING;
}

/* A text of one or more lines. @param where  for errors; @param numbered  it is a file */
static void try_text(struct trial *t, const char *where, bool numbered, char *text, size_t n)
{
    static struct script_line line; /* large; one at a time */
    char *const end = text + n;
    unsigned number = 1;

    for (char *p = text; p < end && !t->stuck; number++) {
        char *line_end = memchr(p, '\n', (size_t)(end - p));
        struct error wrong;

        if (line_end == NULL)
            line_end = end;
        if (script_read(p, (size_t)(line_end - p), &line, &wrong) != 0 ||
            (says_something(&line) && try_line(t, &line, &wrong) != 0))
            fail(t, where, numbered ? number : 0, wrong.text);
        p = line_end + 1;
    }
}

/* @return [give: free()] what has to stay as long as a plugin may hold a message; NULL: nothing */
static char *try_one(struct trial *t, const struct cli_try *what)
{
    struct error wrong;
    char *text = NULL;
    size_t n = 0;

    if (!what->is_file) {
        text = strdup(what->text);
        if (text == NULL)
            fail(t, "--try", 0, "out of memory");
        else
            try_text(t, "--try", false, text, strlen(text));
    } else if (read_file(what->text, PIPE_NS, &text, &n, &wrong) != 0) {
        fail(t, "--try-file", 0, wrong.text);
        text = NULL;
    } else {
        try_text(t, what->text, true, text, n);
    }
    return text;
}

static void try_all(struct trial *t, const struct cli *cli, char *texts[CLI_TRIES_MAX])
{
    struct error wrong;

    if (rig_start(&t->rig, &t->patient, t->plugins, t->routes, &wrong) != 0 ||
        peer_open(&t->peer, &t->rig.workers[0], clock_mono_ns() + LIMIT_NS, &wrong) != 0) {
        t->good = false;
        log_line(SPOE_LOG_ERR, "host", "%s", wrong.text);
        return;
    }
    for (size_t i = 0; i < cli->n_tries && !t->stuck; i++)
        texts[i] = try_one(t, &cli->tries[i]);
    if (t->n == 0 && t->good)
        fail(t, "--try", 0, "there is no message");
    peer_close(&t->peer);
}

int trial_run(struct control *control, const struct cli *cli, const struct host_conf *conf,
              struct plugin_set *plugins, const struct route_table *routes)
{
    struct trial t = {.conf = conf,
                      .patient = *conf,
                      .routes = routes,
                      .plugins = plugins,
                      .rig = {.plugins = plugins},
                      .good = true};
    char *texts[CLI_TRIES_MAX] = {NULL};
    int64_t end_ns, now;

    t.patient.workers = 1;
    if (t.patient.processing_timeout_ns < LIMIT_NS)
        t.patient.processing_timeout_ns = LIMIT_NS;
    try_all(&t, cli, texts);
    (void)fflush(stdout); /* whatever happens at the end */
    control_serve(control, t.late ? NS_PER_S : conf->shutdown_timeout_ns);
    end_ns = control_end(control);
    now = clock_mono_ns();
    rig_drain(&t.rig, now + (end_ns - now) / 4, now + (end_ns - now) / 2);
    if (t.rig.workers != NULL &&
        atomic_load(&t.rig.workers[0].core.counters.misbehaviour) != 0) /* maybe after its answer */
        t.good = false;
    rig_stop(&t.rig, now + (end_ns - now) * 3 / 4);
    rig_destroy(&t.rig);
    for (size_t i = 0; i < cli->n_tries; i++)
        free(texts[i]);
    return t.good ? 0 : 1;
}
