/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/log_line.c - a line's record becomes spans, or none.
 */
#include "input/log_line.h"

#include <string.h>

#include <spoe/util.h>

#include "context/tracestate.h"
#include "input/ending.h"
#include "input/exclude.h"
#include "input/log_read.h"
#include "input/logging.h"
#include "input/message_fill.h"
#include "input/metering.h"
#include "input/messages.h"
#include "input/recent.h"
#include "record/http_parts.h"
#include "signal/fill.h"

/* An undeclared key that begins so is an argument as any other message may have, by its name. */
#define ATTRIBUTE_PREFIX "attr."

static const struct spoe_value none = {.type = SPOE_T_NULL};

/* ---- attributes --------------------------------------------------------------------------------
 */

/* What the configuration names itself comes after the declared keys, and wins. */
static void fill_others(struct filling *filling, const struct spoe_message *msg)
{
    const size_t prefix = sizeof ATTRIBUTE_PREFIX - 1;

    for (uint32_t i = 0; i < msg->n_args; i++) {
        const struct spoe_span name = msg->args[i].name;

        if (name.n > prefix && memcmp(name.p, ATTRIBUTE_PREFIX, prefix) == 0)
            fill_named(filling, (struct spoe_span){name.p + prefix, name.n - prefix},
                       &msg->args[i].value);
    }
}

/* The status code of each span is that of its own side. */
static void fill_status(const struct filling *filling, const struct record *record)
{
    const struct spoe_value status = spoe_value_int(record->status);
    const struct spoe_value server_status = spoe_value_int(record->server_status);
    struct filling one = *filling;

    one.client = NULL;
    fill_field(&one, FIELD_STATUS, record->status != 0 ? &status : &none);
    one.server = NULL;
    one.client = filling->client;
    fill_field(&one, FIELD_STATUS, record->server_status != 0 ? &server_status : &none);
}

/* @param opened  messages told what was asked */
static void fill_spans(const struct policy *policy, const struct log_line *line, bool opened,
                       struct span *server, struct span *client)
{
    const struct record *record = &line->record;
    const char letters[] = {record->termination.why, record->termination.when};
    const struct spoe_value state = spoe_value_str((struct spoe_span){letters, sizeof letters});
    const struct spoe_value is_tls = spoe_value_bool(spoe_span_is(record->scheme, "https"));
    const struct spoe_value retries = spoe_value_int(record->retries);
    const struct spoe_value redispatched = spoe_value_bool(1);
    struct filling filling = {.conventions = &policy->conventions,
                              .phase = FILL_LINE,
                              .server = server,
                              .client = client,
                              .received_unix_ns = line->msg->recv_unix_ns};

    if (!opened) {
        fill_field(&filling, FIELD_PATH, &line->path);
        fill_field(&filling, FIELD_TLS, &is_tls);
        fill_named(&filling, spoe_str("query"), &line->query);
    }
    fill_status(&filling, record);
    fill_field(&filling, FIELD_TERMINATION_STATE, &state);
    fill_field(&filling, FIELD_RETRIES, &retries);
    fill_field(&filling, FIELD_REDISPATCHED, record->redispatched ? &redispatched : &none);
    message_fill_slots(&filling, line->msg);
    fill_others(&filling, line->msg);
    fill_end(&filling);
}

static void set_no_errors(const struct policy *policy, struct span *server, struct span *client)
{
    if (server != NULL)
        fill_no_error(&policy->conventions, server);
    if (client != NULL)
        fill_no_error(&policy->conventions, client);
}

/* What no status code tells, and what a status code tells wrongly. @param server, client  or NULL
 */
static void set_errors(const struct policy *policy, const struct record *record,
                       struct span *server, struct span *client)
{
    if (record->by_client) {
        set_no_errors(policy, server, client);
        return;
    }
    if (server != NULL && record->error != NULL)
        fill_error(&policy->conventions, server, record->error);
    if (client != NULL && record->server_error != NULL)
        fill_error(&policy->conventions, client, record->server_error);
}

/* ---- spans -------------------------------------------------------------------------------------
 */

static struct span *make_span(struct handlers_worker *worker, const struct policy *policy,
                              const struct log_line *line, enum span_kind kind)
{
    const struct spoe_span name = fill_name(&policy->conventions, &line->msg->slot[LOG_METHOD]);
    const bool is_server = kind == SPAN_SERVER;
    const uint8_t *parent = is_server ? line->parent_id : line->server.span_id;

    return span_create_from(
        &worker->spans, kind, is_server ? &line->server : &line->client,
        is_server && !line->has_parent ? NULL : parent, is_server && line->has_parent,
        is_server ? line->record.start_unix_ns : line->record.client_start_unix_ns, name.p, name.n);
}

