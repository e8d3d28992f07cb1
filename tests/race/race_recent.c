/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that finish requests while one reads them, another looks and lets go: for the TSan build.
 * What is read is whole, and no request is read twice.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "core/recent.h"

#define THREADS 4
#define ROUNDS 20000
#define TURNS 100000

static struct recent *recent;
static _Atomic int running;

static void *finish(void *arg)
{
    char text[64];
    const struct spoe_arg attribute = {spoe_str("a"), spoe_value_str(spoe_str("b"))};
    const struct spoe_recent_part part = {.kind = SPOE_RECENT_SERVER,
                                          .name = spoe_str("GET"),
                                          .n_attributes = 1,
                                          .attributes = &attribute};
    struct spoe_recent_request request = {.size = sizeof request, .parts = &part, .n_parts = 1};

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        memset(text, 'a' + i % 26, sizeof text); /* torn, they would differ */
        request.target = (struct spoe_span){text, sizeof text};
        recent_add(recent, "race", &request);
    }
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

static void *turn(void *arg)
{
    (void)arg;
    for (int64_t i = 0; i < TURNS && atomic_load(&running) > 0; i++) {
        assert(recent_start(recent, i) == 0);
        (void)recent_look(recent, i);
        (void)recent_expire(recent, i);
        if (i % 50 == 49)
            recent_end(recent);
    }
    assert(recent_start(recent, 0) == 0);
    return NULL;
}

static uint64_t read_after(uint64_t after)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    uint64_t last;

    assert(out != NULL);
    last = recent_write(recent, after, out);
    assert(fclose(out) == 0);
    for (const char *p = text; (p = strstr(p, "\"target\":\"")) != NULL;) {
        p += strlen("\"target\":\"");
        for (size_t i = 1; i < 64; i++)
            assert(p[i] == p[0]);
    }
    for (const char *p = text; (p = strstr(p, "{\"n\":")) != NULL; p++) {
        const unsigned long long number = strtoull(p + 5, NULL, 10);

        assert(number > after && number <= last);
    }
    free(text);
    return last;
}

int main(void)
{
    pthread_t threads[THREADS], turner;
    uint64_t after = 0;

    recent = recent_create();
    assert(recent != NULL);
    assert(recent_start(recent, 0) == 0);
    atomic_store(&running, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert(pthread_create(&threads[i], NULL, finish, NULL) == 0);
    assert(pthread_create(&turner, NULL, turn, NULL) == 0);
    while (atomic_load(&running) > 0)
        after = read_after(after);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_join(turner, NULL);
    (void)read_after(after);
    assert(after > 0); /* what nobody records is no race */
    recent_destroy(recent);
    return 0;
}
