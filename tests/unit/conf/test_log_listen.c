/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/log_listen.c, network.c (1.1): where log lines come in, and from whom. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/listen.h"
#include "conf/log_listen.h"
#include "conf/network.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

Test(log_listen, takes_every_kind, .timeout = 10)
{
    static const struct {
        const char *item, *host, *port, *path;
        bool datagram, octets;
        const char *fd_name;
    } cases[] = {
        {"udp:127.0.0.1:12514", "127.0.0.1", "12514", NULL, true, false, NULL},
        {"udp:[::1]:1", "::1", "1", NULL, true, false, NULL},
        {"udp::1", NULL, "1", NULL, true, false, NULL},
        {"tcp:localhost:1", "localhost", "1", NULL, false, false, NULL},
        {"tcp+octet:*:1", NULL, "1", NULL, false, true, NULL},
        {"unix:/run/x", NULL, NULL, "/run/x", false, false, NULL},
        {"unixgram:/run/x", NULL, NULL, "/run/x", true, false, NULL},
        {"fd:log", NULL, NULL, NULL, false, false, "log"},
        {"fd+octet:log", NULL, NULL, NULL, false, true, "log"},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct host_log_listen listen;
        struct error wrong = {{0}};

        cr_assert_eq(log_listen_parse(cases[i].item, &listen, &wrong), 0, "%s: %s", cases[i].item,
                     wrong.text);
        cr_assert_str_eq(listen.at.text, cases[i].item);
        cr_assert(same(listen.at.host, cases[i].host) && same(listen.at.port, cases[i].port) &&
                      same(listen.at.path, cases[i].path) &&
                      same(listen.at.fd_name, cases[i].fd_name),
                  "%s", cases[i].item);
        cr_assert_eq(listen.at.datagram, cases[i].datagram);
        cr_assert_eq(listen.octets, cases[i].octets);
        listen_fini(&listen.at);
    }
}

Test(log_listen, refuses_others, .timeout = 10)
{
    static const char *const items[] = {
        "",
        "127.0.0.1:1",
        "udp:",
        "udp:x",
        "UDP:127.0.0.1:1",
        "tcp+octets:x:1",
        "unix:x",
        "unixgram:",
        "unixgram:x",
        "udp:unix:/x",
        "udp:fd:x",
        "tcp+octet:fd:x",
        "unix:fd:x",
        "fd",
        "fd:",
        "fd+octet:",
        "fd:a:b",
        "fd+octet:a b",
        "fd+octets:x",
        "fd:fd:x",
        "tcp:unix:/x",
        "udp:127.0.0.1:99999",
        "off",
    };

    for (size_t i = 0; i < N(items); i++) {
        struct host_log_listen listen;
        struct error wrong = {{0}};

        cr_assert_eq(log_listen_parse(items[i], &listen, &wrong), 1, "%s", items[i]);
        cr_assert_neq(wrong.text[0], '\0');
    }
}

static bool has(const char *network_text, const char *address)
{
    struct network network;
    struct error wrong = {{0}};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    cr_assert_eq(network_parse(network_text, &network, &wrong), 0, "%s: %s", network_text,
                 wrong.text);
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
        return network_has(&network, (const struct sockaddr *)(const void *)&in);
    cr_assert_eq(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
    return network_has(&network, (const struct sockaddr *)(const void *)&in6);
}

Test(network, has_its_addresses_and_no_others, .timeout = 10)
{
    static const struct {
        const char *network, *in, *out;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"10.0.0.0/8", "::ffff:10.1.2.3", "9.255.255.255"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"192.0.2.4/30", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"0.0.0.0/0", "255.255.255.255", "::1"},
        {"::/0", "2001:db8::1", NULL},
        {"::/0", "10.0.0.1", NULL},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
        {"::1", "::1", "::2"},
        {"::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"},
    };
    const struct sockaddr other = {.sa_family = AF_UNIX};
    struct network all;
    struct error wrong;

    for (size_t i = 0; i < N(cases); i++) {
        cr_assert(has(cases[i].network, cases[i].in), "%s has %s", cases[i].network, cases[i].in);
        if (cases[i].out != NULL)
            cr_assert_not(has(cases[i].network, cases[i].out), "%s has not %s", cases[i].network,
                          cases[i].out);
    }
    cr_assert_eq(network_parse("::/0", &all, &wrong), 0);
    cr_assert_not(network_has(&all, &other));
}

Test(network, refuses_what_is_none, .timeout = 10)
{
    static const char *const texts[] = {
        "",
        "x",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/8x",
        "10.0.0.1/8",
        "10.0.0.1/31",
        "::/129",
        "::1/127",
        "10.0.0/8",
        "localhost",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1",
    };

    for (size_t i = 0; i < N(texts); i++) {
        struct network network;
        struct error wrong = {{0}};

        cr_assert_eq(network_parse(texts[i], &network, &wrong), -1, "%s", texts[i]);
        cr_assert_neq(wrong.text[0], '\0');
    }
}
