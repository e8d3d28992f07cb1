/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/suggest.c - see suggest.h. */
#include "conf/suggest.h"

#include <stdint.h>
#include <string.h>

#define DISTANCE_MAX 2u /* letters that may differ */
#define LENGTH_MAX 80u  /* longer words get no suggestion */
#define BEGINNING_MIN 2u

/* Levenshtein distance of two texts of at most LENGTH_MAX bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LENGTH_MAX + 1];
    const size_t n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

void suggest_begin(struct suggestion *s, const char *word)
{
    *s = (struct suggestion){.word = word, .best = NULL, .rank = SIZE_MAX};
}

void suggest_offer(struct suggestion *s, const char *known)
{
    const size_t n = strlen(s->word);
    size_t rank;

    if (n > LENGTH_MAX || strlen(known) > LENGTH_MAX)
        return;
    rank = distance(s->word, known);
    if (rank > DISTANCE_MAX || 2 * rank > n) {
        if (n < BEGINNING_MIN || strncmp(known, s->word, n) != 0)
            return;
        rank = DISTANCE_MAX + strlen(known) - n; /* behind what is misspelt, the shortest first */
    }
    if (rank >= s->rank)
        return;
    s->best = known;
    s->rank = rank;
}
