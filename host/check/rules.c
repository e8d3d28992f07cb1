/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/rules.c - see rules.h. A line is written with one write(), so that it is whole. */
#include "check/rules.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 3 /* of each rule */
#define LINE_MAX 1024

static int report_fd = -1;
static _Atomic int n_lines[N_RULES];

const char *rule_name(enum rule rule)
{
    static const char *const names[N_RULES] = {
#define X(name, text) [RULE_##name] = #name,
        RULES(X)
#undef X
    };

    return names[rule];
}

const char *rule_text(enum rule rule)
{
    static const char *const texts[N_RULES] = {
#define X(name, text) [RULE_##name] = (text),
        RULES(X)
#undef X
    };

    return texts[rule];
}

void rules_report_to(int fd)
{
    report_fd = fd;
}

void rule_broken(enum rule rule, const char *format, ...)
{
    char line[LINE_MAX];
    va_list ap;
    size_t n;

    if (atomic_fetch_add(&n_lines[rule], 1) >= LINES_MAX)
        return;
    n = (size_t)snprintf(line, sizeof line, "%s ", rule_name(rule));
    va_start(ap, format);
    (void)vsnprintf(line + n, sizeof line - n - 1, format, ap);
    va_end(ap);
    n = strlen(line);
    line[n++] = '\n';
    (void)!write(report_fd, line, n);
}

void rules_done(void)
{
    (void)!write(report_fd, "done\n", 5);
}
