/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ctl/trace.c - `spoe-host ctl trace`: one request is traced, whatever the sampler says. It
 * asks for a new trace by its id (the option trace-once of plugins that have it), says which header
 * makes a request part of it, and waits until such a request has ended (the page /requests).
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/json.h"

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

/* Have each plugin that can wait for it. @return the exit status */
static int ask_for(const struct client *client, const char *id)
{
    struct client_answer page, answer;
    struct spoe_span options, option;
    unsigned n = 0;
    int result = ctl_ask(client, "/control", NULL, &page);

    if (result != CTL_OK)
        return result;
    options = json_member((struct spoe_span){page.text, page.n}, "options");
    for (size_t i = 0; result == CTL_OK && (option = json_element(options, i)).p != NULL; i++) {
        char name[TEXT_MAX], body[2 * TEXT_MAX];
        const size_t len = strlen(json_text(json_member(option, "option"), name, sizeof name));

        if (len < strlen(OPTION) || strcmp(name + len - strlen(OPTION), OPTION) != 0)
            continue;
        (void)snprintf(body, sizeof body, "{\"%s\": \"%s\"}", name, id);
        result = ctl_ask(client, "/control", body, &answer);
        if (result == CTL_OK)
            client_answer_fini(&answer);
        n++;
    }
    client_answer_fini(&page);
    if (result == CTL_OK && n == 0) {
        (void)fputs("spoe-host ctl: no plugin that is loaded traces\n", stderr);
        return CTL_REFUSED;
    }
    return result;
}

static void print_request(struct spoe_span request)
{
    static const char *const members[] = {"method",   "target",  "status", "client",
                                          "frontend", "backend", "server"};
    char text[TEXT_MAX];

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        (void)printf("  %-9s %s\n", members[i],
                     json_text(json_member(request, members[i]), text, sizeof text));
    (void)printf("  %-9s %s\n", "exported",
                 json_text(json_member(request, "sampled"), text, sizeof text));
}

/* @return whether it is there, and printed */
static bool look(const struct client_answer *page, const char *id)
{
    const struct spoe_span requests =
        json_member((struct spoe_span){page->text, page->n}, "requests");
    struct spoe_span request;
    char trace[TEXT_MAX];

    for (size_t i = 0; (request = json_element(requests, i)).p != NULL; i++) {
        if (strcmp(json_text(json_member(request, "trace"), trace, sizeof trace), id) != 0)
            continue;
        print_request(request);
        return true;
    }
    return false;
}

int ctl_trace(const struct client *client)
{
    const int64_t end_ns = clock_mono_ns() + WAIT_NS;
    char id[ID_DIGITS + 1], span[ID_DIGITS + 1];
    struct client_answer page;
    int result;

    if (make_id(id, ID_DIGITS) != 0 || make_id(span, ID_DIGITS / 2) != 0)
        return CTL_REFUSED;
    result = ctl_ask(client, "/requests", "{}", &page); /* from now on they are kept */
    if (result != CTL_OK)
        return result;
    client_answer_fini(&page);
    result = ask_for(client, id);
    if (result != CTL_OK)
        return result;
    (void)printf("send one request with this header, within 10 minutes:\n"
                 "traceparent: 00-%s-%s-01\n",
                 id, span);
    (void)fflush(stdout);
    do {
        bool found;

        (void)poll(NULL, 0, LOOK_MS);
        result = ctl_ask(client, "/requests", "{}", &page);
        if (result != CTL_OK)
            return result;
        found = look(&page, id);
        client_answer_fini(&page);
        if (found)
            return CTL_OK;
    } while (clock_mono_ns() < end_ns);
    (void)fputs("spoe-host ctl: no such request has ended\n", stderr);
    return CTL_REFUSED;
}
