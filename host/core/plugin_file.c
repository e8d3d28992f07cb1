/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/plugin_file.c - see plugin_file.h. */
#include "core/plugin_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "core/elf_file.h"

#define HINT " (option plugin-trust = any allows it)"

/* ---- trust ----------------------------------------------------------------------------------- */

/*
 * In a folder that everybody may write to everybody may put another file in a file's place, but on
 * a file system that nobody may write to. Where it is sticky, only its owner may do that to a file:
 * so that has to be root or the host's own user.
 * @param owner  of what is taken from it, becomes the folder's own
 */
static int check_folder(const char *folder, uid_t *owner, struct error *reterr)
{
    const uid_t child = *owner;
    struct statvfs fs;
    struct stat st;

    if (stat(folder, &st) != 0)
        return error_set(reterr, "its folder %s: %s", folder, strerror(errno));
    *owner = st.st_uid;
    if ((st.st_mode & S_IWOTH) == 0 || (statvfs(folder, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0))
        return 0;
    if ((st.st_mode & S_ISVTX) == 0)
        return error_set(reterr, "everybody may write to its folder %s" HINT, folder);
    if (child == 0 || child == geteuid())
        return 0;
    return error_set(reterr,
                     "everybody may write to its folder %s, and what is there belongs to user %u, "
                     "who is neither root nor the host's own (%u)" HINT,
                     folder, child, geteuid());
}

int plugin_file_check_folder(const char *path, uid_t owner, struct error *reterr)
{
    char folder[PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof folder)
        return error_set(reterr, "its path is longer than %d bytes", PATH_MAX);
    memcpy(folder, path, n + 1);
    while (n > 0) {
        while (n > 0 && folder[n - 1] != '/')
            n--;
        while (n > 0 && folder[n - 1] == '/')
            n--;
        folder[n] = '\0';
        if (check_folder(n != 0 ? folder : "/", &owner, reterr) != 0)
            return -1;
    }
    return 0;
}

static int check_trust(const char *path, const struct stat *st, struct error *reterr)
{
    if ((st->st_mode & S_IWOTH) != 0)
        return error_set(reterr, "everybody may write to it" HINT);
    if (plugin_file_check_folder(path, st->st_uid, reterr) != 0)
        return -1;
    if (st->st_uid != 0 && st->st_uid != geteuid())
        log_line(SPOE_LOG_WARNING, "host",
                 "plugin file %s belongs to user %u, who is neither root nor the host's own (%u)",
                 path, st->st_uid, geteuid());
    return 0;
}

/* ---- the loader ------------------------------------------------------------------------------ */

/* The loader's words without the name that we gave it. */
static const char *loader_error(const char *name)
{
    const char *text = dlerror();
    size_t n = strlen(name);

    if (text == NULL)
        return "the loader gives no reason";
    return strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* Debuggers, sanitizers and dladdr() take the name from here; "/proc/self/fd/5" tells them nothing.
 */
static void set_name(void *handle, const char *path)
{
    struct link_map *map = NULL;
    char *name;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == NULL ||
        strcmp(map->l_name, path) == 0) /* another instance of it has been loaded before */
        return;
    name = strdup(path); /* the loader's from now on: the object is never unloaded */
    if (name != NULL)
        map->l_name = name;
}

static bool is_still(const char *path, const struct stat *before)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == before->st_dev && st.st_ino == before->st_ino &&
           st.st_ctim.tv_sec == before->st_ctim.tv_sec &&
           st.st_ctim.tv_nsec == before->st_ctim.tv_nsec;
}

/*
 * By its path: the file may be another one by then, so it is looked at just before and again. What
 * runs in between cannot be undone, but is told. Only who may rename in one of its folders can do
 * that, and so may put any plugin there (docs/configuration.md).
 */
static void *load_by_path(const char *path, const struct stat *before, struct error *reterr)
{
    void *handle = NULL;

    if (is_still(path, before)) {
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (handle == NULL)
            (void)error_set(reterr, "%s", loader_error(path));
        if (handle == NULL || is_still(path, before))
            return handle;
    }
    (void)error_set(reterr, "the file was changed while it was loaded");
    return NULL;
}

/*
 * By its descriptor, which stays open: the loader remembers the name, and would take the next file
 * under the same number for this one. Not where there is no /proc, and not for a file that has
 * libraries beside itself, which the loader would look for in /proc/self/fd.
 */
static void *load(int fd, const char *path, const struct stat *st, bool uses_origin,
                  struct error *reterr)
{
    char name[64];
    void *handle;

    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (uses_origin || access(name, R_OK) != 0) {
        (void)close(fd);
        return load_by_path(path, st, reterr);
    }
    handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL)
        (void)error_set(reterr, "%s", loader_error(name));
    else
        set_name(handle, path);
    return handle;
}

spoe_plugin_entry_fn *plugin_file_load(const char *path, enum plugin_trust trust,
                                       const struct callee *callee, struct error *reterr)
{
    /* Not to be held up by a FIFO, nor to take a terminal as our own. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    spoe_plugin_entry_fn *entry = NULL;
    struct elf_facts facts;
    void *handle, *symbol;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        (void)error_set(reterr, "%s", strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        (void)error_set(reterr, "not a regular file");
        goto fail;
    }
    if ((trust != PLUGIN_TRUST_ANY && check_trust(path, &st, reterr) != 0) ||
        elf_file_check(fd, SPOE_PLUGIN_ENTRY, &facts, reterr) != 0)
        goto fail;
    if (!facts.exports) {
        (void)error_set(reterr, "it does not export %s", SPOE_PLUGIN_ENTRY);
        goto fail;
    }
    thread_enter(callee, "dlopen()");
    handle = load(fd, path, &st, facts.uses_origin, reterr);
    thread_leave();
    crash_look_again();
    if (handle == NULL)
        return NULL;
    symbol = dlsym(handle, SPOE_PLUGIN_ENTRY);
    if (symbol == NULL)
        (void)error_set(reterr, "it does not export %s", SPOE_PLUGIN_ENTRY);
    memcpy(&entry, &symbol, sizeof entry); /* POSIX's way from void * to a function */
    return entry;
fail:
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}
