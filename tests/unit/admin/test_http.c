/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin endpoint as a whole: its thread, its socket file, its pages. The linker leads
 * event_base_dispatch() here (--wrap, see CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdatomic.h>
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

static int page_post(void *arg, const struct admin_post *post, FILE *out)
{
    (void)arg;
    (void)fprintf(out, "%.*s by %s", (int)post->body.n, post->body.p, post->who);
    return post->body.n == 0 ? 422 : 200;
}

#define PAGE(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
static const struct admin_page pages[] = {
    PAGE(.path = "/one", .content_type = "text/one", .write = page_one),
    PAGE(.path = "/two", .content_type = "text/two", .write = page_two),
    PAGE(.path = "/both", .content_type = "text/plain; a=b", .write = page_one,
         .media_type = "text/plain"),
    PAGE(.path = "/both", .content_type = "x/other; a=b", .write = page_other,
         .media_type = "x/other"),
    PAGE(.path = "/change", .content_type = "text/change", .write = page_one, .post = page_post,
         .post_access = ACCESS_CHANGE, .headers = "X-Mine: yes\r\n"),
    PAGE(.path = NULL)};

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

/* @return the connection */
static int send_to(const char *request)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cr_assert_eq(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    return fd;
}

/* What comes, to the end of the stream. */
static const char *read_from(int fd)
{
    static char got[4096];
    size_t n = 0;
    ssize_t more;

    while ((more = recv(fd, got + n, sizeof got - 1 - n, 0)) > 0)
        n += (size_t)more;
    got[n] = '\0';
    (void)close(fd);
    return got;
}

static const char *ask(const char *request)
{
    return read_from(send_to(request));
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
    cr_assert(begins(got, "HTTP/1.1 404 ") && ends(got, "\r\n\r\n/one\n/two\n/both\n/change\n"),
              "%s", got);
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
    /* issue 13, 3: a POST, which says who asks */
#define POST "POST /change HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
#define JSON "Content-Type: application/json\r\n"
    got = ask(POST JSON "Content-Length: 3\r\n\r\nabc");
    cr_assert(begins(got, "HTTP/1.1 200 OK\r\n") && has(got, "\r\nX-Mine: yes\r\n"), "%s", got);
    cr_assert(has(got, "Content-Type: text/change\r\n") && has(got, "\r\n\r\nabc by uid "), "%s",
              got);
    got = ask(POST JSON "Content-Length: 0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 422 ") && has(got, "Content-Type: text/plain"), "%s", got);
    got = ask(POST JSON "\r\n");
    cr_assert(begins(got, "HTTP/1.1 411 "), "%s", got);
    got = ask(POST "Content-Length: 3\r\n\r\nabc");
    cr_assert(begins(got, "HTTP/1.1 415 "), "%s", got);
    got = ask(POST JSON "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
    cr_assert(begins(got, "HTTP/1.1 417 "), "%s", got);
    got = ask(POST JSON "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 501 "), "%s", got);
    got = ask("PUT /change HTTP/1.0\r\n\r\n");
    cr_assert(begins(got, "HTTP/1.1 405 ") && has(got, "\r\nAllow: GET, HEAD, POST\r\n"), "%s",
              got);
    got = ask(POST "Origin: http://evil.example\r\n" JSON "Content-Length: 3\r\n\r\nabc");
    cr_assert(begins(got, "HTTP/1.1 403 ") && has(got, "another origin"), "%s", got);
    cr_assert_eq(admin_set_token(admin, "sixteen-or-more-letters"), 0);
    got = ask(POST "Authorization: Bearer other\r\n" JSON "Content-Length: 3\r\n\r\nabc");
    cr_assert(begins(got, "HTTP/1.1 401 ") && has(got, "\r\nWWW-Authenticate: Bearer "), "%s", got);
    admin_stop(admin);
    cr_assert_neq(lstat(path, &st), 0, "its socket file is gone");
    (void)rmdir(folder);
}

/* ---- answers that another thread makes ---- */

static _Atomic unsigned n_asked, n_looks, n_left;
static _Atomic bool is_there;

static int post_later(void *arg, const struct admin_post *post, FILE *out)
{
    (void)arg;
    (void)post;
    (void)fputs("this is not shown", out);
    n_asked++;
    return ADMIN_LATER;
}

static int what_came(void *arg, FILE *out)
{
    (void)arg;
    if (out == NULL) {
        n_left++;
        return ADMIN_LATER;
    }
    n_looks++;
    if (!is_there)
        return ADMIN_LATER;
    (void)fputs("done\n", out);
    return 200;
}

static int make_it(void *arg, FILE *out)
{
    (void)arg;
    (void)fputs("made\n", out);
    is_there = true;
    return 200;
}

static const struct admin_page later_pages[] = {
    PAGE(.path = "/make", .content_type = "text/make", .write = make_it),
    PAGE(.path = "/one", .content_type = "text/one", .write = page_one),
    PAGE(.path = "/later", .content_type = "text/later", .write = page_one, .post = post_later,
         .later = what_came, .post_access = ACCESS_CHANGE),
    PAGE(.path = NULL)};

