/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/metering.c - see metering.h; docs/metrics.md has the attributes of each metric.
 */
#include "input/metering.h"

#include <string.h>

#include <spoe/util.h>

#include "base/hex.h"
#include "input/messages.h"
#include "meter/meter.h"
#include "record/http_parts.h"

#define METHOD_OTHER "_OTHER"
#define NS_PER_US INT64_C(1000)

/* One request on its way into the meter. */
struct metering {
    struct meter_writer *writer;
    const struct store_begun *begun;
    const struct record *record;
};

static uint16_t name(struct meter_writer *writer, struct spoe_span text)
{
    return meter_name(writer, text);
}

static uint16_t method(struct meter_writer *writer, const struct policy *policy,
                       struct spoe_span text)
{
    const bool known = http_method_known(policy->conventions.known_methods, text);

    return name(writer, known ? text : spoe_str(METHOD_OTHER));
}

/* HAProxy may be told to take any digits for a version. */
static uint16_t version(struct meter_writer *writer, struct spoe_span text)
{
    static const char *const known[] = {"1.1", "2", "1.0", "3", "0.9"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (spoe_span_is(text, known[i]))
            return name(writer, text);
    }
    return 0;
}

static uint16_t address(struct meter_writer *writer, const struct spoe_value *value)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    return http_get_address(value, buf, &text) ? name(writer, text) : 0;
}

/* ---- where it belongs ---- */

static struct meter_point *server_point(const struct metering *m, union meter_set *set)
{
    char code[RECORD_ERROR_MAX];

    set->value[METER_FRONTEND] = m->begun->frontend;
    set->value[METER_SCHEME] = m->begun->scheme;
    set->value[METER_VERSION] = m->begun->version;
    set->value[METER_STATUS] = (uint16_t)m->record->status;
    set->value[METER_ERROR] = name(m->writer, record_error_type(m->record, code));
    return meter_point(m->writer, set, METER_SERVER_SIDE);
}

static struct meter_point *client_point(const struct metering *m, union meter_set *set)
{
    const struct record *record = m->record;
    char code[RECORD_ERROR_MAX];

    set->value[METER_SERVER] = name(m->writer, record->server);
    set->value[METER_ADDRESS] = address(m->writer, &record->server_address);
    set->value[METER_PORT] = (uint16_t)record->server_port;
    set->value[METER_STATUS] = (uint16_t)record->server_status;
    set->value[METER_ERROR] = name(m->writer, record_server_error_type(record, code));
    return meter_point(m->writer, set, METER_CLIENT_SIDE);
}

static struct meter_point *end_point(const struct metering *m, uint16_t backend)
{
    const char letters[] = {m->record->termination.why, m->record->termination.when};
    union meter_set set = {.words = {0}};

    set.value[METER_FRONTEND] = m->begun->frontend;
    set.value[METER_BACKEND] = backend;
    set.value[METER_STATE] = name(m->writer, (struct spoe_span){letters, sizeof letters});
    return meter_point(m->writer, &set, METER_END);
}

static void find_points(const struct metering *m, bool told_end, struct meter_points *ret)
{
    /* What both sides of HAProxy have. */
    const union meter_set common = {.value = {[METER_BACKEND] = name(m->writer, m->record->backend),
                                              [METER_METHOD] = m->begun->method,
                                              [METER_ROUTE] = m->begun->route}};
    union meter_set set = common;

    if (m->record->tried)
        ret->kind[METER_CLIENT_SIDE] = client_point(m, &set);
    set = common;
    ret->kind[METER_SERVER_SIDE] = server_point(m, &set);
    if (told_end)
        ret->kind[METER_END] = end_point(m, common.value[METER_BACKEND]);
}

/* ---- the memo's key: all that decides where a request belongs ---- */

struct key {
    size_t n; /* above METER_MEMO_KEY_MAX: it is none */
    uint8_t bytes[METER_MEMO_KEY_MAX];
};

static void put(struct key *key, const void *from, size_t n)
{
    if (n <= METER_MEMO_KEY_MAX && key->n <= METER_MEMO_KEY_MAX - n) {
        if (n > 0)
            memcpy(key->bytes + key->n, from, n);
        key->n += n;
    } else {
        key->n = METER_MEMO_KEY_MAX + 1;
    }
}

static void put_text(struct key *key, struct spoe_span text)
{
    const uint8_t n = (uint8_t)text.n; /* a longer one is no key: there is no room */

    put(key, &n, 1);
    put(key, text.p, text.n);
}

