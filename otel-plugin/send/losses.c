/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/losses.c - reasons and how often, as text. */
#include "send/losses.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct writer {
    char *text;
    size_t used;
    const char *title; /* of the reasons that follow; NULL: it is written */
};

static void add(struct writer *w, const char *reason, uint64_t before, uint64_t now)
{
    int n;

    if (now <= before)
        return;
    if (w->title != NULL)
        n = snprintf(w->text + w->used, LOSSES_TEXT_MAX - w->used, "%s%s: %" PRIu64 " %s",
                     w->used > 0 ? "; " : "", w->title, now - before, reason);
    else
        n = snprintf(w->text + w->used, LOSSES_TEXT_MAX - w->used, ", %" PRIu64 " %s", now - before,
                     reason);
    assert(n > 0 && (size_t)n < LOSSES_TEXT_MAX - w->used); /* 12 reasons of 40 bytes, 2 titles */
    w->used += (size_t)n;
    w->title = NULL;
}

bool losses_format(const struct losses *before, const struct losses *now, char ret[LOSSES_TEXT_MAX])
{
    struct writer w = {.text = ret, .title = "spans lost"};

    ret[0] = '\0';
#define X(name) add(&w, #name, before->spans.name, now->spans.name);
    EXPORTER_LOSSES(X)
#undef X
    w.title = "messages ignored";
#define X(name) add(&w, #name, before->ignored.name, now->ignored.name);
    LOSSES_IGNORED(X)
#undef X
    return w.used > 0;
}
