/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_json_pairs.c - the body of a change, from any bytes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_pairs *pairs = malloc(sizeof *pairs);
    struct error error = {{0}};
    int result;

    assert(pairs != NULL);
    result = json_pairs_parse((struct spoe_span){(const char *)data, size}, pairs, &error);
    assert((result == 0) == (error.text[0] == '\0'));
    for (size_t i = 0; result == 0 && i < pairs->n; i++) {
        assert(strlen(pairs->pair[i].name) < size);
        assert(strlen(pairs->pair[i].value) < size + 32); /* a number is written anew */
        for (size_t j = 0; j < i; j++)
            assert(strcmp(pairs->pair[i].name, pairs->pair[j].name) != 0);
    }
    free(pairs);
    return 0;
}
