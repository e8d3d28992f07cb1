/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/plugins/auth-request/rig.h - one worker's asks on a host, a loop, a clock and a
 * service of the test's: what is asked waits until the test answers it, and time passes when it
 * says so.
 */
#ifndef TESTS_UNIT_AUTH_REQUEST_RIG_H
#define TESTS_UNIT_AUTH_REQUEST_RIG_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "auth-request/asks.h"
#include "auth-request/question.h"
#include "auth-request/service.h"

#define MS INT64_C(1000000)
#define REQUESTS_MAX 64u
#define TRANSFERS_MAX 64u

/* ---- requests ---- */

struct spoe_request {
    char allowed[8], reason[32], user[32];
    int64_t status;
    unsigned n_completed, n_committed;
    char committed[32]; /* the reason that it had when it was committed */
    spoe_status result;
    void *data;
};
static struct spoe_request requests[REQUESTS_MAX];
static int64_t now_ns;
static char logged[4096];
static bool no_room, no_room_for_headers; /* in the ACK */

static int64_t now(void)
{
    return now_ns;
}

static spoe_status set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value)
{
    cr_assert_eq(scope, SPOE_SCOPE_TXN);
    cr_assert_eq(req->n_completed, 0, "a variable after the completion");
    if (no_room || (no_room_for_headers && name.n > 7 && memcmp(name.p, "header_", 7) == 0))
        return SPOE_E_TOOBIG;
    if (spoe_span_is(name, "allowed"))
        (void)snprintf(req->allowed, sizeof req->allowed, "%s", value->u.b ? "yes" : "no");
    else if (spoe_span_is(name, "reason"))
        (void)snprintf(req->reason, sizeof req->reason, "%.*s", (int)value->u.s.n, value->u.s.p);
    else if (spoe_span_is(name, "header_x_user"))
        (void)snprintf(req->user, sizeof req->user, "%.*s", (int)value->u.s.n, value->u.s.p);
    else if (spoe_span_is(name, "status"))
        req->status = value->u.i64;
    return SPOE_OK;
}

static void complete(struct spoe_request *req, spoe_status status)
{
    cr_assert_eq(req->n_completed++, 0, "completed twice");
    req->result = status;
}

static spoe_status commit(struct spoe_request *req)
{
    req->n_committed++;
    memcpy(req->committed, req->reason, sizeof req->committed);
    return SPOE_OK;
}

static spoe_status set_data(struct spoe_request *req, void *data)
{
    req->data = data;
    return SPOE_OK;
}

static void *data_of(struct spoe_request *req)
{
    return req->data;
}

static int32_t log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    (void)level;
    return 1;
}

static void log_text(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                     struct spoe_span text)
{
    const size_t n = strlen(logged);

    (void)self;
    (void)req;
    (void)level;
    (void)snprintf(logged + n, sizeof logged - n, "%.*s|", (int)text.n, text.p);
}

static const struct spoe_host host = {
    .size = sizeof host,
    .log_enabled = log_enabled,
    .log = log_text,
    .set_var = set_var,
    .complete = complete,
    .now_mono_ns = now,
    .request_commit = commit,
    .request_set_data = set_data,
    .request_data = data_of,
};

/* ---- the loop: one timer, that of asks ---- */

struct spoe_timer {
    spoe_timer_fn *fn;
    void *arg;
    int64_t at_ns;
};
static struct spoe_timer timer;
static unsigned n_timers;

static spoe_status timer_new(struct spoe_worker *worker, spoe_timer_fn *fn, void *arg,
                             struct spoe_timer **ret)
{
    (void)worker;
    n_timers++;
    timer = (struct spoe_timer){fn, arg, SPOE_TIMER_OFF};
    *ret = &timer;
    return SPOE_OK;
}

static spoe_status timer_set(struct spoe_timer *t, int64_t at_ns)
{
    t->at_ns = at_ns;
    return SPOE_OK;
}

static void timer_free(struct spoe_timer *t)
{
    n_timers -= t != NULL ? 1 : 0;
}

static const struct spoe_loop loop = {
    .size = sizeof loop, .timer_new = timer_new, .timer_set = timer_set, .timer_free = timer_free};

/* Time passes, and what is due then comes. */
static inline void pass(int64_t ns)
{
    now_ns += ns;
    if (timer.at_ns <= now_ns) {
        timer.at_ns = SPOE_TIMER_OFF;
        timer.fn(timer.arg);
    }
}

/* ---- the service: what the plugin has libcurl for ---- */

