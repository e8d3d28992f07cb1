/* SPDX-License-Identifier: Apache-2.0 */
/* host/ctl/shown.c - see shown.h. */
#include "ctl/shown.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define NUMBER_MAX 64u /* bytes of a number as JSON has it */

/* C0, DEL, and C1, which is two bytes of UTF-8: 0x9b of it begins a command as ESC [ does. */
static bool is_control(const unsigned char *s, size_t len)
{
    return len == 1 ? *s < ' ' || *s == 0x7f : len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

const char *shown_text(struct spoe_span text, char *ret, size_t size)
{
    const unsigned char *s;
    size_t n = 0;

    assert(size > 0);
    while (text.n > 0) {
        size_t len;

        s = (const unsigned char *)text.p;
        len = text_utf8_len(s, text.n);
        if (n + (len > 0 ? len : 1) >= size)
            break;
        if (len == 0) {
            ret[n++] = '?';
            len = 1;
        } else if (is_control(s, len)) {
            ret[n++] = ' ';
        } else {
            memcpy(ret + n, s, len);
            n += len;
        }
        text.p += len;
        text.n -= len;
    }
    while (n > 0 && ret[n - 1] == ' ')
        n--;
    ret[n] = '\0';
    return ret;
}

const char *shown_member(const json_t *object, const char *name, char *ret, size_t size)
{
    const json_t *value = json_object_get(object, name);
    char number[NUMBER_MAX];
    struct spoe_span text = {number, 0};

    if (json_is_string(value)) {
        text = (struct spoe_span){json_string_value(value), json_string_length(value)};
    } else if (json_is_number(value) || json_is_boolean(value)) {
        text.n =
            json_dumpb(value, number, sizeof number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        assert(text.n <= sizeof number);
    }
    return shown_text(text, ret, size);
}
