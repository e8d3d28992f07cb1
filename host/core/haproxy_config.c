/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/haproxy_config.c - see haproxy_config.h. */
#include "core/haproxy_config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include <spoe/ext/haproxy.h>

#include "base/build_info.h"

#define ARGS_PER_LINE 8u /* HAProxy reads at most 64 words a line; lines add up */
/* HAProxy waits this much longer than the host takes at most. */
#define PROCESSING_MARGIN_NS INT64_C(5000000)
#define LOG_LINE_LENGTH 8192u /* of a line of the log; HAProxy cuts at 1024 otherwise */
#define RING_SIZE (16u << 20)
#define LOG_ADDRESS "127.0.0.1:12514"     /* where log-listen does not say one */
#define DEFAULT_LOG_MESSAGE "on-http-log" /* what a line without msg= is */

/* What is being written, and for whom. */
struct writer {
    FILE *out;
    const struct plugin_set *set;
    const struct host_conf *conf;
    const char *engine;
    uint32_t ways, version;
    bool plain; /* what is declared and no more: the facets are not asked */
};

/* One message of one plugin. */
struct declared {
    const struct spoe_instance *plugin;
    const struct spoe_message_decl *decl; /* NULL: there is none */
    uint32_t index;
};

/* Walk every message of every plugin in configuration order. */
static struct declared nth_message(const struct plugin_set *set, size_t n)
{
    for (size_t i = 0; i < set->n; i++) {
        if (n < set->plugin[i]->n_messages)
            return (struct declared){set->plugin[i], set->plugin[i]->desc->messages[n],
                                     (uint32_t)n};
        n -= set->plugin[i]->n_messages;
    }
    return (struct declared){.decl = NULL};
}

static bool is_from_log(const struct spoe_message_decl *decl)
{
    return (decl->flags & SPOE_MESSAGE_FROM_LOG) != 0;
}

/* ---- what plugins say beside their messages ---------------------------------------------- */

/* @return NULL: nothing */
static const struct spoe_haproxy *facet_of(const struct spoe_instance *plugin)
{
    const struct spoe_plugin *desc = plugin->desc;
    const struct spoe_haproxy *facet;

    if (!SPOE_HAS(desc, get_extension))
        return NULL;
    facet = (const struct spoe_haproxy *)desc->get_extension(plugin->inst, SPOE_HAPROXY_1);
    return facet != NULL && SPOE_HAS(facet, lines) ? facet : NULL;
}

static struct spoe_haproxy_ask ask_for(const struct writer *w, uint32_t place, uint32_t message)
{
    return (struct spoe_haproxy_ask){.size = sizeof(struct spoe_haproxy_ask),
                                     .ways = w->ways,
                                     .version = w->version,
                                     .place = place,
                                     .message = message,
                                     .prefix = w->engine};
}

/* Where the lines of a plugin go. */
struct sink {
    FILE *out;
    const char *before, *after; /* around each */
    size_t n;
    enum { ALL, QUOTED, UNQUOTED } which; /* of a log-format's pairs: by how they are written */
};

/* Texts that a client chooses, which HAProxy writes in quotes. */
static bool is_quoted(const char *format)
{
    return strncmp(format, "%{+Q", strlen("%{+Q")) == 0;
}

static bool passes(const struct sink *sink, const char *line)
{
    const char *format = strchr(line, '=');

    return sink->which == ALL ||
           (format != NULL && is_quoted(format + 1)) == (sink->which == QUOTED);
}

/* A line is a line, whatever a plugin says. */
static void put(void *arg, const char *line)
{
    struct sink *sink = arg;

    if (!passes(sink, line))
        return;
    (void)fputs(sink->before, sink->out);
    for (; *line != '\0'; line++)
        (void)fputc((unsigned char)*line < ' ' ? '?' : *line, sink->out);
    (void)fputs(sink->after, sink->out);
    sink->n++;
}

static void ask(const struct writer *w, const struct spoe_instance *plugin, uint32_t place,
                uint32_t message, struct sink *sink)
{
    const struct spoe_haproxy *facet = w->plain ? NULL : facet_of(plugin);
    const struct spoe_haproxy_ask about = ask_for(w, place, message);

    if (facet != NULL)
        facet->lines(plugin->inst, &about, put, sink);
}

/* Lines of a section, from all plugins. */
static void print_lines(const struct writer *w, uint32_t place)
{
    struct sink sink = {w->out, "    ", "\n", 0, ALL};

    for (size_t i = 0; i < w->set->n; i++)
        ask(w, w->set->plugin[i], place, 0, &sink);
}

