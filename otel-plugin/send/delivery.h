/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/delivery.h - one batch: sent until it is delivered or given up, each of its
 * spans counted once.
 */
#ifndef OTEL_SEND_DELIVERY_H
#define OTEL_SEND_DELIVERY_H

#include <stddef.h>

struct lane;
struct span_chunk;

/** Send what was taken. @param chunks  [own] of n spans together */
void delivery_send(struct lane *lane, struct span_chunk *chunks, size_t n);

#endif
