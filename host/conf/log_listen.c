/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/log_listen.c - see log_listen.h. */
#include "conf/log_listen.h"

#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"

static const struct kind {
    const char *prefix;
    bool datagram, octets, is_unix;
} kinds[] = {
    {"udp:", true, false, false},  {"unixgram:", true, false, true},
    {"tcp:", false, false, false}, {"tcp+octet:", false, true, false},
    {"unix:", false, false, true},
};

/* The address of a kind, which it is parsed as: "unix:/path", or HOST:PORT. */
static int parse_address(const struct kind *kind, const char *address, struct host_listen *ret,
                         struct error *reterr)
{
    static const char prefix[] = "unix:";
    char *text;
    int result;

    if (!kind->is_unix) {
        if (strncmp(address, prefix, sizeof prefix - 1) != 0)
            return listen_parse(address, ret, reterr);
        (void)error_set(reterr, "expected HOST:PORT after %s", kind->prefix);
        return 1;
    }
    text = malloc(sizeof prefix + strlen(address));
    if (text == NULL)
        return -1;
    memcpy(text, prefix, sizeof prefix - 1);
    memcpy(text + sizeof prefix - 1, address, strlen(address) + 1);
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

        if (strncmp(item, kind->prefix, strlen(kind->prefix)) != 0)
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
                            "unixgram:/PATH or unix:/PATH");
    return 1;
}
