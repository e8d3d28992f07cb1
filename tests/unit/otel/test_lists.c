/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_lists.c - lists of pairs, headers, endpoints and ratios as they are written.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/endpoint.h"
#include "send/headers.h"
#include "conf/number.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

TestSuite(lists, .timeout = 20);

static const char *value_of(const struct pair_list *list, const char *key)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->item[i].key, key) == 0)
            return list->item[i].value;
    }
    return "(none)";
}

Test(lists, pairs_are_decoded)
{
    struct pair_list list = {NULL, 0};
    const char *error = NULL;

    cr_assert_eq(pair_list_read(" a = 1 ,b%2c=%C3%A9%20,c==,d=", &list, &error), 0);
    cr_assert_eq(list.n, 4);
    cr_expect_str_eq(value_of(&list, "a"), "1");
    cr_expect_str_eq(value_of(&list, "b,"), "\xc3\xa9 ");
    cr_expect_str_eq(value_of(&list, "c"), "=");
    cr_expect_str_eq(value_of(&list, "d"), "");
    pair_list_fini(&list);
}

Test(lists, nothing_is_no_pairs)
{
    static const char *const nothing[] = {NULL, "", " ", "\t ", ",", " ,\n, "};

    for (size_t i = 0; i < N(nothing); i++) {
        struct pair_list list = {NULL, 7};
        const char *error = NULL;

        cr_assert_eq(pair_list_read(nothing[i], &list, &error), 0);
        cr_expect_eq(list.n, 0);
        pair_list_fini(&list);
    }
}

Test(lists, one_bad_pair_spoils_all)
{
    static const char *const bad[] = {"a",    "a=1,b",     "=1",  "a=%",   "a=%2",     "a=%zz",
                                      "a=%0", "a=1,b=%00", "%=1", "a=%-1", "a=1;b=%g0"};

    for (size_t i = 0; i < N(bad); i++) {
        struct pair_list list = {NULL, 0};
        const char *error = NULL;

        cr_expect_eq(pair_list_read(bad[i], &list, &error), PAIRS_E_INVAL, "%s", bad[i]);
        cr_expect_not_null(error);
        cr_expect_null(list.item);
    }
}

/* 3.9 W8 */
Test(lists, empty_items_and_the_line_end_of_a_file_do_not_count)
{
    static const char *const texts[] = {"a=1,b=2,",    ",a=1,b=2",        "a=1,,b=2",
                                        "a=1, ,b=2\n", "a=1\r\n,b=2\r\n", "\na=1,\nb=2,\n"};

    for (size_t i = 0; i < N(texts); i++) {
        struct pair_list list = {NULL, 0};
        const char *error = NULL;

        cr_assert_eq(pair_list_read(texts[i], &list, &error), 0, "%zu", i);
        cr_expect_eq(list.n, 2, "%zu", i);
        cr_expect_str_eq(value_of(&list, "a"), "1");
        cr_expect_str_eq(value_of(&list, "b"), "2");
        pair_list_fini(&list);
    }
}

Test(lists, keys_values_and_counts_have_limits)
{
    static const struct {
        size_t key, value;
        int wanted;
    } cases[] = {{PAIRS_KEY_MAX, 1, 0},
                 {PAIRS_KEY_MAX + 1, 1, PAIRS_E_INVAL},
                 {1, PAIRS_VALUE_MAX, 0},
                 {1, PAIRS_VALUE_MAX + 1, PAIRS_E_INVAL}};
    static char text[8192];
    const char *error = NULL;
    struct pair_list list = {NULL, 0};
    size_t n = 0;

    for (size_t i = 0; i < N(cases); i++) {
        memset(text, 'k', cases[i].key);
        text[cases[i].key] = '=';
        memset(text + cases[i].key + 1, 'v', cases[i].value);
        text[cases[i].key + 1 + cases[i].value] = '\0';
        cr_expect_eq(pair_list_read(text, &list, &error), cases[i].wanted, "case %zu", i);
        pair_list_fini(&list);
    }
    for (unsigned i = 0; i < PAIRS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%sk%u=v", i > 0 ? "," : "", i);
    cr_expect_eq(pair_list_read(text, &list, &error), 0);
    cr_expect_eq(list.n, PAIRS_MAX);
    pair_list_fini(&list);
    (void)snprintf(text + n, sizeof text - n, ",more=1");
    cr_expect_eq(pair_list_read(text, &list, &error), PAIRS_E_INVAL);
}

static char path[64];

static void write_file(const void *content, size_t n)
{
    int fd;

    (void)snprintf(path, sizeof path, "/tmp/spoe-test-headers-XXXXXX");
    fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, n), (ssize_t)n);
    (void)close(fd);
}