static bool is_wanted(const struct writer *w, struct declared message, size_t slot)
{
    const struct spoe_haproxy *facet = w->plain ? NULL : facet_of(message.plugin);
    const struct spoe_haproxy_ask about = ask_for(w, SPOE_HAPROXY_MESSAGE, message.index);

    return facet == NULL || !SPOE_HAS(facet, wants) ||
           facet->wants(message.plugin->inst, &about, (uint32_t)slot) != 0;
}

/* ---- messages ---------------------------------------------------------------------------- */

/* The same message, come the same way. */
static bool is_same(const struct spoe_message_decl *a, const struct spoe_message_decl *b)
{
    return strcmp(a->name, b->name) == 0 && is_from_log(a) == is_from_log(b);
}

/* Whether message number n comes this way and is the first one of its name. */
static bool is_first(const struct plugin_set *set, size_t n, bool from_log)
{
    const struct spoe_message_decl *decl = nth_message(set, n).decl;

    if (is_from_log(decl) != from_log)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_same(nth_message(set, i).decl, decl))
            return false;
    }
    return true;
}

static size_t count_messages(const struct plugin_set *set, bool from_log)
{
    size_t count = 0;

    for (size_t i = 0; nth_message(set, i).decl != NULL; i++)
        count += is_first(set, i, from_log);
    return count;
}

/* Whether an argument of message number n is written for an earlier declaration of that message. */
static bool is_printed(const struct writer *w, size_t n, const char *argument)
{
    const struct spoe_message_decl *message = nth_message(w->set, n).decl;

    for (size_t i = 0; i < n; i++) {
        const struct declared other = nth_message(w->set, i);

        if (!is_same(other.decl, message))
            continue;
        for (size_t a = 0; other.decl->args != NULL && other.decl->args[a] != NULL; a++) {
            if (strcmp(other.decl->args[a]->name, argument) == 0 && is_wanted(w, other, a))
                return true;
        }
    }
    return false;
}

/* Whether message number n is written: one of which no argument is wanted is not. */
static bool is_written(const struct writer *w, size_t n)
{
    const struct spoe_message_decl *message = nth_message(w->set, n).decl;
    struct declared other;

    for (size_t i = n; (other = nth_message(w->set, i)).decl != NULL; i++) {
        const struct spoe_arg_decl *const *args = other.decl->args;

        if (!is_same(other.decl, message))
            continue;
        if (args == NULL || args[0] == NULL)
            return true;
        for (size_t a = 0; args[a] != NULL; a++) {
            if (is_wanted(w, other, a))
                return true;
        }
    }
    return false;
}

/* ---- the SPOE section -------------------------------------------------------------------- */

/* What plugins add to a message, or put behind its event. */
static void ask_about_message(const struct writer *w, size_t first, uint32_t place,
                              struct sink sink)
{
    const struct spoe_message_decl *message = nth_message(w->set, first).decl;
    struct declared other;

    for (size_t i = first; (other = nth_message(w->set, i)).decl != NULL; i++) {
        if (is_same(other.decl, message))
            ask(w, other.plugin, place, other.index, &sink);
    }
}

static void print_spoe_message(const struct writer *w, size_t first)
{
    const struct spoe_message_decl *message = nth_message(w->set, first).decl;
    struct declared other;
    unsigned n_args = 0;

    (void)fprintf(w->out, "\nspoe-message %s\n", message->name);
    for (size_t i = first; (other = nth_message(w->set, i)).decl != NULL; i++) {
        const struct spoe_message_decl *decl = other.decl;

        if (!is_same(decl, message))
            continue;
        for (size_t a = 0; decl->args != NULL && decl->args[a] != NULL; a++) {
            if (is_printed(w, i, decl->args[a]->name) || !is_wanted(w, other, a))
                continue;
            (void)fprintf(w->out, "%s%s=%s", n_args % ARGS_PER_LINE == 0 ? "    args " : " ",
                          decl->args[a]->name, decl->args[a]->expression);
            if (++n_args % ARGS_PER_LINE == 0)
                (void)fputc('\n', w->out);
        }
    }
    if (n_args % ARGS_PER_LINE != 0)
        (void)fputc('\n', w->out);
    ask_about_message(w, first, SPOE_HAPROXY_MESSAGE, (struct sink){w->out, "    ", "\n", 0, ALL});
    (void)fprintf(w->out, "    event %s", message->event);
    ask_about_message(w, first, SPOE_HAPROXY_EVENT, (struct sink){w->out, " ", "", 0, ALL});
    (void)fputc('\n', w->out);
}

