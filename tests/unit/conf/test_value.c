/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/value.c: every parser at its boundaries, and the way back. */
#include "conf/value.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#define N(array) (sizeof(array) / sizeof(array)[0])
#define UNTOUCHED 77

struct int_case {
    const char *text;
    int result;
    int64_t value;
};

Test(value_parse_bool, takes_four_pairs_of_words_in_any_case, .timeout = 10)
{
    static const struct int_case cases[] = {
        {"on", 0, 1}, {"off", 0, 0},     {"true", 0, 1}, {"false", 0, 0},  {"yes", 0, 1},
        {"no", 0, 0}, {"1", 0, 1},       {"0", 0, 0},    {"ON", 0, 1},     {"False", 0, 0},
        {"", -1, 0},  {"2", -1, 0},      {"00", -1, 0},  {"on ", -1, 0},   {" on", -1, 0},
        {"o", -1, 0}, {"enable", -1, 0}, {"-1", -1, 0},  {"onoff", -1, 0},
    };

    for (size_t i = 0; i < N(cases); i++) {
        bool b = false;
        int result = value_parse_bool(cases[i].text, &b);

        cr_assert(result == cases[i].result, "\"%s\": got %d", cases[i].text, result);
        cr_assert(b == (cases[i].value == 1), "\"%s\": got %d", cases[i].text, b);
    }
}

static void check_ints(int (*parse)(const char *, int64_t *), const struct int_case *cases,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t v = UNTOUCHED;
        const int64_t wanted = cases[i].result == VALUE_OK ? cases[i].value : UNTOUCHED;
        int result = parse(cases[i].text, &v);

        cr_assert(result == cases[i].result, "\"%s\": got %d, wanted %d", cases[i].text, result,
                  cases[i].result);
        cr_assert(v == wanted, "\"%s\": got %" PRId64 ", wanted %" PRId64, cases[i].text, v,
                  wanted);
    }
}

Test(value_parse_int, holds_its_boundaries, .timeout = 10)
{
    static const struct int_case cases[] = {
        {"0", VALUE_OK, 0},
        {"-0", VALUE_OK, 0},
        {"007", VALUE_OK, 7},
        {"-42", VALUE_OK, -42},
        {"9223372036854775807", VALUE_OK, INT64_MAX},
        {"9223372036854775808", VALUE_E_RANGE, 0},
        {"-9223372036854775808", VALUE_OK, INT64_MIN},
        {"-9223372036854775809", VALUE_E_RANGE, 0},
        {"18446744073709551616", VALUE_E_RANGE, 0},
        {"99999999999999999999999999", VALUE_E_RANGE, 0},
        {"99999999999999999999999999x", VALUE_E_SYNTAX, 0},
        {"", VALUE_E_SYNTAX, 0},
        {"-", VALUE_E_SYNTAX, 0},
        {"--1", VALUE_E_SYNTAX, 0},
        {"+1", VALUE_E_SYNTAX, 0},
        {" 1", VALUE_E_SYNTAX, 0},
        {"1 ", VALUE_E_SYNTAX, 0},
        {"1.5", VALUE_E_SYNTAX, 0},
        {"0x10", VALUE_E_SYNTAX, 0},
        {"1e3", VALUE_E_SYNTAX, 0},
        {"1k", VALUE_E_SYNTAX, 0},
        {"many", VALUE_E_SYNTAX, 0},
    };

    check_ints(value_parse_int, cases, N(cases));
}

Test(value_parse_duration, takes_the_units_of_haproxy, .timeout = 10)
{
    static const struct int_case cases[] = {
        {"15", VALUE_OK, 15000000}, /* a bare number is ms */
        {"0", VALUE_OK, 0},
        {"1us", VALUE_OK, 1000},
        {"15ms", VALUE_OK, 15000000},
        {"30s", VALUE_OK, INT64_C(30000000000)},
        {"5m", VALUE_OK, INT64_C(300000000000)},
        {"1h", VALUE_OK, INT64_C(3600000000000)},
        {"1d", VALUE_OK, INT64_C(86400000000000)},
        {"9223372036854775us", VALUE_OK, INT64_C(9223372036854775000)},
        {"9223372036854776us", VALUE_E_RANGE, 0},
        {"106751d", VALUE_OK, INT64_C(106751) * INT64_C(86400000000000)},
        {"106752d", VALUE_E_RANGE, 0},
        {"18446744073709551615s", VALUE_E_RANGE, 0},
        {"99999999999999999999s", VALUE_E_RANGE, 0},
        {"99999999999999999999x", VALUE_E_SYNTAX, 0},
        {"", VALUE_E_SYNTAX, 0},
        {"s", VALUE_E_SYNTAX, 0},
        {"-1s", VALUE_E_SYNTAX, 0},
        {"1.5s", VALUE_E_SYNTAX, 0},
        {"1 s", VALUE_E_SYNTAX, 0},
        {"1S", VALUE_E_SYNTAX, 0},
        {"1M", VALUE_E_SYNTAX, 0},
        {"1min", VALUE_E_SYNTAX, 0},
        {"1ns", VALUE_E_SYNTAX, 0},
        {"1m30s", VALUE_E_SYNTAX, 0},
    };

    check_ints(value_parse_duration, cases, N(cases));
}