Test(lists, a_file_adds_headers_as_they_are)
{
    static const char content[] =
        "# a comment\n\nAuthorization: Bearer a=b%20\r\n  x-b :  2\nEmpty:";
    struct pair_list list = {NULL, 0};
    char error[256];
    bool of_file;

    write_file(content, sizeof content - 1);
    cr_assert_eq(headers_read("X-A=1,X-B=%31", path, &list, error, sizeof error, &of_file), 0, "%s",
                 error);
    (void)unlink(path);
    cr_expect_eq(list.n, 4);
    cr_expect_str_eq(value_of(&list, "x-a"), "1");
    cr_expect_str_eq(value_of(&list, "x-b"), "2");
    cr_expect_str_eq(value_of(&list, "authorization"), "Bearer a=b%20");
    cr_expect_str_eq(value_of(&list, "empty"), "");
    pair_list_fini(&list);
}

/* 9.2: names that only look like those that gRPC or the export has for itself. */
Test(lists, names_beside_the_reserved_ones_are_taken)
{
    static const char *const names[] = {"-bin", "x-bin-",        "bin",      "x-bi",
                                        "grpc", "grpc_x",        "x-grpc-y", "tex",
                                        "x-te", "content-types", "_",        "."};

    for (size_t i = 0; i < N(names); i++) {
        struct pair_list list = {NULL, 0};
        char text[64], error[256] = "";
        bool of_file;

        (void)snprintf(text, sizeof text, "%s=1", names[i]);
        cr_assert_eq(headers_read(text, NULL, &list, error, sizeof error, &of_file), 0, "%s: %s",
                     names[i], error);
        cr_expect_str_eq(value_of(&list, names[i]), "1");
        pair_list_fini(&list);
    }
}

Test(lists, a_bad_line_is_named_and_not_shown)
{
    static const struct {
        const char *content;
        size_t n;
        unsigned line;
    } cases[] = {
        {"a: 1\nhunter2\n", 13, 2},   {"hunter 2: x\n", 12, 1},   {"\n\na: hunter2\x01\n", 13, 3},
        {"te: hunter2\n", 12, 1},     {"a: b\0hunter2\n", 13, 1}, {": hunter2\n", 10, 1},
        {"grpc-x: hunter2\n", 16, 1}, {"x-bin: hunter2", 14, 1},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct pair_list list = {NULL, 0};
        char error[256], at[80];
        bool of_file = false;

        write_file(cases[i].content, cases[i].n);
        cr_expect_eq(headers_read(NULL, path, &list, error, sizeof error, &of_file), PAIRS_E_INVAL,
                     "case %zu", i);
        (void)unlink(path);
        (void)snprintf(at, sizeof at, "%s:%u: ", path, cases[i].line);
        cr_expect_not_null(strstr(error, at), "case %zu: %s", i, error);
        cr_expect_null(strstr(error, "hunter"), "%s", error);
        cr_expect(of_file);
    }
}

/* 2.1, H4: nobody writes to it, so that reading it would have no end. */
Test(lists, a_pipe_is_no_file_of_headers)
{
    struct pair_list list = {NULL, 0};
    char error[256];
    bool of_file = false;

    write_file("", 0); /* for its name */
    (void)unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(headers_read(NULL, path, &list, error, sizeof error, &of_file), PAIRS_E_INVAL);
    cr_expect_not_null(strstr(error, "not a regular file"), "%s", error);
    (void)unlink(path);
    cr_expect_eq(headers_read(NULL, "/dev/zero", &list, error, sizeof error, &of_file),
                 PAIRS_E_INVAL);
    cr_expect_not_null(strstr(error, "/dev/zero: not a regular file"), "%s", error);
}

