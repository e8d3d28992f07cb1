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

bool hex_read(const char *p, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned high = digits[(unsigned char)p[2 * i]];
        const unsigned low = digits[(unsigned char)p[2 * i + 1]];

        if (high == 0 || low == 0)
            return false;
        ret[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return true;
}

/* Eight digits at once; in each byte of the words below is one of them. */
static void write_four(const uint8_t *p, char *ret)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint32_t bytes;
    uint64_t v, letters;

    memcpy(&bytes, p, sizeof bytes);
    v = le32toh(bytes);
    v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
    v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v >> 4 & UINT64_C(0x000f000f000f000f)) | (v & UINT64_C(0x000f000f000f000f)) << 8;
    letters = (v + 6 * ones) >> 4 & ones; /* 1 for each digit from 10 on */
    v = htole64(v + '0' * ones + letters * ('a' - '0' - 10));
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
