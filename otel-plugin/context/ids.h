/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/ids.h - random trace and span ids, from a generator per worker that the
 * kernel keys: ChaCha20, so that ids that were seen tell nothing of those to come. A struct
 * id_source is used by one thread at a time and makes no system call per id.
 */
#ifndef OTEL_CONTEXT_IDS_H
#define OTEL_CONTEXT_IDS_H

#include <stdint.h>

#define ID_SOURCE_KEY 32u     /* bytes */
#define ID_SOURCE_BUFFER 512u /* of keystream at once: ids of 16 requests */

struct evp_cipher_ctx_st;

struct id_source {
    struct evp_cipher_ctx_st *_cipher;
    uint32_t _used; /* bytes of the buffer */
    uint8_t _buffer[ID_SOURCE_BUFFER];
};

/** Key it from getrandom(2). @return 0; -1: no memory, or the kernel gave no random key */
int id_source_init(struct id_source *ids);
/** The same with a key that is known, for tests and vectors. */
int id_source_init_key(struct id_source *ids, const uint8_t key[ID_SOURCE_KEY]);
/** Takes one that is all zero, too. */
void id_source_fini(struct id_source *ids);

/** Fill an id; never all zero. */
void id_trace(struct id_source *ids, uint8_t ret[16]);
void id_span(struct id_source *ids, uint8_t ret[8]);

#endif
