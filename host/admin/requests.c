/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/requests.c - see requests.h. */
#include "admin/requests.h"

#include <inttypes.h>

#include "admin/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "json/json_input.h"

#define COMPONENT "admin"

/* ---- what a POST says ---------------------------------------------------------------------- */

/* {} or {"after": NUMBER} @return 0; -1 with *reterr */
static int read_body(struct spoe_span body, uint64_t *ret_after, struct error *reterr)
{
    struct error why = {""};
    json_t *object = json_input_parse(body, HTTP_BODY_MAX, JSON_REJECT_DUPLICATES, &why);
    json_int_t after = 0;
    int result;

    if (object == NULL)
        return error_set(reterr, "the body is {} or {\"after\": NUMBER}: %.500s", why.text);
    result = json_unpack_ex(object, NULL, JSON_STRICT, "{s?I}", "after", &after);
    json_decref(object);
    if (result != 0 || after < 0)
        return error_set(reterr, "the body is {} or {\"after\": NUMBER}");
    *ret_after = (uint64_t)after;
    return 0;
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
    uint64_t after = 0;
    struct error error;

    if (read_body(post->body, &after, &error) != 0) {
        (void)fprintf(out, "%s\n", error.text);
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
