/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/send/texts.h - which texts were said already, so that a collector, a library or a
 * network that says the same again and again makes one line of the log and not many.
 *
 * Texts that differ only in numbers count as the same: addresses, times, ids and counts change with
 * every message. And only a few are remembered, so that one that is different each time makes a few
 * lines as well.
 */
#ifndef OTEL_SEND_TEXTS_H
#define OTEL_SEND_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXTS_MAX 4u

/* Zero-initialised; one thread at a time. */
struct texts {
    struct {
        uint64_t key;
        int64_t seen_ns;
    } _item[TEXTS_MAX];
    size_t _n;
};

/**
 * Whether a text is new: not one of those that are remembered, and there is room to remember it.
 * @param forget_ns  a text that was not seen for longer is forgotten
 */
bool texts_is_new(struct texts *texts, const char *text, int64_t now_ns, int64_t forget_ns);

#endif
