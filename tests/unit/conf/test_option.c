/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/option.c: elements that make no sense, bounds, and the words of each error. */
#include "conf/option.h"

#include <criterion/criterion.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])
#define KEY_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHOWN_64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const char *const choices[] = {"disabled", "enabled", "skip-verify", NULL};
static const char *const no_choices[] = {NULL};

/* A string option that is fine. */
static struct spoe_option good(void)
{
    return (struct spoe_option){
        .size = sizeof(struct spoe_option), .type = SPOE_OPT_STRING, .key = "name"};
}

/* @return NULL, or what option_check() says */
static const char *wrong_with(const struct spoe_option *option)
{
    static struct error error;

    return option_check(option, &error) == 0 ? NULL : error.text;
}

Test(option_check, judges_keys, .timeout = 10)
{
    static const struct {
        const char *key;
        bool good;
    } cases[] = {
        {"a", true},
        {"tls-ca", true},
        {"0-9", true},
        {KEY_64, true},
        {KEY_64 "a", false},
        {NULL, false},
        {"", false},
        {"Name", false},
        {"na me", false},
        {"na_me", false},
        {"na.me", false},
        {"na=me", false},
        {"n\xc3\xa4me", false},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct spoe_option option = good();
        const char *wrong;

        option.key = cases[i].key;
        wrong = wrong_with(&option);
        cr_assert(option_has_key(&option) == cases[i].good, "key %zu", i);
        if (cases[i].good)
            cr_assert_null(wrong);
        else
            cr_assert_str_eq(wrong, "its key is not 1 to 64 of a-z, 0-9 and -");
    }
}

Test(option_check, judges_sizes, .timeout = 10)
{
    struct spoe_option option = good();

    option.size = sizeof option + 64; /* a newer plugin's */
    cr_assert_null(wrong_with(&option));
    option.size = sizeof option - 1;
    cr_assert_str_eq(wrong_with(&option), "its table is shorter than that of ABI 1.0");
    cr_assert_not(option_has_key(&option));
    option.size = 0;
    cr_assert_not_null(wrong_with(&option));
}

/* An element that is too short is not read past its size: what follows may not be there. */
Test(option_check, reads_no_more_than_the_size, .timeout = 10)
{
    uint32_t *size = malloc(sizeof *size);

    cr_assert_not_null(size);
    *size = sizeof *size;
    cr_assert_not_null(wrong_with((const struct spoe_option *)(const void *)size));
    free(size);
}

Test(option_check, judges_types_choices_and_bounds, .timeout = 10)
{
    struct spoe_option option = good();

    option.type = 0;
    cr_assert_str_eq(wrong_with(&option), "its type is not known to this host");
    option.type = SPOE_OPT_SECRET + 1;
    cr_assert_str_eq(wrong_with(&option), "its type is not known to this host");
    option.type = SPOE_OPT_ENUM;
    cr_assert_str_eq(wrong_with(&option), "it has no choices");
    option.choices = no_choices;
    cr_assert_str_eq(wrong_with(&option), "it has no choices");
    option.choices = choices;
    cr_assert_null(wrong_with(&option));
    option.type = SPOE_OPT_INT;
    option.min = 2;
    option.max = 1;
    cr_assert_str_eq(wrong_with(&option), "its least value is above its greatest");
    option.max = 2;
    cr_assert_null(wrong_with(&option));
}

Test(option_check, only_texts_have_lists, .timeout = 10)
{
    struct spoe_option option = good();

    option.flags = SPOE_OPTION_LIST;
    option.choices = choices;
    for (uint32_t type = SPOE_OPT_BOOL; type <= SPOE_OPT_SECRET; type++) {
        const bool can =
            type == SPOE_OPT_STRING || (type >= SPOE_OPT_PATH && type <= SPOE_OPT_PREFIX);

        option.type = type;
        if (can)
            cr_assert_null(wrong_with(&option), "type %u", type);
        else
            cr_assert_str_eq(wrong_with(&option), "its type has no lists");
    }
}

struct parse_case {
    uint32_t type;
    int64_t min, max;
    const char *text;
    const char *error; /* NULL: none */
};

