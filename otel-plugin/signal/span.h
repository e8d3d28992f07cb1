/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/signal/span.h - one OpenTelemetry span from its start to its export.
 *
 * Knows nothing of SPOE and of HAProxy. A span is owned by exactly one place at a time
 * (handler, store), so it has no lock. Strings are copied into the span, repaired
 * where they are not UTF-8 and cut at SPAN_VALUE_MAX bytes on a character's boundary.
 */
#ifndef OTEL_SIGNAL_SPAN_H
#define OTEL_SIGNAL_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "context/trace_context.h"
#include "record/known_keys.h"
#include "signal/pool.h"

#define SPAN_VALUE_MAX 4096u         /* bytes of one attribute's value, or of the name */
#define SPAN_KEY_MAX 256u            /* bytes of an attribute's key */
#define SPAN_ATTRIBUTES_DEFAULT 128u /* OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT's */
#define SPAN_ATTRIBUTES_MAX 1024u    /* what that may be */
#define SPAN_EVENTS_MAX 4u

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 };                /* OTLP */
enum span_status { SPAN_STATUS_UNSET = 0, SPAN_STATUS_OK = 1, SPAN_STATUS_ERROR = 2 }; /* OTLP */
enum span_value_type {
    SPAN_STRING = 1,
    SPAN_BOOL = 2,
    SPAN_INT = 3,
    SPAN_BYTES = 4,
    SPAN_STRINGS = 5 /* a list of strings */
};

/* One attribute as span_attribute() shows it; pointers are valid until the span changes. */
struct span_attr {
    const char *key;
    size_t key_len;
    enum span_value_type type;
    const char *str; /* STRING, BYTES; STRINGS: for span_attr_string() */
    size_t str_len;
    int64_t i; /* BOOL: 0 or 1 */
};

struct span_event {
    const char *name; /* [const] */
    int64_t time_unix_ns;
};

struct span {
    struct span *next; /* for whoever owns the span: the next of a request's; NULL at first */
    struct trace_context context;
    uint8_t parent_id[8]; /* all zero: a root */
    bool parent_remote : 1;
    bool _has_own_block : 1; /* to be freed */
    uint8_t kind;            /* enum span_kind */
    uint8_t status;          /* enum span_status */
    uint8_t n_events;
    uint8_t notes; /* for whoever fills the span; 0 at first, never exported */
    uint16_t n_attributes;
    uint16_t _name_len;
    uint32_t dropped_attributes; /* over the limit, bad key, or no memory */
    uint32_t dropped_events;     /* over the limit, or no memory */
    uint32_t _others; /* a bit by a hash of each key of the attributes that is not known */
    uint32_t _used, _size;
    int64_t start_unix_ns;
    int64_t end_unix_ns;        /* 0: still open */
    struct span_event *events;  /* n_events; NULL before the first, since most spans have none */
    struct trace_state *_state; /* shared by the spans of a request; NULL: none */
    uint64_t _keys;             /* which known keys the attributes have, by their numbers */
    uint8_t *_data;             /* the name and the attributes: block.h */
    uint8_t _first[];           /* the first block */
};

/* What a span may hold at most; the bounds above hold beside them. */
struct span_limits {
    uint32_t value_length; /* characters of a text, bytes of a binary; UINT32_MAX: no limit */
    uint16_t attributes;
    uint16_t events;
};

/**
 * Set the limits of every span from now on. Threads: [main], before there are others.
 */
void span_set_limits(const struct span_limits *limits);

/**
 * Open a span.
 * @param context    trace id, own span id, flags; copied
 * @param parent_id  8 bytes, or NULL for a root
 * @param name       [borrow]
 * @return [own] NULL: out of memory
 */
struct span *span_create(enum span_kind kind, const struct trace_context *context,
                         const uint8_t *parent_id, bool parent_remote, int64_t start_unix_ns,
                         const char *name, size_t name_len);
/** The same with a block that span_recycle() kept, if there is one. Threads: the cache's */
struct span *span_create_from(struct pool_cache *cache, enum span_kind kind,
                              const struct trace_context *context, const uint8_t *parent_id,
                              bool parent_remote, int64_t start_unix_ns, const char *name,
                              size_t name_len);
