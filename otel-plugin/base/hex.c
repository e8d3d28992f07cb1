/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/base/hex.c - hexadecimal digits, read and written. */
#include "base/hex.h"

#include <endian.h>
#include <string.h>

/* Lower case only: trace-context-2, 3.2.2; B3 says so too. One more than the digit; 0: none. */
static const uint8_t digits[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

#define ONES UINT64_C(0x0101010101010101)

/* The digits of eight numbers below 16, one in each byte. */
static inline uint64_t to_digits(uint64_t v)
{
    const uint64_t letters = (v + 6 * ONES) >> 4 & ONES; /* 1 for each from 10 on */

    return v + '0' * ONES + letters * ('a' - '0' - 10);
}

/* Eight digits at once; in each byte of the words below is one of them. */
static inline bool read_four(const char *p, uint8_t *ret)
{
    uint64_t text, v;
    uint32_t bytes;

    memcpy(&text, p, sizeof text);
    text = le64toh(text);
    v = (text & 0xf * ONES) + 9 * (text >> 6 & ONES); /* of letters bit 6 is set, 'a' is ...0001 */
    if ((v & 0xf0 * ONES) != 0 || to_digits(v) != text)
        return false;
    v = (v << 4 | v >> 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v | v >> 8) & UINT64_C(0x0000ffff0000ffff);
    bytes = htole32((uint32_t)(v | v >> 16));
    memcpy(ret, &bytes, sizeof bytes);
    return true;
}

bool hex_read(const char *p, uint8_t *ret, size_t n)
{
    for (; n >= 4; p += 8, ret += 4, n -= 4)
        if (!read_four(p, ret))
            return false;
    for (size_t i = 0; i < n; i++) {
        const unsigned high = digits[(unsigned char)p[2 * i]];
        const unsigned low = digits[(unsigned char)p[2 * i + 1]];

        if (high == 0 || low == 0)
            return false;
        ret[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return true;
}

static void write_four(const uint8_t *p, char *ret)
{
    uint32_t bytes;
    uint64_t v;

    memcpy(&bytes, p, sizeof bytes);
    v = le32toh(bytes);
    v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
    v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v >> 4 & UINT64_C(0x000f000f000f000f)) | (v & UINT64_C(0x000f000f000f000f)) << 8;
    v = htole64(to_digits(v));
    memcpy(ret, &v, sizeof v);
}

void hex_write(const uint8_t *p, size_t n, char *ret)
{
    static const char letters[] = "0123456789abcdef";

    for (; n >= 4; p += 4, n -= 4, ret += 8)
        write_four(p, ret);
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = letters[p[i] >> 4];
        ret[2 * i + 1] = letters[p[i] & 15];
    }
}

bool hex_is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}
