/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/conf_reread.c - what has changed between two readings, and what is kept. */
#include "conf/conf_parts.h"

#include <assert.h>
#include <string.h>

#include "conf/option.h"

static bool same_span(struct spoe_span a, struct spoe_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool same_value(const struct spoe_value *a, const struct spoe_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) { /* the types of settings */
    case SPOE_T_NULL:
        return true;
    case SPOE_T_BOOL:
        return a->u.b == b->u.b;
    case SPOE_T_UINT32:
        return a->u.u32 == b->u.u32;
    case SPOE_T_STR:
        return same_span(a->u.s, b->u.s);
    case SPOE_T_IPV4:
        return memcmp(a->u.ip4, b->u.ip4, sizeof a->u.ip4) == 0;
    case SPOE_T_IPV6:
        return memcmp(a->u.ip6, b->u.ip6, sizeof a->u.ip6) == 0;
    default:
        return a->u.u64 == b->u.u64;
    }
}

bool conf_setting_same(const struct spoe_setting *a, const struct spoe_setting *b)
{
    return same_value(&a->value, &b->value);
}

int conf_setting_follow(struct conf *conf, struct conf_section *s, size_t i,
                        const struct conf_section *in_use)
{
    const struct spoe_setting *setting = conf_setting(s, i), *old = conf_setting(in_use, i);
    const struct texts *from = &in_use->texts[i];
    const bool by_hand = from->before != NULL;
    struct spoe_span origin;
    bool lenient;

    assert(setting != NULL && old != NULL);
    origin = old->origin;
    lenient = (old->flags & SPOE_SETTING_LENIENT) != 0;
    if (by_hand) { /* what it took the place of says what the environment's variables are worth */
        origin = (struct spoe_span){from->before, strlen(from->before)};
        lenient = from->before_lenient;
    }
    while ((setting->flags & SPOE_SETTING_LENIENT) != 0 &&
           (!lenient || !same_span(setting->origin, origin))) {
        if (conf_set_by_next(conf, s, i) != 0)
            return -1;
    }
    if (s->texts[i].written == NULL && same_span(setting->origin, old->origin) &&
        conf_setting_same(setting, old)) {
        bool ok = true;

        s->texts[i].written = conf_copy(in_use->texts[i].written, &ok);
        return ok ? 0 : -1;
    }
    return 0;
}

int conf_setting_keep(struct conf_section *s, size_t i, const struct conf_section *in_use)
{
    struct spoe_setting *setting = &s->settings[i];
    const struct texts *from = &in_use->texts[i];
    struct texts texts = {.n_rejected = from->n_rejected, .before_lenient = from->before_lenient};
    bool ok = true;

    texts.raw = conf_copy(from->raw, &ok);
    texts.origin = conf_copy(from->origin, &ok);
    texts.written = conf_copy(from->written, &ok);
    texts.secret = conf_copy(from->secret, &ok);
    texts.before = conf_copy(from->before, &ok);
    if (!ok) {
        conf_texts_fini(&texts);
        return -1;
    }
    conf_texts_fini(&s->texts[i]);
    s->texts[i] = texts;
    *setting = in_use->settings[i];
    if (texts.raw != NULL) { /* else it is not set at all */
        setting->raw.p = texts.raw;
        setting->origin.p = texts.origin;
    }
    if (texts.secret != NULL)
        setting->value.u.s.p = texts.secret;
    else if (setting->value.type == SPOE_T_STR)
        setting->value.u.s.p = texts.raw;
    return 0;
}

struct conf_section *conf_section_copy(const struct conf_section *section)
{
    struct conf_section *copy = conf_section_create(section->name, section->options, section->n);

    for (size_t i = 0; copy != NULL && i < section->n; i++) {
        if (conf_setting_keep(copy, i, section) != 0) {
            conf_section_destroy(copy);
            return NULL;
        }
    }
    return copy;
}

bool conf_setting_is_shadowed(struct conf *conf, const struct conf_section *s, size_t i)
{
    const struct entry *file = conf_find_entry(conf, SOURCE_FILE, s->name, s->options[i]->key);
    const struct spoe_setting *setting = conf_setting(s, i);
    struct error err;
    struct spoe_value value;

    if (file == NULL ||
        same_span(setting->origin, (struct spoe_span){file->origin, strlen(file->origin)}))
        return false;
    if (option_parse(s->options[i], file->value, &value, &err) != 0)
        return false;
    if (s->options[i]->type == SPOE_OPT_SECRET) /* where it lies, not what lies there */
        return !same_span(value.u.s, setting->raw);
    return !same_value(&value, &setting->value);
}
