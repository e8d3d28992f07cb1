/* SPDX-License-Identifier: Apache-2.0 */
/* Its start() lasts until somebody writes to the named pipe of its option `pipe`. */
#include <fcntl.h>
#include <unistd.h>

#include <spoe/plugin.h>

static const struct spoe_host *the_host;
static struct spoe_instance *the_self;
static char path[256];

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst);
static spoe_status start(void *inst);
static const struct spoe_option option = {.size = sizeof option,
                                          .type = SPOE_OPT_STRING,
                                          .flags = SPOE_OPTION_REQUIRED,
                                          .key = "pipe",
                                          .help = "what start() waits for"};
static const struct spoe_option *const options[] = {&option, NULL};

#define PLUGIN_ID "slow-start"
#define PLUGIN_OPTIONS options
#define PLUGIN_CONFIGURE configure
#define PLUGIN_START start
#include "base.h"

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    const struct spoe_setting *setting = host->config_get(cfg, 0);

    if (setting->raw.n >= sizeof path)
        return SPOE_E_INVAL;
    memcpy(path, setting->raw.p, setting->raw.n);
    the_host = host;
    the_self = self;
    *ret_inst = self;
    return SPOE_OK;
}

static spoe_status start(void *inst)
{
    char byte;
    int fd;

    (void)inst;
    spoe_logf(the_host, the_self, SPOE_LOG_INFO, "starting");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SPOE_E_INTERNAL;
    (void)!read(fd, &byte, 1);
    (void)close(fd);
    return SPOE_OK;
}
