/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/http_request.c - the head of an HTTP request, read from bytes. */
#include "admin/http_request.h"

#include <string.h>
#include <strings.h>

/* What is left to read of the head. */
struct reader {
    const char *p, *end;
};

/* What the header fields have said so far. */
struct fields {
    unsigned n_hosts;
    bool has_length, close, keep_alive;
    size_t length;
    struct spoe_span accept, host;
    struct http_request *ret; /* those that it has by their names */
};

static bool is(struct spoe_span span, const char *text)
{
    return span.n == strlen(text) && strncasecmp(span.p, text, span.n) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110 5.6.2 */
static bool is_token(struct spoe_span span)
{
    for (size_t i = 0; i < span.n; i++) {
        const char c = span.p[i];

        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return span.n > 0;
}

/* The next line, without its end. @return false: there is no whole one */
static bool next_line(struct reader *reader, struct spoe_span *ret)
{
    const char *end = memchr(reader->p, '\n', (size_t)(reader->end - reader->p));

    if (end == NULL)
        return false;
    *ret = (struct spoe_span){reader->p, (size_t)(end - reader->p)};
    if (ret->n > 0 && ret->p[ret->n - 1] == '\r')
        ret->n--;
    reader->p = end + 1;
    return true;
}

/* Cut off what is before the first `c`. @return false: there is none */
static bool cut(struct spoe_span *rest, char c, struct spoe_span *ret)
{
    const char *at = rest->n != 0 ? memchr(rest->p, c, rest->n) : NULL;

    if (at == NULL)
        return false;
    *ret = (struct spoe_span){rest->p, (size_t)(at - rest->p)};
    rest->n -= ret->n + 1;
    rest->p = at + 1;
    return true;
}

static struct spoe_span trim(struct spoe_span span)
{
    while (span.n > 0 && (span.p[0] == ' ' || span.p[0] == '\t')) {
        span.p++;
        span.n--;
    }
    while (span.n > 0 && (span.p[span.n - 1] == ' ' || span.p[span.n - 1] == '\t'))
        span.n--;
    return span;
}

/* The path of a request's target: "/path?query", or "http://host/path?query", whose host counts
 * (RFC 9112 3.2.2). */
static struct spoe_span path_of(struct spoe_span target, struct spoe_span *ret_host)
{
    static const char scheme[] = "http://";
    const size_t n = sizeof scheme - 1;
    size_t len = 0;

    if (target.n > n && strncasecmp(target.p, scheme, n) == 0) {
        const char *slash = memchr(target.p + n, '/', target.n - n);

        *ret_host = (struct spoe_span){target.p + n, slash != NULL ? (size_t)(slash - target.p) - n
                                                                   : target.n - n};
        if (slash == NULL)
            return (struct spoe_span){"/", 1};
        target.n -= (size_t)(slash - target.p);
        target.p = slash;
    }
    while (len < target.n && target.p[len] != '?' && target.p[len] != '#')
        len++;
    return (struct spoe_span){target.p, len};
}

static int parse_request_line(struct spoe_span line, struct http_request *ret, bool *ret_is_1_0)
{
    struct spoe_span method, target;

    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || !is_token(method) ||
        target.n == 0 || memchr(line.p, ' ', line.n) != NULL)
        return -400;
    for (size_t i = 0; i < target.n; i++) {
        const unsigned char c = (unsigned char)target.p[i];

        if (c <= ' ' || c >= 0x7f)
            return -400;
    }
    if (line.n != 8 || memcmp(line.p, "HTTP/", 5) != 0 || !is_digit(line.p[5]) ||
        line.p[6] != '.' || !is_digit(line.p[7]))
        return -400;
    if (line.p[5] != '1')
        return -505;
    *ret_is_1_0 = line.p[7] == '0';
    ret->method = method.n == 3 && memcmp(method.p, "GET", 3) == 0    ? HTTP_GET
                  : method.n == 4 && memcmp(method.p, "HEAD", 4) == 0 ? HTTP_HEAD
                  : method.n == 4 && memcmp(method.p, "POST", 4) == 0 ? HTTP_POST
                                                                      : HTTP_OTHER;
    ret->path = path_of(target, &ret->host);
    return ret->path.n > 0 ? 0 : -400;
}

static int parse_length(struct fields *fields, struct spoe_span value)
{
    size_t length = 0;

    if (fields->has_length || value.n == 0)
        return -400; /* two of them, even if they agree: somebody else may have taken the other */
    for (size_t i = 0; i < value.n; i++) {
        if (!is_digit(value.p[i]))
            return -400;
        length = length * 10 + (size_t)(value.p[i] - '0');
        if (length > HTTP_BODY_MAX)
            length = HTTP_BODY_MAX + 1; /* further digits change nothing */
    }
    fields->has_length = true;
    fields->length = length;
    return 0;
}

/* "close, something" */
static void parse_connection(struct fields *fields, struct spoe_span value)
{
    struct spoe_span item;
    bool more = true;

    while (more) {
        more = cut(&value, ',', &item);
        item = trim(more ? item : value);
        fields->close |= is(item, "close");
        fields->keep_alive |= is(item, "keep-alive");
    }
}

/* One of those that decide who may have the page: a second one could be what counts for another.
 * @return 0; -400 */
static int take_once(struct spoe_span *to, struct spoe_span value)
{
    if (to->p != NULL)
        return -400;
    *to = value;
    return 0;
}

/* By which proxies say that they pass a request on; each has some of them. */
static bool is_of_a_proxy(struct spoe_span name)
{
    static const char *const names[] = {"forwarded", "via", "x-real-ip"};
    static const char family[] = "x-forwarded-";

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (is(name, names[i]))
            return true;
    }
    return name.n >= sizeof family - 1 && strncasecmp(name.p, family, sizeof family - 1) == 0;
}

