/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/conf/resource.c - see resource.h. */
#include "conf/resource.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/utf8.h"

#define ID_LEN (CONTAINER_ID_MAX - 1)
#define HOST_NAME_SIZE 256

static struct resource_attribute *find(const struct resource *resource, const char *key)
{
    for (size_t i = 0; i < resource->n; i++) {
        if (strcmp(resource->item[i].key, key) == 0)
            return &resource->item[i];
    }
    return NULL;
}

static void free_attribute(struct resource_attribute *attribute)
{
    free((char *)(uintptr_t)attribute->key); /* owned; const for the readers */
    free((char *)(uintptr_t)attribute->str);
}

/* Takes `str`, also on failure; NULL: a number. */
static int set(struct resource *resource, const char *key, char *str, int64_t i)
{
    struct resource_attribute *item = find(resource, key);
    char *own_key;

    if (item != NULL) {
        free((char *)(uintptr_t)item->str);
        item->str = str;
        item->i = i;
        return 0;
    }
    own_key = strdup(key);
    if (own_key == NULL) {
        free(str);
        return -1;
    }
    item = reallocarray(resource->item, resource->n + 1, sizeof *item);
    if (item == NULL) {
        free(own_key);
        free(str);
        return -1;
    }
    resource->item = item;
    item[resource->n++] = (struct resource_attribute){.key = own_key, .str = str, .i = i};
    return 0;
}

int resource_set_str(struct resource *resource, const char *key, const char *value)
{
    char *own = strdup(value);

    return own == NULL ? -1 : set(resource, key, own, 0);
}

int resource_set_int(struct resource *resource, const char *key, int64_t value)
{
    return set(resource, key, NULL, value);
}

const char *resource_str(const struct resource *resource, const char *key)
{
    const struct resource_attribute *item = find(resource, key);

    return item != NULL ? item->str : NULL;
}

void resource_remove(struct resource *resource, const char *key)
{
    struct resource_attribute *item = find(resource, key);

    if (item == NULL)
        return;
    free_attribute(item);
    resource->n--;
    memmove(item, item + 1, (size_t)(resource->item + resource->n - item) * sizeof *item);
}

void resource_fini(struct resource *resource)
{
    for (size_t i = 0; i < resource->n; i++)
        free_attribute(&resource->item[i]);
    free(resource->item);
    *resource = (struct resource){NULL, 0};
}

/* ---- what the process finds out ----------------------------------------------------------- */

/* A UUID of version 4 (RFC 9562, 5.4). */
static int random_uuid(char ret[37])
{
    uint8_t b[16];

    while (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) {
        if (errno != EINTR) /* up to 256 bytes come whole or not at all */
            return -1;
    }
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    (void)snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                   b[13], b[14], b[15]);
    return 0;
}

/* Whether exactly 64 hexadecimal digits are at p. */
static bool is_id(const char *p)
{
    return strspn(p, "0123456789abcdef") == ID_LEN;
}

/* "12:pids:/docker/ID", ".../cri-containerd-ID.scope": the id is in the path's last part. */
static const char *id_of_cgroup(const char *line)
{
    const char *p = strrchr(line, '/');

    for (; p != NULL && *p != '\0'; p++) {
        if (is_id(p + 1) && (p[0] == '/' || p[0] == '-') &&
            (p[1 + ID_LEN] == '\0' || strcmp(p + 1 + ID_LEN, ".scope") == 0))
            return p + 1;
    }
    return NULL;
}

/* Files such as /etc/hostname are mounted from the container's own folder on the host. */
static const char *id_of_mount(const char *line)
{
    static const char folder[] = "containers/";
    const char *p = line;

    while ((p = strstr(p, folder)) != NULL) {
        p += sizeof folder - 1;
        if (is_id(p) && p[ID_LEN] == '/')
            return p;
    }
    return NULL;
}

static bool search(FILE *file, const char *(*id_of)(const char *line), char ret[CONTAINER_ID_MAX])
{
    char *line = NULL;
    const char *id = NULL;
    size_t size = 0;
    ssize_t n;

    while (file != NULL && id == NULL && (n = getline(&line, &size, file)) >= 0) {
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        id = id_of(line);
        if (id != NULL) {
            memcpy(ret, id, ID_LEN);
            ret[ID_LEN] = '\0';
        }
    }
    free(line);
    return id != NULL;
}

bool resource_container_id(FILE *cgroup, FILE *mountinfo, char ret[CONTAINER_ID_MAX])
{
    return search(cgroup, id_of_cgroup, ret) || search(mountinfo, id_of_mount, ret);
}

static bool own_container_id(char ret[CONTAINER_ID_MAX])
{
    FILE *cgroup = fopen("/proc/self/cgroup", "re");
    FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
    const bool found = resource_container_id(cgroup, mountinfo, ret);

    if (cgroup != NULL)
        (void)fclose(cgroup); /* only read */
    if (mountinfo != NULL)
        (void)fclose(mountinfo);
    return found;
}

/* Unless it is set. */
static int add_str(struct resource *resource, const char *key, const char *value)
{
    return find(resource, key) != NULL ? 0 : resource_set_str(resource, key, value);
}

int resource_detect(struct resource *resource)
{
    char uuid[37], container[CONTAINER_ID_MAX], name[HOST_NAME_SIZE];

    if (random_uuid(uuid) != 0 || add_str(resource, "service.instance.id", uuid) != 0)
        return -1;
    if (gethostname(name, sizeof name - 1) == 0) {
        name[sizeof name - 1] = '\0';
        if (name[0] != '\0' && utf8_is_clean(name, strlen(name)) &&
            add_str(resource, "host.name", name) != 0)
            return -1;
    }
    if (find(resource, "process.pid") == NULL &&
        resource_set_int(resource, "process.pid", getpid()) != 0)
        return -1;
    if (own_container_id(container) && add_str(resource, "container.id", container) != 0)
        return -1;
    return 0;
}
