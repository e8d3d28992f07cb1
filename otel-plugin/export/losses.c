/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/export/losses.c - reasons and how often, as text. */
#include "export/losses.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct writer {
    char *text;
    size_t used;
};

static void add(struct writer *w, const char *reason, uint64_t before, uint64_t now)
{
    int n;

    if (now <= before)
        return;
    n = snprintf(w->text + w->used, LOSSES_TEXT_MAX - w->used, "%s%" PRIu64 " %s",
                 w->used > 0 ? ", " : "", now - before, reason);
    assert(n > 0 && (size_t)n < LOSSES_TEXT_MAX - w->used); /* eight reasons of 40 bytes at most */
    w->used += (size_t)n;
}

bool losses_format(const struct exporter_losses *before, const struct exporter_losses *now,
                   char ret[LOSSES_TEXT_MAX])
{
    struct writer w = {.text = ret};

    ret[0] = '\0';
#define X(name) add(&w, #name, before->name, now->name);
    EXPORTER_LOSSES(X)
#undef X
    return w.used > 0;
}
