/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/line.c, pairs.c (1.4): lines as HAProxy writes them, cut at every length, and broken.
 */
#include "lines/line.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])

/* A line in memory that ends with it. */
static char *copy_of(const char *text, size_t n)
{
    char *copy = malloc(n + (n == 0));

    cr_assert_not_null(copy);
    memcpy(copy, text, n);
    return copy;
}

/* "name: a=b|c=d|", with * at the end where it was cut; or "FAULT@12". */
static void check_n(const char *text, size_t n, const char *expected)
{
    static const char *const faults[] = {"ok",    "OTHER",    "SYSLOG",   "NAME",
                                         "VALUE", "TOO_MANY", "TOO_LONG", "MEMORY"};
    static struct line line;
    char *p = copy_of(text, n), found[4096];
    const enum line_fault fault = line_parse(&line, p, n);
    size_t len;

    if (fault != LINE_OK) {
        (void)snprintf(found, sizeof found, "%s@%zu", faults[fault], line.fault_at);
    } else {
        len = (size_t)snprintf(found, sizeof found, "%.*s: ", (int)line.name.n, line.name.p);
        for (uint32_t i = 0; i < line.pairs.n; i++) {
            const struct text_arg *pair = &line.pairs.pair[i];

            len +=
                (size_t)snprintf(found + len, sizeof found - len, "%.*s=%.*s|", (int)pair->name.n,
                                 pair->name.p, (int)pair->value.n, pair->value.p);
        }
        (void)snprintf(found + len, sizeof found - len, "%s", line.pairs.cut ? "*" : "");
    }
    cr_assert_str_eq(found, expected, "%.*s: %s", (int)n, text, found);
    free(p);
}

static void check(const char *text, const char *expected)
{
    check_n(text, strlen(text), expected);
}

Test(line, raw, .timeout = 10)
{
    check("v=1", "on-http-log: ");
    check("v=1 ", "on-http-log: ");
    check("v=1 a=b c= d=e f=", "on-http-log: a=b|d=e|");
    check("v=1 msg=on-other a=b", "on-other: a=b|");
    check("v=1 a=b msg=late", "on-http-log: a=b|msg=late|");
    check("<134>v=1 a=b", "on-http-log: a=b|");
    check("v=1 a=- b=\"-\" c=\"\" d=-1 e=--", "on-http-log: b=-|c=|d=-1|e=--|");
    check("v=1 a==b c=d=e f=\"g h\" i=j\"k", "on-http-log: a==b|c=d=e|f=g h|i=j\"k|");
    check("v=1  a=1   b=2", "on-http-log: a=1|b=2|");
    check("v=1 A_b.c-9=x", "on-http-log: A_b.c-9=x|");
}

/* HAProxy's two ways to escape, and what looks like them. 1.4 */
Test(line, escapes, .timeout = 10)
{
    check("v=1 h=\"a\\\"b\\\\c\\]d\"", "on-http-log: h=a\"b\\c]d|");
    check("v=1 h=\"x\\\" tp=evil\" b=1", "on-http-log: h=x\" tp=evil|b=1|");
    check("v=1 h=\"\\\\\" b=1", "on-http-log: h=\\|b=1|");
    check("v=1 u=\"/a#22b#23#7Bc#7D#7C#0A#C3#A9\"", "on-http-log: u=/a\"b#{c}|\n\xc3\xa9|");
    /* HAProxy would not write these so: they are what the client sent. */
    check("v=1 u=\"/#41#zz#2#\" b=#22", "on-http-log: u=/#41#zz#2#|b=#22|");
    check("v=1 h=\"a\\nb\"", "on-http-log: h=a\\nb|");
}

/* As HAProxy 2.6 to 3.2 sent it, beside the user's own line. 1.4 */
Test(line, rfc5424, .timeout = 10)
{
    static const char head[] = "<133>1 2026-11-27T17:08:25.882146+00:00 hhh haproxy 15886 - ";
    static const char pairs[] = "v=1 lc=0 h=\"a\\\"b\\]\\\\c\" u=\"/a#22b?1\"";
    static const char text[] = " 127.0.0.1:40094 [27/Nov/2026:17:08:25.881] f 200";
    static const char head_pairs[] = "on-http-log: "
                                     "syslog.timestamp=2026-11-27T17:08:25.882146+00:00|"
                                     "syslog.hostname=hhh|syslog.procid=15886|";
    char line[512], expected[512];

    (void)snprintf(line, sizeof line, "%s%s%s", head, pairs, text);
    (void)snprintf(expected, sizeof expected, "%slc=0|h=a\"b]\\c|u=/a\"b?1|syslog.message=%s|",
                   head_pairs, text + 1);
    check(line, expected);
    (void)snprintf(line, sizeof line, "%s[spans %s]%s", head, pairs, text);
    check(line, expected);
    (void)snprintf(line, sizeof line, "%s[other@1 a=\"b]\" c=d][spans %s][more x=\"y\"]%s", head,
                   pairs, text);
    check(line, expected);
    /* 1.4: others may have no pairs, names that are none here, and more than a line may have */
    (void)snprintf(line, sizeof line, "%s[o][o@1 x:y=\"[v=1\" z=\"\\\"]\"][spans  %s][o]%s", head,
                   pairs, text);
    check(line, expected);
    (void)snprintf(line, sizeof line, "%s[other@1 a=\"b\\]\" c=d][spans %s][more x=\"y\"]%s", head,
                   pairs, text);
    check(line, expected);
    (void)snprintf(line, sizeof line, "%s[spans v=1 msg=m a=x]", head);
    (void)snprintf(expected, sizeof expected, "m: %sa=x|", head_pairs + strlen("on-http-log: "));
    check(line, expected);
    check("1 - - - - - v=1 a=b", "on-http-log: a=b|");
    check("1 - - - - - v=1 a=b \xef\xbb\xbfuser's line",
          "on-http-log: a=b|syslog.message=user's line|");
}

