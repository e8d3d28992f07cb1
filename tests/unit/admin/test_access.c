/* SPDX-License-Identifier: Apache-2.0 */
/* issue 13, 3: who may have which page: a table of cases. */
#include <criterion/criterion.h>
#include <string.h>

#include "admin/access.h"

#define TOKEN "a-token-of-24-characters"
#define BEARER "Bearer " TOKEN

static const char *const names[] = {"admin.example", "Other", NULL};

static struct spoe_span span(const char *text)
{
    return (struct spoe_span){text, text != NULL ? strlen(text) : 0};
}

enum { UNIX = ACCESS_FROM_UNIX, LOOP = ACCESS_FROM_LOOPBACK, ELSE = ACCESS_FROM_ELSEWHERE };

/* Of a page whose GET and POST are of one class. */
struct ask {
    int status;
    enum access_class class;
    int from;
    bool has_token;     /* whether one is configured */
    const char *method; /* NULL: GET */
    const char *host, *authorization, *origin, *site, *type;
    bool forwarded;
};

static struct access_answer decide(const struct ask *c)
{
    const struct access_rules rules = {.token = span(c->has_token ? TOKEN : NULL), .hosts = names};
    const struct access_page page = {
        .can_get = true, .can_post = true, .get = c->class, .post = c->class};
    const struct http_request request = {.method = c->method == NULL                ? HTTP_GET
                                                   : strcmp(c->method, "POST") == 0 ? HTTP_POST
                                                                                    : HTTP_OTHER,
                                         .host = span(c->host),
                                         .authorization = span(c->authorization),
                                         .origin = span(c->origin),
                                         .fetch_site = span(c->site),
                                         .content_type = span(c->type),
                                         .forwarded = c->forwarded};

    return access_decide(&rules, (enum access_from)c->from, &request, &page);
}

#define CASE(want, of, where, ...)                                                                 \
    {                                                                                              \
        .status = want, .class = ACCESS_##of, .from = where, __VA_ARGS__                           \
    }
#define HOST .host = "localhost:9902"
#define POST .method = "POST", .type = "application/json"

