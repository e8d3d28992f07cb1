/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf: a reading beside the one in use (2.7). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

#define ENV(name)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        name, NULL                                                                                 \
    }
static const char *const colours[] = {"red", "green", NULL};
static const struct spoe_option text = {.size = sizeof text,
                                        .type = SPOE_OPT_STRING,
                                        .key = "text",
                                        .default_text = "none",
                                        .env = ENV("TEST_TEXT"),
                                        .env_lenient = ENV("OTEL_TEST_TEXT")};
static const struct spoe_option number = {
    .size = sizeof number, .type = SPOE_OPT_INT, .key = "number", .max = 1000};
static const struct spoe_option wait = {
    .size = sizeof wait, .type = SPOE_OPT_DURATION, .key = "wait", .default_text = "1s"};
static const struct spoe_option bytes = {
    .size = sizeof bytes, .type = SPOE_OPT_SIZE, .key = "bytes", .default_text = "1k"};
static const struct spoe_option on = {
    .size = sizeof on, .type = SPOE_OPT_BOOL, .key = "on", .default_text = "on"};
static const struct spoe_option colour = {.size = sizeof colour,
                                          .type = SPOE_OPT_ENUM,
                                          .key = "colour",
                                          .default_text = "red",
                                          .choices = colours};
static const struct spoe_option *const options[] = {&text, &number, &wait, &bytes,
                                                    &on,   &colour, NULL};
enum { TEXT, NUMBER, WAIT, BYTES, ON, COLOUR, N_OPTIONS };

/* One reading of a file. */
struct reading {
    struct conf *conf;
    struct conf_section *section;
};

static struct reading read_file(const char *text_of_file)
{
    struct reading r = {.conf = conf_create()};
    char *copy = strdup(text_of_file);
    FILE *file = fmemopen(copy, strlen(copy), "r");

    conf_add_stream(r.conf, file, "x.ini");
    (void)fclose(file);
    free(copy);
    r.section = conf_resolve(r.conf, "p", options);
    cr_assert_not_null(r.section);
    return r;
}

static void drop(struct reading *r)
{
    conf_section_destroy(r->section);
    conf_destroy(r->conf);
}

static struct spoe_span raw(const struct reading *r, size_t i)
{
    return conf_setting(r->section, i)->raw;
}

static void setup(void)
{
    unsetenv("TEST_TEXT");
    unsetenv("OTEL_TEST_TEXT");
}

TestSuite(reread, .init = setup, .timeout = 10);

static const char all[] = "[p]\ntext = a\nnumber = 5\nwait = 2s\nbytes = 2k\non = off\n"
                          "colour = green\n";

Test(reread, same_values_are_the_same_however_they_are_written)
{
    struct reading a = read_file(all);
    struct reading b = read_file("# moved\n[p]\ncolour: green\non = no\nbytes = 2048\n"
                                 "wait = 2000ms\nnumber = 05\ntext = a\n");
    struct reading c = read_file("# defaults\n");

    cr_assert_eq(conf_error_count(b.conf), 0);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        cr_assert(conf_setting_same(conf_setting(a.section, i), conf_setting(b.section, i)), "%zu",
                  i);
        cr_assert_not(conf_setting_same(conf_setting(a.section, i), conf_setting(c.section, i)),
                      "%zu", i);
        cr_assert(conf_setting_same(conf_setting(c.section, i), conf_setting(c.section, i)));
    }
    drop(&a);
    drop(&b);
    drop(&c);
}

Test(reread, texts_differ_in_length_or_in_a_letter)
{
    static const char *const others[] = {"[p]\ntext = ab\n", "[p]\ntext = b\n", "[p]\ntext =\n"};
    struct reading a = read_file("[p]\ntext = a\n");

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct reading b = read_file(others[i]);

        cr_assert_not(
            conf_setting_same(conf_setting(a.section, TEXT), conf_setting(b.section, TEXT)));
        drop(&b);
    }
    drop(&a);
}

Test(reread, what_is_kept_outlives_what_it_was_kept_from)
{
    struct reading a = read_file(all);
    struct reading b = read_file("[p]\ntext = other\nnumber = 6\n");

    for (size_t i = 0; i < N_OPTIONS; i++)
        cr_assert_eq(conf_setting_keep(b.section, i, a.section), 0);
    drop(&a);
    cr_assert_eq(raw(&b, TEXT).n, 1);
    cr_assert_eq(raw(&b, TEXT).p[0], 'a');
    cr_assert_eq(conf_setting(b.section, TEXT)->value.u.s.p, raw(&b, TEXT).p);
    cr_assert_eq(conf_setting(b.section, NUMBER)->value.u.i64, 5);
    cr_assert_eq(memcmp(conf_setting(b.section, NUMBER)->origin.p, "x.ini:3", 7), 0);
    drop(&b);
}

/* 5.2: what is shown of an option outlives a reload */
Test(reread, how_it_is_written_is_kept_too)
{
    const struct spoe_span four = {"4", 1}, five = {"5", 1};
    struct reading a = read_file("# nothing\n");
    struct reading b = read_file("# nothing\n");
    struct reading c = read_file("[p]\nnumber = 6\n");

    conf_setting_written(a.conf, a.section, NUMBER, four);
    conf_setting_written(c.conf, c.section, NUMBER, five);
    cr_assert_eq(conf_setting_follow(b.conf, b.section, NUMBER, a.section), 0);
    cr_assert_str_eq(conf_setting_text(b.section, NUMBER), "4");
    cr_assert_eq(conf_setting_follow(c.conf, c.section, NUMBER, a.section), 0);
    cr_assert_str_eq(conf_setting_text(c.section, NUMBER), "5"); /* another value */
    cr_assert_eq(conf_setting_keep(c.section, NUMBER, a.section), 0);
    cr_assert_str_eq(conf_setting_text(c.section, NUMBER), "4");
    drop(&a);
    drop(&b);
    drop(&c);
}

