/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_line.c - a stream of log lines, in both framings and cut in two anywhere: what is
 * found lies within it, the cut makes no difference, and every line is taken apart. The first byte
 * says where the cut is, the second which framing.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lines/framing.h"
#include "lines/line.h"

#define MAX 256u
#define FOUND_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of each thing found: what it is, its length and a checksum. */
struct found {
    uint64_t word[FOUND_MAX];
    size_t n;
};

static void note(struct found *found, uint64_t kind, uint64_t n, uint64_t sum)
{
    if (found->n < FOUND_MAX)
        found->word[found->n++] = kind << 60 ^ n << 40 ^ sum;
}

static void within(struct spoe_span span, const char *p, size_t n)
{
    assert(span.n <= n && span.p >= p && span.p + span.n <= p + n);
}

static void take_apart(const char *p, size_t n)
{
    static struct line line;
    char *copy = malloc(n + 1);

    assert(copy != NULL);
    copy = realloc(copy, n > 0 ? n : 1); /* its end is guarded */
    memcpy(copy, p, n);
    if (line_parse(&line, copy, n) == LINE_OK) {
        assert(line.pairs.n <= PAIRS_MAX);
        for (uint32_t i = 0; i < line.pairs.n; i++) {
            const struct text_arg *pair = &line.pairs.pair[i];
            struct spoe_value value;

            assert(pair->name.n > 0 && pair->name.n <= PAIR_NAME_MAX);
            within(pair->value, copy, n);
            if (!pair->only_declared)
                within(pair->name, copy, n);
            for (uint32_t type = SPOE_T_BOOL; type <= SPOE_T_BIN; type++) {
                if (texts_value(pair->value, SPOE_MASK(type), &value))
                    assert(value.type == type);
            }
            assert(texts_value(pair->value, SPOE_ACCEPT_ANY, &value));
        }
    } else {
        assert(line.fault_at <= n);
    }
    free(copy);
}

/* @return false: the framing is lost */
static bool run(struct framing *framing, char **held, size_t *held_n, const uint8_t *data,
                size_t size, struct found *found)
{
    char *p = malloc(*held_n + size + 1);

    assert(p != NULL);
    p = realloc(p, *held_n + size > 0 ? *held_n + size : 1);
    if (*held_n > 0)
        memcpy(p, *held, *held_n);
    if (size > 0)
        memcpy(p + *held_n, data, size);
    free(*held);
    *held = p;
    *held_n += size;
    while (*held_n > 0) {
        struct framing_result r;
        const enum framing_found what = framing_next(framing, *held, *held_n, &r);
        uint64_t sum = 0;

        if (what == FRAMING_LOST) {
            note(found, what, 0, 0);
            return false;
        }
        assert(r.used <= *held_n && r.line + r.len <= r.used);
        if (what == FRAMING_LINE) {
            assert(r.len <= MAX);
            for (size_t i = 0; i < r.len; i++)
                sum = sum * 31 + (uint8_t)(*held)[r.line + i];
            if (r.len > 0)
                note(found, what, r.len, sum & UINT32_MAX);
            take_apart(*held + r.line, r.len);
        } else if (what != FRAMING_MORE) {
            note(found, what, r.dropped & 0xff, 0);
            assert(r.used > 0);
        }
        p = malloc(*held_n - r.used + 1);
        assert(p != NULL);
        p = realloc(p, *held_n > r.used ? *held_n - r.used : 1);
        if (*held_n > r.used)
            memcpy(p, *held + r.used, *held_n - r.used);
        free(*held);
        *held = p;
        *held_n -= r.used;
        if (what == FRAMING_MORE)
            break;
    }
    assert(*held_n <= MAX + 32);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct found whole, cut;
    struct framing a = {.max = MAX}, b;
    char *held = NULL;
    size_t held_n = 0, at;

    if (size < 2)
        return 0;
    a.octets = (data[1] & 1) != 0;
    b = a;
    at = data[0];
    data += 2;
    size -= 2;
    if (at > size)
        at = size;
    whole.n = cut.n = 0;
    (void)run(&a, &held, &held_n, data, size, &whole);
    free(held);
    held = NULL;
    held_n = 0;
    if (run(&b, &held, &held_n, data, at, &cut))
        (void)run(&b, &held, &held_n, data + at, size - at, &cut);
    free(held);
    assert(whole.n == cut.n && memcmp(whole.word, cut.word, whole.n * sizeof whole.word[0]) == 0);
    take_apart((const char *)data, size);
    return 0;
}
