/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/log.h - what the log says about the export, each thing once.
 *
 *   what                       lines
 *   exports fail               the first failure, each other reason (TEXTS_MAX in all), and when
 *                              they work again, with how long it took
 *   they fail again soon       one: the episode goes on, and its end is told when exports have
 *                              worked for EXPORT_LOG_STEADY_NS without a failure, or not at
 *                              all if nothing was exported then: a failure later is the first of
 *                              another episode
 *   the collector warns        each text once, numbers aside; again when it has not come for
 *                              EXPORT_LOG_FORGET_NS
 *   a signal is not taken      once, with what to set; and that it is, when it is again
 *   attributes over the limit  the first span that has lost some
 *   losses                     one a minute while a count of struct losses grows: the only line
 *                              that repeats
 *
 * All else is counters (struct exporter_stats).
 */
#ifndef OTEL_SEND_LOG_H
#define OTEL_SEND_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "send/exporter.h"
#include "send/health.h"

/* ---- texts that were said already ---------------------------------------------------------- */

/*
 * So that a collector, a library or a network that says the same again and again makes one line and
 * not many. Texts that differ only in numbers count as the same: addresses, times, ids and counts
 * change with every message. And only a few are remembered, so that one that is different each time
 * makes a few lines as well.
 */
#define TEXTS_MAX 4u

/* Zero-initialised; one thread at a time. */
struct texts {
    struct {
        uint64_t key;
        int64_t seen_ns;
    } _item[TEXTS_MAX];
    size_t _n;
};

/**
 * Whether a text is new: not one of those that are remembered, and there is room to remember it.
 * @param forget_ns  a text that was not seen for longer is forgotten
 */
bool texts_is_new(struct texts *texts, const char *text, int64_t now_ns, int64_t forget_ns);

/* ---- losses -------------------------------------------------------------------------------- */

/* X(counter, reason): messages without effect; `refused` are requests that got no span. */
#define EXPORT_IGNORED(X)                                                                          \
    X(missing_id, missing_id)                                                                      \
    X(long_id, long_id)                                                                            \
    X(duplicate_id, duplicate_id)                                                                  \
    X(refused, store_full)

struct export_ignored {
#define X(name, reason) uint64_t name;
    EXPORT_IGNORED(X)
#undef X
};

/* ---- the log ------------------------------------------------------------------------------- */

#define EXPORT_LOG_LOSSES_EVERY_NS INT64_C(60000000000)
#define EXPORT_LOG_STEADY_MINUTES 10
#define EXPORT_LOG_STEADY_NS (EXPORT_LOG_STEADY_MINUTES * INT64_C(60000000000))
#define EXPORT_LOG_FORGET_NS INT64_C(3600000000000)

enum export_log_state {
    EXPORT_LOG_FINE,
    EXPORT_LOG_FAILING,  /* a line says so */
    EXPORT_LOG_WORKING,  /* again, and a line says so, but not for long */
    EXPORT_LOG_UNSTEADY, /* it has failed again soon, and a line says so */
};

struct export_log {
    const struct spoe_host *host; /* NULL: nothing is logged */
    struct spoe_instance *self;
    enum otlp_signal signal;
    const char *target;           /* [pin until export_log_fini()] where the spans go */
    struct export_health *health; /* [pin until export_log_fini()] NULL: nobody is told */

    pthread_mutex_t _lock;
    /* All below: under the lock, which is held while a line is written: lines stay in order. */
    enum export_log_state _state;
    int64_t _first_ns, _last_ns; /* failures of the episode */
    int64_t _works_ns;           /* the first success after these; INT64_MAX: none */
    uint64_t _failures;
    int64_t _vain_ns; /* the first failure since an export worked */
    bool _is_vain;    /* there was one */
    struct texts _reasons, _warnings;
    int64_t _losses_next_ns; /* when a line about losses may be written again */
    struct export_losses _losses_told;
    struct export_ignored _ignored_told;
    char _quote[160]; /* what the collector said about the last */
    bool _attributes_told, _unsupported_told;
};

/** With host, self and target set and all else zero. */
void export_log_init(struct export_log *log);
void export_log_fini(struct export_log *log);

/**
 * An attempt failed that will be repeated.
 * @param waiting  spans that have not been delivered
 * @param wait_ns  until the next attempt
 */
void export_log_failure(struct export_log *log, int64_t now_ns, const char *text, size_t waiting,
                        int64_t wait_ns);

/** A request was delivered. */
void export_log_success(struct export_log *log, int64_t now_ns);

/**
 * The collector takes nothing of this signal.
 * @param pause_ns  so long nothing is sent; 0: the next batch is
 */
void export_log_unsupported(struct export_log *log, const char *text, int64_t pause_ns);

/** The collector took all, but says something. */
void export_log_warning(struct export_log *log, int64_t now_ns, const char *text);

/** A span has lost attributes or events. */
void export_log_attributes(struct export_log *log, uint32_t attributes, uint32_t events);

/** Keep what was said about a loss for the line; may be empty. */
void export_log_quote(struct export_log *log, const char *text);

/** Tell what was lost since the last line, at once or when its time has come. */
void export_log_losses(struct export_log *log, int64_t now_ns, const struct export_losses *losses,
                       const struct export_ignored *ignored, bool at_once);

#endif
