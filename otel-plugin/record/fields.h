/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/fields.h - what can be known of a request: one table of every field, by which
 * argument it comes in each of HAProxy's messages, with its type, the attribute that it becomes,
 * and on which span; and the names of the attributes in the stable and the old conventions, and
 * which signals have them. docs/attributes.md has the same tables; a test compares them.
 *
 * Sources: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and its registry for the
 * stable names; docs/non-normative/http-migration.md of the conventions for the old ones (v1.20);
 * HAProxy's configuration manual, 8.2.6 for the letters of a line.
 */
#ifndef OTEL_RECORD_FIELDS_H
#define OTEL_RECORD_FIELDS_H

/*
 * X(id, stable name, old name on SERVER, old name on CLIENT, stays, signals); names as numbers of
 * record/known_keys.h, which has their texts.
 * Old names are written beside the stable ones with http/dup and in their place with http/old;
 * NONE: the name never changed. `stays`: HAProxy's agents wrote the stable name beside the old
 * HTTP ones all along, so http/old keeps it, too. Signals that have it: T(races), L(ogs),
 * M(etrics), by whose own table, meter/meter.h, no attribute is there that a client can choose.
 */
#define OTEL_ATTRIBUTES(X)                                                                         \
    X(METHOD, HTTP_REQUEST_METHOD, HTTP_METHOD, HTTP_METHOD, 0, TLM)                               \
    /* Set after METHOD, so the old name ends up with the method as it came. */                    \
    X(METHOD_ORIGINAL, HTTP_REQUEST_METHOD_ORIGINAL, HTTP_METHOD, HTTP_METHOD, 0, TL)              \
    X(STATUS_CODE, HTTP_RESPONSE_STATUS_CODE, HTTP_STATUS_CODE, HTTP_STATUS_CODE, 0, TLM)          \
    X(RESEND_COUNT, HTTP_REQUEST_RESEND_COUNT, HTTP_RESEND_COUNT, HTTP_RESEND_COUNT, 0, TL)        \
    X(REQUEST_SIZE, HTTP_REQUEST_BODY_SIZE, HTTP_REQUEST_CONTENT_LENGTH,                           \
      HTTP_REQUEST_CONTENT_LENGTH, 0, TL)                                                          \
    X(RESPONSE_SIZE, HTTP_RESPONSE_BODY_SIZE, HTTP_RESPONSE_CONTENT_LENGTH,                        \
      HTTP_RESPONSE_CONTENT_LENGTH, 0, TL)                                                         \
    X(ROUTE, HTTP_ROUTE, NONE, NONE, 0, TLM)                                                       \
    X(URL_PATH, URL_PATH, HTTP_TARGET, HTTP_TARGET, 0, TL)                                         \
    /* The old convention has the query behind http.target's path. */                              \
    X(URL_QUERY, URL_QUERY, HTTP_TARGET, HTTP_TARGET, 0, TL)                                       \
    X(URL_SCHEME, URL_SCHEME, HTTP_SCHEME, HTTP_SCHEME, 0, TLM)                                    \
    X(URL_FULL, URL_FULL, HTTP_URL, HTTP_URL, 0, TL)                                               \
    X(SERVER_ADDRESS, SERVER_ADDRESS, NET_HOST_NAME, NET_PEER_NAME, 1, TLM)                        \
    X(SERVER_PORT, SERVER_PORT, NET_HOST_PORT, NET_PEER_PORT, 1, TLM)                              \
    X(CLIENT_ADDRESS, CLIENT_ADDRESS, HTTP_CLIENT_IP, HTTP_CLIENT_IP, 1, TL)                       \
    X(CLIENT_PORT, CLIENT_PORT, NONE, NONE, 0, TL)                                                 \
    X(PEER_ADDRESS, NETWORK_PEER_ADDRESS, NET_SOCK_PEER_ADDR, NET_SOCK_PEER_ADDR, 0, TL)           \
    X(PEER_PORT, NETWORK_PEER_PORT, NET_SOCK_PEER_PORT, NET_SOCK_PEER_PORT, 0, TL)                 \
    X(LOCAL_ADDRESS, NETWORK_LOCAL_ADDRESS, NET_SOCK_HOST_ADDR, NET_SOCK_HOST_ADDR, 0, TL)         \
    X(LOCAL_PORT, NETWORK_LOCAL_PORT, NET_SOCK_HOST_PORT, NET_SOCK_HOST_PORT, 0, TL)               \
    X(PROTOCOL_VERSION, NETWORK_PROTOCOL_VERSION, NET_PROTOCOL_VERSION, NET_PROTOCOL_VERSION, 0,   \
      TLM)                                                                                         \
    X(USER_AGENT, USER_AGENT_ORIGINAL, NONE, NONE, 0, TL)                                          \
    X(ERROR_TYPE, ERROR_TYPE, NONE, NONE, 0, TLM)                                                  \
    X(TLS_NAME, TLS_PROTOCOL_NAME, NONE, NONE, 0, TL)                                              \
    X(TLS_VERSION, TLS_PROTOCOL_VERSION, NONE, NONE, 0, TL)                                        \
    X(TLS_NEXT_PROTOCOL, TLS_NEXT_PROTOCOL, NONE, NONE, 0, TL)                                     \
    X(TLS_RESUMED, TLS_RESUMED, NONE, NONE, 0, TL)                                                 \
    X(FRONTEND_NAME, HAPROXY_FRONTEND_NAME, NONE, NONE, 0, TLM)                                    \
    X(FRONTEND_PORT, HAPROXY_FRONTEND_PORT, NONE, NONE, 0, TL)                                     \
    X(BACKEND_NAME, HAPROXY_BACKEND_NAME, NONE, NONE, 0, TLM)                                      \
    X(SERVER_NAME, HAPROXY_SERVER_NAME, NONE, NONE, 0, TLM)                                        \
    X(TIME_HANDSHAKE, HAPROXY_TIME_HANDSHAKE, NONE, NONE, 0, TL)                                   \
    X(TIME_QUEUE, HAPROXY_TIME_QUEUE, NONE, NONE, 0, TL)                                           \
    X(TIME_CONNECT, HAPROXY_TIME_CONNECT, NONE, NONE, 0, TL)                                       \
    X(TIME_RESPONSE, HAPROXY_TIME_RESPONSE, NONE, NONE, 0, TL)                                     \
    X(REDISPATCHED, HAPROXY_REDISPATCHED, NONE, NONE, 0, TL)                                       \
    X(REUSED, HAPROXY_CONNECTION_REUSED, NONE, NONE, 0, TL)                                        \
    X(CACHE_HIT, HAPROXY_CACHE_HIT, NONE, NONE, 0, TL)                                             \
    X(TERMINATION_STATE, HAPROXY_TERMINATION_STATE, NONE, NONE, 0, TLM)

