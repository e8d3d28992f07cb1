/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_http.c - the head of a request to the admin endpoint, from any bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "admin/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct http_request request, again;
    int n = http_request_parse(bytes, size, &request);

    assert(n <= (int)HTTP_HEAD_MAX && n > -600 && n <= (int)size);
    if (n <= 0)
        return 0;
    /* What it has taken stands for itself: neither less nor more of it says something else. */
    assert(request.path.n > 0 && request.body_len <= HTTP_BODY_MAX);
    assert(http_request_parse(bytes, (size_t)n, &again) == n);
    assert(http_request_parse(bytes, (size_t)n - 1, &again) <= 0);
    return 0;
}
