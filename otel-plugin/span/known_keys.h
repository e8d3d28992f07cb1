/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/span/known_keys.h - attribute keys that spans keep as one byte. A dictionary for
 * the packing and nothing more: any other key works as well, it only takes its own length.
 * Fewer than 255 lines; the order does not matter, nothing is stored beyond the process.
 */
#ifndef OTEL_SPAN_KNOWN_KEYS_H
#define OTEL_SPAN_KNOWN_KEYS_H

#define SPAN_KNOWN_KEYS(X)                                                                         \
    X("http.request.method")                                                                       \
    X("http.request.method_original")                                                              \
    X("http.response.status_code")                                                                 \
    X("url.path")                                                                                  \
    X("url.scheme")                                                                                \
    X("url.query")                                                                                 \
    X("server.address")                                                                            \
    X("server.port")                                                                               \
    X("client.address")                                                                            \
    X("network.peer.address")                                                                      \
    X("network.peer.port")                                                                         \
    X("network.protocol.version")                                                                  \
    X("user_agent.original")                                                                       \
    X("error.type")                                                                                \
    X("haproxy.frontend.name")                                                                     \
    X("haproxy.frontend.port")                                                                     \
    X("haproxy.backend.name")                                                                      \
    X("haproxy.server.name")                                                                       \
    X("haproxy.sampling.kept")                                                                     \
    X("haproxy.incomplete")                                                                        \
    X("http.method")                                                                               \
    X("http.status_code")                                                                          \
    X("http.request.resend_count")                                                                 \
    X("http.resend_count")                                                                         \
    X("http.request.body.size")                                                                    \
    X("http.request_content_length")                                                               \
    X("http.response.body.size")                                                                   \
    X("http.response_content_length")                                                              \
    X("http.route")                                                                                \
    X("http.target")                                                                               \
    X("http.scheme")                                                                               \
    X("url.full")                                                                                  \
    X("http.url")                                                                                  \
    X("net.host.name")                                                                             \
    X("net.peer.name")                                                                             \
    X("net.host.port")                                                                             \
    X("net.peer.port")                                                                             \
    X("http.client_ip")                                                                            \
    X("client.port")                                                                               \
    X("net.sock.peer.addr")                                                                        \
    X("net.sock.peer.port")                                                                        \
    X("network.local.address")                                                                     \
    X("net.sock.host.addr")                                                                        \
    X("network.local.port")                                                                        \
    X("net.sock.host.port")                                                                        \
    X("net.protocol.version")                                                                      \
    X("tls.protocol.name")                                                                         \
    X("tls.protocol.version")                                                                      \
    X("tls.next_protocol")                                                                         \
    X("tls.resumed")                                                                               \
    X("haproxy.time.handshake")                                                                    \
    X("haproxy.time.queue")                                                                        \
    X("haproxy.time.connect")                                                                      \
    X("haproxy.time.response")                                                                     \
    X("haproxy.redispatched")                                                                      \
    X("haproxy.connection.reused")                                                                 \
    X("haproxy.cache.hit")                                                                         \
    X("haproxy.termination_state")

#endif
