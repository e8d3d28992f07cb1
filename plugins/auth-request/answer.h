/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/auth-request/answer.h - what is read of the service's answer: its status, the chosen
 * headers, and how long it may be kept. It is read line by line, as libcurl hands the lines over.
 */
#ifndef AUTH_REQUEST_ANSWER_H
#define AUTH_REQUEST_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth-request/names.h"

/* Of all chosen headers together; what an ACK of HAProxy's default frame size has room for. */
#define ANSWER_HEADERS_MAX 8192u

/*
 * The chosen headers: a record each, the place in the list of names, the value's length in two
 * bytes, the value. A name stands once: several values are one, with commas, but of Set-Cookie,
 * which commas would break, the first counts.
 */
struct answer {
    uint16_t status;
    bool allowed;
    uint32_t n;           /* bytes of records */
    const uint8_t *bytes; /* [borrow] */
};

/* @param at  0 at first. @return false: there is no further record */
bool answer_next(const struct answer *answer, size_t *at, uint8_t *ret_place,
                 struct spoe_span *ret_value);

enum answer_fault { ANSWER_GOOD, ANSWER_TOO_LARGE, ANSWER_BAD_VALUE, ANSWER_NO_MEMORY };

/* One answer that is being read. Zeros, but for wanted, are its beginning. */
struct answer_reader {
    const struct names *wanted;
    uint16_t status; /* 0: none is known */
    bool in_head;    /* its first line has been read, and not its end */
    bool ended;      /* the final head is whole; what follows are trailers */
    bool counts;     /* the last header does: it is wanted, or about keeping */
    bool keep_none;  /* it says that it is for this one request */
    enum answer_fault fault;
    int64_t max_age_s; /* -1: it says nothing about it */
    uint8_t *bytes;    /* [own] records; kept from answer to answer */
    size_t n, size;
};

void answer_begin(struct answer_reader *reader, const struct names *wanted);
void answer_fini(struct answer_reader *reader);

/* A line with its end; also those of 1xx heads and trailers, which count for nothing. */
void answer_take_line(struct answer_reader *reader, const char *line, size_t n);

/* How long the answer may be kept: as long as the option says, or less if it says so itself. */
int64_t answer_ttl(const struct answer_reader *reader, int64_t ttl_ns);

#endif
