/* SPDX-License-Identifier: Apache-2.0 */
/* host/json/json_pairs.c - see json_pairs.h. */
#include "json/json_pairs.h"

#include <assert.h>
#include <string.h>

#include "json/json_input.h"

/* Bytes of a number, at most: -1.23456789012345e-308. */
#define NUMBER_MAX 32u

/* A string has no more bytes than the text that it is written with, quotes included, and a number
 * NUMBER_MAX: there is always room. */
_Static_assert(JSON_PAIRS_TEXT_MAX + (size_t)JSON_PAIRS_MAX * NUMBER_MAX < JSON_TEXTS_MAX, "");

/* @return the copy, which ends with NUL */
static const char *put(struct json_pairs *ret, size_t *used, const char *bytes, size_t n)
{
    char *copy = ret->texts + *used;

    assert(n < sizeof ret->texts - *used);
    memcpy(copy, bytes, n);
    copy[n] = '\0';
    *used += n + 1;
    return copy;
}

/* @return 0; -1 with *reterr */
static int take_member(struct json_pairs *ret, size_t *used, const char *name, const json_t *value,
                       struct error *reterr)
{
    struct json_pair *pair = &ret->pair[ret->n];
    char number[NUMBER_MAX];
    size_t n;

    if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
        return error_set(reterr, "\"%.64s\": its value is no string, number, true or false", name);
    pair->name = put(ret, used, name, strlen(name));
    if (json_is_string(value)) {
        pair->value = put(ret, used, json_string_value(value), json_string_length(value));
    } else {
        n = json_dumpb(value, number, sizeof number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        assert(n > 0 && n <= sizeof number);
        pair->value = put(ret, used, number, n);
    }
    ret->n++;
    return 0;
}

static int take_object(struct json_pairs *ret, json_t *object, struct error *reterr)
{
    const char *name;
    json_t *value;
    size_t used = 0;

    if (!json_is_object(object))
        return error_set(reterr, "it is no object of JSON");
    if (json_object_size(object) > JSON_PAIRS_MAX)
        return error_set(reterr, "more than %u members", JSON_PAIRS_MAX);
    json_object_foreach(object, name, value)
    {
        if (take_member(ret, &used, name, value, reterr) != 0)
            return -1;
    }
    return 0;
}

int json_pairs_parse(struct spoe_span text, struct json_pairs *ret, struct error *reterr)
{
    json_t *object = json_input_parse(text, JSON_PAIRS_TEXT_MAX, JSON_REJECT_DUPLICATES, reterr);
    int result;

    ret->n = 0;
    if (object == NULL)
        return -1;
    result = take_object(ret, object, reterr);
    json_decref(object);
    return result;
}
