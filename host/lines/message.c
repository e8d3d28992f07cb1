/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/message.c - see message.h. */
#include "lines/message.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "spop/spop.h"

#define EXCERPT_MAX 48u

void message_input(const struct reader *reader, struct dispatch_input *ret)
{
    *ret = (struct dispatch_input){.unix_ns = clock_unix_ns(), .mono_ns = clock_mono_ns()};
    ret->deadline_ns = ret->mono_ns + reader->worker->core.shared->conf->processing_timeout_ns;
}

/* ---- what is wrong ---- */

static const char *fault_text(enum line_fault fault)
{
    static const char *const texts[] = {
#define X(name, label, text) [LINE_##name] = (text),
        LINE_FAULTS(X)
#undef X
    };

    return texts[fault];
}

void message_broken(struct source *source, enum line_fault fault, struct spoe_span line,
                    size_t fault_at)
{
    static struct log_limit limits[N_LINE_FAULTS];
    struct counters *counters = reader_counters(source->reader);
    const size_t left = fault_at < line.n ? line.n - fault_at : 0;

    COUNT(counters, log_broken_lines);
    COUNT(counters, line_faults[fault]);
    log_limited(&limits[fault], SPOE_LOG_WARNING, LINES_COMPONENT,
                "%s: a log line of %zu bytes is broken at byte %zu: %s: \"%.*s\"", source->name,
                line.n, fault_at, fault_text(fault), (int)(left < EXCERPT_MAX ? left : EXCERPT_MAX),
                left != 0 ? line.p + fault_at : "");
}

/* ---- gaps ---- */

static struct spoe_span value_of(const struct line *line, const char *name, size_t n)
{
    for (uint32_t i = 0; i < line->pairs.n; i++) {
        const struct text_arg *pair = &line->pairs.pair[i];

        if (pair->name.n == n && wire_same_bytes(pair->name.p, name, n))
            return pair->value;
    }
    return (struct spoe_span){NULL, 0};
}

static void look_for_gaps(struct source *source, uint64_t peer)
{
    static struct log_limit limit;
    struct reader *reader = source->reader;
    const struct line *line = &reader->line;
    struct spoe_span number_text, pid, frontend;
    struct spoe_value number;
    uint64_t missing;

    if (!line->pairs.numbered)
        return;
    number_text = value_of(line, "lc", 2);
    if (number_text.p == NULL || !texts_value(number_text, SPOE_MASK(SPOE_T_UINT64), &number))
        return;
    pid = value_of(line, "pid", 3);
    if (pid.p == NULL)
        pid = line->pid;
    frontend = value_of(line, "fe", 2);
    missing = gaps_see(&reader->gaps, gaps_key(peer, pid, frontend), source->id, number.u.u64);
    if (missing == 0)
        return;
    COUNT_ADD(reader_counters(reader), log_missing_lines, missing);
    gaps_count(&reader->gaps, frontend, missing);
    log_limited(&limit, SPOE_LOG_WARNING, LINES_COMPONENT,
                "%s: %" PRIu64 " log lines of frontend %.*s (process %.*s) are missing before "
                "number %" PRIu64,
                source->name, missing, (int)(frontend.n < 64 ? frontend.n : 64),
                frontend.n != 0 ? frontend.p : "?", (int)(pid.n < 20 ? pid.n : 20),
                pid.n != 0 ? pid.p : "?", number.u.u64);
}

/* ---- the message ---- */

/* Plugins have not completed it all: hold the line until then, and at most so long its places. */
static void watch(struct worker *worker, struct exchange *exchange, struct block *block)
{
    exchange->pin = block_ref(block);
    exchange_answered(&worker->core, exchange); /* as far as it ever will be */
    worker_watch(worker, exchange, 0);
}

static void dispatch(struct source *source, struct block *block, const struct dispatch_input *input)
{
    struct reader *reader = source->reader;
    struct worker *worker = reader->worker;
    const struct line *line = &reader->line;
    struct exchange *exchange = exchange_get(&worker->core);
    int result = -SPOP_ERR_RESOURCE;

    if (exchange != NULL) {
        exchange->stream_id = exchange->frame_id = 0;
        exchange->budget = 0;
        result = dispatch_texts(&worker->core, line->name, line->pairs.pair, line->pairs.n,
                                exchange, input);
        if (exchange->outstanding == 0)
            exchange_release(&worker->core, exchange);
        else
            watch(worker, exchange, block);
    }
    if (result < 0) {
        COUNT(reader_counters(reader), resource_errors);
        message_broken(source, LINE_MEMORY, (struct spoe_span){NULL, 0}, 0);
        return;
    }
    COUNT(reader_counters(reader), log_lines);
    if (line->pairs.cut)
        COUNT(reader_counters(reader), log_cut_lines);
}

void message_dropped(struct source *source, uint64_t n)
{
    static struct log_limit limit;

    COUNT_ADD(reader_counters(source->reader), log_haproxy_drops, n);
    log_limited(&limit, SPOE_LOG_WARNING, LINES_COMPONENT,
                "%s: HAProxy has dropped %" PRIu64 " log lines", source->name, n);
}

void message_take(struct source *source, struct block *block, char *p, size_t n, uint64_t peer,
                  const struct dispatch_input *input)
{
    struct reader *reader = source->reader;
    enum line_fault fault;
    uint64_t dropped;

    assert(IS(source, SOURCE_MAGIC));
    if (n == 0)
        return;
    if (framing_is_dropped(p, n, &dropped)) {
        message_dropped(source, dropped);
        return;
    }
    fault = line_parse(&reader->line, p, n);
    if (fault != LINE_OK) {
        message_broken(source, fault, (struct spoe_span){p, n}, reader->line.fault_at);
        return;
    }
    look_for_gaps(source, peer);
    dispatch(source, block, input);
}
