/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/status.h - how the export is, as the plugin's line of status
 * (spoe/ext/health.h), for /status and the live page:
 *
 *   traces to 127.0.0.1:4317: works; last error 10:31:02 UTC: UNAVAILABLE: connection refused
 *
 * The log tells each thing once (send/log.h); this tells how it is now. Threads: under the
 * exporter's turn.
 */
#ifndef OTEL_SEND_STATUS_H
#define OTEL_SEND_STATUS_H

#include <stdint.h>

#include <spoe/ext/health.h>
#include <spoe/plugin.h>

#include "otlp/signals.h"

#define EXPORT_STATUS_ERROR_MAX 120u /* bytes of an error's text */

enum export_state { EXPORT_UNTRIED, EXPORT_WORKS, EXPORT_RETRIES, EXPORT_REFUSED };

struct export_status {
    const struct spoe_health *health; /* NULL: nobody wants to know */
    struct spoe_instance *self;
    struct {
        const char *target; /* [pin] where it goes; NULL: it does not */
        enum export_state state;
        int64_t error_unix_s; /* 0: there was none */
        char error[EXPORT_STATUS_ERROR_MAX];
    } _signals[N_SIGNALS];
};

/** @param host  NULL: nobody wants to know. */
void export_status_init(struct export_status *status, const struct spoe_host *host,
                        struct spoe_instance *self);
/** A signal goes somewhere. @param target  [pin until the sender ends] */
void export_status_add(struct export_status *status, enum otlp_signal signal, const char *target);
/**
 * What became of a request.
 * @param error  [borrow] NULL where it works
 */
void export_status_set(struct export_status *status, enum otlp_signal signal,
                       enum export_state state, const char *error, int64_t now_unix_s);

#endif
