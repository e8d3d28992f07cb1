/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/otlp_answer.c - reading with protobuf-c. */
#include "send/otlp_answer.h"

#include <stdio.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#define NS_PER_S INT64_C(1000000000)

static int64_t clamp_delay(int64_t seconds, int32_t nanos)
{
    if (seconds < 0 || nanos < 0)
        return 0;
    if (seconds >= OTLP_RETRY_DELAY_MAX_NS / NS_PER_S)
        return OTLP_RETRY_DELAY_MAX_NS;
    return seconds * NS_PER_S + nanos % NS_PER_S;
}

bool otlp_read_retry_info(const uint8_t *bytes, size_t size, int64_t *ret_delay_ns)
{
    static const char type[] = "/google.rpc.RetryInfo";
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, size, bytes);
    bool found = false;

    for (size_t i = 0; status != NULL && i < status->n_details && !found; i++) {
        const Google__Protobuf__Any *detail = status->details[i];
        const char *name = strrchr(detail->type_url, '/');
        Google__Rpc__RetryInfo *info;

        if (name == NULL || strcmp(name, type) != 0)
            continue;
        info = google__rpc__retry_info__unpack(NULL, detail->value.len, detail->value.data);
        if (info == NULL)
            continue;
        found = true;
        *ret_delay_ns = info->retry_delay != NULL
                            ? clamp_delay(info->retry_delay->seconds, info->retry_delay->nanos)
                            : 0;
        google__rpc__retry_info__free_unpacked(info, NULL);
    }
    if (status != NULL)
        google__rpc__status__free_unpacked(status, NULL);
    return found;
}

void otlp_read_status_message(const uint8_t *bytes, size_t size, char *ret, size_t ret_size)
{
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, size, bytes);

    (void)snprintf(ret, ret_size, "%s", status != NULL ? status->message : "");
    if (status != NULL)
        google__rpc__status__free_unpacked(status, NULL);
}

void otlp_read_response(const uint8_t *bytes, size_t size, struct transport_result *ret)
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse *response =
        opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(
            NULL, size, bytes);

    if (response == NULL) {
        (void)snprintf(ret->text, sizeof ret->text, "its answer cannot be read");
        return;
    }
    if (response->partial_success != NULL) {
        const int64_t rejected = response->partial_success->rejected_spans;

        ret->rejected = rejected > 0 ? (uint64_t)rejected : 0;
        (void)snprintf(ret->text, sizeof ret->text, "%s", response->partial_success->error_message);
    }
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(
        response, NULL);
}