void span_destroy(struct span *span); /* takes NULL */
/** Destroy a span and keep its block for span_create_from(). Takes NULL. Threads: the cache's */
void span_recycle(struct pool_cache *cache, struct span *span);

/*
 * Set an attribute; a key that is there already takes the new value, and its place is the last.
 * Never fails: what does not fit, an empty key and a key above SPAN_KEY_MAX are counted in
 * dropped_attributes. All pointers are borrowed.
 */
void span_set_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n);
void span_set_int(struct span *span, const char *key, size_t key_len, int64_t value);
void span_set_bool(struct span *span, const char *key, size_t key_len, bool value);
/* The same for a known key, without a search for it. */
void span_set_known_str(struct span *span, enum span_key key, const char *p, size_t n);
void span_set_known_int(struct span *span, enum span_key key, int64_t value);
void span_set_known_bool(struct span *span, enum span_key key, bool value);
/** Take an attribute out, if it is there. */
void span_remove_known(struct span *span, enum span_key key);
/* Bytes stay as they are, but for the cut at SPAN_VALUE_MAX. */
void span_set_bytes(struct span *span, const char *key, size_t key_len, const void *p, size_t n);
/*
 * Add a string to the key's list; the first one makes the list, in the place of a value of another
 * type. A list holds at most SPAN_VALUE_MAX bytes, two for each string's length included.
 */
void span_add_str(struct span *span, const char *key, size_t key_len, const char *p, size_t n);

/*
 * A block for the attributes of a span that is about to end: what an open span has is no larger
 * than what it holds, and what the end adds is to cost no allocation.
 */
#define SPAN_ROOM 1024u
struct span_room {
    uint8_t bytes[SPAN_ROOM];
};
/** Move a span's attributes there, if they fit. @param room  [borrow until the span's end] */
void span_use_room(struct span *span, struct span_room *room);

/** Give the span another name; without memory the old one stays. @param name [borrow] */
void span_set_name(struct span *span, const char *name, size_t name_len);

/** Add an event; past the limit, or without memory, it is counted in dropped_events instead. @param
 * name [const] */
void span_add_event(struct span *span, const char *name, int64_t time_unix_ns);

/**
 * Give a span the tracestate of its trace; a span has none at first. Without memory it goes on
 * without one, as the standard allows.
 * @param p  [borrow] a valid one, at most UINT16_MAX bytes; n may be 0
 */
void span_set_trace_state(struct span *span, const char *p, size_t n);
/** Give a span that has none the tracestate of another span. Costs no copy. */
void span_share_trace_state(struct span *span, const struct span *from);
/** @return [pin until the span's end] not NUL-terminated; NULL with length 0: none */
const char *span_trace_state(const struct span *span, size_t *ret_len);

/** End a span; an end before the start becomes the start. */
void span_end(struct span *span, int64_t end_unix_ns);

const char *span_name(const struct span *span, size_t *ret_len);
/** Bytes of memory that a span has, its blocks included. */
size_t span_memory(const struct span *span);
/** Its attributes as OTLP has them in a Span. @return [pin until it changes] not aligned */
static inline const uint8_t *span_attribute_bytes(const struct span *span, size_t *ret_len)
{
    *ret_len = span->_used - span->_name_len;
    return span->_data + span->_name_len;
}
/**
 * Walk the attributes: start with *pos = 0.
 * @return false after the last
 */
bool span_attribute(const struct span *span, size_t *pos, struct span_attr *ret);
/**
 * Find an attribute by its key.
 * @return false: there is none
 */
bool span_find(const struct span *span, const char *key, size_t key_len, struct span_attr *ret);
/** The same by its number. */
bool span_find_known(const struct span *span, enum span_key key, struct span_attr *ret);
/** Whether it ever had that attribute: no search. */
static inline bool span_had_known(const struct span *span, enum span_key key)
{
    return (span->_keys >> key & 1) != 0;
}
/** @return [const] NULL for SPAN_KEY_NONE */
const char *span_key_text(enum span_key key);
/**
 * Walk the strings of a SPAN_STRINGS value: start with *pos = 0.
 * @return false after the last
 */
bool span_attr_string(const struct span_attr *attr, size_t *pos, const char **ret, size_t *ret_len);

#endif