#define MS INT64_C(1000000)
#define WHOLE "a whole number"
#define DURATION "a duration such as 15ms or 30s"
#define SIZE "a size such as 4096 or 64k"

static const struct parse_case parse_cases[] = {
    {SPOE_OPT_BOOL, 0, 0, "on", NULL},
    {SPOE_OPT_BOOL, 0, 0, "maybe", "\"maybe\" is not valid, expected on or off"},
    {SPOE_OPT_BOOL, 0, 0, "", "\"\" is not valid, expected on or off"},
    {SPOE_OPT_INT, 0, 0, "-9223372036854775808", NULL},
    {SPOE_OPT_INT, 0, 0, "x", "\"x\" is not valid, expected " WHOLE},
    {SPOE_OPT_INT, 1, 64, "1", NULL},
    {SPOE_OPT_INT, 1, 64, "64", NULL},
    {SPOE_OPT_INT, 1, 64, "0", "\"0\" is out of range, expected " WHOLE ", 1 to 64"},
    {SPOE_OPT_INT, 1, 64, "65", "\"65\" is out of range, expected " WHOLE ", 1 to 64"},
    {SPOE_OPT_INT, 1, 64, "", "\"\" is not valid, expected " WHOLE ", 1 to 64"},
    {SPOE_OPT_INT, 0, 5, "-1", "\"-1\" is out of range, expected " WHOLE ", 0 to 5"},
    {SPOE_OPT_INT, -5, 0, "1", "\"1\" is out of range, expected " WHOLE ", -5 to 0"},
    {SPOE_OPT_INT, 1, INT64_MAX, "0", "\"0\" is out of range, expected " WHOLE ", at least 1"},
    {SPOE_OPT_INT, INT64_MIN, 9, "10", "\"10\" is out of range, expected " WHOLE ", at most 9"},
    {SPOE_OPT_DURATION, 0, 0, "1d", NULL},
    {SPOE_OPT_DURATION, 0, 0, "1x", "\"1x\" is not valid, expected " DURATION},
    {SPOE_OPT_DURATION, MS, 60000 * MS, "1ms", NULL},
    {SPOE_OPT_DURATION, MS, 60000 * MS, "1m", NULL},
    {SPOE_OPT_DURATION, MS, 60000 * MS, "999us",
     "\"999us\" is out of range, expected " DURATION ", 1ms to 1m"},
    {SPOE_OPT_DURATION, MS, 60000 * MS, "61s",
     "\"61s\" is out of range, expected " DURATION ", 1ms to 1m"},
    {SPOE_OPT_DURATION, MS, 60000 * MS, "999999d",
     "\"999999d\" is out of range, expected " DURATION ", 1ms to 1m"},
    {SPOE_OPT_SIZE, 0, 0, "18446744073709551615", NULL},
    {SPOE_OPT_SIZE, 0, INT64_MAX, "9223372036854775807", NULL},
    {SPOE_OPT_SIZE, 0, INT64_MAX, "9223372036854775808",
     "\"9223372036854775808\" is out of range, expected " SIZE ", at least 0"},
    {SPOE_OPT_SIZE, 256, 16 << 20, "256", NULL},
    {SPOE_OPT_SIZE, 256, 16 << 20, "16m", NULL},
    {SPOE_OPT_SIZE, 256, 16 << 20, "255", "\"255\" is out of range, expected " SIZE ", 256 to 16m"},
    {SPOE_OPT_SIZE, 256, 16 << 20, "17m", "\"17m\" is out of range, expected " SIZE ", 256 to 16m"},
    {SPOE_OPT_SIZE, 256, 16 << 20, "big", "\"big\" is not valid, expected " SIZE ", 256 to 16m"},
    {SPOE_OPT_STRING, 0, 0, "", NULL},
    {SPOE_OPT_STRING, 0, 0, "any thing; at = all", NULL},
    {SPOE_OPT_ENUM, 0, 0, "skip-verify", NULL},
    {SPOE_OPT_ENUM, 0, 0, "maybe",
     "\"maybe\" is not valid, expected one of disabled, enabled, skip-verify"},
};

