/* SPDX-License-Identifier: Apache-2.0 */
/* host/json/json_input.c - see json_input.h. */
#include "json/json_input.h"

json_t *json_input_parse(struct spoe_span text, size_t max, size_t flags, struct error *reterr)
{
    json_error_t error;
    json_t *root;

    if (text.n > max) {
        (void)error_set(reterr, "it is longer than %zu bytes", max);
        return NULL;
    }
    root = json_loadb(text.n > 0 ? text.p : "", text.n, flags, &error);
    if (root == NULL)
        (void)error_set(reterr, "it is no JSON: line %d, column %d: %s", error.line, error.column,
                        json_error_code(&error) == json_error_null_character
                            ? "\\u0000 is not taken" /* jansson's text names a flag of its own */
                            : error.text);
    return root;
}
