/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/print.c - see print.h. */
#include "conf/print.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "base/text.h"
#include "conf/ini_file.h"
#include "conf/option.h"

/* Whether a file can hold it: on one line, without what would be taken for white space around it
 * or for a comment. */
static bool fits_in_file(const char *value, size_t others)
{
    const size_t n = strlen(value);

    if (n > 0 && (text_is_blank(value[0]) || text_is_blank(value[n - 1])))
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)value[i] < ' ' && value[i] != '\t')
            return false;
        if (value[i] == ';' && (i == 0 || text_is_blank(value[i - 1]))) /* one is in front of it */
            return false;
    }
    return n + others <= INI_LINE_MAX;
}

/* Where the next URL with a user or a password begins to say them: ...://USER:PASSWORD@...
 * @return NULL: there is none */
static const char *find_userinfo(const char *value, size_t *ret_n)
{
    for (const char *p = strstr(value, "://"); p != NULL; p = strstr(p + 3, "://")) {
        const char *authority = p + 3;
        const char *at = memrchr(authority, '@', strcspn(authority, "/?#, \t"));

        if (at != NULL) {
            *ret_n = (size_t)(at - authority);
            return authority;
        }
    }
    return NULL;
}

static bool has_userinfo(const char *value)
{
    size_t n;

    return find_userinfo(value, &n) != NULL;
}

char *print_without_userinfo(const char *value)
{
    const char *userinfo;
    char *text = NULL;
    size_t size, n;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    while ((userinfo = find_userinfo(value, &n)) != NULL) {
        (void)fprintf(out, "%.*s***", (int)(userinfo - value), value);
        value = userinfo + n;
    }
    (void)fputs(value, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* On one line, whatever it is: a value that has control characters is a comment, and the name of a
 * file in an origin may have any. */
static void put_line(FILE *out, struct spoe_span text)
{
    for (size_t i = 0; i < text.n; i++)
        (void)fputc((unsigned char)text.p[i] < ' ' && text.p[i] != '\t' ? '?' : text.p[i], out);
}

static void print_option(FILE *out, const struct spoe_option *option,
                         const struct spoe_setting *setting, const char *text)
{
    const bool is_default = (setting->flags & SPOE_SETTING_DEFAULT) != 0;
    const size_t others = strlen(option->key) + setting->origin.n + strlen(" =   ; ");
    const char *why = NULL;
    bool shown = true;

    if (is_default) {
        why = "";
        shown = !option_is_secret(option);
    } else if (option_is_secret(option)) {
        why = ", a secret";
        shown = false;
    } else if (has_userinfo(setting->raw.p) || (text != NULL && has_userinfo(text))) {
        why = ", with credentials";
        shown = false;
    } else if (text == NULL || !fits_in_file(text, others)) {
        why = ", and a file cannot say it";
    }
    (void)fprintf(out, "%s%s%s", why != NULL ? "; " : "", option->key, shown ? " = " : "");
    if (shown)
        put_line(out, text != NULL ? spoe_str(text) : setting->raw);
    (void)fputs("  ; ", out);
    put_line(out, setting->origin);
    (void)fprintf(out, "%s\n", why != NULL ? why : "");
}

void conf_print_section(FILE *out, const struct conf_section *section)
{
    const struct spoe_option *option;

    (void)fprintf(out, "[%s]\n", conf_section_name(section));
    for (size_t i = 0; (option = conf_section_option(section, i)) != NULL; i++) {
        if (conf_setting_is_shown(section, i))
            print_option(out, option, conf_setting(section, i), conf_setting_text(section, i));
    }
}
