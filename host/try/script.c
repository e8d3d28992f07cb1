/* SPDX-License-Identifier: Apache-2.0 */
/* host/try/script.c - see script.h. */
#include "try/script.h"

#include <string.h>

#include "base/text.h"

#define SHOWN 40 /* bytes of a word in an error */

/* A place in the line. */
struct at {
    char *p, *end;
};

static void skip_blanks(struct at *at)
{
    while (at->p != at->end && text_is_blank(*at->p))
        at->p++;
}

static struct spoe_span take_word(struct at *at)
{
    struct spoe_span word = {at->p, 0};

    while (at->p != at->end && !text_is_blank(*at->p))
        at->p++;
    word.n = (size_t)(at->p - word.p);
    return word;
}

/* @return -1: it is none */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What stands behind a backslash. @return -1: nothing that there is */
static int unescape(struct at *at)
{
    static const char from[] = "\"\\nrt0", to[] = "\"\\\n\r\t";
    const char *found;
    int high, low;

    if (at->p == at->end)
        return -1;
    found = memchr(from, *at->p, sizeof from - 1);
    if (found != NULL) {
        at->p++;
        return (unsigned char)to[found - from];
    }
    if (*at->p != 'x' || at->end - at->p < 3)
        return -1;
    high = hex_digit(at->p[1]);
    low = hex_digit(at->p[2]);
    at->p += 3;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* What stands between quotes, the first of which has been taken. @return 0; -1 with *reterr */
static int take_quoted(struct at *at, struct spoe_span *ret, struct error *reterr)
{
    char *to = at->p;

    *ret = (struct spoe_span){to, 0};
    while (at->p != at->end && *at->p != '"') {
        int c = (unsigned char)*at->p++;

        if (c == '\\')
            c = unescape(at);
        if (c < 0)
            return error_set(reterr, "a \\ is followed by none of \" \\ n r t 0 xHH");
        *to++ = (char)c;
    }
    if (at->p == at->end)
        return error_set(reterr, "a quote is not closed");
    at->p++;
    if (at->p != at->end && !text_is_blank(*at->p))
        return error_set(reterr, "a closing quote is followed by something else than a blank");
    ret->n = (size_t)(to - ret->p);
    return 0;
}

/* @return 0; -1 with *reterr */
static int take_argument(struct at *at, struct script_word *ret, struct error *reterr)
{
    char *const begin = at->p;

    while (at->p != at->end && *at->p != '=' && !text_is_blank(*at->p))
        at->p++;
    ret->name = (struct spoe_span){begin, (size_t)(at->p - begin)};
    if (at->p == at->end || *at->p != '=' || ret->name.n == 0) {
        (void)error_set(reterr, "\"%.*s\" is no NAME=VALUE",
                        (int)(ret->name.n < SHOWN ? ret->name.n : SHOWN), begin);
        return -1;
    }
    at->p++;
    if (at->p != at->end && *at->p == '"') {
        at->p++;
        return take_quoted(at, &ret->value, reterr);
    }
    ret->value = take_word(at);
    return 0;
}

static bool is_text(struct spoe_span span, const char *text)
{
    return span.n == strlen(text) && memcmp(span.p, text, span.n) == 0;
}

/* "NUMBER DIRECTION HEX". @return false: it is something else */
static bool is_recorded(struct at at, struct spoe_span *ret_direction, struct at *ret_hex)
{
    const struct spoe_span number = take_word(&at);

    for (size_t i = 0; i < number.n; i++) {
        if (number.p[i] < '0' || number.p[i] > '9')
            return false;
    }
    skip_blanks(&at);
    *ret_direction = take_word(&at);
    skip_blanks(&at);
    *ret_hex = at;
    return is_text(*ret_direction, "haproxy->agent") || is_text(*ret_direction, "agent->haproxy");
}

/* @return 0; -1 with *reterr */
static int read_frame(struct at hex, struct script_line *ret, struct error *reterr)
{
    uint8_t *const frame = (uint8_t *)hex.p;
    size_t n = 0;

    while (hex.end - hex.p >= 2 && hex_digit(hex.p[0]) >= 0 && hex_digit(hex.p[1]) >= 0) {
        frame[n++] = (uint8_t)(hex_digit(hex.p[0]) * 16 + hex_digit(hex.p[1]));
        hex.p += 2;
    }
    skip_blanks(&hex);
    if (hex.p != hex.end)
        return error_set(reterr, "a frame is no pairs of hexadecimal digits");
    ret->kind = SCRIPT_FRAME;
    ret->frame = frame;
    ret->frame_len = n;
    return 0;
}

int script_read(char *line, size_t n, struct script_line *ret, struct error *reterr)
{
    struct at at = {line, line + n}, hex;
    struct spoe_span direction;

    ret->kind = SCRIPT_NOTHING;
    ret->n = 0;
    while (at.p != at.end && text_is_blank(at.end[-1]))
        at.end--;
    skip_blanks(&at);
    if (at.p == at.end || *at.p == '#')
        return 0;
    if (is_recorded(at, &direction, &hex))
        return is_text(direction, "haproxy->agent") ? read_frame(hex, ret, reterr) : 0;
    ret->message = take_word(&at);
    for (skip_blanks(&at); at.p != at.end; skip_blanks(&at)) {
        if (ret->n == SCRIPT_WORDS_MAX)
            return error_set(reterr, "more than %u arguments", SCRIPT_WORDS_MAX);
        if (take_argument(&at, &ret->word[ret->n++], reterr) != 0)
            return -1;
    }
    ret->kind = SCRIPT_MESSAGE;
    return 0;
}
