/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/metrics_rules.c - what may be declared: Prometheus' rules for names, and bounds. */
#include <math.h>

#include "core/metrics_impl.h"

#define DECL_SIZE_1_0 (offsetof(struct spoe_metric_decl, bounds) + sizeof(double *))

bool metric_is_word(const char *s, size_t max)
{
    size_t n = strnlen(s, max + 1);

    if (n == 0 || n > max || s[0] < 'a' || s[0] > 'z')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* Whether the first n bytes of s end in `suffix`. */
static bool ends_in(const char *s, size_t n, const char *suffix)
{
    size_t len = strlen(suffix);

    return n >= len && memcmp(s + n - len, suffix, len) == 0;
}

static bool has_other_unit(const char *s, size_t n)
{
    static const char *const others[] = {
        "_ns",      "_us",    "_ms",   "_nanoseconds", "_microseconds", "_milliseconds",
        "_minutes", "_hours", "_days", "_kilobytes",   "_megabytes",    "_gigabytes",
        "_kb",      "_mb",    "_gb",   "_bits",        "_percent",
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (ends_in(s, n, others[i]))
            return true;
    }
    return false;
}

/* What can be wrong with a declaration: these return 0, or -1 with *reterr. */
static int check_name(const char *prefix, const struct spoe_metric_decl *decl, struct error *reterr)
{
    const char *name = decl->name;
    size_t n;
    bool total;

    if (name == NULL || !metric_is_word(name, METRIC_NAME_MAX - strlen(prefix)))
        return error_set(
            reterr, "a name is [a-z0-9_], begins with a letter, and has at most 100 bytes in all");
    n = strlen(name);
    total = ends_in(name, n, "_total");
    if (prefix[0] == '\0' && (strncmp(name, "spoe_", 5) == 0 || strncmp(name, "process_", 8) == 0))
        return error_set(reterr, "names that begin with spoe_ or process_ are the host's");
    if (total != (decl->type == SPOE_METRIC_COUNTER))
        return error_set(reterr, total ? "only a counter's name ends in _total"
                                       : "a counter's name ends in _total");
    if (ends_in(name, n, "_bucket") || ends_in(name, n, "_sum") || ends_in(name, n, "_count"))
        return error_set(reterr, "a name cannot end in _bucket, _sum or _count");
    if (has_other_unit(name, total ? n - strlen("_total") : n))
        return error_set(reterr, "the unit is a base unit, such as _seconds or _bytes");
    return 0;
}

static int check_labels(const struct spoe_metric_decl *decl, struct error *reterr)
{
    for (size_t i = 0; decl->labels != NULL && decl->labels[i] != NULL; i++) {
        if (i == SPOE_METRIC_LABELS_MAX)
            return error_set(reterr, "at most 8 labels");
        if (!metric_is_word(decl->labels[i], METRIC_LABEL_MAX) ||
            strcmp(decl->labels[i], "le") == 0)
            return error_set(
                reterr,
                "a label's name is [a-z0-9_], begins with a letter, has at most 40 bytes and "
                "is not le");
        for (size_t j = 0; j < i; j++) {
            if (strcmp(decl->labels[i], decl->labels[j]) == 0)
                return error_set(reterr, "two labels have one name");
        }
    }
    return 0;
}

static int check_bounds(const struct spoe_metric_decl *decl, struct error *reterr)
{
    char text[2][METRIC_NUMBER_TEXT_MAX];

    if (decl->type != SPOE_METRIC_HISTOGRAM)
        return decl->n_bounds == 0 ? 0 : error_set(reterr, "only a histogram has bounds");
    if (decl->n_bounds == 0 || decl->n_bounds > SPOE_METRIC_BOUNDS_MAX || decl->bounds == NULL)
        return error_set(reterr, "a histogram has 1 to 64 bounds");
    for (uint32_t i = 0; i < decl->n_bounds; i++) {
        if (!isfinite(decl->bounds[i]))
            return error_set(reterr, "a bound is not finite");
        metric_number_text(decl->bounds[i], text[i % 2]);
        if (i > 0 && (decl->bounds[i] <= decl->bounds[i - 1] || strcmp(text[0], text[1]) == 0))
            return error_set(reterr, "bounds must rise");
    }
    return 0;
}

struct metric_decl_more metric_decl_more(const struct spoe_metric_decl *decl)
{
    struct metric_decl_more more = {.flags = 0};

    if (decl->size >= offsetof(struct spoe_metric_decl, overflow) + sizeof decl->overflow)
        more = (struct metric_decl_more){.flags = decl->flags, .overflow = decl->overflow};
    return more;
}

bool metric_is_unprefixed(const struct spoe_metric_decl *decl)
{
    return (metric_decl_more(decl).flags & SPOE_METRIC_UNPREFIXED) != 0;
}

static int check_more(const struct spoe_metric_decl *decl, struct error *reterr)
{
    const struct metric_decl_more more = metric_decl_more(decl);

    if ((more.flags & ~(uint32_t)(SPOE_METRIC_UNPREFIXED | SPOE_METRIC_EXEMPLARS)) != 0)
        return error_set(reterr, "unknown flags");
    if ((more.flags & SPOE_METRIC_EXEMPLARS) != 0 && decl->type != SPOE_METRIC_HISTOGRAM)
        return error_set(reterr, "only a histogram has exemplars");
    if (more.overflow != NULL && !metric_is_word(more.overflow, METRIC_LABEL_MAX))
        return error_set(reterr, "the name of the overflow is no label's");
    return 0;
}

int metric_check_decl(const char *prefix, const struct spoe_metric_decl *decl, struct error *reterr)
{
    if (decl->size < DECL_SIZE_1_0)
        return error_set(reterr, "the declaration is too short");
    if (decl->type < SPOE_METRIC_COUNTER || decl->type > SPOE_METRIC_HISTOGRAM)
        return error_set(reterr, "unknown type");
    if (decl->help == NULL || decl->help[0] == '\0')
        return error_set(reterr, "no help");
    if (check_name(prefix, decl, reterr) != 0 || check_labels(decl, reterr) != 0)
        return -1;
    if (check_more(decl, reterr) != 0)
        return -1;
    return check_bounds(decl, reterr);
}
