/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/send/log.c - texts by a hash, counts as text, the states of failing, and the lines.
 */
#include "send/log.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#include "otlp/signals.h"

/* ---- texts --------------------------------------------------------------------------------- */

/* By a hash of what is not a number in them. */

/* So much of the start is taken as it is: the number in "HTTP 503" says what the text is about. */
#define HEAD_BYTES 8u

static uint64_t add(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(1099511628211); /* FNV-1a */
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A word with a digit in it counts as a number, since hexadecimal ids are such words. */
static uint64_t key_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < HEAD_BYTES && *text != '\0'; i++)
        hash = add(hash, *text++);
    while (*text != '\0') {
        size_t n = 0;
        bool number = false;

        for (; is_word(text[n]); n++)
            number |= isdigit((unsigned char)text[n]) != 0;
        if (n == 0) {
            hash = add(hash, *text++);
            continue;
        }
        for (size_t i = 0; i < n && !number; i++)
            hash = add(hash, text[i]);
        if (number)
            hash = add(hash, '0');
        text += n;
    }
    return hash;
}

static void forget(struct texts *texts, int64_t now_ns, int64_t forget_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < texts->_n; i++)
        if (now_ns - texts->_item[i].seen_ns <= forget_ns)
            texts->_item[kept++] = texts->_item[i];
    texts->_n = kept;
}

bool texts_is_new(struct texts *texts, const char *text, int64_t now_ns, int64_t forget_ns)
{
    const uint64_t key = key_of(text);

    forget(texts, now_ns, forget_ns);
    for (size_t i = 0; i < texts->_n; i++) {
        if (texts->_item[i].key == key) {
            texts->_item[i].seen_ns = now_ns;
            return false;
        }
    }
    if (texts->_n == TEXTS_MAX)
        return false;
    texts->_item[texts->_n].key = key;
    texts->_item[texts->_n++].seen_ns = now_ns;
    return true;
}

/* ---- losses -------------------------------------------------------------------------------- */

#define LOSSES_TEXT_MAX 768u

struct writer {
    char *text;
    size_t used;
    const char *title; /* of the reasons that follow; NULL: it is written */
};

static void add_loss(struct writer *w, const char *reason, uint64_t before, uint64_t now)
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

/*
 * What has grown: "spans lost: 15 queue_full, 512 not_retryable; messages ignored: 3 missing_id",
 * or one half of it.
 * @return false: nothing has
 */
static bool format_losses(const struct export_log *r, const struct export_losses *losses,
                          const struct export_ignored *ignored, char ret[LOSSES_TEXT_MAX])
{
    char title[32];
    struct writer w = {.text = ret, .title = title};

    (void)snprintf(title, sizeof title, "%s lost", signal_names(r->signal)->items);
    ret[0] = '\0';
#define X(name) add_loss(&w, #name, r->_losses_told.name, losses->name);
    EXPORT_LOSSES(X)
#undef X
    w.title = "messages ignored";
#define X(name, reason) add_loss(&w, #reason, r->_ignored_told.name, ignored->name);
    EXPORT_IGNORED(X)
#undef X
    return w.used > 0;
}

/* ---- the log ------------------------------------------------------------------------------- */

#define NS_PER_S 1e9

#define LOG(r, level, ...)                                                                         \
    do {                                                                                           \
        if ((r)->host != NULL)                                                                     \
            spoe_logf((r)->host, (r)->self, (level), __VA_ARGS__);                                 \
    } while (0)

void export_log_init(struct export_log *r)
{
    (void)pthread_mutex_init(&r->_lock, NULL); /* with default attributes it cannot fail */
}

void export_log_fini(struct export_log *r)
{
    (void)pthread_mutex_destroy(&r->_lock);
}

static void lock(struct export_log *r)
{
    int rc = pthread_mutex_lock(&r->_lock);

    assert(rc == 0);
    (void)rc;
}

static void unlock(struct export_log *r)
{
    int rc = pthread_mutex_unlock(&r->_lock);

    assert(rc == 0);
    (void)rc;
}

/* "export", "export of logs". */
static const char *export_of(const struct export_log *r)
{
    static const char *const texts[N_SIGNALS] = {[SIGNAL_TRACES] = "export",
                                                 [SIGNAL_LOGS] = "export of logs",
                                                 [SIGNAL_METRICS] = "export of metrics"};

    return texts[r->signal];
}

/* The host's page hears of an outage only when it has lasted. */
static void note_failure(struct export_log *r, int64_t now_ns, const char *text)
{
    char line[SPOE_HEALTH_TEXT_MAX];

    if (!r->_is_vain)
        r->_vain_ns = now_ns;
    r->_is_vain = true;
    if (r->health == NULL || now_ns - r->_vain_ns < EXPORT_HEALTH_NS)
        return;
    (void)snprintf(line, sizeof line, "%s to %s has failed for more than a minute: %s",
                   export_of(r), r->target, text);
    export_health_fails(r->health, r->signal, line);
}

static void note_success(struct export_log *r)
{
    if (r->_is_vain && r->health != NULL)
        export_health_works(r->health, r->signal);
    r->_is_vain = false;
}

