/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/log_line.c - what HAProxy's log tells of a request, as fields of the same table
 * that messages fill.
 *
 * Source of the keys and of what the timers mean: HAProxy's configuration manual, 8.2.3 to 8.5.
 */
#include "input/log_line.h"

#include <string.h>

#include <spoe/util.h>

#include "base/hex.h"
#include "context/tracestate.h"
#include "input/ending.h"
#include "input/exclude.h"
#include "input/messages.h"
#include "record/http_parts.h"
#include "signal/fill.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
/* Timers are whole milliseconds each, so that a sum of three may be so much off. */
#define TIMERS_OFF_NS (3 * NS_PER_MS)

#define N(array) (sizeof(array) / sizeof(array)[0])

/* ---- the end, by the termination state (8.5) ---------------------------------------------------
 */

/* Why the session ended: the first letter. When: the second. */
struct ending_state {
    char why, when;
};

static struct ending_state read_state(const struct spoe_value *value)
{
    if (!http_is_text(value) || value->u.s.n < 2)
        return (struct ending_state){'-', '-'};
    return (struct ending_state){value->u.s.p[0], value->u.s.p[1]};
}

static bool by_client(struct ending_state state)
{
    return state.why == 'C' || state.why == 'c';
}

static bool by_server(struct ending_state state)
{
    return state.why == 'S' || state.why == 's';
}

/* error.type where the status code does not say it. @return NULL: no error of the server's */
static const char *error_of(struct ending_state state)
{
    const bool timeout = state.why == 's';

    if (!by_server(state))
        return NULL;
    switch (state.when) {
    case 'Q':
        return timeout ? "queue_timeout" : NULL; /* SQ: no server was there to wait for */
    case 'C':
        return timeout ? "connect_timeout" : "connect_failed";
    case 'H':
        return timeout ? "response_timeout" : "response_invalid";
    case 'D':
    case 'L':
        return timeout ? "data_timeout" : "response_truncated";
    default:
        return NULL;
    }
}

/* ---- one line ----------------------------------------------------------------------------------
 */

struct log_line {
    struct handlers_worker *worker;
    const struct policy *policy;
    const struct spoe_message *msg;
    struct ending_state state;
    int64_t status; /* 0: the client saw none */
    bool tried;     /* a server was asked */
    bool answered;  /* and the status is its own */
    struct spoe_value path, query, is_tls, retries, redispatched;
    struct trace_context server, client;
    uint8_t parent_id[8];
    bool has_parent;
    int64_t start_ns, client_start_ns, end_ns;
};

static const struct spoe_value *slot(const struct log_line *line, unsigned number)
{
    return &line->msg->slot[number];
}

/* A timer in ms. @return -1: it never ran */
static int64_t timer_ns(const struct log_line *line, unsigned number)
{
    int64_t ms;

    return http_get_size(slot(line, number), &ms) && ms < INT64_C(1) << 40 ? ms * NS_PER_MS : -1;
}

/* A moment in us since 1970. @return 0: not told */
static int64_t moment_ns(const struct log_line *line, unsigned number)
{
    int64_t us;

    return http_get_size(slot(line, number), &us) && us < INT64_MAX / NS_PER_US ? us * NS_PER_US
                                                                                : 0;
}

/* Names of servers that are none stand in angle brackets: <NOSRV>, <CACHE>, <STATS>, <lua.x>. */
static bool was_tried(const struct log_line *line)
{
    const struct spoe_value *name = slot(line, LOG_SERVER_NAME);

    if (!http_is_text(name) || name->u.s.n == 0 || name->u.s.p[0] == '<')
        return false;
    if (line->state.when == 'Q')
        return false; /* it waited for one */
    return timer_ns(line, LOG_CONNECT) >= 0 || line->state.when == 'C';
}

/* "+2": the last of two retries went to another server. */
static void read_retries(struct log_line *line)
{
    const struct spoe_value *value = slot(line, LOG_RETRIES);
    struct spoe_span text;

    line->retries = line->redispatched = (struct spoe_value){.type = SPOE_T_NULL};
    if (!http_is_text(value) || value->u.s.n == 0)
        return;
    text = value->u.s;
    if (text.p[0] == '+') {
        line->redispatched = spoe_value_bool(1);
        text = (struct spoe_span){text.p + 1, text.n - 1};
    }
    line->retries = spoe_value_str(text);
}

