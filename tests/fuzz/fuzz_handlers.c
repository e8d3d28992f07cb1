/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_handlers.c - any messages in any order: what HAProxy is told are headers that it
 * can send, and each span that was made is in the queue, lost for a reason, or nowhere.
 *
 * Input: two bytes for the policy, then messages: a byte for the kind, the worker and the time that
 * has passed (and whether a line of the log is to come), one for the id, one for the number of
 * values, and per value a byte for its slot (or, beyond those, its name), a byte for its type, the
 * length, and the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "context/trace_context.h"
#include "input/evict.h"
#include "input/handlers.h"
#include "input/messages.h"
#include "record/http_parts.h"

#define ARGS_MAX 8u
#define MESSAGES_MAX 64u
#define S INT64_C(1000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *p, *end;
} in;

static uint8_t next_byte(void)
{
    return in.p != in.end ? *in.p++ : 0;
}

/* ---- a host ---- */

static int64_t now_ns;

static int32_t log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 0;
}

static spoe_status set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value)
{
    (void)req;
    (void)scope;
    (void)name;
    for (size_t i = 0; value->type == SPOE_T_STR && i < value->u.s.n; i++)
        if (value->u.s.p[i] < 0x20 || value->u.s.p[i] > 0x7e)
            abort();
    if (value->type == SPOE_T_STR && (value->u.s.n == 0 || value->u.s.n > TRACESTATE_MAX))
        abort();
    return SPOE_OK;
}

static int64_t now(void)
{
    return now_ns;
}

static const struct spoe_host host = {.size = sizeof host,
                                      .abi_major = SPOE_ABI_MAJOR,
                                      .abi_minor = SPOE_ABI_MINOR,
                                      .name = "fuzz",
                                      .version = "0",
                                      .log_enabled = log_enabled,
                                      .set_var = set_var,
                                      .now_mono_ns = now};

/* ---- messages ---- */

static struct spoe_value read_value(void)
{
    struct spoe_value value = {.type = next_byte() % 10};
    size_t len = next_byte();

    if (len > 250) /* the longest that a tracestate may have, and one more */
        len += 260;
    if (len > (size_t)(in.end - in.p))
        len = (size_t)(in.end - in.p);
    if (value.type == SPOE_T_STR || value.type == SPOE_T_BIN)
        value.u.s = (struct spoe_span){(const char *)in.p, len};
    else
        memcpy(&value.u, in.p, len < sizeof value.u ? len : sizeof value.u);
    if (value.type == SPOE_T_BOOL)
        value.u.b &= 1;
    in.p += len;
    return value;
}

/* What no fuzzer guesses: a line of a request, its mark (this process's or another's), its context.
 */
