/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/access.c - see access.h. */
#include "admin/access.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define ADDRESS_MAX 64u /* bytes of an address as text */

static bool is(struct spoe_span span, const char *text)
{
    return span.n == strlen(text) && strncasecmp(span.p, text, span.n) == 0;
}

static bool begins(struct spoe_span span, const char *with)
{
    return span.p != NULL && span.n >= strlen(with) && strncasecmp(span.p, with, strlen(with)) == 0;
}

/* In a time that does not say how much of it is right. */
static bool same_secret(struct spoe_span a, struct spoe_span b)
{
    unsigned differ = a.n != b.n;

    for (size_t i = 0; i < a.n; i++)
        differ |= (unsigned)(unsigned char)a.p[i] ^ (unsigned char)b.p[b.n != 0 ? i % b.n : 0];
    return differ == 0;
}

/* ---- Host -------------------------------------------------------------------------------- */

static bool is_address(int family, struct spoe_span text)
{
    char copy[ADDRESS_MAX], binary[sizeof(struct in6_addr)];

    if (text.n == 0 || text.n >= sizeof copy)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return strlen(copy) == text.n && inet_pton(family, copy, binary) == 1;
}

/* Cut the port off. @return false: what follows the host is none */
static bool cut_port(struct spoe_span authority, struct spoe_span *ret_host)
{
    const char *end = authority.p, *past;

    if (authority.n == 0)
        return false;
    past = authority.p + authority.n;
    if (*end == '[') {
        end = memchr(authority.p, ']', authority.n);
        if (end == NULL)
            return false;
        end++;
    } else {
        while (end < past && *end != ':')
            end++;
    }
    *ret_host = (struct spoe_span){authority.p, (size_t)(end - authority.p)};
    if (end < past && *end++ != ':')
        return false;
    while (end < past && *end >= '0' && *end <= '9')
        end++;
    return end == past && ret_host->n > 0;
}

bool access_host_is_expected(const struct access_rules *rules, struct spoe_span authority)
{
    struct spoe_span host;

    if (!cut_port(authority, &host))
        return false;
    if (host.p[0] == '[')
        return is_address(AF_INET6, (struct spoe_span){host.p + 1, host.n - 2});
    if (is(host, "localhost") || is_address(AF_INET, host))
        return true;
    for (const char *const *name = rules->hosts; name != NULL && *name != NULL; name++) {
        if (is(host, *name))
            return true;
    }
    return false;
}

/* ---- who asks a browser for it ----------------------------------------------------------- */

/* An origin is SCHEME://AUTHORITY. One that a proxy serves has the authority that Host has. */
static bool is_of(struct spoe_span origin, struct spoe_span authority)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t n = strlen(schemes[i]);

        if (begins(origin, schemes[i]) && origin.n - n == authority.n && authority.n > 0 &&
            strncasecmp(origin.p + n, authority.p, authority.n) == 0)
            return true;
    }
    return false;
}

/* What is no browser's has neither header field. */
static bool is_from_elsewhere(const struct http_request *request)
{
    if (request->origin.p != NULL && !is_of(request->origin, request->host))
        return true;
    return request->fetch_site.p != NULL && !is(request->fetch_site, "same-origin") &&
           !is(request->fetch_site, "none");
}

/* "application/json", with or without parameters. */
static bool is_json(struct spoe_span type)
{
    const char *end = type.n > 0 ? memchr(type.p, ';', type.n) : NULL;

    if (end != NULL)
        type.n = (size_t)(end - type.p);
    while (type.n > 0 && (type.p[type.n - 1] == ' ' || type.p[type.n - 1] == '\t'))
        type.n--;
    return is(type, "application/json");
}

/* ---- the token --------------------------------------------------------------------------- */

static bool has_token(const struct access_rules *rules, struct spoe_span authorization)
{
    static const char scheme[] = "Bearer ";
    struct spoe_span said = authorization;

    if (rules->token.n == 0 || !begins(said, scheme))
        return false;
    said.p += sizeof scheme - 1;
    said.n -= sizeof scheme - 1;
    while (said.n > 0 && said.p[0] == ' ') {
        said.p++;
        said.n--;
    }
    return same_secret(said, rules->token);
}

#define BEARER "WWW-Authenticate: Bearer realm=\"spoe-host\"\r\n"

static struct access_answer refuse(int status, const char *text, const char *headers)
{
    return (struct access_answer){.status = status, .text = text, .headers = headers};
}

static struct access_answer grant(void)
{
    return (struct access_answer){.status = 200};
}

static struct access_answer ask_for_token(const struct access_rules *rules, enum access_from from,
                                          const struct http_request *request,
                                          enum access_class class)
{
    const bool local =
        from == ACCESS_FROM_UNIX || (from == ACCESS_FROM_LOOPBACK && !request->forwarded &&
                                     class == ACCESS_REQUESTS && rules->token.n == 0);

    if (request->authorization.p != NULL && rules->token.n != 0 &&
        !has_token(rules, request->authorization)) /* wherever it comes from: a mistake is told */
        return refuse(401, "the token is not the one of admin-token-file", BEARER);
    if (local || has_token(rules, request->authorization))
        return grant();
    if (rules->token.n != 0)
        return refuse(401, "it takes the token of admin-token-file: Authorization: Bearer TOKEN",
                      BEARER);
    if (class == ACCESS_REQUESTS)
        return refuse(403,
                      "what requests hold is shown over a unix socket, to loopback, or with "
                      "a token: options admin and admin-token-file",
                      NULL);
    return refuse(403,
                  "changes are taken over a unix socket or with a token: options admin and "
                  "admin-token-file",
                  NULL);
}

struct access_answer access_decide(const struct access_rules *rules, enum access_from from,
                                   const struct http_request *request,
                                   const struct access_page *page)
{
    const bool post = request->method == HTTP_POST;
    const enum access_class class = post ? page->post : page->get;
    struct access_answer answer = grant();

    if (request->method == HTTP_OTHER || (post ? !page->can_post : !page->can_get))
        return refuse(405, "there is no such method here",
                      !page->can_post  ? "Allow: GET, HEAD\r\n"
                      : !page->can_get ? "Allow: POST\r\n"
                                       : "Allow: GET, HEAD, POST\r\n");
    if (class != ACCESS_OPEN && !access_host_is_expected(rules, request->host))
        return refuse(421,
                      "this Host is not expected here: localhost, an address, or a name of "
                      "the option admin-hosts",
                      NULL);
    if ((post || class >= ACCESS_REQUESTS) && is_from_elsewhere(request))
        return refuse(403, "a page of another origin asks for this", NULL);
    if (class >= ACCESS_REQUESTS)
        answer = ask_for_token(rules, from, request, class);
    if (answer.status == 200 && post && !is_json(request->content_type))
        return refuse(415, "a POST has Content-Type: application/json", NULL);
    return answer;
}
