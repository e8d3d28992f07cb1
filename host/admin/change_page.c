/* SPDX-License-Identifier: Apache-2.0 */
/* host/admin/change_page.c - see change_page.h. */
#include "admin/change_page.h"

#include <stdlib.h>
#include <string.h>

#include "admin/view.h"
#include "base/container_of.h"
#include "base/text.h"
#include "conf/option.h"
#include "conf/print.h"

bool change_is_for(const struct spoe_option *option)
{
    return (option->flags & SPOE_OPTION_RELOADABLE) != 0 && !option_is_secret(option) &&
           (option->flags & OPTION_NOT_BY_CONTROL) == 0;
}

/* ---- what there is ------------------------------------------------------------------------ */

static void put_text(FILE *out, const char *text)
{
    char *shown = text != NULL ? print_without_userinfo(text) : NULL;

    if (shown != NULL)
        text_put_json(out, (struct spoe_span){shown, strlen(shown)});
    else
        (void)fputs("null", out);
    free(shown);
}

/* @param separator  before the first of them, and what comes before the next */
static void put_section(FILE *out, const struct conf_section *section, const char **separator)
{
    const struct spoe_option *option;

    for (size_t i = 0; (option = conf_section_option(section, i)) != NULL; i++) {
        const struct spoe_setting *setting = conf_setting(section, i);
        const char *text = conf_setting_text(section, i);

        if (!option_has_key(option) || !change_is_for(option))
            continue;
        if (text == NULL && setting->value.type != SPOE_T_NULL)
            text = setting->raw.p;
        (void)fprintf(out, "%s    {\"option\": \"%s.%s\", \"value\": ", *separator,
                      conf_section_name(section), option->key);
        put_text(out, text);
        (void)fputs(", \"origin\": ", out);
        text_put_json(out, setting->origin);
        (void)fputs(", \"help\": ", out);
        put_text(out, option->help);
        (void)fputs("}", out);
        *separator = ",\n";
    }
}

int page_control(void *arg, FILE *out)
{
    struct view *view = arg;
    const char *separator = "\n";

    (void)fputs("{\n  \"options\": [", out);
    (void)pthread_mutex_lock(&view->settings_lock);
    put_section(out, view->conf->settings, &separator);
    for (size_t i = 0; i < view->plugins->n; i++) {
        if (SPOE_HAS(view->plugins->plugin[i]->desc, reconfigure))
            put_section(out, view->plugins->plugin[i]->settings, &separator);
    }
    (void)pthread_mutex_unlock(&view->settings_lock);
    (void)fputs("\n  ]\n}\n", out);
    return 200;
}

/* ---- a change ----------------------------------------------------------------------------- */

static void run(struct handover *handover)
{
    struct changes *changes = container_of(handover, struct changes, handover);

    changes->run(changes->arg, &changes->change);
}

void changes_init(struct changes *changes, void (*run_fn)(void *arg, struct change *change),
                  void *arg)
{
    handover_init(&changes->handover, run);
    changes->run = run_fn;
    changes->arg = arg;
    changes->change.text = NULL;
}

void changes_fini(struct changes *changes)
{
    free(changes->change.text);
    changes->change.text = NULL;
    handover_fini(&changes->handover);
}

/* @return why none can begin now; NULL: one can */
static const char *hindrance(struct view *view)
{
    if (atomic_load(&view->state) == HOST_STARTING)
        return "the host starts";
    return handover_is_idle(&view->changes.handover) ? NULL : "another change is under way";
}

static int end_hopes(FILE *out)
{
    (void)fputs("the host ends: nothing has changed\n", out);
    return 503;
}

static int ask_again(FILE *out, const char *why)
{
    (void)fprintf(out, "%s: nothing has changed, ask again\n", why);
    return ADMIN_BUSY;
}

int page_control_post(void *arg, const struct admin_post *post, FILE *out)
{
    struct view *view = arg;
    struct changes *changes = &view->changes;
    struct change *change = &changes->change;
    const char *why;
    struct error error;

    if (atomic_load(&view->state) == HOST_DRAINING)
        return end_hopes(out);
    why = hindrance(view);
    if (why != NULL)
        return post->waited_ns < CHANGE_TURN_NS ? ADMIN_AGAIN : ask_again(out, why);
    free(change->text);
    change->text = NULL;
    change->status = 500;
    (void)snprintf(change->who, sizeof change->who, "%s", post->who);
    if (json_pairs_parse(post->body, &change->pairs, &error) != 0) {
        (void)fprintf(out, "%s\n", error.text);
        return 400;
    }
    return handover_ask(&changes->handover, &view->mailbox) ? ADMIN_LATER : end_hopes(out);
}

int page_control_later(void *arg, FILE *out)
{
    struct view *view = arg;
    struct changes *changes = &view->changes;
    const struct change *change = &changes->change;

    if (out == NULL) {
        handover_leave(&changes->handover);
        return ADMIN_LATER;
    }
    switch (handover_look(&changes->handover)) {
    case HANDOVER_WAITING:
        return ADMIN_LATER;
    case HANDOVER_OK:
        if (change->text != NULL)
            (void)fwrite(change->text, 1, change->n, out);
        return change->status;
    case HANDOVER_NOT_DONE:
        return atomic_load(&view->state) == HOST_DRAINING
                   ? end_hopes(out)
                   : ask_again(out, "the main thread is busy");
    default:
        (void)fputs("the change takes long, and goes on: GET /control shows what came of it\n",
                    out);
        return 503;
    }
}
