/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/haproxy_side.h - what the plugin needs in HAProxy's configuration. */
#ifndef AUTH_REQUEST_HAPROXY_SIDE_H
#define AUTH_REQUEST_HAPROXY_SIDE_H

#include <spoe/ext/haproxy.h>

extern const struct spoe_haproxy auth_haproxy_side;

#endif