/*
 * What can be known of a request, where each of it comes from, and what becomes of it. One row is a
 * field and the arguments that bring it, each by its message:
 *
 *   FIELD(id, kind, attribute, open, response, line)   found by number alone
 *   NAMED(id, "name", the same)                        also by name, with any of the three messages
 *                                                      and behind "attr." in a line
 *     REQUEST(how, id, types, "name", "expression", "help")   on-http-request
 *     BACKEND(...)                                            on-backend-http-request
 *     RESPONSE(...)                                           on-http-response
 *     LOG(...)                                                on-http-log: a key of a line
 *
 * `open`, `response` and `line` are the spans that get it, S(ERVER), C(LIENT), SC or NO, with the
 * message that opens the span (the request opens SERVER, the backend's request CLIENT), with the
 * response's and with a line. Kinds:
 *   TEXT     a text, or a value as text; none where it is empty
 *   INT      an integer, or its digits; none below 0, as HAProxy's timers are that never ran
 *   COUNT    an INT that is not 0
 *   BOOL     a boolean, or 1, 0, true, false  PORT 1 to 65535, or its digits
 *   ADDRESS  an address or a text
 *   METHOD   and what is not known of them
 *   HOST     server.address and server.port   STATUS  code, error.type and the span's status
 *   SOURCE   ADDRESS, also for network.peer.address
 *   ORIGIN, ORIGIN_PORT  the peer of CLIENT, whose server.* it may be as well
 *   VERSION  of HTTP, "2.0" written as "2"    TLS  whether TLS is spoken: https or http
 *   TLSVER   TLSv1.3, taken apart             PEER  PORT, also for network.peer.port
 *   QUERY, URL  redacted                      ROUTE  names the span, too
 *   START, END  microseconds since 1970       CUSTOM  key=value;key=value, after all others
 *   NONE     not for attributes: the name is reserved
 *
 * An argument that is declared has a place of its own, a slot, REQUEST_METHOD and so on, in the
 * order of the table; its id is the field's. `how` is FILL where the value goes to the spans as it
 * is, READ where code looks at it first, BY_NAME where it has no slot: it is printed, and found by
 * the field's name. Types are those of input/messages.c. Where a named field has no conventional
 * place on the span that is opened, it keeps its own name.
 *
 * What a client controls is cut, so that the request's and the backend's message fit into one
 * frame of HAProxy's together, whatever a client sends (6.2).
 */
