/* SPDX-License-Identifier: Apache-2.0 */
/* host/lines/datagrams.c - log lines as datagrams, UDP and unix, many with one call. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conf/network.h"
#include "lines/message.h"
#include "net/block.h"

#define BATCH 32u           /* datagrams with one call */
#define DROPS_EVERY 8u      /* datagrams: how often the kernel is asked for its drops */
#define NUMBERS_UNTIL 1024u /* datagrams without one: then senders need not be told apart */

/*
 * What recvmmsg() writes to. A datagram lies in a block, so that it can be held; the part of a long
 * one that has no room there goes to the spill, and both are put together in a block of their size.
 */
struct batch {
    struct mmsghdr message[BATCH];
    struct iovec iov[BATCH][2];
    struct sockaddr_storage from[BATCH];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(uint32_t))];
    } control[BATCH];
    struct block *block[BATCH];
    size_t spill_size; /* of each */
    char spill[];
};

struct batch *batch_create(struct worker *worker)
{
    const size_t max = worker->core.shared->conf->log_line_max;
    const size_t spill = max > BLOCK_SIZE ? max - BLOCK_SIZE : 0;
    struct batch *batch = calloc(1, sizeof *batch + BATCH * spill);

    if (batch == NULL)
        return NULL;
    batch->spill_size = spill;
    for (size_t i = 0; i < BATCH; i++) {
        batch->iov[i][0].iov_len = max < BLOCK_SIZE ? max : BLOCK_SIZE;
        batch->iov[i][1].iov_base = batch->spill + i * spill;
        batch->iov[i][1].iov_len = spill;
        batch->message[i].msg_hdr = (struct msghdr){.msg_iov = batch->iov[i], .msg_iovlen = 2};
    }
    return batch;
}

void batch_destroy(struct batch *batch, struct worker *worker)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < BATCH; i++)
        block_unref(&worker->blocks, batch->block[i]);
    free(batch);
}

/*
 * What is not asked for costs nothing: senders, where neither log-from nor a line's number needs
 * them, and the count of drops with each datagram, which only grows.
 * @return places to receive into; fewer where memory is short, maybe none
 */
static unsigned prepare(const struct source *source, struct batch *batch)
{
    struct worker *worker = source->reader->worker;
    const bool senders =
        source->unnumbered < NUMBERS_UNTIL || worker->core.shared->conf->n_log_from != 0;
    unsigned n = 0;

    for (; n < BATCH; n++) {
        struct msghdr *header = &batch->message[n].msg_hdr;

        if (batch->block[n] == NULL)
            batch->block[n] = block_get(&worker->blocks, BLOCK_SIZE);
        if (batch->block[n] == NULL)
            break;
        batch->iov[n][0].iov_base = batch->block[n]->data;
        header->msg_name = senders ? &batch->from[n] : NULL;
        header->msg_namelen = senders ? sizeof batch->from[n] : 0;
        batch->from[n].ss_family = AF_UNSPEC;
        header->msg_control = n % DROPS_EVERY == 0 ? &batch->control[n] : NULL;
        header->msg_controllen = n % DROPS_EVERY == 0 ? sizeof batch->control[n] : 0;
    }
    if (n == 0)
        COUNT(&worker->core.counters, resource_errors);
    return n;
}

uint64_t source_peer(const struct sockaddr *sa)
{
    uint64_t half[2] = {0, 0};

    if (sa->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr;
    if (sa->sa_family == AF_INET6)
        memcpy(half, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, sizeof half);
    return half[0] ^ half[1];
}

/* The drops that the kernel tells of with this datagram. */
static void count_kernel_drops(struct source *source, struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        uint32_t drops;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
            continue;
        memcpy(&drops, CMSG_DATA(c), sizeof drops);
        COUNT_ADD(reader_counters(source->reader), log_kernel_drops,
                  (uint32_t)(drops - source->kernel_drops));
        source->kernel_drops = drops;
    }
}

