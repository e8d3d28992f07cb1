/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/option_texts.c - see option_texts.h. */
#include "conf/option_texts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <spoe/options.h>

#include "conf/value.h"

static const char *const web[] = {"http", "https", NULL};

static bool is_path(struct spoe_span text)
{
    if (text.n == 0 || text.n > OPTION_PATH_MAX || text.p[0] != '/')
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    }
    return true;
}

static bool is_url(struct spoe_span text, const char *const *schemes)
{
    struct spoe_url url;

    if (!spoe_url_split(text, &url))
        return false;
    for (size_t i = 0; schemes[i] != NULL; i++) {
        if (strlen(schemes[i]) == url.scheme.n &&
            strncasecmp(schemes[i], url.scheme.p, url.scheme.n) == 0)
            return true;
    }
    return false;
}

static bool begins(struct spoe_span *text, const char *with)
{
    const size_t n = strlen(with);

    if (text->n < n || memcmp(text->p, with, n) != 0)
        return false;
    text->p += n;
    text->n -= n;
    return true;
}

/* Whether it says where a secret can lie, or may be one itself. */
static bool is_secret(struct spoe_span text)
{
    if (begins(&text, OPTION_FILE))
        return is_path(text);
    if (!begins(&text, OPTION_CREDENTIAL))
        return text.n > 0;
    return text.n > 0 && text.n <= OPTION_NAME_MAX && text.p[0] != '.' &&
           memchr(text.p, '/', text.n) == NULL;
}

static int take_text(bool good, struct spoe_span text, struct spoe_value *ret)
{
    if (!good)
        return VALUE_E_SYNTAX;
    *ret = (struct spoe_value){.type = SPOE_T_STR, .u.s = text};
    return VALUE_OK;
}

int option_parse_text(uint32_t type, const char *const *choices, struct spoe_span text,
                      struct spoe_value *ret)
{
    struct spoe_prefix prefix;

    switch (type) {
    case SPOE_OPT_PATH:
        return take_text(is_path(text), text, ret);
    case SPOE_OPT_URL:
        return take_text(is_url(text, choices != NULL ? choices : web), text, ret);
    case SPOE_OPT_ADDRESS:
        return spoe_address_parse(text, ret) ? VALUE_OK : VALUE_E_SYNTAX;
    case SPOE_OPT_PREFIX:
        return take_text(spoe_prefix_parse(text, &prefix) == 1, text, ret);
    default: /* SPOE_OPT_SECRET: option_check() has seen to it */
        return take_text(is_secret(text), text, ret);
    }
}

static void describe_schemes(const char *const *schemes, bool many, char *ret, size_t size)
{
    size_t n = (size_t)snprintf(ret, size, many ? "URLs:" : "a URL:");

    for (size_t i = 0; schemes[i] != NULL && n < size; i++)
        n += (size_t)snprintf(ret + n, size - n, "%s %.32s://HOST[:PORT][/PATH]",
                              i > 0 ? " or" : "", schemes[i]);
}

void option_describe_text(uint32_t type, const char *const *choices, bool many, char *ret,
                          size_t size)
{
    const char *text;

    switch (type) {
    case SPOE_OPT_URL:
        describe_schemes(choices != NULL ? choices : web, many, ret, size);
        return;
    case SPOE_OPT_PATH:
        text = many ? "absolute paths" : "an absolute path";
        break;
    case SPOE_OPT_ADDRESS:
        text = many ? "addresses, IPv4 or IPv6" : "an address, IPv4 or IPv6";
        break;
    case SPOE_OPT_PREFIX:
        text = many ? "networks such as 10.0.0.0/8 or 2001:db8::/32, without bits beyond the length"
                    : "a network such as 10.0.0.0/8 or 2001:db8::/32, without bits beyond the "
                      "length";
        break;
    case SPOE_OPT_SECRET:
        text = "file:/PATH, credential:NAME, or the secret itself";
        break;
    default:
        text = many ? "texts" : "a text";
        break;
    }
    (void)snprintf(ret, size, "%s", text);
}
