/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/race/race_log.c - one rate-limited place in the code, reached by several threads at once:
 * what is written and what is held back add up to what was logged.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define THREADS 4
#define LINES 20000
#define OPEN_EVERY 100 /* lines, after which the limit opens as if its second were over */

static struct log_limit limit;

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        if (i % OPEN_EVERY == 0)
            atomic_store(&limit.next_ns, 0);
        log_limited(&limit, SPOE_LOG_WARNING, "host", "line %d of %s", i, (const char *)arg);
    }
    return NULL;
}

/* Lines in the file, and the sum of what they say was held back before them. */
static uint64_t count(FILE *lines)
{
    uint64_t total = 0, held;
    char line[LOG_LINE_MAX + 1];

    while (fgets(line, sizeof line, lines) != NULL) {
        const char *key = strstr(line, " held=");

        held = 0;
        for (key = key != NULL ? key + strlen(" held=") : ""; *key >= '0' && *key <= '9'; key++)
            held = held * 10 + (uint64_t)(*key - '0');
        total += 1 + held;
    }
    return total;
}

int main(void)
{
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    const uint64_t want = (uint64_t)THREADS * LINES;
    const int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    FILE *lines = tmpfile();
    pthread_t threads[THREADS];
    uint64_t got;

    if (lines == NULL || saved < 0)
        return 1;
    /* O_APPEND, so that the threads' writes do not depend on one another's place */
    if (fcntl(fileno(lines), F_SETFL, O_APPEND) != 0 || dup2(fileno(lines), STDERR_FILENO) < 0)
        return 1;
    log_init(SPOE_LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, log_many, names[i]) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_join(threads[i], NULL) != 0)
            return 1;
    (void)dup2(saved, STDERR_FILENO);

    rewind(lines);
    got = count(lines) + atomic_load(&limit.held); /* the last ones wait for a next line */
    (void)fclose(lines);
    if (got != want) {
        (void)fprintf(stderr, "got %" PRIu64 " lines, want %" PRIu64 "\n", got, want);
        return 1;
    }
    return 0;
}
