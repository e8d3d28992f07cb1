/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/reports.h - what the log says about the export, each thing once.
 *
 *   what                       lines
 *   exports fail               the first failure, each other reason (TEXTS_MAX in all), and when
 *                              they work again, with how long it took
 *   they fail again soon       one: the episode goes on, and its end is told when exports have
 *                              worked for REPORTS_STEADY_NS without a failure
 *   the collector warns        each text once, numbers aside; again when it has not come for
 *                              REPORTS_FORGET_NS
 *   attributes over the limit  the first span that has lost some
 *   losses                     one a minute while a count of struct losses grows: the only line
 *                              that repeats
 *
 * All else is counters (struct exporter_stats).
 */
#ifndef OTEL_SEND_REPORTS_H
#define OTEL_SEND_REPORTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "send/losses.h"
#include "send/texts.h"

#define REPORTS_LOSSES_EVERY_NS INT64_C(60000000000)
#define REPORTS_STEADY_MINUTES 10
#define REPORTS_STEADY_NS (REPORTS_STEADY_MINUTES * INT64_C(60000000000))
#define REPORTS_FORGET_NS INT64_C(3600000000000)

enum reports_state {
    REPORTS_FINE,
    REPORTS_FAILING,  /* a line says so */
    REPORTS_WORKING,  /* again, and a line says so, but not for long */
    REPORTS_UNSTEADY, /* it has failed again soon, and a line says so */
};

struct reports {
    const struct spoe_host *host; /* NULL: nothing is logged */
    struct spoe_instance *self;
    const char *target; /* [pin until reports_fini()] where the spans go */

    pthread_mutex_t _lock;
    /* All below: under the lock, which is held while a line is written: lines stay in order. */
    enum reports_state _state;
    int64_t _first_ns, _last_ns; /* failures of the episode */
    uint64_t _failures;
    struct texts _reasons, _warnings;
    int64_t _losses_next_ns; /* when a line about losses may be written again */
    struct losses _losses_told;
    char _said[160]; /* what the collector said about the last */
    bool _attributes_told;
};

/** With host, self and target set and all else zero. */
void reports_init(struct reports *reports);
void reports_fini(struct reports *reports);

/**
 * An attempt failed that will be repeated.
 * @param waiting  spans that have not been delivered
 * @param wait_ns  until the next attempt
 */
void reports_failure(struct reports *reports, int64_t now_ns, const char *text, size_t waiting,
                     int64_t wait_ns);

/** A request was delivered. */
void reports_success(struct reports *reports, int64_t now_ns);

/** The collector took all, but says something. */
void reports_warning(struct reports *reports, int64_t now_ns, const char *text);

/** A span has lost attributes or events. */
void reports_attributes(struct reports *reports, uint32_t attributes, uint32_t events);

/** Keep what was said about a loss for the line; may be empty. */
void reports_said(struct reports *reports, const char *text);

/** Tell what was lost since the last line, at once or when its time has come. */
void reports_losses(struct reports *reports, int64_t now_ns, const struct losses *losses,
                    bool at_once);

#endif
