/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_gzip.c - what zlib unpacks is what was packed. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "send/gzip.h"

TestSuite(gzip, .timeout = 60);

static bool no_memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return no_memory ? NULL : __real_calloc(n, size);
}

static void expect_round_trip(struct gzip *gzip, const uint8_t *bytes, size_t size)
{
    uint8_t *back = malloc(size + 1);
    z_stream z = {.next_out = back, .avail_out = (uInt)size + 1};
    const uint8_t *packed;
    size_t n;

    cr_assert_not_null(back);
    cr_assert_eq(gzip_pack(gzip, bytes, size, &packed, &n), 0);
    cr_assert(n > 10 && packed[0] == 0x1f && packed[1] == 0x8b, "no gzip header");
    z.next_in = (Bytef *)(uintptr_t)packed;
    z.avail_in = (uInt)n;
    cr_assert_eq(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(z.total_out, size);
    cr_assert_eq(memcmp(back, bytes, size), 0);
    inflateEnd(&z);
    free(back);
}

/* 9.2 */
Test(gzip, without_memory_it_says_so_and_can_go_on)
{
    static const uint8_t small[100], large[100000];
    const uint8_t *packed;
    struct gzip *gzip;
    size_t n;

    no_memory = true;
    cr_assert_null(gzip_create());
    no_memory = false;
    gzip = gzip_create();
    cr_assert_not_null(gzip);
    expect_round_trip(gzip, small, sizeof small);
    no_memory = true;
    cr_assert_eq(gzip_pack(gzip, large, sizeof large, &packed, &n), -1);
    cr_assert_eq(gzip_pack(gzip, small, sizeof small, &packed, &n), -1);
    no_memory = false;
    expect_round_trip(gzip, small, sizeof small);
    expect_round_trip(gzip, large, sizeof large);
    gzip_destroy(gzip);
}

Test(gzip, packs_bodies_of_any_size_one_after_the_other)
{
    static uint8_t bytes[5000000];
    const size_t sizes[] = {0, 1, 1000, sizeof bytes, 77};
    struct gzip *gzip = gzip_create();
    uint32_t n = 1;

    cr_assert_not_null(gzip);
    for (size_t i = 0; i < sizeof bytes; i++) {
        n = n * 1103515245u + 12345u; /* what does not compress needs most room */
        bytes[i] = (uint8_t)(n >> 16);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        expect_round_trip(gzip, bytes, sizes[i]);
    gzip_destroy(gzip);
    gzip_destroy(NULL);
}
