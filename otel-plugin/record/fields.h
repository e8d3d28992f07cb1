/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/fields.h - what can be known of a request: every field, by the name of its
 * argument, with its type, the attribute that it becomes, and on which span; and the names of the
 * attributes in the stable and the old conventions. docs/attributes.md and docs/otel.md have the
 * same tables; a test compares them. Where a field comes from (a message of HAProxy's, or anything
 * else that tells of a request) is not known here.
 *
 * Sources: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and its registry for the
 * stable names; docs/non-normative/http-migration.md of the conventions for the old ones (v1.20).
 */
#ifndef OTEL_RECORD_FIELDS_H
#define OTEL_RECORD_FIELDS_H

/*
 * X(id, stable name, old name on SERVER, old name on CLIENT, stays); names as numbers of
 * record/known_keys.h, which has their texts.
 * Old names are written beside the stable ones with http/dup and in their place with http/old;
 * NONE: the name never changed. `stays`: HAProxy's agents wrote the stable name beside the old
 * HTTP ones all along, so http/old keeps it, too.
 */
#define OTEL_ATTRIBUTES(X)                                                                         \
    X(METHOD, HTTP_REQUEST_METHOD, HTTP_METHOD, HTTP_METHOD, 0)                                    \
    /* Set after METHOD, so the old name ends up with the method as it came. */                    \
    X(METHOD_ORIGINAL, HTTP_REQUEST_METHOD_ORIGINAL, HTTP_METHOD, HTTP_METHOD, 0)                  \
    X(STATUS_CODE, HTTP_RESPONSE_STATUS_CODE, HTTP_STATUS_CODE, HTTP_STATUS_CODE, 0)               \
    X(RESEND_COUNT, HTTP_REQUEST_RESEND_COUNT, HTTP_RESEND_COUNT, HTTP_RESEND_COUNT, 0)            \
    X(REQUEST_SIZE, HTTP_REQUEST_BODY_SIZE, HTTP_REQUEST_CONTENT_LENGTH,                           \
      HTTP_REQUEST_CONTENT_LENGTH, 0)                                                              \
    X(RESPONSE_SIZE, HTTP_RESPONSE_BODY_SIZE, HTTP_RESPONSE_CONTENT_LENGTH,                        \
      HTTP_RESPONSE_CONTENT_LENGTH, 0)                                                             \
    X(ROUTE, HTTP_ROUTE, NONE, NONE, 0)                                                            \
    X(URL_PATH, URL_PATH, HTTP_TARGET, HTTP_TARGET, 0)                                             \
    /* The old convention has the query behind http.target's path. */                              \
    X(URL_QUERY, URL_QUERY, HTTP_TARGET, HTTP_TARGET, 0)                                           \
    X(URL_SCHEME, URL_SCHEME, HTTP_SCHEME, HTTP_SCHEME, 0)                                         \
    X(URL_FULL, URL_FULL, HTTP_URL, HTTP_URL, 0)                                                   \
    X(SERVER_ADDRESS, SERVER_ADDRESS, NET_HOST_NAME, NET_PEER_NAME, 1)                             \
    X(SERVER_PORT, SERVER_PORT, NET_HOST_PORT, NET_PEER_PORT, 1)                                   \
    X(CLIENT_ADDRESS, CLIENT_ADDRESS, HTTP_CLIENT_IP, HTTP_CLIENT_IP, 1)                           \
    X(CLIENT_PORT, CLIENT_PORT, NONE, NONE, 0)                                                     \
    X(PEER_ADDRESS, NETWORK_PEER_ADDRESS, NET_SOCK_PEER_ADDR, NET_SOCK_PEER_ADDR, 0)               \
    X(PEER_PORT, NETWORK_PEER_PORT, NET_SOCK_PEER_PORT, NET_SOCK_PEER_PORT, 0)                     \
    X(LOCAL_ADDRESS, NETWORK_LOCAL_ADDRESS, NET_SOCK_HOST_ADDR, NET_SOCK_HOST_ADDR, 0)             \
    X(LOCAL_PORT, NETWORK_LOCAL_PORT, NET_SOCK_HOST_PORT, NET_SOCK_HOST_PORT, 0)                   \
    X(PROTOCOL_VERSION, NETWORK_PROTOCOL_VERSION, NET_PROTOCOL_VERSION, NET_PROTOCOL_VERSION, 0)   \
    X(USER_AGENT, USER_AGENT_ORIGINAL, NONE, NONE, 0)                                              \
    X(ERROR_TYPE, ERROR_TYPE, NONE, NONE, 0)                                                       \
    X(TLS_NAME, TLS_PROTOCOL_NAME, NONE, NONE, 0)                                                  \
    X(TLS_VERSION, TLS_PROTOCOL_VERSION, NONE, NONE, 0)                                            \
    X(TLS_NEXT_PROTOCOL, TLS_NEXT_PROTOCOL, NONE, NONE, 0)                                         \
    X(TLS_RESUMED, TLS_RESUMED, NONE, NONE, 0)                                                     \
    X(FRONTEND_NAME, HAPROXY_FRONTEND_NAME, NONE, NONE, 0)                                         \
    X(FRONTEND_PORT, HAPROXY_FRONTEND_PORT, NONE, NONE, 0)                                         \
    X(BACKEND_NAME, HAPROXY_BACKEND_NAME, NONE, NONE, 0)                                           \
    X(SERVER_NAME, HAPROXY_SERVER_NAME, NONE, NONE, 0)                                             \
    X(TIME_HANDSHAKE, HAPROXY_TIME_HANDSHAKE, NONE, NONE, 0)                                       \
    X(TIME_QUEUE, HAPROXY_TIME_QUEUE, NONE, NONE, 0)                                               \
    X(TIME_CONNECT, HAPROXY_TIME_CONNECT, NONE, NONE, 0)                                           \
    X(TIME_RESPONSE, HAPROXY_TIME_RESPONSE, NONE, NONE, 0)                                         \
    X(REDISPATCHED, HAPROXY_REDISPATCHED, NONE, NONE, 0)                                           \
    X(REUSED, HAPROXY_CONNECTION_REUSED, NONE, NONE, 0)                                            \
    X(CACHE_HIT, HAPROXY_CACHE_HIT, NONE, NONE, 0)                                                 \
    X(TERMINATION_STATE, HAPROXY_TERMINATION_STATE, NONE, NONE, 0)

