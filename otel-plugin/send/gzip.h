/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/gzip.h - request bodies with Content-Encoding: gzip, by zlib. */
#ifndef OTEL_SEND_GZIP_H
#define OTEL_SEND_GZIP_H

#include <stddef.h>
#include <stdint.h>

struct gzip; /* keeps its memory from body to body */

/** @return [own] NULL: out of memory */
struct gzip *gzip_create(void);
void gzip_destroy(struct gzip *gzip); /* takes NULL */

/**
 * @param bytes      [borrow]
 * @param ret_bytes  [pin until the next call]
 * @return 0; -1: out of memory
 */
int gzip_pack(struct gzip *gzip, const uint8_t *bytes, size_t size, const uint8_t **ret_bytes,
              size_t *ret_size);

#endif