/* The target as it came: a path with a query, a whole URL (of HTTP/2), "*", or host:port. */
static void read_target(struct log_line *line)
{
    const struct spoe_value *value = slot(line, LOG_TARGET);
    struct spoe_span target;
    const char *at;

    line->path = (struct spoe_value){.type = SPOE_T_NULL};
    line->query = (struct spoe_value){.type = SPOE_T_NULL}; /* that it came tells there is none */
    if (!http_is_text(value) || value->u.s.n == 0)
        return;
    target = value->u.s;
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
}

/* ---- when --------------------------------------------------------------------------------------
 */

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static void read_times(struct log_line *line)
{
    const int64_t headers = timer_ns(line, LOG_HEADERS), active = timer_ns(line, LOG_ACTIVE);
    const int64_t queue = timer_ns(line, LOG_QUEUE), connect = timer_ns(line, LOG_CONNECT);
    const int64_t response = timer_ns(line, LOG_RESPONSE);
    const int64_t request_ns = moment_ns(line, LOG_REQUEST_AT);
    const int64_t response_ns = moment_ns(line, LOG_RESPONSE_AT);
    int64_t asked = moment_ns(line, LOG_BACKEND_AT);

    line->end_ns = moment_ns(line, LOG_END_AT);
    if (line->end_ns == 0)
        line->end_ns = line->msg->recv_unix_ns;
    if (request_ns != 0) /* the headers were there: their first byte came before */
        line->start_ns = request_ns - (headers > 0 ? headers : 0);
    else
        line->start_ns = line->end_ns - (active > 0 ? active : 0);
    line->start_ns = clamp(line->start_ns, 0, line->end_ns);
    if (asked == 0) {
        asked = request_ns != 0 ? request_ns : line->start_ns + (headers > 0 ? headers : 0);
        /* Rules may have held the request up, a tarpit or a wait for its body. */
        if (response_ns != 0 && queue >= 0 && connect >= 0 && response >= 0 &&
            response_ns - queue - connect - response > asked + TIMERS_OFF_NS)
            asked = response_ns - queue - connect - response;
    }
    line->client_start_ns = clamp(asked, line->start_ns, line->end_ns);
}

/* ---- who ---------------------------------------------------------------------------------------
 */

static bool read_id(const struct spoe_value *value, uint8_t ret[8])
{
    return http_is_text(value) && value->u.s.n == 16 && hex_read(value->u.s.p, ret, 8) &&
           !hex_is_zero(ret, 8);
}

/*
 * `tp` has one span id: CLIENT's where a server was tried, else SERVER's. sid and cid tell both.
 * @return false: there is no context
 */
static bool read_context(struct log_line *line)
{
    const struct spoe_value *own = slot(line, LOG_TRACEPARENT), *in = slot(line, LOG_INBOUND);
    struct trace_context parent;
    bool has_server;

    if (!http_is_text(own) || !traceparent_parse(own->u.s.p, own->u.s.n, &line->server))
        return false;
    line->client = line->server;
    has_server = read_id(slot(line, LOG_SERVER_ID), line->server.span_id);
    if (!read_id(slot(line, LOG_CLIENT_ID), line->client.span_id) && has_server &&
        memcmp(line->client.span_id, line->server.span_id, sizeof line->client.span_id) == 0)
        id_span(&line->worker->ids, line->client.span_id);
    if (line->tried && !has_server)
        id_span(&line->worker->ids, line->server.span_id);
    line->has_parent = http_is_text(in) && traceparent_parse(in->u.s.p, in->u.s.n, &parent) &&
                       memcmp(parent.trace_id, line->server.trace_id, sizeof parent.trace_id) == 0;
    if (line->has_parent)
        memcpy(line->parent_id, parent.span_id, sizeof line->parent_id);
    return true;
}

/* ---- spans -------------------------------------------------------------------------------------
 */

