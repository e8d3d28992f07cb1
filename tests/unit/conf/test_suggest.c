/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/suggest.c: which word is near. (5.3) */
#include "conf/suggest.h"

#include <criterion/criterion.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])

static const char *const known[] = {"listen",      "plugin-dir", "plugins",
                                    "plugin-info", "file",       "admin"};

static const char *best(const char *word)
{
    struct suggestion s;

    suggest_begin(&s, word);
    for (size_t i = 0; i < N(known); i++)
        suggest_offer(&s, known[i]);
    return s.best != NULL ? s.best : "";
}

Test(suggest, offers_what_is_misspelt_and_what_is_begun, .timeout = 10)
{
    static const char *const cases[][2] = {
        {"listne", "listen"},
        {"lisn", "listen"},
        {"fil", "file"},
        {"plugin-inf", "plugin-info"},
        {"plugin-d", "plugin-dir"},
        {"plu", "plugins"},
        {"plugns", "plugins"},
        {"admni", "admin"},
        {"p", ""},
        {"x", ""},
        {"", ""},
        {"xyz", ""},
        {"nimda", ""},
        {"filexxx", ""},
    };
    char longer[201];

    for (size_t i = 0; i < N(cases); i++)
        cr_assert(strcmp(best(cases[i][0]), cases[i][1]) == 0, "%s: got \"%s\"", cases[i][0],
                  best(cases[i][0]));
    memset(longer, 'l', 200);
    longer[200] = '\0';
    cr_assert_str_eq(best(longer), "");
}

Test(suggest, passes_over_known_words_that_are_too_long, .timeout = 10)
{
    char longer[201];
    struct suggestion s;

    memset(longer, 'l', 200);
    longer[200] = '\0';
    suggest_begin(&s, "lll");
    suggest_offer(&s, longer);
    cr_assert_null(s.best);
}

/* 9.2: the best of what was offered, in whatever order; nothing for a word that says nothing. */
Test(suggest, depends_on_the_words_alone, .timeout = 10)
{
    static const char *const words[] = {"", "a", "ab", "abc", "abcd", "abcdefgh"};

    for (size_t before = 0; before < N(words); before++) {
        for (size_t i = 0; i < N(words); i++) {
            struct suggestion s;

            suggest_begin(&s, words[before]);
            suggest_offer(&s, words[before]); /* what was compared before leaves no trace */
            suggest_begin(&s, "");
            suggest_offer(&s, words[i]);
            cr_assert(s.best == NULL || words[i][0] == '\0', "%s after %s", words[i],
                      words[before]);
        }
    }
}
