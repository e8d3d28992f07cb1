/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_custom_attrs.c - "key=value;key=value". */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "record/custom_attrs.h"

struct vector {
    const char *text;
    const char *pairs; /* as [key|value] */
};

static const struct vector vectors[] = {
    {"", ""},
    {"a=b", "[a|b]"},
    {"environment=production;datacenter=eu-west-1",
     "[environment|production][datacenter|eu-west-1]"},
    {"a=b;", "[a|b]"},
    {";a=b", "[a|b]"},
    {";;a=b;;c=d;;", "[a|b][c|d]"},
    {"a=b=c", "[a|b=c]"},
    {"a==", "[a|=]"},
    {"a=", "[a|]"},
    {"a= ", "[a|]"},
    {"=", ""},
    {"=b", ""},
    {" =b", ""},
    {"a", ""},
    {"a;b=c", "[b|c]"},
    {"a;=;b", ""},
    {" a = b ; c = d ", "[a|b][c|d]"},
    {"\ta\t=\tb\t", "[a|b]"},
    {"\r\na\v=\fb\r\n", "[a|b]"},
    {"a b=c d", "[a b|c d]"},
    {"a=1;a=2", "[a|1][a|2]"}, /* the span keeps the last */
    {"a=\"x;y\"", "[a|\"x]"},  /* no quoting */
    {"a=true;b=1", "[a|true][b|1]"},
};

Test(custom_attrs, splits_as_documented, .timeout = 10)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const char *text = vectors[i].text;
        struct custom_attrs attrs = {.p = text, .end = text + strlen(text)};
        struct custom_attr attr;
        char got[256];
        size_t n = 0;

        got[0] = '\0';
        while (custom_attrs_next(&attrs, &attr))
            n += (size_t)snprintf(got + n, sizeof got - n, "[%.*s|%.*s]", (int)attr.key_len,
                                  attr.key, (int)attr.value_len, attr.value);
        cr_expect_str_eq(got, vectors[i].pairs, "'%s': got %s, wanted %s", text, got,
                         vectors[i].pairs);
        cr_expect_not(custom_attrs_next(&attrs, &attr), "it stays at the end");
    }
}

Test(custom_attrs, reads_no_byte_past_the_end, .timeout = 10)
{
    static const char text[] = "a=b;c=d";

    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = n > 0 ? malloc(n) : NULL; /* ASan sees one byte more */
        struct custom_attrs attrs = {.p = copy, .end = n > 0 ? copy + n : NULL};
        struct custom_attr attr;
        size_t pairs = 0;

        if (n > 0)
            memcpy(copy, text, n);
        while (custom_attrs_next(&attrs, &attr))
            pairs++;
        cr_expect_eq(pairs, n < 2 ? 0 : n < 6 ? 1 : 2, "%zu bytes: %zu pairs", n, pairs);
        free(copy);
    }
}

Test(custom_attrs, stops_at_the_limit, .timeout = 10)
{
    static char text[(CUSTOM_ATTRS_MAX + 10) * 4];
    struct custom_attrs attrs = {.p = text, .end = text + sizeof text};
    struct custom_attr attr;
    size_t n = 0;

    for (size_t i = 0; i < sizeof text; i += 4)
        memcpy(text + i, "k=v;", 4);
    while (custom_attrs_next(&attrs, &attr))
        n++;
    cr_expect_eq(n, CUSTOM_ATTRS_MAX);
}
