/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/log_read.c - see log_read.h. */
#include "input/log_read.h"

#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "base/hex.h"
#include "input/context.h"
#include "input/mark.h"
#include "input/messages.h"
#include "record/http_parts.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
/* Timers are whole milliseconds each, so that a sum of three may be so much off. */
#define TIMERS_OFF_NS (3 * NS_PER_MS)

static const struct spoe_value *slot(const struct log_line *line, unsigned number)
{
    return &line->msg->slot[number];
}

static struct spoe_span text(const struct log_line *line, unsigned number)
{
    const struct spoe_value *value = slot(line, number);

    return http_is_text(value) ? value->u.s : (struct spoe_span){NULL, 0};
}

/* A timer in ms. @return -1: it never ran */
static int64_t timer_ns(const struct log_line *line, unsigned number)
{
    int64_t ms;

    return http_get_size(slot(line, number), &ms) && ms < INT64_C(1) << 40 ? ms * NS_PER_MS : -1;
}

/* A moment in us since 1970. With a limit as timers have one, so that no sum of them overflows.
 * @return 0: not told, or of the next century */
static int64_t moment_ns(const struct log_line *line, unsigned number)
{
    int64_t us;

    return http_get_size(slot(line, number), &us) && us < INT64_C(1) << 52 ? us * NS_PER_US : 0;
}

static int64_t size(const struct log_line *line, unsigned number)
{
    int64_t n;

    return http_get_size(slot(line, number), &n) ? n : -1;
}

/* ---- how it ended ------------------------------------------------------------------------------
 */

/* Names of servers that are none stand in angle brackets: <NOSRV>, <CACHE>, <STATS>, <lua.x>. */
static bool was_tried(const struct log_line *line)
{
    const struct termination state = line->record.termination;

    if (line->record.server.n == 0)
        return false;
    if (state.when == 'Q')
        return false; /* it waited for one */
    return timer_ns(line, LOG_CONNECT_MS) >= 0 || state.when == 'C';
}

/* "+2": the last of two retries went to another server. */
static void read_retries(const struct log_line *line, struct record *record)
{
    struct spoe_value digits = spoe_value_str(text(line, LOG_RETRIES));

    if (digits.u.s.n > 0 && digits.u.s.p[0] == '+') {
        record->redispatched = true;
        digits.u.s = (struct spoe_span){digits.u.s.p + 1, digits.u.s.n - 1};
    }
    (void)http_get_size(&digits, &record->retries);
}

/*
 * What the server did wrong. HAProxy itself ends (P) what a server sent wrong: PD within the body,
 * PH before it. That is a rule's deny, too, but rules see a response that is valid: by t2. Other
 * codes than 502 are those of a rule, or of what the client sent.
 */
static const char *read_server_error(const struct log_line *line, const struct record *record)
{
    const struct termination state = record->termination;

    if (state.why != 'P' || !record->tried)
        return termination_error(state);
    if (state.when == 'D')
        return "response_invalid";
    return state.when == 'H' && record->status == 502 && moment_ns(line, LOG_RESPONSE_AT) == 0 &&
                   timer_ns(line, LOG_RESPONSE_MS) < 0
               ? "response_invalid"
               : NULL;
}

/* Whose fault it was. A client that leaves is no error of anybody's. */
static void read_end(const struct log_line *line, struct record *record)
{
    record->termination = termination_read(slot(line, LOG_TERMINATION_STATE));
    if (!spoe_get_int(slot(line, LOG_STATUS), &record->status) || record->status < 100 ||
        record->status > 999)
        record->status = 0; /* -1: the client was told nothing */
    record->by_client = termination_by_client(record->termination);
    record->tried = was_tried(line);
    /* HAProxy's own answers have no response time, or replace the server's: PH. */
    if (record->tried && timer_ns(line, LOG_RESPONSE_MS) >= 0 &&
        (record->termination.why != 'P' || record->termination.when != 'H'))
        record->server_status = record->status;
    record->server_error = read_server_error(line, record);
    if (record->status < 500)
        record->error = record->server_error;
    read_retries(line, record);
}

/* ---- what was asked ----------------------------------------------------------------------------
 */

