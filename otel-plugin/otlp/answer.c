/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/otlp/answer.c - the few fields that are wanted of an answer are read where they lie:
 * whatever a peer sends in 4 MiB, nothing is allocated for it.
 */
#include "otlp/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Field numbers: trace_service.proto, and google/rpc/status.proto and error_details.proto. */
enum response_field { RESPONSE_PARTIAL_SUCCESS = 1 };
enum partial_field { PARTIAL_REJECTED_SPANS = 1, PARTIAL_ERROR_MESSAGE = 2 };
enum status_field { STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum any_field { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum retry_info_field { RETRY_INFO_DELAY = 1 };
enum duration_field { DURATION_SECONDS = 1, DURATION_NANOS = 2 };

#define NS_PER_S INT64_C(1000000000)

void otlp_clean_text(const void *bytes, size_t len, char *ret, size_t size)
{
    const size_t n = len > 0 ? utf8_repair(bytes, len, ret, size - 1) : 0; /* bytes may be NULL */
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        const bool blank = (unsigned char)ret[i] <= ' ' || ret[i] == 0x7f;

        if (!blank)
            ret[used++] = ret[i];
        else if (used > 0 && ret[used - 1] != ' ')
            ret[used++] = ' ';
    }
    while (used > 0 && ret[used - 1] == ' ')
        used--;
    ret[used] = '\0';
}

static int64_t clamp_delay(int64_t seconds, int32_t nanos)
{
    if (seconds < 0 || nanos < 0)
        return 0;
    if (seconds >= OTLP_RETRY_DELAY_MAX_NS / NS_PER_S)
        return OTLP_RETRY_DELAY_MAX_NS;
    return seconds * NS_PER_S + nanos % NS_PER_S;
}

/* ---- messages ------------------------------------------------------------------------------ */

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

#define FIELD_NUMBER_MAX UINT32_C(0x1fffffff)

struct bytes {
    const uint8_t *p;
    size_t n;
};

struct field {
    uint32_t number; /* 0: there is none */
    uint32_t type;   /* enum wire_type */
    uint64_t value;  /* of a VARINT */
    struct bytes bytes;
};

static bool read_varint(struct bytes *in, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && in->n > 0; shift += 7) {
        const uint8_t byte = *in->p++;

        in->n--;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* Read the next field off a message that has more. @return false: it is none */
static bool next_field(struct bytes *in, struct field *ret)
{
    uint64_t tag, n = 0;

    if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return false;
    *ret = (struct field){.number = (uint32_t)(tag >> 3), .type = (uint32_t)(tag & 7)};
    switch (ret->type) {
    case VARINT:
        return read_varint(in, &ret->value);
    case FIXED64:
        n = 8;
        break;
    case FIXED32:
        n = 4;
        break;
    case BYTES:
        if (!read_varint(in, &n))
            return false;
        break;
    default:
        return false; /* groups are not in use any more */
    }
    if (n > in->n)
        return false;
    ret->bytes = (struct bytes){in->p, (size_t)n};
    in->p += n;
    in->n -= (size_t)n;
    return true;
}

/* The last field of a number, which is the one that counts. @return false: that is no message */
static bool find_field(struct bytes message, uint32_t number, enum wire_type type,
                       struct field *ret)
{
    struct field field;

    *ret = (struct field){.number = 0};
    while (message.n > 0) {
        if (!next_field(&message, &field))
            return false;
        if (field.number == number && field.type == type)
            *ret = field;
    }
    return true;
}

static void clean(const struct field *text, char *ret, size_t size)
{
    otlp_clean_text(text->bytes.p, text->bytes.n, ret, size);
}

/* ---- what they say ------------------------------------------------------------------------- */

static bool is_retry_info(struct bytes type_url)
{
    static const char type[] = "/google.rpc.RetryInfo";
    const size_t n = sizeof type - 1;

    return type_url.n >= n && memcmp(type_url.p + type_url.n - n, type, n) == 0;
}

/* @return whether a detail is a RetryInfo that can be read */
static bool read_detail(struct bytes detail, int64_t *ret_delay_ns)
{
    struct field url, info, delay, seconds, nanos;

    if (!find_field(detail, ANY_TYPE_URL, BYTES, &url) || !is_retry_info(url.bytes) ||
        !find_field(detail, ANY_VALUE, BYTES, &info) ||
        !find_field(info.bytes, RETRY_INFO_DELAY, BYTES, &delay) ||
        !find_field(delay.bytes, DURATION_SECONDS, VARINT, &seconds) ||
        !find_field(delay.bytes, DURATION_NANOS, VARINT, &nanos))
        return false;
    *ret_delay_ns = clamp_delay((int64_t)seconds.value, (int32_t)nanos.value);
    return true;
}

bool otlp_read_retry_info(const uint8_t *bytes, size_t size, int64_t *ret_delay_ns)
{
    struct bytes status = {bytes, size};
    struct field field;

    while (status.n > 0 && next_field(&status, &field))
        if (field.number == STATUS_DETAILS && field.type == BYTES &&
            read_detail(field.bytes, ret_delay_ns))
            return true;
    return false;
}

void otlp_read_status_message(const uint8_t *bytes, size_t size, char *ret, size_t ret_size)
{
    struct field message;

    if (!find_field((struct bytes){bytes, size}, STATUS_MESSAGE, BYTES, &message))
        message = (struct field){.number = 0};
    clean(&message, ret, ret_size);
}

bool otlp_read_response(const uint8_t *bytes, size_t len, uint64_t *ret_rejected, char *ret_text,
                        size_t size)
{
    struct field partial, rejected, text;

    *ret_rejected = 0;
    ret_text[0] = '\0';
    if (!find_field((struct bytes){bytes, len}, RESPONSE_PARTIAL_SUCCESS, BYTES, &partial) ||
        !find_field(partial.bytes, PARTIAL_REJECTED_SPANS, VARINT, &rejected) ||
        !find_field(partial.bytes, PARTIAL_ERROR_MESSAGE, BYTES, &text))
        return false;
    *ret_rejected = (int64_t)rejected.value > 0 ? rejected.value : 0;
    clean(&text, ret_text, size);
    return true;
}
