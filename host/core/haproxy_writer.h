/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/haproxy_writer.h - what the parts of HAProxy's configuration have in common: for whom
 * it is written, and what plugins say of it beside their messages (spoe/ext/haproxy.h).
 */
#ifndef HOST_CORE_HAPROXY_WRITER_H
#define HOST_CORE_HAPROXY_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <spoe/ext/haproxy.h>

#include "conf/host_conf.h"
#include "core/plugin.h"

/* What is being written, and for whom. */
struct haproxy_writer {
    FILE *out;
    const struct plugin_set *set;
    const struct host_conf *conf;
    uint32_t ways, version;
    bool plain; /* what is declared and no more: the facets are not asked */
};

/* Where the lines of a plugin go. */
struct haproxy_sink {
    FILE *out;
    const char *before, *after; /* around each */
    size_t n;
    enum { HAPROXY_ALL, HAPROXY_QUOTED, HAPROXY_UNQUOTED } which; /* of a log-format's pairs */
    const char *user_args; /* arguments that the user says instead; NULL: none */
};

/* Whether the message comes from the log, not over SPOP. */
static inline bool haproxy_from_log(const struct spoe_message_decl *decl)
{
    return (decl->flags & SPOE_MESSAGE_FROM_LOG) != 0;
}

/* A format for texts that a client chooses, which HAProxy writes in quotes. */
bool haproxy_is_quoted(const char *format);

/* What a plugin says of a place; of one of its messages, where the place is one of a message. */
void haproxy_ask(const struct haproxy_writer *w, const struct spoe_instance *plugin, uint32_t place,
                 uint32_t message, struct haproxy_sink *sink);

/* Lines of a section, from all plugins. */
void haproxy_lines(const struct haproxy_writer *w, uint32_t place);

/* Whether the plugin wants an argument that it declares to be written. */
bool haproxy_wants(const struct haproxy_writer *w, const struct spoe_instance *plugin,
                   uint32_t message, size_t slot);

/* Where HAProxy reaches an address that the host listens on: all addresses are this machine's. A
 * word of HAProxy's, "${VARIABLE-ADDRESS}"; a path that cannot stand in one is written by itself,
 * escaped. */
void haproxy_address(FILE *out, const char *variable, const struct host_listen *at,
                     const char *unix_prefix);

#endif