/* The target as it came: a path with a query, a whole URL (of HTTP/2), "*", or host:port. */
static void read_target(struct log_line *line)
{
    struct spoe_span target = text(line, LOG_TARGET);
    const char *at;

    line->path = (struct spoe_value){.type = SPOE_T_NULL};
    line->query = (struct spoe_value){.type = SPOE_T_NULL}; /* that it came tells there is none */
    if (target.n == 0)
        return;
    if (target.p[0] != '/') {
        static const char separator[] = "://";

        at = memmem(target.p, target.n, separator, sizeof separator - 1);
        if (at == NULL)
            return;
        at += sizeof separator - 1;
        at = memchr(at, '/', (size_t)(target.p + target.n - at));
        if (at == NULL)
            return;
        target = (struct spoe_span){at, (size_t)(target.p + target.n - at)};
    }
    at = memchr(target.p, '?', target.n);
    if (at != NULL) {
        line->query =
            spoe_value_str((struct spoe_span){at + 1, (size_t)(target.p + target.n - at - 1)});
        target.n = (size_t)(at - target.p);
    }
    line->path = spoe_value_str(target);
    line->record.path = target;
}

/* An attribute of the configuration's own, which is the only way in which a line has a route. */
static struct spoe_span read_route(const struct spoe_message *msg)
{
    for (uint32_t i = 0; i < msg->n_args; i++) {
        const struct spoe_arg *arg = &msg->args[i];

        if (http_is_text(&arg->value) &&
            (spoe_span_is(arg->name, "attr.http.route") || spoe_span_is(arg->name, "attr.route")))
            return arg->value.u.s;
    }
    return (struct spoe_span){NULL, 0};
}

static void read_names(const struct log_line *line, struct record *record)
{
    struct spoe_span old;
    char unused[HTTP_VERSION_MAX];

    record->frontend = text(line, LOG_FRONTEND_NAME);
    record->backend = text(line, LOG_BACKEND_NAME);
    record->server = text(line, LOG_SERVER_NAME);
    if (record->server.n > 0 && record->server.p[0] == '<')
        record->server = (struct spoe_span){NULL, 0};
    record->server_address = *slot(line, LOG_ORIGIN);
    if (!http_get_port(slot(line, LOG_ORIGIN_PORT), &record->server_port))
        record->server_port = 0;
    record->method = text(line, LOG_METHOD);
    record->route = read_route(line->msg);
    record->scheme = spoe_str(text(line, LOG_TLS_VERSION).n > 0 ? "https" : "http");
    if (!http_get_version(slot(line, LOG_VERSION), unused, &record->version, &old))
        record->version = (struct spoe_span){NULL, 0};
    record->bytes_in = size(line, LOG_BYTES_IN);
    record->bytes_out = size(line, LOG_BYTES_OUT);
}

/* ---- when --------------------------------------------------------------------------------------
 */

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

/* The request's first byte, by timers of milliseconds. @param end  the last one out */
static int64_t first_byte_ms(const struct log_line *line, int64_t end)
{
    const int64_t headers = timer_ns(line, LOG_HEADERS_MS), active = timer_ns(line, LOG_ACTIVE_MS);
    const int64_t request_ns = moment_ns(line, LOG_REQUEST_AT);
    int64_t start, by_active;

    if (request_ns == 0)
        return end - (active > 0 ? active : 0);
    start = request_ns - (headers > 0 ? headers : 0);
    if (active < 0 || end < request_ns)
        return start;
    /* Rules that wait for the body are in tR as well, though t0 was before it; a tarpit has no tR.
     * What says that it began after its headers is a clock that was set. */
    by_active = end - active;
    if (llabs(by_active - start) > TIMERS_OFF_NS && by_active < request_ns + TIMERS_OFF_NS)
        start = by_active < request_ns ? by_active : request_ns;
    return start;
}

/*
 * To the microsecond, where HAProxy tells it: 2.9 and later. It adds milliseconds to when the
 * connection was accepted, or its last request ended, and so may be after the headers. Where it is
 * far off, its clock was set meanwhile.
 */
static int64_t first_byte(const struct log_line *line, int64_t end)
{
    const int64_t start = first_byte_ms(line, end);
    const int64_t told = moment_ns(line, LOG_START), request_ns = moment_ns(line, LOG_REQUEST_AT);

    if (told == 0 || llabs(told - start) > TIMERS_OFF_NS)
        return start;
    return request_ns != 0 && request_ns < told ? request_ns : told;
}

