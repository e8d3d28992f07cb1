/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/http_accept.h - what an Accept header field says of a media type (RFC 9110, 12.5.1).
 * No I/O, no state; threads: [any].
 */
#ifndef HOST_ADMIN_HTTP_ACCEPT_H
#define HOST_ADMIN_HTTP_ACCEPT_H

#include <spoe/plugin.h>

#define HTTP_QUALITY_MAX 1000u

/**
 * How much a type is wanted: by the most exact of the ranges that it is in, and of several equally
 * exact ones the best. Parameters but q are not looked at, nor is a range whose q is none.
 * @param accept      [borrow] empty: nothing is said
 * @param media_type  [borrow] "text/plain"
 * @return thousandths; 0: it is not named, or not wanted
 */
unsigned http_accept_quality(struct spoe_span accept, const char *media_type);

#endif
