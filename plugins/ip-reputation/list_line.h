/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins/ip-reputation/list_line.h - one line of a list: an address or a prefix, or neither.
 *
 *     # a comment, to the end of the line, as after ; and after the entry
 *     192.0.2.1
 *     198.51.100.0/24 ; SBL1234
 *     2001:db8::/32
 *
 * Pure, and without allocation. An IPv6 prefix that lies in ::ffff:0:0/96 is one of IPv4.
 */
#ifndef IP_REPUTATION_LIST_LINE_H
#define IP_REPUTATION_LIST_LINE_H

#include "address.h"

enum { LIST_LINE_MAX = 1024 }; /* bytes of a line */

/**
 * @param ret_why  [const] why the line is broken, set then only
 * @return 1: *ret is an entry; 0: there is none; -1: it is broken
 */
int list_line_parse(const char *line, size_t n, struct prefix *ret, const char **ret_why);

/**
 * The same of a text that is an entry and nothing else, without blanks or comments.
 * @return 0; -1 with *ret_why
 */
int prefix_parse(const char *text, size_t n, struct prefix *ret, const char **ret_why);

#endif
