/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/trace.c - `spoe-host ctl trace`: one request is traced, whatever the sampler says. It
 * asks for a new trace by its id (the option trace-once of plugins that have it), says which header
 * makes a request part of it, and waits until such a request has ended (the page /requests), or
 * until the trace is asked for no more: a plugin waits for one, the last that it was asked for.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/shown.h"

#define TEXT_MAX 600u
#define OPTION ".trace-once"
#define LOOK_MS 500                         /* between two looks */
#define WAIT_NS (INT64_C(600) * 1000000000) /* as long as it is asked for */
#define ID_DIGITS 32u

/* @return 0; -1, said */
static int make_id(char ret[ID_DIGITS + 1], unsigned n)
{
    unsigned char bytes[ID_DIGITS / 2];

    if (getrandom(bytes, n / 2, 0) != (ssize_t)(n / 2)) {
        (void)fputs("spoe-host ctl: no random bytes\n", stderr);
        return -1;
    }
    bytes[0] |= 1; /* no id is all zeros */
    for (unsigned i = 0; i < n / 2; i++)
        (void)snprintf(ret + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return 0;
}

/* Whoever looks so has that request kept, however many come after it. @return the exit status */
static int ask_requests(const struct client *client, const char *id, json_t **ret)
{
    char body[ID_DIGITS + 32];

    (void)snprintf(body, sizeof body, "{\"trace\": \"%s\"}", id);
    return ctl_ask_json(client, "/requests", body, ret);
}

/* @return the exit status */
static int ask_plugin(const struct client *client, const char *option, const char *id)
{
    struct client_answer answer;
    json_t *pairs = json_pack("{s:s}", option, id);
    char *body = pairs != NULL ? json_dumps(pairs, 0) : NULL;
    int result = CTL_REFUSED;

    if (body == NULL)
        (void)fputs("spoe-host ctl: out of memory\n", stderr);
    else
        result = ctl_ask(client, "/control", body, &answer);
    if (result == CTL_OK)
        client_answer_fini(&answer);
    free(body);
    json_decref(pairs);
    return result;
}

/* Whether it is a plugin's trace-once. @param ret  its name */
static bool is_ours(const json_t *option, const char **ret)
{
    const char *name = json_string_value(json_object_get(option, "option"));
    const size_t len = name != NULL ? strlen(name) : 0;

    *ret = name;
    return len >= strlen(OPTION) && strcmp(name + len - strlen(OPTION), OPTION) == 0;
}

/* Have each plugin that can wait for it. @return the exit status */
static int ask_for(const struct client *client, const char *id)
{
    const json_t *options, *option;
    const char *name;
    json_t *page;
    unsigned n = 0;
    size_t i;
    int result = ctl_ask_json(client, "/control", NULL, &page);

    if (result != CTL_OK)
        return result;
    options = json_object_get(page, "options");
    json_array_foreach(options, i, option)
    {
        if (!is_ours(option, &name))
            continue;
        result = ask_plugin(client, name, id);
        if (result != CTL_OK)
            break;
        n++;
    }
    json_decref(page);
    if (result == CTL_OK && n == 0) {
        (void)fputs("spoe-host ctl: no plugin that is loaded traces\n", stderr);
        return CTL_REFUSED;
    }
    return result;
}

/* Whether a plugin still waits for it. @return the exit status */
static int look_at_options(const struct client *client, const char *id, bool *ret)
{
    const json_t *options, *option;
    const char *name;
    json_t *page;
    size_t i;
    const int result = ctl_ask_json(client, "/control", NULL, &page);

    *ret = false;
    if (result != CTL_OK)
        return result;
    options = json_object_get(page, "options");
    json_array_foreach(options, i, option)
    {
        const char *value = json_string_value(json_object_get(option, "value"));

        *ret |= is_ours(option, &name) && value != NULL && strcmp(value, id) == 0;
    }
    json_decref(page);
    return CTL_OK;
}

static void print_request(const json_t *request)
{
    static const char *const members[] = {"method",   "target",  "status", "client",
                                          "frontend", "backend", "server", "exported"};
    char text[TEXT_MAX];

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        (void)printf("  %-9s %s\n", members[i],
                     shown_member(request, members[i], text, sizeof text));
}

static json_int_t number_of(const json_t *request)
{
    return json_integer_value(json_object_get(request, "n"));
}

/* The first that has ended: the next one with the same header was not asked for. @return whether it
 * is there, and printed */
static bool look(const json_t *page, const char *id)
{
    const json_t *requests = json_object_get(page, "requests"), *request, *first = NULL;
    size_t i;

    json_array_foreach(requests, i, request)
    {
        const char *trace = json_string_value(json_object_get(request, "trace"));

        if (trace != NULL && strcmp(trace, id) == 0 &&
            (first == NULL || number_of(request) < number_of(first)))
            first = request;
    }
    if (first != NULL)
        print_request(first);
    return first != NULL;
}

/* @return the exit status */
static int complain_of_end(void)
{
    (void)fputs(
        "spoe-host ctl: this trace is asked for no more, since another one is, or since the "
        "configuration was read again\n",
        stderr);
    return CTL_REFUSED;
}

int ctl_trace(const struct client *client)
{
    const int64_t end_ns = clock_mono_ns() + WAIT_NS;
    char id[ID_DIGITS + 1], span[ID_DIGITS + 1];
    json_t *page;
    int result;

    if (make_id(id, ID_DIGITS) != 0 || make_id(span, ID_DIGITS / 2) != 0)
        return CTL_REFUSED;
    result = ask_requests(client, id, &page); /* from now on they are kept */
    if (result != CTL_OK)
        return result;
    json_decref(page);
    result = ask_for(client, id);
    if (result != CTL_OK)
        return result;
    (void)printf("send one request with this header, within 10 minutes:\n"
                 "traceparent: 00-%s-%s-01\n",
                 id, span);
    (void)fflush(stdout);
    do {
        bool found, asked_for;

        (void)poll(NULL, 0, LOOK_MS);
        result = look_at_options(client, id, &asked_for);
        if (result == CTL_OK) /* after that: one that has ended before is there */
            result = ask_requests(client, id, &page);
        if (result != CTL_OK)
            return result;
        found = look(page, id);
        json_decref(page);
        if (found)
            return CTL_OK;
        if (!asked_for)
            return complain_of_end();
    } while (clock_mono_ns() < end_ns);
    (void)fputs("spoe-host ctl: no such request has ended\n", stderr);
    return CTL_REFUSED;
}
