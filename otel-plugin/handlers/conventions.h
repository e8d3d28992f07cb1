/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/handlers/conventions.h - every conventional attribute, and which argument of a
 * message becomes which attribute. docs/otel.md has the same tables; a test compares them.
 *
 * Sources: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and its registry for the
 * stable names; docs/non-normative/http-migration.md of the conventions for the old ones (v1.20).
 */
#ifndef OTEL_HANDLERS_CONVENTIONS_H
#define OTEL_HANDLERS_CONVENTIONS_H

/*
 * X(id, stable name, old name on SERVER, old name on CLIENT, stays)
 * Old names are written beside the stable ones with http/dup and in their place with http/old;
 * NULL: the name never changed. `stays`: HAProxy's agents wrote the stable name beside the old
 * HTTP ones all along, so http/old keeps it, too.
 */
#define OTEL_ATTRIBUTES(X)                                                                         \
    X(METHOD, "http.request.method", "http.method", "http.method", 0)                              \
    /* Set after METHOD, so the old name ends up with the method as it came. */                    \
    X(METHOD_ORIGINAL, "http.request.method_original", "http.method", "http.method", 0)            \
    X(STATUS_CODE, "http.response.status_code", "http.status_code", "http.status_code", 0)         \
    X(RESEND_COUNT, "http.request.resend_count", "http.resend_count", "http.resend_count", 0)      \
    X(REQUEST_SIZE, "http.request.body.size", "http.request_content_length",                       \
      "http.request_content_length", 0)                                                            \
    X(RESPONSE_SIZE, "http.response.body.size", "http.response_content_length",                    \
      "http.response_content_length", 0)                                                           \
    X(ROUTE, "http.route", NULL, NULL, 0)                                                          \
    X(URL_PATH, "url.path", "http.target", "http.target", 0)                                       \
    /* The old convention has the query behind http.target's path. */                              \
    X(URL_QUERY, "url.query", "http.target", "http.target", 0)                                     \
    X(URL_SCHEME, "url.scheme", "http.scheme", "http.scheme", 0)                                   \
    X(URL_FULL, "url.full", "http.url", "http.url", 0)                                             \
    X(SERVER_ADDRESS, "server.address", "net.host.name", "net.peer.name", 1)                       \
    X(SERVER_PORT, "server.port", "net.host.port", "net.peer.port", 1)                             \
    X(CLIENT_ADDRESS, "client.address", "http.client_ip", "http.client_ip", 1)                     \
    X(CLIENT_PORT, "client.port", NULL, NULL, 0)                                                   \
    X(PEER_ADDRESS, "network.peer.address", "net.sock.peer.addr", "net.sock.peer.addr", 0)         \
    X(PEER_PORT, "network.peer.port", "net.sock.peer.port", "net.sock.peer.port", 0)               \
    X(LOCAL_ADDRESS, "network.local.address", "net.sock.host.addr", "net.sock.host.addr", 0)       \
    X(LOCAL_PORT, "network.local.port", "net.sock.host.port", "net.sock.host.port", 0)             \
    X(PROTOCOL_VERSION, "network.protocol.version", "net.protocol.version",                        \
      "net.protocol.version", 0)                                                                   \
    X(USER_AGENT, "user_agent.original", NULL, NULL, 0)                                            \
    X(ERROR_TYPE, "error.type", NULL, NULL, 0)                                                     \
    X(TLS_NAME, "tls.protocol.name", NULL, NULL, 0)                                                \
    X(TLS_VERSION, "tls.protocol.version", NULL, NULL, 0)                                          \
    X(TLS_NEXT_PROTOCOL, "tls.next_protocol", NULL, NULL, 0)                                       \
    X(TLS_RESUMED, "tls.resumed", NULL, NULL, 0)                                                   \
    X(FRONTEND_NAME, "haproxy.frontend.name", NULL, NULL, 0)                                       \
    X(FRONTEND_PORT, "haproxy.frontend.port", NULL, NULL, 0)                                       \
    X(BACKEND_NAME, "haproxy.backend.name", NULL, NULL, 0)                                         \
    X(SERVER_NAME, "haproxy.server.name", NULL, NULL, 0)                                           \
    X(TIME_HANDSHAKE, "haproxy.time.handshake", NULL, NULL, 0)                                     \
    X(TIME_QUEUE, "haproxy.time.queue", NULL, NULL, 0)                                             \
    X(TIME_CONNECT, "haproxy.time.connect", NULL, NULL, 0)                                         \
    X(TIME_RESPONSE, "haproxy.time.response", NULL, NULL, 0)                                       \
    X(REDISPATCHED, "haproxy.redispatched", NULL, NULL, 0)                                         \
    X(REUSED, "haproxy.connection.reused", NULL, NULL, 0)                                          \
    X(CACHE_HIT, "haproxy.cache.hit", NULL, NULL, 0)                                               \
    X(TERMINATION_STATE, "haproxy.termination_state", NULL, NULL, 0)