static void print_spoe_section(const struct writer *w)
{
    (void)fprintf(w->out,
                  "[%s]\n"
                  "spoe-agent %s%s\n",
                  w->engine, w->engine, w->plain ? "-agent" : "");
    (void)fputs("    messages", w->out);
    for (size_t i = 0; nth_message(w->set, i).decl != NULL; i++) {
        if (is_first(w->set, i, false) && is_written(w, i))
            (void)fprintf(w->out, " %s", nth_message(w->set, i).decl->name);
    }
    (void)fprintf(w->out,
                  "\n"
                  "    option var-prefix %s\n"
                  "    option set-on-error status\n"
                  "    option continue-on-error\n"
                  "    timeout hello 2s\n"
                  "    timeout idle 2m\n"
                  "    timeout processing %" PRId64 "ms\n"
                  "    use-backend spoe-host\n",
                  w->engine,
                  (w->conf->processing_timeout_ns + PROCESSING_MARGIN_NS + 999999) / 1000000);
    for (size_t i = 0; nth_message(w->set, i).decl != NULL; i++) {
        if (is_first(w->set, i, false) && is_written(w, i))
            print_spoe_message(w, i);
    }
}

static const char *engine_of(const struct plugin_set *set, const struct host_conf *conf)
{
    if (conf->engine != NULL)
        return conf->engine;
    return set->n == 1 ? set->plugin[0]->desc->id : "spoe";
}

static void print_plugins(FILE *out, const struct plugin_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        (void)fprintf(out, "#   %s %s\n", set->plugin[i]->desc->id, set->plugin[i]->desc->version);
}

void haproxy_config_spoe(FILE *out, const struct plugin_set *set, const struct host_conf *conf)
{
    const struct writer w = {.out = out,
                             .set = set,
                             .conf = conf,
                             .engine = engine_of(set, conf),
                             .ways = SPOE_HAPROXY_BY_SPOE,
                             .version = HAPROXY_2_6,
                             .plain = true};

    (void)fprintf(out, "# Written by spoe-host %s --print-spoe-config for:\n", build_version);
    print_plugins(out, set);
    (void)fprintf(out,
                  "# In haproxy.cfg: filter spoe engine %s config THIS-FILE in each frontend,\n"
                  "# and a backend named spoe-host, mode tcp, with this host as its server.\n"
                  "# Variables come back as txn.%s.NAME.\n",
                  w.engine, w.engine);
    print_spoe_section(&w);
}

/* ---- the log ----------------------------------------------------------------------------- */

/* Parts of an RFC 5424 line are there by themselves. */
static bool is_pair(const struct spoe_arg_decl *arg)
{
    return strncmp(arg->name, "syslog.", strlen("syslog.")) != 0;
}

static void print_pairs(const struct writer *w, size_t first, bool quoted)
{
    const struct spoe_message_decl *message = nth_message(w->set, first).decl;
    struct declared other;

    for (size_t i = first; (other = nth_message(w->set, i)).decl != NULL; i++) {
        const struct spoe_arg_decl *const *args = other.decl->args;

        for (size_t a = 0; is_same(other.decl, message) && args != NULL && args[a] != NULL; a++) {
            if (is_pair(args[a]) && is_quoted(args[a]->expression) == quoted &&
                !is_printed(w, i, args[a]->name) && is_wanted(w, other, a))
                (void)fprintf(w->out, " %s=%s", args[a]->name, args[a]->expression);
        }
    }
}

/* One message's line, as log-format has it. What may be long comes last: a line may be cut. */
static void print_log_format(const struct writer *w, size_t first)
{
    const char *name = nth_message(w->set, first).decl->name;

    (void)fputs("\"v=1", w->out);
    if (strcmp(name, DEFAULT_LOG_MESSAGE) != 0)
        (void)fprintf(w->out, " msg=%s", name);
    ask_about_message(w, first, SPOE_HAPROXY_MESSAGE, (struct sink){w->out, " ", "", 0, UNQUOTED});
    print_pairs(w, first, false);
    ask_about_message(w, first, SPOE_HAPROXY_MESSAGE, (struct sink){w->out, " ", "", 0, QUOTED});
    print_pairs(w, first, true);
    (void)fputs("\"\n", w->out);
}

