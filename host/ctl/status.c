/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/status.c - `spoe-host ctl status`: a page for people, of /status and /metrics. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/shown.h"

#define TEXT_MAX 256u
#define RATE_MS 1000 /* between two looks */

static const char *member(const json_t *object, const char *name, char ret[TEXT_MAX])
{
    return shown_member(object, name, ret, TEXT_MAX);
}

/* ---- /metrics ----------------------------------------------------------------------------- */

/* Call fn for each sample of a family: `NAME{LABELS} VALUE`, or `NAME VALUE`. */
typedef void sample_fn(void *arg, struct spoe_span labels, double value);

static void for_each_sample(const char *page, const char *name, sample_fn *fn, void *arg)
{
    const size_t n = strlen(name);

    for (const char *line = page; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');

        if (strncmp(line, name, n) == 0 && (line[n] == ' ' || line[n] == '{')) {
            const char *value = end; /* the last word of the line */

            while (value != NULL && value > line && value[-1] != ' ')
                value--;
            if (value != NULL && value > line + n)
                fn(arg, (struct spoe_span){line + n, (size_t)(value - 1 - (line + n))},
                   (double)client_whole((struct spoe_span){value, (size_t)(end - value)}));
        }
        line = end != NULL ? end + 1 : NULL;
    }
}

static void add(void *arg, struct spoe_span labels, double value)
{
    (void)labels;
    *(double *)arg += value;
}

static double total(const char *page, const char *name)
{
    double sum = 0;

    for_each_sample(page, name, add, &sum);
    return sum;
}

static void print_loss(void *arg, struct spoe_span labels, double value)
{
    char shown[TEXT_MAX];

    if (value > 0)
        (void)printf("  lost      %.0f %s, %s\n", value, (const char *)arg,
                     shown_text(labels, shown, sizeof shown));
}

/* ---- /status ------------------------------------------------------------------------------ */

static void print_host(const json_t *status)
{
    char version[TEXT_MAX], state[TEXT_MAX], connections[TEXT_MAX], max[TEXT_MAX],
        pending[TEXT_MAX];
    const long long seconds = json_integer_value(json_object_get(status, "uptime_seconds"));

    (void)printf("spoe-host %s, %s, up %lldd %lldh %lldm %llds\n",
                 member(status, "version", version), member(status, "state", state),
                 seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    (void)printf("connections %s of %s, messages pending %s\n",
                 member(status, "connections", connections), member(status, "max_connections", max),
                 member(status, "pending", pending));
}

static void print_plugins(const json_t *status)
{
    const json_t *plugins = json_object_get(status, "plugins"), *plugin;
    size_t i;

    (void)puts("plugins");
    json_array_foreach(plugins, i, plugin)
    {
        char id[TEXT_MAX], health[TEXT_MAX], reason[TEXT_MAX], line[TEXT_MAX];

        (void)printf("  %-16s %s%s%s\n", member(plugin, "id", id), member(plugin, "health", health),
                     member(plugin, "reason", reason)[0] != '\0' ? ": " : "", reason);
        if (member(plugin, "status", line)[0] != '\0')
            (void)printf("  %-16s %s\n", "", line);
    }
}

static void print_traffic(const char *before, const char *now, int64_t elapsed_ns)
{
    const double seconds = (double)elapsed_ns / NS_PER_S;
    const char *const rates[][2] = {{"spoe_host_messages_total", "messages"},
                                    {"spoe_host_log_lines_total", "log lines"}};

    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        (void)printf("%s %.0f, %.1f a second\n", rates[i][1], total(now, rates[i][0]),
                     (total(now, rates[i][0]) - total(before, rates[i][0])) / seconds);
}

/* Where the otel plugin is loaded. */
static void print_export(const char *page)
{
    static char spans[] = "spans", records[] = "log records", points[] = "metric points";

    if (strstr(page, "\nspoe_otel_") == NULL)
        return;
    (void)printf("export\n  spans     %.0f exported, %.0f wait, %.0f retries\n",
                 total(page, "spoe_otel_spans_exported_total"),
                 total(page, "spoe_otel_queue_spans"),
                 total(page, "spoe_otel_export_retries_total"));
    for_each_sample(page, "spoe_otel_spans_lost_total", print_loss, spans);
    for_each_sample(page, "spoe_otel_log_records_lost_total", print_loss, records);
    for_each_sample(page, "spoe_otel_metric_points_lost_total", print_loss, points);
}

int ctl_status(const struct client *client)
{
    struct client_answer before = {.status = 0}, now = {.status = 0};
    const int64_t begin_ns = clock_mono_ns();
    json_t *status = NULL;
    int result = ctl_ask_json(client, "/status", NULL, &status);

    if (result == CTL_OK)
        result = ctl_ask(client, "/metrics", NULL, &before);
    if (result == CTL_OK) {
        (void)poll(NULL, 0, RATE_MS);
        result = ctl_ask(client, "/metrics", NULL, &now);
    }
    if (result == CTL_OK) {
        print_host(status);
        print_traffic(before.text, now.text, clock_mono_ns() - begin_ns);
        print_plugins(status);
        print_export(now.text);
    }
    json_decref(status);
    client_answer_fini(&before);
    client_answer_fini(&now);
    return result;
}