static void finish_line(struct spoe_value slots[LOG_SLOTS], uint8_t how, uint8_t id)
{
    slots[LOG_METHOD] = spoe_value_str(spoe_str("GET"));
    if ((how & 8) != 0)
        slots[LOG_MARK] =
            spoe_value_str(spoe_str((id & 4) != 0 ? "0100000000000000-0000000000000002-00000000"
                                                  : "0300000000000000-0000000000000002-00000000"));
    if ((id & 8) != 0)
        slots[LOG_TRACEPARENT] =
            spoe_value_str(spoe_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
}

static void send_one(struct handlers_worker *workers)
{
    static const char *const ids[] = {"a", "b", "c", "d"};
    static const char *const names[] = {"http.route", "start", "end", "x", "url.query"};
    static const uint32_t n_slots[] = {REQUEST_SLOTS, BACKEND_SLOTS, RESPONSE_SLOTS, LOG_SLOTS};
    struct spoe_value slots[LOG_SLOTS] = {{.type = SPOE_T_NULL}};
    struct spoe_arg args[ARGS_MAX];
    const uint8_t how = next_byte(), id = next_byte();
    struct spoe_message msg = {.size = sizeof msg,
                               .index = (how & 7) == 7 ? MESSAGE_LOG : how % 3,
                               .slot = slots,
                               .args = args};

    now_ns += (how & 0x30) == 0x30 ? S / 2 : 1000; /* now and then a time-out is over */
    msg.n_slots = n_slots[msg.index];
    msg.recv_mono_ns = now_ns;
    msg.recv_unix_ns = (INT64_C(1) << 60) + now_ns;
    for (uint8_t n = next_byte() % 16; n > 0; n--) {
        const uint8_t slot = next_byte();

        if (slot < msg.n_slots)
            slots[slot] = read_value();
        else if (msg.n_args < ARGS_MAX)
            args[msg.n_args++] =
                (struct spoe_arg){.name = spoe_str(names[slot % (sizeof names / sizeof names[0])]),
                                  .value = read_value()};
    }
    if (id < 250)
        slots[msg.index == MESSAGE_LOG ? LOG_UNIQUE_ID : 0] = spoe_value_str(spoe_str(ids[id % 4]));
    if (msg.index == MESSAGE_REQUEST && (how & 8) != 0)
        slots[REQUEST_LOG_LINE] = spoe_value_bool(1);
    if (msg.index == MESSAGE_LOG)
        finish_line(slots, how, id);
    if (handlers_handle(&workers[how >> 6 & 1], NULL, &msg) != SPOE_OK)
        abort();
    while ((how & 0x80) != 0 && handlers_expire(&workers[2], now_ns))
        continue;
}

/* ---- all of it ---- */

static struct policy read_policy(struct rate_cap *rate_cap)
{
    const uint8_t sampling = next_byte(), formats = next_byte();
    struct policy policy = policy_default;

    policy.sampler.kind = (enum sampler_kind)(sampling % 6);
    policy.sampler.bound = sampler_ratio_bound(0.5);
    policy.keep_errors = (sampling & 0x40) != 0;
    policy.bad_requests = policy.keep_errors;
    policy.keep_slower_ns = (formats & 4) != 0 ? 2000 : 0; /* a message takes 1 000 */
    rate_cap_init(rate_cap, (sampling & 0x80) != 0 ? 10 : 0);
    policy.rate_cap = rate_cap;
    policy.propagators = (struct propagator_conf){.set = PROPAGATOR_TRACECONTEXT | PROPAGATOR_B3,
                                                  .list = {PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3},
                                                  .n = 2};
    policy.variables = (1u << N_CONTEXT_VARIABLES) - 1;
    policy.hold_ns = (formats & 1) != 0 ? 2 * S : 0;
    policy.conventions.redact_query = "*";
    policy.conventions.client_address =
        (formats & 2) != 0 ? CLIENT_ADDRESS_AUTHORITY : CLIENT_ADDRESS_PEER;
    return policy;
}

static void check_places(struct store *store, const struct counters *c,
                         const struct span_queue_stats *queue)
{
    const uint64_t made = c->opened + c->passed_over + c->attached + c->late + c->logged;

    if (made != queue->waiting + queue->dropped + c->unsampled_spans + c->superseded +
                    store_span_count(store))
        abort();
}

/* A cipher takes longer to make than most inputs. */
static void init_ids(struct id_source *ids)
{
    if (ids->_cipher == NULL && id_source_init(ids) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct handlers_worker workers[3];
    struct counters counters = {.requests = 0};
    struct rate_cap rate_cap;
    struct policy policy;
    struct sink sink = {.queue = span_queue_create(1000, SPAN_QUEUE_BYTES_MAX, 512, 4000000),
                        .counters = &counters};
    struct handlers handlers = {.host = &host,
                                .store = store_create(&(struct store_conf){.max = 3,
                                                                           .bytes_max = 20000,
                                                                           .ttl_ns = 1 * S,
                                                                           .reorder_ns = 1 * S,
                                                                           .kept_max = 3,
                                                                           .late_ns = 3 * S,
                                                                           .late_max = 2}),
                                .sink = &sink,
                                .counters = &counters,
                                .untraced = untraced_create(),
                                .policy = &policy,
                                .process = {1},
                                .reorder = true};
    struct span_queue_stats queue;

    in.p = data;
    in.end = data + size;
    now_ns = 1 * S;
    policy = read_policy(&rate_cap);
    for (size_t i = 0; i < 3; i++) {
        workers[i].shared = &handlers;
        workers[i].writer = span_queue_writer(sink.queue);
        init_ids(&workers[i].ids);
    }
    for (unsigned n = 0; n < MESSAGES_MAX && in.p != in.end; n++) {
        send_one(workers);
        span_queue_get_stats(sink.queue, &queue);
        check_places(handlers.store, &counters, &queue);
    }
    while (handlers_expire(&workers[2], INT64_MAX))
        continue;
    span_queue_get_stats(sink.queue, &queue);
    check_places(handlers.store, &counters, &queue);
    if (store_count(handlers.store) != 0 || store_bytes(handlers.store) != 0 ||
        store_kept(handlers.store) != 0)
        abort();
    for (size_t i = 0; i < 3; i++)
        pool_cache_fini(&workers[i].spans);
    untraced_destroy(handlers.untraced);
    store_destroy(handlers.store);
    span_queue_destroy(sink.queue);
    return 0;
}
