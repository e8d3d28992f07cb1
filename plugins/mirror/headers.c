/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/mirror/headers.c - see headers.h. */
#include "mirror/headers.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <spoe/hdrs.h>
#include <spoe/options.h>

/* Names in a request's Connection header that are looked at; more than that nobody sends. */
#define NAMED_MAX 32u

/* About one connection only (RFC 9110, 7.6.1), or about how the body is sent, which is libcurl's.
 */
static const char *const dropped[] = {
    "connection", "keep-alive",          "proxy-connection", "proxy-authenticate",
    "te",         "proxy-authorization", "trailer",          "transfer-encoding",
    "upgrade",    "http2-settings",      "expect",           "content-length"};
/* What libcurl adds unless it is told otherwise. */
static const char *const unwanted[] = {"accept", "user-agent", "content-type", "expect"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_name(struct spoe_span span, const char *name, size_t n)
{
    return span.n == n && strncasecmp(span.p, name, n) == 0;
}

static bool is_one_of(struct spoe_span span, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_name(span, names[i], strlen(names[i])))
            return true;
    return false;
}

bool mirror_is_token(struct spoe_span text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(others, c) != NULL)))
            return false;
    }
    return text.n > 0;
}

/* No byte that would end a line, or the text. */
static bool is_value(struct spoe_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\0' || text.p[i] == '\r' || text.p[i] == '\n')
            return false;
    return true;
}

static struct spoe_span trim(struct spoe_span text)
{
    while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t')) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
        text.n--;
    return text;
}

/* ---- rules --------------------------------------------------------------------------------- */

/* Take the next item of a list off the text, its "\," made commas. @return length, of buf */
static size_t next_item(struct spoe_span *text, char *buf)
{
    size_t n = 0;

    while (text->n > 0) {
        const char c = *text->p++;

        text->n--;
        if (c == ',')
            break;
        if (c == '\\' && text->n > 0 && text->p[0] == ',') {
            text->p++;
            text->n--;
            buf[n++] = ',';
            continue;
        }
        buf[n++] = c;
    }
    return n;
}

static int set_one(struct mirror_rules *rules, struct spoe_span item, char *reterr, size_t size)
{
    const char *colon = memchr(item.p, ':', item.n);
    const struct spoe_span name =
        trim((struct spoe_span){item.p, colon != NULL ? (size_t)(colon - item.p) : 0});
    struct spoe_span value;
    struct mirror_line *line = &rules->set[rules->n_set];
    int n;

    if (colon == NULL || !mirror_is_token(name)) {
        (void)snprintf(reterr, size, "\"%.*s\" is not \"Name: value\"", (int)item.n, item.p);
        return -1;
    }
    value = trim((struct spoe_span){colon + 1, item.n - (size_t)(colon + 1 - item.p)});
    if (!is_value(value) || is_one_of(name, dropped, COUNT_OF(dropped))) {
        (void)snprintf(reterr, size, "header %.*s cannot be set", (int)name.n, name.p);
        return -1;
    }
    if (rules->n_set == MIRROR_RULES_MAX) {
        (void)snprintf(reterr, size, "more than %u headers", MIRROR_RULES_MAX);
        return -1;
    }
    /* "Name;" is how libcurl is told of an empty value */
    n = value.n > 0
            ? asprintf(&line->text, "%.*s: %.*s", (int)name.n, name.p, (int)value.n, value.p)
            : asprintf(&line->text, "%.*s;", (int)name.n, name.p);
    if (n < 0) {
        line->text = NULL;
        (void)snprintf(reterr, size, "out of memory");
        return -1;
    }
    line->name_len = name.n;
    rules->n_set++;
    return 0;
}

static int remove_one(struct mirror_rules *rules, struct spoe_span name, char *reterr, size_t size)
{
    if (!mirror_is_token(name)) { /* "*" is a token, too */
        (void)snprintf(reterr, size, "\"%.*s\" is not the name of a header", (int)name.n, name.p);
        return -1;
    }
    if (rules->n_remove == MIRROR_RULES_MAX) {
        (void)snprintf(reterr, size, "more than %u names", MIRROR_RULES_MAX);
        return -1;
    }
    rules->remove[rules->n_remove] = strndup(name.p, name.n);
    if (rules->remove[rules->n_remove] == NULL) {
        (void)snprintf(reterr, size, "out of memory");
        return -1;
    }
    rules->n_remove++;
    return 0;
}

