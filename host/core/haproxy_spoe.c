/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/haproxy_spoe.c - see haproxy_spoe.h. */
#include "core/haproxy_spoe.h"

#include <inttypes.h>

#include "core/describe.h"
#include "core/engine.h"

#define ARGS_PER_LINE 8u /* HAProxy reads at most 64 words a line; lines add up */
/* HAProxy waits this much longer than the host takes at most. */
#define PROCESSING_MARGIN_NS INT64_C(5000000)

/* A message of which no argument is wanted is not written, unless it has none. */
static bool is_written(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                       uint32_t message)
{
    const struct spoe_message_decl *decl = plugin->desc->messages[message];

    if (haproxy_from_log(decl))
        return false;
    if (decl->args == NULL || decl->args[0] == NULL)
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

static void print_arguments(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                            uint32_t message)
{
    const struct spoe_arg_decl *const *args = plugin->desc->messages[message]->args;
    unsigned n = 0;

    for (size_t a = 0; args != NULL && args[a] != NULL; a++) {
        if (!haproxy_wants(w, plugin, message, a))
            continue;
        (void)fprintf(w->out, "%s%s=%s", n % ARGS_PER_LINE == 0 ? "    args " : " ", args[a]->name,
                      args[a]->expression);
        if (++n % ARGS_PER_LINE == 0)
            (void)fputc('\n', w->out);
    }
    if (n % ARGS_PER_LINE != 0)
        (void)fputc('\n', w->out);
}

static void print_message(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                          uint32_t message)
{
    const struct spoe_message_decl *decl = plugin->desc->messages[message];
    struct haproxy_sink more = {w->out, "    ", "\n", 0, HAPROXY_ALL};
    struct haproxy_sink condition = {w->out, " ", "", 0, HAPROXY_ALL};
    char name[ENGINE_MESSAGE_SIZE];

    engine_message(w->set, plugin, decl, name);
    (void)fprintf(w->out, "\nspoe-message %s\n", name);
    print_arguments(w, plugin, message);
    haproxy_ask(w, plugin, SPOE_HAPROXY_MESSAGE, message, &more);
    (void)fprintf(w->out, "    event %s", decl->event);
    haproxy_ask(w, plugin, SPOE_HAPROXY_EVENT, message, &condition);
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

static void print_section(const struct haproxy_writer *w, const struct spoe_instance *plugin)
{
    const struct engine engine = engine_of(w->set, w->conf->engine, plugin);

    (void)fprintf(w->out, "[%s]\n", engine.section);
    if (describe_has_variables(plugin->desc))
        (void)fputs("# Variables that come back:\n", w->out);
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
                  "    option continue-on-error\n"
                  "    timeout hello 2s\n"
                  "    timeout idle 2m\n"
                  "    timeout processing %" PRId64 "ms\n"
                  "    use-backend spoe-host\n",
                  engine.prefix,
                  (w->conf->processing_timeout_ns + PROCESSING_MARGIN_NS + 999999) / 1000000);
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
