/* SPDX-License-Identifier: Apache-2.0 */
/* 12.4: the option `lists`, and the files that it names. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "list_line.h"
#include "lists.h"

#define LISTS_TEST(name) Test(ip_lists, name, .init = setup, .fini = teardown, .timeout = 60)

static char folder[64], first[96], second[96];

static void setup(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/test_lists.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(first, sizeof first, "%s/first", folder);
    (void)snprintf(second, sizeof second, "%s/second", folder);
}

static void teardown(void)
{
    (void)unlink(first);
    (void)unlink(second);
    (void)rmdir(folder);
}

static void write_to(const char *path, const char *text, size_t n)
{
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, n, file), n);
    cr_assert_eq(fclose(file), 0);
}

static void parse(struct lists *lists)
{
    char option[300], why[WHY_MAX];

    (void)snprintf(option, sizeof option, "one=%s, two:40=%s", first, second);
    cr_assert_eq(lists_parse(option, strlen(option), lists, why), 0, "%s", why);
}

LISTS_TEST(names_scores_and_paths)
{
    static const char option[] = "a=/x y, b-2:0=relative=with,c.d:100=/z";
    struct lists lists;
    char why[WHY_MAX];

    cr_assert_eq(lists_parse(option, strlen(option), &lists, why), 0, "%s", why);
    cr_assert_eq(lists.n, 3);
    cr_assert_str_eq(lists.list[0].path, "/x y");
    cr_assert_eq(lists.list[0].score, 100);
    cr_assert_str_eq(lists.list[1].name, "b-2");
    cr_assert_str_eq(lists.list[1].path, "relative=with");
    cr_assert_eq(lists.list[1].score, 0);
    cr_assert_str_eq(lists.list[2].name, "c.d");
    lists_fini(&lists);
    cr_assert_eq(lists_parse(NULL, 0, &lists, why), 0);
    cr_assert_eq(lists.n, 0);
}

LISTS_TEST(what_is_wrong_with_the_option_is_said)
{
    static const char *const wrong[][2] = {
        {"a", "not NAME=PATH"},
        {"a=", "not NAME=PATH"},
        {"=/x", "a name is"},
        {"a b=/x", "a name is"},
        {"a:101=/x", "a score is"},
        {"a:=/x", "a score is"},
        {"a:-1=/x", "a score is"},
        {"a=/x,a=/y", "the name is taken"},
        {"a=/x,,b=/y", "not NAME=PATH"},
    };
    struct lists lists;
    char why[WHY_MAX];

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_eq(lists_parse(wrong[i][0], strlen(wrong[i][0]), &lists, why), -1, "%s",
                     wrong[i][0]);
        cr_assert_not_null(strstr(why, wrong[i][1]), "%s: %s", wrong[i][0], why);
        lists_fini(&lists);
    }
}

LISTS_TEST(files_become_a_table)
{
    static const char one[] = "\xef\xbb\xbf# a list\r\n192.0.2.0/24\r\n\n2001:db8::/32 # x\n";
    static const char two[] = "192.0.2.7\n192.0.2.0/24"; /* without an end of line */
    struct lists lists;
    struct table *table;
    char why[WHY_MAX];

    write_to(first, one, strlen(one));
    write_to(second, two, strlen(two));
    parse(&lists);
    table = lists_read(&lists, 100, NULL, NULL, why);
    cr_assert_not_null(table, "%s", why);
    cr_assert_eq(lists.list[0].n, 2);
    cr_assert_eq(lists.list[1].n, 2);
    cr_assert_eq(table_find4(table, 0xc0000207).list, 1);
    cr_assert_eq(table_find4(table, 0xc0000208).list, 0, "the list that is named first");
    cr_assert(table_find4(table, 0xc0000208).found);
    cr_assert_not(table_find4(table, 0xc0000308).found);
    cr_assert(table_find6(table, (struct ip6){UINT64_C(0x20010db8ffffffff), 7}).found);
    table_destroy(table);
    lists_fini(&lists);
}

static int always(void *arg)
{
    (void)arg;
    return 1;
}

LISTS_TEST(a_broken_line_is_named)
{
    char long_line[3 * LIST_LINE_MAX], why[WHY_MAX], want[256];
    struct lists lists;

    write_to(first, "1.2.3.4\n", 8);
    write_to(second, "# x\n1.2.3.4\n1.2.3.5/8\n", 23);
    parse(&lists);
    cr_assert_null(lists_read(&lists, 100, NULL, NULL, why));
    (void)snprintf(want, sizeof want,
                   "%s:3: address has bits set beyond the prefix's length: \"1.2.3.5/8\"", second);
    cr_assert_str_eq(why, want);
    memset(long_line, 'x', sizeof long_line);
    write_to(second, long_line, sizeof long_line);
    cr_assert_null(lists_read(&lists, 100, NULL, NULL, why));
    cr_assert_not_null(strstr(why, ":1: line too long"), "%s", why);
    cr_assert_eq(unlink(second), 0);
    cr_assert_null(lists_read(&lists, 100, NULL, NULL, why));
    cr_assert_not_null(strstr(why, "second: No such file"), "%s", why);
    lists_fini(&lists);
}

LISTS_TEST(there_are_limits)
{
    static char many[5000 * 8];
    struct lists lists;
    char why[WHY_MAX];

    write_to(first, "1.2.3.4\n1.2.3.5\n", 16);
    write_to(second, "1.2.3.6\n", 8);
    parse(&lists);
    cr_assert_null(lists_read(&lists, 2, NULL, NULL, why));
    cr_assert_not_null(strstr(why, "second:1: more entries than max-entries"), "%s", why);
    for (size_t i = 0; i < sizeof many; i += 8)
        memcpy(many + i, "1.2.3.4\n", 8);
    write_to(first, many, sizeof many);
    cr_assert_null(lists_read(&lists, 10000, always, NULL, why));
    cr_assert_str_eq(why, "", "it was cancelled");
    cr_assert_eq(unlink(first), 0);
    cr_assert_eq(mkfifo(first, 0600), 0); /* which nobody writes to */
    cr_assert_null(lists_read(&lists, 10000, NULL, NULL, why));
    cr_assert_not_null(strstr(why, "not a regular file"), "%s", why);
    lists_fini(&lists);
}
