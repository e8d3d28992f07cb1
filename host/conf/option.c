/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/option.c - see option.h. */
#include "conf/option.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <spoe/options.h>
#include <spoe/util.h>

#include "conf/option_texts.h"
#include "conf/value.h"

/* All members up to here are of 1.0. A newer element is longer; nothing past this is read. */
#define OPTION_SIZE_1_0 (offsetof(struct spoe_option, env_lenient) + sizeof(char *))

#define SHOWN_MAX 64 /* bytes of a bad value that are shown */

/* A message that grows; what passes its end is cut. */
struct text {
    char *p;
    size_t size, n;
};

static void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void text_add(struct text *t, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(t->p + t->n, t->size - t->n, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    t->n = (size_t)n < t->size - t->n ? t->n + (size_t)n : t->size - 1;
}

bool option_has_key(const struct spoe_option *option)
{
    const char *p;

    if (option->size < OPTION_SIZE_1_0 || option->key == NULL)
        return false;
    if ((option->flags & OPTION_OF_HOST) != 0)
        return true;
    for (p = option->key; *p != '\0'; p++) {
        if ((size_t)(p - option->key) >= OPTION_KEY_MAX)
            return false;
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-'))
            return false;
    }
    return p != option->key;
}

static bool is_list(const struct spoe_option *option)
{
    return (option->flags & SPOE_OPTION_LIST) != 0;
}

bool option_is_secret(const struct spoe_option *option)
{
    return (option->flags & SPOE_OPTION_SECRET) != 0 || option->type == SPOE_OPT_SECRET;
}

bool option_is_secret_file(const struct spoe_option *option)
{
    return (option->flags & SPOE_OPTION_SECRET_FILE) != 0;
}

bool option_is_of_1_1(const struct spoe_option *option)
{
    return is_list(option) || option->type > SPOE_OPT_ENUM;
}

int option_check(const struct spoe_option *option, struct error *reterr)
{
    if (option->size < OPTION_SIZE_1_0)
        return error_set(reterr, "its table is shorter than that of ABI 1.0");
    if (!option_has_key(option))
        return error_set(reterr, "its key is not 1 to 64 of a-z, 0-9 and -");
    if (option->type < SPOE_OPT_BOOL || option->type > SPOE_OPT_SECRET)
        return error_set(reterr, "its type is not known to this host");
    if (is_list(option) && option->type != SPOE_OPT_STRING &&
        (option->type < SPOE_OPT_PATH || option->type > SPOE_OPT_PREFIX))
        return error_set(reterr, "its type has no lists");
    if (option_is_secret_file(option) &&
        (is_list(option) || (option->type != SPOE_OPT_STRING && option->type != SPOE_OPT_PATH)))
        return error_set(reterr, "its type names no file");
    if (option->type == SPOE_OPT_ENUM && (option->choices == NULL || option->choices[0] == NULL))
        return error_set(reterr, "it has no choices");
    if (option->min > option->max)
        return error_set(reterr, "its least value is above its greatest");
    return 0;
}

static bool has_bounds(const struct spoe_option *option)
{
    return option->min != 0 || option->max != 0;
}

static void format_bound(const struct spoe_option *option, int64_t bound, char text[VALUE_TEXT_MAX])
{
    if (option->type == SPOE_OPT_DURATION)
        value_format_duration(bound, text);
    else if (option->type == SPOE_OPT_SIZE)
        value_format_size(bound > 0 ? (uint64_t)bound : 0, text);
    else
        (void)snprintf(text, VALUE_TEXT_MAX, "%" PRId64, bound);
}

static void describe_bounds(const struct spoe_option *option, struct text *t)
{
    char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

    if (!has_bounds(option))
        return;
    format_bound(option, option->min, min);
    format_bound(option, option->max, max);
    if (option->max == INT64_MAX)
        text_add(t, ", at least %s", min);
    else if (option->min == INT64_MIN)
        text_add(t, ", at most %s", max);
    else
        text_add(t, ", %s to %s", min, max);
}

static void describe_accepted(const struct spoe_option *option, struct text *t)
{
    char words[OPTION_TEXT_MAX];

    if (is_list(option)) {
        option_describe_text(option->type, option->choices, true, words, sizeof words);
        text_add(t, "a comma-separated list of %s", words);
        return;
    }
    switch (option->type) {
    case SPOE_OPT_BOOL:
        text_add(t, "on or off");
        break;
    case SPOE_OPT_INT:
        text_add(t, "a whole number");
        describe_bounds(option, t);
        break;
    case SPOE_OPT_DURATION:
        text_add(t, "a duration such as 15ms or 30s");
        describe_bounds(option, t);
        break;
    case SPOE_OPT_SIZE:
        text_add(t, "a size such as 4096 or 64k");
        describe_bounds(option, t);
        break;
    case SPOE_OPT_ENUM:
        text_add(t, "one of");
        for (size_t i = 0; option->choices[i] != NULL; i++)
            text_add(t, "%s %s", i == 0 ? "" : ",", option->choices[i]);
        break;
    default: /* a string is never refused */
        option_describe_text(option->type, option->choices, false, words, sizeof words);
        text_add(t, "%s", words);
        break;
    }
}

void option_describe(const struct spoe_option *option, char ret[OPTION_TEXT_MAX])
{
    struct text t = {.p = ret, .size = OPTION_TEXT_MAX, .n = 0};

    describe_accepted(option, &t);
}

void option_brief(const char *help, char ret[OPTION_TEXT_MAX])
{
    size_t n = 0;

    for (; help != NULL && *help != '\0' && n + 1 < OPTION_TEXT_MAX; help++) {
        if (help[0] == '.' && help[1] == ' ')
            break;
        if (*help != '`')
            ret[n++] = *help;
    }
    ret[n] = '\0';
}

static bool in_bounds(const struct spoe_option *option, int64_t v)
{
    return !has_bounds(option) || (v >= option->min && v <= option->max);
}

static int parse_item(const struct spoe_option *option, struct spoe_span text,
                      struct spoe_value *ret)
{
    if (option->type != SPOE_OPT_STRING)
        return option_parse_text(option->type, option->choices, text, ret);
    *ret = (struct spoe_value){.type = SPOE_T_STR, .u.s = text};
    return VALUE_OK;
}

/* @param ret_bad  the item that will not do */
static int parse_list(const struct spoe_option *option, struct spoe_span text,
                      struct spoe_value *ret, struct spoe_span *ret_bad)
{
    struct spoe_span rest = text;
    struct spoe_value item;

    while (spoe_list_next(&rest, ret_bad)) {
        if (ret_bad->n == 0 || parse_item(option, *ret_bad, &item) != VALUE_OK)
            return VALUE_E_SYNTAX;
    }
    *ret = (struct spoe_value){.type = SPOE_T_STR, .u.s = text};
    return VALUE_OK;
}

static int parse_typed(const struct spoe_option *option, const char *text, struct spoe_value *ret)
{
    bool b = false;
    int result;

    switch (option->type) {
    case SPOE_OPT_BOOL:
        ret->type = SPOE_T_BOOL;
        result = value_parse_bool(text, &b);
        ret->u.b = b ? 1 : 0;
        return result;
    case SPOE_OPT_INT:
    case SPOE_OPT_DURATION:
        ret->type = SPOE_T_INT64;
        result = option->type == SPOE_OPT_INT ? value_parse_int(text, &ret->u.i64)
                                              : value_parse_duration(text, &ret->u.i64);
        if (result == VALUE_OK && !in_bounds(option, ret->u.i64))
            return VALUE_E_RANGE;
        return result;
    case SPOE_OPT_SIZE:
        ret->type = SPOE_T_UINT64;
        result = value_parse_size(text, &ret->u.u64);
        /* Bounds are signed: what is above INT64_MAX passes only where there are none. */
        if (result == VALUE_OK && has_bounds(option) &&
            (ret->u.u64 > (uint64_t)INT64_MAX || !in_bounds(option, (int64_t)ret->u.u64)))
            return VALUE_E_RANGE;
        return result;
    case SPOE_OPT_ENUM:
        ret->type = SPOE_T_UINT32;
        return value_parse_enum(text, option->choices, &ret->u.u32);
    default: /* a text: option_check() has seen to it */
        return parse_item(option, (struct spoe_span){text, strlen(text)}, ret);
    }
}

/* The text in quotes, unless it is a secret, and what would have done. */
static void explain(const struct spoe_option *option, struct spoe_span text, int result,
                    const char *accepted, struct error *reterr)
{
    struct text t = {.p = reterr->text, .size = OPTION_TEXT_MAX, .n = 0};

    if (option_is_secret(option))
        text_add(&t, "the value");
    else
        text_add(&t, "\"%.*s%s\"", (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX), text.p,
                 text.n > SHOWN_MAX ? "..." : "");
    if (is_list(option))
        text_add(&t, " in the list");
    text_add(&t, "%s, expected ", result == VALUE_E_RANGE ? " is out of range" : " is not valid");
    if (accepted != NULL)
        text_add(&t, "%s", accepted);
    else
        describe_accepted(option, &t);
}

int option_parse(const struct spoe_option *option, const char *text, struct spoe_value *ret,
                 struct error *reterr)
{
    struct spoe_value value = {.type = SPOE_T_NULL};
    struct spoe_span bad = {text, strlen(text)};
    int result =
        is_list(option) ? parse_list(option, bad, &value, &bad) : parse_typed(option, text, &value);

    if (result == VALUE_OK) {
        *ret = value;
        return 0;
    }
    explain(option, bad, result, NULL, reterr);
    return -1;
}

int option_parse_lenient(const struct spoe_option *option, const char *text, struct spoe_value *ret,
                         struct error *reterr)
{
    switch (option->type) {
    case SPOE_OPT_BOOL:
        *ret = (struct spoe_value){.type = SPOE_T_BOOL, .u.b = strcasecmp(text, "true") == 0};
        if (ret->u.b != 0 || strcasecmp(text, "false") == 0)
            return 0;
        explain(option, spoe_str(text), VALUE_E_SYNTAX, "true or false", reterr);
        return -1;
    case SPOE_OPT_DURATION:
        if (text[strspn(text, "0123456789")] == '\0')
            return option_parse(option, text, ret, reterr);
        explain(option, spoe_str(text), VALUE_E_SYNTAX, "a number of milliseconds", reterr);
        return -1;
    default:
        return option_parse(option, text, ret, reterr);
    }
}