/* 13.3: while one waits for what another thread does, everybody else is answered. */
Test(admin, an_answer_may_come_later, .timeout = 30)
{
    static const char request[] =
        "POST /later HTTP/1.1\r\nHost: localhost\r\n" JSON "Content-Length: 2\r\n\r\n{}";
    static const char next[] = "GET /one HTTP/1.0\r\n\r\n";
    static char said[] = "said\n", both[sizeof request + sizeof next];
    struct admin *admin;
    const char *got;
    char byte;
    int waits;

    make_conf();
    cr_assert_eq(admin_start(&conf, later_pages, said, &admin), 0);
    (void)snprintf(both, sizeof both, "%s%s", request, next);
    waits = send_to(both);
    while (n_asked == 0 || n_looks < 3) {
        got = ask("GET /one HTTP/1.0\r\n\r\n");
        cr_assert(ends(got, "\r\n\r\nsaid\n"), "%s", got);
    }
    cr_assert_eq(recv(waits, &byte, 1, MSG_DONTWAIT), -1);
    (void)ask("GET /make HTTP/1.0\r\n\r\n");
    got = read_from(waits);
    cr_assert(begins(got, "HTTP/1.1 200 OK\r\n") && has(got, "Content-Type: text/later\r\n"), "%s",
              got);
    cr_assert(has(got, "Content-Length: 5\r\n") && has(got, "\r\n\r\ndone\nHTTP/1.1 200 "), "%s",
              got);
    cr_assert(ends(got, "\r\n\r\nsaid\n"), "what it asked for behind that: %s", got);
    cr_assert_eq(n_asked, 1);
    cr_assert_eq(n_left, 0);
    /* One that ends before its answer is there is told of. */
    is_there = false;
    waits = send_to(request);
    while (n_asked == 1)
        (void)ask("GET /one HTTP/1.0\r\n\r\n");
    admin_stop(admin);
    (void)close(waits);
    cr_assert_eq(n_left, 1);
    (void)rmdir(folder);
}

/* ---- a page that cannot answer yet ---- */

static _Atomic unsigned n_tries;
static _Atomic bool waits_less; /* a try came before the one that it follows */

static int post_again(void *arg, const struct admin_post *post, FILE *out)
{
    static int64_t waited_ns;

    (void)arg;
    (void)fputs("this is not shown", out);
    if ((n_tries == 0) != (post->waited_ns == 0) || post->waited_ns < waited_ns)
        waits_less = true;
    waited_ns = post->waited_ns;
    n_tries++;
    if (!is_there)
        return ADMIN_AGAIN;
    waited_ns = 0;
    n_tries = 0;
    return 200;
}

static int post_busy(void *arg, const struct admin_post *post, FILE *out)
{
    (void)arg;
    (void)post;
    (void)fputs("later\n", out);
    return ADMIN_BUSY;
}

static const struct admin_page again_pages[] = {
    PAGE(.path = "/make", .content_type = "text/make", .write = make_it),
    PAGE(.path = "/one", .content_type = "text/one", .write = page_one),
    PAGE(.path = "/again", .content_type = "text/again", .write = page_one, .post = post_again,
         .post_access = ACCESS_CHANGE),
    PAGE(.path = "/busy", .content_type = "text/busy", .write = page_one, .post = post_busy,
         .post_access = ACCESS_CHANGE, .headers = "X-Mine: yes\r\n"),
    PAGE(.path = NULL)};

/* A POST waits for its turn, body and all, and everybody else is answered. */
Test(admin, a_request_is_tried_again, .timeout = 30)
{
    static const char request[] =
        "POST /again HTTP/1.1\r\nHost: localhost\r\n" JSON "Content-Length: 2\r\n\r\n{}";
    static const char next[] = "GET /one HTTP/1.0\r\n\r\n";
    static char said[] = "said\n", thrice[2 * sizeof request + sizeof next];
    struct admin *admin;
    const char *got;
    char byte;
    int waits;

    make_conf();
    cr_assert_eq(admin_start(&conf, again_pages, said, &admin), 0);
    (void)snprintf(thrice, sizeof thrice, "%s%s%s", request, request, next);
    waits = send_to(thrice);
    while (n_tries < 3) {
        got = ask("GET /one HTTP/1.0\r\n\r\n");
        cr_assert(ends(got, "\r\n\r\nsaid\n"), "%s", got);
    }
    cr_assert_eq(recv(waits, &byte, 1, MSG_DONTWAIT), -1);
    (void)ask("GET /make HTTP/1.0\r\n\r\n");
    got = read_from(waits);
    cr_assert(begins(got, "HTTP/1.1 200 OK\r\n") && has(got, "Content-Type: text/again\r\n"), "%s",
              got);
    cr_assert(has(got, "\r\n\r\nthis is not shownHTTP/1.1 200 "), "%s", got);
    cr_assert(ends(got, "\r\n\r\nsaid\n"), "what it asked for behind that: %s", got);
    cr_assert_not(waits_less, "each begins at 0, and waits longer with each try");
    /* One that goes meanwhile, and one that says why it does not wait. */
    is_there = false;
    waits = send_to(request);
    while (n_tries == 0)
        (void)ask("GET /one HTTP/1.0\r\n\r\n");
    (void)close(waits);
    got = ask("POST /busy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" JSON
              "Content-Length: 2\r\n\r\n{}");
    cr_assert(begins(got, "HTTP/1.1 503 ") && has(got, "\r\nRetry-After: 1\r\n"), "%s", got);
    cr_assert(has(got, "Content-Type: text/plain") && ends(got, "\r\n\r\nlater\n"), "%s", got);
    admin_stop(admin);
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
