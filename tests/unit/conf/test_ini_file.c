/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/ini_file.c: which events a file gives, as one text per event. */
#include "conf/ini_file.h"

#include <criterion/criterion.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])

static void on_section(void *user, unsigned line, const char *name)
{
    (void)fprintf(user, "%u [%s]\n", line, name);
}

static void on_key(void *user, unsigned line, const char *section, const char *key,
                   const char *value)
{
    (void)fprintf(user, "%u %s.%s=%s\n", line, section, key, value);
}

static void on_error(void *user, unsigned line, const char *text)
{
    (void)fprintf(user, "%u ERROR %s\n", line, text);
}

/* The caller frees the text of the events. */
static char *read_all(const char *file, size_t n)
{
    static const struct ini_events events = {on_section, on_key, on_error};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *copy = malloc(n + 1);
    FILE *in;

    cr_assert(out != NULL && copy != NULL);
    memcpy(copy, file, n);
    in = n > 0 ? fmemopen(copy, n, "r") : fopen("/dev/null", "r");
    cr_assert_not_null(in);
    ini_read(in, &events, out);
    (void)fclose(in);
    (void)fclose(out);
    free(copy);
    return text;
}

static const struct {
    const char *file, *events;
} cases[] = {
    {"", ""},
    {"\n\n", ""},
    {"[host]\nworkers = 2\n", "1 [host]\n2 host.workers=2\n"},
    {"[host]\nworkers=2", "1 [host]\n2 host.workers=2\n"}, /* no line end at the end */
    {"[host]\r\nworkers = 2\r\n", "1 [host]\n2 host.workers=2\n"},
    {"\xef\xbb\xbf[host]\nworkers = 2\n", "1 [host]\n2 host.workers=2\n"},
    {"\xef\xbb\xbf# only a comment", ""},
    {"# one\n; two\n\n  # three\n[host]\nworkers: 2\n", "5 [host]\n6 host.workers=2\n"},
    {"[host]\nlisten = [::]:1, unix:/a ; said so\n", "1 [host]\n2 host.listen=[::]:1, unix:/a\n"},
    {"[host]\nlisten = a;b#c\n", "1 [host]\n2 host.listen=a;b#c\n"}, /* no blank before the ; */
    {"[host]\nplugins =\n", "1 [host]\n2 host.plugins=\n"},
    {"[host]\nplugins = ; none\n", "1 [host]\n2 host.plugins=\n"},
    {"[host]\na = b = c\n", "1 [host]\n2 host.a=b = c\n"},
    {"[host]\na =;b\n", "1 [host]\n2 host.a=;b\n"},
    {"[host]\na ; = b\n", "1 [host]\n2 ERROR neither [section] nor key = value\n"},
    {"[host]\na\t:\tb\t;c\n", "1 [host]\n2 host.a=b\n"},
    /* Indented lines are lines as all others, not continuations. */
    {"[host]\n  a = 1\n  b = 2\n\tc = 3\n", "1 [host]\n2 host.a=1\n3 host.b=2\n4 host.c=3\n"},
    {"[host]\na = 1\n  b\n", "1 [host]\n2 host.a=1\n3 ERROR neither [section] nor key = value\n"},
    {"  [host]  ; comment\na = 1\n", "1 [host]\n2 host.a=1\n"},
    {"[a]\n[b]\nc = 1\n[a]\nd = 2", "1 [a]\n2 [b]\n3 b.c=1\n4 [a]\n5 a.d=2\n"},
    {"a = 1\n[host]\nb = 2\n", "1 ERROR a key before any [section]\n2 [host]\n3 host.b=2\n"},
    {"[host]\nworkers\nb = 2\n",
     "1 [host]\n2 ERROR neither [section] nor key = value\n3 host.b=2\n"},
    {"[host]\nworkers", "1 [host]\n2 ERROR neither [section] nor key = value\n"},
    {"[host]\n= 2\n", "1 [host]\n2 ERROR a value without a key\n"},
    {"[host]\n= 2\nx\n",
     "1 [host]\n2 ERROR a value without a key\n3 ERROR neither [section] nor key = value\n"},
    /* After a bad section line nobody knows where keys belong: one error, not one per key. */
    {"[a]\n[host\nb = 2\nc = 3\n[d]\ne = 1\n",
     "1 [a]\n2 ERROR a section without its ]\n5 [d]\n6 d.e=1\n"},
    {"[host] workers = 2\n", "1 ERROR text after the ] of a section\n"},
    {"[]\na = 1\n", "1 ERROR a section without a name\n"},
    {"[a-name-that-is-longer-than-the-fifty-bytes-that-some-parsers-keep]\na = 1\n",
     "1 [a-name-that-is-longer-than-the-fifty-bytes-that-some-parsers-keep]\n"
     "2 a-name-that-is-longer-than-the-fifty-bytes-that-some-parsers-keep.a=1\n"},
};

Test(ini_file, gives_events_with_line_numbers, .timeout = 10)
{
    for (size_t i = 0; i < N(cases); i++) {
        char *events = read_all(cases[i].file, strlen(cases[i].file));

        cr_assert(strcmp(events, cases[i].events) == 0, "case %zu: got\n%swanted\n%s", i, events,
                  cases[i].events);
        free(events);
    }
}

/* A key line of n bytes, as the second of three lines. */
static char *read_long(size_t n, const char *line_end)
{
    static char file[2 * INI_LINE_MAX]; /* 5.3: 64 KiB */
    size_t at = strlen("[s]\nk=");

    cr_assert(n + 64 < sizeof file);
    memcpy(file, "[s]\nk=", at);
    memset(file + at, 'x', n - 2);
    at += n - 2;
    at += (size_t)snprintf(file + at, sizeof file - at, "%sz = 1\n", line_end);
    return read_all(file, at);
}

Test(ini_file, takes_a_line_of_the_greatest_length, .timeout = 10)
{
    static const char *const line_ends[] = {"\n", "\r\n"};

    for (size_t i = 0; i < N(line_ends); i++) {
        char *events = read_long(INI_LINE_MAX, line_ends[i]);

        cr_assert(strncmp(events, "1 [s]\n2 s.k=xxx", 15) == 0, "got %s", events);
        cr_assert_eq(strcspn(events + 12, "\n"), INI_LINE_MAX - 2);
        cr_assert(strstr(events, "\n3 s.z=1\n") != NULL, "got %s", events);
        free(events);
    }
}

Test(ini_file, refuses_longer_lines_whole, .timeout = 10)
{
    static const size_t lengths[] = {INI_LINE_MAX + 1, INI_LINE_MAX + 2, 70000, 100000};

    for (size_t i = 0; i < 2 * N(lengths); i++) {
        char *events = read_long(lengths[i / 2], i % 2 == 0 ? "\n" : "\r\n");

        cr_assert_str_eq(events, "1 [s]\n2 ERROR a line of more than 65536 bytes\n3 s.z=1\n");
        free(events);
    }
}

Test(ini_file, refuses_a_nul, .timeout = 10)
{
    static const char file[] = "[s]\na\0b = 1\nc = 2\n";
    char *events = read_all(file, sizeof file - 1);

    cr_assert_str_eq(events, "1 [s]\n2 ERROR a NUL byte\n3 s.c=2\n");
    free(events);
}
