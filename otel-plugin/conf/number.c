/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/conf/number.c - see number.h. */
#include "conf/number.h"

#include <stdint.h>

/* Up to here mantissa and power are exact in a double, and so their quotient is the nearest one. */
#define DIGITS_MAX 15u
#define EXPONENT_MAX 22

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with at most one point. *ret_scale: how many are behind it. */
static bool read_mantissa(const char **text, uint64_t *ret, int *ret_scale)
{
    const char *p = *text;
    unsigned n = 0;
    bool point = false, any = false;

    *ret = 0;
    *ret_scale = 0;
    for (; is_digit(*p) || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        any = true;
        if (n == DIGITS_MAX) {
            if (!point)
                return false; /* far above 1 */
            continue;         /* far below what matters */
        }
        *ret = *ret * 10 + (uint64_t)(*p - '0');
        n += *ret > 0;
        *ret_scale += point;
    }
    *text = p;
    return any;
}

static bool read_exponent(const char **text, int *ret)
{
    const char *p = *text + 1;
    const bool negative = *p == '-';
    int v = 0;

    if (*p == '-' || *p == '+')
        p++;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++)
        v = v < 1000 ? v * 10 + (*p - '0') : v;
    *text = p;
    *ret = negative ? -v : v;
    return true;
}

bool number_read_ratio(const char *text, double *ret)
{
    uint64_t mantissa;
    int scale, exponent = 0;
    double power = 1, value;

    if (!read_mantissa(&text, &mantissa, &scale))
        return false;
    if ((*text == 'e' || *text == 'E') && !read_exponent(&text, &exponent))
        return false;
    if (*text != '\0')
        return false;
    exponent -= scale;
    if (exponent > EXPONENT_MAX && mantissa > 0)
        return false;
    if (exponent < -2 * EXPONENT_MAX)
        mantissa = 0; /* no trace id is that small */
    for (int i = exponent < 0 ? -exponent : exponent; i > 0 && mantissa > 0; i--)
        power *= 10;
    value = exponent < 0 ? (double)mantissa / power : (double)mantissa * power;
    if (value > 1)
        return false;
    *ret = value;
    return true;
}
