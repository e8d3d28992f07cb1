/* SPDX-License-Identifier: Apache-2.0 */
/* A constructor of it opens a descriptor while it is loaded, which is not what loading is for. */
#include <fcntl.h>
#include <unistd.h>

#include <spoe/plugin.h>

static int fd = -1;

static void open_it(void) __attribute__((constructor));
static void open_it(void)
{
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void close_it(void) __attribute__((destructor));
static void close_it(void)
{
    (void)close(fd);
}

#define PLUGIN_ID "opens-early"
#include "base.h"
