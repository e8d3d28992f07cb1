/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/test_span.c - a queue of one span, a batch of it, one request. */
#include "test_span.h"

#include <stdio.h>
#include <time.h>

#include <spoe/util.h>

#include "base/hex.h"
#include "conf/otel_conf.h"
#include "context/ids.h"
#include "otlp/batch.h"
#include "otlp/queue.h"
#include "send/transport.h"

#define NAME "spoe-host test span"

static int64_t unix_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* @param ret_trace_id  in hex. @return [give] NULL: out of memory, or no random numbers */
static struct span *make_span(char ret_trace_id[33])
{
    struct trace_context context = {.flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM};
    struct id_source ids;
    struct span *span;

    if (id_source_init(&ids) != 0)
        return NULL;
    id_trace(&ids, context.trace_id);
    id_span(&ids, context.span_id);
    id_source_fini(&ids);
    hex_write(context.trace_id, sizeof context.trace_id, ret_trace_id);
    ret_trace_id[32] = '\0';
    span = span_create(SPAN_SERVER, &context, NULL, false, unix_now(), NAME, sizeof NAME - 1);
    if (span != NULL)
        span_end(span, unix_now());
    return span;
}

/* The span as a request. @return [give] NULL: out of memory */
static struct batch *make_batch(const struct exporter_conf *conf, const struct span *span)
{
    const struct batch_resource resource = {.service_name = conf->service_name,
                                            .version = conf->service_version,
                                            .schema_url = conf->schema_url,
                                            .attributes = conf->resource,
                                            .n_attributes = conf->n_resource};
    struct batch_encoder *encoder = batch_encoder_create(&resource);
    struct span_queue *queue = span_queue_create(1, SPAN_QUEUE_BYTES_MAX, 1, BATCH_BYTES_MAX);
    struct span_writer *writer = queue != NULL ? span_queue_writer(queue) : NULL;
    struct batch *batch = batch_create();
    bool made = false;
    size_t n;

    if (encoder != NULL && writer != NULL && batch != NULL &&
        span_queue_push(writer, span, &n) == SPAN_QUEUE_OK) {
        struct span_chunk *chunks = span_queue_take(queue, 1, BATCH_BYTES_MAX, &n);

        made = batch_join(encoder, chunks, batch) == 0;
        span_queue_release(chunks);
    }
    span_queue_destroy(queue);
    batch_encoder_destroy(encoder);
    if (made)
        return batch;
    batch_destroy(batch);
    return NULL;
}

spoe_status test_span_send(const struct otel_conf *conf, const struct spoe_host *host,
                           struct spoe_instance *self, int64_t deadline_mono_ns)
{
    char trace_id[33], target[EXPORTER_TARGET_MAX];
    struct transport_result result;
    struct batch *batch = NULL;
    struct span *span;
    int rc;

    if (conf->disabled || conf->exporter.kind == EXPORTER_NONE) {
        spoe_logf(host, self, SPOE_LOG_ERR, "no spans are exported: %s",
                  conf->disabled ? "tracing is disabled" : "traces-exporter is none");
        return SPOE_E_CONFIG;
    }
    span = make_span(trace_id);
    if (span != NULL)
        batch = make_batch(&conf->exporter, span);
    span_destroy(span);
    if (batch == NULL) {
        spoe_logf(host, self, SPOE_LOG_ERR, "out of memory");
        return SPOE_E_NOMEM;
    }
    rc = exporter_send_one(&conf->exporter, batch->bytes, batch->size, deadline_mono_ns, host, self,
                           target, &result);
    batch_destroy(batch);
    if (rc != 0)
        return SPOE_E_INTERNAL;
    if (result.outcome == TRANSPORT_OK && result.rejected == 0) {
        spoe_logf(host, self, SPOE_LOG_NOTICE, "%s has taken a test span, trace %s%s%s", target,
                  trace_id, result.text[0] != '\0' ? "; it says: " : "", result.text);
        return SPOE_OK;
    }
    spoe_logf(host, self, SPOE_LOG_ERR, "%s has not taken a test span: %s", target,
              result.text[0] != '\0' ? result.text : "it says no more");
    return SPOE_E_INTERNAL;
}
