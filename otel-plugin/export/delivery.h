/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/export/delivery.h - one batch: sent until it is delivered or given up, each of its
 * spans counted once.
 */
#ifndef OTEL_EXPORT_DELIVERY_H
#define OTEL_EXPORT_DELIVERY_H

#include <stddef.h>

struct exporter;
struct lane;
struct span;

/** Send what was taken, in as many requests as its size asks for. @param spans  [own] n of them */
void delivery_send(struct lane *lane, struct span *spans, size_t n);

/** Take the first n spans off a list, free them, and free their places in the queue. */
struct span *delivery_settle(struct exporter *exporter, struct span *spans, size_t n);

#endif
