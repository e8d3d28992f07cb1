/* SPDX-License-Identifier: Apache-2.0 */
/* 2.14: heads of requests, by status; each is also tried at every length. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http_request.h"

struct good {
    const char *head;
    enum http_method method;
    const char *path;
    bool keep_alive;
    size_t body_len;
};

Test(http_request, takes, .timeout = 30)
{
    static const struct good cases[] = {
        {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_GET, "/metrics", true, 0},
        {"GET /metrics HTTP/1.1\nHost: a\n\n", HTTP_GET, "/metrics", true, 0},
        {"\r\n\r\nHEAD / HTTP/1.1\r\nhOST:\r\n\r\n", HTTP_HEAD, "/", true, 0},
        {"GET /a?b=/c#d HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_GET, "/a", true, 0},
        {"GET http://h:1/a?b HTTP/1.1\r\nHost: h:1\r\n\r\n", HTTP_GET, "/a", true, 0},
        {"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_GET, "/", true, 0},
        {"GET HTTP://h/a HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_GET, "/a", true, 0},
        {"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_GET, "http://", true, 0}, /* no host */
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_OTHER, "*", true, 0},
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_OTHER, "/", true, 0},
        {"GETS / HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_OTHER, "/", true, 0},
        {"GET / HTTP/1.0\r\n\r\n", HTTP_GET, "/", false, 0},
        {"GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", HTTP_GET, "/", true, 0},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", HTTP_GET, "/", false, 0},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", HTTP_GET, "/", false, 0},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", HTTP_GET, "/", true, 0},
        {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", HTTP_GET, "/", true, 0},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\n\r\n", HTTP_POST, "/", true, 4096},
        {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", HTTP_OTHER, "/", true, 1},
        {"GET / HTTP/1.1\r\nHost: h\r\ncontent-length:\t007 \r\n\r\n", HTTP_GET, "/", true, 7},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: \t\r\nY: a:b\x80\xff\r\n\r\n", HTTP_GET, "/", true, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct good *c = &cases[i];
        const size_t n = strlen(c->head);
        struct http_request got;

        for (size_t len = 0; len < n; len++) {
            char *exactly = malloc(len + 1); /* ASan sees a byte too many */

            memcpy(exactly + 1, c->head, len);
            cr_assert_eq(http_request_parse(exactly + 1, len, &got), 0, "case %zu at %zu", i, len);
            free(exactly);
        }
        cr_assert_eq(http_request_parse(c->head, n, &got), (int)n, "case %zu", i);
        cr_assert_eq(got.method, c->method, "case %zu", i);
        cr_assert_eq(got.path.n, strlen(c->path), "case %zu", i);
        cr_assert_eq(memcmp(got.path.p, c->path, got.path.n), 0, "case %zu", i);
        cr_assert_eq(got.keep_alive, c->keep_alive, "case %zu", i);
        cr_assert_eq(got.body_len, c->body_len, "case %zu", i);
    }
}

Test(http_request, refuses, .timeout = 30)
{
    static const struct {
        int status;
        const char *head;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"}, /* 2.14: no Host */
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
        {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n"},
        {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"},
        /* issue 13, 3: of what decides who may have a page there is one */
        {400, "GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site:\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization:\r\nAuthorization: Bearer a\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1x1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.x\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/x.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\r\nHost: a\r\n\r\n"},
        {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "nonsense\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"},
    };
    struct http_request got;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(http_request_parse(cases[i].head, strlen(cases[i].head), &got),
                     -cases[i].status, "case %zu", i);
}

/* issue 13, 3: what decides who may have a page. */
Test(http_request, reads_who_asks, .timeout = 30)
{
    static const char head[] = "POST http://t:1/a HTTP/1.1\r\nHost: h\r\nOrigin: o\r\n"
                               "Authorization: Bearer x\r\nsec-fetch-site:\tcross-site\r\n"
                               "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n";
    static const char proxied[] = "GET / HTTP/1.1\r\nHost: h:2\r\nX-Forwarded-For: a\r\n\r\n";
    static const char bare[] = "GET http:///a HTTP/1.0\r\n\r\n";
    struct http_request got;

#define IS(span, text) cr_assert(span.n == strlen(text) && memcmp(span.p, text, span.n) == 0)
    cr_assert_gt(http_request_parse(head, strlen(head), &got), 0);
    IS(got.host, "t:1"); /* RFC 9112 3.2.2 */
    IS(got.origin, "o");
    IS(got.authorization, "Bearer x");
    IS(got.fetch_site, "cross-site");
    IS(got.content_type, "application/json");
    cr_assert(got.has_length && !got.forwarded);
    cr_assert_gt(http_request_parse(proxied, strlen(proxied), &got), 0);
    IS(got.host, "h:2");
    cr_assert(got.forwarded && !got.has_length);
    cr_assert(got.origin.p == NULL && got.authorization.p == NULL && got.fetch_site.p == NULL);
    cr_assert_gt(http_request_parse(bare, strlen(bare), &got), 0);
    cr_assert_eq(got.host.n, 0);
}

/* A proxy's loopback is nobody's, whichever of its header fields it has. */
Test(http_request, knows_proxies, .timeout = 30)
{
    static const struct {
        const char *field;
        bool forwarded;
    } cases[] = {{"Forwarded: for=a", true},   {"via: 1.1 x", true},
                 {"X-Real-IP: a", true},       {"X-Forwarded-Host: a", true},
                 {"x-forwarded-proto:", true}, {"X-Forwarded: a", false},
                 {"Viaduct: a", false}};
    struct http_request got;
    char head[128];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n",
                       cases[i].field);
        cr_assert_gt(http_request_parse(head, strlen(head), &got), 0);
        cr_assert_eq(got.forwarded, cases[i].forwarded, "%s", cases[i].field);
    }
}

/* The exact limit and one more, in one field and in many. */
Test(http_request, has_a_limit, .timeout = 30)
{
    static char head[HTTP_HEAD_MAX + 2];
    static const char begin[] = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    struct http_request got;

    for (size_t over = 0; over <= 1; over++) {
        const size_t n = HTTP_HEAD_MAX + over;

        memset(head, 'x', n);
        memcpy(head, begin, sizeof begin - 1);
        memcpy(head + n - 4, "\r\n\r\n", 4);
        cr_assert_eq(http_request_parse(head, n, &got), over ? -431 : (int)n);
    }
    memset(head, 'x', sizeof head);
    cr_assert_eq(http_request_parse(head, HTTP_HEAD_MAX - 1, &got), 0);
    cr_assert_eq(http_request_parse(head, HTTP_HEAD_MAX, &got), -431);
}