Test(lists, a_file_that_is_none_or_too_large_is_refused)
{
    static char large[HEADERS_FILE_MAX + 2];
    struct pair_list list = {NULL, 0};
    char error[256];
    bool of_file = false;

    cr_expect_eq(headers_read(NULL, "/nonexistent/h", &list, error, sizeof error, &of_file),
                 PAIRS_E_INVAL);
    cr_expect_eq(headers_read(NULL, "/", &list, error, sizeof error, &of_file), PAIRS_E_INVAL);
    memset(large, '#', sizeof large);
    write_file(large, sizeof large);
    cr_expect_eq(headers_read(NULL, path, &list, error, sizeof error, &of_file), PAIRS_E_INVAL);
    (void)unlink(path);
}

/* Nothing of it is read: what is one line without an end would all be in memory. */
Test(lists, a_file_that_is_huge_is_not_read)
{
    struct pair_list list = {NULL, 0};
    char error[256];
    bool of_file = false;

    write_file("", 0);
    cr_assert_eq(truncate(path, (off_t)1 << 40), 0);
    cr_expect_eq(headers_read(NULL, path, &list, error, sizeof error, &of_file), PAIRS_E_INVAL);
    (void)unlink(path);
    cr_expect_not_null(strstr(error, "larger than 64 KiB"), "%s", error);
}

Test(lists, names_that_differ_in_case_only_are_one)
{
    struct pair_list list = {NULL, 0};
    char error[256];
    bool of_file = true;

    cr_expect_eq(headers_read("A=1,a=2", NULL, &list, error, sizeof error, &of_file),
                 PAIRS_E_INVAL);
    cr_expect_not(of_file);
}

Test(lists, ratios)
{
    static const struct {
        const char *text;
        double wanted; /* negative: none */
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"0.1", 0.1},
        {"1.0", 1},
        {".5", 0.5},
        {"1.", 1},
        {"1e-3", 1e-3},
        {"0e9", 0},
        {"10e-1", 1},
        {"2.5E-1", 0.25},
        {"0.00000000001", 1e-11},
        {"1e-400", 0},
        {"1e+0", 1},
        {"0.333333333333333333", 0.333333333333333},
        {"", -1},
        {".", -1},
        {"1.1", -1},
        {"-0", -1},
        {"+1", -1},
        {"1e", -1},
        {"e1", -1},
        {"0x1", -1},
        {"nan", -1},
        {"inf", -1},
        {"1 ", -1},
        {" 1", -1},
        {"0,5", -1},
        {"0.1.2", -1},
        {"1e99", -1},
        {"1e99999999999", -1},
        {"9999999999999999999999999", -1},
    };

    for (size_t i = 0; i < N(cases); i++) {
        double got = -1;
        const bool good = number_read_ratio(cases[i].text, &got);

        cr_expect_eq(good, cases[i].wanted >= 0, "%s", cases[i].text);
        cr_expect_eq(got, cases[i].wanted, "%s: got %.20g", cases[i].text, got);
    }
}

