/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/http_parts.h - pieces of HTTP as the semantic conventions want them:
 * methods that are known, host and port taken apart, addresses as text.
 */
#ifndef OTEL_RECORD_HTTP_PARTS_H
#define OTEL_RECORD_HTTP_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

/** Whether a value is a text, or bytes that some converter of HAProxy's made of one. */
static inline bool http_is_text(const struct spoe_value *value)
{
    return value->type == SPOE_T_STR || value->type == SPOE_T_BIN;
}

/* RFC 9110, RFC 5789 and QUERY: the methods of the attribute http.request.method, frequent first.
 */
#define HTTP_KNOWN_METHODS "GET,POST,PUT,DELETE,HEAD,PATCH,OPTIONS,CONNECT,QUERY,TRACE"

/** Whether a comma-separated list without white space names the method; case counts (RFC
 * 9110, 9.1). */
bool http_method_known(const char *list, struct spoe_span method);

/**
 * Take a Host header apart: name, name:port, [v6], [v6]:port.
 * @param ret_host  points into `text`, without brackets; never empty
 * @param ret_port  0 where the text names none
 * @return false: none of these forms
 */
bool http_split_host(struct spoe_span text, struct spoe_span *ret_host, uint32_t *ret_port);

/** Read a port: an integer or its digits. @return false: neither, or outside 1 to 65535 */
bool http_get_port(const struct spoe_value *value, int64_t *ret);

/** Read an integer that is not below 0, or its digits, 18 at most. */
bool http_get_size(const struct spoe_value *value, int64_t *ret);

/** Read a boolean, or what a log line has for one: 1, 0, true or false. */
bool http_get_bool(const struct spoe_value *value, bool *ret);

#define HTTP_VERSION_MAX 4

/** HAProxy's word for what it does not know, in angle brackets: <BADREQ>. */
bool http_is_unknown(const struct spoe_value *value);

/**
 * A version of HTTP: "HTTP/2.0", "2.0" and 2 are "2", and "2.0" by the old convention; "1.1" stays.
 * @param buf  HTTP_VERSION_MAX bytes; where the value is a text *ret points into that text
 * @return false: none, or a bare 1, which may be 1.0 or 1.1
 */
bool http_get_version(const struct spoe_value *value, char *buf, struct spoe_span *ret,
                      struct spoe_span *ret_old);

#define HTTP_ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

/**
 * An address as text.
 * @param buf  at least HTTP_ADDRESS_MAX bytes; where the value is a text *ret is that text
 * @return false: neither an address nor a text that is not empty
 */
bool http_get_address(const struct spoe_value *value, char *buf, struct spoe_span *ret);

#endif
