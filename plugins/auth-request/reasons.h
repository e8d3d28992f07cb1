/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/reasons.h - why a request is answered as it is: the variable "reason", and
 * the label of the metrics.
 */
#ifndef AUTH_REQUEST_REASONS_H
#define AUTH_REQUEST_REASONS_H

#include <stdbool.h>

/* clang-format off */
#define REASONS(REASON)                                                                            \
    REASON(ALLOWED, "allowed")     /* the service's answer was 2xx */                              \
    REASON(DENIED, "denied")       /* ... one of deny-status */                                    \
    REASON(STATUS, "status")       /* ... any other */                                             \
    REASON(BAD_ANSWER, "bad-answer") /* ... with a header that HAProxy cannot be given */          \
    REASON(TIMEOUT, "timeout")     /* it did not come in time */                                   \
    REASON(CONNECT, "connect")     /* no connection, or no address, of the service */              \
    REASON(TLS, "tls")             /* its certificate, or ours, or the handshake */                \
    REASON(PROTOCOL, "protocol")   /* it is not HTTP, or was cut short */                          \
    REASON(MEMORY, "memory")                                                                       \
    REASON(BUSY, "busy")           /* max-in-flight, max-in-flight-bytes */                        \
    REASON(DEADLINE, "deadline")   /* processing-timeout came before the answer */                 \
    REASON(STOPPING, "stopping")   /* the host's end came before the answer */                     \
    REASON(GONE, "gone")           /* HAProxy's connection ended before the answer */              \
    REASON(INVALID, "invalid")     /* a request that cannot be asked about */
/* clang-format on */

enum reason {
#define REASON_NAME(name, text) REASON_##name,
    REASONS(REASON_NAME)
#undef REASON_NAME
        REASON_COUNT
};

/* A question that was put ends by one of those up to MEMORY. */
#define REASON_OF_QUESTION_COUNT (REASON_MEMORY + 1)

static const char *const reason_texts[REASON_COUNT] = {
#define REASON_TEXT(name, text) [REASON_##name] = text,
    REASONS(REASON_TEXT)
#undef REASON_TEXT
};

/* Whether it is the service's fault: its health, and not a limit or the request. */
static inline bool reason_is_failure(enum reason reason)
{
    return reason >= REASON_STATUS && reason <= REASON_PROTOCOL;
}

#endif
