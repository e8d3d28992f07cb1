/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: responses by the first digit of their status, and how long they are, on /metrics. */
#include <spoe/ext/metrics.h>
#include <spoe/util.h>
#include <stdlib.h>

struct numbers { /* one instance */
    struct spoe_meter responses[6], bytes;
};
enum { STATUS, LENGTH }; /* slots */

static spoe_status handle(void *wctx, struct spoe_request *req, const struct spoe_message *msg)
{
    const struct numbers *me = wctx;
    const struct spoe_value status = spoe_slot(msg, STATUS), length = spoe_slot(msg, LENGTH);
    int64_t n;
    (void)req;
    /* A series for each of a few values that are known before: whatever a server says, there are
     * no more, and none is made while messages come. */
    n = spoe_get_int(&status, &n) && n >= 100 && n < 600 ? n / 100 : 0;
    spoe_meter_count(&me->responses[n], 1);
    if (spoe_get_int(&length, &n))
        spoe_meter_observe(&me->bytes, (double)n);
    return SPOE_OK;
}

static spoe_status configure(const struct spoe_host *host, struct spoe_instance *self,
                             struct spoe_config *cfg, void **ret_inst)
{
    static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    static const double bounds[] = {1000, 10000, 100000, 1000000};
    struct numbers *me = calloc(1, sizeof *me);
    (void)cfg;
    if (me == NULL)
        return SPOE_E_NOMEM;
    const struct spoe_meter family =
        spoe_meter_counter(host, self, "responses_total", "Responses by their status",
                           (const char *const[]){"class", NULL});
    for (size_t i = 0; i < 6; i++) {
        const struct spoe_span label = spoe_str(classes[i]);
        me->responses[i] = spoe_meter_series(family, &label);
    }
    me->bytes = spoe_meter_histogram(host, self, "response_bytes",
                                     "Length of bodies, where it is known", bounds, 4);
    return *ret_inst = me, SPOE_OK;
}

SPOE_PLUGIN(
    "numbers", .version = "1.0", .help = "counts responses",
    .messages = SPOE_MESSAGES(SPOE_MESSAGE(
        "response", .event = "on-http-response", .help = "a response",
        .args = SPOE_ARGS([STATUS] = SPOE_ARG("status", .types = SPOE_ACCEPT_INT,
                                              .expression = "status"),
                          [LENGTH] = SPOE_ARG("length", .types = SPOE_ACCEPT_INT,
                                              .expression = "res.hdr_val(content-length)")))),
    .configure = configure, .handle = handle, .destroy = free);
