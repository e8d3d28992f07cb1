/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_http.c - the head of a request to the admin endpoint, from any bytes, and who may
 * have what it asks for. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "admin/access.h"
#include "admin/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever it says: a change needs the token, over TCP, and by one who is expected. */
static void decide(const struct http_request *request)
{
    static const char token[] = "the token of this fuzz target";
    const struct access_rules rules = {.token = {token, sizeof token - 1}};
    const struct access_page page = {
        .can_get = true, .can_post = true, .get = ACCESS_OPEN, .post = ACCESS_CHANGE};
    const struct access_answer answer = access_decide(&rules, ACCESS_FROM_LOOPBACK, request, &page);

    if (request->method == HTTP_POST && answer.status == 200)
        assert(request->authorization.n >= sizeof token - 1 &&
               memcmp(request->authorization.p + request->authorization.n - (sizeof token - 1),
                      token, sizeof token - 1) == 0 &&
               access_host_is_expected(&rules, request->host));
    if (request->method == HTTP_GET)
        assert(answer.status == 200);
}

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
    assert(request.has_length || request.body_len == 0);
    decide(&request);
    assert(http_request_parse(bytes, (size_t)n, &again) == n);
    assert(http_request_parse(bytes, (size_t)n - 1, &again) <= 0);
    return 0;
}
