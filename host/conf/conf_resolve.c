/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_resolve.c - which source sets an option, and what it says. */
#include "conf/conf_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/option.h"
#include "conf/secret.h"

/* A secure wrapper: nothing of the environment counts in a set-uid process. The one place. */
const char *conf_env(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

typedef int parse_fn(const struct spoe_option *option, const char *text, struct spoe_value *ret,
                     struct error *reterr);

/*
 * Set a setting to a text, in place of what it had. A bad text leaves it as it was. A secret in a
 * file that everybody may read is a warning.
 * @return 0; 1 bad text, with *reterr; -1 out of memory
 */
static int set_value(struct conf *conf, struct conf_section *s, size_t i, const char *text,
                     const char *origin, uint32_t flags, parse_fn *parse, struct error *reterr)
{
    struct spoe_setting *setting = &s->settings[i];
    struct texts own = {.n_rejected = s->texts[i].n_rejected};
    struct spoe_value value;
    bool ok = true;
    int result;

    own.raw = conf_copy(text, &ok);
    own.origin = conf_copy(origin, &ok);
    result = ok ? parse(s->options[i], own.raw, &value, reterr) : -1;
    if (result == 0 && s->options[i]->type == SPOE_OPT_SECRET)
        result = secret_read(own.raw, conf_env("CREDENTIALS_DIRECTORY"), &own.secret, reterr);
    else if (result == 0 && option_is_secret_file(s->options[i]))
        result = secret_check_mode(own.raw, reterr);
    if (result < 0) {
        conf_texts_fini(&own);
        return ok ? 1 : -1;
    }
    if (own.secret != NULL)
        value.u.s = (struct spoe_span){own.secret, strlen(own.secret)};
    conf_texts_fini(&s->texts[i]);
    s->texts[i] = own;
    setting->raw = (struct spoe_span){own.raw, strlen(own.raw)};
    setting->origin = (struct spoe_span){own.origin, strlen(own.origin)};
    setting->flags = flags;
    setting->value = value;
    if (result > 0)
        conf_setting_warning(conf, s, i, reterr->text);
    return 0;
}

/*
 * A source's turn: it sets the setting, unless one before it did, and a bad text is an error either
 * way.
 * @param turn  in and out: 1 set, or its bad value is reported; 0 no source has said anything yet;
 *              -1 out of memory
 * @return whether the text is bad
 */
static bool take_turn(struct conf *conf, struct conf_section *s, size_t i, const char *text,
                      const char *origin, int *turn)
{
    const struct spoe_option *option = s->options[i];
    struct error err;
    struct spoe_value value;
    int result = 0;

    if (*turn == 0)
        result = set_value(conf, s, i, text, origin, 0, option_parse, &err);
    else if (*turn > 0)
        result = option_parse(option, text, &value, &err) != 0 ? 1 : 0;
    if (result == 1)
        conf_error(conf, "%s: %s.%s: %s", origin, s->name, option->key, err.text);
    if (*turn == 0)
        *turn = result < 0 ? -1 : 1;
    return result == 1;
}

/* By the command line or by env[]. @return as take_turn()'s turn */
static int set_by_first(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    struct entry *line = conf_find_entry(conf, SOURCE_COMMAND_LINE, s->name, option->key);
    int turn = 0;

    if (line != NULL) {
        line->known = true;
        (void)take_turn(conf, s, i, line->value, line->origin, &turn); /* reported */
    }
    for (size_t e = 0; option->env != NULL && option->env[e] != NULL; e++) {
        const char *text = conf_env(option->env[e]);
        char *origin = NULL;

        if (text == NULL)
            continue;
        if (asprintf(&origin, "environment %s", option->env[e]) < 0)
            return -1;
        (void)take_turn(conf, s, i, text, origin, &turn);
        free(origin);
    }
    return turn;
}

/* By env_lenient[], as set_by_first(); what will not do is a warning, and the next one's turn. */
static int set_by_lenient(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    const char *const *env = option->env_lenient;

    for (size_t e = s->texts[i].n_rejected; env != NULL && env[e] != NULL; e++) {
        const char *text = conf_env(env[e]);
        char *origin = NULL;
        struct error err;
        int result;

        if (text == NULL)
            continue;
        if (asprintf(&origin, "environment %s", env[e]) < 0)
            return -1;
        s->texts[i].n_rejected = e + 1;
        result =
            set_value(conf, s, i, text, origin, SPOE_SETTING_LENIENT, option_parse_lenient, &err);
        if (result == 1)
            conf_warning(conf, "%s: %s.%s: %s; %s", origin, s->name, option->key, err.text,
                         option->type == SPOE_OPT_BOOL ? "taken for false" : "ignored");
        if (result == 1 && option->type == SPOE_OPT_BOOL)
            result =
                set_value(conf, s, i, "false", origin, SPOE_SETTING_LENIENT, option_parse, &err);
        free(origin);
        if (result <= 0)
            return result == 0 ? 1 : -1;
    }
    return 0;
}

/* @param turn  as take_turn()'s @return the same, now */
static int set_by_file(struct conf *conf, struct conf_section *s, size_t i, int turn)
{
    struct entry *file = conf_find_entry(conf, SOURCE_FILE, s->name, s->options[i]->key);

    if (file == NULL)
        return turn;
    file->known = true;
    if (file->bad) /* it had its turn before, after one of env_lenient[] */
        return 1;
    file->bad = take_turn(conf, s, i, file->value, file->origin, &turn);
    return turn;
}

/* @param turn  as take_turn()'s @return the same, now */
static int set_by_socket(struct conf *conf, struct conf_section *s, size_t i, int turn)
{
    struct entry *socket = conf_find_entry(conf, SOURCE_SOCKET, s->name, s->options[i]->key);

    if (socket == NULL)
        return turn;
    socket->known = true;
    (void)take_turn(conf, s, i, socket->value, socket->origin, &turn); /* reported */
    return turn;
}

static void report_not_set(struct conf *conf, const char *section, const struct spoe_option *option)
{
    const char *variable = option->env != NULL ? option->env[0] : NULL;

    if (variable != NULL)
        conf_error(conf, "%s.%s: must be set: --set %s.%s=..., environment %s, or the file",
                   section, option->key, section, option->key, variable);
    else
        conf_error(conf, "%s.%s: must be set: --set %s.%s=..., or the file", section, option->key,
                   section, option->key);
}

/* @return 0, with errors collected; -1 out of memory */
static int set_default(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    struct error err;
    int result = 0;

    if (option->default_text != NULL)
        result = set_value(conf, s, i, option->default_text, "default", SPOE_SETTING_DEFAULT,
                           option_parse, &err);
    if (result == 1)
        conf_error(conf, "option %s of plugin %s: bad default: %s", option->key, s->name, err.text);
    return result < 0 ? -1 : 0;
}

/* @return 0, with errors collected; -1 out of memory */
static int resolve_one(struct conf *conf, struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    int result;

    if (set_default(conf, s, i) != 0)
        return -1;
    result = set_by_first(conf, s, i);
    if (result == 0)
        result = set_by_lenient(conf, s, i);
    result = set_by_file(conf, s, i, result);
    result = set_by_socket(conf, s, i, result);
    if (result == 0 && (option->flags & SPOE_OPTION_REQUIRED) != 0 && option->default_text == NULL)
        report_not_set(conf, s->name, option);
    return result < 0 ? -1 : 0;
}

/* @return whether options[i] can be resolved; if not the error is collected. */
static bool check_option(struct conf *conf, const struct conf_section *s, size_t i)
{
    const struct spoe_option *option = s->options[i];
    struct error wrong;
    int result = option_check(option, &wrong);

    for (size_t j = 0; j < i && result == 0; j++) {
        if (option_has_key(s->options[j]) && strcmp(s->options[j]->key, option->key) == 0)
            result = error_set(&wrong, "another option has its key");
    }
    if (result == 0)
        return true;
    if (option_has_key(option))
        conf_error(conf, "option %s of plugin %s: %s", option->key, s->name, wrong.text);
    else
        conf_error(conf, "option %zu of plugin %s: %s", i, s->name, wrong.text);
    return false;
}

int conf_set_by_next(struct conf *conf, struct conf_section *s, size_t i)
{
    int result;

    s->settings[i] = conf_not_set;
    conf_texts_fini(&s->texts[i]);
    if (set_default(conf, s, i) != 0)
        return -1;
    result = set_by_lenient(conf, s, i);
    if (result == 0)
        result = set_by_file(conf, s, i, 0);
    return result < 0 ? -1 : 0;
}

int conf_setting_put(struct conf *conf, struct conf_section *s, size_t i, const char *text,
                     const char *origin)
{
    const struct spoe_setting *setting = conf_setting(s, i);
    const bool again = s->texts[i].before != NULL; /* by hand already */
    bool ok = true, lenient = again ? s->texts[i].before_lenient
                                    : (setting->flags & SPOE_SETTING_LENIENT) != 0;
    char *before =
        again ? conf_copy(s->texts[i].before, &ok) : strndup(setting->origin.p, setting->origin.n);
    struct error err;
    int result = before != NULL ? set_value(conf, s, i, text, origin, 0, option_parse, &err) : -1;

    if (result != 0) {
        free(before);
        if (result == 1)
            conf_error(conf, "%s.%s: %s", s->name, s->options[i]->key, err.text);
        return result;
    }
    s->texts[i].before = before;
    s->texts[i].before_lenient = lenient;
    return 0;
}

/* A variable of an instance is made of the names of plugin, instance and option, and so may be
 * another's, too: ID:a with b-c, ID:a-b with c. It must not set both. */
static void check_owner(struct conf *conf, const char *section, const char *variable)
{
    const struct name *n;

    STAILQ_FOREACH(n, &conf->variables, next)
    {
        if (n->section != NULL && strcmp(n->key, variable) == 0 && conf_env(variable) != NULL)
            conf_error(conf,
                       "environment %s: it would be for %s as well as for %s; say it in the "
                       "file or by --set",
                       variable, n->section, section);
    }
}

static int add_names(struct conf *conf, const char *section, const struct spoe_option *option)
{
    const char *const *lists[] = {option->env, option->env_lenient};
    const char *owner = strchr(section, ':') != NULL ? section : NULL;

    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; lists[l] != NULL && lists[l][i] != NULL; i++) {
            if (owner != NULL)
                check_owner(conf, section, lists[l][i]);
            if (conf_add_name(&conf->variables, owner, lists[l][i]) != 0)
                return -1;
        }
    }
    return conf_add_name(&conf->names, section, option->key);
}

