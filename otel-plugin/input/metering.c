/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/input/metering.c - see metering.h; docs/metrics.md has the attributes of each metric.
 */
#include "input/metering.h"

#include <string.h>

#include <spoe/util.h>

#include "meter/meter.h"
#include "record/http_parts.h"

#define METHOD_OTHER "_OTHER"

/* One request on its way into the meter. */
struct metering {
    struct meter_writer *writer;
    const struct policy *policy;
    const struct record *record;
};

static uint16_t name(const struct metering *m, struct spoe_span text)
{
    return meter_name(m->writer, text);
}

static uint16_t method(const struct metering *m)
{
    const bool known = http_method_known(m->policy->conventions.known_methods, m->record->method);

    return name(m, known ? m->record->method : spoe_str(METHOD_OTHER));
}

/* HAProxy may be told to take any digits for a version. */
static uint16_t version(const struct metering *m)
{
    static const char *const known[] = {"1.1", "2", "1.0", "3", "0.9"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (spoe_span_is(m->record->version, known[i]))
            return name(m, m->record->version);
    }
    return 0;
}

static uint16_t address(const struct metering *m)
{
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    return http_get_address(&m->record->server_address, buf, &text) ? name(m, text) : 0;
}

/* What both sides of HAProxy have. */
static void set_common(const struct metering *m, union meter_set *set)
{
    set->value[METER_BACKEND] = name(m, m->record->backend);
    set->value[METER_METHOD] = method(m);
    set->value[METER_ROUTE] = name(m, m->record->route);
}

static void record_server(const struct metering *m, union meter_set *set)
{
    const struct record *record = m->record;
    const struct meter_trace trace = {record->trace_id, record->server_id, record->end_unix_ns};
    char code[RECORD_ERROR_MAX];

    set->value[METER_FRONTEND] = name(m, record->frontend);
    set->value[METER_SCHEME] = name(m, record->scheme);
    set->value[METER_VERSION] = version(m);
    set->value[METER_STATUS] = (uint16_t)record->status;
    set->value[METER_ERROR] = name(m, record_error_type(record, code));
    meter_server(m->writer, set, record_duration_ns(record), record->bytes_in, record->bytes_out,
                 record->sampled ? &trace : NULL);
}

static void record_client(const struct metering *m, union meter_set *set)
{
    const struct record *record = m->record;
    const struct meter_trace trace = {record->trace_id, record->client_id, record->end_unix_ns};
    char code[RECORD_ERROR_MAX];

    set->value[METER_SERVER] = name(m, record->server);
    set->value[METER_ADDRESS] = address(m);
    set->value[METER_PORT] = (uint16_t)record->server_port;
    set->value[METER_STATUS] = (uint16_t)record->server_status;
    set->value[METER_ERROR] = name(m, record_server_error_type(record, code));
    meter_client(m->writer, set, record->end_unix_ns - record->client_start_unix_ns,
                 record->sampled ? &trace : NULL);
}

static void record_end(const struct metering *m, uint16_t frontend, uint16_t backend)
{
    const char letters[] = {m->record->termination.why, m->record->termination.when};
    union meter_set set = {.words = {0}};

    set.value[METER_FRONTEND] = frontend;
    set.value[METER_BACKEND] = backend;
    set.value[METER_STATE] = name(m, (struct spoe_span){letters, sizeof letters});
    meter_end(m->writer, &set);
}

void metering_record(struct handlers_worker *worker, const struct policy *policy,
                     const struct record *record, bool told_end)
{
    const struct metering m = {worker->meter, policy, record};
    union meter_set common = {.words = {0}}, set;

    if (worker->meter == NULL)
        return;
    set_common(&m, &common);
    if (record->tried) {
        set = common;
        record_client(&m, &set);
    }
    set = common;
    record_server(&m, &set);
    if (told_end)
        record_end(&m, set.value[METER_FRONTEND], set.value[METER_BACKEND]);
}
