/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/admin/test_view.c - the pages and the host's own metrics, over two workers that the
 * test fills itself (9.2).
 */
#include "unit/net/rig.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "admin/view.h"
#include "conf/host_conf.h"

static struct view view;
static struct listeners *listeners;
static struct event_base *base;
static struct conf *conf;
static char *page;
static size_t page_size;

static const struct spoe_option shown = {.size = sizeof shown,
                                         .type = SPOE_OPT_STRING,
                                         .key = "shown",
                                         .default_text = "a \"text\"",
                                         .help = "h"};
static const struct spoe_option hidden = {.size = sizeof hidden,
                                          .type = SPOE_OPT_STRING,
                                          .flags = SPOE_OPTION_SECRET,
                                          .key = "hidden",
                                          .default_text = "hunter2",
                                          .help = "h"};
static const struct spoe_option unset = {
    .size = sizeof unset, .type = SPOE_OPT_STRING, .key = "unset", .help = "h"};
static const struct spoe_option *const options[] = {&shown, &hidden, &unset, NULL};
static const struct spoe_message_decl second_message = {sizeof second_message, 0,  "second",
                                                        "on-http-response",    "", NULL};
static const struct spoe_message_decl *const two_messages[] = {&rig_message, &second_message, NULL};
static struct spoe_plugin with_options;

static void setup(void)
{
    static char path[] = "/lib/rig.so";

    with_options = rig_desc;
    with_options.options = options;
    with_options.messages = two_messages;
    with_options.help = "helps";
    rig_as = &with_options;
    rig_n_messages = 2;
    rig_start(17);
    rig.conf.max_connections = 5;
    conf = conf_create();
    cr_assert_not_null(conf);
    rig.conf.settings = conf_resolve(conf, "", host_options);
    rig.instance.path = path;
    rig.instance.settings = conf_resolve(conf, "rig", options);
    listeners = listeners_open(&rig.conf);
    base = event_base_new();
    cr_assert(listeners != NULL && base != NULL);
    cr_assert_eq(listeners_start(listeners, base, rig.worker, RIG_WORKERS), 0);
    view = (struct view){.conf = &rig.conf,
                         .plugins = &rig.set,
                         .routes = &rig.routes,
                         .shared = &rig.shared,
                         .listeners = listeners,
                         .metrics = metrics_create(),
                         .start_unix_ns = 1234 * NS_PER_S,
                         .start_mono_ns = clock_mono_ns()};
    cr_assert_not_null(view.metrics);
    view_init(&view);
    cr_assert_eq(host_metrics_start(&view, &rig.routes), 0);
    view.state = HOST_READY;
}

static void teardown(void)
{
    host_metrics_stop(&view, &rig.routes);
    metrics_destroy(view.metrics);
    listeners_close(listeners);
    event_base_free(base);
    conf_section_destroy(rig.instance.settings);
    conf_section_destroy(rig.conf.settings);
    conf_destroy(conf);
    rig_stop();
    free(page);
}

TestSuite(view, .init = setup, .fini = teardown, .timeout = 60);

/* @return the page's status; what it says is in `page` */
static int ask(const char *path)
{
    FILE *out;
    int status = -1;

    free(page);
    page = NULL;
    out = open_memstream(&page, &page_size);
    cr_assert_not_null(out);
    for (const struct admin_page *p = view_pages; p->path != NULL; p++) {
        if (strcmp(p->path, path) == 0)
            status = p->write(&view, out);
    }
    cr_assert_eq(fclose(out), 0);
    return status;
}

static void has(const char *text)
{
    cr_assert_not_null(strstr(page, text), "no \"%s\" in\n%s", text, page);
}

static void has_sample(const char *name, uint64_t value)
{
    char line[256];

    (void)snprintf(line, sizeof line, "\nspoe_host_%s %" PRIu64 "\n", name, value);
    has(line);
}

/* Those that are on the page by a label; see the tests below. */
static bool has_labels(const char *counter)
{
    return strcmp(counter, "protocol_errors") == 0 || strcmp(counter, "peer_errors") == 0 ||
           strcmp(counter, "log_broken_lines") == 0 || strcmp(counter, "log_missing_lines") == 0;
}