struct conf_section *conf_resolve(struct conf *conf, const char *section,
                                  const struct spoe_option *const *options)
{
    struct conf_section *s;
    size_t n = 0;

    while (options[n] != NULL) {
        if (n >= CONF_OPTIONS_MAX && (options[n]->flags & OPTION_OF_HOST) == 0)
            break;
        n++;
    }
    if (options[n] != NULL)
        conf_error(conf, "plugin %s: more than %u options", section, CONF_OPTIONS_MAX);
    s = conf_section_create(section, options, n);
    if (s == NULL || conf_add_name(&conf->names, section, NULL) != 0) {
        conf_section_destroy(s);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!check_option(conf, s, i))
            continue;
        if (add_names(conf, section, options[i]) != 0 || resolve_one(conf, s, i) != 0) {
            conf_section_destroy(s);
            return NULL;
        }
    }
    return s;
}

bool conf_setting_reject(struct conf *conf, struct conf_section *s, size_t i, struct spoe_span text)
{
    const struct spoe_setting *setting = conf_setting(s, i);

    assert(setting != NULL);
    if ((setting->flags & SPOE_SETTING_LENIENT) == 0) {
        conf_setting_error(conf, s, i, "%.*s", (int)text.n, text.p);
        return false;
    }
    conf_warning(conf, "%.*s: %s.%s: %.*s; ignored", (int)setting->origin.n, setting->origin.p,
                 s->name, s->options[i]->key, (int)text.n, text.p);
    if (conf_set_by_next(conf, s, i) != 0)
        conf_error(conf, "%s.%s: out of memory", s->name, s->options[i]->key);
    return true;
}
