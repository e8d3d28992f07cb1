/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/context/hex.c - hexadecimal digits, read and written. */
#include "context/hex.h"

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f') /* lower case only: trace-context-2, 3.2.2; B3 says so too */
        return c - 'a' + 10;
    return -1;
}

bool hex_read(const char *p, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int high = digit(p[2 * i]);
        const int low = digit(p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void hex_write(const uint8_t *p, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[p[i] >> 4];
        ret[2 * i + 1] = digits[p[i] & 15];
    }
}

bool hex_is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}
