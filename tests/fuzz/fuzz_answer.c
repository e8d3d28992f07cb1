/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_answer.c - a collector's answer as each of the messages that it may be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "otlp/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t rejected;
    int64_t delay;
    char text[64];

    if (!otlp_read_response(data, size, &rejected, text, sizeof text) && rejected != 0)
        abort();
    if (strnlen(text, sizeof text) == sizeof text)
        abort();
    if (otlp_read_retry_info(data, size, &delay) && (delay < 0 || delay > OTLP_RETRY_DELAY_MAX_NS))
        abort();
    otlp_read_status_message(data, size, text, sizeof text);
    if (strnlen(text, sizeof text) == sizeof text)
        abort();
    return 0;
}
