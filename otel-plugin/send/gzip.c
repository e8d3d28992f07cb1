/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/gzip.c - one deflate() over the whole body. */
#include "send/gzip.h"

#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BITS_GZIP (MAX_WBITS + 16) /* zlib.h, deflateInit2() */
#define MEMORY_LEVEL 8                    /* zlib's default */

struct gzip {
    z_stream z;
    uint8_t *out;
    size_t out_size;
};

struct gzip *gzip_create(void)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);

    if (gzip == NULL)
        return NULL;
    /* The fastest level: spans of a kind are alike, and even so they become a tenth. */
    if (deflateInit2(&gzip->z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        return NULL;
    }
    return gzip;
}

void gzip_destroy(struct gzip *gzip)
{
    if (gzip == NULL)
        return;
    (void)deflateEnd(&gzip->z); /* complains about data that was not asked for */
    free(gzip->out);
    free(gzip);
}

int gzip_pack(struct gzip *gzip, const uint8_t *bytes, size_t size, const uint8_t **ret_bytes,
              size_t *ret_size)
{
    uLong bound;

    if (size > UINT_MAX / 2 || deflateReset(&gzip->z) != Z_OK)
        return -1;
    bound = deflateBound(&gzip->z, (uLong)size);
    if (bound > gzip->out_size) {
        free(gzip->out);
        gzip->out = malloc(bound);
        gzip->out_size = gzip->out != NULL ? bound : 0;
        if (gzip->out == NULL)
            return -1;
    }
    gzip->z.next_in = bytes;
    gzip->z.avail_in = (uInt)size;
    gzip->z.next_out = gzip->out;
    gzip->z.avail_out = (uInt)gzip->out_size;
    if (deflate(&gzip->z, Z_FINISH) != Z_STREAM_END)
        return -1; /* cannot be: the bound is one */
    *ret_bytes = gzip->out;
    *ret_size = gzip->out_size - gzip->z.avail_out;
    return 0;
}