/* A text stays one: HAProxy's bytes() does not change the type (2.6 to 3.4). */
#define OTEL_CUT(sample, n) sample ",bytes(0," #n ")"
/* What a client may have written, of a line: both escapes are needed. */
#define OTEL_QUOTED(sample) "%{+Q,+E}[" sample "]"

/* clang-format off */
#define OTEL_TABLE(FIELD, NAMED, REQUEST, BACKEND, RESPONSE, LOG) \
    /* the request's first argument, the backend's and the response's */ \
    NAMED(UNIQUE_ID, "unique-id", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, UNIQUE_ID, TEXT, "unique-id", "unique-id", "joins a request's messages") \
        BACKEND(READ, UNIQUE_ID, TEXT, "unique-id", "unique-id", "joins a request's messages") \
        RESPONSE(READ, UNIQUE_ID, TEXT, "unique-id", "unique-id", "joins a request's messages") \
    /* a line has its context from HAProxy's rules; first, so that a line that is cut has it */ \
        LOG(READ, TRACEPARENT, TEXT, "tp", "%[var(txn.tp)]", "traceparent of the request") \
        LOG(READ, SERVER_ID, TEXT, "sid", "%[var(txn.sid)]", "span id of SERVER") \
        LOG(READ, CLIENT_ID, TEXT, "cid", "%[var(txn.cid)]", "span id of CLIENT") \
    /* or from the agent, beside SPOE */ \
        LOG(READ, UNIQUE_ID, TEXT, "uid", OTEL_QUOTED("unique-id"), \
            "joins the line to the request's messages") \
        LOG(READ, MARK, TEXT, "mark", "%[var(txn.otel.mark)]", "who opened the request") \
    NAMED(LOG_LINE, "log_line", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, LOG_LINE, DECISION, "log_line", "var(txn.otel_log_line)", \
            "whether a line of the log ends the request") \
    /* when */ \
    NAMED(START, "start", START, NONE, SC, NO, NO) \
        LOG(READ, START, NUMBER, "start", "%[request_date(us)]", \
            "when the first byte was there, in us since 1970; from HAProxy 2.9 on") \
    NAMED(END, "end", END, NONE, NO, SC, NO) \
        LOG(READ, REQUEST_AT, NUMBER, "t0", "%[var(txn.t0)]", \
            "when the headers were there, in us since 1970") \
        LOG(READ, BACKEND_AT, NUMBER, "t1", "%[var(txn.t1)]", "when a server was asked for") \
        LOG(READ, RESPONSE_AT, NUMBER, "t2", "%[var(txn.t2)]", \
            "when the headers of the response were there") \
        LOG(READ, END_AT, NUMBER, "te", "%[date(0,us)]", "when the last byte was out") \
        LOG(READ, HEADERS_MS, NUMBER, "tR", "%TR", \
            "ms from the first byte to the end of the headers") \
        LOG(READ, ACTIVE_MS, NUMBER, "ta", "%Ta", "ms from the first byte to the last") \
    NAMED(HANDSHAKE_MS, "handshake_ms", INT, TIME_HANDSHAKE, S, S, S) \
        LOG(FILL, HANDSHAKE_MS, NUMBER, "th", "%Th", "ms for the handshakes") \
    NAMED(QUEUE_MS, "queue_ms", INT, TIME_QUEUE, NO, C, C) \
        LOG(FILL, QUEUE_MS, NUMBER, "tw", "%Tw", "ms in queues") \
    NAMED(CONNECT_MS, "connect_ms", INT, TIME_CONNECT, NO, C, C) \
        LOG(FILL, CONNECT_MS, NUMBER, "tc", "%Tc", "ms to connect") \
    NAMED(RESPONSE_MS, "response_ms", INT, TIME_RESPONSE, NO, C, C) \
        LOG(FILL, RESPONSE_MS, NUMBER, "tr", "%Tr", "ms until the headers of the response") \
    /* the request */ \
    FIELD(SOURCE, SOURCE, CLIENT_ADDRESS, S, NO, S) \
        REQUEST(FILL, SOURCE, ADDRESS, "src", "src", "address of the client") \
        LOG(FILL, SOURCE, ADDRESS, "ci", "%ci", "address of the client") \
    FIELD(METHOD, METHOD, METHOD, SC, NO, SC) \
        REQUEST(FILL, METHOD, TEXT, "method", OTEL_CUT("method", 64), "request method") \
        BACKEND(FILL, METHOD, TEXT, "method", OTEL_CUT("method", 64), "request method") \
        LOG(FILL, METHOD, TEXT, "m", "%HM", "method") \
    FIELD(PATH, TEXT, URL_PATH, SC, NO, S) \
        REQUEST(FILL, PATH, TEXT, "path", OTEL_CUT("path", 4096), "path without the query") \
    /* not hdr, which splits at commas and shows the last of joined headers */ \
    FIELD(HOST, HOST, SERVER_ADDRESS, S, NO, S) \
        REQUEST(FILL, HOST, TEXT, "host", OTEL_CUT("req.fhdr(host)", 512), \
            "host, perhaps with a port") \
        LOG(FILL, HOST, TEXT, "h", OTEL_QUOTED("var(txn.host)"), "host, perhaps with a port") \
    FIELD(FRONTEND_NAME, TEXT, FRONTEND_NAME, S, NO, S) \
        REQUEST(FILL, FRONTEND_NAME, TEXT, "fe_name", "fe_name", "name of the frontend") \
        LOG(FILL, FRONTEND_NAME, TEXT, "fe", "%f", "name of the frontend") \
    FIELD(FRONTEND_PORT, PORT, FRONTEND_PORT, S, NO, S) \
        REQUEST(FILL, FRONTEND_PORT, NUMBER, "fe_port", "dst_port", \
            "port that the client connected to") \
        LOG(FILL, FRONTEND_PORT, NUMBER, "fp", "%fp", "port that the client connected to") \
    NAMED(TRACEPARENT, "traceparent", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, TRACEPARENT, TEXT, "traceparent", OTEL_CUT("req.fhdr(traceparent)", 256), \
            "inbound W3C trace context") \
    FIELD(TLS, TLS, URL_SCHEME, S, NO, S) \
        REQUEST(FILL, TLS, BOOL, "ssl_fc", "ssl_fc", "whether the client used TLS") \
    NAMED(TRACEPARENT2, "traceparent2", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, TRACEPARENT2, TEXT, "traceparent2", OTEL_CUT("req.fhdr(traceparent,2)", 1), \
            "a second line of it, which makes both invalid") \
    /* a list that may be spread over lines; HAProxy hands over one at a time; one that is \
     * longer than TRACESTATE_MAX is none, so one byte more is enough */ \
    NAMED(TRACESTATE, "tracestate", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, TRACESTATE, TEXT, "tracestate", OTEL_CUT("req.fhdr(tracestate,1)", 513), \
            "inbound W3C tracestate") \
    NAMED(TRACESTATE2, "tracestate2", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, TRACESTATE2, TEXT, "tracestate2", OTEL_CUT("req.fhdr(tracestate,2)", 513), \
            "its second line") \
    NAMED(TRACESTATE3, "tracestate3", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, TRACESTATE3, TEXT, "tracestate3", OTEL_CUT("req.fhdr(tracestate,3)", 513), \
            "its third line") \
    NAMED(BAGGAGE, "baggage", NONE, NONE, NO, NO, NO) \
    NAMED(B3, "b3", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, B3, TEXT, "b3", OTEL_CUT("req.fhdr(b3)", 128), "inbound B3, single") \
    NAMED(B3_TRACE_ID, "x-b3-traceid", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, B3_TRACE_ID, TEXT, "x-b3-traceid", OTEL_CUT("req.fhdr(x-b3-traceid)", 64), \
            "inbound B3, multi: trace id") \
    NAMED(B3_SPAN_ID, "x-b3-spanid", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, B3_SPAN_ID, TEXT, "x-b3-spanid", OTEL_CUT("req.fhdr(x-b3-spanid)", 64), \
            "inbound B3, multi: the caller's span id") \
    NAMED(B3_PARENT_SPAN_ID, "x-b3-parentspanid", NONE, NONE, NO, NO, NO) \
    NAMED(B3_SAMPLED, "x-b3-sampled", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, B3_SAMPLED, TEXT, "x-b3-sampled", OTEL_CUT("req.fhdr(x-b3-sampled)", 64), \
            "inbound B3, multi: whether it is sampled") \
    NAMED(B3_FLAGS, "x-b3-flags", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, B3_FLAGS, TEXT, "x-b3-flags", OTEL_CUT("req.fhdr(x-b3-flags)", 64), \
            "inbound B3, multi: 1 for debug") \
    NAMED(SAMPLE, "sample", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, SAMPLE, DECISION, "sample", "var(txn.otel_sample)", \
            "whether to sample; overrides the sampler") \
    NAMED(HOLD, "hold", NONE, NONE, NO, NO, NO) \
        REQUEST(READ, HOLD, NUMBER, "hold", "var(txn.otel_hold)", \
            "seconds to wait for the response; overrides span-ttl") \
    NAMED(SOURCE_PORT, "src_port", PEER, CLIENT_PORT, S, S, S) \
        REQUEST(FILL, SOURCE_PORT, ANY, "src_port", "src_port", "port of the client") \
        LOG(FILL, SOURCE_PORT, NUMBER, "cp", "%cp", "port of the client") \
    NAMED(VERSION, "ver", VERSION, PROTOCOL_VERSION, SC, S, S) \
        REQUEST(FILL, VERSION, ANY, "ver", "req.ver", "HTTP version") \
        LOG(FILL, VERSION, TEXT, "hv", "%HV", "HTTP version") \
    NAMED(USER_AGENT, "user_agent", TEXT, USER_AGENT, SC, S, S) \
        REQUEST(FILL, USER_AGENT, ANY, "user_agent", OTEL_CUT("req.fhdr(user-agent)", 1024), \
            "user agent") \
        LOG(FILL, USER_AGENT, TEXT, "ua", OTEL_QUOTED("var(txn.ua)"), "user agent") \
    /* by name: that it came without a value tells that there is none */ \
    NAMED(QUERY, "query", QUERY, URL_QUERY, SC, S, S) \
        REQUEST(BY_NAME, QUERY, ANY, "query", OTEL_CUT("query", 4096), \
            "query; its values are redacted") \
        LOG(READ, TARGET, TEXT, "u", "%{+Q}HU", "path and query") \
    NAMED(URL_QUERY, "url.query", QUERY, URL_QUERY, SC, S, S) \
    NAMED(URL_FULL, "url.full", URL, URL_FULL, SC, C, C) \
    NAMED(BACKEND_PATH, "path", TEXT, URL_PATH, C, NO, C) \
    NAMED(SCHEME, "scheme", TEXT, URL_SCHEME, SC, S, S) \
    NAMED(ROUTE, "route", ROUTE, ROUTE, S, S, S) \
    NAMED(HTTP_ROUTE, "http.route", ROUTE, ROUTE, S, S, S) \
    NAMED(CLIENT_ADDRESS, "client_addr", ADDRESS, CLIENT_ADDRESS, S, S, S) \
    NAMED(LOCAL_ADDRESS, "dst", ADDRESS, LOCAL_ADDRESS, S, S, S) \
        LOG(FILL, LOCAL_ADDRESS, ADDRESS, "fi", "%fi", "address that the client connected to") \
    NAMED(LOCAL_PORT, "dst_port", PORT, LOCAL_PORT, S, S, S) \
    NAMED(TLS_VERSION, "tls_version", TLSVER, TLS_VERSION, S, S, S) \
        LOG(FILL, TLS_VERSION, TEXT, "tls", "%sslv", "version of TLS, if the client used it") \
    NAMED(TLS_ALPN, "tls_alpn", TEXT, TLS_NEXT_PROTOCOL, S, S, S) \
    NAMED(TLS_RESUMED, "tls_resumed", BOOL, TLS_RESUMED, S, S, S) \
    NAMED(REQUEST_SIZE, "req_size", INT, REQUEST_SIZE, SC, S, S) \
        LOG(READ, BYTES_IN, NUMBER, "bi", "%U", "bytes of the request, with its headers") \
    /* the response */ \
    FIELD(STATUS, STATUS, STATUS_CODE, NO, SC, SC) \
        RESPONSE(FILL, STATUS, INT, "status", "status", "status code") \
        LOG(READ, STATUS, INT, "st", "%ST", "status code that the client was sent") \
    FIELD(BACKEND_NAME, TEXT, BACKEND_NAME, NO, C, C) \
        RESPONSE(FILL, BACKEND_NAME, TEXT, "be_name", "be_name", "name of the backend") \
        LOG(FILL, BACKEND_NAME, TEXT, "be", "%b", "name of the backend") \
    FIELD(SERVER_NAME, TEXT, SERVER_NAME, NO, C, C) \
        RESPONSE(FILL, SERVER_NAME, TEXT, "srv_name", "srv_name", "name of the server") \
        LOG(FILL, SERVER_NAME, TEXT, "srv", "%s", "name of the server") \
    NAMED(CUSTOM, "custom_attrs", NONE, NONE, NO, NO, NO) \
        RESPONSE(READ, CUSTOM, TEXT, "custom_attrs", OTEL_CUT("var(txn.otel_attrs)", 8192), \
            "attributes as key=value;key=value") \
        LOG(READ, CUSTOM, TEXT, "a", OTEL_QUOTED("var(txn.otel_attrs)"), \
            "attributes as key=value;key=value") \
    FIELD(ORIGIN, ORIGIN, PEER_ADDRESS, NO, C, C) \
        RESPONSE(FILL, ORIGIN, ADDRESS, "bc_dst", "bc_dst", "address of the server") \
        LOG(FILL, ORIGIN, ADDRESS, "si", "%si", "address of the server") \
    FIELD(ORIGIN_PORT, ORIGIN_PORT, PEER_PORT, NO, C, C) \
        RESPONSE(FILL, ORIGIN_PORT, NUMBER, "bc_dst_port", "bc_dst_port", "port of the server") \
        LOG(FILL, ORIGIN_PORT, NUMBER, "sp", "%sp", "port of the server") \
    NAMED(BACKEND_TLS, "ssl_bc", TLS, URL_SCHEME, NO, C, C) \
        RESPONSE(FILL, BACKEND_TLS, ANY, "ssl_bc", "ssl_bc", \
            "whether the server is reached by TLS") \
    NAMED(RESPONSE_VERSION, "res_ver", VERSION, PROTOCOL_VERSION, NO, C, C) \
        RESPONSE(FILL, RESPONSE_VERSION, ANY, "res_ver", "res.ver", "HTTP version of the server") \
    NAMED(SERVER_ADDRESS, "srv_addr", ADDRESS, SERVER_ADDRESS, C, C, C) \
    NAMED(SERVER_PORT, "srv_port", PORT, SERVER_PORT, C, C, C) \
    NAMED(ORIGIN_LOCAL_ADDRESS, "bc_src", ADDRESS, LOCAL_ADDRESS, NO, C, C) \
    NAMED(ORIGIN_LOCAL_PORT, "bc_src_port", PORT, LOCAL_PORT, NO, C, C) \
    NAMED(RESPONSE_SIZE, "res_size", INT, RESPONSE_SIZE, NO, SC, S) \
        LOG(READ, BYTES_OUT, NUMBER, "bo", "%B", \
            "bytes that the client was sent, with the headers") \
    NAMED(RETRIES, "retries", COUNT, RESEND_COUNT, NO, C, C) \
        LOG(READ, RETRIES, TEXT, "rc", "%rc", "retries; + before them: redispatched") \
    NAMED(REDISPATCHED, "redispatched", BOOL, REDISPATCHED, NO, C, C) \
    NAMED(REUSED, "bc_reused", BOOL, REUSED, NO, C, C) \
    NAMED(CACHE_HIT, "cache_hit", BOOL, CACHE_HIT, NO, S, S) \
    NAMED(TERMINATION_STATE, "term_state", TEXT, TERMINATION_STATE, NO, S, S) \
        LOG(READ, TERMINATION_STATE, TEXT, "ts", "%tsc", "termination state") \
    /* texts of any length come last in a line */ \
        LOG(READ, INBOUND, TEXT, "in", OTEL_QUOTED("var(txn.in)"), "traceparent of the caller") \
        LOG(READ, TRACESTATE, TEXT, "tracestate", OTEL_QUOTED("var(txn.tracestate)"), \
            "tracestate of the caller") \
    /* no pair, but what stands behind them: the host has it of an RFC 5424 line */ \
        LOG(READ, USER_LINE, TEXT, "syslog.message", "-", "the user's own log line")
/* clang-format on */

/* Parts of the table: each message's arguments, and the fields. */
#define OTEL_NOTHING(...)
#define OTEL_REQUEST_ARGUMENTS(X)                                                                  \
    OTEL_TABLE(OTEL_NOTHING, OTEL_NOTHING, X, OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING)
#define OTEL_BACKEND_ARGUMENTS(X)                                                                  \
    OTEL_TABLE(OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, X, OTEL_NOTHING, OTEL_NOTHING)
#define OTEL_RESPONSE_ARGUMENTS(X)                                                                 \
    OTEL_TABLE(OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, X, OTEL_NOTHING)
#define OTEL_LOG_ARGUMENTS(X)                                                                      \
    OTEL_TABLE(OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, X)
#define OTEL_FIELDS(FIELD, NAMED)                                                                  \
    OTEL_TABLE(FIELD, NAMED, OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING, OTEL_NOTHING)

enum field {
#define X(id, ...) FIELD_##id,
    OTEL_FIELDS(X, X)
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
