/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of the last finished requests: when it is there, what it holds, and what it leaves out.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoe/util.h>

#include "core/plugin.h"
#include "core/recent.h"
#include "core/recent_json.h"

#define T0 INT64_C(1000000000)

static struct spoe_recent_request request_of(const char *target)
{
    return (struct spoe_recent_request){.size = sizeof(struct spoe_recent_request),
                                        .start_unix_ns = 10,
                                        .end_unix_ns = 30,
                                        .status = 200,
                                        .method = spoe_str("GET"),
                                        .target = spoe_str(target)};
}

/* What there is after a number. @return [own] */
static char *written(struct recent *recent, uint64_t after, uint64_t *ret_last)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    cr_assert_not_null(out);
    *ret_last = recent_write(recent, after, out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

static void expect(struct recent *recent, uint64_t after, size_t n, uint64_t last)
{
    uint64_t got;
    char *text = written(recent, after, &got);

    cr_expect_eq(count_of(text, "{\"n\":"), n, "%s", text);
    cr_expect_eq(got, last);
    free(text);
}

static void add(struct recent *recent, const char *target)
{
    const struct spoe_recent_request request = request_of(target);

    recent_add(recent, "p", &request);
}

Test(recent, keeps_nothing_unless_somebody_looks, .timeout = 10)
{
    struct recent *recent = recent_create();

    cr_assert_not_null(recent);
    cr_expect(!recent_is_on(recent));
    add(recent, "/before");
    expect(recent, 0, 0, 0);
    cr_assert_eq(recent_start(recent, T0), 0);
    cr_assert_eq(recent_start(recent, T0), 0); /* once more is no harm */
    add(recent, "/one");
    add(recent, "/two");
    expect(recent, 0, 2, 2);
    expect(recent, 1, 1, 2);
    expect(recent, 2, 0, 2);
    expect(recent, 77, 2, 2); /* of a process before */
    recent_end(recent);
    add(recent, "/after");
    expect(recent, 0, 0, 2);
    cr_assert_eq(recent_start(recent, T0), 0);
    expect(recent, 0, 0, 2);
    add(recent, "/three"); /* numbers go on */
    expect(recent, 2, 1, 3);
    recent_destroy(recent);
    recent_destroy(NULL);
}

Test(recent, ends_ten_minutes_after_the_last_look, .timeout = 10)
{
    struct recent *recent = recent_create();
    int64_t now = T0;

    cr_expect(!recent_look(recent, now));
    cr_expect_eq(recent_expire(recent, now), 0);
    cr_assert_eq(recent_start(recent, now), 0);
    add(recent, "/secret");
    now += RECENT_LOOK_NS - 1;
    cr_expect_eq(recent_expire(recent, now), 1);
    cr_expect(recent_look(recent, now));
    now += RECENT_LOOK_NS - 1;
    cr_expect_eq(recent_expire(recent, now), 1);
    expect(recent, 0, 1, 1);
    now += 1;
    cr_expect(!recent_look(recent, now));
    cr_expect(!recent_is_on(recent));
    expect(recent, 0, 0, 1);
    recent_destroy(recent);
}

Test(recent, the_next_takes_the_oldest_ones_place, .timeout = 10)
{
    struct recent *recent = recent_create();
    uint64_t last;
    char *text;

    cr_assert_eq(recent_start(recent, T0), 0);
    for (unsigned i = 1; i <= SPOE_RECENT_MAX + 5; i++) {
        char target[16];

        (void)snprintf(target, sizeof target, "/%u.", i);
        add(recent, target);
    }
    expect(recent, 0, SPOE_RECENT_MAX, SPOE_RECENT_MAX + 5);
    text = written(recent, 0, &last);
    cr_expect_eq(count_of(text, "\"/5.\""), 0);
    cr_expect_eq(count_of(text, "\"/6.\""), 1);
    cr_expect_eq(count_of(text, "\"/205.\""), 1);
    free(text);
    recent_destroy(recent);
}

/* 13, 3: one traced request among thousands a second. */
Test(recent, keeps_the_request_of_the_trace_that_is_sought, .timeout = 10)
{
    const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct spoe_recent_request request = request_of("/sought");
    struct recent *recent = recent_create();
    uint64_t last;
    char *text;

    cr_assert_eq(recent_start(recent, T0), 0);
    add(recent, "/of-no-trace");
    recent_seek(recent, id);
    memcpy(request.trace_id, id, sizeof id);
    recent_add(recent, "p", &request);
    for (unsigned i = 0; i < 3 * SPOE_RECENT_MAX; i++)
        add(recent, "/other");
    text = written(recent, 0, &last);
    cr_expect_eq(count_of(text, "\"/sought\""), 1);
    cr_expect_eq(count_of(text, "\"/other\""), SPOE_RECENT_MAX);
    free(text);
    recent_end(recent);
    cr_assert_eq(recent_start(recent, T0), 0);
    recent_add(recent, "p", &request); /* it is one of many now */
    for (unsigned i = 0; i < SPOE_RECENT_MAX; i++)
        add(recent, "/other");
    text = written(recent, 0, &last);
    cr_expect_eq(count_of(text, "\"/sought\""), 0);
    free(text);
    recent_destroy(recent);
}

/* As where a request with that header is redirected, or passes two HAProxies. */
Test(recent, keeps_the_first_request_of_the_trace, .timeout = 10)
{
    const uint8_t id[16] = {1}, other[16] = {2};
    struct spoe_recent_request first = request_of("/first"), next = request_of("/next"),
                               another = request_of("/another");
    struct recent *recent = recent_create();
    uint64_t last;
    char *text;

    memcpy(first.trace_id, id, sizeof id);
    memcpy(next.trace_id, id, sizeof id);
    memcpy(another.trace_id, other, sizeof other);
    for (unsigned turn = 0; turn < 2; turn++) { /* off and on again, it is the first again */
        cr_assert_eq(recent_start(recent, T0), 0);
        recent_seek(recent, id);
        recent_add(recent, "p", &first);
        recent_seek(recent, id); /* who waits looks again */
        recent_add(recent, "p", &next);
        text = written(recent, 0, &last);
        cr_expect_eq(count_of(text, "\"/first\""), 1);
        cr_expect_eq(count_of(text, "\"/next\""), 1, "one of many: %s", text);
        free(text);
        for (unsigned i = 0; i < SPOE_RECENT_MAX; i++)
            add(recent, "/other");
        text = written(recent, 0, &last);
        cr_expect_eq(count_of(text, "\"/first\""), 1);
        cr_expect_eq(count_of(text, "\"/next\""), 0);
        free(text);
        recent_seek(recent, other);
        recent_add(recent, "p", &another);
        text = written(recent, 0, &last);
        cr_expect_eq(count_of(text, "\"/first\""), 0);
        cr_expect_eq(count_of(text, "\"/another\""), 1);
        free(text);
        recent_end(recent);
    }
    recent_destroy(recent);
}

Test(recent, the_facet_asks_for_the_size_that_it_knows, .timeout = 10)
{
    struct spoe_plugin desc = {.id = "its-id"};
    struct spoe_instance self = {.desc = &desc, .recent = recent_create()};
    struct spoe_recent_request request = request_of("/");
    uint64_t last;
    char *text;

    cr_expect_eq(host_table.get_extension(&self, SPOE_RECENT_1), &recent_facet);
    cr_expect_eq(recent_facet.wanted(&self), 0);
    recent_facet.add(&self, &request);
    cr_assert_eq(recent_start(self.recent, T0), 0);
    cr_expect_eq(recent_facet.wanted(&self), 1);
    request.size--;
    recent_facet.add(&self, &request);
    expect(self.recent, 0, 0, 0);
    request.size++;
    recent_facet.add(&self, &request);
    text = written(self.recent, 0, &last);
    cr_expect_eq(count_of(text, "\"plugin\":\"its-id\""), 1);
    free(text);
    recent_destroy(self.recent);
    self.recent = NULL;
    cr_expect_null(host_table.get_extension(&self, SPOE_RECENT_1));
}

/* ---- several at once ----------------------------------------------------------------------- */

#define WRITERS 3
#define EACH 5000

static void *write_many(void *arg)
{
    for (unsigned i = 0; i < EACH; i++)
        add(arg, "/many");
    return NULL;
}

/* Each number comes once to who asks for what is new, or its slot was taken by another meanwhile.
 */
Test(recent, nothing_is_shown_twice, .timeout = 60)
{
    static unsigned char seen[WRITERS * EACH + 1];
    struct recent *recent = recent_create();
    pthread_t writers[WRITERS];
    uint64_t last = 0;
    bool go_on = true;

    cr_assert_eq(recent_start(recent, T0), 0);
    for (size_t i = 0; i < WRITERS; i++)
        cr_assert_eq(pthread_create(&writers[i], NULL, write_many, recent), 0);
    while (go_on) {
        uint64_t next;
        char *text = written(recent, last, &next);

        for (const char *p = text; (p = strstr(p, "{\"n\":")) != NULL; p++) {
            const unsigned long long n = strtoull(p + 5, NULL, 10);

            cr_assert(n > last && n <= next);
            cr_assert_eq(seen[n]++, 0);
        }
        free(text);
        go_on = next + recent_missed(recent) < WRITERS * EACH;
        last = next;
    }
    for (size_t i = 0; i < WRITERS; i++)
        cr_assert_eq(pthread_join(writers[i], NULL), 0);
    cr_expect_eq(last + recent_missed(recent), WRITERS * EACH);
    recent_destroy(recent);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static const char *json_of(const struct spoe_recent_request *request)
{
    static char text[SPOE_RECENT_BYTES_MAX + 1];
    const size_t n = recent_json(7, "otel", request, text);

    cr_assert_leq(n, SPOE_RECENT_BYTES_MAX);
    text[n] = '\0';
    return text;
}

Test(recent_json, is_what_it_says, .timeout = 10)
{
    const struct spoe_value bin = {.type = SPOE_T_BIN, .u.s = {"a\0\xff", 3}};
    const struct spoe_value ip4 = {.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 1}};
    const struct spoe_value ip6 = {.type = SPOE_T_IPV6, .u.ip6 = {[15] = 1}};
    const struct spoe_value i32 = {.type = SPOE_T_INT32, .u.i32 = -3};
    const struct spoe_value u32 = {.type = SPOE_T_UINT32, .u.u32 = 4};
    const struct spoe_value u64 = {.type = SPOE_T_UINT64, .u.u64 = UINT64_MAX};
    const struct spoe_value none = {.type = SPOE_T_NULL};
    const struct spoe_arg attributes[] = {{spoe_str("s"), spoe_value_str(spoe_str("\"<b>"))},
                                          {spoe_str("i"), spoe_value_int(INT64_MIN)},
                                          {spoe_str("y"), spoe_value_bool(1)},
                                          {spoe_str("n"), spoe_value_bool(0)},
                                          {spoe_str("b"), bin},
                                          {spoe_str("4"), ip4},
                                          {spoe_str("6"), ip6},
                                          {spoe_str("i32"), i32},
                                          {spoe_str("u32"), u32},
                                          {spoe_str("u64"), u64},
                                          {spoe_str("0"), none}};
    const struct spoe_recent_part parts[] = {
        {.kind = SPOE_RECENT_SERVER,
         .flags = SPOE_RECENT_ERROR,
         .name = spoe_str("GET"),
         .id = {1, 2, 3, 4, 5, 6, 7, 0xff},
         .start_unix_ns = INT64_C(1700000000000000001),
         .end_unix_ns = INT64_C(1700000000000000002),
         .n_attributes = sizeof attributes / sizeof attributes[0],
         .n_left_out = 2,
         .attributes = attributes},
        {.kind = SPOE_RECENT_CLIENT, .name = spoe_str("c"), .parent_id = {[7] = 9}},
        {.kind = 99, .name = spoe_str("queue")}};
    struct spoe_recent_request request = request_of("/a");

    request.flags = SPOE_RECENT_SAMPLED | SPOE_RECENT_INCOMPLETE | SPOE_RECENT_EXPORTED;
    request.trace_id[15] = 0xab;
    request.client = spoe_str("::1");
    request.frontend = spoe_str("web");
    request.backend = spoe_str("app");
    request.server = spoe_str("s1");
    request.termination = spoe_str("--");
    request.parts = parts;
    request.n_parts = 3;
    cr_expect_str_eq(
        json_of(&request),
        "{\"n\":7,\"plugin\":\"otel\",\"trace\":\"000000000000000000000000000000ab\","
        "\"start\":\"10\",\"end\":\"30\",\"status\":200,\"sampled\":true,\"exported\":true,"
        "\"incomplete\":true,"
        "\"method\":\"GET\",\"target\":\"/a\",\"client\":\"::1\",\"frontend\":\"web\","
        "\"backend\":\"app\",\"server\":\"s1\",\"termination\":\"--\",\"parts\":["
        "{\"kind\":\"server\",\"name\":\"GET\",\"id\":\"01020304050607ff\",\"parent\":\"\","
        "\"start\":\"1700000000000000001\",\"end\":\"1700000000000000002\",\"error\":true},"
        "{\"kind\":\"client\",\"name\":\"c\",\"id\":\"\",\"parent\":\"0000000000000009\","
        "\"start\":\"0\",\"end\":\"0\",\"error\":false},"
        "{\"kind\":\"phase\",\"name\":\"queue\",\"id\":\"\",\"parent\":\"\",\"start\":\"0\","
        "\"end\":\"0\",\"error\":false}],"
        "\"attributes\":[[0,\"s\",\"\\\"<b>\"],[0,\"i\",\"-9223372036854775808\"],"
        "[0,\"y\",\"true\"],[0,\"n\",\"false\"],[0,\"b\",\"a\\u0000\xef\xbf\xbd\"],"
        "[0,\"4\",\"192.0.2.1\"],[0,\"6\",\"::1\"],[0,\"i32\",\"-3\"],[0,\"u32\",\"4\"],"
        "[0,\"u64\",\"18446744073709551615\"],[0,\"0\",\"\"]],\"cut\":2}");
}

Test(recent_json, of_nothing_is_whole, .timeout = 10)
{
    const struct spoe_recent_request request = {.size = sizeof request};

    cr_expect_str_eq(
        json_of(&request),
        "{\"n\":7,\"plugin\":\"otel\",\"trace\":\"\",\"start\":\"0\",\"end\":\"0\","
        "\"status\":0,\"sampled\":false,\"exported\":false,\"incomplete\":false,\"method\":\"\","
        "\"target\":\"\",\"client\":\"\",\"frontend\":\"\",\"backend\":\"\","
        "\"server\":\"\",\"termination\":\"\",\"parts\":[],\"attributes\":[],"
        "\"cut\":0}");
}

Test(recent_json, cuts_what_is_long_and_says_so, .timeout = 10)
{
    static char text[3 * SPOE_RECENT_VALUE_MAX];
    struct spoe_recent_request request = request_of("");
    const char *json, *target;

    memset(text, 'x', sizeof text);
    request.target = (struct spoe_span){text, SPOE_RECENT_VALUE_MAX};
    cr_expect_not_null(strstr(json_of(&request), "\"cut\":0}"));
    request.target.n++;
    json = json_of(&request);
    cr_expect_not_null(strstr(json, "x\xe2\x80\xa6\",\"client\""));
    cr_expect_not_null(strstr(json, "\"cut\":1}"));
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2); /* a character is cut nowhere */
    text[0] = 'x';
    text[1] = 'x';
    request.target = (struct spoe_span){text + 1, SPOE_RECENT_VALUE_MAX + 1};
    json = json_of(&request);
    target = strstr(json, "\xe2\x80\xa6\",\"client\"");
    cr_assert_not_null(target);
    cr_expect_eq(memcmp(target - 2, "\xc3\xa4", 2), 0);
}

