/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/texts.c (1.4): which value a text is, by the types that are declared. */
#include "core/texts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])
#define INT SPOE_ACCEPT_INT
#define STR SPOE_ACCEPT_STR
#define IP SPOE_ACCEPT_IP
#define BOOL SPOE_ACCEPT_BOOL
#define BIN SPOE_ACCEPT_BIN
#define ONLY(type) SPOE_MASK(SPOE_T_##type)

static void print(const struct spoe_value *v, char *to, size_t size)
{
    switch (v->type) {
    case SPOE_T_BOOL:
        (void)snprintf(to, size, "bool %u", v->u.b);
        break;
    case SPOE_T_INT32:
        (void)snprintf(to, size, "i32 %d", v->u.i32);
        break;
    case SPOE_T_UINT32:
        (void)snprintf(to, size, "u32 %u", v->u.u32);
        break;
    case SPOE_T_INT64:
        (void)snprintf(to, size, "i64 %lld", (long long)v->u.i64);
        break;
    case SPOE_T_UINT64:
        (void)snprintf(to, size, "u64 %llu", (unsigned long long)v->u.u64);
        break;
    case SPOE_T_IPV4:
        (void)snprintf(to, size, "ip4 %u.%u", v->u.ip4[0], v->u.ip4[3]);
        break;
    case SPOE_T_IPV6:
        (void)snprintf(to, size, "ip6 %02x..%02x", v->u.ip6[0], v->u.ip6[15]);
        break;
    case SPOE_T_STR:
        (void)snprintf(to, size, "str %.*s", (int)v->u.s.n, v->u.s.p);
        break;
    default:
        (void)snprintf(to, size, "bin %.*s", (int)v->u.s.n, v->u.s.p);
    }
}

static const struct {
    const char *text;
    uint32_t types;
    const char *expected;
} cases[] = {
    {"200", INT, "i64 200"},
    {"200", INT | STR, "i64 200"},
    {"200", STR, "str 200"},
    {"200", ONLY(UINT64), "u64 200"},
    {"200", ONLY(INT32), "i32 200"},
    {"200", ONLY(UINT32), "u32 200"},
    {"-1", INT, "i64 -1"},
    {"-1", ONLY(UINT64), "none"},
    {"-1", ONLY(UINT32) | STR, "str -1"},
    {"-0", ONLY(UINT32), "u32 0"},
    {"+1", INT, "i64 1"},
    {"+1", INT | STR, "str +1"}, /* a redispatch: %rc */
    {"9223372036854775807", INT, "i64 9223372036854775807"},
    {"-9223372036854775808", INT, "i64 -9223372036854775808"},
    {"-9223372036854775809", INT, "none"},
    {"9223372036854775808", INT, "u64 9223372036854775808"},
    {"9223372036854775808", ONLY(INT64), "none"},
    {"18446744073709551615", INT, "u64 18446744073709551615"},
    {"18446744073709551616", INT, "none"},
    {"18446744073709551616", INT | STR, "str 18446744073709551616"},
    {"2147483647", ONLY(INT32), "i32 2147483647"},
    {"2147483648", ONLY(INT32), "none"},
    {"-2147483648", ONLY(INT32), "i32 -2147483648"},
    {"4294967295", ONLY(UINT32), "u32 4294967295"},
    {"4294967296", ONLY(UINT32), "none"},
    {"", INT, "none"},
    {"-", INT, "none"},
    {"+", INT, "none"},
    {"1x", INT, "none"},
    {" 1", INT, "none"},
    {"1", BOOL, "bool 1"},
    {"0", BOOL, "bool 0"},
    {"true", BOOL, "bool 1"},
    {"false", BOOL, "bool 0"},
    {"2", BOOL, "none"},
    {"", BOOL, "none"},
    {"1", BOOL | INT, "i64 1"},
    {"yes", BOOL | STR, "str yes"},
    {"127.0.0.1", IP, "ip4 127.1"},
    {"127.0.0.1", IP | STR, "ip4 127.1"},
    {"255.0.10.255", IP | STR, "ip4 255.255"},
    {"1.2.3.256", IP | STR, "str 1.2.3.256"},
    {"1.2.3.04", IP | STR, "str 1.2.3.04"},
    {"1.2.3.1234", IP | STR, "str 1.2.3.1234"},
    {"1.2.3.", IP | STR, "str 1.2.3."},
    {"1.2.3", IP | STR, "str 1.2.3"},
    {"1.2.3.4.", IP | STR, "str 1.2.3.4."},
    {"1.2.3.4.5", IP | STR, "str 1.2.3.4.5"},
    {"1..3.4", IP | STR, "str 1..3.4"},
    {".1.2.3", IP | STR, "str .1.2.3"},
    {"127.0.0.1", ONLY(IPV6), "none"},
    {"::1", IP, "ip6 00..01"},
    {"::1", ONLY(IPV4), "none"},
    {"::1", ONLY(IPV4) | STR, "str ::1"},
    {"unix:1", IP | STR, "str unix:1"},
    {"1.2.3", IP, "none"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255", IP, "none"},
    {"", STR, "str "},
    {"x", BIN, "bin x"},
    {"x", BIN | STR, "str x"},
    {"5", SPOE_ACCEPT_ANY, "i64 5"},
    {"x", SPOE_ACCEPT_ANY, "str x"},
};

Test(texts_value, by_the_declared_types, .timeout = 10)
{
    for (size_t i = 0; i < N(cases); i++) {
        struct spoe_value value = {.type = SPOE_T_NULL};
        char found[128] = "none";

        if (texts_value((struct spoe_span){cases[i].text, strlen(cases[i].text)}, cases[i].types,
                        &value))
            print(&value, found, sizeof found);
        cr_assert_str_eq(found, cases[i].expected, "%s as 0x%x: %s", cases[i].text, cases[i].types,
                         found);
    }
}

/* Digits are read eight at a time: each length, and each byte beside them at each place, as
 * strtoull() has it. */
Test(texts_value, digits_are_digits_at_every_place, .timeout = 60)
{
    static const char digits[] = "18446744073709551615";

    for (size_t n = 1; n < sizeof digits; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                char text[sizeof digits] = {0};
                struct spoe_value value;
                bool is_number;

                memcpy(text, digits, n);
                text[at] = (char)byte;
                is_number = byte >= '0' && byte <= '9' &&
                            !(n == sizeof digits - 1 && strcmp(text, digits) > 0);
                cr_assert_eq(texts_value((struct spoe_span){text, n}, ONLY(UINT64), &value),
                             is_number || (byte == '+' && at == 0 && n > 1), "%s", text);
                if (is_number)
                    cr_assert_eq(value.u.u64, strtoull(text, NULL, 10), "%s", text);
            }
        }
    }
}