/*
 * X(id, field, kind of value, attribute, spans that open with it, spans of the response)
 * Spans are S, C, SC or NO. The request opens SERVER, the backend's request CLIENT. Kinds:
 *   TEXT     a text, or a value as text; none where it is empty
 *   INT      an integer, or its digits; none below 0, as HAProxy's timers are that never ran
 *   COUNT    an INT that is not 0
 *   BOOL     ADDRESS an address or a text     PORT 1 to 65535, or its digits
 *   METHOD   and what is not known of them
 *   HOST     server.address and server.port   STATUS  code, error.type and the span's status
 *   SOURCE   ADDRESS, also for network.peer.address
 *   ORIGIN, ORIGIN_PORT  the peer of CLIENT, whose server.* it may be as well
 *   VERSION  of HTTP, "2.0" written as "2"    TLS  whether TLS is spoken: https or http
 *   TLSVER   TLSv1.3, taken apart             PEER  PORT, also for network.peer.port
 *   QUERY, URL  redacted                      ROUTE  names the span, too
 *   START, END  microseconds since 1970       CUSTOM  key=value;key=value, after all others
 *   NONE     not for attributes
 */

/* What has a place on the wire in one message alone: found by number, never by name. */
#define OTEL_DECLARED(X)                                                                           \
    X(METHOD, "method", METHOD, METHOD, SC, NO)                                                    \
    X(PATH, "path", TEXT, URL_PATH, SC, NO)                                                        \
    X(HOST, "host", HOST, SERVER_ADDRESS, S, NO)                                                   \
    X(TLS, "ssl_fc", TLS, URL_SCHEME, S, NO)                                                       \
    X(SOURCE, "src", SOURCE, CLIENT_ADDRESS, S, NO)                                                \
    X(FRONTEND_NAME, "fe_name", TEXT, FRONTEND_NAME, S, NO)                                        \
    X(FRONTEND_PORT, "fe_port", PORT, FRONTEND_PORT, S, NO)                                        \
    X(STATUS, "status", STATUS, STATUS_CODE, NO, SC)                                               \
    X(BACKEND_NAME, "be_name", TEXT, BACKEND_NAME, NO, C)                                          \
    X(SERVER_NAME, "srv_name", TEXT, SERVER_NAME, NO, C)                                           \
    X(ORIGIN, "bc_dst", ORIGIN, PEER_ADDRESS, NO, C)                                               \
    X(ORIGIN_PORT, "bc_dst_port", ORIGIN_PORT, PEER_PORT, NO, C)                                   \
    X(CUSTOM, "custom_attrs", CUSTOM, NONE, NO, S)

/*
 * What may come with any message: found by number where a source declares it, else by name. Where
 * it has no conventional place on the span that is opened, it keeps its own name.
 */