/* clang-format off */
static const struct ask cases[] = {
    /* metrics and health: everybody, by any Host, whatever else is said */
    CASE(200, OPEN, ELSE, .host = "evil.example"),
    CASE(200, OPEN, ELSE, .host = NULL),
    CASE(200, OPEN, ELSE, .host = "evil.example", .origin = "http://evil.example", .site = "cross-site"),
    CASE(200, OPEN, LOOP, .has_token = true, HOST, .authorization = "Bearer wrong"),
    /* counters and options: everybody, by a Host that is expected */
    CASE(200, HOST, ELSE, .host = "localhost"),
    CASE(200, HOST, ELSE, .host = "LocalHost:1"),
    CASE(200, HOST, ELSE, .host = "10.0.0.1"),
    CASE(200, HOST, ELSE, .host = "10.0.0.1:9902"),
    CASE(200, HOST, ELSE, .host = "[::1]"),
    CASE(200, HOST, ELSE, .host = "[2001:db8::1]:9902"),
    CASE(200, HOST, ELSE, .host = "Admin.example:443"),
    CASE(200, HOST, ELSE, .host = "other"),
    CASE(200, HOST, ELSE, .host = "localhost:"),
    CASE(421, HOST, LOOP, .host = "evil.example"),
    CASE(421, HOST, LOOP, .host = "evil.example:9902"),
    CASE(421, HOST, UNIX, .host = "evil.example"),
    CASE(421, HOST, LOOP, .host = ""),
    CASE(421, HOST, LOOP, .host = ":9902"),
    CASE(421, HOST, LOOP, .host = NULL),
    CASE(421, HOST, LOOP, .host = "localhost.evil.example"),
    CASE(421, HOST, LOOP, .host = "evil.localhost"),
    CASE(421, HOST, LOOP, .host = "localhost:x"),
    CASE(421, HOST, LOOP, .host = "localhost:80:80"),
    CASE(421, HOST, LOOP, .host = "evil@localhost"),
    CASE(421, HOST, LOOP, .host = "localhost,evil.example"),
    CASE(421, HOST, LOOP, .host = "10.0.0.1.evil.example"),
    CASE(421, HOST, LOOP, .host = "127.1"),
    CASE(421, HOST, LOOP, .host = "::1"),
    CASE(421, HOST, LOOP, .host = "[::1"),
    CASE(421, HOST, LOOP, .host = "[]"),
    CASE(421, HOST, LOOP, .host = "[::1]x"),
    CASE(421, HOST, LOOP, .host = "[evil.example]"),
    CASE(421, HOST, LOOP, .host = "[127.0.0.1]"),
    CASE(421, HOST, LOOP, .host = "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"),
    CASE(421, HOST, LOOP, .host = "admin.example.evil"),
    CASE(200, HOST, ELSE, HOST, .site = "cross-site"), /* a link leads to them */
    CASE(403, HOST, ELSE, HOST, POST, .site = "cross-site"), /* a form does not */
    /* what requests hold, without a token: a unix socket, or loopback */
    CASE(200, REQUESTS, UNIX, HOST),
    CASE(200, REQUESTS, LOOP, HOST),
    CASE(403, REQUESTS, ELSE, HOST),
    CASE(403, REQUESTS, ELSE, HOST, .authorization = BEARER),
    CASE(200, REQUESTS, LOOP, HOST, .authorization = "Basic eA=="), /* somebody else's */
    CASE(421, REQUESTS, LOOP, .host = "evil.example:9902"), /* DNS rebinding */
    CASE(421, REQUESTS, UNIX, .host = "evil.example"),
    CASE(403, REQUESTS, LOOP, HOST, .forwarded = true), /* a proxy's loopback is nobody's */
    CASE(200, REQUESTS, UNIX, HOST, .forwarded = true),
    /* with one: a unix socket, or with it */
    CASE(200, REQUESTS, UNIX, .has_token = true, HOST),
    CASE(401, REQUESTS, LOOP, .has_token = true, HOST),
    CASE(200, REQUESTS, LOOP, .has_token = true, HOST, .authorization = BEARER),
    CASE(200, REQUESTS, LOOP, .has_token = true, HOST, .authorization = BEARER, .forwarded = true),
    CASE(200, REQUESTS, ELSE, .has_token = true, HOST, .authorization = BEARER),
    CASE(200, REQUESTS, ELSE, .has_token = true, HOST, .authorization = "bearer  " TOKEN),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = TOKEN),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = "Bearer"),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = "Bearer "),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = "Bearer a-token-of-24-character"),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = BEARER "s"),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = BEARER TOKEN),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = "Bearer A-token-of-24-characters"),
    CASE(401, REQUESTS, ELSE, .has_token = true, HOST, .authorization = "Basic " TOKEN),
    CASE(401, REQUESTS, UNIX, .has_token = true, HOST, .authorization = "Bearer wrong"), /* a mistake is told */
    CASE(421, REQUESTS, ELSE, .has_token = true, .host = "evil.example", .authorization = BEARER),
    /* a browser's requests: of our own page, or by the user's hand */
    CASE(200, REQUESTS, LOOP, HOST, .origin = "http://localhost:9902", .site = "same-origin"),
    CASE(200, REQUESTS, LOOP, HOST, .origin = "HTTP://LOCALHOST:9902"),
    CASE(200, REQUESTS, LOOP, .host = "admin.example", .origin = "https://admin.example"),
    CASE(200, REQUESTS, LOOP, HOST, .site = "none"),
    CASE(403, REQUESTS, LOOP, HOST, .site = "cross-site"),
    CASE(403, REQUESTS, LOOP, HOST, .site = "same-site"),
    CASE(403, REQUESTS, LOOP, HOST, .site = ""),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "http://localhost:3000"),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "http://localhost"),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "http://evil.example"),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "null"),
    CASE(403, REQUESTS, LOOP, HOST, .origin = ""),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "ftp://localhost:9902"),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "http://localhost:9902/"),
    CASE(403, REQUESTS, LOOP, HOST, .origin = "http://127.0.0.1:9902"),
    /* its start, by POST */
    CASE(200, REQUESTS, LOOP, HOST, POST),
    CASE(403, REQUESTS, ELSE, HOST, POST),
    CASE(415, REQUESTS, LOOP, HOST, .method = "POST"),
    /* changes: a unix socket, or the token; loopback alone does not do */
    CASE(200, CHANGE, UNIX, HOST, POST),
    CASE(200, CHANGE, UNIX, .has_token = true, HOST, POST),
    CASE(403, CHANGE, LOOP, HOST, POST),
    CASE(403, CHANGE, ELSE, HOST, POST),
    CASE(403, CHANGE, LOOP, HOST, POST, .authorization = BEARER),
    CASE(401, CHANGE, LOOP, .has_token = true, HOST, POST),
    CASE(401, CHANGE, LOOP, .has_token = true, HOST, POST, .authorization = "Bearer wrong"),
    CASE(401, CHANGE, UNIX, .has_token = true, HOST, POST, .authorization = "Bearer wrong"),
    CASE(200, CHANGE, LOOP, .has_token = true, HOST, POST, .authorization = BEARER),
    CASE(200, CHANGE, ELSE, .has_token = true, HOST, POST, .authorization = BEARER),
    CASE(421, CHANGE, UNIX, .host = "evil.example", POST),
    CASE(403, CHANGE, UNIX, HOST, POST, .origin = "http://evil.example"),
    CASE(403, CHANGE, ELSE, .has_token = true, HOST, POST, .authorization = BEARER, .origin = "null"),
    CASE(200, CHANGE, UNIX, HOST, .method = "POST", .type = "Application/JSON ; charset=utf-8"),
    CASE(415, CHANGE, UNIX, HOST, .method = "POST"),
    CASE(415, CHANGE, UNIX, HOST, .method = "POST", .type = ""),
    CASE(415, CHANGE, UNIX, HOST, .method = "POST", .type = "text/plain"),
    CASE(415, CHANGE, UNIX, HOST, .method = "POST", .type = "text/plain; application/json"),
    CASE(415, CHANGE, UNIX, HOST, .method = "POST", .type = "application/x-www-form-urlencoded"),
    CASE(415, CHANGE, UNIX, HOST, .method = "POST", .type = "application/jsonp"),
    CASE(401, CHANGE, ELSE, .has_token = true, HOST, .method = "POST", .type = "text/plain"),
    CASE(405, CHANGE, UNIX, HOST, .method = "PUT"),
    CASE(405, OPEN, UNIX, .host = "evil.example", .method = "PUT"),
};
/* clang-format on */

