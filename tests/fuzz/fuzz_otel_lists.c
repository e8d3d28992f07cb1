/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_otel_lists.c - the texts of variables: pairs, headers, URLs, ratios. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/endpoint.h"
#include "send/headers.h"
#include "conf/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pairs(const char *text)
{
    struct pair_list list = {NULL, 0};
    const char *error = NULL;
    const int result = pair_list_read(text, &list, &error);

    if ((result == 0) != (error == NULL))
        abort();
    for (size_t i = 0; result == 0 && i < list.n; i++) {
        if (strlen(list.item[i].key) > PAIRS_KEY_MAX ||
            strlen(list.item[i].value) > PAIRS_VALUE_MAX)
            abort();
    }
    pair_list_fini(&list);
}

static void check_headers(const char *text)
{
    struct pair_list list = {NULL, 0};
    char error[256];
    bool of_file;

    if (headers_read(text, NULL, &list, error, sizeof error, &of_file) != 0)
        return;
    for (size_t i = 0; i < list.n; i++) {
        /* What would break out of a header. */
        if (list.item[i].key[0] == '\0' || strpbrk(list.item[i].key, "\r\n: ") != NULL ||
            strpbrk(list.item[i].value, "\r\n") != NULL)
            abort();
    }
    pair_list_fini(&list);
}

static void check_url(const char *text)
{
    for (unsigned i = 0; i < 16; i++) {
        const enum otlp_signal signal = i < 8 ? SIGNAL_TRACES : SIGNAL_LOGS;
        struct endpoint endpoint;

        if (endpoint_read(signal, text, i & 1 ? OTLP_HTTP : OTLP_GRPC,
                          (enum endpoint_rule)(i / 2 % 4), &endpoint) != NULL)
            continue;
        if (endpoint.path[0] != '/' || endpoint.authority[0] == '\0')
            abort();
        if ((i & 1) != 0 && endpoint_error(endpoint.authority) != NULL)
            abort(); /* what comes out is a host:port; with gRPC it may be one of its targets */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    double ratio = 0;

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_pairs(text);
    check_headers(text);
    check_url(text);
    if (number_read_ratio(text, &ratio) && !(ratio >= 0 && ratio <= 1))
        abort();
    free(text);
    return 0;
}
