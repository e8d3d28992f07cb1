/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_http_parts.c - methods, hosts, ports, addresses. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include <spoe/util.h>

#include "record/http_parts.h"

struct host {
    const char *text;
    const char *host; /* NULL: refused */
    uint32_t port;
};

static const struct host hosts[] = {
    {"example.org", "example.org", 0},
    {"example.org:80", "example.org", 80},
    {"example.org:65535", "example.org", 65535},
    {"example.org:1", "example.org", 1},
    {"example.org:", "example.org", 0},
    {"example.org:00080", "example.org", 80},
    {"127.0.0.1:8080", "127.0.0.1", 8080},
    {"[::1]", "::1", 0},
    {"[::1]:8080", "::1", 8080},
    {"[::1]:", "::1", 0},
    {"a", "a", 0},
    {"", NULL, 0},
    {":80", NULL, 0},
    {"[]", NULL, 0},
    {"[]:80", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]x", NULL, 0},
    {"[::1]80", NULL, 0},
    {"::1", NULL, 0},
    {"::1:80", NULL, 0},
    {"example.org:0", NULL, 0},
    {"example.org:65536", NULL, 0},
    {"example.org:123456", NULL, 0},
    {"example.org:8o", NULL, 0},
    {"example.org:-1", NULL, 0},
    {"example.org:80:80", NULL, 0},
    {"user@example.org", NULL, 0},
    {"example.org/path", NULL, 0},
    {"http://example.org", NULL, 0},
    {"a b", NULL, 0},
};

Test(http_parts, takes_a_host_apart, .timeout = 10)
{
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct spoe_span host;
        uint32_t port = 7;
        const bool ok = http_split_host(spoe_str(hosts[i].text), &host, &port);

        cr_expect_eq(ok, hosts[i].host != NULL, "'%s': got %d", hosts[i].text, ok);
        if (!ok || hosts[i].host == NULL)
            continue;
        cr_expect(spoe_span_is(host, hosts[i].host), "'%s': got '%.*s'", hosts[i].text, (int)host.n,
                  host.p);
        cr_expect_eq(port, hosts[i].port, "'%s': got %u", hosts[i].text, port);
    }
}

Test(http_parts, refuses_a_host_with_a_nul, .timeout = 10)
{
    struct spoe_span host;
    uint32_t port;

    cr_expect_not(http_split_host((struct spoe_span){"a\0b", 3}, &host, &port));
}

Test(http_parts, knows_methods_by_case, .timeout = 10)
{
    static const char *const known[] = {"CONNECT", "DELETE", "GET", "HEAD",  "OPTIONS",
                                        "PATCH",   "POST",   "PUT", "QUERY", "TRACE"};
    static const char *const unknown[] = {"", "get", "GE", "GETS", "GET,HEAD", ",", "PROPFIND"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_expect(http_method_known(HTTP_KNOWN_METHODS, spoe_str(known[i])), "%s", known[i]);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        cr_expect_not(http_method_known(HTTP_KNOWN_METHODS, spoe_str(unknown[i])), "%s",
                      unknown[i]);
    cr_expect(http_method_known("PROPFIND", spoe_str("PROPFIND")));
    cr_expect_not(http_method_known("", spoe_str("GET")));
    cr_expect(http_method_known("A,,B,", spoe_str("B")));
    cr_expect_not(http_method_known("A,,B,", spoe_str("")));
}

Test(http_parts, reads_ports, .timeout = 10)
{
    struct spoe_value value = spoe_value_int(8080);
    int64_t port = 0;

    cr_expect(http_get_port(&value, &port) && port == 8080);
    value = spoe_value_str(spoe_str("443"));
    cr_expect(http_get_port(&value, &port) && port == 443);
    value = (struct spoe_value){.type = SPOE_T_UINT32, .u.u32 = 65535};
    cr_expect(http_get_port(&value, &port) && port == 65535);
    value = spoe_value_int(0);
    cr_expect_not(http_get_port(&value, &port));
    value = spoe_value_int(65536);
    cr_expect_not(http_get_port(&value, &port));
    value = spoe_value_int(-1);
    cr_expect_not(http_get_port(&value, &port));
    value = spoe_value_str(spoe_str(""));
    cr_expect_not(http_get_port(&value, &port));
    value = (struct spoe_value){.type = SPOE_T_NULL};
    cr_expect_not(http_get_port(&value, &port));
}

/* The C library's words for it, for each number at each place. */
/* 9.2 */
Test(http_parts, reads_sizes, .timeout = 10)
{
    static const struct {
        const char *text;
        int64_t size; /* -1: none */
    } rows[] = {{"0", 0},
                {"12", 12},
                {"007", 7},
                {"999999999999999999", INT64_C(999999999999999999)},
                {"9999999999999999999", -1}, /* more than 63 bits */
                {"1000000000000000000", -1},
                {"", -1},
                {"-1", -1},
                {"+1", -1},
                {"1 ", -1},
                {"1:", -1},
                {"/1", -1}};
    struct spoe_value value = spoe_value_int(0);
    int64_t size = 7;

    cr_expect(http_get_size(&value, &size) && size == 0);
    value = spoe_value_int(INT64_MAX);
    cr_expect(http_get_size(&value, &size) && size == INT64_MAX);
    value = spoe_value_int(-1);
    cr_expect_not(http_get_size(&value, &size));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        value = spoe_value_str(spoe_str(rows[i].text));
        cr_expect_eq(http_get_size(&value, &size), rows[i].size >= 0, "'%s'", rows[i].text);
        if (rows[i].size >= 0)
            cr_expect_eq(size, rows[i].size, "'%s'", rows[i].text);
    }
}

Test(http_parts, writes_ipv4_as_inet_ntop_does, .timeout = 10)
{
    char buf[HTTP_ADDRESS_MAX], wanted[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    for (int i = 0; i < 256; i++) {
        const struct spoe_value value = {
            .type = SPOE_T_IPV4,
            .u.ip4 = {(uint8_t)i, (uint8_t)(255 - i), (uint8_t)(i * 7), (uint8_t)(i / 3)}};

        cr_assert(http_get_address(&value, buf, &text));
        cr_assert_not_null(inet_ntop(AF_INET, value.u.ip4, wanted, sizeof wanted));
        cr_expect(spoe_span_is(text, wanted), "%s", wanted);
    }
}

Test(http_parts, writes_addresses, .timeout = 10)
{
    struct spoe_value value = {.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 1}};
    char buf[HTTP_ADDRESS_MAX];
    struct spoe_span text;

    cr_assert(http_get_address(&value, buf, &text));
    cr_expect(spoe_span_is(text, "192.0.2.1"));
    value = (struct spoe_value){.type = SPOE_T_IPV6, .u.ip6 = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    cr_assert(http_get_address(&value, buf, &text));
    cr_expect(spoe_span_is(text, "2001:db8::1"));
    value = spoe_value_str(spoe_str("10.0.0.1"));
    cr_assert(http_get_address(&value, buf, &text));
    cr_expect(spoe_span_is(text, "10.0.0.1"));
    value = spoe_value_str(spoe_str(""));
    cr_expect_not(http_get_address(&value, buf, &text));
    value = (struct spoe_value){.type = SPOE_T_NULL};
    cr_expect_not(http_get_address(&value, buf, &text));
}