#define OTEL_ARGUMENTS(X)                                                                          \
    X(START, "start", START, NONE, SC, NO)                                                         \
    X(END, "end", END, NONE, NO, SC)                                                               \
    X(BACKEND_PATH, "path", TEXT, URL_PATH, C, NO)                                                 \
    X(QUERY, "query", QUERY, URL_QUERY, SC, S)                                                     \
    X(URL_QUERY, "url.query", QUERY, URL_QUERY, SC, S)                                             \
    X(URL_FULL, "url.full", URL, URL_FULL, SC, C)                                                  \
    X(SCHEME, "scheme", TEXT, URL_SCHEME, SC, S)                                                   \
    X(BACKEND_TLS, "ssl_bc", TLS, URL_SCHEME, NO, C)                                               \
    X(VERSION, "ver", VERSION, PROTOCOL_VERSION, SC, S)                                            \
    X(RESPONSE_VERSION, "res_ver", VERSION, PROTOCOL_VERSION, NO, C)                               \
    X(USER_AGENT, "user_agent", TEXT, USER_AGENT, SC, S)                                           \
    X(ROUTE, "route", ROUTE, ROUTE, S, S)                                                          \
    X(HTTP_ROUTE, "http.route", ROUTE, ROUTE, S, S)                                                \
    X(CLIENT_ADDRESS, "client_addr", ADDRESS, CLIENT_ADDRESS, S, S)                                \
    X(SOURCE_PORT, "src_port", PEER, CLIENT_PORT, S, S)                                            \
    X(LOCAL_ADDRESS, "dst", ADDRESS, LOCAL_ADDRESS, S, S)                                          \
    X(LOCAL_PORT, "dst_port", PORT, LOCAL_PORT, S, S)                                              \
    X(SERVER_ADDRESS, "srv_addr", ADDRESS, SERVER_ADDRESS, C, C)                                   \
    X(SERVER_PORT, "srv_port", PORT, SERVER_PORT, C, C)                                            \
    X(ORIGIN_LOCAL_ADDRESS, "bc_src", ADDRESS, LOCAL_ADDRESS, NO, C)                               \
    X(ORIGIN_LOCAL_PORT, "bc_src_port", PORT, LOCAL_PORT, NO, C)                                   \
    X(TLS_VERSION, "tls_version", TLSVER, TLS_VERSION, S, S)                                       \
    X(TLS_ALPN, "tls_alpn", TEXT, TLS_NEXT_PROTOCOL, S, S)                                         \
    X(TLS_RESUMED, "tls_resumed", BOOL, TLS_RESUMED, S, S)                                         \
    X(REQUEST_SIZE, "req_size", INT, REQUEST_SIZE, SC, S)                                          \
    X(RESPONSE_SIZE, "res_size", INT, RESPONSE_SIZE, NO, SC)                                       \
    X(RETRIES, "retries", COUNT, RESEND_COUNT, NO, C)                                              \
    X(REDISPATCHED, "redispatched", BOOL, REDISPATCHED, NO, C)                                     \
    X(REUSED, "bc_reused", BOOL, REUSED, NO, C)                                                    \
    X(CACHE_HIT, "cache_hit", BOOL, CACHE_HIT, NO, S)                                              \
    X(TERMINATION_STATE, "term_state", TEXT, TERMINATION_STATE, NO, S)                             \
    X(HANDSHAKE, "handshake_ms", INT, TIME_HANDSHAKE, S, S)                                        \
    X(QUEUE, "queue_ms", INT, TIME_QUEUE, NO, C)                                                   \
    X(CONNECT, "connect_ms", INT, TIME_CONNECT, NO, C)                                             \
    X(RESPONSE, "response_ms", INT, TIME_RESPONSE, NO, C)                                          \
    X(RESERVED_UNIQUE_ID, "unique-id", NONE, NONE, NO, NO)                                         \
    X(RESERVED_TRACEPARENT, "traceparent", NONE, NONE, NO, NO)                                     \
    X(RESERVED_TRACEPARENT2, "traceparent2", NONE, NONE, NO, NO)                                   \
    X(RESERVED_TRACESTATE, "tracestate", NONE, NONE, NO, NO)                                       \
    X(RESERVED_TRACESTATE2, "tracestate2", NONE, NONE, NO, NO)                                     \
    X(RESERVED_TRACESTATE3, "tracestate3", NONE, NONE, NO, NO)                                     \
    X(RESERVED_BAGGAGE, "baggage", NONE, NONE, NO, NO)                                             \
    X(RESERVED_B3, "b3", NONE, NONE, NO, NO)                                                       \
    X(RESERVED_X_B3_TRACEID, "x-b3-traceid", NONE, NONE, NO, NO)                                   \
    X(RESERVED_X_B3_SPANID, "x-b3-spanid", NONE, NONE, NO, NO)                                     \
    X(RESERVED_X_B3_PARENTSPANID, "x-b3-parentspanid", NONE, NONE, NO, NO)                         \
    X(RESERVED_X_B3_SAMPLED, "x-b3-sampled", NONE, NONE, NO, NO)                                   \
    X(RESERVED_X_B3_FLAGS, "x-b3-flags", NONE, NONE, NO, NO)                                       \
    X(RESERVED_HOLD, "hold", NONE, NONE, NO, NO)                                                   \
    X(RESERVED_SAMPLE, "sample", NONE, NONE, NO, NO)                                               \
    X(RESERVED_CUSTOM_ATTRS, "custom_attrs", NONE, NONE, NO, NO)

#define OTEL_FIELDS(X) OTEL_DECLARED(X) OTEL_ARGUMENTS(X)

enum field {
#define X(id, ...) FIELD_##id,
    OTEL_FIELDS(X)
#undef X
        N_FIELDS
};

enum otel_attr {
    ATTR_NONE,
#define X(id, ...) ATTR_##id,
    OTEL_ATTRIBUTES(X)
#undef X
        N_ATTRS
};

#endif
