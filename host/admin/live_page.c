/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/live_page.c - see live_page.h. The bytes: cmake/embed.cmake makes them of the files.
 */
#include "admin/live_page.h"

static const unsigned char html[] = {
#include "page.html.inc"
};
static const unsigned char css[] = {
#include "page.css.inc"
};
static const unsigned char js[] = {
#include "page.js.inc"
};

/* Whatever fails to be written, the stream knows. */
int live_page_html(void *arg, FILE *out)
{
    (void)arg;
    (void)fwrite(html, 1, sizeof html, out);
    return 200;
}

int live_page_css(void *arg, FILE *out)
{
    (void)arg;
    (void)fwrite(css, 1, sizeof css, out);
    return 200;
}

int live_page_js(void *arg, FILE *out)
{
    (void)arg;
    (void)fwrite(js, 1, sizeof js, out);
    return 200;
}