Test(lists, urls_of_a_collector)
{
    static const char *const bad[] = {
        "http://",      "http:///x",    "http://:1",   "http://a:b",     "http://a:65536",
        "http://a b",   "http://a\x01", "http://a/?x", "http://a/#x",    "http://[::1",
        "http://u:p@a", "ftp://a:1",    "a",           "http://caf\xe9", "http://a?x",
    };
    struct endpoint endpoint;
    char text[ENDPOINT_MAX + 2];

    for (size_t i = 0; i < N(bad); i++) {
        cr_expect_not_null(endpoint_read(SIGNAL_TRACES, bad[i], OTLP_GRPC, ENDPOINT_ALL, &endpoint),
                           "%s", bad[i]);
        cr_expect_not_null(
            endpoint_read(SIGNAL_TRACES, bad[i], OTLP_HTTP, ENDPOINT_SIGNAL, &endpoint), "%s",
            bad[i]);
        cr_expect_not_null(
            endpoint_read(SIGNAL_TRACES, bad[i], OTLP_HTTP, ENDPOINT_OURS, &endpoint), "%s",
            bad[i]);
    }
    cr_expect_null(endpoint_read(SIGNAL_TRACES, "a:1", OTLP_GRPC, ENDPOINT_ALL, &endpoint));
    cr_expect_eq(endpoint.scheme, ENDPOINT_NO_SCHEME);
    cr_expect_not_null(endpoint_read(SIGNAL_TRACES, "a:1", OTLP_HTTP, ENDPOINT_ALL, &endpoint));
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "http://", 7);
    cr_expect_not_null(endpoint_read(SIGNAL_TRACES, text, OTLP_HTTP, ENDPOINT_ALL, &endpoint));
    text[ENDPOINT_MAX] = '\0';
    cr_expect_null(endpoint_read(SIGNAL_TRACES, text, OTLP_HTTP, ENDPOINT_ALL, &endpoint));
    cr_expect_eq(strlen(endpoint.authority), ENDPOINT_MAX - 7 + 3);
    text[8] = '/';
    cr_expect_null(endpoint_read(SIGNAL_TRACES, text, OTLP_HTTP, ENDPOINT_ALL, &endpoint));
    cr_expect_eq(strlen(endpoint.path), ENDPOINT_MAX - 8 + strlen("/v1/traces"));
}

/* 3.9, W7 */
Test(lists, targets_of_grpc)
{
    static const char *const good[] = {
        "dns:///127.0.0.1:4317", "dns:collector:4317",      "dns://8.8.8.8/collector:4317",
        "unix:/run/otel.sock",   "unix:///run/otel.sock",   "unix:otel.sock",
        "unix-abstract:otel",    "ipv4:127.0.0.1:4317",     "ipv4:127.0.0.1:1,127.0.0.2:2",
        "ipv6:[::1]:4317",       "ipv6:[::1]:4317,[::2]:1", "DNS:///collector:4317",
    };
    static const char *const bad[] = {
        "dns:///",
        "dns:///collector",
        "dns://collector:4317",
        "unix:",
        "unix://otel.sock",
        "ipv4:",
        "ipv4:127.0.0.1",
        "ipv4:127.0.0.1:1,",
        "ipv6:[::1]",
        "xds:///collector:4317",
    };
    struct endpoint endpoint;
    char text[ENDPOINT_MAX + 2] = "unix:";

    for (size_t rule = ENDPOINT_OURS; rule <= ENDPOINT_ALL; rule++) {
        for (size_t i = 0; i < N(good); i++) {
            cr_expect_null(endpoint_read(SIGNAL_TRACES, good[i], OTLP_GRPC,
                                         (enum endpoint_rule)rule, &endpoint),
                           "%s", good[i]);
            cr_expect_str_eq(endpoint.authority, good[i]);
            cr_expect_eq(endpoint.scheme, ENDPOINT_NO_SCHEME);
            cr_expect_not_null(endpoint_read(SIGNAL_TRACES, good[i], OTLP_HTTP,
                                             (enum endpoint_rule)rule, &endpoint),
                               "%s", good[i]);
        }
        for (size_t i = 0; i < N(bad); i++)
            cr_expect_not_null(endpoint_read(SIGNAL_TRACES, bad[i], OTLP_GRPC,
                                             (enum endpoint_rule)rule, &endpoint),
                               "%s", bad[i]);
    }
    cr_expect_null(endpoint_read(SIGNAL_TRACES, "unix:4317", OTLP_HTTP, ENDPOINT_OURS, &endpoint),
                   "a host");
    memset(text + 5, 'a', 108);
    cr_expect_not_null(endpoint_read(SIGNAL_TRACES, text, OTLP_GRPC, ENDPOINT_OURS, &endpoint));
    text[5 + 107] = '\0';
    cr_expect_null(endpoint_read(SIGNAL_TRACES, text, OTLP_GRPC, ENDPOINT_OURS, &endpoint));
    memcpy(text, "dns:x", 5);
    memset(text + 5, 'a', sizeof text - 6);
    memcpy(text + sizeof text - 3, ":1", 3);
    cr_expect_not_null(endpoint_read(SIGNAL_TRACES, text, OTLP_GRPC, ENDPOINT_OURS, &endpoint),
                       "too long");
}