Test(option_parse, holds_bounds_and_says_what_would_do, .timeout = 10)
{
    for (size_t i = 0; i < N(parse_cases); i++) {
        const struct parse_case *c = &parse_cases[i];
        struct spoe_option option = good();
        struct spoe_value value = {.type = SPOE_T_NULL};
        struct error err = {{0}};
        int result;

        option.type = c->type;
        option.choices = choices;
        option.min = c->min;
        option.max = c->max;
        result = option_parse(&option, c->text, &value, &err);
        cr_assert_eq(result, c->error == NULL ? 0 : -1, "\"%s\": got %d", c->text, result);
        cr_assert_str_eq(err.text, c->error != NULL ? c->error : "");
        if (c->error != NULL)
            cr_assert_eq(value.type, SPOE_T_NULL);
    }
}

Test(option_parse, gives_each_type_its_value, .timeout = 10)
{
    struct spoe_option option = good();
    struct spoe_value v;
    struct error err;

    option.choices = choices;
    option.type = SPOE_OPT_BOOL;
    cr_assert_eq(option_parse(&option, "yes", &v, &err), 0);
    cr_assert(v.type == SPOE_T_BOOL && v.flags == 0 && v.u.b == 1);
    option.type = SPOE_OPT_INT;
    cr_assert_eq(option_parse(&option, "-3", &v, &err), 0);
    cr_assert(v.type == SPOE_T_INT64 && v.u.i64 == -3);
    option.type = SPOE_OPT_DURATION;
    cr_assert_eq(option_parse(&option, "2s", &v, &err), 0);
    cr_assert(v.type == SPOE_T_INT64 && v.u.i64 == INT64_C(2000000000));
    option.type = SPOE_OPT_SIZE;
    cr_assert_eq(option_parse(&option, "2k", &v, &err), 0);
    cr_assert(v.type == SPOE_T_UINT64 && v.u.u64 == 2048);
    option.type = SPOE_OPT_ENUM;
    cr_assert_eq(option_parse(&option, "enabled", &v, &err), 0);
    cr_assert(v.type == SPOE_T_UINT32 && v.u.u32 == 1);
    option.type = SPOE_OPT_STRING;
    cr_assert_eq(option_parse(&option, "text", &v, &err), 0);
    cr_assert(v.type == SPOE_T_STR && v.u.s.n == 4 && memcmp(v.u.s.p, "text", 4) == 0);
}

Test(option_parse, never_shows_a_secret, .timeout = 10)
{
    struct spoe_option option = good();
    struct spoe_value v;
    struct error err;

    option.type = SPOE_OPT_INT;
    option.flags = SPOE_OPTION_SECRET;
    cr_assert_eq(option_parse(&option, "hunter2", &v, &err), -1);
    cr_assert_str_eq(err.text, "the value is not valid, expected a whole number");
}

Test(option_parse, cuts_long_values_and_long_lists_of_choices, .timeout = 10)
{
    static const char *many[100];
    struct spoe_option option = good();
    struct spoe_value v;
    struct error err;
    char text[1000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    option.type = SPOE_OPT_INT;
    cr_assert_eq(option_parse(&option, text, &v, &err), -1);
    cr_assert_str_eq(err.text, "\"" SHOWN_64 "...\" is not valid, expected a whole number");
    text[65] = '\0';
    cr_assert_eq(option_parse(&option, text, &v, &err), -1);
    cr_assert_str_eq(err.text, "\"" SHOWN_64 "...\" is not valid, expected a whole number");
    text[64] = '\0'; /* is shown whole (9.1) */
    cr_assert_eq(option_parse(&option, text, &v, &err), -1);
    cr_assert_str_eq(err.text, "\"" SHOWN_64 "\" is not valid, expected a whole number");
    for (size_t i = 0; i < N(many) - 1; i++)
        many[i] = "a-rather-long-choice";
    option.type = SPOE_OPT_ENUM;
    option.choices = many;
    cr_assert_eq(option_parse(&option, text, &v, &err), -1);
    cr_assert_eq(strlen(err.text), OPTION_TEXT_MAX - 1);
}
