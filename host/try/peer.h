/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/try/peer.h - HAProxy's end of a connection, in this process: frames out, ACKs in. Threads:
 * one at a time for each peer.
 */
#ifndef HOST_TRY_PEER_H
#define HOST_TRY_PEER_H

#include <stdint.h>

#include "base/error.h"
#include "net/worker.h"
#include "spop/spop.h"
#include "try/frame.h"

struct peer {
    int fd;
    struct worker *worker;
    size_t n_in; /* bytes in `in`, of which the first `used` were taken */
    size_t used;
    uint8_t in[FRAME_SIZE + SPOP_LENGTH_BYTES];
};

/**
 * Connect to a worker and shake hands.
 * @return 0; -1 with *reterr, and nothing is open
 */
int peer_open(struct peer *peer, struct worker *worker, int64_t deadline_ns, struct error *reterr);
void peer_close(struct peer *peer);

/** Send a whole frame. @return 0; -1 with *reterr */
int peer_send(struct peer *peer, const uint8_t *frame, size_t n, int64_t deadline_ns,
              struct error *reterr);
/**
 * Wait for the next frame.
 * @param ret  points into the peer, valid until the next call
 * @return 1; 0 it has not come by the deadline; -1 with *reterr
 */
int peer_receive(struct peer *peer, int64_t deadline_ns, struct spop_frame *ret,
                 struct error *reterr);

#endif
