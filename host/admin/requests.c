/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/requests.c - see requests.h. */
#include "admin/requests.h"

#include <inttypes.h>
#include <string.h>

#include "admin/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "json/json_input.h"

#define COMPONENT "admin"

/* ---- what a POST says ---------------------------------------------------------------------- */

#define EXPECTED "the body is {} or {\"after\": NUMBER, \"trace\": ID}"

/* What a look asks for. */
struct look {
    uint64_t after;
    bool seeks;
    uint8_t trace_id[16];
};

/* 32 hexadecimal digits, small as in a traceparent. */
static bool read_trace_id(const char *text, uint8_t ret[16])
{
    static const char digits[] = "0123456789abcdef";

    if (strlen(text) != 32 || strspn(text, digits) != 32)
        return false;
    for (size_t i = 0; i < 16; i++)
        ret[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
                           (strchr(digits, text[2 * i + 1]) - digits));
    return true;
}

/* @return 0; -1 with *reterr */
static int read_body(struct spoe_span body, struct look *ret, struct error *reterr)
{
    struct error why = {""};
    json_t *object = json_input_parse(body, HTTP_BODY_MAX, JSON_REJECT_DUPLICATES, &why);
    const char *trace = NULL;
    json_int_t after = 0;
    int result;

    if (object == NULL)
        return error_set(reterr, EXPECTED ": %.500s", why.text);
    result =
        json_unpack_ex(object, NULL, JSON_STRICT, "{s?I, s?s}", "after", &after, "trace", &trace);
    ret->after = (uint64_t)after;
    ret->seeks = trace != NULL;
    if (result == 0 && (after < 0 || (trace != NULL && !read_trace_id(trace, ret->trace_id))))
        result = -1;
    json_decref(object); /* which the text is of */
    return result == 0 ? 0 : error_set(reterr, EXPECTED);
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
    struct look look = {.after = 0};
    struct error error;

    if (read_body(post->body, &look, &error) != 0) {
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
    if (look.seeks)
        recent_seek(view->recent, look.trace_id);
    write_requests(view->recent, look.after, out);
    return 200;
}
