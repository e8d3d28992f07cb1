/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin endpoint as a whole: its thread, its socket file, its pages. The linker leads
 * event_base_dispatch() here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/http.h"
#include "unit/core/capture.h"

static bool loop_fails;
int __real_event_base_dispatch(struct event_base *base);
int __wrap_event_base_dispatch(struct event_base *base);

int __wrap_event_base_dispatch(struct event_base *base)
{
    return loop_fails ? -1 : __real_event_base_dispatch(base);
}

static int page_one(void *arg, FILE *out)
{
    (void)fputs(arg, out);
    return 200;
}

static int page_two(void *arg, FILE *out)
{
    (void)arg;
    (void)fputs("not yet\n", out);
    return 503;
}

static int page_other(void *arg, FILE *out)
{
    (void)arg;
    (void)fputs("the other\n", out);
    return 200;
}

static const struct admin_page pages[] = {{"/one", "text/one", page_one, NULL},
                                          {"/two", "text/two", page_two, NULL},
                                          {"/both", "text/plain; a=b", page_one, "text/plain"},
                                          {"/both", "x/other; a=b", page_other, "x/other"},
                                          {NULL, NULL, NULL, NULL}};

static char folder[] = "/tmp/admin-XXXXXX";
static char path[64], text[80];
static struct host_conf conf;

static void make_conf(void)
{
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(text, sizeof text, "unix:%s", path);
    conf = (struct host_conf){.has_admin = true, .admin = {.text = text, .path = path}};
}

/* What comes for a request, to the end of the stream. */
static const char *ask(const char *request)
{
    static char got[4096];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n = 0;
    ssize_t more;

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cr_assert_eq(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    while ((more = recv(fd, got + n, sizeof got - 1 - n, 0)) > 0)
        n += (size_t)more;
    got[n] = '\0';
    (void)close(fd);
    return got;
}

static bool has(const char *answer, const char *what)
{
    return strstr(answer, what) != NULL;
}

static bool begins(const char *answer, const char *what)
{
    return strncmp(answer, what, strlen(what)) == 0;
}

static bool ends(const char *answer, const char *what)
{
    return strlen(answer) >= strlen(what) &&
           strcmp(answer + strlen(answer) - strlen(what), what) == 0;
}

Test(admin, answers, .timeout = 30)
{
    static char said[] = "said\n";
    struct admin *admin;
    struct stat st;
    const char *got;

    make_conf();
    cr_assert_eq(admin_start(&conf, pages, said, &admin), 0);
    cr_assert_not_null(admin);
    got = ask("GET /one?x HTTP/1.0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 200 OK\r\nDate: ") && ends(got, "\r\n\r\nsaid\n"), "%s", got);
    cr_assert(has(got, "\r\nContent-Type: text/one\r\nContent-Length: 5\r\n"), "%s", got);
    cr_assert(has(got, "\r\nConnection: close\r\n"));
    got = ask("HEAD /one HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    cr_assert(has(got, "\r\nContent-Length: 5\r\n") && ends(got, "\r\n\r\n"), "%s", got);
    got = ask("GET /two HTTP/1.0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 503 ") && ends(got, "\r\n\r\nnot yet\n"), "%s", got);
    got = ask("GET /on HTTP/1.0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 404 ") && ends(got, "\r\n\r\n/one\n/two\n/both\n"), "%s", got);
    /* issue 11, 3.2: of two forms of a page the reader chooses */
    got = ask("GET /both HTTP/1.0\r\nAccept: */*\r\n\r\n");
    cr_assert(has(got, "Content-Type: text/plain; a=b\r\n") && ends(got, "\r\n\r\nsaid\n"), "%s",
              got);
    got = ask("GET /both HTTP/1.0\r\naccept: x/other;q=0.6, text/plain;q=0.5\r\n\r\n");
    cr_assert(has(got, "Content-Type: x/other; a=b\r\n") && ends(got, "the other\n"), "%s", got);
    got = ask("GET /both HTTP/1.0\r\nAccept: x/other;q=0.5, text/plain;q=0.6\r\n\r\n");
    cr_assert(ends(got, "\r\n\r\nsaid\n"), "%s", got);
    got = ask("GET /both HTTP/1.0\r\nAccept: x/none\r\n\r\n"); /* better than nothing */
    cr_assert(ends(got, "\r\n\r\nsaid\n"), "%s", got);
    got = ask("POST /one HTTP/1.0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 405 ") && has(got, "\r\nAllow: GET, HEAD\r\n"), "%s", got);
    admin_stop(admin);
    cr_assert_neq(lstat(path, &st), 0, "its socket file is gone");
    (void)rmdir(folder);
}

Test(admin, is_off, .timeout = 30)
{
    struct admin *admin = (struct admin *)(void *)&conf;

    cr_assert_eq(admin_start(&conf, pages, NULL, &admin), 0);
    cr_assert_null(admin);
    admin_stop(admin);
}

Test(admin, cannot_listen, .timeout = 30)
{
    struct admin *admin;

    make_conf();
    (void)rmdir(folder);
    cr_assert_eq(admin_start(&conf, pages, NULL, &admin), -1);
    cr_assert_null(admin);
}

/* 9.2: nobody answers from then on, which is an error. */
Test(admin, a_loop_that_fails_is_an_error, .timeout = 30)
{
    struct admin *admin;
    struct capture cap;
    char lines[1000];

    make_conf();
    loop_fails = true;
    capture_begin(&cap);
    cr_assert_eq(admin_start(&conf, pages, NULL, &admin), 0);
    admin_stop(admin);
    (void)capture_end(&cap, lines, sizeof lines);
    cr_assert_not_null(strstr(lines, "level=error component=admin"), "%s", lines);
    cr_assert_not_null(strstr(lines, "event loop failed"), "%s", lines);
    (void)rmdir(folder);
}
