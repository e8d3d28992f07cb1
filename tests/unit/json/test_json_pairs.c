/* SPDX-License-Identifier: Apache-2.0 */
/* issue 13, 3: bodies of changes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_pairs.h"

static struct json_pairs pairs;
static struct error error;

static int parse(const char *text)
{
    /* ASan sees a byte too many. */
    char *exactly = malloc(strlen(text) + 1);
    int result;

    memcpy(exactly + 1, text, strlen(text));
    error.text[0] = '\0';
    result = json_pairs_parse((struct spoe_span){exactly + 1, strlen(text)}, &pairs, &error);
    free(exactly);
    return result;
}

Test(json_pairs, takes, .timeout = 30)
{
    static const struct {
        const char *text, *value;
    } cases[] = {
        {"{\"a\":\"\"}", ""},
        {" {\t\"a\" :\r\n\"b c\" } ", "b c"},
        {"{\"a\":0.5}", "0.5"},
        {"{\"a\":-1e3}", "-1000.0"},
        {"{\"a\":0.1}", "0.1"},
        {"{\"a\":10}", "10"},
        {"{\"a\":-9223372036854775808}", "-9223372036854775808"},
        {"{\"a\":true}", "true"},
        {"{\"a\":false}", "false"},
        {"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t"},
        {"{\"a\":\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"}",
         "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{\"\\u0061\":\"\xc3\xa4\"}", "\xc3\xa4"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(parse(cases[i].text), 0, "case %zu: %s", i, error.text);
        cr_assert_eq(pairs.n, 1);
        cr_assert_str_eq(pairs.pair[0].name, "a");
        cr_assert_str_eq(pairs.pair[0].value, cases[i].value, "case %zu", i);
    }
    cr_assert_eq(parse("{}"), 0);
    cr_assert_eq(pairs.n, 0);
    cr_assert_eq(parse("{\"a\":\"1\",\"b\":\"2\"}"), 0);
    cr_assert_eq(pairs.n, 2);
    cr_assert_str_eq(pairs.pair[1].value, "2");
}

Test(json_pairs, refuses, .timeout = 30)
{
    static const char *const cases[] = {
        "",
        " ",
        "[]",
        "\"a\"",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":\"b",
        "{\"a\":\"b\"",
        "{\"a\":\"b\",",
        "{\"a\":\"b\",}",
        "{,}",
        "{a:1}",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":[1]}",
        "{\"a\":nan}",
        "{\"a\":-}",
        "{\"a\":e}",
        "{\"a\":+1}",
        "{\"a\":01}",
        "{\"a\":9223372036854775808}",
        "{\"a\":1e999}",
        "{\"a\" \"b\"}",
        "{\"a\":\"b\"}x",
        "{\"a\":\"b\"}{}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\ude00\"}",
        "{\"a\":\"\\ud83d\\u0041\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":\"\\u00\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
    };
    char many[JSON_PAIRS_MAX * 16 + 32] = "{";

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(parse(cases[i]), -1, "case %zu: %s", i, cases[i]);
        cr_assert_neq(error.text[0], '\0');
    }
    for (unsigned i = 0; i <= JSON_PAIRS_MAX; i++) {
        const size_t n = strlen(many);

        (void)snprintf(many + n, sizeof many - n, "%s\"k%u\":1", i > 0 ? "," : "", i);
        if (i >= JSON_PAIRS_MAX - 1) {
            memcpy(many + strlen(many), "}", 2);
            cr_assert_eq(parse(many), i < JSON_PAIRS_MAX ? 0 : -1);
            many[strlen(many) - 1] = '\0';
        }
    }
}

/* The longest body has room, however it is written. */
Test(json_pairs, has_room, .timeout = 30)
{
    static char text[JSON_TEXTS_MAX + 1];

    memset(text, 'x', JSON_PAIRS_TEXT_MAX);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + JSON_PAIRS_TEXT_MAX - 2, "\"}", 3);
    cr_assert_eq(parse(text), 0, "%s", error.text);
    cr_assert_eq(strlen(pairs.pair[0].value), strlen(text) - 8);
    memcpy(text + JSON_PAIRS_TEXT_MAX - 2, "x\"}", 4);
    cr_assert_eq(parse(text), -1);
    cr_assert_str_eq(error.text, "it is longer than 8191 bytes");
}

/* An error says where. */
Test(json_pairs, says_where, .timeout = 30)
{
    cr_assert_eq(parse("{\"a\": 1,\n \"b\" 2}"), -1);
    cr_assert_str_eq(error.text, "it is no JSON: line 2, column 6: ':' expected near '2'");
    cr_assert_eq(parse("{\"a\":\"\\u0000\"}"), -1);
    cr_assert_not_null(strstr(error.text, "line 1, column "));
    cr_assert_not_null(strstr(error.text, "\\u0000 is not taken"));
}