/* The worst that a plugin may hand over fits, and is whole: whatever does not is counted. */
Test(recent_json, is_whole_whatever_comes, .timeout = 30)
{
    static char text[5000];
    static struct spoe_arg attributes[1024];
    static struct spoe_recent_part parts[SPOE_RECENT_PARTS_MAX + 3];
    const struct spoe_span all = {text, sizeof text};
    struct spoe_recent_request request = {.size = sizeof request,
                                          .start_unix_ns = INT64_MIN,
                                          .end_unix_ns = INT64_MIN,
                                          .status = INT64_MIN,
                                          .method = all,
                                          .target = all,
                                          .client = all,
                                          .frontend = all,
                                          .backend = all,
                                          .server = all,
                                          .termination = all,
                                          .parts = parts,
                                          .n_parts = SPOE_RECENT_PARTS_MAX + 3};
    const char *json;

    memset(text, 1, sizeof text); /* six bytes each */
    memset(request.trace_id, 0xff, sizeof request.trace_id);
    for (size_t i = 0; i < 1024; i++)
        attributes[i] = (struct spoe_arg){all, spoe_value_str(all)};
    for (size_t i = 0; i < SPOE_RECENT_PARTS_MAX + 3; i++) {
        parts[i] = (struct spoe_recent_part){.kind = SPOE_RECENT_SERVER,
                                             .name = all,
                                             .start_unix_ns = INT64_MIN,
                                             .end_unix_ns = INT64_MIN,
                                             .n_attributes = 1024,
                                             .n_left_out = UINT32_MAX / 16,
                                             .attributes = attributes};
        memset(parts[i].id, 0xff, sizeof parts[i].id);
        memset(parts[i].parent_id, 0xff, sizeof parts[i].parent_id);
    }
    json = json_of(&request);
    cr_expect_eq(count_of(json, "\"kind\":\"server\""), SPOE_RECENT_PARTS_MAX);
    cr_expect_gt(count_of(json, ",[0,\""), 0);
    cr_expect_not_null(strstr(json, "]],\"cut\":"));
    cr_expect_eq(json[strlen(json) - 1], '}');
}
