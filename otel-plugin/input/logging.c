/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/logging.c - see logging.h. */
#include "input/logging.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "otlp/log_wire.h"
#include "record/http_parts.h"

/* Of an attribute that has a name in the stable conventions and one in the old. */
static bool find(const struct span *span, enum span_key stable, enum span_key old,
                 struct span_attr *ret)
{
    return span_find_known(span, stable, ret) || span_find_known(span, old, ret);
}

/* @return 0: none */
static int64_t status_of(const struct span *server)
{
    struct span_attr attr;

    return find(server, SPAN_KEY_HTTP_RESPONSE_STATUS_CODE, SPAN_KEY_HTTP_STATUS_CODE, &attr) &&
                   attr.type == SPAN_INT
               ? attr.i
               : 0;
}

/*
 * https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber: an error is that
 * something went wrong; a warning is none, but more important than what only informs. So a request
 * that the client did wrong is a warning.
 */
static enum log_severity severity_of(const struct span *server)
{
    if (server->status == SPAN_STATUS_ERROR)
        return LOG_ERROR;
    return status_of(server) >= 400 ? LOG_WARN : LOG_INFO;
}

static int print_len(const struct span_attr *attr)
{
    return attr->type == SPAN_STRING ? (int)attr->str_len : 0;
}

/* "GET /cart 200"; the query is left out, which may be secret. */
static size_t make_body(const struct span *server, char ret[LOG_BODY_MAX])
{
    struct span_attr method = {.str = "", .type = SPAN_STRING};
    struct span_attr path = {.str = "", .type = SPAN_STRING};
    const int64_t status = status_of(server);
    char code[24] = "no response";
    const char *query;
    int n;

    (void)find(server, SPAN_KEY_HTTP_REQUEST_METHOD, SPAN_KEY_HTTP_METHOD, &method);
    if (find(server, SPAN_KEY_URL_PATH, SPAN_KEY_HTTP_TARGET, &path) && print_len(&path) > 0 &&
        (query = memchr(path.str, '?', path.str_len)) != NULL)
        path.str_len = (size_t)(query - path.str);
    if (status != 0)
        (void)snprintf(code, sizeof code, "%" PRId64, status);
    n = snprintf(ret, LOG_BODY_MAX, "%.*s%s%.*s%s%s", print_len(&method), method.str,
                 print_len(&method) > 0 ? " " : "", print_len(&path), path.str,
                 print_len(&path) > 0 ? " " : "", code);
    return n > 0 && (unsigned)n < LOG_BODY_MAX ? (size_t)n : 0; /* both are below 4096 */
}

static size_t put_log(const void *arg, uint8_t *p)
{
    return log_wire_put(arg, p);
}

void logging_request(struct handlers_worker *worker, const struct span *server,
                     const struct span *client, const struct spoe_value *text,
                     int64_t observed_unix_ns)
{
    char body[LOG_BODY_MAX];
    struct log_record record;

    if (!logging_is_on(worker))
        return;
    record = (struct log_record){.server = server,
                                 .client = client,
                                 .severity = severity_of(server),
                                 .body = body,
                                 .observed_unix_ns = observed_unix_ns};
    if (text != NULL && http_is_text(text) && text->u.s.n > 0)
        record.body_len = utf8_repair(text->u.s.p, text->u.s.n, body, sizeof body);
    else
        record.body_len = make_body(server, body);
    (void)span_queue_put(worker->logs, 1, log_wire_bound(&record), put_log, &record);
}
