/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/record/known_keys.h - attribute keys that are written and looked for by their number.
 * That is faster and nothing more: any other key works as well. Fewer than 64 lines; the order does
 * not matter, nothing is stored beyond the process.
 */
#ifndef OTEL_RECORD_KNOWN_KEYS_H
#define OTEL_RECORD_KNOWN_KEYS_H

#define SPAN_KNOWN_KEYS(X)                                                                         \
    X(HTTP_REQUEST_METHOD, "http.request.method")                                                  \
    X(HTTP_REQUEST_METHOD_ORIGINAL, "http.request.method_original")                                \
    X(HTTP_RESPONSE_STATUS_CODE, "http.response.status_code")                                      \
    X(URL_PATH, "url.path")                                                                        \
    X(URL_SCHEME, "url.scheme")                                                                    \
    X(URL_QUERY, "url.query")                                                                      \
    X(SERVER_ADDRESS, "server.address")                                                            \
    X(SERVER_PORT, "server.port")                                                                  \
    X(CLIENT_ADDRESS, "client.address")                                                            \
    X(NETWORK_PEER_ADDRESS, "network.peer.address")                                                \
    X(NETWORK_PEER_PORT, "network.peer.port")                                                      \
    X(NETWORK_PROTOCOL_VERSION, "network.protocol.version")                                        \
    X(USER_AGENT_ORIGINAL, "user_agent.original")                                                  \
    X(ERROR_TYPE, "error.type")                                                                    \
    X(HAPROXY_FRONTEND_NAME, "haproxy.frontend.name")                                              \
    X(HAPROXY_FRONTEND_PORT, "haproxy.frontend.port")                                              \
    X(HAPROXY_BACKEND_NAME, "haproxy.backend.name")                                                \
    X(HAPROXY_SERVER_NAME, "haproxy.server.name")                                                  \
    X(HAPROXY_SAMPLING_KEPT, "haproxy.sampling.kept")                                              \
    X(HAPROXY_INCOMPLETE, "haproxy.incomplete")                                                    \
    X(HTTP_METHOD, "http.method")                                                                  \
    X(HTTP_STATUS_CODE, "http.status_code")                                                        \
    X(HTTP_REQUEST_RESEND_COUNT, "http.request.resend_count")                                      \
    X(HTTP_RESEND_COUNT, "http.resend_count")                                                      \
    X(HTTP_REQUEST_BODY_SIZE, "http.request.body.size")                                            \
    X(HTTP_REQUEST_CONTENT_LENGTH, "http.request_content_length")                                  \
    X(HTTP_RESPONSE_BODY_SIZE, "http.response.body.size")                                          \
    X(HTTP_RESPONSE_CONTENT_LENGTH, "http.response_content_length")                                \
    X(HTTP_ROUTE, "http.route")                                                                    \
    X(HTTP_TARGET, "http.target")                                                                  \
    X(HTTP_SCHEME, "http.scheme")                                                                  \
    X(URL_FULL, "url.full")                                                                        \
    X(HTTP_URL, "http.url")                                                                        \
    X(NET_HOST_NAME, "net.host.name")                                                              \
    X(NET_PEER_NAME, "net.peer.name")                                                              \
    X(NET_HOST_PORT, "net.host.port")                                                              \
    X(NET_PEER_PORT, "net.peer.port")                                                              \
    X(HTTP_CLIENT_IP, "http.client_ip")                                                            \
    X(CLIENT_PORT, "client.port")                                                                  \
    X(NET_SOCK_PEER_ADDR, "net.sock.peer.addr")                                                    \
    X(NET_SOCK_PEER_PORT, "net.sock.peer.port")                                                    \
    X(NETWORK_LOCAL_ADDRESS, "network.local.address")                                              \
    X(NET_SOCK_HOST_ADDR, "net.sock.host.addr")                                                    \
    X(NETWORK_LOCAL_PORT, "network.local.port")                                                    \
    X(NET_SOCK_HOST_PORT, "net.sock.host.port")                                                    \
    X(NET_PROTOCOL_VERSION, "net.protocol.version")                                                \
    X(TLS_PROTOCOL_NAME, "tls.protocol.name")                                                      \
    X(TLS_PROTOCOL_VERSION, "tls.protocol.version")                                                \
    X(TLS_NEXT_PROTOCOL, "tls.next_protocol")                                                      \
    X(TLS_RESUMED, "tls.resumed")                                                                  \
    X(HAPROXY_TIME_HANDSHAKE, "haproxy.time.handshake")                                            \
    X(HAPROXY_TIME_QUEUE, "haproxy.time.queue")                                                    \
    X(HAPROXY_TIME_CONNECT, "haproxy.time.connect")                                                \
    X(HAPROXY_TIME_RESPONSE, "haproxy.time.response")                                              \
    X(HAPROXY_REDISPATCHED, "haproxy.redispatched")                                                \
    X(HAPROXY_CONNECTION_REUSED, "haproxy.connection.reused")                                      \
    X(HAPROXY_CACHE_HIT, "haproxy.cache.hit")                                                      \
    X(HAPROXY_TERMINATION_STATE, "haproxy.termination_state")

/* SPAN_KEY_HTTP_REQUEST_METHOD and so on. */
enum span_key {
    SPAN_KEY_NONE = 0,
#define X(id, text) SPAN_KEY_##id,
    SPAN_KNOWN_KEYS(X)
#undef X
        N_SPAN_KEYS
};

#define SPAN_KNOWN_KEY_MAX 30u /* bytes of one */

#endif
