/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/log_listen.c - see log_listen.h. */
#include "conf/log_listen.h"

#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"

static const struct kind {
    const char *prefix;
    bool datagram, octets;
    const char *as; /* what `listen` has before such an address; NULL: nothing */
} kinds[] = {
    {"udp:", true, false, NULL},       {"unixgram:", true, false, "unix:"},
    {"tcp:", false, false, NULL},      {"tcp+octet:", false, true, NULL},
    {"unix:", false, false, "unix:"},  {"fd:", false, false, "fd:"},
    {"fd+octet:", false, true, "fd:"},
};

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The address of a kind, which it is parsed as: "unix:/path", "fd:name", or HOST:PORT. */
static int parse_address(const struct kind *kind, const char *address, struct host_listen *ret,
                         struct error *reterr)
{
    const size_t n = kind->as != NULL ? strlen(kind->as) : 0;
    char *text;
    int result;

    if (kind->as == NULL) {
        if (!begins(address, "unix:") && !begins(address, "fd:"))
            return listen_parse(address, ret, reterr);
        (void)error_set(reterr, "expected HOST:PORT after %s", kind->prefix);
        return 1;
    }
    text = malloc(n + strlen(address) + 1);
    if (text == NULL)
        return -1;
    memcpy(text, kind->as, n);
    memcpy(text + n, address, strlen(address) + 1);
    result = listen_parse(text, ret, reterr);
    free(text);
    return result;
}

int log_listen_parse(const char *item, struct host_log_listen *ret, struct error *reterr)
{
    struct host_log_listen listen = {.octets = false};
    char *text;
    int result;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *kind = &kinds[i];

        if (!begins(item, kind->prefix))
            continue;
        result = parse_address(kind, item + strlen(kind->prefix), &listen.at, reterr);
        if (result != 0)
            return result;
        text = strdup(item); /* as it was given, for the log */
        if (text == NULL) {
            listen_fini(&listen.at);
            return -1;
        }
        free(listen.at.text);
        listen.at.text = text;
        listen.at.datagram = kind->datagram;
        listen.octets = kind->octets;
        *ret = listen;
        return 0;
    }
    (void)error_set(reterr, "expected udp:HOST:PORT, tcp:HOST:PORT, tcp+octet:HOST:PORT, "
                            "unixgram:/PATH, unix:/PATH, fd:NAME or fd+octet:NAME");
    return 1;
}