/* When a server was asked for. @param start  the first byte */
static int64_t asked_for(const struct log_line *line, int64_t start)
{
    const int64_t headers = timer_ns(line, LOG_HEADERS_MS);
    const int64_t queue = timer_ns(line, LOG_QUEUE_MS), connect = timer_ns(line, LOG_CONNECT_MS);
    const int64_t response = timer_ns(line, LOG_RESPONSE_MS);
    const int64_t response_ns = moment_ns(line, LOG_RESPONSE_AT);
    int64_t asked = moment_ns(line, LOG_BACKEND_AT);

    if (asked == 0)
        asked = moment_ns(line, LOG_REQUEST_AT);
    if (asked == 0)
        asked = start + (headers > 0 ? headers : 0);
    /* Rules that come later may have held the request up, to wait for its body. */
    if (response_ns != 0 && queue >= 0 && connect >= 0 && response >= 0 &&
        response_ns - queue - connect - response > asked + TIMERS_OFF_NS)
        asked = response_ns - queue - connect - response;
    return asked;
}

static void read_times(const struct log_line *line, struct record *record)
{
    int64_t end = moment_ns(line, LOG_END_AT), start;

    if (end == 0)
        end = line->msg->recv_unix_ns;
    start = clamp(first_byte(line, end), 1, end); /* 0 would be: not known */
    record->start_unix_ns = start;
    record->client_start_unix_ns = clamp(asked_for(line, start), start, end);
    record->end_unix_ns = end;
}

void log_read(const struct spoe_message *msg, struct log_line *ret)
{
    *ret = (struct log_line){.msg = msg};
    read_names(ret, &ret->record);
    read_end(ret, &ret->record);
    read_target(ret);
    read_times(ret, &ret->record);
    ret->timed = moment_ns(ret, LOG_END_AT) != 0 &&
                 (moment_ns(ret, LOG_REQUEST_AT) != 0 || timer_ns(ret, LOG_ACTIVE_MS) >= 0);
}

bool log_is_request(const struct log_line *line)
{
    return line->record.method.n > 0 && !http_is_unknown(slot(line, LOG_METHOD));
}

/* ---- who ---------------------------------------------------------------------------------------
 */

static bool read_id(struct spoe_span id, uint8_t ret[8])
{
    return id.n == 16 && hex_read(id.p, ret, 8) && !hex_is_zero(ret, 8);
}

static void set_record(struct log_line *line)
{
    struct record *record = &line->record;

    memcpy(record->trace_id, line->server.trace_id, sizeof record->trace_id);
    memcpy(record->server_id, line->server.span_id, sizeof record->server_id);
    memcpy(record->client_id, line->client.span_id, sizeof record->client_id);
    record->sampled = context_is_sampled(&line->server);
}

/* Beside SPOE `tp` has CLIENT's id, or SERVER's where no backend message was answered. */
static void read_mark(struct log_line *line, const struct mark *mark, struct id_source *ids)
{
    memcpy(line->server.span_id, mark->server_id, sizeof mark->server_id);
    if (memcmp(line->client.span_id, mark->server_id, sizeof mark->server_id) == 0)
        id_span(ids, line->client.span_id);
    line->has_parent = mark->has_parent;
    if (mark->has_parent)
        memcpy(line->parent_id, mark->parent_id, sizeof line->parent_id);
}

/* `tp` has one span id: CLIENT's where a server was tried, else SERVER's. sid and cid tell both. */
static void read_ids(struct log_line *line, struct id_source *ids)
{
    const struct spoe_span in = text(line, LOG_INBOUND);
    struct trace_context parent;
    bool has_server;

    has_server = read_id(text(line, LOG_SERVER_ID), line->server.span_id);
    if (!read_id(text(line, LOG_CLIENT_ID), line->client.span_id) && has_server &&
        memcmp(line->client.span_id, line->server.span_id, sizeof line->client.span_id) == 0)
        id_span(ids, line->client.span_id);
    if (line->record.tried && !has_server)
        id_span(ids, line->server.span_id);
    line->has_parent = in.n > 0 && traceparent_parse(in.p, in.n, &parent) &&
                       memcmp(parent.trace_id, line->server.trace_id, sizeof parent.trace_id) == 0;
    if (line->has_parent)
        memcpy(line->parent_id, parent.span_id, sizeof line->parent_id);
}

bool log_read_context(struct log_line *line, struct id_source *ids)
{
    const struct spoe_span own = text(line, LOG_TRACEPARENT);
    struct mark mark;

    if (own.n == 0 || !traceparent_parse(own.p, own.n, &line->server))
        return false;
    line->client = line->server;
    if (mark_read(slot(line, LOG_MARK), &mark))
        read_mark(line, &mark, ids);
    else
        read_ids(line, ids);
    set_record(line);
    return true;
}

void log_take_context(struct log_line *line, const struct trace_context *server,
                      struct id_source *ids)
{
    line->server = line->client = *server;
    id_span(ids, line->client.span_id);
    set_record(line);
}