static void set_tracestate(const struct log_line *line, struct span *server)
{
    const struct spoe_value *value = &line->msg->slot[LOG_TRACESTATE];
    char text[TRACESTATE_MAX];
    struct text whole;

    if (!http_is_text(value))
        return;
    whole = (struct text){value->u.s.p, value->u.s.n};
    span_set_trace_state(server, text, tracestate_read(&whole, 1, text));
}

/* CLIENT, as a backend message would have opened it. @return NULL: out of memory */
static struct span *make_client(struct handlers_worker *worker, const struct policy *policy,
                                const struct log_line *line, const struct span *server)
{
    struct span *client = make_span(worker, policy, line, SPAN_CLIENT);

    if (client != NULL)
        span_share_trace_state(client, server);
    return client;
}

/*
 * The line's spans, empty yet, become the request's.
 * @return false: out of memory
 */
static bool make_spans(struct handlers_worker *worker, const struct policy *policy,
                       const struct log_line *line, struct store_request *request)
{
    request->server = make_span(worker, policy, line, SPAN_SERVER);
    if (request->server == NULL)
        return false;
    set_tracestate(line, request->server);
    if (!line->record.tried)
        return true;
    request->client = make_client(worker, policy, line, request->server);
    return request->client != NULL;
}

/* Whether a request that was not sampled has spans all the same. */
static enum kept_for kept_for(const struct policy *policy, const struct log_line *line)
{
    return ending_kept_for(policy, record_is_error(&line->record),
                           record_duration_ns(&line->record));
}

static bool is_kept(const struct policy *policy, const struct log_line *line)
{
    return kept_for(policy, line) != KEPT_FOR_NOTHING;
}

/*
 * Complete a request's spans, log the request and hand them over.
 * @param opened    messages opened them
 * @param exported  false: they are made for the log record alone
 */
static void finish_spans(struct handlers_worker *worker, const struct policy *policy,
                         const struct log_line *line, struct store_request *request, bool opened,
                         bool exported)
{
    struct span *const server = request->server, *const client = request->client;

    span_use_room(server, &worker->server_room);
    if (client != NULL)
        span_use_room(client, &worker->client_room);
    fill_spans(policy, line, opened, server, client);
    if (client != NULL) {
        fill_complete_client(&policy->conventions, server, client);
        fill_full_url(&policy->conventions, client);
        span_end(client, line->record.end_unix_ns);
        client->next = server;
    }
    set_errors(policy, &line->record, server, client);
    span_end(server, line->record.end_unix_ns);
    server->next = NULL;
    logging_request(worker, server, client, &line->msg->slot[LOG_USER_LINE],
                    line->msg->recv_unix_ns);
    recent_request(worker->shared, server, client, exported, false);
    if (!exported)
        return;
    if (!ending_is_sampled(request))
        ending_mark_kept(worker->shared, kept_for(policy, line), server, client);
    ending_hand_over(worker, request, client != NULL ? client : server);
}

/*
 * The spans of a line that has its context; or its log record alone, where that is wanted.
 * @param request  that has none; freed
 */
static void export_line(struct handlers_worker *worker, const struct policy *policy,
                        const struct log_line *line, struct store_request *request, bool exported)
{
    struct counters *counters = worker->shared->counters;

    if (!exported && !logging_or_recent(worker))
        return;
    if (make_spans(worker, policy, line, request)) {
        if (exported)
            count(&counters->logged, request->client != NULL ? 2 : 1);
        finish_spans(worker, policy, line, request, false, exported);
    } else {
        count(&counters->no_memory, 1);
    }
    ending_free(worker, request);
}

/* ---- a line that comes alone -------------------------------------------------------------------
 */

/*
 * HAProxy's rules did not run, so that there is no context. @return whether it has one
 * nevertheless: of what never became a request, if the option says so.
 */
static bool begin_trace(struct handlers_worker *worker, const struct policy *policy,
                        struct log_line *line)
{
    struct counters *counters = worker->shared->counters;
    struct trace_context context;

    if (!http_is_unknown(&line->msg->slot[LOG_METHOD])) {
        count(&counters->lines_without_context, 1);
        return false;
    }
    count(&counters->bad_requests, 1);
    if (!policy->bad_requests)
        return false;
    context_begin_trace(worker, policy, line->msg->recv_mono_ns, &context);
    log_take_context(line, &context, &worker->ids);
    return true;
}

