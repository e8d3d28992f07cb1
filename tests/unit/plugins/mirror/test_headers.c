/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/plugins/mirror/test_headers.c - issue 12, 4: which headers go to the second origin. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#include "mirror/headers.h"

TestSuite(mirror_headers, .timeout = 60);

static struct mirror_rules rules;
static struct mirror_lines lines;
static char wrong[200];

static void fini(void)
{
    mirror_lines_fini(&lines);
    mirror_rules_fini(&rules);
}

static void set(const char *text, bool marker)
{
    cr_assert_eq(mirror_rules_set(&rules, spoe_str(text), marker, wrong, sizeof wrong), 0, "%s",
                 wrong);
}

/* req.hdrs_bin of "name\0value\0..." pairs, each shorter than 240. */
static struct spoe_span binary(const char *const *pairs, char *buf)
{
    char *p = buf;

    for (; pairs[0] != NULL; pairs += 2) {
        for (int i = 0; i < 2; i++) {
            *p++ = (char)strlen(pairs[i]);
            memcpy(p, pairs[i], strlen(pairs[i]));
            p += strlen(pairs[i]);
        }
    }
    *p++ = 0;
    *p++ = 0;
    return (struct spoe_span){buf, (size_t)(p - buf)};
}

/* The lines, joined by "|", up to what libcurl is told to leave out. */
static const char *joined(void)
{
    static char text[4096];
    const char *line = lines.bytes;
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < lines.n; i++) {
        const size_t len = strlen(line);

        if (line[len - 1] != ':')
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n > 0 ? "|" : "", line);
        line += len + 1;
    }
    return text;
}

static void expect(struct spoe_span in, bool is_binary, const char *want)
{
    cr_assert_eq(mirror_headers_write(&rules, in, is_binary, &lines), MIRROR_HEADERS_OK);
    cr_assert_str_eq(joined(), want);
}

Test(mirror_headers, what_is_about_one_connection_is_left_out, .fini = fini)
{
    const char *const pairs[] = {"host",
                                 "a",
                                 "connection",
                                 "close, X-Hop ,,keep-alive",
                                 "x-hop",
                                 "1",
                                 "X-HOP",
                                 "2",
                                 "keep-alive",
                                 "timeout=5",
                                 "te",
                                 "trailers",
                                 "trailer",
                                 "x",
                                 "upgrade",
                                 "websocket",
                                 "proxy-authorization",
                                 "b",
                                 "proxy-connection",
                                 "c",
                                 "http2-settings",
                                 "d",
                                 "expect",
                                 "100-continue",
                                 "content-length",
                                 "3",
                                 "transfer-encoding",
                                 "chunked",
                                 "x-hop-too",
                                 "stays",
                                 "empty",
                                 "",
                                 NULL};
    char buf[1024];

    expect(binary(pairs, buf), true, "host: a|x-hop-too: stays|empty;");
}

/* 12.4: a client cannot have its request repeated at another site. */
Test(mirror_headers, host_is_not_about_one_connection, .fini = fini)
{
    const char *const pairs[] = {"host", "a", "connection", "x-hop, Host", "x-hop", "1", NULL};
    char buf[256];

    expect(binary(pairs, buf), true, "host: a");
}

Test(mirror_headers, libcurls_own_are_left_out_where_the_request_has_none, .fini = fini)
{
    const char *const none[] = {"host", "a", NULL};
    const char *const all[] = {"accept", "x", "user-agent", "y", "content-type", "", NULL};
    char buf[256], want[256] = "";

    cr_assert_eq(mirror_headers_write(&rules, binary(none, buf), true, &lines), 0);
    for (size_t i = 0, at = 0; i < lines.n; i++) {
        (void)strncat(want, lines.bytes + at, sizeof want - strlen(want) - 1);
        at += strlen(lines.bytes + at) + 1;
    }
    cr_assert_str_eq(want, "host: aaccept:user-agent:content-type:expect:");
    expect(binary(all, buf), true, "accept: x|user-agent: y|content-type;");
    cr_assert_eq(lines.n, 4); /* and "expect:" */
}

