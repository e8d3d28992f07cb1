/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/http_accept.c - ranges of media types, with their weights. */
#include "admin/http_accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* How exact a range is. */
enum { NO_MATCH, ANY, ANY_SUBTYPE, EXACT };

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

/* Take what is before the first c, or all of it, off `rest`. @return false: nothing is left */
static bool take(struct spoe_span *rest, char c, struct spoe_span *ret)
{
    const char *at;

    if (rest->p == NULL)
        return false;
    at = rest->n > 0 ? memchr(rest->p, c, rest->n) : NULL;
    *ret = *rest;
    if (at == NULL) {
        *rest = (struct spoe_span){NULL, 0};
    } else {
        ret->n = (size_t)(at - rest->p);
        rest->n -= ret->n + 1;
        rest->p = at + 1;
    }
    *ret = trim(*ret);
    return true;
}

/* RFC 9110, 12.4.2: 0 to 1 with up to three digits behind the point. @return -1: it is none */
static int read_weight(struct spoe_span text)
{
    int weight, digit = 100;

    if (text.n == 0 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') ||
        (text.n > 1 && text.p[1] != '.'))
        return -1;
    weight = (text.p[0] - '0') * (int)HTTP_QUALITY_MAX;
    for (size_t i = 2; i < text.n; i++, digit /= 10) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        weight += (text.p[i] - '0') * digit;
    }
    return weight <= (int)HTTP_QUALITY_MAX ? weight : -1;
}

static unsigned match(struct spoe_span range, const char *media_type)
{
    const size_t n = strlen(media_type);
    const char *slash = strchr(media_type, '/');
    const size_t type = slash != NULL ? (size_t)(slash - media_type) + 1 : n;

    if (range.n == 3 && memcmp(range.p, "*/*", 3) == 0)
        return ANY;
    if (range.n == type + 1 && range.p[type] == '*' && strncasecmp(range.p, media_type, type) == 0)
        return ANY_SUBTYPE;
    return range.n == n && strncasecmp(range.p, media_type, n) == 0 ? EXACT : NO_MATCH;
}

unsigned http_accept_quality(struct spoe_span accept, const char *media_type)
{
    struct spoe_span item, part;
    unsigned best = NO_MATCH, quality = 0;

    if (accept.n == 0)
        return 0;
    while (take(&accept, ',', &item)) {
        int weight = (int)HTTP_QUALITY_MAX;
        unsigned exact = NO_MATCH;

        if (take(&item, ';', &part))
            exact = match(part, media_type);
        while (take(&item, ';', &part)) {
            if (part.n >= 2 && strncasecmp(part.p, "q=", 2) == 0)
                weight = read_weight((struct spoe_span){part.p + 2, part.n - 2});
        }
        if (exact == NO_MATCH || weight < 0 || exact < best)
            continue;
        quality = exact > best || (unsigned)weight > quality ? (unsigned)weight : quality;
        best = exact;
    }
    return quality;
}
