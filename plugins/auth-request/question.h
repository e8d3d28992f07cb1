/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/question.h - what the service is told of a request: header lines, each ended
 * by a NUL. They are all that is sent beside what is the same for every request, so their bytes are
 * the key under which an answer is kept and shared.
 */
#ifndef AUTH_REQUEST_QUESTION_H
#define AUTH_REQUEST_QUESTION_H

#include <stddef.h>

#include <spoe/plugin.h>

#include "auth-request/conf.h"

/* Larger than any message of HAProxy's with its default frame size. */
#define QUESTION_MAX 65536u

/* Slots of the message: the order of its args[]. */
enum { ARG_METHOD, ARG_URI, ARG_SSL, ARG_SRC, ARG_HDRS, ARG_COUNT };

struct question {
    size_t n;         /* bytes of text that are used */
    unsigned n_lines; /* "Name: value" or, of an empty value, "Name;" as libcurl has it */
    char text[QUESTION_MAX];
};

/* @return 0; -1: the request lacks what is to be sent, has what no header may hold, or is too long
 */
int question_make(struct question *q, const struct auth_conf *conf, const struct spoe_message *msg);

extern const struct spoe_message_decl *const auth_messages[];

#endif
