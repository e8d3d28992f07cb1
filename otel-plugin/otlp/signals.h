/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/signals.h - what the signals differ in on their way to a collector: names, and
 * where a request goes. Requests themselves and their answers are framed alike, field for field.
 */
#ifndef OTEL_OTLP_SIGNALS_H
#define OTEL_OTLP_SIGNALS_H

#include "base/conf_types.h"

struct signal_names {
    const char *name;         /* of the signal: traces */
    const char *item, *items; /* what a request has of them, as its answer counts: span, spans */
    const char *method;       /* gRPC's, of the collector's service */
    const char *path;         /* HTTP's, behind the endpoint's: v1/traces */
    const char *off;          /* the setting without which nothing of it is sent */
};

/** @return [const-life] */
const struct signal_names *signal_names(enum otlp_signal signal);

#endif