void export_log_failure(struct export_log *r, int64_t now_ns, const char *text, size_t waiting,
                        int64_t wait_ns)
{
    bool soon, news;

    lock(r);
    soon = r->_state == EXPORT_LOG_WORKING && now_ns - r->_last_ns < EXPORT_LOG_STEADY_NS;
    if (r->_state == EXPORT_LOG_FINE || (r->_state == EXPORT_LOG_WORKING && !soon) ||
        (r->_state == EXPORT_LOG_UNSTEADY && now_ns - EXPORT_LOG_STEADY_NS >= r->_works_ns)) {
        r->_state = EXPORT_LOG_FAILING;
        r->_reasons = (struct texts){._n = 0};
        r->_failures = 0;
        r->_first_ns = now_ns;
    }
    r->_failures++;
    r->_last_ns = now_ns;
    note_failure(r, now_ns, text);
    r->_works_ns = INT64_MAX;
    news = texts_is_new(&r->_reasons, text, now_ns, INT64_MAX);
    if (soon) {
        r->_state = EXPORT_LOG_UNSTEADY;
        LOG(r, SPOE_LOG_WARNING,
            "%s to %s fails again: %s; %zu %s wait; until it has worked for %d minutes only "
            "other reasons are told",
            export_of(r), r->target, text, waiting, signal_names(r->signal)->items,
            EXPORT_LOG_STEADY_MINUTES);
    } else if (news) {
        LOG(r, SPOE_LOG_WARNING, "%s to %s failed: %s; %zu %s wait, next try in %.1f s",
            export_of(r), r->target, text, waiting, signal_names(r->signal)->items,
            (double)wait_ns / NS_PER_S);
    }
    unlock(r);
}

void export_log_success(struct export_log *r, int64_t now_ns)
{
    lock(r);
    note_success(r);
    if (r->_works_ns == INT64_MAX)
        r->_works_ns = now_ns;
    if (r->_unsupported_told)
        LOG(r, SPOE_LOG_NOTICE, "%s takes %s now", r->target, signal_names(r->signal)->name);
    r->_unsupported_told = false;
    if (r->_state == EXPORT_LOG_FAILING) {
        r->_state = EXPORT_LOG_WORKING;
        LOG(r, SPOE_LOG_NOTICE, "%s to %s works again, after %.1f s; failed attempts: %" PRIu64,
            export_of(r), r->target, (double)(now_ns - r->_first_ns) / NS_PER_S, r->_failures);
    } else if (r->_state == EXPORT_LOG_UNSTEADY && now_ns - r->_last_ns >= EXPORT_LOG_STEADY_NS) {
        r->_state = EXPORT_LOG_FINE;
        LOG(r, SPOE_LOG_NOTICE,
            "%s to %s works again, for %d minutes without a failure; failed attempts in the "
            "%.1f s before: %" PRIu64,
            export_of(r), r->target, EXPORT_LOG_STEADY_MINUTES,
            (double)(r->_last_ns - r->_first_ns) / NS_PER_S, r->_failures);
    }
    unlock(r);
}

void export_log_unsupported(struct export_log *r, const char *text, int64_t pause_ns)
{
    const struct signal_names *names = signal_names(r->signal);
    char then[96] = "each batch is tried";

    if (pause_ns > 0)
        (void)snprintf(then, sizeof then,
                       "%s are thrown away and counted, but for one request in %.0f s",
                       names->items, (double)pause_ns / NS_PER_S);
    lock(r);
    if (!r->_unsupported_told)
        LOG(r, SPOE_LOG_WARNING,
            "%s takes no %s (%s): set %s, or an endpoint for %s that does; until then %s",
            r->target, names->name, text, names->off, names->name, then);
    r->_unsupported_told = true;
    unlock(r);
}

void export_log_warning(struct export_log *r, int64_t now_ns, const char *text)
{
    lock(r);
    if (texts_is_new(&r->_warnings, text, now_ns, EXPORT_LOG_FORGET_NS))
        LOG(r, SPOE_LOG_WARNING, "the collector took all %s but warns: %s",
            signal_names(r->signal)->items, text);
    unlock(r);
}

void export_log_attributes(struct export_log *r, uint32_t attributes, uint32_t events)
{
    lock(r);
    if (!r->_attributes_told)
        LOG(r, SPOE_LOG_WARNING,
            "a %s was made without %" PRIu32 " attributes and %" PRIu32
            " events that it should have: over a limit, with a key that cannot be, or for want of "
            "memory; from now on they are only counted, as attributes_dropped and events_dropped",
            signal_names(r->signal)->item, attributes, events);
    r->_attributes_told = true;
    unlock(r);
}

void export_log_quote(struct export_log *r, const char *text)
{
    if (text[0] == '\0')
        return;
    lock(r);
    (void)snprintf(r->_quote, sizeof r->_quote, "%s", text);
    unlock(r);
}

void export_log_losses(struct export_log *r, int64_t now_ns, const struct export_losses *losses,
                       const struct export_ignored *ignored, bool at_once)
{
    char text[LOSSES_TEXT_MAX];

    lock(r);
    if ((at_once || now_ns >= r->_losses_next_ns) && format_losses(r, losses, ignored, text)) {
        LOG(r, SPOE_LOG_WARNING, "%s%s%s", text, r->_quote[0] != '\0' ? "; " : "", r->_quote);
        r->_losses_next_ns = now_ns + EXPORT_LOG_LOSSES_EVERY_NS;
        r->_losses_told = *losses;
        r->_ignored_told = *ignored;
        r->_quote[0] = '\0';
    }
    unlock(r);
}