static int parse_field(struct spoe_span line, struct fields *fields)
{
    struct http_request *ret = fields->ret;
    struct spoe_span name;

    /* A name with white space, or a line that begins with it, is no token. */
    if (!cut(&line, ':', &name) || !is_token(name))
        return -400;
    line = trim(line);
    for (size_t i = 0; i < line.n; i++) {
        if ((unsigned char)line.p[i] < ' ' && line.p[i] != '\t')
            return -400;
    }
    if (is(name, "content-length"))
        return parse_length(fields, line);
    if (is(name, "transfer-encoding"))
        return -501;
    if (is(name, "origin"))
        return take_once(&ret->origin, line);
    if (is(name, "sec-fetch-site"))
        return take_once(&ret->fetch_site, line);
    if (is(name, "authorization"))
        return take_once(&ret->authorization, line);
    if (is(name, "content-type"))
        return take_once(&ret->content_type, line);
    if (is(name, "expect") && ret->method == HTTP_POST)
        return -417; /* nobody is asked to wait for a 100 */
    if (is(name, "host")) {
        fields->n_hosts++;
        fields->host = line;
    } else if (is_of_a_proxy(name)) {
        ret->forwarded = true;
    } else if (is(name, "accept") && fields->accept.n == 0) {
        fields->accept = line;
    } else if (is(name, "connection")) {
        parse_connection(fields, line);
    }
    return 0;
}

int http_request_parse(const char *bytes, size_t n, struct http_request *ret)
{
    struct reader reader = {bytes, bytes + n};
    struct fields fields = {.ret = ret};
    struct spoe_span line;
    bool is_1_0 = false;
    int error;

    *ret = (struct http_request){.method = HTTP_OTHER};
    do { /* RFC 9112 2.2: empty lines before the first */
        if (!next_line(&reader, &line))
            return n >= HTTP_HEAD_MAX ? -431 : 0;
    } while (line.n == 0);
    error = parse_request_line(line, ret, &is_1_0);
    while (error == 0) {
        if (!next_line(&reader, &line))
            return n >= HTTP_HEAD_MAX ? -431 : 0;
        if (line.n == 0)
            break;
        error = parse_field(line, &fields);
    }
    if (error != 0)
        return error;
    if (reader.p - bytes > (ptrdiff_t)HTTP_HEAD_MAX)
        return -431;
    if (fields.n_hosts > 1 || (fields.n_hosts == 0 && !is_1_0))
        return -400; /* RFC 9112 3.2 */
    if (fields.length > HTTP_BODY_MAX)
        return -413;
    if (ret->host.n == 0)
        ret->host = fields.host;
    ret->accept = fields.accept;
    ret->has_length = fields.has_length;
    ret->body_len = fields.length;
    ret->keep_alive = is_1_0 ? fields.keep_alive && !fields.close : !fields.close;
    return (int)(reader.p - bytes);
}