Test(line, broken, .timeout = 10)
{
    check("", "OTHER@0");
    check("Server be/s is DOWN", "OTHER@0");
    check("v=2 a=b", "OTHER@0");
    check("v=\"1", "on-http-log: *");
    check("<134>x", "OTHER@5");
    check("<1345>v=1", "OTHER@0");
    check("<>v=1", "OTHER@0");
    check("a=b v=1", "OTHER@0");
    check("v=1 a=b c d=e", "NAME@8");
    check("v=1 =b", "NAME@4");
    check("v=1 a\xc3\xa9=b", "NAME@4");
    check("v=1 a=\"b\"c d=e", "VALUE@9");
    check("v=1 a=\"b\"]", "VALUE@9");
    check("v=1 syslog.message=forged", "NAME@4");
    check("v=1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=1",
          "NAME@4");
    check("1 a b c", "SYSLOG@6");
    check("1  b c d e f", "SYSLOG@2");
    check("1 - - - - - - text", "OTHER@12");
    check("1 - - - - - [x y=\"z\"] text", "OTHER@12");
    check("1 - - - - - [x v=1 y=\"z\" w] text", "NAME@25");
    check("1 - - - - - [] text", "OTHER@12");
}

Test(line, names_have_a_limit, .timeout = 10)
{
    char line[128], expected[160];
    char name[PAIR_NAME_MAX + 1] = {0};

    memset(name, 'n', PAIR_NAME_MAX);
    (void)snprintf(line, sizeof line, "v=1 %s=1", name);
    (void)snprintf(expected, sizeof expected, "on-http-log: %s=1|", name);
    check(line, expected);
}

Test(line, pairs_have_a_limit, .timeout = 10)
{
    static struct line line;
    char text[2048] = "v=1";
    size_t n = 3;

    for (uint32_t i = 1; i < PAIRS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " k%u=%u", i, i);
    cr_assert_eq(line_parse(&line, text, n), LINE_OK);
    cr_assert_eq(line.pairs.n, PAIRS_MAX - 1);
    n += (size_t)snprintf(text + n, sizeof text - n, " z=1");
    cr_assert_eq(line_parse(&line, text, n), LINE_TOO_MANY);
}

/* The line of the facts: each of its values, and what there is of it at every length. 1.4 */
static const char whole[] =
    "v=1 tp=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 t0=1764263305881123 "
    "t2=1764263305890001 te=1764263305890120 st=200 ts=---- rc=+1 th=0 ti=0 tR=1 tw=0 tc=-1 tr=5 "
    "ta=6 tt=7 bi=123 bo=456 sq=0 bq=0 m=GET hv=HTTP/1.1 tls=- ci=127.0.0.1 cp=40094 fi=127.0.0.1 "
    "fp=80 si=10.0.0.1 sp=8080 fe=web be=app srv=<NOSRV> in=\"\" a=\"k=v;w=\\\"x\\\"\" "
    "h=\"a\\]b\" u=\"/p#22q?r=s\"";
static const char whole_found[] =
    "on-http-log: tp=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01|t0=1764263305881123|"
    "t2=1764263305890001|te=1764263305890120|st=200|ts=----|rc=+1|th=0|ti=0|tR=1|tw=0|tc=-1|tr=5|"
    "ta=6|tt=7|bi=123|bo=456|sq=0|bq=0|m=GET|hv=HTTP/1.1|ci=127.0.0.1|cp=40094|fi=127.0.0.1|fp=80|"
    "si=10.0.0.1|sp=8080|fe=web|be=app|srv=<NOSRV>|in=|a=k=v;w=\"x\"|h=a]b|u=/p\"q?r=s|";

Test(line, every_value_of_the_format, .timeout = 10)
{
    check(whole, whole_found);
}

