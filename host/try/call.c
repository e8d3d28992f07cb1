/* SPDX-License-Identifier: Apache-2.0 */
/* host/try/call.c - see call.h. */
#include "try/call.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "spop/wire.h"

#define LOOK_NS NS_PER_MS /* how often it is asked whether a message of the log is done */

const char *call_fault_text(enum call_fault fault)
{
    static const char *const texts[N_CALL_FAULTS] = {
#define X(name, text) [CALL_##name] = (text),
        CALL_FAULTS(X)
#undef X
    };

    return texts[fault];
}

void call_count_faults(const struct spoe_worker *worker, uint64_t ret[N_CALL_FAULTS])
{
#define X(name, text)                                                                              \
    ret[CALL_##name] = atomic_load_explicit(&worker->counters.name, memory_order_relaxed);
    CALL_FAULTS(X)
#undef X
}

/* ---- over SPOP ---- */

/* A recorded frame with ids of ours. @return bytes; 0 with *reterr: it is no NOTIFY that fits */
static size_t renumber(const struct script_line *line, uint64_t id, uint8_t *to,
                       struct error *reterr)
{
    struct spop_frame frame;
    size_t size;
    uint8_t *p = to + SPOP_LENGTH_BYTES;

    if (wire_frame_find(line->frame, line->frame_len, FRAME_SIZE, &size) != 1 ||
        size != line->frame_len ||
        wire_frame_decode(line->frame + SPOP_LENGTH_BYTES, size - SPOP_LENGTH_BYTES, &frame) != 0) {
        (void)error_set(reterr, "%zu bytes that are no whole frame of at most %u", line->frame_len,
                        FRAME_SIZE);
        return 0;
    }
    *p++ = frame.type;
    p = wire_put_be32(p, SPOP_FLAG_FIN);
    p = wire_put_varint(p, id);
    p = wire_put_varint(p, 1);
    if ((size_t)(p - to) + frame.payload_len > FRAME_SIZE + SPOP_LENGTH_BYTES) {
        (void)error_set(reterr, "a frame that is too large");
        return 0;
    }
    memcpy(p, frame.payload, frame.payload_len);
    p += frame.payload_len;
    (void)wire_put_be32(to, (uint32_t)(p - to) - SPOP_LENGTH_BYTES);
    return (size_t)(p - to);
}

static int call_over_spop(struct peer *peer, const struct script_line *line,
                          const struct spoe_arg *args, uint64_t id, int64_t limit_ns,
                          struct call *ret, struct error *reterr)
{
    uint8_t frame[FRAME_SIZE + SPOP_LENGTH_BYTES];
    const size_t n = line->kind == SCRIPT_FRAME
                         ? renumber(line, id, frame, reterr)
                         : frame_notify(frame, id, 1, line->message, args, line->n);
    const int64_t begin_ns = clock_mono_ns(), deadline_ns = begin_ns + limit_ns;
    int result;

    if (n == 0 && line->kind == SCRIPT_FRAME)
        return -1;
    if (n == 0)
        return error_set(reterr, "larger than a frame of HAProxy's, %u bytes (tune.bufsize)",
                         FRAME_SIZE);
    if (peer_send(peer, frame, n, deadline_ns, reterr) != 0)
        return -1;
    do {
        result = peer_receive(peer, deadline_ns, &ret->ack, reterr);
    } while (result > 0 && ret->ack.type == SPOP_ACK && ret->ack.stream_id != id);
    if (result > 0 && ret->ack.type != SPOP_ACK)
        return error_set(reterr, "the host ends the connection: its log says why");
    ret->answered = result > 0;
    ret->ns = clock_mono_ns() - begin_ns;
    return result < 0 ? -1 : 0;
}

/* ---- as from the log ---- */

/* On its way to the worker's thread. */
struct log_message {
    struct mail mail;
    struct worker *worker;
    const struct script_line *line;
    const struct spoe_arg *args;
    int64_t limit_ns;
    int result; /* of dispatch_texts() */
    sem_t handed_over;
};

static void hand_over(struct log_message *m)
{
    struct text_arg texts[SCRIPT_WORDS_MAX];
    struct worker *worker = m->worker;
    struct dispatch_input input = {.unix_ns = clock_unix_ns(), .mono_ns = clock_mono_ns()};
    struct exchange *exchange = exchange_get(&worker->core);

    m->result = -SPOP_ERR_RESOURCE;
    if (exchange == NULL)
        return;
    input.deadline_ns = input.mono_ns + m->limit_ns;
    for (uint32_t i = 0; i < m->line->n; i++)
        texts[i] = (struct text_arg){
            .name = m->args[i].name, .value = m->line->word[i].value, .place = (uint8_t)i};
    exchange->stream_id = exchange->frame_id = 0;
    exchange->budget = 0;
    m->result =
        dispatch_texts(&worker->core, m->line->message, texts, m->line->n, exchange, &input);
    if (exchange->outstanding == 0) {
        exchange_release(&worker->core, exchange);
        return;
    }
    exchange_answered(&worker->core, exchange);
    worker_watch(worker, exchange, 0);
}

static void run_log_message(struct mail *mail)
{
    struct log_message *m = container_of(mail, struct log_message, mail);

    hand_over(m);
    (void)sem_post(&m->handed_over);
}

static uint64_t in_flight(const struct spoe_worker *worker)
{
    uint64_t n = 0;

    for (size_t i = 0; i < worker->shared->plugins->n; i++)
        n += atomic_load(&worker->in_flight[i]);
    return n;
}

/* The line and its values outlive it: a plugin may look at them until it completes. */
static int call_as_from_log(struct worker *worker, const struct script_line *line,
                            const struct spoe_arg *args, int64_t limit_ns, struct call *ret,
                            struct error *reterr)
{
    const int64_t begin_ns = clock_mono_ns();
    const struct timespec pause = {0, LOOK_NS};
    struct log_message m = {.mail = {.run = run_log_message},
                            .worker = worker,
                            .line = line,
                            .args = args,
                            .limit_ns = limit_ns};

    ret->silent = true;
    (void)sem_init(&m.handed_over, 0, 0);
    if (!mailbox_put(&worker->core.mailbox, &m.mail))
        return error_set(reterr, "the worker has stopped");
    while (sem_wait(&m.handed_over) != 0) {
    }
    (void)sem_destroy(&m.handed_over);
    if (m.result < 0)
        return error_set(reterr, "out of memory");
    while (in_flight(&worker->core) != 0 && clock_mono_ns() - begin_ns < limit_ns)
        (void)nanosleep(&pause, NULL);
    ret->ns = clock_mono_ns() - begin_ns;
    ret->answered = in_flight(&worker->core) == 0;
    return 0;
}

int call_plugins(struct peer *peer, const struct script_line *line, const struct spoe_arg *args,
                 uint64_t id, int64_t limit_ns, struct call *ret, struct error *reterr)
{
    const struct spoe_worker *core = &peer->worker->core;
    const struct route *route =
        line->kind == SCRIPT_MESSAGE ? route_find(core->shared->routes, line->message) : NULL;
    uint64_t before[N_CALL_FAULTS];
    int result;

    *ret = (struct call){.answered = false};
    call_count_faults(core, before);
    if (route != NULL && route->from_log)
        result = call_as_from_log(peer->worker, line, args, limit_ns, ret, reterr);
    else
        result = call_over_spop(peer, line, args, id, limit_ns, ret, reterr);
    call_count_faults(core, ret->faults);
    for (size_t i = 0; i < N_CALL_FAULTS; i++)
        ret->faults[i] -= before[i];
    return result;
}
