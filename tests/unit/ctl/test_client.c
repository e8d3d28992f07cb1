/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one request of `spoe-host ctl`, and its limit: all that it waits for counts. The linker leads
 * getaddrinfo() here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/client.h"

#define SOON_NS (50 * NS_PER_MS)
#define LONG_NS (20 * NS_PER_S)
#define QUEUE_MAX 16u

static sem_t let_go, gone;
static bool hangs;

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    int result;

    if (hangs)
        (void)sem_wait(&let_go);
    result = __real_getaddrinfo(name, service, hints, ret);
    (void)sem_post(&gone);
    return result;
}

static struct client_answer answer;
static struct error error;

static int ask(const struct client *client, int64_t limit_ns)
{
    error.text[0] = '\0';
    return client_ask(client, "/", NULL, clock_mono_ns() + limit_ns, &answer, &error);
}

/* A name server that does not answer. What the lookup finds afterwards is freed (LeakSanitizer). */
Test(client, the_lookup_of_a_name_is_limited, .timeout = 30)
{
    const struct client client = {.host = "127.0.0.1", .port = "1"};

    cr_assert_eq(sem_init(&let_go, 0, 0), 0);
    cr_assert_eq(sem_init(&gone, 0, 0), 0);
    hangs = true;
    cr_assert_eq(ask(&client, SOON_NS), -1);
    cr_assert_str_eq(error.text, "its name is not found in time");
    (void)sem_post(&let_go);
    (void)sem_wait(&gone);
    hangs = false;
    cr_assert_eq(ask(&client, LONG_NS), -1);
    cr_assert_str_eq(error.text, "Connection refused");
}

Test(client, a_name_that_is_none_is_said, .timeout = 30)
{
    const struct client client = {.host = "127.0.0.1", .port = "no such service"};

    cr_assert_eq(sem_init(&gone, 0, 0), 0);
    cr_assert_eq(ask(&client, LONG_NS), -1);
    cr_assert_not_null(strstr(error.text, "not supported"), "%s", error.text);
}

/* ---- a backlog that is full ---- */

static char path[64];
static int listener, queued[QUEUE_MAX];
static unsigned n_queued;

/* A unix socket on which nobody is accepted, and no room is left. */
static void fill_backlog(void)
{
    static char folder[] = "/tmp/client-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *sa = (const struct sockaddr *)(const void *)&address;

    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, sa, sizeof address), 0);
    cr_assert_eq(listen(listener, 0), 0);
    for (;; n_queued++) {
        cr_assert_lt(n_queued, QUEUE_MAX);
        queued[n_queued] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(queued[n_queued], sa, sizeof address) != 0)
            break;
    }
    (void)close(queued[n_queued]);
}

static void empty_backlog(void)
{
    while (n_queued > 0)
        (void)close(queued[--n_queued]);
    (void)close(listener);
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
}

Test(client, a_full_backlog_is_waited_for_as_long_as_there_is_time, .timeout = 30)
{
    const struct client client = {.path = path};

    fill_backlog();
    cr_assert_eq(ask(&client, SOON_NS), -1);
    cr_assert_str_eq(error.text, "it does not answer in time");
    cr_assert_eq(ask(&client, 0), -1);
    cr_assert_str_eq(error.text, "it does not answer in time");
    empty_backlog();
}

/* Takes all that have come, and answers the last. */
static void *serve(void *arg)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
    char request[1024];
    int fd;

    (void)arg;
    for (unsigned i = 0; i < n_queued; i++)
        (void)close(accept(listener, NULL, NULL));
    fd = accept(listener, NULL, NULL);
    (void)recv(fd, request, sizeof request, 0);
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    (void)close(fd);
    return NULL;
}

Test(client, is_answered_once_there_is_room, .timeout = 30)
{
    const struct client client = {.path = path};
    pthread_t thread;

    fill_backlog();
    cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    cr_assert_eq(ask(&client, LONG_NS), 0, "%s", error.text);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(answer.status, 200);
    cr_assert_str_eq(answer.text, "yes");
    client_answer_fini(&answer);
    empty_backlog();
}
