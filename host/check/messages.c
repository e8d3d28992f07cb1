/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/messages.c - see messages.h. */
#include "check/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conf/read_file.h"

#define PIPE_NS (30 * NS_PER_S)

/* Make a message of a line, and keep it. @return 0; -1 with *reterr */
static int add(struct messages *m, const struct route_table *routes, const char *text, size_t n,
               struct error *reterr)
{
    struct message **grown = realloc(m->item, (m->n + 1) * sizeof(struct message *));
    struct message *item = calloc(1, sizeof *item);
    const struct route *route;

    if (grown != NULL)
        m->item = grown;
    if (grown == NULL || item == NULL || (item->text = strndup(text, n)) == NULL) {
        free(item);
        return error_set(reterr, "out of memory");
    }
    m->item[m->n++] = item;
    if (script_read(item->text, strlen(item->text), &item->line, reterr) != 0)
        return -1;
    if (item->line.kind == SCRIPT_NOTHING) {
        free(item->text);
        free(item);
        m->n--;
        return 0;
    }
    if (item->line.kind == SCRIPT_FRAME)
        return error_set(reterr, "a recorded frame: what it says can be written as a message "
                                 "(spoe-host --try-file shows it)");
    route = route_find(routes, item->line.message);
    if (route == NULL)
        return error_set(reterr, "the plugin takes no message %.*s", (int)item->line.message.n,
                         item->line.message.p);
    item->from_log = route->from_log;
    return frame_values(route, &item->line, item->args, reterr);
}

static const char *example_of(uint32_t types)
{
    if ((types & SPOE_ACCEPT_STR) != 0)
        return "x";
    if ((types & SPOE_MASK(SPOE_T_IPV4)) != 0)
        return "192.0.2.1";
    if ((types & SPOE_ACCEPT_IP) != 0)
        return "2001:db8::1";
    return (types & SPOE_ACCEPT_INT) != 0 ? "1" : (types & SPOE_ACCEPT_BOOL) != 0 ? "true" : "x";
}

/* @return 0; -1 with *reterr */
static int add_declared(struct messages *m, const struct route_table *routes,
                        const struct spoe_message_decl *decl, bool all, struct error *reterr)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    int result;

    if (out == NULL)
        return error_set(reterr, "out of memory");
    (void)fputs(decl->name, out);
    for (size_t i = 0; decl->args != NULL && decl->args[i] != NULL; i++) {
        if (all || (decl->args[i]->flags & SPOE_ARG_REQUIRED) != 0)
            (void)fprintf(out, " %s=%s", decl->args[i]->name, example_of(decl->args[i]->types));
    }
    result =
        fclose(out) == 0 ? add(m, routes, text, n, reterr) : error_set(reterr, "out of memory");
    free(text);
    return result;
}

/* @return 0; -1 with *reterr */
static int read_script(struct messages *m, const char *script, const struct route_table *routes,
                       struct error *reterr)
{
    char *text = NULL, *end;
    struct error wrong;
    unsigned number = 1;
    size_t n;
    int result = 0;

    if (read_file(script, PIPE_NS, &text, &n, reterr) != 0)
        return -1;
    end = text + n;
    for (char *p = text; p < end && result == 0; number++) {
        char *line_end = memchr(p, '\n', (size_t)(end - p));

        if (line_end == NULL)
            line_end = end;
        result = add(m, routes, p, (size_t)(line_end - p), &wrong);
        p = line_end + 1;
    }
    if (result != 0)
        (void)error_set(reterr, "%s:%u: %.900s", script, number - 1, wrong.text);
    free(text);
    if (result == 0 && m->n == 0)
        return error_set(reterr, "%s has no message", script);
    return result;
}

int messages_read(struct messages *ret, const char *script, const struct spoe_instance *plugin,
                  const struct route_table *routes, struct error *reterr)
{
    *ret = (struct messages){.of_script = script != NULL};
    if (script != NULL)
        return read_script(ret, script, routes, reterr);
    for (uint32_t i = 0; i < plugin->n_messages; i++) {
        if (add_declared(ret, routes, plugin->desc->messages[i], true, reterr) != 0 ||
            add_declared(ret, routes, plugin->desc->messages[i], false, reterr) != 0)
            return -1;
    }
    return 0;
}

void messages_free(struct messages *messages)
{
    for (size_t i = 0; i < messages->n; i++) {
        free(messages->item[i]->text);
        free(messages->item[i]);
    }
    free(messages->item);
    *messages = (struct messages){.item = NULL};
}
