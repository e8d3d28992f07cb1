/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/message.h - one line becomes one message. Threads: the worker's. */
#ifndef HOST_LINES_MESSAGE_H
#define HOST_LINES_MESSAGE_H

#include "core/dispatch.h"
#include "lines/reader.h"

/** What is known of lines that are read together: when that was. */
void message_input(const struct reader *reader, struct dispatch_input *ret);

/**
 * Hand a line to the plugins; what is wrong with it is counted and logged. There is room.
 * @param block  the line lies in it: held until the plugins are done
 * @param p, n   without its end; changed
 * @param peer   of whoever sent it, for gaps
 */
void message_take(struct source *source, struct block *block, char *p, size_t n, uint64_t peer,
                  const struct dispatch_input *input);
/** HAProxy says that it has dropped lines. */
void message_dropped(struct source *source, uint64_t n);
/** A line that cannot be taken. */
void message_broken(struct source *source, enum line_fault fault, struct spoe_span line,
                    size_t fault_at);

#endif