int mirror_rules_set(struct mirror_rules *rules, struct spoe_span text, bool marker, char *reterr,
                     size_t reterr_size)
{
    const size_t first = rules->n_set;
    char *buf = malloc(text.n + 1);
    int rc = 0;

    if (buf == NULL) {
        (void)snprintf(reterr, reterr_size, "out of memory");
        return -1;
    }
    while (rc == 0 && text.n > 0) {
        const size_t n = next_item(&text, buf);
        const struct spoe_span item = trim((struct spoe_span){buf, n});

        if (item.n > 0)
            rc = set_one(rules, item, reterr, reterr_size);
    }
    free(buf);
    if (rc == 0 && marker && rules->n_set > first) {
        rules->marker = rules->set[first].text;
        rules->marker_len = rules->set[first].name_len;
    }
    return rc;
}

int mirror_rules_remove(struct mirror_rules *rules, struct spoe_span text, char *reterr,
                        size_t reterr_size)
{
    struct spoe_span name;

    while (spoe_list_next(&text, &name)) {
        if (remove_one(rules, name, reterr, reterr_size) != 0)
            return -1;
    }
    return 0;
}

void mirror_rules_fini(struct mirror_rules *rules)
{
    for (size_t i = 0; i < rules->n_set; i++)
        free(rules->set[i].text);
    for (size_t i = 0; i < rules->n_remove; i++)
        free(rules->remove[i]);
    *rules = (struct mirror_rules){0};
}

static bool is_set(const struct mirror_rules *rules, struct spoe_span name)
{
    for (size_t i = 0; i < rules->n_set; i++)
        if (is_name(name, rules->set[i].text, rules->set[i].name_len))
            return true;
    return false;
}

static bool is_removed(const struct mirror_rules *rules, struct spoe_span name)
{
    for (size_t i = 0; i < rules->n_remove; i++) {
        const char *rule = rules->remove[i];
        const size_t n = strlen(rule);

        if (rule[n - 1] == '*' ? name.n >= n - 1 && strncasecmp(name.p, rule, n - 1) == 0
                               : is_name(name, rule, n))
            return true;
    }
    return false;
}

/* ---- HAProxy's two forms ------------------------------------------------------------------- */

/* A list of headers that is read from its beginning on. */
struct reading {
    bool binary;
    struct spoe_hdrs pairs; /* req.hdrs_bin */
    struct spoe_span lines; /* req.hdrs */
};

static struct reading read_from(struct spoe_span headers, bool binary)
{
    return (struct reading){binary, spoe_hdrs_of(headers), headers};
}

/* req.hdrs: "name: value" CRLF, and an empty line at the end. @return 1, 0 at the end, or -1 */
static int next_line(struct spoe_span *in, struct spoe_span *name, struct spoe_span *value)
{
    const char *end = in->n > 0 ? memchr(in->p, '\n', in->n) : NULL;
    const char *colon;
    struct spoe_span line = {in->p, end != NULL ? (size_t)(end - in->p) : in->n};

    in->n -= line.n + (end != NULL ? 1u : 0u);
    in->p += line.n + (end != NULL ? 1u : 0u);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0)
        return 0;
    colon = memchr(line.p, ':', line.n);
    if (colon == NULL)
        return -1;
    *name = (struct spoe_span){line.p, (size_t)(colon - line.p)};
    *value = (struct spoe_span){colon + 1, line.n - name->n - 1};
    return 1;
}