/* Where HAProxy reaches an address that the host listens on: all addresses are this machine's. */
static void print_address(FILE *out, const struct host_listen *at, const char *unix_prefix)
{
    const char *host = at->host;

    if (at->path != NULL)
        (void)fprintf(out, "%s%s", unix_prefix, at->path);
    else if (host == NULL || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
        (void)fprintf(out, "127.0.0.1:%s", at->port);
    else if (strcmp(host, "::") == 0)
        (void)fprintf(out, "[::1]:%s", at->port);
    else if (strchr(host, ':') != NULL)
        (void)fprintf(out, "[%s]:%s", host, at->port);
    else
        (void)fprintf(out, "%s:%s", host, at->port);
}

/* The first address of log-listen. @return NULL: it is off */
static const struct host_log_listen *log_address(const struct writer *w)
{
    return w->conf->n_log_listen > 0 ? &w->conf->log_listen[0] : NULL;
}

static bool is_stream(const struct host_log_listen *at)
{
    return at != NULL && !at->at.datagram;
}

static uint32_t line_length(const struct writer *w)
{
    const uint32_t max = w->conf->log_line_max;

    return max > 0 && max < LOG_LINE_LENGTH ? max : LOG_LINE_LENGTH;
}

/* "${AGENT_LOG_ADDR-ADDRESS}" */
static void print_log_address(const struct writer *w)
{
    const struct host_log_listen *at = log_address(w);

    (void)fputs("\"${AGENT_LOG_ADDR-", w->out);
    if (at != NULL)
        print_address(w->out, &at->at, "");
    else
        (void)fputs(LOG_ADDRESS, w->out);
    (void)fputs("}\"", w->out);
}

static void print_log_level(const struct writer *w)
{
    struct sink sink = {w->out, " ", "", 0, ALL};

    for (size_t i = 0; i < w->set->n && sink.n == 0; i++)
        ask(w, w->set->plugin[i], SPOE_HAPROXY_LOG_LEVEL, 0, &sink);
    if (sink.n == 0)
        (void)fputs(" info", w->out);
}

/* What a frontend logs, and where. From 3.1 on each `log` has a format of its own. */
static void print_log_lines(const struct writer *w)
{
    for (size_t i = 0; nth_message(w->set, i).decl != NULL; i++) {
        if (!is_first(w->set, i, true))
            continue;
        (void)fputs("    log ", w->out);
        if (is_stream(log_address(w)))
            (void)fputs("ring@spoe-lines", w->out);
        else
            print_log_address(w);
        (void)fprintf(w->out, " len %" PRIu32 " format raw", line_length(w));
        if (w->version >= HAPROXY_3_1)
            (void)fprintf(w->out, " profile %s", nth_message(w->set, i).decl->name);
        (void)fputs(" local0", w->out);
        print_log_level(w);
        (void)fputc('\n', w->out);
        if (w->version < HAPROXY_3_1) {
            (void)fputs("    log-format ", w->out);
            print_log_format(w, i);
        }
    }
}

static void print_log_profiles(const struct writer *w)
{
    for (size_t i = 0; w->version >= HAPROXY_3_1 && nth_message(w->set, i).decl != NULL; i++) {
        if (!is_first(w->set, i, true))
            continue;
        (void)fprintf(w->out, "\nlog-profile %s\n    on any format ",
                      nth_message(w->set, i).decl->name);
        print_log_format(w, i);
    }
}

/* The lines wait here while the host is away. */
static void print_ring(const struct writer *w)
{
    const struct host_log_listen *at = log_address(w);

    if (!is_stream(at))
        return;
    (void)fprintf(w->out,
                  "\nring spoe-lines\n"
                  "    format raw\n"
                  "    maxlen %" PRIu32 "\n"
                  "    size %u\n"
                  "    timeout connect 1s\n"
                  "    timeout server 10s\n"
                  "    server agent1 ",
                  line_length(w), RING_SIZE);
    print_log_address(w);
    (void)fprintf(w->out, "%s\n", at->octets ? " log-proto octet-count" : "");
}

/* ---- the whole --------------------------------------------------------------------------- */

static void print_head(const struct writer *w, const char *way)
{
    const bool has_spoe = (w->ways & SPOE_HAPROXY_BY_SPOE) != 0;

    (void)fprintf(w->out, "# Written by spoe-host %s --print-haproxy-config=%s --for %u.%u for:\n",
                  build_version, way, w->version >> 8, w->version & 0xff);
    print_plugins(w->out, w->set);
    (void)fputs(
        "# Frontends name the first section (frontend NAME from traced), backends the second.\n"
        "# \"${NAME-value}\" is the environment variable NAME, or the value where it is unset.\n",
        w->out);
    if (has_spoe)
        (void)fprintf(
            w->out,
            "# From the line [%s] on it is a file of its own, which the filter line names:\n"
            "#   sed -n '/^\\[%s\\]/,$p' THIS > spoe-%s.cfg; sed -i '/^\\[%s\\]/,$d' THIS\n",
            w->engine, w->engine, w->engine, w->engine);
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0 && log_address(w) == NULL)
        (void)fputs("# spoe-host does not take log lines yet: log-listen = udp:" LOG_ADDRESS "\n",
                    w->out);
}

