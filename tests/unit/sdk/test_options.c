/* SPDX-License-Identifier: Apache-2.0 */
/* spoe/options.h: addresses as inet_pton() reads them, prefixes, lists and URLs. Issue 12, 2. */
#include <spoe/options.h>
#include <spoe/util.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>

static const char *const addresses[] = {
    "0.0.0.0",
    "255.255.255.255",
    "1.2.3.4",
    "01.2.3.4",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1..2.3",
    "1.2.3.",
    ".1.2.3",
    "1.2.3.4 ",
    " 1.2.3.4",
    "",
    "1",
    "a",
    "::",
    "::1",
    "1::",
    ":",
    ":::",
    "1:",
    ":1",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1::3:4:5:6:7:8",
    "1::2:3:4:5:6:7:8",
    "1::2::3",
    "12345::",
    "g::",
    "ffff:FFFF::aBcD",
    "::ffff:1.2.3.4",
    "::1.2.3.4",
    "1:2:3:4:5:6:1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5:1.2.3.4",
    "::1.2.3",
    "::1.2.3.4.5",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "::01.2.3.4",
    "fe80::1%eth0",
    "[::1]",
    "::1/128",
    "1:2:3:4:5:6::7:8",
    "0:0:0:0:0:0:0:0",
    "::0:0:0:0:0:0:0",
    "1::2:3",
    "0001::",
    "00001::",
    "::12345.1.1.1",
    "1:::2",
    "::255.255.255.255",
};

static void check_address(const char *text)
{
    const size_t n = strlen(text);
    char *exact = malloc(n + 1); /* guarded under ASan, without a NUL */
    uint8_t ip4[4], ip6[16];
    const bool is4 = inet_pton(AF_INET, text, ip4) == 1;
    const bool is6 = inet_pton(AF_INET6, text, ip6) == 1;
    struct spoe_value v = {.type = SPOE_T_NULL};
    int taken;

    cr_assert_not_null(exact);
    memcpy(exact, text, n);
    taken = spoe_address_parse((struct spoe_span){exact, n}, &v);
    cr_assert_eq(taken, is4 || is6, "\"%s\": got %d", text, taken);
    if (is4)
        cr_assert(v.type == SPOE_T_IPV4 && memcmp(v.u.ip4, ip4, 4) == 0, "\"%s\"", text);
    if (is6)
        cr_assert(v.type == SPOE_T_IPV6 && memcmp(v.u.ip6, ip6, 16) == 0, "\"%s\"", text);
    free(exact);
}

Test(addresses, are_what_inet_pton_takes, .timeout = 60)
{
    static const char letters[] = "0129af:::...";
    uint64_t seed = 12;

    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        check_address(addresses[i]);
    /* A letter changed, left out or put in, at each place. */
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        for (unsigned turn = 0; turn < 2000; turn++) {
            char text[64] = "";
            size_t n = strlen(addresses[i]), at;

            memcpy(text, addresses[i], n);
            for (unsigned change = 0; change <= turn % 3; change++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
                at = n > 0 ? (seed >> 33) % n : 0;
                if (seed >> 62 == 0 && n > 0) {
                    memmove(text + at, text + at + 1, n - at);
                    n--;
                } else if (seed >> 62 == 1) {
                    memmove(text + at + 1, text + at, n - at + 1);
                    text[at] = letters[(seed >> 20) % (sizeof letters - 1)];
                    n++;
                } else if (n > 0) {
                    text[at] = letters[(seed >> 20) % (sizeof letters - 1)];
                }
            }
            check_address(text);
        }
    }
}

