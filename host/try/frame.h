/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/try/frame.h - the frames that HAProxy would send, written; and what it would make of an
 * ACK, read. No state; threads: [any].
 */
#ifndef HOST_TRY_FRAME_H
#define HOST_TRY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/error.h"
#include "core/route.h"
#include "core/texts.h"
#include "try/script.h"

/* What HAProxy offers unless it is told otherwise: tune.bufsize less the length. */
#define FRAME_SIZE 16380u

/**
 * The arguments of a message as values: of the type that NAME:TYPE says (bool, int, ip, str, bin,
 * hex, which is bin in hexadecimal digits), else of one that is declared, else a string.
 * @param route  of the message, for what is declared
 * @param ret    as many as line->n
 * @return 0; -1 with *reterr
 */
int frame_values(const struct route *route, struct script_line *line, struct spoe_arg *ret,
                 struct error *reterr);

/** HAPROXY-HELLO. @return bytes written at p, of which there are FRAME_SIZE */
size_t frame_hello(uint8_t *p);
/** A NOTIFY of one message. @return bytes, of FRAME_SIZE + 4 at most; 0: it is larger */
size_t frame_notify(uint8_t *p, uint64_t stream_id, uint64_t frame_id, struct spoe_span message,
                    const struct spoe_arg *args, uint32_t n);

/** The name of the first message of a NOTIFY. @return false: there is none */
bool frame_first_message(const uint8_t *frame, size_t n, struct spoe_span *ret);

/* One action of an ACK. */
struct frame_action {
    bool unset;
    uint32_t scope;
    struct spoe_span name;
    struct spoe_value value; /* unless it is unset */
};

/** Take the next action. @return 1; 0 there is none; -1 what follows is none */
int frame_next_action(const uint8_t **p, const uint8_t *end, struct frame_action *ret);

#endif