/* A datagram that did not fit into its block, in one that it fits into. @return [give: block_unref]
 * NULL: no memory */
static struct block *join(struct batch *batch, unsigned i, struct worker *worker)
{
    const size_t n = batch->message[i].msg_len;
    struct block *block = block_get(&worker->blocks, n);

    if (block == NULL)
        return NULL;
    memcpy(block->data, batch->block[i]->data, BLOCK_SIZE);
    memcpy(block->data + BLOCK_SIZE, batch->iov[i][1].iov_base, n - BLOCK_SIZE);
    return block;
}

static void take(struct source *source, unsigned i, const struct dispatch_input *input)
{
    struct batch *batch = source->reader->batch;
    struct worker *worker = source->reader->worker;
    const struct mmsghdr *message = &batch->message[i];
    const struct host_conf *conf = worker->core.shared->conf;
    const struct sockaddr *from = (const struct sockaddr *)(const void *)&batch->from[i];
    const size_t n = message->msg_len;
    struct block *block = batch->block[i], *joined = NULL;

    COUNT_ADD(&worker->core.counters, log_bytes, n);
    if (!networks_allow(conf->log_from, conf->n_log_from, from)) {
        COUNT_SHARED(&worker->core.counters, log_refused); /* main() counts connections there */
        return;
    }
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        message_broken(source, LINE_TOO_LONG, (struct spoe_span){(const char *)block->data, n}, n);
        return;
    }
    if (!reader_has_room(source->reader)) {
        COUNT(&worker->core.counters, log_room_drops);
        return;
    }
    if (n > BLOCK_SIZE) {
        block = joined = join(batch, i, worker);
        if (joined == NULL) {
            COUNT(&worker->core.counters, resource_errors);
            message_broken(source, LINE_MEMORY, (struct spoe_span){NULL, 0}, 0);
            return;
        }
    }
    message_take(source, block, (char *)block->data, framing_trim((const char *)block->data, n),
                 source_peer(from), input);
    block_unref(&worker->blocks, joined);
    if (joined == NULL && block->refs > 1) { /* held: the next one lies elsewhere */
        block_unref(&worker->blocks, block);
        batch->block[i] = NULL;
    }
}

enum source_found source_read_datagrams(struct source *source)
{
    static struct log_limit limit;
    struct reader *reader = source->reader;
    struct batch *batch = reader->batch;
    uint64_t n_read = 0;

    while (reader->lines_left > 0) {
        struct dispatch_input input;
        size_t last;
        unsigned places;
        int n;

        if (!reader_has_room(reader))
            return FOUND_WAITS;
        places = prepare(source, batch);
        n = places > 0 ? recvmmsg(source->fd, batch->message, places, MSG_DONTWAIT, NULL) : 0;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            log_limited(&limit, SPOE_LOG_WARNING, LINES_COMPONENT, "%s: read: %s", source->name,
                        strerror(errno));
        if (n <= 0 && places == 0)
            return FOUND_WAITS;
        if (n <= 0)
            return n_read == 0 ? FOUND_NOTHING : FOUND_SOME;
        message_input(reader, &input);
        last = (size_t)n - 1;
        count_kernel_drops(source, &batch->message[last - last % DROPS_EVERY].msg_hdr);
        for (int i = 0; i < n; i++) {
            reader_spend(reader, 1, batch->message[i].msg_len);
            take(source, (unsigned)i, &input);
        }
        source->n_read += (unsigned)n;
        if (reader->line.pairs.numbered)
            source->unnumbered = 0;
        else if (source->unnumbered < NUMBERS_UNTIL)
            source->unnumbered += (unsigned)n;
        n_read += (unsigned)n;
        if ((unsigned)n < places)
            return n_read * LINE_KERNEL_BYTES > source->receive_buffer / 4 ? FOUND_MUCH
                                                                           : FOUND_SOME;
    }
    return FOUND_MORE;
}
