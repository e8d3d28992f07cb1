/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/otlp/answer.c - reading with protobuf-c. */
#include "otlp/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#define NS_PER_S INT64_C(1000000000)

void otlp_clean_text(const void *bytes, size_t len, char *ret, size_t size)
{
    const size_t n = len > 0 ? utf8_repair(bytes, len, ret, size - 1) : 0; /* bytes may be NULL */
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        const bool blank = (unsigned char)ret[i] <= ' ' || ret[i] == 0x7f;

        if (!blank)
            ret[used++] = ret[i];
        else if (used > 0 && ret[used - 1] != ' ')
            ret[used++] = ' ';
    }
    while (used > 0 && ret[used - 1] == ' ')
        used--;
    ret[used] = '\0';
}

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

    ret[0] = '\0';
    if (status == NULL)
        return;
    otlp_clean_text(status->message, strlen(status->message), ret, ret_size);
    google__rpc__status__free_unpacked(status, NULL);
}

bool otlp_read_response(const uint8_t *bytes, size_t len, uint64_t *ret_rejected, char *ret_text,
                        size_t size)
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse *response =
        opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(NULL, len,
                                                                                          bytes);

    *ret_rejected = 0;
    ret_text[0] = '\0';
    if (response == NULL)
        return false;
    if (response->partial_success != NULL) {
        const int64_t rejected = response->partial_success->rejected_spans;

        *ret_rejected = rejected > 0 ? (uint64_t)rejected : 0;
        otlp_clean_text(response->partial_success->error_message,
                        strlen(response->partial_success->error_message), ret_text, size);
    }
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(
        response, NULL);
    return true;
}
