/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/haproxy_spoe.c - see haproxy_spoe.h. */
#include "core/haproxy_spoe.h"

#include <inttypes.h>
#include <string.h>

#include <spoe/util.h>

#include "core/describe.h"
#include "core/engine.h"
#include "core/message_options.h"

#define ARGS_PER_LINE 8u /* HAProxy reads at most 64 words a line; lines add up */
/* HAProxy waits this much longer than the host takes at most. */
#define PROCESSING_MARGIN_NS INT64_C(5000000)
#define BODY_FETCH "req.body" /* and what begins so */

/* A message of which no argument is wanted is not written, unless it has none. */
static bool is_written(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                       uint32_t message)
{
    const struct spoe_message_decl *decl = plugin->desc->messages[message];

    if (haproxy_from_log(decl))
        return false;
    if (decl->args == NULL || decl->args[0] == NULL ||
        message_option(plugin, message, MESSAGE_ARGS) != NULL)
        return true;
    for (size_t a = 0; decl->args[a] != NULL; a++) {
        if (haproxy_wants(w, plugin, message, a))
            return true;
    }
    return false;
}

static bool has_section(const struct haproxy_writer *w, const struct spoe_instance *plugin)
{
    for (uint32_t m = 0; m < plugin->n_messages; m++) {
        if (is_written(w, plugin, m))
            return true;
    }
    return false;
}

const struct spoe_instance *haproxy_spoe_plugin(const struct haproxy_writer *w, size_t n)
{
    for (size_t i = 0; i < w->set->n; i++) {
        if (has_section(w, w->set->plugin[i]) && n-- == 0)
            return w->set->plugin[i];
    }
    return NULL;
}

/* Takes one argument of a message. */
typedef void take_argument(void *arg, struct spoe_span name, struct spoe_span expression);

static bool is_declared(const struct spoe_arg_decl *const *args, struct spoe_span name)
{
    for (size_t a = 0; args != NULL && args[a] != NULL; a++) {
        if (strlen(args[a]->name) == name.n && memcmp(args[a]->name, name.p, name.n) == 0)
            return true;
    }
    return false;
}

/* Those that the plugin declares and wants, and those that the user says, in place of one of that
 * name or as one more; empty ones are not there. */
static void each_argument(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                          uint32_t message, take_argument *take, void *take_arg)
{
    const struct spoe_arg_decl *const *args = plugin->desc->messages[message]->args;
    const char *user = message_option(plugin, message, MESSAGE_ARGS);
    struct message_arg arg;
    struct error error;

    for (size_t a = 0; args != NULL && args[a] != NULL; a++) {
        const struct spoe_span name = spoe_str(args[a]->name);

        if (message_arg_find(user, name, &arg)) {
            if (arg.expression.n != 0)
                take(take_arg, name, arg.expression);
        } else if (haproxy_wants(w, plugin, message, a)) {
            take(take_arg, name, spoe_str(args[a]->expression));
        }
    }
    while (user != NULL && message_arg_next(&user, &arg, &error) > 0) {
        if (!is_declared(args, arg.name))
            take(take_arg, arg.name, arg.expression);
    }
}

struct argument_lines {
    FILE *out;
    unsigned n;
};

/* One more of n, a few in a line. */
static void print_argument(void *arg, struct spoe_span name, struct spoe_span expression)
{
    struct argument_lines *lines = arg;

    (void)fprintf(lines->out, "%s%.*s=%.*s%s", lines->n % ARGS_PER_LINE == 0 ? "    args " : " ",
                  (int)name.n, name.p, (int)expression.n, expression.p,
                  lines->n % ARGS_PER_LINE == ARGS_PER_LINE - 1 ? "\n" : "");
    lines->n++;
}

static void print_arguments(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                            uint32_t message)
{
    struct argument_lines lines = {w->out, 0};

    each_argument(w, plugin, message, print_argument, &lines);
    if (lines.n % ARGS_PER_LINE != 0)
        (void)fputc('\n', w->out);
}

static void look_for_body(void *arg, struct spoe_span name, struct spoe_span expression)
{
    bool *has_body = arg;

    (void)name;
    if (memmem(expression.p, expression.n, BODY_FETCH, strlen(BODY_FETCH)) != NULL)
        *has_body = true;
}

bool haproxy_spoe_has_body(const struct haproxy_writer *w)
{
    bool has_body = false;

    for (size_t i = 0; i < w->set->n; i++) {
        const struct spoe_instance *plugin = w->set->plugin[i];

        for (uint32_t m = 0; m < plugin->n_messages; m++) {
            if (is_written(w, plugin, m))
                each_argument(w, plugin, m, look_for_body, &has_body);
        }
    }
    return has_body;
}