static void put_address(struct key *key, const struct spoe_value *value)
{
    const uint8_t type = (uint8_t)value->type;

    put(key, &type, 1);
    if (value->type == SPOE_T_IPV4)
        put(key, value->u.ip4, sizeof value->u.ip4);
    else if (value->type == SPOE_T_IPV6)
        put(key, value->u.ip6, sizeof value->u.ip6);
    else if (http_is_text(value))
        put_text(key, value->u.s);
}

/* What a response and a line have alike. */
static void put_record(struct key *key, const struct record *record, bool told_end)
{
    const uint16_t numbers[] = {(uint16_t)record->status, (uint16_t)record->server_status,
                                (uint16_t)record->server_port,
                                (uint16_t)(record->tried | record->by_client << 1 | told_end << 2)};
    const char letters[] = {record->termination.why, record->termination.when};
    const char *const errors[] = {record->error, record->server_error}; /* which are constants */

    put(key, numbers, sizeof numbers);
    put(key, letters, sizeof letters);
    put(key, errors, sizeof errors);
    put_text(key, record->backend);
    put_text(key, record->server);
    put_address(key, &record->server_address);
}

/* ---- into the meter ---- */

static void count_at(const struct meter_points *points, const struct record *record)
{
    const struct meter_trace server = {record->trace_id, record->server_id, record->end_unix_ns};
    const struct meter_trace client = {record->trace_id, record->client_id, record->end_unix_ns};
    const bool has_client =
        record->sampled && !hex_is_zero(record->client_id, sizeof record->client_id);

    meter_record_server(points->kind[METER_SERVER_SIDE], record_duration_ns(record),
                        record->bytes_in, record->bytes_out, record->sampled ? &server : NULL);
    if (points->kind[METER_CLIENT_SIDE] != NULL)
        meter_record_client(points->kind[METER_CLIENT_SIDE],
                            record->end_unix_ns - record->client_start_unix_ns,
                            has_client ? &client : NULL);
    if (points->kind[METER_END] != NULL)
        meter_record_end(points->kind[METER_END]);
}

/* ---- a record ---- */

static uint16_t either(uint16_t first, uint16_t second)
{
    return first != 0 ? first : second;
}

/* A line may say less than its messages did. Of the scheme it knows only that nothing told of TLS.
 */
static struct store_begun begin_record(struct meter_writer *writer, const struct policy *policy,
                                       const struct record *record, const struct store_begun *told)
{
    return (struct store_begun){.frontend = either(name(writer, record->frontend), told->frontend),
                                .route = either(name(writer, record->route), told->route),
                                .method = method(writer, policy, record->method),
                                .scheme = either(told->scheme, name(writer, record->scheme)),
                                .version = either(version(writer, record->version), told->version)};
}

void metering_record(struct handlers_worker *worker, const struct policy *policy,
                     const struct record *record, const struct store_begun *told)
{
    static const struct store_begun nothing;
    struct meter_writer *writer = worker->meter;
    struct meter_points *points;
    struct key key;

    if (writer == NULL)
        return;
    key.n = 0;
    put(&key, told == NULL ? "l" : "b", 1);
    if (told != NULL)
        put(&key, told, offsetof(struct store_begun, reserved));
    put_text(&key, record->frontend);
    put_text(&key, record->route);
    /* One that is not known would make a key of its own for each that a client thinks of. */
    put_text(&key, http_method_known(policy->conventions.known_methods, record->method)
                       ? record->method
                       : spoe_str(METHOD_OTHER));
    put_text(&key, record->scheme);
    put_text(&key, record->version);
    put_record(&key, record, true);
    points = meter_recall(writer, key.bytes, key.n);
    if (points->kind[METER_SERVER_SIDE] == NULL) {
        const struct store_begun begun =
            begin_record(writer, policy, record, told != NULL ? told : &nothing);

        find_points(&(struct metering){writer, &begun, record}, true, points);
    }
    count_at(points, record);
}

/* ---- messages ---- */

static struct spoe_span text(const struct spoe_value *value)
{
    return http_is_text(value) ? value->u.s : (struct spoe_span){NULL, 0};
}

/* An argument that is not declared. @return NULL: there is none */
static const struct spoe_value *argument(const struct spoe_message *msg, const char *name)
{
    for (uint32_t i = 0; i < msg->n_args; i++) {
        if (spoe_span_is(msg->args[i].name, name))
            return &msg->args[i].value;
    }
    return NULL;
}

