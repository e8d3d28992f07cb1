/* SPDX-License-Identifier: Apache-2.0 */
/* 12.4: CrowdSec's decisions, as its local API tells of them. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decisions.h"

#define DECISIONS_TEST(name) Test(ip_decisions, name, .timeout = 60)
#define DECISION(scope, value, type)                                                               \
    "{\"duration\":\"3h59m\",\"id\":1,\"origin\":\"CAPI\",\"scenario\":\"a \\\"b\\\" {\","         \
    "\"scope\":\"" scope "\",\"type\":\"" type "\",\"value\":\"" value "\"}"

static int take(struct decisions *d, const char *body, bool *changed, const char **why)
{
    const size_t n = strlen(body);
    char *copy = malloc(n + 1); /* so that a sanitizer sees a read beyond its end */
    int result;

    memcpy(copy, body, n);
    copy = realloc(copy, n != 0 ? n : 1);
    result = decisions_take(d, copy, n, changed, why);
    free(copy);
    return result;
}

static struct match find(const struct decisions *d, uint32_t ip)
{
    struct prefix_set set = d->set;
    struct table *table = table_create(&set);
    const struct match match = table_find4(table, ip);

    table_destroy(table);
    return match;
}

DECISIONS_TEST(come_and_go)
{
    struct decisions d = {.n_skipped = 0};
    const char *why;
    bool changed;

    cr_assert_eq(take(&d,
                      "{\"new\":[" DECISION("Ip", "192.0.2.1", "ban") "," DECISION(
                          "Range", "198.51.100.0/24",
                          "captcha") "," DECISION("Ip", "2001:db8::1",
                                                  "ban") "," DECISION("Country", "DE",
                                                                      "ban") "],\"deleted\":null}",
                      &changed, &why),
                 0, "%s", why);
    cr_assert(changed && d.set.n4 == 2 && d.set.n6 == 1 && d.n_skipped == 1);
    cr_assert(find(&d, 0xc0000201).found && find(&d, 0xc0000201).list == DECISION_BAN);
    cr_assert_eq(find(&d, 0xc6336480).list, DECISION_CAPTCHA);
    /* Once more the same, and something that is not there: once each, and no change by the latter.
     */
    cr_assert_eq(take(&d, "{\"deleted\":[" DECISION("Ip", "203.0.113.9", "ban") "],\"new\":null}",
                      &changed, &why),
                 0);
    cr_assert_not(changed);
    cr_assert_eq(take(&d, "{\"new\":[" DECISION("Ip", "192.0.2.1", "ban") "]}", &changed, &why), 0);
    cr_assert_eq(d.set.n4, 2);
    /* What is told as gone and as new is new, whichever comes first. */
    cr_assert_eq(take(&d,
                      "{\"new\":[" DECISION("ip", "192.0.2.1", "ban") "],\"deleted\":[" DECISION(
                          "ip", "192.0.2.1", "ban") "," DECISION("ip", "2001:db8::1", "ban") "]}",
                      &changed, &why),
                 0);
    cr_assert(changed && d.set.n4 == 2 && d.set.n6 == 0);
    cr_assert_eq(take(&d, "{\"deleted\":[" DECISION("Ip", "192.0.2.1", "ban") "]}", &changed, &why),
                 0);
    cr_assert(changed && d.set.n4 == 1 && !find(&d, 0xc0000201).found);
    decisions_fini(&d);
}

/* 12.4: all of a long list are gone at once: in one pass, not in one for each. */
DECISIONS_TEST(many_go_at_once)
{
    enum { MANY = 400000 };
    static const char one[] = "{\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"%s\"},";
    struct decisions d = {.n_skipped = 0};
    char *body = NULL, address[32];
    const char *why;
    size_t n;
    bool changed;

    for (unsigned pass = 0; pass < 2; pass++) {
        FILE *out = open_memstream(&body, &n);

        cr_assert_not_null(out);
        (void)fprintf(out, "{\"%s\":[", pass == 0 ? "new" : "deleted");
        for (unsigned i = 0; i < MANY; i++) {
            (void)snprintf(address, sizeof address,
                           i % 2 == 0 ? "10.%u.%u.%u" : "2001:db8::%x:%x:%x", i >> 16, i >> 8 & 255,
                           i & 255);
            (void)fprintf(out, one, address);
        }
        (void)fprintf(out, one, "192.0.2.1");
        (void)fseek(out, -1, SEEK_CUR);
        (void)fputs("]}", out);
        (void)fclose(out);
        cr_assert_eq(decisions_take(&d, body, n, &changed, &why), 0, "%s", why);
        cr_assert(changed);
        cr_assert_eq(d.set.n4 + d.set.n6, pass == 0 ? MANY + 1 : 0);
        free(body);
    }
    decisions_fini(&d);
}

DECISIONS_TEST(other_shapes_of_the_same)
{
    static const char *const good[] = {
        "{}",
        " { \"new\" : [ ] , \"deleted\" : [ ] } ",
        "{\"links\":{\"a\":[1,2,{\"b\":null}]},\"new\":null}",
        "{\"new\":[{}]}",
        "{\"new\":[{\"scope\":null,\"value\":12e3,\"type\":[\"x\"],\"m\":{\"a\":{}}}]}",
        "{\"new\":[{\"scope\":\"Ip\",\"value\":\"not an address\",\"type\":\"ban\"}]}",
    };
    struct decisions d = {.n_skipped = 0};
    const char *why;
    bool changed;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert_eq(take(&d, good[i], &changed, &why), 0, "%s: %s", good[i], why);
        cr_assert(!changed && d.set.n4 + d.set.n6 == 0, "%s", good[i]);
    }
}

DECISIONS_TEST(what_is_broken_is_said)
{
    static const char whole[] = "{\"new\":[" DECISION("Ip", "192.0.2.1", "ban") "],\"deleted\":[]}";
    static const char *const broken[] = {
        "",       "null",           "[]",           "{\"new\":[[]]}", "{\"new\":7}",
        "{7:8}",  "{\"new\" null}", "{\"new\":[{]", "{\"new\":[{}",   "{\"a\":}",
        "{\"a\"",
    };
    struct decisions d = {.n_skipped = 0};
    char text[sizeof whole], deep[200];
    const char *why;
    bool changed;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_assert_eq(take(&d, broken[i], &changed, &why), -1, "%s", broken[i]);
        cr_assert_not_null(why);
    }
    for (size_t n = 0; n < strlen(whole); n++) { /* cut anywhere */
        memcpy(text, whole, n);
        text[n] = '\0';
        cr_assert_eq(take(&d, text, &changed, &why), -1, "%s", text);
    }
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"a\":", 5);
    deep[sizeof deep - 1] = '\0';
    cr_assert_eq(take(&d, deep, &changed, &why), -1);
    cr_assert_str_eq(why, "too deep");
    decisions_fini(&d);
}

DECISIONS_TEST(there_is_a_limit)
{
    struct decisions d = {.set.max = 1};
    const char *why;
    bool changed;

    cr_assert_eq(take(&d,
                      "{\"new\":[" DECISION("Ip", "192.0.2.1",
                                            "ban") "," DECISION("Ip", "192.0.2.2", "ban") "]}",
                      &changed, &why),
                 -1);
    cr_assert_not_null(strstr(why, "max-entries"));
    decisions_fini(&d);
}