static void fill_one(const struct filling *begun, enum field field, const struct spoe_value *value)
{
    const struct fill_slot only = {0, (uint8_t)field};
    struct filling filling = *begun;

    fill_fields(&filling, &only, 1, value);
}

static void fill_request(const struct log_line *line, struct span *server)
{
    static const struct fill_slot fields[] = {
        {LOG_METHOD, FIELD_METHOD},
        {LOG_HOST, FIELD_HOST},
        {LOG_CLIENT_ADDRESS, FIELD_SOURCE},
        {LOG_FRONTEND, FIELD_FRONTEND_NAME},
        {LOG_FRONTEND_PORT, FIELD_FRONTEND_PORT},
        {LOG_CLIENT_PORT, FIELD_SOURCE_PORT},
        {LOG_FRONTEND_ADDRESS, FIELD_LOCAL_ADDRESS},
        {LOG_VERSION, FIELD_VERSION},
        {LOG_TLS_VERSION, FIELD_TLS_VERSION},
        {LOG_USER_AGENT, FIELD_USER_AGENT},
        {LOG_HANDSHAKE, FIELD_HANDSHAKE},
    };
    struct filling filling = {.conventions = &line->policy->conventions,
                              .phase = FILL_REQUEST,
                              .server = server,
                              .received_unix_ns = line->msg->recv_unix_ns};

    fill_one(&filling, FIELD_PATH, &line->path);
    fill_one(&filling, FIELD_TLS, &line->is_tls);
    fill_fields(&filling, fields, N(fields), line->msg->slot);
    fill_named(&filling, spoe_str("query"), &line->query);
    fill_end(&filling);
}

static void fill_response(const struct log_line *line, struct span *server, struct span *client)
{
    static const struct fill_slot fields[] = {
        {LOG_BACKEND, FIELD_BACKEND_NAME},  {LOG_SERVER_NAME, FIELD_SERVER_NAME},
        {LOG_SERVER_ADDRESS, FIELD_ORIGIN}, {LOG_SERVER_PORT, FIELD_ORIGIN_PORT},
        {LOG_QUEUE, FIELD_QUEUE},           {LOG_CONNECT, FIELD_CONNECT},
        {LOG_RESPONSE, FIELD_RESPONSE},
    };
    struct filling filling = {.conventions = &line->policy->conventions,
                              .phase = FILL_RESPONSE,
                              .server = server,
                              .client = client,
                              .received_unix_ns = line->msg->recv_unix_ns};
    const char letters[] = {line->state.why, line->state.when};
    const struct spoe_value status = spoe_value_int(line->status);
    const struct spoe_value state = spoe_value_str((struct spoe_span){letters, sizeof letters});
    struct filling one = filling;

    one.client = NULL;
    if (line->status != 0)
        fill_one(&one, FIELD_STATUS, &status);
    fill_one(&one, FIELD_TERMINATION_STATE, &state);
    if (client != NULL) {
        one.server = NULL;
        one.client = client;
        if (line->answered)
            fill_one(&one, FIELD_STATUS, &status);
        fill_one(&one, FIELD_RETRIES, &line->retries);
        fill_one(&one, FIELD_REDISPATCHED, &line->redispatched);
        fill_fields(&filling, fields, N(fields), line->msg->slot);
    }
    if (http_is_text(slot(line, LOG_CUSTOM)))
        filling.custom = slot(line, LOG_CUSTOM)->u.s;
    fill_end(&filling);
}

/* Whose fault it was. A client that leaves is no error of anybody's. */
static void set_errors(const struct log_line *line, struct span *server, struct span *client)
{
    const char *error = error_of(line->state);
    const bool is_code = line->status >= 500;

    if (by_client(line->state)) {
        fill_no_error(&line->policy->conventions, server);
        if (client != NULL)
            fill_no_error(&line->policy->conventions, client);
        return;
    }
    if (error == NULL)
        return;
    if (!is_code)
        fill_error(&line->policy->conventions, server, error);
    if (client != NULL)
        fill_error(&line->policy->conventions, client, error);
}

static struct span *make_span(const struct log_line *line, enum span_kind kind)
{
    const struct spoe_span name = fill_name(&line->policy->conventions, slot(line, LOG_METHOD));
    const bool is_server = kind == SPAN_SERVER;
    const uint8_t *parent = is_server ? line->parent_id : line->server.span_id;

