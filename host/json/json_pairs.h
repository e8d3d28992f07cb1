/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/json/json_pairs.h - a flat JSON object, {"name": "text", "other": 1}, as a POST has it. No
 * state; threads: [any].
 */
#ifndef HOST_JSON_JSON_PAIRS_H
#define HOST_JSON_JSON_PAIRS_H

#include <stddef.h>

#include <spoe/plugin.h>

#include "base/error.h"

#define JSON_PAIRS_MAX 16u
#define JSON_PAIRS_TEXT_MAX 8191u /* bytes of what is read */
#define JSON_TEXTS_MAX 16384u     /* bytes of all names and values, each with a NUL */

/* Each a string that ends with NUL, without one inside. */
struct json_pair {
    const char *name, *value;
};

struct json_pairs {
    struct json_pair pair[JSON_PAIRS_MAX]; /* in the order in which they stand there */
    size_t n;
    char texts[JSON_TEXTS_MAX];
};

/**
 * Read a whole text. Values are strings, numbers, true and false. A number is written anew: whole
 * ones have no point, others up to 15 digits. No name comes twice.
 * @return 0; -1 with *reterr
 */
int json_pairs_parse(struct spoe_span text, struct json_pairs *ret, struct error *reterr);

#endif
