/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_mirror_headers.c - headers of any bytes, in both forms, and rules of any text:
 * what is written for the second origin is lines of a name and a value, none of which is about the
 * connection.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mirror/headers.h"

static void check(const struct mirror_lines *lines)
{
    const char *line = lines->bytes;

    for (size_t i = 0; i < lines->n; i++) {
        const size_t n = strlen(line), name = strcspn(line, ":;");

        assert(line + n < lines->bytes + lines->len);
        assert(mirror_is_token((struct spoe_span){line, name}) && line[name] != '\0');
        assert(line[n - 1] == ':' || line[n - 1] == ';' || line[name] == ':');
        assert(strpbrk(line, "\r\n") == NULL);
        assert(strncasecmp(line, "connection:", 11) != 0);
        assert(strncasecmp(line, "transfer-encoding:", 18) != 0);
        assert(strncasecmp(line, "content-length:", 15) != 0);
        line += n + 1;
    }
    assert(line == lines->bytes + lines->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirror_rules rules = {0};
    struct mirror_lines lines = {0};
    struct spoe_span in;
    char wrong[200];
    size_t n;

    if (size < 2)
        return 0;
    /* The first byte says which form, the second how much of it is rules. */
    n = data[1] < size - 2 ? data[1] : size - 2;
    in = (struct spoe_span){(const char *)data + 2, n};
    (void)mirror_rules_set(&rules, in, (data[0] & 2) != 0, wrong, sizeof wrong);
    (void)mirror_rules_remove(&rules, in, wrong, sizeof wrong);
    in = (struct spoe_span){(const char *)data + 2 + n, size - 2 - n};
    if (mirror_headers_write(&rules, in, (data[0] & 1) != 0, &lines) == MIRROR_HEADERS_OK)
        check(&lines);
    mirror_lines_fini(&lines);
    mirror_rules_fini(&rules);
    return 0;
}
