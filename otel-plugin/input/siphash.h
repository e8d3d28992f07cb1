/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/input/siphash.h - SipHash-1-3. Unique-ids can be a client's choice (HAProxy takes
 * over an X-Request-ID that is configured so), so the table's hash has a secret key.
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF"; 1-3 is what hash tables use that
 * face strangers (Rust's and Python's).
 */
#ifndef OTEL_INPUT_SIPHASH_H
#define OTEL_INPUT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, size_t n);

#endif
