/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/base/hex.h - ids as hexadecimal digits, as the propagation formats write them.
 */
#ifndef OTEL_BASE_HEX_H
#define OTEL_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Read n bytes written as 2n lower-case digits.
 * @return false: something else is there; ret may be partly written
 */
bool hex_read(const char *p, uint8_t *ret, size_t n);
/** Write n bytes as 2n lower-case digits, no NUL. */
void hex_write(const uint8_t *p, size_t n, char *ret);

/** Whether n bytes are zero: no id is. */
bool hex_is_zero(const uint8_t *p, size_t n);

#endif