Test(access, table, .timeout = 30)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct access_answer got = decide(&cases[i]);

        cr_assert_eq(got.status, cases[i].status, "case %zu: %d, not %d", i, got.status,
                     cases[i].status);
        cr_assert_eq(got.text == NULL, got.status == 200, "case %zu", i);
        cr_assert_eq(got.headers != NULL && strstr(got.headers, "WWW-Authenticate: Bearer") != NULL,
                     got.status == 401, "case %zu", i);
        cr_assert(got.headers == NULL ||
                  strcmp(got.headers + strlen(got.headers) - 2, "\r\n") == 0);
    }
}

/* 405 names what there is. */
Test(access, methods, .timeout = 30)
{
    static const struct {
        bool get, post;
        enum http_method method;
        const char *allow; /* NULL: it is allowed */
    } ways[] = {{true, false, HTTP_GET, NULL},
                {true, false, HTTP_HEAD, NULL},
                {true, false, HTTP_POST, "Allow: GET, HEAD\r\n"},
                {true, false, HTTP_OTHER, "Allow: GET, HEAD\r\n"},
                {false, true, HTTP_GET, "Allow: POST\r\n"},
                {false, true, HTTP_HEAD, "Allow: POST\r\n"},
                {false, true, HTTP_POST, NULL},
                {true, true, HTTP_OTHER, "Allow: GET, HEAD, POST\r\n"},
                {true, true, HTTP_POST, NULL}};
    const struct access_rules rules = {.hosts = NULL};

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct access_page page = {.can_get = ways[i].get, .can_post = ways[i].post};
        const struct http_request request = {.method = ways[i].method,
                                             .host = span("localhost"),
                                             .content_type = span("application/json")};
        const struct access_answer got = access_decide(&rules, ACCESS_FROM_UNIX, &request, &page);

        cr_assert_eq(got.status, ways[i].allow != NULL ? 405 : 200, "way %zu", i);
        if (ways[i].allow != NULL)
            cr_assert_str_eq(got.headers, ways[i].allow);
    }
}
