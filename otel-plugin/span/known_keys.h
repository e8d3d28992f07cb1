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
    X("haproxy.incomplete")

#endif
