/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/options_json.c - see options_json.h. */
#include "conf/options_json.h"

#include <stdbool.h>

#include <spoe/util.h>

#include "base/text.h"
#include "conf/option.h"

void options_json_member(FILE *out, const char *name, const char *text)
{
    (void)fprintf(out, "\"%s\": ", name);
    if (text != NULL)
        text_put_json(out, spoe_str(text));
    else
        (void)fputs("null", out);
}

static void put_texts(FILE *out, const char *name, const char *const *texts)
{
    (void)fprintf(out, ", \"%s\": [", name);
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        text_put_json(out, spoe_str(texts[i]));
    }
    (void)fputc(']', out);
}

static void put_flag(FILE *out, const char *name, bool flag)
{
    (void)fprintf(out, ", \"%s\": %s", name, flag ? "true" : "false");
}

static void put_option(FILE *out, const struct spoe_option *option)
{
    static const char *const types[] = {
        [SPOE_OPT_BOOL] = "switch",       [SPOE_OPT_INT] = "number",
        [SPOE_OPT_DURATION] = "duration", [SPOE_OPT_SIZE] = "size",
        [SPOE_OPT_STRING] = "text",       [SPOE_OPT_ENUM] = "choice",
        [SPOE_OPT_PATH] = "path",         [SPOE_OPT_URL] = "url",
        [SPOE_OPT_ADDRESS] = "address",   [SPOE_OPT_PREFIX] = "network",
        [SPOE_OPT_SECRET] = "secret"};
    char accepted[OPTION_TEXT_MAX];

    option_describe(option, accepted);
    (void)fputs("{", out);
    options_json_member(out, "key", option->key);
    (void)fprintf(out, ", \"type\": \"%s\", ", types[option->type]);
    options_json_member(out, "accepts", accepted);
    (void)fputs(", ", out);
    options_json_member(out, "default", option->default_text);
    put_texts(out, "env", option->env);
    put_texts(out, "env_lenient", option->env_lenient);
    put_texts(out, "choices", option->type == SPOE_OPT_ENUM ? option->choices : NULL);
    put_flag(out, "list", (option->flags & SPOE_OPTION_LIST) != 0);
    put_flag(out, "required", (option->flags & SPOE_OPTION_REQUIRED) != 0);
    put_flag(out, "reloadable", (option->flags & SPOE_OPTION_RELOADABLE) != 0);
    put_flag(out, "secret", option_is_secret(option));
    (void)fputs(", ", out);
    options_json_member(out, "help", option->help);
    (void)fputs("}", out);
}

void options_json(FILE *out, const struct spoe_option *const *options)
{
    (void)fputs("[", out);
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        (void)fputs(i > 0 ? ",\n  " : "\n  ", out);
        put_option(out, options[i]);
    }
    (void)fputs("\n]", out);
}
