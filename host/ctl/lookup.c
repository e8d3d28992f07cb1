/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/lookup.c - see lookup.h. */
#include "ctl/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* One lookup. Whoever is the last of the two, the thread or who waits, frees it. */
struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *host, *port;
    bool done; /* the two below are set */
    bool left; /* nobody waits any more */
    int error; /* of getaddrinfo() */
    struct addrinfo *list;
};

static void destroy(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    if (lookup->list != NULL)
        freeaddrinfo(lookup->list);
    (void)pthread_cond_destroy(&lookup->changed);
    (void)pthread_mutex_destroy(&lookup->lock);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

/* @return NULL: out of memory */
static struct lookup *create(const char *host, const char *port)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    pthread_condattr_t attr;

    if (lookup == NULL)
        return NULL;
    (void)pthread_mutex_init(&lookup->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lookup->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    if (lookup->host != NULL && lookup->port != NULL)
        return lookup;
    destroy(lookup);
    return NULL;
}

static void *lookup_main(void *arg)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup = arg;
    struct addrinfo *list = NULL;
    const int error = getaddrinfo(lookup->host, lookup->port, &hints, &list);
    bool left;

    (void)pthread_mutex_lock(&lookup->lock);
    lookup->error = error;
    lookup->list = error == 0 ? list : NULL;
    lookup->done = true;
    left = lookup->left;
    (void)pthread_cond_signal(&lookup->changed);
    (void)pthread_mutex_unlock(&lookup->lock);
    if (left)
        destroy(lookup);
    return NULL;
}

/* @return 0; -1: an error, said, and nothing runs */
static int start(struct lookup *lookup, struct error *reterr)
{
    pthread_attr_t attr;
    pthread_t thread;
    int error;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attr, lookup_main, lookup);
    (void)pthread_attr_destroy(&attr);
    return error == 0 ? 0 : error_set(reterr, "thread: %s", strerror(error));
}

/* @return whether it is done; else it is the thread's alone from now on */
static bool wait_until(struct lookup *lookup, int64_t end_ns)
{
    const struct timespec ts = {.tv_sec = end_ns / NS_PER_S, .tv_nsec = end_ns % NS_PER_S};
    bool done;
    int error = 0;

    (void)pthread_mutex_lock(&lookup->lock);
    while (!lookup->done && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&lookup->changed, &lookup->lock, &ts);
    done = lookup->done;
    lookup->left = !done;
    (void)pthread_mutex_unlock(&lookup->lock);
    return done;
}

int lookup_run(const char *host, const char *port, int64_t end_ns, struct addrinfo **ret,
               struct error *reterr)
{
    struct lookup *lookup = create(host, port);
    int result = 0;

    if (lookup == NULL)
        return error_set(reterr, "out of memory");
    if (start(lookup, reterr) != 0) {
        destroy(lookup);
        return -1;
    }
    if (!wait_until(lookup, end_ns))
        return error_set(reterr, "its name is not found in time");
    if (lookup->error != 0) {
        result = error_set(reterr, "%s", gai_strerror(lookup->error));
    } else {
        *ret = lookup->list;
        lookup->list = NULL;
    }
    destroy(lookup);
    return result;
}