static void cut_everywhere(const char *text, size_t n, size_t from)
{
    static struct line line, cut;
    char *p = copy_of(text, n);

    cr_assert_eq(line_parse(&line, p, n), LINE_OK);
    for (size_t len = from; len < n; len++) {
        char *q = copy_of(text, len);
        uint32_t same = 0;

        cr_assert_eq(line_parse(&cut, q, len), LINE_OK, "cut at %zu", len);
        cr_assert_leq(cut.pairs.n, line.pairs.n);
        for (uint32_t i = 0; i < cut.pairs.n; i++) {
            const struct text_arg *a = &cut.pairs.pair[i], *b = &line.pairs.pair[i];

            cr_assert_eq(a->name.n, b->name.n);
            cr_assert_eq(memcmp(a->name.p, b->name.p, a->name.n), 0);
            cr_assert_leq(a->value.n, b->value.n, "cut at %zu", len);
            cr_assert(a->value.n == 0 || memcmp(a->value.p, b->value.p, a->value.n) == 0,
                      "cut at %zu: %.*s", len, (int)a->value.n, a->value.p);
            same += a->value.n == b->value.n;
        }
        cr_assert_geq(same + 1, cut.pairs.n, "only the last may differ, cut at %zu", len);
        free(q);
    }
    free(p);
}

Test(line, cut_at_every_length, .timeout = 60)
{
    char sd[sizeof whole + 128];

    /* What is there of a - that was a number's sign is no value: from "v=1" on. */
    cut_everywhere(whole, sizeof whole - 1, 3);
    (void)snprintf(sd, sizeof sd, "1 t h a 5 - [s %s]", whole);
    cut_everywhere(sd, strlen(sd), 18);
}

Test(line, a_cut_is_told, .timeout = 10)
{
    check("v=1 a=b c", "on-http-log: a=b|*");
    check("v=1 a=\"b", "on-http-log: a=b|*");
    check("v=1 a=\"b\\", "on-http-log: a=b|*");
    check("v=1 a=\"b#2", "on-http-log: a=b|*");
    check("v=1 a=\"", "on-http-log: a=|*");
    check("1 - - - - - [s v=1 a=b", "on-http-log: a=b|*");
}

/* What is remembered of the line before changes nothing: each of these after each other one. */
Test(line, lines_do_not_see_those_before, .timeout = 30)
{
    static const char *const texts[][2] = {
        {"v=1 a=1 bb=2 ccc=3 u=x", "on-http-log: a=1|bb=2|ccc=3|u=x|"},
        {"v=1 a=- bb=2 ccc=3 u=x", "on-http-log: bb=2|ccc=3|u=x|"},
        {"v=1 bb=2 a=1 ccc=3 u=x", "on-http-log: bb=2|a=1|ccc=3|u=x|"},
        {"v=1 a1=1 bbb=2 cc=3 u=x", "on-http-log: a1=1|bbb=2|cc=3|u=x|"},
        {"v=1 a", "on-http-log: *"},
        {"v=1 a=1 bb=2 ccc", "on-http-log: a=1|bb=2|*"},
        {"v=1 a=1 bb=2 ccc=", "on-http-log: a=1|bb=2|"},
        {"v=1 a=1 bb 2=2 ccc=3", "NAME@8"},
        {"v=1 sevenof=1 eightofm=2 nineofmin=3 x=y",
         "on-http-log: sevenof=1|eightofm=2|nineofmin=3|x=y|"},
        {"v=1 sevenon=1 eightofn=2 nineofmix=3 x=y",
         "on-http-log: sevenon=1|eightofn=2|nineofmix=3|x=y|"},
        {"1 - - - - - v=1 a=1 bb=2 text of a=b",
         "on-http-log: a=1|bb=2|syslog.message=text of a=b|"},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++) {
            check(texts[i][0], texts[i][1]);
            check(texts[j][0], texts[j][1]);
        }
    }
}

/* Values are looked through eight bytes at a time: an escaped quote, the closing one and a space
 * are found at each place, among bytes that differ from them by a bit. */
Test(line, what_has_a_meaning_is_found_at_every_place, .timeout = 10)
{
    static const char near[] = "\xa2\xdc!]\xa3\xa0"; /* " \\ " \\ # and a space, but for a bit */

    for (size_t n = 0; n < 30; n++) {
        char fill[32] = {0}, text[128], expected[128];

        for (size_t i = 0; i < n; i++)
            fill[i] = near[i % (sizeof near - 1)];
        for (size_t at = 0; at <= n; at++) {
            (void)snprintf(text, sizeof text, "v=1 a=\"%.*s\\\"%s\" b=%sx c=d", (int)at, fill,
                           fill + at, fill);
            (void)snprintf(expected, sizeof expected, "on-http-log: a=%.*s\"%s|b=%sx|c=d|", (int)at,
                           fill, fill + at, fill);
            check(text, expected);
        }
    }
}
