/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/left.c - see left.h. */
#include "check/left.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "check/rules.h"

#define PATH_SIZE 64
#define MASK "SigBlk:"
#define TEXT_SIZE 4096
#define LOOK_AGAIN_NS (10 * NS_PER_MS)

/* A number that a folder of /proc has for a name. @return -1: another name */
static int number_of(const char *name)
{
    int number = 0;

    for (; *name >= '0' && *name <= '9' && number < 100000000; name++)
        number = number * 10 + (*name - '0');
    return *name == '\0' ? number : -1;
}

static size_t list(const char *folder, int ret[LEFT_MAX])
{
    struct dirent **entries = NULL;
    const int n_entries = scandir(folder, &entries, NULL, alphasort);
    size_t n = 0;

    for (int i = 0; i < n_entries; i++) {
        const int number = number_of(entries[i]->d_name);

        if (entries[i]->d_name[0] != '.' && number >= 0 && n < LEFT_MAX)
            ret[n++] = number;
        free(entries[i]);
    }
    free(entries);
    return n;
}

void left_look(struct left *ret)
{
    int fds[LEFT_MAX];
    const size_t n = list("/proc/self/fd", fds);

    ret->n_fds = 0;
    for (size_t i = 0; i < n; i++) {
        if (fcntl(fds[i], F_GETFD) >= 0) /* not the one that has listed them */
            ret->fds[ret->n_fds++] = fds[i];
    }
    ret->n_threads = list("/proc/self/task", ret->threads);
}

static bool has(const int *numbers, size_t n, int number)
{
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] == number)
            return true;
    }
    return false;
}

/* A thread's name; empty: it is gone. */
static void read_name(char ret[TEXT_SIZE], int thread)
{
    char path[PATH_SIZE];
    FILE *file;

    ret[0] = '\0';
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/comm", thread);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(ret, TEXT_SIZE, file) == NULL)
        ret[0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    (void)fclose(file);
}

static void read_target(char ret[TEXT_SIZE], int fd)
{
    char path[PATH_SIZE];
    ssize_t n;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, ret, TEXT_SIZE - 1);
    ret[n > 0 ? n : 0] = '\0';
}

void left_add_file(struct left *left, const char *path)
{
    static struct left now;
    char text[TEXT_SIZE];

    left_look(&now);
    for (size_t i = 0; i < now.n_fds && left->n_fds < LEFT_MAX; i++) {
        read_target(text, now.fds[i]);
        if (strcmp(text, path) == 0)
            left->fds[left->n_fds++] = now.fds[i];
    }
}

static bool is_library(const char *name, const char *const *libraries)
{
    for (size_t i = 0; libraries[i] != NULL; i++) {
        if (strncmp(name, libraries[i], strlen(libraries[i])) == 0)
            return true;
    }
    return false;
}

/* @return how many; told: the rule is broken for each */
static size_t compare(const struct left *before, const char *const *libraries, bool told)
{
    static struct left now;
    char text[TEXT_SIZE];
    size_t n = 0;

    left_look(&now);
    for (size_t i = 0; i < now.n_threads; i++) {
        read_name(text, now.threads[i]);
        if (has(before->threads, before->n_threads, now.threads[i]) || text[0] == '\0' ||
            is_library(text, libraries))
            continue;
        n++;
        if (told)
            rule_broken(RULE_left, "thread \"%s\" is left", text);
    }
    for (size_t i = 0; i < now.n_fds; i++) {
        read_target(text, now.fds[i]);
        if (has(before->fds, before->n_fds, now.fds[i]) || text[0] == '\0' ||
            is_library(text, libraries))
            continue;
        n++;
        if (told)
            rule_broken(RULE_left, "descriptor %d is left, %s", now.fds[i], text);
    }
    return n;
}

void left_compare(const struct left *before, const char *const *libraries, int64_t deadline_ns)
{
    const struct timespec pause = {0, LOOK_AGAIN_NS};

    while (compare(before, libraries, false) != 0 && clock_mono_ns() < deadline_ns)
        (void)nanosleep(&pause, NULL);
    (void)compare(before, libraries, true);
}

/* Hexadecimal digits, behind MASK. */
static uint64_t blocked_of(const char *line)
{
    uint64_t mask = 0;

    for (const char *p = line + strcspn(line, "0123456789abcdef\n"); *p != '\0' && *p != '\n'; p++)
        mask = mask << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
    return mask;
}

static bool blocks_signals(int thread)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    char path[PATH_SIZE], line[TEXT_SIZE];
    uint64_t mask = UINT64_MAX;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, MASK, strlen(MASK)) == 0)
            mask = blocked_of(line + strlen(MASK));
    }
    if (file != NULL)
        (void)fclose(file);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if ((mask >> (signals[i] - 1) & 1) == 0)
            return false;
    }
    return true;
}

void left_check_signals(const struct left *before)
{
    static struct left now;
    char text[TEXT_SIZE];

    left_look(&now);
    for (size_t i = 0; i < now.n_threads; i++) {
        if (has(before->threads, before->n_threads, now.threads[i]) ||
            blocks_signals(now.threads[i]))
            continue;
        read_name(text, now.threads[i]);
        if (text[0] != '\0')
            rule_broken(RULE_signals, "thread \"%s\" takes signals, which are the host's", text);
    }
}
