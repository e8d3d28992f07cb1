/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/try/script.h - a message as people write it, one in a line:
 *
 *     MESSAGE NAME=VALUE NAME=VALUE ...
 *
 * A value ends at the next blank, or stands in double quotes, in which \" \\ \n \r \t \0 and \xHH
 * are single bytes. Its type is the one that is declared; NAME:TYPE=VALUE says it, for arguments
 * that nobody declares (frame.h). Lines that begin with # and empty ones say nothing.
 *
 * Or a frame as it was recorded: "NUMBER haproxy->agent HEX", with its four length bytes; what
 * an agent sent has no effect. No state; threads: [any].
 */
#ifndef HOST_TRY_SCRIPT_H
#define HOST_TRY_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoe/plugin.h>

#include "base/error.h"

#define SCRIPT_WORDS_MAX 255u /* arguments of a message, SPOE.txt 3.2.6 */

struct script_word {
    struct spoe_span name; /* with its :TYPE */
    struct spoe_span value;
};

enum script_kind { SCRIPT_NOTHING, SCRIPT_MESSAGE, SCRIPT_FRAME };

/* What a line says; all of it points into the line. */
struct script_line {
    enum script_kind kind;
    struct spoe_span message;
    uint32_t n;
    struct script_word word[SCRIPT_WORDS_MAX];
    const uint8_t *frame; /* SCRIPT_FRAME */
    size_t frame_len;
};

/**
 * Read a line, which is changed: quotes and hexadecimal digits become what they mean.
 * @return 0; -1 with *reterr
 */
int script_read(char *line, size_t n, struct script_line *ret, struct error *reterr);

#endif