Test(mirror_headers, rules_set_remove_and_mark, .fini = fini)
{
    const char *const pairs[] = {"host",          "a", "cookie",  "s", "x-one", "1", "x-one", "2",
                                 "x-internal-id", "3", "x-inter", "4", NULL};
    const char *const marked[] = {"host", "a", "x-mirror", "0", NULL};
    char buf[256];

    set("X-Mirror: 1", true);
    set("X-One: new, X-List: a\\, b\\,c,  X-Empty: ", false);
    set("Host: other", false);
    cr_assert_eq(mirror_rules_remove(&rules, spoe_str("Cookie, X-Internal-*"), wrong, sizeof wrong),
                 0);
    expect(binary(pairs, buf), true,
           "x-inter: 4|X-Mirror: 1|X-One: new|X-List: a, b,c|X-Empty;|Host: other");
    cr_assert_eq(mirror_headers_write(&rules, binary(marked, buf), true, &lines),
                 MIRROR_HEADERS_MARKED);
}

Test(mirror_headers, text_of_req_hdrs_will_do, .fini = fini)
{
    expect(spoe_str("host: a\r\nx:1\r\nconnection: y\r\ny: 2\r\nempty:\r\n\r\n"), false,
           "host: a|x: 1|empty;");
    expect(spoe_str("host: a"), false, "host: a");
    expect(spoe_str(""), false, "");
    expect((struct spoe_span){NULL, 0}, false, "");
}

static void expect_broken(const void *bytes, size_t n, bool is_binary)
{
    cr_assert_eq(mirror_headers_write(&rules, (struct spoe_span){bytes, n}, is_binary, &lines),
                 MIRROR_HEADERS_BROKEN);
}

Test(mirror_headers, what_cannot_be_sent_is_refused, .fini = fini)
{
    static const char *const bad[] = {
        "\x01"
        "a\x02"
        "b", /* cut in a value */
        "\x05"
        "a", /* in a name */
        "\x01"
        "a", /* before a value */
        "\x01"
        "a\x03"
        "b\rc", /* another line */
        "\x03"
        "a b\x01"
        "c",                                            /* no name */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", /* no length */
    };
    static const char many[] =
        "connection: 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,"
        "27,28,29,30,31,32,33\r\n";
    static const char *const bad_text[] = {"name\r\n", "na me: x\r\n", ": x\r\n", "a: x\ry\r\n",
                                           many};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_broken(bad[i], strlen(bad[i]), true);
    expect_broken("\x01"
                  "a\x01\0\0\0",
                  5, true); /* a NUL in a value */
    expect_broken("\0\x01"
                  "b",
                  3, true);
    for (size_t i = 0; i < sizeof bad_text / sizeof bad_text[0]; i++)
        expect_broken(bad_text[i], strlen(bad_text[i]), false);
}

Test(mirror_headers, rules_that_say_nothing_are_refused, .fini = fini)
{
    static const char *const bad[] = {
        "X-One", ": 1", "X One: 1", "X: a\rb", "Connection: close", "content-length: 5"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_neq(mirror_rules_set(&rules, spoe_str(bad[i]), false, wrong, sizeof wrong), 0,
                      "%s", bad[i]);
    cr_assert_neq(mirror_rules_remove(&rules, spoe_str("a b"), wrong, sizeof wrong), 0);
    set("", true);
    set(" , ,", true);
    cr_assert_null(rules.marker);
    cr_assert_eq(rules.n_set, 0);
    for (unsigned i = 0; i < MIRROR_RULES_MAX; i++)
        set("X: 1", false);
    cr_assert_neq(mirror_rules_set(&rules, spoe_str("X: 1"), false, wrong, sizeof wrong), 0);
}

Test(mirror_headers, a_method_is_a_token)
{
    cr_assert(mirror_is_token(spoe_str("GET")) && mirror_is_token(spoe_str("M-SEARCH")));
    cr_assert(!mirror_is_token(spoe_str("")) && !mirror_is_token(spoe_str("G T")));
    cr_assert(!mirror_is_token((struct spoe_span){"G\0T", 3}));
    cr_assert(!mirror_is_token(spoe_str("G\xc3\xa4")));
}
