/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/names.c - see names.h. */
#include "auth-request/names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <spoe/options.h>

/* RFC 9110 5.6.2: a token. */
static bool is_token(struct spoe_span word)
{
    for (size_t i = 0; i < word.n; i++) {
        const unsigned char c = (unsigned char)word.p[i];

        if (!isalnum(c) && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return word.n > 0;
}

static void set_name(struct name *name, struct spoe_span word)
{
    size_t n = sizeof "header_" - 1;

    memcpy(name->text, word.p, word.n);
    name->text[word.n] = '\0';
    name->n = word.n;
    memcpy(name->variable, "header_", n);
    for (size_t i = 0; i < word.n; i++) {
        const unsigned char c = (unsigned char)word.p[i];

        name->variable[n++] = (char)(isalnum(c) ? tolower(c) : '_');
    }
    name->variable[n] = '\0';
}

int names_parse(struct names *ret, struct spoe_span list, char *why, size_t size)
{
    struct spoe_span word;

    *ret = (struct names){0};
    while (spoe_list_next(&list, &word)) {
        struct name *more;

        if (!is_token(word) || word.n > NAME_MAX_BYTES) {
            (void)snprintf(why, size, "\"%.*s\" is no name of a header, or above %u bytes",
                           (int)(word.n < 80 ? word.n : 80), word.p, NAME_MAX_BYTES);
            names_fini(ret);
            return -1;
        }
        if (names_find(ret, word.p, word.n) >= 0)
            continue;
        more = ret->n < NAMES_MAX ? realloc(ret->item, (ret->n + 1) * sizeof *more) : NULL;
        if (more == NULL) {
            (void)snprintf(why, size, ret->n < NAMES_MAX ? "no memory" : "above %u names",
                           NAMES_MAX);
            names_fini(ret);
            return -1;
        }
        ret->item = more;
        set_name(&ret->item[ret->n++], word);
    }
    return 0;
}

void names_fini(struct names *names)
{
    free(names->item);
    *names = (struct names){0};
}

int names_find(const struct names *names, const char *p, size_t n)
{
    for (size_t i = 0; i < names->n; i++) {
        if (names->item[i].n == n && strncasecmp(names->item[i].text, p, n) == 0)
            return (int)i;
    }
    return -1;
}
