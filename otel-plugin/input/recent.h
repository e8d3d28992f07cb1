/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/recent.h - a finished request, sampled or not, for whoever looks at the host's
 * page (spoe/ext/recent.h). What it says of the request is what its spans say: what is left out or
 * redacted there is so here.
 */
#ifndef OTEL_INPUT_RECENT_H
#define OTEL_INPUT_RECENT_H

#include "input/handlers.h"

/** Whether somebody looks: it needs spans, also of what is not sampled. Threads: [any] */
static inline bool recent_is_on(const struct handlers *handlers)
{
    return handlers->recent != NULL && handlers->recent->wanted(handlers->self) != 0;
}

/**
 * Hand it over. Does nothing where nobody looks.
 * @param server, client  [borrow] complete and ended; client NULL: none
 * @param exported        its spans are to be exported, if anything is
 * @param incomplete      nobody told its end
 */
void recent_request(const struct handlers *handlers, const struct span *server,
                    const struct span *client, bool exported, bool incomplete);

#endif
