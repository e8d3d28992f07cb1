/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_section.c - the settings of one table of options. */
#include "conf/conf_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/option.h"

const struct spoe_setting conf_not_set = {
    .size = sizeof(struct spoe_setting),
    .flags = SPOE_SETTING_DEFAULT,
    .origin = {"default", sizeof "default" - 1},
    .value = {.type = SPOE_T_NULL},
};

void conf_texts_fini(struct texts *texts)
{
    free(texts->raw);
    free(texts->origin);
    free(texts->written);
    free(texts->before);
    if (texts->secret != NULL)
        explicit_bzero(texts->secret, strlen(texts->secret));
    free(texts->secret);
    *texts = (struct texts){.n_rejected = texts->n_rejected};
}

struct conf_section *conf_section_create(const char *name, const struct spoe_option *const *options,
                                         size_t n)
{
    struct conf_section *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->options = options;
    s->n = n;
    s->name = strdup(name);
    s->settings = calloc(n + 1, sizeof *s->settings);
    s->texts = calloc(n + 1, sizeof *s->texts);
    if (s->name == NULL || s->settings == NULL || s->texts == NULL) {
        conf_section_destroy(s);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        s->settings[i] = conf_not_set;
    return s;
}

void conf_section_destroy(struct conf_section *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n && s->texts != NULL; i++)
        conf_texts_fini(&s->texts[i]);
    free(s->texts);
    free(s->settings);
    free(s->name);
    free(s);
}

const struct spoe_setting *conf_setting(const struct conf_section *s, size_t i)
{
    return i < s->n ? &s->settings[i] : NULL;
}

void conf_setting_written(struct conf *conf, struct conf_section *s, size_t i,
                          struct spoe_span text)
{
    char *own = strndup(text.n > 0 ? text.p : "", text.n);

    assert(i < s->n);
    if (own == NULL)
        conf_error(conf, "%s.%s: out of memory", s->name, s->options[i]->key);
    free(s->texts[i].written);
    s->texts[i].written = own;
}

const char *conf_section_name(const struct conf_section *s)
{
    return s->name;
}

const struct spoe_option *conf_section_option(const struct conf_section *s, size_t i)
{
    return i < s->n ? s->options[i] : NULL;
}

bool conf_setting_is_shown(const struct conf_section *s, size_t i)
{
    return option_has_key(s->options[i]) && ((s->options[i]->flags & OPTION_OF_HOST) == 0 ||
                                             (s->settings[i].flags & SPOE_SETTING_DEFAULT) == 0);
}

const char *conf_setting_text(const struct conf_section *s, size_t i)
{
    const struct spoe_setting *setting = &s->settings[i];

    assert(i < s->n);
    if (s->texts[i].written != NULL)
        return s->texts[i].written[0] != '\0' ? s->texts[i].written : NULL;
    if (s->options[i]->type == SPOE_OPT_ENUM && setting->value.type == SPOE_T_UINT32)
        return s->options[i]->choices[setting->value.u.u32];
    return s->texts[i].raw;
}

void conf_setting_error(struct conf *conf, const struct conf_section *s, size_t i,
                        const char *format, ...)
{
    const struct spoe_setting *setting = conf_setting(s, i);
    char *text;
    va_list ap;

    assert(setting != NULL);
    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0)
        text = NULL;
    va_end(ap);
    conf_error(conf, "%.*s: %s.%s: %s", (int)setting->origin.n, setting->origin.p, s->name,
               option_has_key(s->options[i]) ? s->options[i]->key : "?",
               text != NULL ? text : "out of memory");
    free(text);
}

void conf_setting_warning(struct conf *conf, const struct conf_section *s, size_t i,
                          const char *text)
{
    const struct spoe_setting *setting = conf_setting(s, i);

    assert(setting != NULL);
    conf_warning(conf, "%.*s: %s.%s: %s", (int)setting->origin.n, setting->origin.p, s->name,
                 option_has_key(s->options[i]) ? s->options[i]->key : "?", text);
}
