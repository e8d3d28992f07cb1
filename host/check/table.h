/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/check/table.h - the host's table of functions with a look at each call: whether it may come
 * now, from this thread, with these arguments. Threads: [any].
 */
#ifndef HOST_CHECK_TABLE_H
#define HOST_CHECK_TABLE_H

#include <spoe/plugin.h>

/* How far the plugin is. */
enum table_phase {
    TABLE_CONFIGURING, /* or reconfiguring: functions for that alone may be called by main */
    TABLE_RUNNING,
    TABLE_STOPPED,   /* stop() has returned */
    TABLE_DESTROYED, /* destroy() has returned */
};

/* What plugins are handed instead of host_table. [const] */
extern const struct spoe_host checked_table;

/** Lines of the log so far, those of debug not among them. */
unsigned table_lines(void);

/** [main] */
void table_set_phase(enum table_phase phase);
/** Whether SPOE_E_STALE is for the plugin to answer for: no deadline passes, nobody goes. [main] */
void table_set_all_wait(int on);

#endif
