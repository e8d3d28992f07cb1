/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/requests.c - see requests.h. */
#include "admin/requests.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "admin/view.h"
#include "base/clock.h"
#include "base/log.h"

#define COMPONENT "admin"

/* ---- what a POST says ---------------------------------------------------------------------- */

/* The text if it comes next, behind white space. @return whether it does */
static bool take(struct spoe_span *body, const char *text)
{
    const size_t n = strlen(text);

    while (body->n > 0 && strchr(" \t\r\n", body->p[0]) != NULL && body->p[0] != '\0') {
        body->p++;
        body->n--;
    }
    if (body->n < n || memcmp(body->p, text, n) != 0)
        return false;
    body->p += n;
    body->n -= n;
    return true;
}

static bool take_number(struct spoe_span *body, uint64_t *ret)
{
    bool any = false;

    *ret = 0;
    (void)take(body, "");
    for (; body->n > 0 && body->p[0] >= '0' && body->p[0] <= '9'; body->p++, body->n--) {
        if (*ret > UINT64_MAX / 10 - 1)
            return false;
        *ret = *ret * 10 + (uint64_t)(body->p[0] - '0');
        any = true;
    }
    return any;
}

/* {} or {"after": NUMBER} */
static bool read_body(struct spoe_span body, uint64_t *ret_after)
{
    *ret_after = 0;
    if (!take(&body, "{"))
        return false;
    if (take(&body, "\"after\"") && (!take(&body, ":") || !take_number(&body, ret_after)))
        return false;
    return take(&body, "}") && take(&body, "") && body.n == 0;
}

/* ---- the page ------------------------------------------------------------------------------ */

static void write_requests(struct recent *recent, uint64_t after, FILE *out)
{
    const int64_t left_ns = recent_expire(recent, clock_mono_ns());
    uint64_t last;

    (void)fprintf(out,
                  "{\"on\": %s, \"ends_in_seconds\": %" PRId64 ", \"max\": %u, \"missed\": %" PRIu64
                  ", \"requests\": [\n",
                  left_ns > 0 ? "true" : "false", left_ns / NS_PER_S, SPOE_RECENT_MAX,
                  recent_missed(recent));
    last = recent_write(recent, after, out);
    (void)fprintf(out, "],\n\"last\": %" PRIu64 "}\n", last);
}

int requests_page(void *arg, FILE *out)
{
    const struct view *view = arg;

    write_requests(view->recent, 0, out);
    return 200;
}

int requests_post(void *arg, const struct admin_post *post, FILE *out)
{
    const struct view *view = arg;
    const int64_t now = clock_mono_ns();
    uint64_t after;

    if (!read_body(post->body, &after)) {
        (void)fputs("the body is {} or {\"after\": NUMBER}\n", out);
        return 400;
    }
    if (!recent_look(view->recent, now)) {
        if (recent_start(view->recent, now) != 0) {
            (void)fputs("out of memory\n", out);
            return 503;
        }
        log_line(SPOE_LOG_NOTICE, COMPONENT,
                 "the last %u requests are kept in memory from now on, for %s, and for %d minutes "
                 "after the last look",
                 SPOE_RECENT_MAX, post->who, (int)(RECENT_LOOK_NS / NS_PER_S / 60));
    }
    write_requests(view->recent, after, out);
    return 200;
}