Test(reread, what_is_not_set_can_be_kept)
{
    struct reading a = read_file("# nothing\n");
    struct reading b = read_file("[p]\nnumber = 6\n");

    cr_assert_eq(conf_setting_keep(b.section, NUMBER, a.section), 0);
    drop(&a);
    cr_assert_eq(conf_setting(b.section, NUMBER)->value.type, SPOE_T_NULL);
    cr_assert_eq(memcmp(conf_setting(b.section, NUMBER)->origin.p, "default", 7), 0);
    drop(&b);
}

Test(reread, a_shared_variable_that_was_refused_stays_refused)
{
    struct reading a, b;

    setenv("OTEL_TEST_TEXT", "odd", 1);
    a = read_file("[p]\ntext = a\n");
    cr_assert(conf_setting_reject(a.conf, a.section, TEXT, (struct spoe_span){"no", 2}));
    b = read_file("[p]\ntext = a\n");
    cr_assert_not(conf_setting_same(conf_setting(a.section, TEXT), conf_setting(b.section, TEXT)));
    cr_assert_eq(conf_setting_follow(b.conf, b.section, TEXT, a.section), 0);
    cr_assert(conf_setting_same(conf_setting(a.section, TEXT), conf_setting(b.section, TEXT)));
    /* One that counts goes on counting. */
    drop(&a);
    a = read_file("[p]\ntext = a\n");
    cr_assert_eq(conf_setting_follow(a.conf, a.section, TEXT, a.section), 0);
    cr_assert_eq(raw(&a, TEXT).n, 3);
    drop(&a);
    drop(&b);
}

Test(reread, without_a_file_a_refused_variable_leaves_the_default)
{
    struct reading a, b;

    setenv("OTEL_TEST_TEXT", "odd", 1);
    a = read_file("# nothing\n");
    (void)conf_setting_reject(a.conf, a.section, TEXT, (struct spoe_span){"no", 2});
    b = read_file("[p]\ntext = b\n");
    cr_assert_eq(conf_setting_keep(b.section, TEXT, a.section), 0);
    drop(&a);
    cr_assert_eq(raw(&b, TEXT).n, 4);
    cr_assert_eq(memcmp(conf_setting(b.section, TEXT)->origin.p, "default", 7), 0);
    drop(&b);
}

Test(reread, shadowed_is_what_the_file_sets_otherwise_and_in_vain)
{
    struct reading r = read_file("[p]\ntext = a\nnumber = 6\n");

    cr_assert_not(conf_setting_is_shadowed(r.conf, r.section, TEXT)); /* it counts */
    cr_assert_not(conf_setting_is_shadowed(r.conf, r.section, WAIT)); /* it is not there */
    drop(&r);
    setenv("TEST_TEXT", "b", 1);
    r = read_file("[p]\ntext = a\n");
    cr_assert(conf_setting_is_shadowed(r.conf, r.section, TEXT));
    drop(&r);
    setenv("TEST_TEXT", "a", 1);
    r = read_file("[p]\ntext = a\n");
    cr_assert_not(conf_setting_is_shadowed(r.conf, r.section, TEXT)); /* the same value */
    drop(&r);
    unsetenv("TEST_TEXT");
    r = read_file("[p]\nnumber = 6\n");
    conf_add_set(r.conf, "p.number=7");
    conf_section_destroy(r.section);
    r.section = conf_resolve(r.conf, "p", options);
    cr_assert(conf_setting_is_shadowed(r.conf, r.section, NUMBER));
    drop(&r);
}

/* issue 13, 3: what is set by hand, and the next reading, for which the environment's variables are
 * worth what they were before. */
Test(reread, what_was_set_by_hand)
{
    struct reading first, second;
    struct conf_section *copy, *again;

    setenv("OTEL_TEST_TEXT", "of-the-environment", 1);
    first = read_file("[p]\nnumber = 5\ntext = of-the-file\n");
    copy = conf_section_copy(first.section);
    cr_assert_not_null(copy);
    cr_assert_eq(conf_setting_put(first.conf, copy, NUMBER, "many", "hand"), 1);
    cr_assert_eq(conf_error_count(first.conf), 1);
    cr_assert_eq(conf_setting(copy, NUMBER)->value.u.i64, 5, "a bad one leaves it as it was");
    cr_assert_eq(conf_setting_put(first.conf, copy, NUMBER, "7", "hand"), 0);
    cr_assert_eq(conf_setting_put(first.conf, copy, TEXT, "by hand", "hand"), 0);
    cr_assert_eq(conf_setting_put(first.conf, copy, TEXT, "again", "hand"), 0);
    cr_assert_eq(conf_setting(copy, NUMBER)->value.u.i64, 7);
    cr_assert_eq(conf_setting(first.section, NUMBER)->value.u.i64, 5, "another section");
    cr_assert_eq(strncmp(conf_setting(copy, TEXT)->origin.p, "hand", 4), 0);
    again = conf_section_copy(copy);
    cr_assert_not_null(again);
    conf_section_destroy(copy);

    second = read_file("[p]\nnumber = 5\ntext = of-the-file\n");
    cr_assert_eq(conf_setting_follow(second.conf, second.section, TEXT, again), 0);
    cr_assert_str_eq(raw(&second, TEXT).p, "of-the-environment");
    cr_assert_not(
        conf_setting_same(conf_setting(second.section, NUMBER), conf_setting(again, NUMBER)));
    conf_section_destroy(again);
    drop(&first);
    drop(&second);
}
