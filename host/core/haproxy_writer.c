/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/haproxy_writer.c - see haproxy_writer.h. */
#include "core/haproxy_writer.h"

#include <string.h>

#include "core/engine.h"
#include "core/message_options.h"

/* @return NULL: nothing */
static const struct spoe_haproxy *facet_of(const struct haproxy_writer *w,
                                           const struct spoe_instance *plugin)
{
    const struct spoe_plugin *desc = plugin->desc;
    const struct spoe_haproxy *facet;

    if (w->plain || !SPOE_HAS(desc, get_extension))
        return NULL;
    facet = (const struct spoe_haproxy *)desc->get_extension(plugin->inst, SPOE_HAPROXY_1);
    return facet != NULL && SPOE_HAS(facet, lines) ? facet : NULL;
}

static struct spoe_haproxy_ask ask_for(const struct haproxy_writer *w, const struct engine *engine,
                                       uint32_t place, uint32_t message)
{
    return (struct spoe_haproxy_ask){.size = sizeof(struct spoe_haproxy_ask),
                                     .ways = w->ways,
                                     .version = w->version,
                                     .place = place,
                                     .message = message,
                                     .prefix = engine->prefix};
}

bool haproxy_is_quoted(const char *format)
{
    return strncmp(format, "%{+Q", strlen("%{+Q")) == 0;
}

static bool passes(const struct haproxy_sink *sink, const char *line)
{
    const char *format = strchr(line, '=');

    return sink->which == HAPROXY_ALL ||
           (format != NULL && haproxy_is_quoted(format + 1)) == (sink->which == HAPROXY_QUOTED);
}

/* "args ..." without those that the user says. */
static void put_args(struct haproxy_sink *sink, const char *words)
{
    struct message_arg word, other;
    struct error error;
    bool any = false;

    while (message_arg_next(&words, &word, &error) > 0) {
        const size_t n = (size_t)(words - word.name.p);

        if (word.name.n != 0 && message_arg_find(sink->user_args, word.name, &other))
            continue;
        (void)fprintf(sink->out, "%s%s%.*s", any ? "" : sink->before, any ? " " : "args ", (int)n,
                      word.name.p);
        any = true;
    }
    if (!any)
        return;
    (void)fputs(sink->after, sink->out);
    sink->n++;
}

/* A line is a line, whatever a plugin says. */
static void put(void *arg, const char *line)
{
    struct haproxy_sink *sink = arg;

    if (!passes(sink, line))
        return;
    if (sink->user_args != NULL && strncmp(line, "args ", strlen("args ")) == 0) {
        put_args(sink, line + strlen("args "));
        return;
    }
    (void)fputs(sink->before, sink->out);
    for (; *line != '\0'; line++)
        (void)fputc((unsigned char)*line < ' ' ? '?' : *line, sink->out);
    (void)fputs(sink->after, sink->out);
    sink->n++;
}

void haproxy_ask(const struct haproxy_writer *w, const struct spoe_instance *plugin, uint32_t place,
                 uint32_t message, struct haproxy_sink *sink)
{
    const struct spoe_haproxy *facet = facet_of(w, plugin);
    const struct engine engine = engine_of(w->set, w->conf->engine, plugin);
    const struct spoe_haproxy_ask about = ask_for(w, &engine, place, message);

    if (facet != NULL)
        facet->lines(plugin->inst, &about, put, sink);
}

void haproxy_lines(const struct haproxy_writer *w, uint32_t place)
{
    struct haproxy_sink sink = {w->out, "    ", "\n", 0, HAPROXY_ALL, NULL};

    for (size_t i = 0; i < w->set->n; i++)
        haproxy_ask(w, w->set->plugin[i], place, 0, &sink);
}

bool haproxy_wants(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                   uint32_t message, size_t slot)
{
    const struct spoe_haproxy *facet = facet_of(w, plugin);
    const struct engine engine = engine_of(w->set, w->conf->engine, plugin);
    const struct spoe_haproxy_ask about = ask_for(w, &engine, SPOE_HAPROXY_MESSAGE, message);

    return facet == NULL || !SPOE_HAS(facet, wants) ||
           facet->wants(plugin->inst, &about, (uint32_t)slot) != 0;
}

/* Outside quotes a backslash takes these as they are, and is one itself before all others. */
static void put_escaped(FILE *out, const char *path)
{
    for (; *path != '\0'; path++) {
        if (strchr(" \t\\\"'#", *path) != NULL)
            (void)fputc('\\', out);
        (void)fputc(*path, out);
    }
}

void haproxy_address(FILE *out, const char *variable, const struct host_listen *at,
                     const char *unix_prefix)
{
    const char *host = at->host;

    /* What ends the default of a variable, or its quotes, cannot be said in it. */
    if (at->path != NULL && strpbrk(at->path, "}\"\\$") != NULL) {
        (void)fputs(unix_prefix, out);
        put_escaped(out, at->path);
        return;
    }
    (void)fprintf(out, "\"${%s-", variable);
    if (at->fd_name != NULL) /* its unit knows; as shipped */
        (void)fputs("127.0.0.1:12345", out);
    else if (at->path != NULL)
        (void)fprintf(out, "%s%s", unix_prefix, at->path);
    else if (host == NULL || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
        (void)fprintf(out, "127.0.0.1:%s", at->port);
    else if (strcmp(host, "::") == 0)
        (void)fprintf(out, "[::1]:%s", at->port);
    else if (strchr(host, ':') != NULL)
        (void)fprintf(out, "[%s]:%s", host, at->port);
    else
        (void)fprintf(out, "%s:%s", host, at->port);
    (void)fputs("}\"", out);
}
