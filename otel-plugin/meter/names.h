/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/meter/names.h - texts as small numbers, so that sets of attributes are compared and
 * kept as numbers.
 *
 * A name is a text as it is shown: UTF-8 without control characters, cut. What looks alike is one.
 * Names come and never go: at most NAMES_MAX, of NAMES_TEXT_MAX bytes each. Whoever knows a name
 * takes no lock; a new one takes a mutex, once.
 */
#ifndef OTEL_METER_NAMES_H
#define OTEL_METER_NAMES_H

#include <stdint.h>

#include <spoe/plugin.h>

#define NAMES_MAX 8192u
#define NAMES_TEXT_MAX 128u /* bytes of one; a longer one is cut, as the host cuts labels */

enum { NAME_NONE = 0, NAME_OVERFLOW = 1, NAME_FIRST };

struct names;

/** @return [own] NULL: out of memory */
struct names *names_create(void);
void names_destroy(struct names *names); /* takes NULL */

/**
 * The number of a text.
 * @return NAME_NONE where it is empty; NAME_OVERFLOW beyond NAMES_MAX and without memory
 * Threads: [any]
 */
uint16_t names_number(struct names *names, const char *p, size_t n);

/** The text of a number, as UTF-8. @param number  from names_number(), not NAME_OVERFLOW */
struct spoe_span names_text(const struct names *names, uint16_t number);

#endif
