/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/otlp-console/text.h - strings from the network, written so that they can do no harm to a
 * terminal or to a reader of JSON.
 */
#ifndef OTLP_CONSOLE_TEXT_H
#define OTLP_CONSOLE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Write a string with control characters as \xNN. */
void text_plain(FILE *out, const char *s);
/** Write a string of JSON, quotes included; what is not UTF-8 becomes U+FFFD. */
void text_json(FILE *out, const char *s);
/** Write bytes as lower-case hex. */
void text_hex(FILE *out, const uint8_t *p, size_t n);

#endif