Test(value_parse_size, takes_k_m_g_in_any_case, .timeout = 10)
{
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } cases[] = {
        {"0", VALUE_OK, 0},
        {"16384", VALUE_OK, 16384},
        {"64k", VALUE_OK, 65536},
        {"64K", VALUE_OK, 65536},
        {"1m", VALUE_OK, 1048576},
        {"1M", VALUE_OK, 1048576},
        {"2g", VALUE_OK, UINT64_C(2147483648)},
        {"2G", VALUE_OK, UINT64_C(2147483648)},
        {"18446744073709551615", VALUE_OK, UINT64_MAX},
        {"18446744073709551616", VALUE_E_RANGE, 0},
        {"17179869183g", VALUE_OK, UINT64_C(17179869183) << 30},
        {"17179869184g", VALUE_E_RANGE, 0},
        {"", VALUE_E_SYNTAX, 0},
        {"k", VALUE_E_SYNTAX, 0},
        {"1kb", VALUE_E_SYNTAX, 0},
        {"1 k", VALUE_E_SYNTAX, 0},
        {"1t", VALUE_E_SYNTAX, 0},
        {"-1", VALUE_E_SYNTAX, 0},
        {"1.5m", VALUE_E_SYNTAX, 0},
    };

    for (size_t i = 0; i < N(cases); i++) {
        uint64_t v = UNTOUCHED;
        const uint64_t wanted = cases[i].result == VALUE_OK ? cases[i].value : UNTOUCHED;
        int result = value_parse_size(cases[i].text, &v);

        cr_assert(result == cases[i].result, "\"%s\": got %d", cases[i].text, result);
        cr_assert(v == wanted, "\"%s\": got %" PRIu64, cases[i].text, v);
    }
}

Test(value_parse_enum, wants_the_whole_word_in_any_case, .timeout = 10)
{
    static const char *const choices[] = {"disabled", "enabled", "skip-verify", NULL};
    static const struct int_case cases[] = {
        {"disabled", VALUE_OK, 0}, {"enabled", VALUE_OK, 1},      {"skip-verify", VALUE_OK, 2},
        {"", VALUE_E_SYNTAX, 0},   {"enable", VALUE_E_SYNTAX, 0}, {"enabledx", VALUE_E_SYNTAX, 0},
        {"Enabled", VALUE_OK, 1},  {"SKIP-VERIFY", VALUE_OK, 2}, /* 5.3 */
    };

    for (size_t i = 0; i < N(cases); i++) {
        uint32_t index = UNTOUCHED;
        int result = value_parse_enum(cases[i].text, choices, &index);

        cr_assert(result == cases[i].result, "\"%s\": got %d", cases[i].text, result);
        cr_assert(index == (result == 0 ? (uint32_t)cases[i].value : UNTOUCHED));
    }
}

Test(value_format, durations_in_their_largest_exact_unit, .timeout = 10)
{
    static const struct int_case cases[] = {
        {"0", 0, 0},
        {"1ns", 0, 1},
        {"1us", 0, 1000},
        {"10ms", 0, 10000000},
        {"1500ms", 0, 1500000000},
        {"1m", 0, INT64_C(60000000000)},
        {"90s", 0, INT64_C(90000000000)},
        {"1h", 0, INT64_C(3600000000000)},
        {"2d", 0, INT64_C(172800000000000)},
        {"9223372036854775807ns", 0, INT64_MAX},
        {"0", 0, -5},
    };

    for (size_t i = 0; i < N(cases); i++) {
        char text[VALUE_TEXT_MAX];

        value_format_duration(cases[i].value, text);
        cr_assert_str_eq(text, cases[i].text);
    }
}

Test(value_format, sizes_in_their_largest_exact_unit, .timeout = 10)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"0", 0},
        {"256", 256},
        {"1k", 1024},
        {"1025", 1025},
        {"1536k", 1572864},
        {"16m", 16777216},
        {"3g", UINT64_C(3221225472)},
        {"18446744073709551615", UINT64_MAX},
    };

    for (size_t i = 0; i < N(cases); i++) {
        char text[VALUE_TEXT_MAX];

        value_format_size(cases[i].value, text);
        cr_assert_str_eq(text, cases[i].text);
    }
}
