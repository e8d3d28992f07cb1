/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/dispatch.h - frame -> message -> plugin, for one worker; no I/O. Threads: the worker's.
 */
#ifndef HOST_CORE_DISPATCH_H
#define HOST_CORE_DISPATCH_H

#include <stdint.h>

#include <spoe/plugin.h>

#include "core/exchange.h"
#include "core/worker_core.h"
#include "spop/spop.h"

struct text_arg; /* core/texts.h */

/* Of each message of a plugin, one in so many is timed: a clock costs more than some handlers. */
#define HANDLER_SAMPLE 16u

/* What is known of a frame beside its bytes. */
struct dispatch_input {
    struct spoe_span engine_id;
    int64_t unix_ns, mono_ns; /* when it was read */
    int64_t deadline_ns;      /* until when an answer counts, monotonic */
};

/**
 * Hand every message of a NOTIFY to the plugins that take it.
 *
 * @param exchange  stream_id, frame_id and budget are set; on return it lists the requests
 * @return >= 0: the messages that are pending, 0: exchange_encode() may follow at once;
 *         -SPOP_ERR_*: the payload is malformed or memory is short. What was handed over before
 *         the bad place stays in the exchange, maybe pending: exchange_cancel() is due.
 */
int dispatch_notify(struct spoe_worker *worker, const struct spop_frame *frame,
                    struct exchange *exchange, const struct dispatch_input *input);

/**
 * Hand a message of the log to the plugins that take it. Nothing of it is answered.
 *
 * @param texts     [pin] its arguments; what they point to has to stay until the exchange is done
 * @param exchange  new; on return it lists the requests
 * @return >= 0: the messages that are pending, 0: exchange_release() may follow at once;
 *         -SPOP_ERR_RESOURCE: no memory, and no plugin has been called
 */
int dispatch_texts(struct spoe_worker *worker, struct spoe_span name, const struct text_arg *texts,
                   uint32_t n, struct exchange *exchange, const struct dispatch_input *input);

#endif
