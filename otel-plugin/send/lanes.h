/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/lanes.h - the export's threads: gather a batch, deliver it, and again. */
#ifndef OTEL_SEND_LANES_H
#define OTEL_SEND_LANES_H

struct batch_resource;
struct exporter;

/**
 * Start conf.concurrency threads, each with an encoder that exporter_stop() frees.
 * @return 0; -1: no lane runs
 */
int lanes_start(struct exporter *exporter, const struct batch_resource *resource);

/** Wait for the end of all; they have been told. */
void lanes_join(struct exporter *exporter);

#endif