    return span_create_from(&line->worker->spans, kind, is_server ? &line->server : &line->client,
                            is_server && !line->has_parent ? NULL : parent,
                            is_server && line->has_parent,
                            is_server ? line->start_ns : line->client_start_ns, name.p, name.n);
}

static void set_tracestate(const struct log_line *line, struct span *server)
{
    const struct spoe_value *value = slot(line, LOG_TRACESTATE);
    char text[TRACESTATE_MAX];
    struct text whole;

    if (!http_is_text(value))
        return;
    whole = (struct text){value->u.s.p, value->u.s.n};
    span_set_trace_state(server, text, tracestate_read(&whole, 1, text));
}

static void export_line(const struct log_line *line, bool kept)
{
    struct handlers *h = line->worker->shared;
    struct span *server = make_span(line, SPAN_SERVER), *client = NULL;

    if (server != NULL && line->tried) {
        client = make_span(line, SPAN_CLIENT);
        if (client == NULL) {
            span_recycle(&line->worker->spans, server);
            server = NULL;
        }
    }
    if (server == NULL) {
        count(&h->counters->no_memory, 1);
        return;
    }
    span_use_room(server, &line->worker->server_room);
    set_tracestate(line, server);
    fill_request(line, server);
    if (client != NULL) {
        struct filling filling = {
            .conventions = &line->policy->conventions, .phase = FILL_BACKEND, .client = client};

        span_use_room(client, &line->worker->client_room);
        span_share_trace_state(client, server);
        fill_one(&filling, FIELD_METHOD, slot(line, LOG_METHOD));
    }
    fill_response(line, server, client);
    if (client != NULL) {
        fill_complete_client(&line->policy->conventions, server, client);
        fill_full_url(&line->policy->conventions, client);
        span_end(client, line->end_ns);
        client->next = server;
    }
    set_errors(line, server, client);
    if (kept) {
        ending_mark_kept(server);
        if (client != NULL)
            ending_mark_kept(client);
        count(&h->counters->kept_errors, 1);
    }
    span_end(server, line->end_ns);
    server->next = NULL;
    count(&h->counters->logged, client != NULL ? 2 : 1);
    sink_push(h->sink, line->worker->writer, client != NULL ? client : server);
    span_recycle(&line->worker->spans, client);
    span_recycle(&line->worker->spans, server);
}

void log_line_handle(struct handlers_worker *worker, const struct policy *policy,
                     const struct spoe_message *msg)
{
    struct counters *counters = worker->shared->counters;
    struct log_line line = {.worker = worker, .policy = policy, .msg = msg};
    bool kept = false;

    line.state = read_state(slot(&line, LOG_STATE));
    if (!spoe_get_int(slot(&line, LOG_STATUS), &line.status) || line.status < 100 ||
        line.status > 999)
        line.status = 0; /* -1: the client was told nothing */
    line.tried = was_tried(&line);
    /* HAProxy's own answers have no response time, or replace the server's: P. */
    line.answered = line.tried && line.status != 0 && line.state.why != 'P' &&
                    timer_ns(&line, LOG_RESPONSE) >= 0;
    read_target(&line);
    if (policy->exclude != NULL && http_is_text(&line.path) &&
        exclude_path(policy->exclude, line.path.u.s)) {
        count(&counters->excluded, 1);
        return;
    }
    if (!read_context(&line)) {
        /* HAProxy's rules did not run: what came was no request, 400 or 408. */
        count(&counters->lines_without_context, 1);
        return;
    }
    if (!context_is_sampled(&line.server)) {
        count(&counters->unsampled, 1);
        kept = policy->keep_errors && line.status >= 500 && line.status <= 599 &&
               !by_client(line.state);
        if (!kept)
            return;
    }
    read_retries(&line);
    line.is_tls = spoe_value_bool(http_is_text(slot(&line, LOG_TLS_VERSION)) &&
                                  slot(&line, LOG_TLS_VERSION)->u.s.n > 0);
    read_times(&line);
    export_line(&line, kept);
}