/* Every counter under its name, added up over the workers. */
Test(view, what_workers_count_is_added_up)
{
    uint64_t n = 1000;

#define FILL(name)                                                                                 \
    rig.worker[0].core.counters.name = ++n;                                                        \
    rig.worker[1].core.counters.name = 100000;
    COUNTERS(FILL)
    cr_assert_eq(ask("/metrics"), 200);
    n = 1000;
#define LOOK(name)                                                                                 \
    n++;                                                                                           \
    if (!has_labels(#name))                                                                        \
        has_sample(strcmp(#name, "bytes_in") == 0    ? "received_bytes_total"                      \
                   : strcmp(#name, "bytes_out") == 0 ? "sent_bytes_total"                          \
                                                     : #name "_total",                             \
                   100000 + n);
    COUNTERS(LOOK)
}

Test(view, errors_are_told_by_their_codes)
{
    static const char *const names[] = {"hello_failures_total", "protocol_errors_total",
                                        "peer_errors_total"};
    char name[80];

    for (uint32_t c = 0; c < COUNTER_CODES; c++) {
        for (uint32_t w = 0; w < RIG_WORKERS; w++) {
            struct counters *counters = &rig.worker[w].core.counters;

            counters->hello_failures[c] = 100 + c;
            counters->open_errors[c] = 200 + c;
            counters->peer_codes[c] = 300 + c;
        }
    }
    cr_assert_eq(ask("/metrics"), 200);
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t c = 1; c < COUNTER_CODES; c++) {
            (void)snprintf(name, sizeof name, "%s{code=\"%u\"}", names[i], c < 14 ? c : 99);
            has_sample(name, 2 * (100 * (i + 1) + c));
        }
    }
    cr_assert_null(strstr(page, "{code=\"0\"}"), "0 is no error");
}

Test(view, broken_lines_are_told_by_their_reasons)
{
    static const char *const reasons[] = {NULL,
#define LABEL(name, label, text) label,
                                          LINE_FAULTS(LABEL)
#undef LABEL
    };
    char name[80];

    for (uint32_t i = 0; i < N_LINE_FAULTS; i++) {
        for (uint32_t w = 0; w < RIG_WORKERS; w++)
            rig.worker[w].core.counters.line_faults[i] = 100 + i;
    }
    cr_assert_eq(ask("/metrics"), 200);
    for (uint32_t i = LINE_OK + 1; i < N_LINE_FAULTS; i++) {
        (void)snprintf(name, sizeof name, "log_broken_lines_total{reason=\"%s\"}", reasons[i]);
        has_sample(name, 2 * (100 + i));
    }
    has_sample("log_missing_lines_total{frontend=\"other\"}", 0); /* integ_lines has others */
    has_sample("log_connections", 0);
}

Test(view, each_plugin_and_message_has_its_own)
{
    static const char *const names[] = {"m", "second"};
    static const char *const counters[] = {"messages", "pending",      "timeouts",
                                           "errors",   "slow_handles", "missing_arguments"};

    cr_assert_eq(rig.routes.n_targets, 2);
    for (uint32_t w = 0; w < RIG_WORKERS; w++) {
        for (uint32_t t = 0; t < 2; t++) {
            struct target_counters *target = &rig.worker[w].core.targets[t];
            uint64_t n = 100 * t + 10;

#define FILL_TARGET(name) target->name = ++n;
            TARGET_COUNTERS(FILL_TARGET)
        }
    }
    cr_assert_eq(ask("/metrics"), 200);
    for (uint32_t t = 0; t < 2; t++) {
        for (uint32_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
            char name[120];

            (void)snprintf(name, sizeof name, "plugin_%s_total{plugin=\"rig\",message=\"%s\"}",
                           counters[i], names[t]);
            has_sample(name, 2 * (100 * t + 11 + i));
        }
    }
}

/* A handler is timed while somebody can see it. */
Test(view, handlers_are_timed)
{
    struct peer *peer = peer_open(0);

    peer_send_notifies(peer, 1, 33);
    rig_turn();
    cr_assert_eq(peer_acks(peer, 1), 33);
    cr_assert_eq(ask("/metrics"), 200);
    has_sample("handler_seconds_count{plugin=\"rig\",message=\"m\"}", 3);
    has_sample("handler_seconds_bucket{plugin=\"rig\",message=\"m\",le=\"+Inf\"}", 3);
    has("le=\"1e-06\"");
    host_metrics_stop(&view, &rig.routes);
    peer_send_notifies(peer, 1, 33);
    rig_turn();
    cr_assert_eq(peer_acks(peer, 1), 33, "and not after that");
    peer_free(peer);
}

Test(view, the_state_of_the_host_can_be_seen)
{
    struct rlimit limit;

    rig.worker[0].n_conns = 3;
    rig.worker[1].n_conns = 4;
    rig.shared.n_pending = 5;
    rig.shared.n_refused = 6;
    view.reloads = 7;
    view.failed_reloads = 8;
    view.reload_unix_ns = 9 * NS_PER_S;
    cr_assert_eq(ask("/metrics"), 200);
    has_sample("connections{worker=\"0\"}", 3);
    has_sample("connections{worker=\"1\"}", 4);
    has_sample("pending", 5);
    has_sample("refused_connections_total", 6);
    has_sample("config_reloads_total{result=\"success\"}", 7);
    has_sample("config_reloads_total{result=\"failure\"}", 8);
    has_sample("config_last_reload_success_timestamp_seconds", 9);
    has_sample("start_time_seconds", 1234);
    has_sample("workers", 2);
    has_sample("max_pending", 17);
    has_sample("max_connections", 5);
    has_sample("ready", 1);
    has_sample("stalled_workers", 0);
    has_sample("log_lines_dropped_total", 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    has_sample("max_open_files", limit.rlim_cur);
    view.state = HOST_DRAINING;
    cr_assert_eq(ask("/metrics"), 200);
    has_sample("ready", 0);
    rig.worker[0].n_conns = rig.worker[1].n_conns = 0;
    rig.shared.n_pending = 0;
}

static double sample(const char *name)
{
    char line[256];
    const char *at;

    (void)snprintf(line, sizeof line, "\n%s ", name);
    at = strstr(page, line);
    cr_assert_not_null(at, "no %s in\n%s", name, page);
    return strtod(at + strlen(line), NULL);
}

/* 9.2: the descriptors of the process, not the entries of the folder that lists them. */
Test(view, the_process_can_be_seen)
{
    const double page_bytes = (double)sysconf(_SC_PAGESIZE);
    struct rlimit limit;
    double n = 0, cpu;
    int fds[10];

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    cr_assert_eq(ask("/metrics"), 200);
    cr_assert_eq(sample("process_open_fds"), n, "%f", n);
    for (size_t i = 0; i < 10; i++)
        cr_assert_geq(fds[i] = dup(STDERR_FILENO), 0);
    cpu = sample("process_cpu_seconds_total");
    cr_assert(cpu > 0 && cpu < 60);
    cr_assert_eq(ask("/metrics"), 200);
    cr_assert_eq(sample("process_open_fds"), n + 10);
    cr_assert_geq(sample("process_cpu_seconds_total"), cpu);
    for (size_t i = 0; i < 10; i++)
        (void)close(fds[i]);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(sample("process_max_fds"), (double)limit.rlim_cur);
    cr_assert_eq(sample("process_start_time_seconds"), 1234);
    cr_assert_geq(sample("process_resident_memory_bytes"), 100 * page_bytes);
    cr_assert_gt(sample("process_virtual_memory_bytes"), sample("process_resident_memory_bytes"));
}

/* 12.2: a plugin's health is on two pages; whether a third goes by it is an option. */
Test(view, what_a_plugin_says_of_itself_is_shown)
{
    static const struct spoe_span why = {"no \"data\"", 9}, line = {"0 files", 7};

    cr_assert_eq(ask("/status"), 200);
    has("{\"id\": \"rig\", \"health\": \"ready\", \"reason\": \"\", \"status\": \"\", "
        "\"since_seconds\": 1234}");
    health_facet.set(&rig.instance, SPOE_HEALTH_DEGRADED, why);
    health_facet.status(&rig.instance, line);
    cr_assert_eq(ask("/status"), 200);
    has("{\"id\": \"rig\", \"health\": \"degraded\", \"reason\": \"no \\\"data\\\"\", "
        "\"status\": \"0 files\", \"since_seconds\": ");
    cr_assert_eq(ask("/metrics"), 200);
    has("\nspoe_host_plugin_health{plugin=\"rig\",state=\"ready\"} 0\n");
    has("\nspoe_host_plugin_health{plugin=\"rig\",state=\"degraded\"} 1\n");
    has("\nspoe_host_plugin_health{plugin=\"rig\",state=\"down\"} 0\n");
}

Test(view, a_plugin_that_is_ill_counts_for_readiness_if_asked_to)
{
    static const struct spoe_span why = {"no data", 7};
    static const struct {
        enum host_health option;
        int status[HEALTH_STATES]; /* by SPOE_HEALTH_* */
    } cases[] = {{HOST_HEALTH_IGNORED, {200, 200, 200}},
                 {HOST_HEALTH_DOWN, {200, 200, 503}},
                 {HOST_HEALTH_DEGRADED, {200, 503, 503}}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig.conf.plugin_health = cases[i].option;
        for (int32_t state = 0; state < (int32_t)HEALTH_STATES; state++) {
            char wanted[64];

            health_facet.set(&rig.instance, state, why);
            cr_assert_eq(ask("/readyz"), cases[i].status[state], "%zu %d: %s", i, state, page);
            (void)snprintf(wanted, sizeof wanted, "plugin rig is %s: \"no data\"\n",
                           health_name((uint32_t)state));
            cr_assert_str_eq(page, cases[i].status[state] == 200 ? "ready\n" : wanted);
        }
    }
    rig.conf.plugin_health = HOST_HEALTH_IGNORED;
    health_facet.set(&rig.instance, SPOE_HEALTH_READY, (struct spoe_span){NULL, 0});
}

/* Workers that are being made are not looked at. */
Test(view, nothing_is_known_of_workers_that_have_not_started)
{
    view.state = HOST_STARTING;
    rig.worker[0].core.counters.messages = 5;
    rig.worker[1].core.heartbeat.asked_ns = 1;
    cr_assert_eq(ask("/metrics"), 200);
    has_sample("ready", 0);
    has_sample("messages_total", 0);
    has_sample("stalled_workers", 0);
    cr_assert_eq(ask("/status"), 200);
    has("\"state\": \"starting\"");
    has("\"workers\": [],\n  \"connections\": 0, ");
}

Test(view, ready_is_who_serves_and_turns)
{
    static const struct callee callee = {"rig", NULL};
    uint32_t first = 99;

    cr_assert_eq(ask("/healthz"), 200);
    cr_assert_str_eq(page, "ok\n");
    view.state = HOST_STARTING;
    cr_assert_eq(ask("/readyz"), 503);
    cr_assert_str_eq(page, "starting\n");
    view.state = HOST_READY;
    cr_assert_eq(ask("/readyz"), 200);
    cr_assert_str_eq(page, "ready\n");
    cr_assert_eq(view_stalled(&view, &first), 0);
    cr_assert_eq(first, 99);
    view.state = HOST_DRAINING;
    cr_assert_eq(ask("/readyz"), 503);
    cr_assert_str_eq(page, "draining\n");
    view.state = HOST_READY;
    rig_turn(); /* both answer */
    thread_begin("worker-1");
    thread_enter(&callee, "handle()");
    rig.worker[1].core.heartbeat.asked_ns = clock_mono_ns() - HEARTBEAT_LIMIT_NS;
    cr_assert_eq(ask("/readyz"), 503);
    cr_assert_str_eq(page, "worker 1 does not turn: worker-1 is in handle() of plugin rig\n");
    cr_assert_eq(view_stalled(&view, &first), 1);
    cr_assert_eq(first, 1);
    cr_assert_eq(ask("/healthz"), 200, "the process answers");
    cr_assert_eq(ask("/metrics"), 200);
    has_sample("stalled_workers", 1);
    rig.worker[0].core.heartbeat.asked_ns = clock_mono_ns() - HEARTBEAT_LIMIT_NS;
    cr_assert_eq(view_stalled(&view, &first), 2);
    cr_assert_eq(view_stalled(&view, NULL), 2);
    thread_leave();
    thread_end();
}

Test(view, plugins_are_shown_with_what_they_take)
{
    cr_assert_eq(ask("/plugins"), 200);
    cr_assert_str_eq(
        page, "[{\n"
              "  \"id\": \"rig\", \"version\": \"1\", \"abi\": \"1.0\",\n"
              "  \"path\": \"/lib/rig.so\",\n"
              "  \"help\": \"helps\",\n"
              "  \"messages\": [\n"
              "    {\"name\": \"m\", \"event\": \"on-frontend-http-request\"},\n"
              "    {\"name\": \"second\", \"event\": \"on-http-response\"}\n"
              "  ],\n"
              "  \"options\": [\n"
              "    {\"key\": \"shown\", \"value\": \"a \\\"text\\\"\", \"origin\": \"default\", "
              "\"secret\": false},\n"
              "    {\"key\": \"hidden\", \"value\": \"***\", \"origin\": \"default\", "
              "\"secret\": true},\n"
              "    {\"key\": \"unset\", \"value\": null, \"origin\": \"default\", "
              "\"secret\": false}\n"
              "  ]\n"
              "}]\n");
    rig.set.plugin[1] = &rig.instance;
    rig.set.n = 2;
    cr_assert_eq(ask("/plugins"), 200);
    has("}, {\n  \"id\": \"rig\"");
    rig.set.n = 1;
}

Test(view, workers_are_shown_with_their_peers)
{
    struct peer *a = peer_open(0), *b = peer_connect(0), *c = peer_open(1), *gone = peer_open(1);

    peer_send_hello(b, 4096, false);
    rig_turn();
    expect_frame(b, SPOP_AGENT_HELLO);
    peer_send_notifies(a, 1, 3);
    rig_turn();
    cr_assert_eq(peer_acks(a, 1), 3);
    peer_free(gone);
    rig_turn();
    rig.shared.n_pending = 2;
    cr_assert_eq(ask("/status"), 200);
    has("\"state\": \"ready\", \"start_time_seconds\": 1234, \"uptime_seconds\": ");
    has("  \"workers\": [\n"
        "  {\"connections\": 2, \"messages\": 3, \"peers\": [\n"
        "    {\"address\": \"unix\", \"versions\": \"2.0\", \"max_frame_size\": 16380, "
        "\"frame_size\": 16380, "
        "\"pipelining\": true, \"connections\": 1},\n"
        "    {\"address\": \"unix\", \"versions\": \"2.0\", \"max_frame_size\": 4096, "
        "\"frame_size\": 4096, "
        "\"pipelining\": true, \"connections\": 1}]},\n"
        "  {\"connections\": 1, \"messages\": 0, \"peers\": [\n"
        "    {\"address\": \"unix\", \"versions\": \"2.0\", \"max_frame_size\": 16380, "
        "\"frame_size\": 16380, "
        "\"pipelining\": true, \"connections\": 1}]}],\n"
        "  \"connections\": 3, \"max_connections\": 5,\n"
        "  \"pending\": 2, \"max_pending\": 17,\n");
    for (size_t i = 0; host_options[i] != NULL; i++) {
        char key[80];

        (void)snprintf(key, sizeof key, "{\"key\": \"%s\", \"value\": ", host_options[i]->key);
        has(key);
    }
    rig.shared.n_pending = 0;
    peer_free(a), peer_free(b), peer_free(c);
}
