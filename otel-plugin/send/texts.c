/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/texts.c - texts by a hash of what is not a number in them. */
#include "send/texts.h"

#include <ctype.h>
#include <string.h>

/* So much of the start is taken as it is: the number in "HTTP 503" says what the text is about. */
#define HEAD_BYTES 8u

static uint64_t add(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(1099511628211); /* FNV-1a */
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A word with a digit in it counts as a number, since hexadecimal ids are such words. */
static uint64_t key_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < HEAD_BYTES && *text != '\0'; i++)
        hash = add(hash, *text++);
    while (*text != '\0') {
        size_t n = 0;
        bool number = false;

        for (; is_word(text[n]); n++)
            number |= isdigit((unsigned char)text[n]) != 0;
        if (n == 0) {
            hash = add(hash, *text++);
            continue;
        }
        for (size_t i = 0; i < n && !number; i++)
            hash = add(hash, text[i]);
        if (number)
            hash = add(hash, '0');
        text += n;
    }
    return hash;
}

static void forget(struct texts *texts, int64_t now_ns, int64_t forget_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < texts->_n; i++)
        if (now_ns - texts->_item[i].seen_ns <= forget_ns)
            texts->_item[kept++] = texts->_item[i];
    texts->_n = kept;
}

bool texts_is_new(struct texts *texts, const char *text, int64_t now_ns, int64_t forget_ns)
{
    const uint64_t key = key_of(text);

    forget(texts, now_ns, forget_ns);
    for (size_t i = 0; i < texts->_n; i++) {
        if (texts->_item[i].key == key) {
            texts->_item[i].seen_ns = now_ns;
            return false;
        }
    }
    if (texts->_n == TEXTS_MAX)
        return false;
    texts->_item[texts->_n].key = key;
    texts->_item[texts->_n++].seen_ns = now_ns;
    return true;
}