/* 5.3: wherever an endpoint can be set; what a path means depends on where that is. */
Test(lists, the_path_of_a_url)
{
    static const struct {
        const char *text, *ours, *traces, *all;
    } cases[] = {
        {"http://c:1", "/v1/traces", "/", "/v1/traces"},
        {"http://c:1/", "/v1/traces", "/", "/v1/traces"},
        {"https://c:1/x", "/x", "/x", "/x/v1/traces"},
        {"http://c:1/x/", "/x/", "/x/", "/x/v1/traces"},
        {"http://c:1/v1/traces", "/v1/traces", "/v1/traces", "/v1/traces/v1/traces"},
    };

    for (size_t i = 0; i < N(cases); i++) {
        const char *const wanted[] = {[ENDPOINT_OURS] = cases[i].ours,
                                      [ENDPOINT_SIGNAL] = cases[i].traces,
                                      [ENDPOINT_ALL] = cases[i].all};

        for (size_t rule = 0; rule < N(wanted); rule++) {
            struct endpoint endpoint;

            cr_assert_null(endpoint_read(SIGNAL_TRACES, cases[i].text, OTLP_HTTP,
                                         (enum endpoint_rule)rule, &endpoint));
            cr_expect_str_eq(endpoint.authority, "c:1");
            cr_expect_str_eq(endpoint.path, wanted[rule]);
        }
    }
}

/* 3.2: of logs and metrics; ours is that of traces, and leads elsewhere only where it can be told.
 */
Test(lists, urls_of_http_for_other_signals)
{
    static const struct {
        const char *text, *own, *signal, *all, *shared;
    } cases[] = {
        {"http://c:1", "/v1/logs", "/", "/v1/logs", "/v1/logs"},
        {"http://c:1/", "/v1/logs", "/", "/v1/logs", "/v1/logs"},
        {"https://c:1/x", "/x", "/x", "/x/v1/logs", NULL},
        {"https://c:1/x/v1/traces", "/x/v1/traces", "/x/v1/traces", "/x/v1/traces/v1/logs",
         "/x/v1/logs"},
        {"http://c:1/v1/traces", "/v1/traces", "/v1/traces", "/v1/traces/v1/logs", "/v1/logs"},
    };

    for (size_t i = 0; i < N(cases); i++) {
        const char *const wanted[] = {[ENDPOINT_OURS] = cases[i].own,
                                      [ENDPOINT_SIGNAL] = cases[i].signal,
                                      [ENDPOINT_ALL] = cases[i].all,
                                      [ENDPOINT_SHARED] = cases[i].shared};

        for (size_t rule = 0; rule < N(wanted); rule++) {
            struct endpoint endpoint;
            const char *error = endpoint_read(SIGNAL_LOGS, cases[i].text, OTLP_HTTP,
                                              (enum endpoint_rule)rule, &endpoint);

            cr_assert_eq(error == NULL, wanted[rule] != NULL);
            if (error == NULL)
                cr_expect_str_eq(endpoint.path, wanted[rule]);
            cr_assert_null(endpoint_read(SIGNAL_LOGS, cases[i].text, OTLP_GRPC,
                                         (enum endpoint_rule)rule, &endpoint));
        }
    }
}

/* 5.2 */
Test(lists, the_host_of_an_endpoint_is_looked_up)
{
    cr_expect_null(endpoint_lookup_error("127.0.0.1:1"));
    cr_expect_null(endpoint_lookup_error("[::1]:1"));
    cr_expect_not_null(endpoint_lookup_error("no-such-name.invalid:1"));
    cr_expect_not_null(endpoint_lookup_error("nonsense"));
}
