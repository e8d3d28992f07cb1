/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/admin/live_page.h - the live page, /, as three files of text that are part of the program:
 * page.html, page.css and page.js of this folder. No state; threads: [any].
 */
#ifndef HOST_ADMIN_LIVE_PAGE_H
#define HOST_ADMIN_LIVE_PAGE_H

#include <stdio.h>

/*
 * What a browser may do with them: take script and style from here and ask here, and nothing else.
 * Lines of a head, for admin_page.headers.
 */
#define LIVE_PAGE_HEADERS                                                                          \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"          \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Cross-Origin-Opener-Policy: same-origin\r\n"                                                  \
    "Cross-Origin-Resource-Policy: same-origin\r\n"

/** As admin_page_fn. */
int live_page_html(void *arg, FILE *out);
int live_page_css(void *arg, FILE *out);
int live_page_js(void *arg, FILE *out);

#endif
