/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/auth-request/numbers.c - see numbers.h. */
#include "auth-request/numbers.h"

#include <spoe/util.h>

static const char *const lookup_texts[] = {"hit", "miss", "expired"};
/* What nginx and its like take for one question, up to what a time-out may be. */
static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                0.1,    0.25,  0.5,    1,     2.5,  5,     10};

/* One family, with a series for each text of its only label. */
static spoe_status labelled(struct numbers *numbers, struct spoe_instance *self, const char *name,
                            const char *help, const char *label, const char *const *texts, size_t n,
                            struct spoe_metric **ret)
{
    const char *const labels[] = {label, NULL};
    const struct spoe_metric_decl decl = {.size = sizeof decl,
                                          .type = SPOE_METRIC_COUNTER,
                                          .name = name,
                                          .help = help,
                                          .labels = labels};
    struct spoe_metric_family *family;
    const spoe_status status = numbers->facet->declare(self, &decl, &family);

    for (size_t i = 0; status == SPOE_OK && i < n; i++) {
        const struct spoe_span value = spoe_str(texts[i]);

        ret[i] = numbers->facet->series(family, &value);
    }
    return status;
}

static spoe_status single(struct numbers *numbers, struct spoe_instance *self, uint32_t type,
                          const char *name, const char *help, struct spoe_metric **ret)
{
    const struct spoe_metric_decl decl = {
        .size = sizeof decl,
        .type = type,
        .name = name,
        .help = help,
        .n_bounds = type == SPOE_METRIC_HISTOGRAM ? sizeof bounds / sizeof bounds[0] : 0,
        .bounds = type == SPOE_METRIC_HISTOGRAM ? bounds : NULL};
    struct spoe_metric_family *family;
    const spoe_status status = numbers->facet->declare(self, &decl, &family);

    if (status == SPOE_OK)
        *ret = numbers->facet->series(family, NULL);
    return status;
}

static spoe_status declare_singles(struct numbers *numbers, struct spoe_instance *self)
{
    const struct {
        uint32_t type;
        const char *name, *help;
        struct spoe_metric **ret;
    } all[] = {
        {SPOE_METRIC_COUNTER, "coalesced_total",
         "Requests that share the answer to a question that was under way", &numbers->coalesced},
        {SPOE_METRIC_COUNTER, "cache_evicted_total",
         "Kept answers that made room before their time", &numbers->evicted},
        {SPOE_METRIC_COUNTER, "cache_not_kept_total",
         "Answers that were to be kept and could not, being too large or for want of memory",
         &numbers->not_kept},
        {SPOE_METRIC_COUNTER, "connections_total", "Connections made to the service",
         &numbers->connections},
        {SPOE_METRIC_GAUGE, "in_flight", "Questions under way", &numbers->in_flight},
        {SPOE_METRIC_GAUGE, "in_flight_bytes",
         "Bytes that questions under way and their answers may take", &numbers->in_flight_bytes},
        {SPOE_METRIC_GAUGE, "cache_entries", "Answers that are kept", &numbers->entries},
        {SPOE_METRIC_GAUGE, "cache_bytes", "Bytes of answers that are kept", &numbers->bytes},
        {SPOE_METRIC_HISTOGRAM, "service_seconds",
         "From a question to the end of the service's answer", &numbers->seconds},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const spoe_status status =
            single(numbers, self, all[i].type, all[i].name, all[i].help, all[i].ret);

        if (status != SPOE_OK)
            return status;
    }
    return SPOE_OK;
}

spoe_status numbers_declare(struct numbers *numbers, const struct spoe_host *host,
                            struct spoe_instance *self)
{
    spoe_status status;

    *numbers = (struct numbers){.facet = host->get_extension(self, SPOE_METRICS_1)};
    if (numbers->facet == NULL)
        return SPOE_OK;
    status = labelled(numbers, self, "answers_total", "Requests by how they were answered",
                      "reason", reason_texts, REASON_COUNT, numbers->answers);
    if (status == SPOE_OK)
        status = labelled(numbers, self, "questions_total",
                          "Questions put to the service by how they ended", "reason", reason_texts,
                          REASON_OF_QUESTION_COUNT, numbers->questions);
    if (status == SPOE_OK)
        status = labelled(numbers, self, "cache_lookups_total", "Searches among kept answers",
                          "result", lookup_texts, LOOKUP_COUNT, numbers->lookups);
    return status == SPOE_OK ? declare_singles(numbers, self) : status;
}
