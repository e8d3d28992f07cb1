/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_options.c - what spoe/options.h takes apart, of any bytes: addresses as
 * inet_pton() reads them, parts of lists and URLs that lie inside the text.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>

#include <spoe/options.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(struct spoe_span text)
{
    char copy[64] = "";
    uint8_t ip4[4], ip6[16];
    struct spoe_value v = {.type = SPOE_T_NULL};
    struct spoe_prefix prefix;
    bool is4, is6;

    if (text.n >= sizeof copy || (text.n > 0 && memchr(text.p, '\0', text.n) != NULL))
        return;
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    is4 = inet_pton(AF_INET, copy, ip4) == 1;
    is6 = inet_pton(AF_INET6, copy, ip6) == 1;
    assert(spoe_address_parse(text, &v) == (is4 || is6));
    assert(!is4 || memcmp(v.u.ip4, ip4, 4) == 0);
    assert(!is6 || memcmp(v.u.ip6, ip6, 16) == 0);
    if (spoe_prefix_parse(text, &prefix) != 0) {
        assert(prefix.bits <= (prefix.address.type == SPOE_T_IPV4 ? 32 : 128));
        assert(spoe_prefix_has(&prefix, &prefix.address));
    }
}

static bool is_inside(struct spoe_span part, struct spoe_span text)
{
    return part.n == 0 || (part.p >= text.p && part.p + part.n <= text.p + text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct spoe_span text = {(const char *)data, size};
    struct spoe_span rest = text, item;
    struct spoe_url url;
    size_t n = 0;

    check_address(text);
    while (spoe_list_next(&rest, &item)) {
        assert(is_inside(item, text) && is_inside(rest, text) && ++n <= size);
        check_address(item);
    }
    if (spoe_url_split(text, &url))
        assert(url.scheme.n > 0 && url.host.n > 0 && is_inside(url.scheme, text) &&
               is_inside(url.userinfo, text) && is_inside(url.host, text) &&
               is_inside(url.port, text) && is_inside(url.path, text));
    return 0;
}
