/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/ids.h - random trace and span ids, from a generator per worker that the
 * kernel seeds. Not for secrets. A struct id_source is used by one thread at a time.
 */
#ifndef OTEL_CONTEXT_IDS_H
#define OTEL_CONTEXT_IDS_H

#include <stdint.h>

struct id_source {
    uint64_t _state[4];
};

/** Seed from getrandom(2). @return 0; -1 with errno */
int id_source_init(struct id_source *ids);
/** Fill an id; never all zero. */
void id_trace(struct id_source *ids, uint8_t ret[16]);
void id_span(struct id_source *ids, uint8_t ret[8]);

#endif
