/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/instance.c - see instance.h. */
#include "core/instance.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message_options.h"

const char *instance_find(const char *element)
{
    const char *slash = strrchr(element, '/');
    const char *colon = strrchr(slash != NULL ? slash : element, ':');

    return colon != NULL ? colon + 1 : NULL;
}

static bool has_instances(const struct spoe_plugin *desc)
{
    return desc->size >= offsetof(struct spoe_plugin, flags) + sizeof desc->flags &&
           (desc->flags & SPOE_PLUGIN_INSTANCES) != 0;
}

char *instance_name(const struct spoe_plugin *desc, const char *instance, struct error *reterr)
{
    const size_t n = strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789-");
    char *name = NULL;

    if (n == 0 || n > INSTANCE_MAX || instance[n] != '\0')
        (void)error_set(reterr, "bad instance \"%.40s\": 1 to %u of [a-z0-9-]", instance,
                        INSTANCE_MAX);
    else if (!has_instances(desc))
        (void)error_set(reterr,
                        "instance \"%s\": plugin %s does not say that it can have instances "
                        "(SPOE_PLUGIN_INSTANCES)",
                        instance, desc->id);
    else if (asprintf(&name, "%s:%s", desc->id, instance) < 0)
        (void)error_set(reterr, "out of memory");
    else
        return name;
    return NULL;
}

/* IP_REPUTATION_BLOCK_MAX_AGE of "ip-reputation:block" and "max-age". */
static char *make_variable(const char *name, const char *key)
{
    char *variable;

    if (asprintf(&variable, "%s_%s", name, key) < 0)
        return NULL;
    for (char *p = variable; *p != '\0'; p++)
        *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    return variable;
}

/* An option as the instance has it: all but its variables. What an option of a newer ABI has beyond
 * those that we know is not looked at. */
static int make_option(struct instance_options *options, size_t i, const struct spoe_option *from,
                       const char *name)
{
    struct spoe_option *option = &options->made[i];
    char **env = &options->variables[2 * i];

    memcpy(option, from, from->size < sizeof *option ? from->size : sizeof *option);
    if (option->size > sizeof *option)
        option->size = sizeof *option;
    env[0] = make_variable(name, from->key);
    option->env = (const char *const *)env;
    option->env_lenient = NULL;
    options->table[i] = option;
    return env[0] != NULL ? 0 : -1;
}

/* The plugin's own options. @return 0; -1 out of memory */
static int add_own(struct instance_options *options, const struct spoe_plugin *desc,
                   const char *name)
{
    const size_t n = options->n_own;

    if (name == NULL) {
        for (size_t i = 0; i < n; i++)
            options->table[i] = desc->options[i];
        return 0;
    }
    options->made = calloc(n + 1, sizeof *options->made);
    options->variables = calloc(2 * n + 1, sizeof *options->variables);
    if (options->made == NULL || options->variables == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (make_option(options, i, desc->options[i], name) != 0)
            return -1;
    }
    return 0;
}

int instance_options_init(struct instance_options *options, const struct spoe_plugin *desc,
                          const char *name)
{
    size_t n = 0;

    while (desc->options != NULL && desc->options[n] != NULL)
        n++;
    *options = (struct instance_options){.n_own = n, .n_hosts = message_options_count(desc)};
    options->table = calloc(n + options->n_hosts + 1, sizeof(const struct spoe_option *));
    options->hosts = calloc(options->n_hosts + 1, sizeof *options->hosts);
    if (options->table == NULL || options->hosts == NULL || add_own(options, desc, name) != 0 ||
        message_options_make(desc, options->hosts) != 0)
        return -1;
    for (size_t i = 0; i < options->n_hosts; i++)
        options->table[n + i] = &options->hosts[i];
    return 0;
}

void instance_options_fini(struct instance_options *options)
{
    for (size_t i = 0; options->variables != NULL && i < options->n_own; i++)
        free(options->variables[2 * i]);
    free(options->variables);
    free(options->made);
    message_options_free(options->hosts, options->n_hosts);
    free((void *)options->table);
    *options = (struct instance_options){.n_own = 0};
}
