/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/fill.h - what is known of a request becomes SERVER and CLIENT spans, by the
 * table of record/fields.h and the semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
 *
 * Fields are handed in one by one, in any order but for what wins: a later one. Where they come
 * from is not known here.
 */
#ifndef OTEL_SIGNAL_FILL_H
#define OTEL_SIGNAL_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/conf_types.h"
#include "record/fields.h"
#include "signal/span.h"

/* How attributes are written. Strings outlive it. */
struct conventions {
    enum semconv_mode semconv;
    enum client_address client_address;
    const char *known_methods; /* comma-separated */
    const char *redact_query;  /* comma-separated keys; "*": every one; NULL: none */
};

/* A moment that is older than this is none, where nothing else is said. */
#define FILL_AGE_MAX_NS INT64_C(30000000000)

/* FILL_LINE: all of a request at once. */
enum fill_phase { FILL_REQUEST, FILL_BACKEND, FILL_RESPONSE, FILL_LINE };

/* One message's, or one line's, worth of fields. */
struct filling {
    const struct conventions *conventions;
    enum fill_phase phase;
    struct span *server, *client; /* [borrow] NULL: not of this phase */
    int64_t received_unix_ns;
    int64_t age_max_ns; /* of `start` and `end` before that; 0: FILL_AGE_MAX_NS */

    int64_t end_unix_ns; /* out: when HAProxy says that the request ended; 0: it did not */

    struct spoe_span custom; /* [borrow] key=value;key=value, which win over all: set last */

    bool _is_options, _has_origin, _origin_is_server;
};

/* Which field a declared argument is. */
struct fill_slot {
    uint8_t slot, field; /* enum field */
};

/** The span's name as long as no route is known: the method, or HTTP for an unknown one. */
struct spoe_span fill_name(const struct conventions *conventions, const struct spoe_value *method);

/** One field, by its number. @param value  of type NULL: it is not known */
void fill_field(struct filling *filling, enum field field, const struct spoe_value *value);
/** Fields by number, in this order. @param slots  [borrow] of type NULL: it is not known */
void fill_fields(struct filling *filling, const struct fill_slot *fields, size_t n,
                 const struct spoe_value *slots);
/** Any other, by its name: conventional, a header, or an attribute of that name. */
void fill_named(struct filling *filling, struct spoe_span name, const struct spoe_value *value);
/** All fields are in. */
void fill_end(struct filling *filling);

/** An error that no status code tells: error.type and the span's status. @param type  [const] */
void fill_error(const struct conventions *conventions, struct span *span, const char *type);
/** Whatever its status code: no error. */
void fill_no_error(const struct conventions *conventions, struct span *span);

/**
 * What CLIENT has of the request and not of its own messages: path and query, where its own had no
 * path, and the authority as server.address, unless it is to be the peer's. Due when it ends.
 */
void fill_complete_client(const struct conventions *conventions, const struct span *server,
                          struct span *client);
/**
 * url.full of CLIENT, if all of it is known: scheme, address, port, path, and the query or that
 * there is none. Due after fill_complete_client().
 */
void fill_full_url(const struct conventions *conventions, struct span *client);

#endif
