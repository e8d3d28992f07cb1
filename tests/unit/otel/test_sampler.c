/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_sampler.c - the samplers' arithmetic, and the cap per second. */
#include <criterion/criterion.h>
#include <string.h>

#include <openssl/evp.h>

#include "context/ids.h"
#include "context/rate_cap.h"
#include "context/sampler.h"

#define S INT64_C(1000000000)

static const struct inbound root = {.has_parent = false};

/* A trace id with these low 8 bytes; the high ones must not matter. */
static void make_id(uint64_t low, uint8_t ret[16])
{
    memset(ret, 0xff, 8);
    for (int i = 15; i >= 8; i--, low >>= 8)
        ret[i] = (uint8_t)low;
}

static bool ratio_keeps(double ratio, uint64_t low)
{
    const struct sampler sampler = {.kind = SAMPLER_TRACEIDRATIO,
                                    .bound = sampler_ratio_bound(ratio)};
    uint8_t id[16];

    make_id(low, id);
    return sampler_decide(&sampler, &root, id);
}

/* By hand: (low >> 1) < ratio * 2^63. */
Test(sampler, ratio_takes_the_low_eight_bytes, .timeout = 10)
{
    static const struct {
        double ratio;
        uint64_t low;
        bool kept;
    } cases[] = {
        {1, UINT64_MAX, true},
        {1, 0, true},
        {2, UINT64_MAX, true},
        {0, 0, false},
        {-1, 0, false},
        {0.5, UINT64_C(0x7fffffffffffffff), true},
        {0.5, UINT64_C(0x8000000000000000), false},
        {0.25, UINT64_C(0x3fffffffffffffff), true},
        {0.25, UINT64_C(0x4000000000000000), false},
        {0.75, UINT64_C(0xbfffffffffffffff), true},
        {0.75, UINT64_C(0xc000000000000000), false},
        {0.5, 0, true},
        {0x1p-63, 1, true}, /* the smallest bound there is: the lowest bit does not count */
        {0x1p-63, 2, false},
        {0x1p-64, 0, false}, /* a bound of less than one */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(ratio_keeps(cases[i].ratio, cases[i].low), cases[i].kept, "%g of %llx",
                     cases[i].ratio, (unsigned long long)cases[i].low);
    cr_expect_eq(sampler_ratio_bound(0.5), UINT64_C(1) << 62);
    cr_expect_eq(sampler_ratio_bound(1), UINT64_C(1) << 63);
    cr_expect_eq(sampler_ratio_bound(__builtin_nan("")), 0);
}

/* As Go's SDK publishes it (sdk/trace/sampling.go), for ratios between 0 and 1. */
static bool go_keeps(double ratio, uint64_t low)
{
    return low >> 1 < (uint64_t)(ratio * 9223372036854775808.0);
}

/* As Java's does (TraceIdRatioBasedSampler): Math.abs(low) < (long)(ratio * Long.MAX_VALUE). */
static bool java_keeps(double ratio, uint64_t low)
{
    const int64_t bound = (int64_t)(ratio * 9223372036854775808.0); /* as a double, MAX is 2^63 */
    const uint64_t magnitude = low >> 63 != 0 ? -low : low;

    return magnitude > INT64_MAX /* Math.abs(MIN_VALUE) is MIN_VALUE */
           || (int64_t)magnitude < bound;
}

/* By hand, a quarter: below 2^62 for Go; from -2^61 to 2^61, both excluded, for Java. */
Test(sampler, ratio_is_as_in_go_and_not_always_as_in_java, .timeout = 10)
{
    static const struct {
        uint64_t low;
        bool go, java;
    } cases[] = {
        {0, true, true},
        {1, true, true},
        {UINT64_C(0x1fffffffffffffff), true, true},
        {UINT64_C(0x2000000000000000), true, false},
        {UINT64_C(0x3fffffffffffffff), true, false},
        {UINT64_C(0x4000000000000000), false, false},
        {UINT64_C(0x7fffffffffffffff), false, false},
        {UINT64_C(0x8000000000000000), false, true}, /* Long.MIN_VALUE */
        {UINT64_C(0x8000000000000001), false, false},
        {UINT64_C(0xe000000000000000), false, false},
        {UINT64_C(0xe000000000000001), false, true},
        {UINT64_MAX, false, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const unsigned long long low = cases[i].low;

        cr_expect_eq(go_keeps(0.25, low), cases[i].go, "%llx", low);
        cr_expect_eq(java_keeps(0.25, low), cases[i].java, "%llx", low);
        cr_expect_eq(ratio_keeps(0.25, low), cases[i].go, "%llx", low);
    }
}

/* Up to two thirds, half of what either keeps is kept by both: the ids from 0 to ratio * 2^63. */
Test(sampler, ratio_has_half_of_its_traces_in_common_with_java, .timeout = 20)
{
    static const uint8_t key[ID_SOURCE_KEY] = {1, 2, 3, 4};
    struct id_source ids;
    unsigned kept = 0, java = 0, both = 0;

    cr_assert_eq(id_source_init_key(&ids, key), 0);
    for (int i = 0; i < 40000; i++) {
        uint8_t id[16];
        uint64_t low = 0;
        bool ours, theirs;

        id_trace(&ids, id);
        for (size_t j = 8; j < 16; j++)
            low = low << 8 | id[j];
        ours = ratio_keeps(0.1, low);
        theirs = java_keeps(0.1, low);
        cr_assert_eq(ours, go_keeps(0.1, low));
        cr_assert_eq(ours && theirs, low < UINT64_C(1) << 63 && theirs);
        kept += ours;
        java += theirs;
        both += ours && theirs;
    }
    /* The seed is fixed; 4 000, 4 000 and 2 000, with standard deviations of 60, 60 and 44. */
    cr_expect(kept > 3700 && kept < 4300, "got %u", kept);
    cr_expect(java > 3700 && java < 4300, "got %u", java);
    cr_expect(both > 1780 && both < 2220, "got %u", both);
    id_source_fini(&ids);
}

Test(sampler, a_higher_ratio_keeps_what_a_lower_one_does, .timeout = 20)
{
    static const uint8_t key[ID_SOURCE_KEY] = {1, 2, 3, 4};
    struct id_source ids;
    unsigned kept = 0;

    cr_assert_eq(id_source_init_key(&ids, key), 0);
    for (int i = 0; i < 20000; i++) {
        uint8_t id[16];
        bool last = false;

        id_trace(&ids, id);
        for (int tenth = 1; tenth <= 10; tenth++) {
            const struct sampler sampler = {.kind = SAMPLER_TRACEIDRATIO,
                                            .bound = sampler_ratio_bound(tenth / 10.0)};
            const bool now = sampler_decide(&sampler, &root, id);

            cr_assert(now || !last);
            last = now;
            kept += tenth == 1 && now;
        }
        cr_assert(last);
    }
    /* The seed is fixed; a tenth of 20 000 is 2 000, with a standard deviation of 42. */
    cr_expect(kept > 1800 && kept < 2200, "got %u", kept);
    id_source_fini(&ids);
}

Test(sampler, parentbased_follows_the_caller_and_asks_the_root_sampler_without_one, .timeout = 10)
{
    static const enum sampled all[] = {SAMPLED_DEFERRED, SAMPLED_NO, SAMPLED_YES};
    static const struct {
        enum sampler_kind kind;
        double ratio;
        bool deferred, no, yes;
    } cases[] = {
        {SAMPLER_ALWAYS_ON, 1, true, true, true},
        {SAMPLER_ALWAYS_OFF, 1, false, false, false},
        {SAMPLER_TRACEIDRATIO, 1, true, true, true},
        {SAMPLER_TRACEIDRATIO, 0, false, false, false},
        {SAMPLER_PARENTBASED_ALWAYS_ON, 1, true, false, true},
        {SAMPLER_PARENTBASED_ALWAYS_OFF, 1, false, false, true},
        {SAMPLER_PARENTBASED_TRACEIDRATIO, 1, true, false, true},
        {SAMPLER_PARENTBASED_TRACEIDRATIO, 0, false, false, true},
    };
    uint8_t id[16];

    make_id(12345, id);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sampler sampler = {.kind = cases[i].kind,
                                        .bound = sampler_ratio_bound(cases[i].ratio)};
        const bool want[] = {cases[i].deferred, cases[i].no, cases[i].yes};

        for (size_t s = 0; s < 3; s++) {
            const struct inbound inbound = {.has_parent = s > 0, .sampled = all[s]};

            cr_expect_eq(sampler_decide(&sampler, &inbound, id), want[s], "case %zu, %zu", i, s);
        }
    }
}

/* ---- the cap ------------------------------------------------------------------------------ */

static unsigned pass_many(struct rate_cap *cap, int64_t now, unsigned n)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < n; i++)
        passed += rate_cap_pass(cap, now);
    return passed;
}

