/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/attributes.h - set conventional attributes by their id: the one place where
 * stable and old names part (OTEL_SEMCONV_STABILITY_OPT_IN).
 */
#ifndef OTEL_SIGNAL_ATTRIBUTES_H
#define OTEL_SIGNAL_ATTRIBUTES_H

#include <spoe/plugin.h>

#include "base/conf_types.h"
#include "record/fields.h"
#include "signal/span.h"

/* For tests and for tables; the names are of enum span_key. */
struct attr_names {
    uint8_t stable, old_server, old_client;
    bool stays;
};
extern const struct attr_names attr_names[N_ATTRS];

/** Set an attribute, where the old convention writes the value another way. */
void attr_set_texts(enum semconv_mode mode, struct span *span, enum otel_attr attr,
                    struct spoe_span value, struct spoe_span old_value);

/* Set an attribute under its stable name, its old one, or both. Values are borrowed. */
static inline void attr_set_text(enum semconv_mode mode, struct span *span, enum otel_attr attr,
                                 struct spoe_span value)
{
    if (mode == SEMCONV_STABLE) /* nearly always */
        span_set_known_str(span, (enum span_key)attr_names[attr].stable, value.p, value.n);
    else
        attr_set_texts(mode, span, attr, value, value);
}
void attr_set_int(enum semconv_mode mode, struct span *span, enum otel_attr attr, int64_t value);
void attr_set_bool(enum semconv_mode mode, struct span *span, enum otel_attr attr, bool value);

/**
 * Add a header's value to http.request.header.<key> or http.response.header.<key>. The key is
 * written in lower case, under the old names with '_' for '-' as well.
 * @param prefix  either of the two, with the dot at its end
 */
void attr_add_header(enum semconv_mode mode, struct span *span, const char *prefix,
                     struct spoe_span key, struct spoe_span value);

/** Take an attribute out, under all of its names. */
void attr_remove(enum semconv_mode mode, struct span *span, enum otel_attr attr);

/** An attribute's value, under whichever of its names it has. @return false: not set */
bool attr_find(enum semconv_mode mode, const struct span *span, enum otel_attr attr,
               struct span_attr *ret);
/** Whether it may be set: false is certain, and true where nobody has taken it out again. */
bool attr_was_set(enum semconv_mode mode, const struct span *span, enum otel_attr attr);

#endif