static struct spoe_span route_of(const struct spoe_message *msg)
{
    const struct spoe_value *value = argument(msg, "http.route");

    if (value == NULL)
        value = argument(msg, "route");
    return value != NULL ? text(value) : (struct spoe_span){NULL, 0};
}

static int64_t size_of(const struct spoe_message *msg, const char *name)
{
    const struct spoe_value *value = argument(msg, name);
    int64_t n;

    return value != NULL && http_get_size(value, &n) ? n : -1;
}

struct store_begun metering_begin(struct handlers_worker *worker, const struct policy *policy,
                                  const struct spoe_message *request)
{
    struct meter_writer *writer = worker->meter;
    struct store_begun begun = {.frontend = 0};
    struct spoe_span number, old;
    char buf[HTTP_VERSION_MAX];

    if (writer == NULL)
        return begun;
    begun.frontend = name(writer, text(&request->slot[REQUEST_FRONTEND_NAME]));
    begun.method = method(writer, policy, text(&request->slot[REQUEST_METHOD]));
    begun.route = name(writer, route_of(request));
    if (request->slot[REQUEST_TLS].type == SPOE_T_BOOL)
        begun.scheme =
            name(writer, spoe_str(request->slot[REQUEST_TLS].u.b != 0 ? "https" : "http"));
    if (http_get_version(&request->slot[REQUEST_VERSION], buf, &number, &old))
        begun.version = version(writer, number);
    return begun;
}

static void read_times(const struct store_request *request, int64_t end_unix_ns,
                       struct record *record)
{
    const int64_t asked_ns = (int64_t)request->begun.asked_us * NS_PER_US;

    record->end_unix_ns = end_unix_ns;
    record->start_unix_ns =
        request->server != NULL ? request->server->start_unix_ns : request->opened_unix_ns;
    record->client_start_unix_ns = request->client != NULL ? request->client->start_unix_ns
                                                           : request->opened_unix_ns + asked_ns;
}

static void read_context(const struct store_request *request, struct record *record)
{
    const struct trace_context *context =
        request->server != NULL ? &request->server->context : &request->context;

    record->sampled = context_is_sampled(context);
    memcpy(record->trace_id, context->trace_id, sizeof record->trace_id);
    memcpy(record->server_id, context->span_id, sizeof record->server_id);
    if (request->client != NULL)
        memcpy(record->client_id, request->client->context.span_id, sizeof record->client_id);
}

static void read_response(const struct store_request *request, const struct spoe_message *response,
                          struct record *record)
{
    const struct spoe_value *const slot = response->slot;

    record->backend = text(&slot[RESPONSE_BACKEND_NAME]);
    record->server = text(&slot[RESPONSE_SERVER_NAME]);
    record->server_address = slot[RESPONSE_ORIGIN];
    if (!http_get_port(&slot[RESPONSE_ORIGIN_PORT], &record->server_port))
        record->server_port = 0;
    if (!spoe_get_int(&slot[RESPONSE_STATUS], &record->status) || record->status < 100 ||
        record->status > 999)
        record->status = 0;
    record->tried = record->server.n > 0 || request->begun.asked_us != 0;
    record->server_status = record->tried ? record->status : 0;
    record->bytes_in = size_of(response, "req_size");
    record->bytes_out = size_of(response, "res_size");
}

void metering_response(struct handlers_worker *worker, const struct store_request *request,
                       const struct spoe_message *response, int64_t end_unix_ns)
{
    const struct spoe_value *state = argument(response, "term_state");
    struct store_begun begun = request->begun;
    struct record record = {.status = 0};
    struct meter_points *points;
    struct key key;
    struct spoe_span route;

    if (worker->meter == NULL)
        return;
    read_response(request, response, &record);
    read_context(request, &record);
    read_times(request, end_unix_ns, &record);
    route = route_of(response);
    if (route.n > 0)
        begun.route = name(worker->meter, route);
    if (state != NULL) {
        record.termination = termination_read(state);
        record.by_client = termination_by_client(record.termination);
    }
    key.n = 0;
    put(&key, "m", 1);
    put(&key, &begun, offsetof(struct store_begun, reserved));
    put_record(&key, &record, state != NULL);
    points = meter_recall(worker->meter, key.bytes, key.n);
    if (points->kind[METER_SERVER_SIDE] == NULL)
        find_points(&(struct metering){worker->meter, &begun, &record}, state != NULL, points);
    count_at(points, &record);
}
