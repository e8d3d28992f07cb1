/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/spop/test_captures.c - what each HAProxy really sent (tests/captures), through the
 * decoders; and our AGENT-HELLO against the one that they accepted.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>

#include <spoe/util.h>

#include "lib/codec.h"
#include "bytes.h"

#define FRAME_MAX 16384u
#define FILES_MIN 16u /* eight versions, with traffic and with checks */

/* How often each kind was seen in one file. */
struct seen {
    unsigned hellos, healthchecks, notifies, messages, disconnects, agent_hellos;
};

/* The value of a hexadecimal digit as the captures have them; 16 for anything else. */
static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static size_t from_hex(const char *hex, uint8_t *to, size_t cap)
{
    size_t n = 0;

    for (; n < cap && digit(hex[0]) < 16 && digit(hex[1]) < 16; hex += 2)
        to[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
    return n;
}

/* The three messages of the tracing configuration and what each carries at least. */
static void check_message(const char *file, struct spoe_span name, uint32_t n_args)
{
    static const struct {
        const char *name;
        uint32_t n_args;
    } known[] = {{"on-http-request", 8}, {"on-backend-http-request", 3}, {"on-http-response", 5}};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (spoe_span_is(name, known[i].name)) {
            cr_expect_eq(n_args, known[i].n_args, "%s: %s has %u", file, known[i].name, n_args);
            return;
        }
    }
    cr_expect_fail("%s: unknown message %.*s", file, (int)name.n, name.p);
}

static void check_notify(const char *file, const struct spop_frame *f, struct seen *seen)
{
    struct spop_cursor c = cursor_of(f->payload, f->payload_len);
    struct spoe_span name;
    uint32_t n_args;
    int r;

    while ((r = codec_next_message(&c, &name, &n_args)) == 1) {
        struct spoe_arg arg;

        seen->messages++;
        check_message(file, name, n_args);
        for (uint32_t i = 0; i < n_args; i++) {
            cr_assert_eq(spop_get_arg(&c, &arg), 0, "%s", file);
            if (i == 0) { /* all three begin with it */
                cr_expect(spoe_span_is(arg.name, "unique-id"), "%s", file);
                cr_expect_eq(arg.value.u.s.n, 36u, "%s: a UUID", file);
            }
            if (spoe_span_is(arg.name, "method"))
                cr_expect(spoe_span_is(arg.value.u.s, "GET"), "%s", file);
            if (spoe_span_is(arg.name, "status"))
                cr_expect_eq(arg.value.u.i32, 200, "%s", file);
        }
    }
    cr_expect_eq(r, 0, "%s", file);
}

static void check_from_haproxy(const char *file, const struct spop_frame *f, struct seen *seen)
{
    struct spop_hello hello;
    struct spoe_span message;
    uint32_t status;

    cr_expect_eq(f->flags, SPOP_FLAG_FIN, "%s", file);
    switch (f->type) {
    case SPOP_HAPROXY_HELLO:
        cr_assert_eq(spop_decode_hello(f->payload, f->payload_len, &hello), 0, "%s", file);
        cr_expect_eq(hello.max_frame_size, 16380u, "%s", file);
        cr_expect_eq(hello.pipelining, !hello.healthcheck, "%s", file);
        cr_expect_eq(hello.engine_id.n, hello.healthcheck ? 0u : 36u, "%s", file);
        seen->hellos++;
        seen->healthchecks += hello.healthcheck;
        break;
    case SPOP_NOTIFY:
        check_notify(file, f, seen);
        seen->notifies++;
        break;
    case SPOP_HAPROXY_DISCONNECT:
        cr_assert_eq(spop_decode_disconnect(f->payload, f->payload_len, &status, &message), 0);
        cr_expect_lt(status, 100u, "%s", file);
        seen->disconnects++;
        break;
    default:
        cr_expect_fail("%s: frame type %u", file, f->type);
        break;
    }
}

static void check_from_agent(const char *file, const uint8_t *bytes, size_t n,
                             const struct spop_frame *f, struct seen *seen)
{
    uint8_t ours[128];

    if (f->type != SPOP_AGENT_HELLO)
        return;
    cr_assert_eq(spop_put_agent_hello(ours, sizeof ours, 16380), n, "%s", file);
    cr_expect_arr_eq(ours, bytes, n, "%s", file);
    seen->agent_hellos++;
}

static void check_line(const char *file, const char *line, struct seen *seen)
{
    uint8_t bytes[FRAME_MAX], *in;
    struct spop_frame f;
    size_t n, size = 0;
    char direction[32];
    int hex;

    if (sscanf(line, "%*u %31s %n", direction, &hex) != 1)
        return; /* a comment */
    n = from_hex(line + hex, bytes, sizeof bytes);
    in = exact_copy(bytes, n);
    cr_assert_eq(wire_frame_find(in, n, 16380, &size), 1, "%s: %s", file, line);
    cr_assert_eq(size, n, "%s: %s", file, line);
    cr_assert_eq(wire_frame_decode(in + 4, n - 4, &f), 0, "%s: %s", file, line);
    if (strcmp(direction, "haproxy->agent") == 0)
        check_from_haproxy(file, &f, seen);
    else
        check_from_agent(file, in, n, &f, seen);
    free(in);
}

static void check_file(const char *name)
{
    struct seen seen = {0};
    char path[512], *line = NULL;
    size_t cap = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", SPOE_CAPTURES, name);
    file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    while (getline(&line, &cap, file) > 0)
        check_line(name, line, &seen);
    free(line);
    (void)fclose(file);

    cr_expect_gt(seen.hellos, 0u, "%s", name);
    cr_expect_eq(seen.agent_hellos, seen.hellos, "%s: every HELLO has its answer", name);
    if (strstr(name, "-check") != NULL) {
        cr_expect_eq(seen.healthchecks, seen.hellos, "%s", name);
        cr_expect_eq(seen.notifies, 0u, "%s", name);
    } else {
        cr_expect_eq(seen.healthchecks, 0u, "%s", name);
        cr_expect_eq(seen.messages, 3u, "%s: got %u messages", name, seen.messages);
    }
}

Test(spop_captures, every_version_decodes, .timeout = 60)
{
    DIR *dir = opendir(SPOE_CAPTURES);
    const struct dirent *entry;
    unsigned files = 0;

    cr_assert_not_null(dir, "%s", SPOE_CAPTURES);
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".txt") != NULL) {
            check_file(entry->d_name);
            files++;
        }
    }
    (void)closedir(dir);
    cr_expect_geq(files, FILES_MIN, "found %u files", files);
}
