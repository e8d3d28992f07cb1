/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/admin/test_http_accept.c - issue 11, 3.2: which form of a page is asked for. */
#include <criterion/criterion.h>

#include <spoe/util.h>

#include "admin/http_accept.h"

#define OPEN "application/openmetrics-text"
#define PLAIN "text/plain"

/* What Prometheus 2.42 (Debian 12), 2.53 and 3.0 send. */
#define PROMETHEUS_2_42                                                                            \
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75" \
    ",text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
#define PROMETHEUS_3_0                                                                             \
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"                       \
    "application/openmetrics-text;version=0.0.1;q=0.4,"                                            \
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,"          \
    "*/*;q=0.1"

Test(http_accept, qualities, .timeout = 30)
{
    static const struct {
        const char *accept;
        unsigned open, plain;
    } cases[] = {
        {"", 0, 0},
        {PROMETHEUS_2_42, 1000, 500},
        {PROMETHEUS_3_0, 500, 300},
        {"*/*", 1000, 1000},
        {"text/*;q=0.3, */*;q=0.2", 200, 300},
        {"text/plain;q=0, */*", 1000, 0}, /* the more exact one counts */
        {"*/*, text/plain;q=0", 1000, 0},
        {"TEXT/Plain ; charset=utf-8 ; Q=0.25", 0, 250},
        {"text/html", 0, 0},
        {"text/plain;q=1.000", 0, 1000},
        {"text/plain;q=1.001", 0, 0},
        {"text/plain;q=2", 0, 0},
        {"text/plain;q=", 0, 0},
        {"text/plain;q=0.1234", 0, 0},
        {"text/plain;q=0x1", 0, 0},
        {"text/plain;q=0.x", 0, 0},
        {"text/plainer, text/plai, ext/plain, text/, /, *, **/*, ,;,;q=1", 0, 0},
        {",,text/plain,", 0, 1000},
        {"\t text/plain \t", 0, 1000},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct spoe_span accept = spoe_str(cases[i].accept);

        cr_expect_eq(http_accept_quality(accept, OPEN), cases[i].open, "%s", cases[i].accept);
        cr_expect_eq(http_accept_quality(accept, PLAIN), cases[i].plain, "%s", cases[i].accept);
    }
    cr_expect_eq(http_accept_quality((struct spoe_span){NULL, 0}, OPEN), 0);
}
