/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_conf.c - the input as a file of the host, then each of its lines as a value of
 * every type, as an address and as an assignment of the command line. What is in effect then is
 * printed as a file and read back.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/host_conf.h"
#include "conf/listen.h"
#include "conf/print.h"
#include "conf/value.h"

#define LINES_MAX 64u /* of one input that are tried as values */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was parsed and is shown again means the same. */
static void try_values(const char *text)
{
    static const char *const choices[] = {"disabled", "enabled", "skip-verify", NULL};
    char shown[VALUE_TEXT_MAX];
    uint64_t bytes = 0, bytes_again = 0;
    int64_t ns = 0, ns_again = 0;
    uint32_t index = 0;
    bool b = false;

    if (value_parse_duration(text, &ns) == VALUE_OK) {
        assert(ns >= 0);
        value_format_duration(ns, shown);
        assert(value_parse_duration(shown, &ns_again) == VALUE_OK && ns_again == ns);
    }
    if (value_parse_size(text, &bytes) == VALUE_OK) {
        value_format_size(bytes, shown);
        assert(value_parse_size(shown, &bytes_again) == VALUE_OK && bytes_again == bytes);
    }
    (void)value_parse_int(text, &ns);
    (void)value_parse_bool(text, &b);
    if (value_parse_enum(text, choices, &index) == VALUE_OK)
        assert(strcasecmp(text, choices[index]) == 0);
}

static void try_address(const char *text)
{
    struct error wrong = {{0}};
    struct host_listen listen;
    int result = listen_parse(text, &listen, &wrong);

    assert(result == 0 || (result == 1 && wrong.text[0] != '\0'));
    if (result == 0) {
        assert((listen.port != NULL) + (listen.path != NULL) + (listen.fd_name != NULL) == 1);
        listen_fini(&listen);
    }
}

static void try_file(const uint8_t *data, size_t size, struct conf *conf)
{
    char *copy = malloc(size + 1); /* fmemopen() wants bytes that may be written, and some */
    FILE *file;

    assert(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = '\n';
    file = fmemopen(copy, size + 1, "r");
    assert(file != NULL);
    conf_add_stream(conf, file, "fuzz");
    (void)fclose(file);
    free(copy);
}

static void try_lines(const uint8_t *data, size_t size, struct conf *conf)
{
    for (size_t i = 0; i < LINES_MAX && size > 0; i++) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t n = end != NULL ? (size_t)(end - data) : size;
        char *text = strndup((const char *)data, n);

        assert(text != NULL);
        try_values(text);
        try_address(text);
        conf_add_set(conf, text);
        free(text);
        data += end != NULL ? n + 1 : n;
        size -= end != NULL ? n + 1 : n;
    }
}

/* As -T does. What a file cannot say is a comment there, and so at its default when it is read. */
static void try_print(const struct conf_section *settings)
{
    struct conf *conf = conf_create();
    struct conf_section *again;
    const struct spoe_option *option;
    char *text = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&text, &n);

    assert(conf != NULL && file != NULL);
    conf_print_section(file, settings);
    (void)fclose(file);
    try_file((const uint8_t *)text, n, conf);
    assert(conf_error_count(conf) == 0);
    again = conf_resolve(conf, "host", host_options);
    assert(again != NULL && conf_error_count(conf) == 0);
    for (size_t i = 0; (option = conf_section_option(settings, i)) != NULL; i++) {
        const struct spoe_setting *a = conf_setting(settings, i), *b = conf_setting(again, i);

        if ((b->flags & SPOE_SETTING_DEFAULT) == 0)
            assert(conf_setting_same(a, b));
        else
            assert((a->flags & SPOE_SETTING_DEFAULT) != 0 || option->type == SPOE_OPT_STRING);
    }
    conf_section_destroy(again);
    conf_destroy(conf);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = conf_create();
    struct host_conf hc;

    assert(conf != NULL);
    try_file(data, size, conf);
    try_lines(data, size, conf);
    assert(host_conf_init(&hc, conf, "/plugins", NULL) == 0);
    conf_check_unknown(conf);
    assert(hc.workers >= 1 && hc.workers <= HOST_WORKERS_MAX);
    assert(hc.max_frame_size >= 256 && hc.max_frame_size <= 16u << 20);
    assert(hc.n_listen <= HOST_LISTEN_MAX && hc.plugin_dirs != NULL && hc.plugin_dirs[0] != NULL);
    for (size_t i = 0; i < conf_error_count(conf) && i < CONF_ERRORS_MAX; i++)
        assert(conf_error_text(conf, i)[0] != '\0');
    if (conf_error_count(conf) == 0)
        try_print(hc.settings);
    host_conf_fini(&hc);
    conf_destroy(conf);
    return 0;
}
