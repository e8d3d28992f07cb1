/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/spop/spop.h - the SPOP 2.0 codec: bytes to frames to messages, actions to bytes.
 *
 * Pure functions over the caller's memory: no I/O, no allocation, no logging. Decoded spans point
 * into the input. Every length is compared with what remains (`end - p`), never added first. Here
 * is what is called once a frame or less; what runs for every argument is in wire.h.
 * Source: HAProxy doc/SPOE.txt, section 3.
 */
#ifndef HOST_SPOP_SPOP_H
#define HOST_SPOP_SPOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

enum spop_frame_type { /* SPOE.txt 3.2.2 */
                       SPOP_UNSET = 0,
                       SPOP_HAPROXY_HELLO = 1,
                       SPOP_HAPROXY_DISCONNECT = 2,
                       SPOP_NOTIFY = 3,
                       SPOP_AGENT_HELLO = 101,
                       SPOP_AGENT_DISCONNECT = 102,
                       SPOP_ACK = 103
};

#define SPOP_FLAG_FIN 1u /* SPOE.txt 3.2 */
#define SPOP_FLAG_ABORT 2u

/* Status codes of a DISCONNECT (SPOE.txt 3.5); decoders return them negated. */
enum spop_status {
    SPOP_OK = 0,
    SPOP_ERR_IO = 1,
    SPOP_ERR_TIMEOUT = 2,
    SPOP_ERR_TOO_BIG = 3,
    SPOP_ERR_INVALID = 4,
    SPOP_ERR_NO_VERSION = 5,
    SPOP_ERR_NO_MAX_FRAME_SIZE = 6,
    SPOP_ERR_NO_CAPABILITIES = 7,
    SPOP_ERR_BAD_VERSION = 8,
    SPOP_ERR_BAD_FRAME_SIZE = 9,
    SPOP_ERR_FRAGMENTED = 10,
    SPOP_ERR_INTERLACED = 11,
    SPOP_ERR_NO_FRAME_ID = 12,
    SPOP_ERR_RESOURCE = 13,
    SPOP_ERR_UNKNOWN = 99
};

#define SPOP_LENGTH_BYTES 4u     /* the prefix of every frame */
#define SPOP_FRAME_SIZE_MIN 256u /* HAProxy's own least max-frame-size */
#define SPOP_FRAME_HEAD_MIN 7u   /* type, flags, one byte each of stream-id and frame-id */
#define SPOP_VARINT_MAX 10u      /* bytes of the longest varint, 64 bits */
#define SPOP_MESSAGES_MAX 256u   /* messages in one NOTIFY */

/* One frame; payload points into the input. */
struct spop_frame {
    uint8_t type;
    uint32_t flags;
    uint64_t stream_id;
    uint64_t frame_id;
    const uint8_t *payload;
    size_t payload_len;
};

/* What HAPROXY-HELLO says (SPOE.txt 3.2.4). */
struct spop_hello {
    uint32_t max_frame_size; /* HAProxy's own */
    bool healthcheck;
    bool pipelining;            /* HAProxy announced it */
    struct spoe_span versions;  /* the list as it was sent */
    struct spoe_span engine_id; /* empty if absent */
};

/* A place in the input; decoders move p only on success. */
struct spop_cursor {
    const uint8_t *p;
    const uint8_t *end;
};

/* A short text for a status code, for DISCONNECT's message and logs; never NULL. [const] */
const char *spop_status_text(int status);

/**
 * Read the payload of a HAPROXY-HELLO and check what it demands: 2.x among the versions, a frame
 * size of at least SPOP_FRAME_SIZE_MIN, a capabilities item. Unknown items are skipped.
 * @return 0; the negated SPOP_ERR_* that AGENT-DISCONNECT must carry
 */
int spop_decode_hello(const uint8_t *payload, size_t len, struct spop_hello *ret);

/** Read the payload of a HAPROXY-DISCONNECT. @return 0; -SPOP_ERR_INVALID. */
int spop_decode_disconnect(const uint8_t *payload, size_t len, uint32_t *ret_status,
                           struct spoe_span *ret_message);

/** Read one argument. @return 0; -SPOP_ERR_INVALID. */
int spop_get_arg(struct spop_cursor *c, struct spoe_arg *ret);

/*
 * Encoders write at most cap bytes at p and return the bytes written, or 0, with nothing to be
 * relied on at p, where they do not fit. Whole frames include the length prefix.
 */
size_t spop_put_agent_hello(uint8_t *p, size_t cap, uint32_t max_frame_size);
size_t spop_put_agent_disconnect(uint8_t *p, size_t cap, int status);
size_t spop_put_set_var(uint8_t *p, size_t cap, uint32_t scope, struct spoe_span name,
                        const struct spoe_value *value);
size_t spop_put_unset_var(uint8_t *p, size_t cap, uint32_t scope, struct spoe_span name);

/**
 * Write the head of an ACK, with a length prefix for `actions_len` bytes of actions to follow.
 * An ACK must not be empty (HAProxy 3.1-dev4 to 3.2-dev6 hang on one, commit 851e52b55), so where
 * there is no action spop_put_filler() gives one without effect.
 */
size_t spop_put_ack_head(uint8_t *p, size_t cap, uint64_t stream_id, uint64_t frame_id,
                         size_t actions_len);
#define SPOP_ACK_HEAD_MAX (SPOP_LENGTH_BYTES + 1u + 4u + 2u * SPOP_VARINT_MAX)

/** Unset a variable that no configuration names; HAProxy ignores it. */
size_t spop_put_filler(uint8_t *p, size_t cap);
#define SPOP_FILLER_MAX 13u /* what it writes, exactly */

#endif
