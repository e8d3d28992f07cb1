/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/console.h - the transport that collects nothing: spans as lines of JSON on a
 * file descriptor, for trying things out. docs/otel-export.md has their shape.
 */
#ifndef OTEL_SEND_CONSOLE_H
#define OTEL_SEND_CONSOLE_H

#include "send/transport.h"

struct spoe_host;
struct spoe_instance;

/**
 * @param fd  [borrow] until stop(); written to only as far as that does not block
 * @return [give: its stop()] NULL: out of memory or descriptors; logged
 */
struct transport *console_start(int fd, const struct spoe_host *log_host,
                                struct spoe_instance *log_self);

#endif