Test(prefixes, lengths_and_bits_beyond_them, .timeout = 10)
{
    static const struct {
        const char *text;
        int result;
        uint32_t bits;
    } cases[] = {
        {"10.0.0.0/8", 1, 8},
        {"10.0.0.1/8", -1, 8},
        {"10.0.0.1", 1, 32},
        {"10.0.0.1/32", 1, 32},
        {"10.0.0.1/33", 0, 0},
        {"0.0.0.0/0", 1, 0},
        {"128.0.0.0/0", -1, 0},
        {"10.128.0.0/9", 1, 9},
        {"10.192.0.0/9", -1, 9},
        {"::/0", 1, 0},
        {"2001:db8::/32", 1, 32},
        {"2001:db8::1/127", -1, 127},
        {"2001:db8::1/128", 1, 128},
        {"2001:db8::1/129", 0, 0},
        {"10.0.0.0/", 0, 0},
        {"10.0.0.0/08", 0, 0},
        {"10.0.0.0/8 ", 0, 0},
        {"10.0.0.0/8/8", 0, 0},
        {"10.0.0.0/-1", 0, 0},
        {"10.0.0.0/4294967304", 0, 0},
        {"/8", 0, 0},
        {"", 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spoe_prefix prefix = {.bits = 0};
        const int result = spoe_prefix_parse(spoe_str(cases[i].text), &prefix);

        cr_assert_eq(result, cases[i].result, "%s: got %d", cases[i].text, result);
        cr_assert_eq(prefix.bits, cases[i].bits, "%s: got %u", cases[i].text, prefix.bits);
    }
}

static bool has(const char *prefix, const char *address)
{
    struct spoe_prefix p;
    struct spoe_value v;

    cr_assert_eq(spoe_prefix_parse(spoe_str(prefix), &p), 1);
    cr_assert(spoe_address_parse(spoe_str(address), &v));
    return spoe_prefix_has(&p, &v);
}

Test(prefixes, hold_what_begins_alike, .timeout = 10)
{
    cr_assert(has("10.128.0.0/9", "10.255.255.255"));
    cr_assert(!has("10.128.0.0/9", "10.127.255.255"));
    cr_assert(has("10.0.0.1", "10.0.0.1") && !has("10.0.0.1", "10.0.0.0"));
    cr_assert(has("0.0.0.0/0", "255.1.2.3") && has("0.0.0.0/0", "0.0.0.0"));
    cr_assert(!has("0.0.0.0/0", "::") && !has("::/0", "0.0.0.0"));
    cr_assert(has("2001:db8::/33", "2001:db8:7fff::") && !has("2001:db8::/33", "2001:db8:8000::"));
    cr_assert(has("::1", "::1") && !has("::1", "::2"));
}

static void check_list(const char *text, const char *const *items)
{
    struct spoe_span rest = spoe_str(text), item;

    for (; *items != NULL; items++) {
        cr_assert(spoe_list_next(&rest, &item), "\"%s\" before \"%s\"", text, *items);
        cr_assert(spoe_span_is(item, *items), "\"%s\": got \"%.*s\"", text, (int)item.n, item.p);
    }
    cr_assert(!spoe_list_next(&rest, &item) && !spoe_list_next(&rest, &item), "\"%s\"", text);
}

Test(lists, items_between_commas, .timeout = 10)
{
    check_list("", SPOE_TEXTS(NULL));
    check_list(" \t", SPOE_TEXTS(NULL));
    check_list("a", SPOE_TEXTS("a"));
    check_list(" a b ,\tc,", SPOE_TEXTS("a b", "c"));
    check_list("a, ,b", SPOE_TEXTS("a", "", "b"));
    check_list(",", SPOE_TEXTS(""));
    check_list(",,", SPOE_TEXTS("", ""));
}

static void check_url(const char *text, const char *scheme, const char *userinfo, const char *host,
                      const char *port, const char *path)
{
    struct spoe_url url;

    cr_assert(spoe_url_split(spoe_str(text), &url), "%s", text);
    cr_assert(spoe_span_is(url.scheme, scheme) && spoe_span_is(url.userinfo, userinfo), "%s", text);
    cr_assert(spoe_span_is(url.host, host) && spoe_span_is(url.port, port), "%s", text);
    cr_assert(spoe_span_is(url.path, path), "%s", text);
}

Test(urls, are_split, .timeout = 10)
{
    static const char *const bad[] = {"",
                                      "http",
                                      "http:",
                                      "http://",
                                      "://h",
                                      "http://:80",
                                      "http://h:",
                                      "http://h:0",
                                      "http://h:x",
                                      "http://h:65536",
                                      "http://h:000080",
                                      "http://h/a b",
                                      "http://h#f",
                                      "http://[::1",
                                      "http://[x]",
                                      "http://[::1]x",
                                      "1http://h",
                                      "http://[1.2.3.4]",
                                      "ht tp://h",
                                      "http://u@",
                                      "http:/h",
                                      "http://h\n"};

    check_url("http://h", "http", "", "h", "", "");
    check_url("HTTPS://a.b:65535/c?d=/e@f:1", "HTTPS", "", "a.b", "65535", "/c?d=/e@f:1");
    check_url("http://u:p@w@h:1?q", "http", "u:p@w", "h", "1", "?q");
    check_url("grpc+tls://[2001:db8::1]:4317", "grpc+tls", "", "2001:db8::1", "4317", "");
    check_url("http://[::1]/", "http", "", "::1", "", "/");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct spoe_url url;

        cr_assert(!spoe_url_split(spoe_str(bad[i]), &url), "\"%s\"", bad[i]);
    }
}
