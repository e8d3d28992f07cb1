/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/haproxy_config.c - see haproxy_config.h. */
#include "core/haproxy_config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/build_info.h"
#include "core/engine.h"
#include "core/haproxy_log.h"
#include "core/haproxy_spoe.h"
#include "core/haproxy_writer.h"

/* Without it a message has of a body what came along with the headers. */
#define WAIT_FOR_BODY "option http-buffer-request"

static void print_plugins(FILE *out, const struct plugin_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        (void)fprintf(out, "#   %s %s\n", engine_label(set->plugin[i]),
                      set->plugin[i]->desc->version);
}

/* spoe-NAME.cfg: that of the only section, or one that is no plugin's. */
static const char *file_of(const struct haproxy_writer *w, const struct engine *first)
{
    return haproxy_spoe_plugin(w, 1) == NULL ? first->section : "host";
}

void haproxy_config_spoe(FILE *out, const struct plugin_set *set, const struct host_conf *conf)
{
    const struct haproxy_writer w = {.out = out,
                                     .set = set,
                                     .conf = conf,
                                     .ways = SPOE_HAPROXY_BY_SPOE,
                                     .version = HAPROXY_2_6,
                                     .plain = true};

    (void)fprintf(out, "# Written by spoe-host %s --print-spoe-config for:\n", build_version);
    print_plugins(out, set);
    (void)fputs("# In haproxy.cfg, in each frontend:\n", out);
    if (haproxy_spoe_has_body(&w))
        (void)fputs("#     " WAIT_FOR_BODY "\n", out);
    haproxy_spoe_filters(&w, "#     ", "THIS-FILE");
    (void)fputs("# and a backend named spoe-host, mode tcp, with this host as its server.\n", out);
    haproxy_spoe_sections(&w);
}

/* ---- the whole --------------------------------------------------------------------------- */

static void print_head(const struct haproxy_writer *w, const char *way)
{
    const bool has_spoe = (w->ways & SPOE_HAPROXY_BY_SPOE) != 0;

    (void)fprintf(w->out, "# Written by spoe-host %s --print-haproxy-config=%s --for %u.%u for:\n",
                  build_version, way, w->version >> 8, w->version & 0xff);
    print_plugins(w->out, w->set);
    (void)fputs(
        "# Frontends name the first section (frontend NAME from traced), backends the second.\n"
        "# \"${NAME-value}\" is the environment variable NAME, or the value where it is unset.\n",
        w->out);
    if (has_spoe) {
        const struct engine first = engine_of(w->set, w->conf->engine, haproxy_spoe_plugin(w, 0));

        (void)fprintf(
            w->out,
            "# From the line [%s] on it is a file of its own, which the filter lines name:\n"
            "#   sed -n '/^\\[%s\\]/,$p' THIS > spoe-%s.cfg; sed -i '/^\\[%s\\]/,$d' THIS\n",
            first.section, first.section, file_of(w, &first), first.section);
    }
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0 && w->conf->n_log_listen == 0)
        (void)fputs("# spoe-host does not take log lines yet: log-listen = udp:" HAPROXY_LOG_ADDRESS
                    "\n",
                    w->out);
}

static void print_defaults(const struct haproxy_writer *w)
{
    (void)fputs("\ndefaults traced\n"
                "    mode http\n"
                "    timeout connect 5s\n"
                "    timeout client 30s\n"
                "    timeout server 30s\n"
                "    timeout http-request 10s\n"
                "    timeout http-keep-alive 10s\n",
                w->out);
    if ((w->ways & SPOE_HAPROXY_BY_SPOE) != 0 && haproxy_spoe_has_body(w))
        (void)fputs("    " WAIT_FOR_BODY "\n", w->out);
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0)
        (void)fputs("    option dontlognull\n", w->out); /* no line without a request */
    /* Without a format of the frontend's own a profile's line is written at accept(). */
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0 && w->version >= HAPROXY_3_1)
        (void)fputs("    option httplog\n", w->out);
    haproxy_lines(w, SPOE_HAPROXY_FRONTEND);
    if ((w->ways & SPOE_HAPROXY_BY_LOG) != 0)
        haproxy_log_lines(w);
    (void)fputs("\ndefaults traced-backend\n"
                "    mode http\n"
                "    timeout connect 5s\n"
                "    timeout server 30s\n"
                "    timeout queue 30s\n",
                w->out);
    haproxy_lines(w, SPOE_HAPROXY_BACKEND);
}

static void print_filters(const struct haproxy_writer *w)
{
    const struct engine first = engine_of(w->set, w->conf->engine, haproxy_spoe_plugin(w, 0));
    char config[ENGINE_NAME_SIZE + sizeof "\"${SPOE_CFG-/etc/haproxy/spoe-.cfg}\""];

    (void)snprintf(config, sizeof config, "\"${SPOE_CFG-/etc/haproxy/spoe-%s.cfg}\"",
                   file_of(w, &first));
    haproxy_spoe_filters(w, "    ", config);
}

/* A site, so that it is whole. */
static void print_example(const struct haproxy_writer *w)
{
    (void)fputs("\nfrontend web from traced\n"
                "    bind \"${WEB_ADDR-127.0.0.1:8080}\"\n",
                w->out);
    if ((w->ways & SPOE_HAPROXY_BY_SPOE) != 0)
        print_filters(w);
    (void)fputs("    default_backend web-app\n"
                "\nbackend web-app from traced-backend\n"
                "    server app1 \"${APP_ADDR-127.0.0.1:9000}\"\n",
                w->out);
}

/* What each line is for: haproxy/haproxy.cfg. */
static void print_agents(const struct haproxy_writer *w)
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
                "    server agent1 ",
                w->out);
    haproxy_address(w->out, "AGENT1_ADDR", &w->conf->listen[0], "unix@");
    (void)fputc('\n', w->out);
}

int haproxy_config_whole(FILE *out, const struct plugin_set *set, const struct host_conf *conf,
                         uint32_t ways, uint32_t version, struct error *reterr)
{
    const bool has_spoe = (ways & SPOE_HAPROXY_BY_SPOE) != 0;
    const bool has_log = (ways & SPOE_HAPROXY_BY_LOG) != 0;
    const size_t n_lines = haproxy_log_count(set);
    const struct haproxy_writer w = {
        .out = out, .set = set, .conf = conf, .ways = ways, .version = version};

    if (has_spoe && haproxy_spoe_plugin(&w, 0) == NULL)
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
        haproxy_log_ring(&w);
        haproxy_log_profiles(&w);
    }
    print_defaults(&w);
    print_example(&w);
    if (has_spoe) {
        print_agents(&w);
        (void)fputc('\n', out);
        haproxy_spoe_sections(&w);
    }
    return 0;
}
