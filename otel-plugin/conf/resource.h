/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/conf/resource.h - what the resource says beside service.name: attributes that
 * are configured, and what the process finds out about itself.
 *
 * Who wins, by OpenTelemetry's resource/sdk.md: an option of its own (service-version and the
 * like), then OTEL_RESOURCE_ATTRIBUTES, then what is found out. A key is there once.
 */
#ifndef OTEL_CONF_RESOURCE_H
#define OTEL_CONF_RESOURCE_H

#include <stdio.h>

#include "base/conf_types.h"

#define RESOURCE_KEY_MAX 256u
#define RESOURCE_VALUE_MAX 1024u

struct resource {
    struct resource_attribute *item; /* its texts are owned */
    size_t n;
};

/**
 * Set an attribute, in the place of one that has the key. Texts are copied.
 * @return 0; -1 out of memory
 */
int resource_set_str(struct resource *resource, const char *key, const char *value);
int resource_set_int(struct resource *resource, const char *key, int64_t value);

/** The text of an attribute, NULL where there is none. */
const char *resource_str(const struct resource *resource, const char *key);

/** Take an attribute out, if it is there. */
void resource_remove(struct resource *resource, const char *key);

/**
 * Add what the process knows of itself where nothing is set yet: service.instance.id (random),
 * host.name, process.pid, and container.id where there is one.
 * @return 0; -1 out of memory, or no random numbers
 */
int resource_detect(struct resource *resource);

void resource_fini(struct resource *resource);

#define CONTAINER_ID_MAX 65u

/**
 * Find the id of the container that a process is in: 64 hexadecimal digits at the end of a path of
 * /proc/self/cgroup (version 1), or between "containers/" and a slash in /proc/self/mountinfo.
 * @return whether there is one; then ret is a text
 */
bool resource_container_id(FILE *cgroup, FILE *mountinfo, char ret[CONTAINER_ID_MAX]);

#endif