Test(rate_cap, none_lets_all_pass, .timeout = 10)
{
    struct rate_cap cap = {.interval_ns = 0};

    cr_expect_eq(pass_many(&cap, 0, 1000), 1000);
    rate_cap_init(&cap, 0);
    cr_expect_eq(pass_many(&cap, 0, 1000), 1000);
}

Test(rate_cap, a_second_of_them_at_once_then_evenly, .timeout = 10)
{
    struct rate_cap cap;
    unsigned passed = 0;

    rate_cap_init(&cap, 10);
    cr_expect_eq(pass_many(&cap, 100 * S, 50), 10);
    cr_expect_eq(pass_many(&cap, 100 * S + S / 10 - 1, 50), 0);
    cr_expect_eq(pass_many(&cap, 100 * S + S / 10, 50), 1);
    cr_expect_eq(pass_many(&cap, 200 * S, 50), 10, "what was not used is not saved up");
    for (int ms = 1; ms <= 10000; ms++)
        passed += rate_cap_pass(&cap, 200 * S + ms * INT64_C(1000000));
    cr_expect_eq(passed, 100);
}

Test(rate_cap, holds_at_its_ends, .timeout = 10)
{
    struct rate_cap cap;

    rate_cap_init(&cap, 1);
    cr_expect_eq(pass_many(&cap, 0, 5), 1);
    cr_expect_eq(pass_many(&cap, S - 1, 5), 0);
    cr_expect_eq(pass_many(&cap, S, 5), 1);
    rate_cap_init(&cap, RATE_CAP_MAX);
    cr_expect_eq(pass_many(&cap, S, 100000), 100000);
}

Test(rate_cap, a_clock_that_stands_still_or_goes_back_passes_no_more, .timeout = 10)
{
    struct rate_cap cap;

    rate_cap_init(&cap, 5);
    cr_expect_eq(pass_many(&cap, 10 * S, 100), 5);
    cr_expect_eq(pass_many(&cap, 9 * S, 100), 0);
}

/* ---- ids ---------------------------------------------------------------------------------- */

static bool no_chacha20;

const EVP_CIPHER *__real_EVP_chacha20(void);
const EVP_CIPHER *__wrap_EVP_chacha20(void);

const EVP_CIPHER *__wrap_EVP_chacha20(void)
{
    return no_chacha20 ? NULL : __real_EVP_chacha20();
}

/* OpenSSL as it is where only what FIPS 140 allows is to be had. */
Test(sampler, ids_do_without_chacha20, .timeout = 20)
{
    struct id_source ids;
    uint8_t id[1000][16];

    no_chacha20 = true;
    cr_assert_eq(id_source_init(&ids), 0);
    for (size_t i = 0; i < 1000; i++) {
        id_trace(&ids, id[i]);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(memcmp(id[i], id[j], 16), 0);
    }
    id_source_fini(&ids);
}
