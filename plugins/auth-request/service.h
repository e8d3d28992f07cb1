/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/service.h - the way to the service, of one worker: libcurl's multi_socket on
 * the worker's loop. No thread and no lock of the plugin's; libcurl has a thread of its own for
 * each name that it looks up.
 */
#ifndef AUTH_REQUEST_SERVICE_H
#define AUTH_REQUEST_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include <spoe/ext/loop.h>
#include <spoe/plugin.h>

#include "auth-request/answer.h"
#include "auth-request/conf.h"
#include "auth-request/reasons.h"

struct service;
struct transfer; /* one question under way */

struct service_env {
    const struct spoe_host *host;
    const struct spoe_loop *loop;
    struct spoe_worker *worker;
    const struct auth_conf *conf;
};

/* How a question has ended. */
struct service_end {
    enum reason
        reason; /* TIMEOUT, CONNECT, TLS, PROTOCOL or MEMORY; else ALLOWED, DENIED or STATUS */
    const struct answer_reader *answer; /* [borrow] */
    const char *text;                   /* [borrow] of a failure, for people */
    unsigned connections;               /* that were made for it */
};

/* A question has ended, and its transfer is gone. From the loop, never within service_ask(). */
typedef void service_end_fn(void *arg, const struct service_end *end);

/* All of libcurl, once a process; counted. @return 0, -1 */
int service_global_start(void);
void service_global_stop(void);

/* Whether an address can be asked. @return 0; -1: why has the reason */
int service_check_url(const char *url, char *why, size_t size);

/* Whether this libcurl can do what http-version says. @return as service_check_url() */
int service_check_version(const struct auth_conf *conf, char *why, size_t size);

/* @return [give] NULL: out of memory, or no place on the loop */
struct service *service_create(const struct service_env *env, service_end_fn *on_end);
/* Ends what is under way, without on_end(). */
void service_destroy(struct service *service);

/**
 * Put a question.
 * @param lines        [borrow until it has ended] n_lines lines, each ended by a NUL
 * @param connections  how many this worker may have
 * @param arg          for on_end()
 * @return NULL: out of memory
 */
struct transfer *service_ask(struct service *service, const char *lines, unsigned n_lines,
                             unsigned connections, void *arg);

/* Give up a question, without on_end(). */
void service_abort(struct service *service, struct transfer *transfer);

#endif
