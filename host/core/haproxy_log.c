/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/haproxy_log.c - see haproxy_log.h. */
#include "core/haproxy_log.h"

#include <inttypes.h>
#include <string.h>

#include "core/haproxy_config.h"

#define LOG_LINE_LENGTH 8192u /* of a line of the log; HAProxy cuts at 1024 otherwise */
#define RING_SIZE (16u << 20)
#define DEFAULT_LOG_MESSAGE "on-http-log" /* what a line without msg= is */

/* ---- messages ---------------------------------------------------------------------------- */

/* One message of one plugin. */
struct declared {
    const struct spoe_instance *plugin;
    const struct spoe_message_decl *decl; /* NULL: there is none */
    uint32_t index;
};

/* Walk every message of the log of every plugin in configuration order. */
static struct declared nth_message(const struct plugin_set *set, size_t n)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct spoe_instance *plugin = set->plugin[i];

        for (uint32_t m = 0; m < plugin->n_messages; m++) {
            if (haproxy_from_log(plugin->desc->messages[m]) && n-- == 0)
                return (struct declared){plugin, plugin->desc->messages[m], m};
        }
    }
    return (struct declared){.decl = NULL};
}

static bool is_same(const struct spoe_message_decl *a, const struct spoe_message_decl *b)
{
    return strcmp(a->name, b->name) == 0;
}

/* Whether message number n is the first one of its name. */
static bool is_first(const struct plugin_set *set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_same(nth_message(set, i).decl, nth_message(set, n).decl))
            return false;
    }
    return true;
}

size_t haproxy_log_count(const struct plugin_set *set)
{
    size_t count = 0;

    for (size_t i = 0; nth_message(set, i).decl != NULL; i++)
        count += is_first(set, i);
    return count;
}

/* Whether an argument of message number n is written for an earlier declaration of that message. */
static bool is_printed(const struct haproxy_writer *w, size_t n, const char *argument)
{
    const struct spoe_message_decl *message = nth_message(w->set, n).decl;

    for (size_t i = 0; i < n; i++) {
        const struct declared other = nth_message(w->set, i);

        if (!is_same(other.decl, message))
            continue;
        for (size_t a = 0; other.decl->args != NULL && other.decl->args[a] != NULL; a++) {
            if (strcmp(other.decl->args[a]->name, argument) == 0 &&
                haproxy_wants(w, other.plugin, other.index, a))
                return true;
        }
    }
    return false;
}

/* ---- a line --------------------------------------------------------------------------------- */

/* What plugins add to a line. */
static void ask_about_line(const struct haproxy_writer *w, size_t first, struct haproxy_sink sink)
{
    const struct spoe_message_decl *message = nth_message(w->set, first).decl;
    struct declared other;

    for (size_t i = first; (other = nth_message(w->set, i)).decl != NULL; i++) {
        if (is_same(other.decl, message))
            haproxy_ask(w, other.plugin, SPOE_HAPROXY_MESSAGE, other.index, &sink);
    }
}

/* Parts of an RFC 5424 line are there by themselves. */
static bool is_pair(const struct spoe_arg_decl *arg)
{
    return strncmp(arg->name, "syslog.", strlen("syslog.")) != 0;
}

static void print_pairs(const struct haproxy_writer *w, size_t first, bool quoted)
{
    const struct spoe_message_decl *message = nth_message(w->set, first).decl;
    struct declared other;

    for (size_t i = first; (other = nth_message(w->set, i)).decl != NULL; i++) {
        const struct spoe_arg_decl *const *args = other.decl->args;

        for (size_t a = 0; is_same(other.decl, message) && args != NULL && args[a] != NULL; a++) {
            if (is_pair(args[a]) && haproxy_is_quoted(args[a]->expression) == quoted &&
                !is_printed(w, i, args[a]->name) && haproxy_wants(w, other.plugin, other.index, a))
                (void)fprintf(w->out, " %s=%s", args[a]->name, args[a]->expression);
        }
    }
}

/* One message's line, as log-format has it. What may be long comes last: a line may be cut. */
static void print_log_format(const struct haproxy_writer *w, size_t first)
{
    const char *name = nth_message(w->set, first).decl->name;

    (void)fputs("\"v=1", w->out);
    if (strcmp(name, DEFAULT_LOG_MESSAGE) != 0)
        (void)fprintf(w->out, " msg=%s", name);
    ask_about_line(w, first, (struct haproxy_sink){w->out, " ", "", 0, HAPROXY_UNQUOTED, NULL});
    print_pairs(w, first, false);
    ask_about_line(w, first, (struct haproxy_sink){w->out, " ", "", 0, HAPROXY_QUOTED, NULL});
    print_pairs(w, first, true);
    (void)fputs("\"\n", w->out);
}

/* The first address of log-listen. @return NULL: it is off */
static const struct host_log_listen *log_address(const struct haproxy_writer *w)
{
    return w->conf->n_log_listen > 0 ? &w->conf->log_listen[0] : NULL;
}

static bool is_stream(const struct host_log_listen *at)
{
    return at != NULL && !at->at.datagram && (at->at.fd_name == NULL || at->octets);
}

static uint32_t line_length(const struct haproxy_writer *w)
{
    const uint32_t max = w->conf->log_line_max;

    return max > 0 && max < LOG_LINE_LENGTH ? max : LOG_LINE_LENGTH;
}

/* "${AGENT_LOG_ADDR-ADDRESS}" */
static void print_log_address(const struct haproxy_writer *w)
{
    const struct host_log_listen *at = log_address(w);

    if (at != NULL && at->at.fd_name == NULL)
        haproxy_address(w->out, "AGENT_LOG_ADDR", &at->at, "");
    else
        (void)fputs("\"${AGENT_LOG_ADDR-" HAPROXY_LOG_ADDRESS "}\"", w->out);
}

static void print_log_level(const struct haproxy_writer *w)
{
    struct haproxy_sink sink = {w->out, " ", "", 0, HAPROXY_ALL, NULL};

    for (size_t i = 0; i < w->set->n && sink.n == 0; i++)
        haproxy_ask(w, w->set->plugin[i], SPOE_HAPROXY_LOG_LEVEL, 0, &sink);
    if (sink.n == 0)
        (void)fputs(" info", w->out);
}

void haproxy_log_lines(const struct haproxy_writer *w)
{
    for (size_t i = 0; nth_message(w->set, i).decl != NULL; i++) {
        if (!is_first(w->set, i))
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

void haproxy_log_profiles(const struct haproxy_writer *w)
{
    for (size_t i = 0; w->version >= HAPROXY_3_1 && nth_message(w->set, i).decl != NULL; i++) {
        if (!is_first(w->set, i))
            continue;
        (void)fprintf(w->out, "\nlog-profile %s\n    on any format ",
                      nth_message(w->set, i).decl->name);
        print_log_format(w, i);
    }
}

void haproxy_log_ring(const struct haproxy_writer *w)
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
