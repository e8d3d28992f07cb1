/* SPDX-License-Identifier: Apache-2.0 */
/* issue 13, 3: what `spoe-host ctl` prints cannot command a terminal. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/shown.h"

static char text[64];

static const char *shown(const char *json, size_t size)
{
    json_t *object = json_loads(json, 0, NULL);

    cr_assert_not_null(object, "%s", json);
    (void)shown_member(object, "a", text, size);
    json_decref(object);
    return text;
}

Test(shown, members, .timeout = 30)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"a\":\"b c\"}", "b c"},
        {"{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{\"a\":12}", "12"},
        {"{\"a\":0.5}", "0.5"},
        {"{\"a\":true}", "true"},
        {"{\"a\":null}", ""},
        {"{\"a\":{\"b\":1}}", ""},
        {"{\"a\":[1]}", ""},
        {"{\"b\":1}", ""},
        {"[]", ""},
        {"{\"a\":\"x\\u001b[2Jy\"}", "x [2Jy"},
        {"{\"a\":\"x\\u009b2Jy\"}", "x 2Jy"},
        {"{\"a\":\"x\\u007fy\\n\"}", "x y"},
        {"{\"a\":\"x\\u00a0y\"}", "x\xc2\xa0y"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_str_eq(shown(cases[i].json, sizeof text), cases[i].text, "case %zu: %s", i, text);
}

/* What is cut is cut between characters. */
Test(shown, cuts, .timeout = 30)
{
    cr_assert_str_eq(shown("{\"a\":\"abcdef\"}", 4), "abc");
    cr_assert_str_eq(shown("{\"a\":\"ab\xc3\xa4\"}", 4), "ab");
    cr_assert_str_eq(shown("{\"a\":\"ab\xc3\xa4\"}", 5), "ab\xc3\xa4");
    cr_assert_str_eq(shown("{\"a\":\"abc\"}", 1), "");
}

/* What is no page of ours may be no UTF-8. */
Test(shown, other_bytes, .timeout = 30)
{
    const char bytes[] = {'x', '\x9b', '\0', '\x1b', '\xff', '\n'};

    cr_assert_str_eq(shown_text((struct spoe_span){bytes, sizeof bytes}, text, sizeof text),
                     "x?  ?");
    cr_assert_str_eq(shown_text((struct spoe_span){NULL, 0}, text, sizeof text), "");
}