struct transfer {
    void *arg; /* NULL: it has ended */
    char lines[1024];
};
static struct transfer transfers[TRANSFERS_MAX];
static unsigned n_asked, n_aborted, connections_told;
static bool service_is_full;
static service_end_fn *on_end;

struct service *service_create(const struct service_env *env, service_end_fn *fn)
{
    (void)env;
    on_end = fn;
    return malloc(1);
}

void service_destroy(struct service *service)
{
    free(service);
}

struct transfer *service_ask(struct service *service, const char *lines, unsigned n_lines,
                             unsigned connections, void *arg)
{
    struct transfer *transfer = &transfers[n_asked];
    size_t n = 0;

    (void)service;
    if (service_is_full)
        return NULL;
    cr_assert_lt(n_asked++, TRANSFERS_MAX);
    connections_told = connections;
    transfer->arg = arg;
    transfer->lines[0] = '\0';
    for (unsigned i = 0; i < n_lines; i++) {
        n += (size_t)snprintf(transfer->lines + n, sizeof transfer->lines - n, "%s|", lines);
        lines += strlen(lines) + 1;
    }
    return transfer;
}

void service_abort(struct service *service, struct transfer *transfer)
{
    (void)service;
    cr_assert_not_null(transfer->arg);
    transfer->arg = NULL;
    n_aborted++;
}

static struct auth auth;

/* The service answers the n-th question with these lines; reason is what libcurl's side makes of
 * it. */
static inline void answer(unsigned n, enum reason reason, const char *lines)
{
    static struct answer_reader reader;
    struct service_end end = {.reason = reason, .answer = &reader, .text = "a reason"};
    void *arg = transfers[n].arg;

    cr_assert_not_null(arg, "no question %u", n);
    transfers[n].arg = NULL;
    answer_begin(&reader, &auth.conf.from_service);
    while (*lines != '\0') {
        const size_t length = strcspn(lines, "|") + 1;

        answer_take_line(&reader, lines, length - 1);
        lines += length;
    }
    on_end(arg, &end);
}

/* ---- one worker ---- */

static struct asks *asks;
static struct spoe_value slots[ARG_COUNT];

static inline void set_names(struct names *names, const char *list)
{
    char why[100];

    cr_assert_eq(names_parse(names, spoe_str(list), why, sizeof why), 0);
}

/* With what the options have by default, but for what the test has set in auth.conf before. */
static char url[] = "http://service/";

static inline void begin(void)
{
    auth.host = &host;
    auth.loop = &loop;
    auth.conf.url = url;
    auth.conf.send = SEND_URI;
    auth.conf.timeout_ns = 500 * MS;
    auth.conf.coalesce = !auth.conf.coalesce; /* set: off */
    auth.conf.deny_status[0] = 403;
    auth.conf.n_deny_status = 1;
    if (auth.conf.in_flight == 0)
        auth.conf.in_flight = 1000;
    if (auth.conf.in_flight_bytes == 0)
        auth.conf.in_flight_bytes = 1000000;
    auth.conf.connections = 64;
    if (auth.conf.cache_entries == 0)
        auth.conf.cache_entries = 100;
    if (auth.conf.cache_bytes == 0)
        auth.conf.cache_bytes = 100000;
    set_names(&auth.conf.from_service, "x-user");
    auth.n_workers = 1;
    now_ns = 1000 * MS;
    asks = asks_create(&auth, NULL);
    cr_assert_not_null(asks);
}

static inline void end(void)
{
    asks_destroy(asks);
    names_fini(&auth.conf.from_service);
    names_fini(&auth.conf.to_service);
    cr_assert_eq(n_timers, 0);
    for (unsigned i = 0; i < n_asked; i++)
        cr_assert_null(transfers[i].arg, "question %u was not given up", i);
}

/* Request n, about a path. */
static inline spoe_status ask(unsigned n, const char *path)
{
    const struct spoe_message msg = {.size = sizeof msg,
                                     .n_slots = ARG_COUNT,
                                     .slot = slots,
                                     .recv_mono_ns = now_ns,
                                     .deadline_mono_ns = now_ns + 1000 * MS};

    cr_assert_lt(n, REQUESTS_MAX);
    slots[ARG_URI] = spoe_value_str(spoe_str(path));
    slots[ARG_HDRS] = spoe_value_str((struct spoe_span){"\0\0", 2});
    return asks_handle(asks, &requests[n], &msg);
}

#define EXPECT(n, allowed_, reason_)                                                               \
    do {                                                                                           \
        cr_expect_str_eq(requests[n].allowed, allowed_);                                           \
        cr_expect_str_eq(requests[n].reason, reason_);                                             \
    } while (0)

#endif
