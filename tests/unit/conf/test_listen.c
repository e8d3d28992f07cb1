/* SPDX-License-Identifier: Apache-2.0 */
/* host/conf/listen.c: each form of an address, and each way to get it wrong. */
#include "conf/listen.h"

#include <criterion/criterion.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])
#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define PATH_107 "/" X32 X32 X32 "xxxxxxxxxx"
#define NAME_255 "xx" NAME_253
#define NAME_253 X32 X32 X32 X32 X32 X32 X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

Test(listen_parse, takes_every_form, .timeout = 10)
{
    static const struct {
        const char *item, *host, *port, *path, *fd_name;
    } cases[] = {
        {"0.0.0.0:12345", "0.0.0.0", "12345", NULL, NULL},
        {"localhost:0", "localhost", "0", NULL, NULL},
        {"spoe_agent.example-1.org:65535", "spoe_agent.example-1.org", "65535", NULL, NULL},
        {NAME_253 ":1", NAME_253, "1", NULL, NULL},
        {":12345", NULL, "12345", NULL, NULL},
        {"*:12345", NULL, "12345", NULL, NULL},
        {"[::]:12345", "::", "12345", NULL, NULL},
        {"[::1]:1", "::1", "1", NULL, NULL},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", "1", NULL, NULL},
        {"[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1", "1", NULL, NULL},
        {"unix:/run/spoe.sock", NULL, NULL, "/run/spoe.sock", NULL},
        {"unix:" PATH_107, NULL, NULL, PATH_107, NULL},
        {"fd:spop", NULL, NULL, NULL, "spop"},
        {"fd:a/b,c-~!", NULL, NULL, NULL, "a/b,c-~!"},
        {"fd:" NAME_255, NULL, NULL, NULL, NAME_255},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct host_listen listen;
        struct error wrong = {{0}};
        int result = listen_parse(cases[i].item, &listen, &wrong);

        cr_assert(result == 0, "%s: %s", cases[i].item, wrong.text);
        cr_assert(same(listen.text, cases[i].item));
        cr_assert(same(listen.host, cases[i].host), "%s: host", cases[i].item);
        cr_assert(same(listen.port, cases[i].port), "%s: port", cases[i].item);
        cr_assert(same(listen.path, cases[i].path), "%s: path", cases[i].item);
        cr_assert(same(listen.fd_name, cases[i].fd_name), "%s: fd_name", cases[i].item);
        listen_fini(&listen);
        cr_assert_null(listen.text);
    }
}

Test(listen_parse, says_what_is_wrong, .timeout = 10)
{
    static const char port[] = "the port is a number from 0 to 65535";
    static const char form[] = "expected HOST:PORT, [IPV6]:PORT, *:PORT, unix:/PATH or fd:NAME";
    static const char name[] = "not an address or a host name before the port";
    static const char fd_n[] = "a name of 1 to 255 characters comes after fd:";
    static const char fd_name[] = "the name after fd: has no white space, no : and ASCII alone";
    static const char six[] = "not an IPv6 address between [ and ]";
    static const struct {
        const char *item, *wrong;
    } cases[] = {
        {"", form},
        {"localhost", form},
        {"12345", form},
        {"/run/spoe.sock", form},
        {":", port},
        {"localhost:", port},
        {"localhost:65536", port},
        {"localhost:-1", port},
        {"localhost:-0", port},
        {"localhost:http", port},
        {"localhost:1 ", port},
        {"localhost:99999999999999999999", port},
        {"a b:1", name},
        {"http//x:1", name},
        {"**:1", name},
        {NAME_253 "x:1", name},
        {"http://x:1", "an IPv6 address stands in brackets, as in [::1]:12345"},
        {"::1:12345", "an IPv6 address stands in brackets, as in [::1]:12345"},
        {"::", "an IPv6 address stands in brackets, as in [::1]:12345"},
        {"[::1]", "expected [IPV6]:PORT"},
        {"[::1", "expected [IPV6]:PORT"},
        {"[::1]12345", "expected [IPV6]:PORT"},
        {"[::1]:", port},
        {"[::1]:1:2", port},
        {"[]:1", six},
        {"[127.0.0.1]:1", six},
        {"[::g]:1", six},
        {"[fe80::1%]:1", six},
        {"[%eth0]:1", six},
        {"[" X32 X32 "]:1", six},
        {"unix:", "the path of a socket begins with /"},
        {"unix:spoe.sock", "the path of a socket begins with /"},
        {"unix:1", "the path of a socket begins with /"},
        {"unix:" PATH_107 "x", "the path of a socket has at most 107 bytes"},
        {"fd:", fd_n},
        {"fd:x" NAME_255, fd_n},
        {"fd:a:b", fd_name},
        {"fd:a b", fd_name},
        {"fd:a\t", fd_name},
        {"fd:\xc3\xa9", fd_name},
        {"fd:\x7f", fd_name},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct host_listen listen;
        struct error wrong = {{0}};
        int result = listen_parse(cases[i].item, &listen, &wrong);

        cr_assert(result == 1, "\"%s\": got %d", cases[i].item, result);
        cr_assert(strcmp(wrong.text, cases[i].wrong) == 0, "\"%s\": got %s", cases[i].item,
                  wrong.text);
    }
}

/* 9.1: every byte that a host's name may have, and none besides. */
Test(listen_parse, names_are_of_letters_digits_and_three_more, .timeout = 10)
{
    for (int c = 1; c < 256; c++) {
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        char item[] = "hxh:1";
        struct host_listen listen;
        struct error wrong = {{0}};
        int result;

        item[1] = (char)c;
        result = listen_parse(item, &listen, &wrong);
        cr_assert_eq(result == 0, good, "byte %02x: %s", (unsigned)c, wrong.text);
        if (result == 0)
            listen_fini(&listen);
    }
}