void log_line_handle(struct handlers_worker *worker, const struct policy *policy,
                     struct log_line *line)
{
    struct counters *counters = worker->shared->counters;
    struct store_request request = {.server = NULL};
    bool has_context;

    if (policy->exclude != NULL && line->record.path.n > 0 &&
        exclude_path(policy->exclude, line->record.path)) {
        count(&counters->excluded, 1);
        return;
    }
    has_context = log_read_context(line, &worker->ids) || begin_trace(worker, policy, line);
    metering_record(worker, policy, &line->record, NULL);
    if (!has_context)
        return;
    if (trace_once_take(&policy->once, line->server.trace_id, line->msg->recv_mono_ns)) {
        count(&counters->traced_once, 1);
        line->record.sampled = true;
        line->server.flags |= TRACE_FLAG_SAMPLED;
        line->client.flags |= TRACE_FLAG_SAMPLED;
    }
    if (!line->record.sampled)
        count(&counters->unsampled, 1);
    export_line(worker, policy, line, &request, line->record.sampled || is_kept(policy, line));
}

/* ---- the line of an open request ---------------------------------------------------------------
 */

/* One without spans: it is not sampled, or nobody keeps any for its line. */
static void end_without_spans(struct handlers_worker *worker, const struct policy *policy,
                              struct log_line *line, struct store_request *request)
{
    const bool exported = context_is_sampled(&request->context) || is_kept(policy, line);

    if (!exported && !logging_or_recent(worker))
        return;
    if (!log_read_context(line, &worker->ids)) /* HAProxy had no answer */
        log_take_context(line, &request->context, &worker->ids);
    export_line(worker, policy, line, request, exported);
}

/* CLIENT is there where a server was asked, whatever the backend's message has opened. */
static void settle_client(struct handlers_worker *worker, const struct policy *policy,
                          const struct log_line *line, struct store_request *request)
{
    struct counters *counters = worker->shared->counters;

    if (request->client != NULL && !line->record.tried) {
        count(&counters->superseded, 1);
        span_recycle(&worker->spans, request->client);
        request->client = NULL;
    } else if (request->client == NULL && line->record.tried) {
        request->client = make_client(worker, policy, line, request->server);
        count(request->client != NULL ? &counters->logged : &counters->no_memory, 1);
    }
}

/* The spans are as long as HAProxy says, by its clock, where it says so. */
static void take_times(struct log_line *line, struct store_request *request)
{
    struct record *record = &line->record;

    if (!line->timed) {
        record->start_unix_ns = record->client_start_unix_ns = request->server->start_unix_ns;
        record->end_unix_ns = store_unix_ns(request, line->msg->recv_mono_ns);
        return;
    }
    request->server->start_unix_ns = record->start_unix_ns;
    if (request->client != NULL)
        request->client->start_unix_ns = record->client_start_unix_ns;
}

void log_line_end(struct handlers_worker *worker, const struct policy *policy,
                  struct log_line *line, struct store_request *request)
{
    const bool sampled = ending_is_sampled(request);
    bool exported;

    if (request->server != NULL)
        take_times(line, request);
    exported = sampled || is_kept(policy, line);
    if (request->server == NULL) {
        end_without_spans(worker, policy, line, request);
    } else if (!exported && !logging_or_recent(worker)) {
        ending_count_unsampled(worker->shared, request);
    } else {
        if (sampled)
            COUNT_OWN(worker, ended);
        log_take_context(line, &request->server->context, &worker->ids);
        settle_client(worker, policy, line, request);
        if (request->client != NULL) /* a backend message may have given it an id of its own */
            memcpy(line->record.client_id, request->client->context.span_id,
                   sizeof line->record.client_id);
        if (request->answered) /* the line knows better */
            set_no_errors(policy, request->server, request->client);
        finish_spans(worker, policy, line, request, true, exported);
        if (!exported)
            ending_count_unsampled(worker->shared, request);
    }
    metering_record(worker, policy, &line->record, &request->begun);
    ending_free(worker, request);
}

void log_line_fill_late(const struct policy *policy, const struct spoe_message *msg,
                        struct span *span)
{
    struct log_line line;

    log_read(msg, &line);
    line.record.server_status = line.record.status; /* one span tells what the client saw */
    line.record.server_error = line.record.error;
    fill_spans(policy, &line, true, NULL, span);
    set_errors(policy, &line.record, NULL, span);
}
