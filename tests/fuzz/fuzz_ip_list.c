/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_ip_list.c - a list of plugins/ip-reputation, line by line; its entries become a
 * table, in which the first address of each is found, by a prefix at least as long.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "list_line.h"
#include "table.h"

#define ENTRIES_MAX 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_lines(const char *text, size_t size, struct prefix *ret)
{
    size_t n = 0;

    while (size != 0 && n < ENTRIES_MAX) {
        const char *end = memchr(text, '\n', size);
        const size_t len = end != NULL ? (size_t)(end - text) : size;
        const char *why = NULL;
        const int result = list_line_parse(text, len, &ret[n], &why);

        if ((result < 0) != (why != NULL))
            abort();
        if (result == 1)
            n++;
        if (end == NULL)
            break;
        text += len + 1;
        size -= len + 1;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct prefix entries[ENTRIES_MAX];
    const size_t n = read_lines((const char *)data, size, entries);
    struct prefix_set set = {.max = 0};
    struct table *table;

    for (size_t i = 0; i < n; i++) {
        if (prefix_set_add(&set, &entries[i], (uint16_t)(i % TABLE_LISTS_MAX)) != 0)
            abort();
    }
    table = table_create(&set);
    prefix_set_fini(&set);
    if (table == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct match match = entries[i].v4 ? table_find4(table, (uint32_t)entries[i].ip.lo)
                                                 : table_find6(table, entries[i].ip);

        if (!match.found || match.len < entries[i].len)
            abort();
    }
    table_destroy(table);
    return 0;
}
