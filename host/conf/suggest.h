/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/conf/suggest.h - "did you mean": of the words that are known, the one nearest to one that is
 * not. No state beyond the struct; threads: [any].
 */
#ifndef HOST_CONF_SUGGEST_H
#define HOST_CONF_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *word; /* [borrow] what was said */
    const char *best; /* [borrow] of what was offered; NULL: nothing is near */
    size_t rank;      /* of best: less is nearer */
};

/** Begin with a word that nobody knows. */
void suggest_begin(struct suggestion *s, const char *word);
/**
 * Offer a word that is known. It is near if at most two letters differ and half of them are right,
 * or if `word` is its beginning.
 */
void suggest_offer(struct suggestion *s, const char *known);

#endif