/* @return 1, 0 at the end, or -1 where it is no list of headers that could be sent */
static int next_header(struct reading *in, struct spoe_span *name, struct spoe_span *value)
{
    const int found =
        in->binary ? spoe_hdrs_next(&in->pairs, name, value) : next_line(&in->lines, name, value);

    if (found <= 0)
        return in->pairs.cut && in->binary ? -1 : found;
    *value = trim(*value);
    return mirror_is_token(*name) && is_value(*value) ? 1 : -1;
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool lines_room(struct mirror_lines *lines, size_t n)
{
    size_t size;
    char *more;

    if (n <= lines->size - lines->len)
        return true;
    size = (lines->len + n) * 2;
    more = realloc(lines->bytes, size);
    if (more == NULL)
        return false;
    lines->bytes = more;
    lines->size = size;
    return true;
}

/* "Name: value"; "Name;" where the value is empty. */
static bool add_line(struct mirror_lines *lines, struct spoe_span name, const char *separator,
                     struct spoe_span value)
{
    const size_t n_separator = strlen(separator);
    char *p;

    if (!lines_room(lines, name.n + n_separator + value.n + 1))
        return false;
    p = lines->bytes + lines->len;
    memcpy(p, name.p, name.n);
    memcpy(p + name.n, separator, n_separator);
    if (value.n > 0)
        memcpy(p + name.n + n_separator, value.p, value.n);
    p[name.n + n_separator + value.n] = '\0';
    lines->len += name.n + n_separator + value.n + 1;
    lines->n++;
    return true;
}

void mirror_lines_fini(struct mirror_lines *lines)
{
    free(lines->bytes);
    *lines = (struct mirror_lines){0};
}

/* What a first look at all headers tells. */
struct look {
    struct spoe_span named[NAMED_MAX]; /* by Connection: they are about it, too */
    size_t n_named;
    bool too_many;
    bool marked;
};

static void take_named(struct look *look, struct spoe_span value)
{
    while (value.n > 0) {
        const char *comma = memchr(value.p, ',', value.n);
        const size_t n = comma != NULL ? (size_t)(comma - value.p) : value.n;
        const struct spoe_span name = trim((struct spoe_span){value.p, n});

        /* Host is about the request, whatever a client says: libcurl would send its own. */
        if (name.n > 0 && !is_name(name, "host", 4)) {
            if (look->n_named == NAMED_MAX)
                look->too_many = true;
            else
                look->named[look->n_named++] = name;
        }
        value.p += n + (comma != NULL ? 1u : 0u);
        value.n -= n + (comma != NULL ? 1u : 0u);
    }
}

static int look_at(const struct mirror_rules *rules, struct reading in, struct look *look)
{
    struct spoe_span name, value;
    int found;

    while ((found = next_header(&in, &name, &value)) > 0) {
        if (is_name(name, "connection", 10))
            take_named(look, value);
        if (rules->marker != NULL && is_name(name, rules->marker, rules->marker_len))
            look->marked = true;
    }
    return found;
}

static bool is_named(const struct look *look, struct spoe_span name)
{
    for (size_t i = 0; i < look->n_named; i++)
        if (is_name(name, look->named[i].p, look->named[i].n))
            return true;
    return false;
}

static bool has_line(const struct mirror_lines *lines, const char *name)
{
    const size_t n = strlen(name);
    const char *line = lines->bytes;

    for (size_t i = 0; i < lines->n; i++) {
        if (strncasecmp(line, name, n) == 0 && (line[n] == ':' || line[n] == ';'))
            return true;
        line += strlen(line) + 1;
    }
    return false;
}

static bool add_own(const struct mirror_rules *rules, struct mirror_lines *lines)
{
    for (size_t i = 0; i < rules->n_set; i++) {
        const char *text = rules->set[i].text;

        if (!add_line(lines, (struct spoe_span){text, strlen(text)}, "",
                      (struct spoe_span){NULL, 0}))
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(unwanted); i++) {
        const struct spoe_span name = {unwanted[i], strlen(unwanted[i])};

        if (!has_line(lines, unwanted[i]) &&
            !add_line(lines, name, ":", (struct spoe_span){NULL, 0}))
            return false;
    }
    return true;
}

enum mirror_headers_result mirror_headers_write(const struct mirror_rules *rules,
                                                struct spoe_span headers, bool binary,
                                                struct mirror_lines *lines)
{
    struct reading in = read_from(headers, binary);
    struct look look = {0};
    struct spoe_span name, value;

    lines->len = lines->n = 0;
    if (look_at(rules, in, &look) < 0 || look.too_many)
        return MIRROR_HEADERS_BROKEN;
    if (look.marked)
        return MIRROR_HEADERS_MARKED;
    while (next_header(&in, &name, &value) > 0) {
        if (is_one_of(name, dropped, COUNT_OF(dropped)) || is_named(&look, name) ||
            is_removed(rules, name) || is_set(rules, name))
            continue;
        if (!add_line(lines, name, value.n > 0 ? ": " : ";", value))
            return MIRROR_HEADERS_NO_MEMORY;
    }
    if (!add_own(rules, lines))
        return MIRROR_HEADERS_NO_MEMORY;
    return MIRROR_HEADERS_OK;
}