static void print_defaults(const struct writer *w)
{
    (void)fputs("\ndefaults traced\n"
                "    mode http\n"
                "    timeout connect 5s\n"
                "    timeout client 30s\n"
                "    timeout server 30s\n"
                "    timeout http-request 10s\n"
                "    timeout http-keep-alive 10s\n",
                w->out);
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0)
        (void)fputs("    option dontlognull\n", w->out); /* no line without a request */
    /* Without a format of the frontend's own a profile's line is written at accept(). */
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0 && w->version >= HAPROXY_3_1)
        (void)fputs("    option httplog\n", w->out);
    print_lines(w, SPOE_HAPROXY_FRONTEND);
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0)
        print_log_lines(w);
    (void)fputs("\ndefaults traced-backend\n"
                "    mode http\n"
                "    timeout connect 5s\n"
                "    timeout server 30s\n"
                "    timeout queue 30s\n",
                w->out);
    print_lines(w, SPOE_HAPROXY_BACKEND);
}

/* A site, so that it is whole. */
static void print_example(const struct writer *w)
{
    (void)fputs("\nfrontend web from traced\n"
                "    bind \"${WEB_ADDR-127.0.0.1:8080}\"\n",
                w->out);
    if ((w->ways & SPOE_HAPROXY_BY_SPOE) != 0)
        (void)fprintf(w->out,
                      "    filter spoe engine %s config \"${SPOE_CFG-/etc/haproxy/spoe-%s.cfg}\"\n",
                      w->engine, w->engine);
    (void)fputs("    default_backend web-app\n"
                "\nbackend web-app from traced-backend\n"
                "    server app1 \"${APP_ADDR-127.0.0.1:9000}\"\n",
                w->out);
}

/* What each line is for: haproxy/haproxy.cfg. */
static void print_agents(const struct writer *w)
{
    (void)fputs("\ndefaults agents\n"
                "    mode tcp\n"
                "    timeout connect 1s\n"
                "    timeout server 3m\n"
                "    retries 0\n"
                "\nbackend spoe-host from agents\n"
                "    option spop-check\n"
                "    default-server check inter 2s fall 2 rise 2 on-marked-down shutdown-sessions\n"
                "    default-server init-addr last,libc,none\n"
                "    server agent1 \"${AGENT1_ADDR-",
                w->out);
    print_address(w->out, &w->conf->listen[0], "unix@");
    (void)fputs("}\"\n", w->out);
}

int haproxy_config_whole(FILE *out, const struct plugin_set *set, const struct host_conf *conf,
                         uint32_t ways, uint32_t version, struct error *reterr)
{
    const bool has_spoe = (ways & SPOE_HAPROXY_BY_SPOE) != 0;
    const bool has_log = (ways & SPOE_HAPROXY_BY_LOG) != 0;
    const size_t n_lines = count_messages(set, true);
    const struct writer w = {.out = out,
                             .set = set,
                             .conf = conf,
                             .engine = engine_of(set, conf),
                             .ways = ways,
                             .version = version};

    if (has_spoe && count_messages(set, false) == 0)
        return error_set(reterr, "no plugin takes messages over SPOP");
    if (has_log && n_lines == 0)
        return error_set(reterr, "no plugin takes messages of the log");
    if (has_log && n_lines > 1 && version < HAPROXY_3_1)
        return error_set(reterr,
                         "plugins take %zu messages of the log, and a frontend of HAProxy has one "
                         "log-format up to 3.0: see --for 3.1",
                         n_lines);
    print_head(&w, has_spoe && has_log ? "both" : has_log ? "log" : "spoe");
    if (has_log) {
        print_ring(&w);
        print_log_profiles(&w);
    }
    print_defaults(&w);
    print_example(&w);
    if (has_spoe) {
        print_agents(&w);
        (void)fputc('\n', out);
        print_spoe_section(&w);
    }
    return 0;
}