/*
 * X(argument, kind of value, attribute, spans that open with it, spans of the response message)
 * Spans are S, C, SC or NO. The request message opens SERVER, the backend message CLIENT; where an
 * argument has no conventional place on the message's span, it keeps its own name. Kinds:
 *   TEXT     a text, or a value as text; none where it is empty
 *   INT      an integer, or its digits; none below 0, as HAProxy's timers are that never ran
 *   COUNT    an INT that is not 0
 *   BOOL     ADDRESS an address or a text     PORT 1 to 65535, or its digits
 *   VERSION  of HTTP, "2.0" written as "2"    TLS  whether TLS is spoken: https or http
 *   TLSVER   TLSv1.3, taken apart             PEER  PORT, also for network.peer.port
 *   QUERY, URL  redacted                      ROUTE  names the span, too
 *   START, END  microseconds since 1970       NONE  not for attributes
 */
#define OTEL_ARGUMENTS(X)                                                                          \
    X("start", START, NONE, SC, NO)                                                                \
    X("end", END, NONE, NO, SC)                                                                    \
    X("query", QUERY, URL_QUERY, SC, S)                                                            \
    X("url.query", QUERY, URL_QUERY, SC, S)                                                        \
    X("url.full", URL, URL_FULL, SC, C)                                                            \
    X("scheme", TEXT, URL_SCHEME, SC, S)                                                           \
    X("ssl_bc", TLS, URL_SCHEME, NO, C)                                                            \
    X("ver", VERSION, PROTOCOL_VERSION, SC, S)                                                     \
    X("res_ver", VERSION, PROTOCOL_VERSION, NO, C)                                                 \
    X("user_agent", TEXT, USER_AGENT, SC, S)                                                       \
    X("route", ROUTE, ROUTE, S, S)                                                                 \
    X("http.route", ROUTE, ROUTE, S, S)                                                            \
    X("client_addr", ADDRESS, CLIENT_ADDRESS, S, S)                                                \
    X("src_port", PEER, CLIENT_PORT, S, S)                                                         \
    X("dst", ADDRESS, LOCAL_ADDRESS, S, S)                                                         \
    X("dst_port", PORT, LOCAL_PORT, S, S)                                                          \
    X("srv_addr", ADDRESS, SERVER_ADDRESS, C, C)                                                   \
    X("srv_port", PORT, SERVER_PORT, C, C)                                                         \
    X("bc_src", ADDRESS, LOCAL_ADDRESS, NO, C)                                                     \
    X("bc_src_port", PORT, LOCAL_PORT, NO, C)                                                      \
    X("tls_version", TLSVER, TLS_VERSION, S, S)                                                    \
    X("tls_alpn", TEXT, TLS_NEXT_PROTOCOL, S, S)                                                   \
    X("tls_resumed", BOOL, TLS_RESUMED, S, S)                                                      \
    X("req_size", INT, REQUEST_SIZE, SC, S)                                                        \
    X("res_size", INT, RESPONSE_SIZE, NO, SC)                                                      \
    X("retries", COUNT, RESEND_COUNT, NO, C)                                                       \
    X("redispatched", BOOL, REDISPATCHED, NO, C)                                                   \
    X("bc_reused", BOOL, REUSED, NO, C)                                                            \
    X("cache_hit", BOOL, CACHE_HIT, NO, S)                                                         \
    X("term_state", TEXT, TERMINATION_STATE, NO, S)                                                \
    X("handshake_ms", INT, TIME_HANDSHAKE, S, S)                                                   \
    X("queue_ms", INT, TIME_QUEUE, NO, C)                                                          \
    X("connect_ms", INT, TIME_CONNECT, NO, C)                                                      \
    X("response_ms", INT, TIME_RESPONSE, NO, C)                                                    \
    X("unique-id", NONE, NONE, NO, NO)                                                             \
    X("traceparent", NONE, NONE, NO, NO)                                                           \
    X("traceparent2", NONE, NONE, NO, NO)                                                          \
    X("tracestate", NONE, NONE, NO, NO)                                                            \
    X("tracestate2", NONE, NONE, NO, NO)                                                           \
    X("tracestate3", NONE, NONE, NO, NO)                                                           \
    X("baggage", NONE, NONE, NO, NO)                                                               \
    X("b3", NONE, NONE, NO, NO)                                                                    \
    X("x-b3-traceid", NONE, NONE, NO, NO)                                                          \
    X("x-b3-spanid", NONE, NONE, NO, NO)                                                           \
    X("x-b3-parentspanid", NONE, NONE, NO, NO)                                                     \
    X("x-b3-sampled", NONE, NONE, NO, NO)                                                          \
    X("x-b3-flags", NONE, NONE, NO, NO)                                                            \
    X("sample", NONE, NONE, NO, NO)                                                                \
    X("custom_attrs", NONE, NONE, NO, NO)

enum otel_attr {
    ATTR_NONE,
#define X(id, ...) ATTR_##id,
    OTEL_ATTRIBUTES(X)
#undef X
        N_ATTRS
};

#endif