/* " if ..." */
static void print_condition(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                            uint32_t message)
{
    struct haproxy_sink sink = {w->out, " ", "", 0, HAPROXY_ALL, NULL};
    const char *user = message_option(plugin, message, MESSAGE_IF);

    if (user == NULL)
        haproxy_ask(w, plugin, SPOE_HAPROXY_EVENT, message, &sink);
    else if (strncmp(user, "if ", strlen("if ")) == 0 ||
             strncmp(user, "unless ", strlen("unless ")) == 0)
        (void)fprintf(w->out, " %s", user);
    else
        (void)fprintf(w->out, " if %s", user);
}

static void print_message(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                          uint32_t message)
{
    const struct spoe_message_decl *decl = plugin->desc->messages[message];
    const char *event = message_option(plugin, message, MESSAGE_EVENT);
    struct haproxy_sink more = {w->out, "    ",      "\n",
                                0,      HAPROXY_ALL, message_option(plugin, message, MESSAGE_ARGS)};
    char name[ENGINE_MESSAGE_SIZE];

    engine_message(w->set, plugin, decl, name);
    (void)fprintf(w->out, "\nspoe-message %s\n", name);
    print_arguments(w, plugin, message);
    haproxy_ask(w, plugin, SPOE_HAPROXY_MESSAGE, message, &more);
    (void)fprintf(w->out, "    event %s", event != NULL ? event : decl->event);
    print_condition(w, plugin, message);
    (void)fputc('\n', w->out);
}

static void print_names(const struct haproxy_writer *w, const struct spoe_instance *plugin)
{
    char name[ENGINE_MESSAGE_SIZE];

    for (uint32_t m = 0; m < plugin->n_messages; m++) {
        if (!is_written(w, plugin, m))
            continue;
        engine_message(w->set, plugin, plugin->desc->messages[m], name);
        (void)fprintf(w->out, " %s", name);
    }
}

/* The longest of its messages: HAProxy has one time-out for them all. */
static int64_t longest_timeout(const struct haproxy_writer *w, const struct spoe_instance *plugin)
{
    int64_t longest = 0;

    for (uint32_t m = 0; m < plugin->n_messages; m++) {
        const int64_t own = plugin->timeout_ns[m];
        const int64_t timeout = own != 0 ? own : w->conf->processing_timeout_ns;

        if (is_written(w, plugin, m) && timeout > longest)
            longest = timeout;
    }
    return longest;
}

static void print_section(const struct haproxy_writer *w, const struct spoe_instance *plugin)
{
    const struct engine engine = engine_of(w->set, w->conf->engine, plugin);

    (void)fprintf(w->out, "[%s]\n", engine.section);
    if (describe_has_variables(plugin->desc))
        (void)fputs("# Variables that come back:\n", w->out);
    else if (SPOE_HAS(plugin->desc, variables))
        (void)fputs("# No variable comes back.\n", w->out);
    else
        (void)fprintf(w->out, "# Variables come back as txn.%s.NAME.\n", engine.prefix);
    describe_variables(w->out, plugin->desc, "#     ", engine.prefix);
    (void)fprintf(w->out, "spoe-agent %s%s\n    messages", engine.section,
                  w->plain ? "-agent" : "");
    print_names(w, plugin);
    (void)fprintf(w->out,
                  "\n"
                  "    option var-prefix %s\n"
                  "    option set-on-error " SPOE_VARIABLE_STATUS "\n"
                  "    # option set-process-time " SPOE_VARIABLE_RESERVED "ms\n"
                  "    # option set-total-time " SPOE_VARIABLE_RESERVED "total_ms\n"
                  "    option continue-on-error\n"
                  "    timeout hello 2s\n"
                  "    timeout idle 2m\n"
                  "    timeout processing %" PRId64 "ms\n"
                  "    use-backend spoe-host\n",
                  engine.prefix,
                  (longest_timeout(w, plugin) + PROCESSING_MARGIN_NS + 999999) / 1000000);
    for (uint32_t m = 0; m < plugin->n_messages; m++) {
        if (is_written(w, plugin, m))
            print_message(w, plugin, m);
    }
}

void haproxy_spoe_filters(const struct haproxy_writer *w, const char *before, const char *config)
{
    const struct spoe_instance *plugin;

    for (size_t i = 0; (plugin = haproxy_spoe_plugin(w, i)) != NULL; i++) {
        const struct engine engine = engine_of(w->set, w->conf->engine, plugin);

        (void)fprintf(w->out, "%sfilter spoe engine %s config %s\n", before, engine.section,
                      config);
    }
}

void haproxy_spoe_sections(const struct haproxy_writer *w)
{
    const struct spoe_instance *plugin;

    for (size_t i = 0; (plugin = haproxy_spoe_plugin(w, i)) != NULL; i++) {
        if (i != 0)
            (void)fputc('\n', w->out);
        print_section(w, plugin);
    }
}
