/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/instance.h - what one instance of a plugin is called, and the options that it has:
 * those that the plugin declares, and the host's own for it (message_options.h).
 *
 * "FILE" in the option plugins is a plugin by its id. "FILE:INSTANCE" is one of several of it, each
 * with options, variables, messages and metrics of its own, and is called "ID:INSTANCE" wherever
 * the id stands otherwise. Environment variables of an instance's options are made of that name,
 * since those of the plugin's env[] would set all instances alike: they count for the one without a
 * name. Threads: [main].
 */
#ifndef HOST_CORE_INSTANCE_H
#define HOST_CORE_INSTANCE_H

#include <spoe/plugin.h>

#include "base/error.h"
#include "core/descriptor.h"

#define INSTANCE_MAX 32u /* bytes of an instance's name, which is made as an id is */

/** The instance that an element of plugins names; what is before it and its ':' is the file.
 * @return NULL: it names none */
const char *instance_find(const char *element);

/**
 * Its name, "ID:INSTANCE".
 * @return [give: free()] NULL with *reterr: the name is none, the plugin cannot have any, or out of
 *         memory
 */
char *instance_name(const struct spoe_plugin *desc, const char *instance, struct error *reterr);

/* A table of options. */
struct instance_options {
    const struct spoe_option **table; /* ends with NULL; NULL: not made */
    size_t n_own;                     /* those of the plugin, which are the first */
    struct spoe_option *made;         /* of them, as this instance has them; NULL: as declared */
    char **variables;                 /* of each of these, one, then NULL */
    struct spoe_option *hosts;        /* which follow */
    size_t n_hosts;
};

/** @param name  "ID:INSTANCE", NULL without one. @return 0; -1 out of memory */
int instance_options_init(struct instance_options *options, const struct spoe_plugin *desc,
                          const char *name);
void instance_options_fini(struct instance_options *options);

#endif
