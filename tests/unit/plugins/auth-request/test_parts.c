/* SPDX-License-Identifier: Apache-2.0 */
/* What has no state of a worker's: names, questions, answers, kept answers (issue 12, 4). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

#include "auth-request/answer.h"
#include "auth-request/auth.h"
#include "auth-request/cache.h"
#include "auth-request/names.h"
#include "auth-request/question.h"
#include "auth-request/siphash.h"

TestSuite(auth_names, .timeout = 10);
TestSuite(auth_question, .timeout = 10);
TestSuite(auth_answer, .timeout = 10);
TestSuite(auth_cache, .timeout = 10);

/* ---- names ---- */

static int parse(struct names *names, const char *list)
{
    char why[160];

    return names_parse(names, spoe_str(list), why, sizeof why);
}

Test(auth_names, a_list)
{
    struct names names;

    cr_assert_eq(parse(&names, " X-User ,cookie, x-user\t,X_Y.Z,"), 0);
    cr_assert_eq(names.n, 3);
    cr_expect_str_eq(names.item[0].text, "X-User");
    cr_expect_str_eq(names.item[0].variable, "header_x_user");
    cr_expect_str_eq(names.item[2].variable, "header_x_y_z");
    cr_expect_eq(names_find(&names, "COOKIE", 6), 1);
    cr_expect_eq(names_find(&names, "COOKIES", 7), -1);
    names_fini(&names);
    cr_assert_eq(parse(&names, ""), 0);
    cr_expect_eq(names.n, 0);
}

Test(auth_names, what_is_no_name)
{
    char many[65 * 4 + 1] = "";
    char name[NAME_MAX_BYTES + 2];
    struct names names;

    cr_expect_eq(parse(&names, "a:b"), -1);
    cr_expect_eq(parse(&names, "a\x80"), -1);
    cr_expect_eq(parse(&names, "a b"), -1);
    cr_expect_eq(parse(&names, "a,,b"), -1);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    cr_expect_eq(parse(&names, name), -1);
    name[sizeof name - 2] = '\0';
    cr_expect_eq(parse(&names, name), 0);
    cr_expect_eq(strlen(names.item[0].variable), 64);
    names_fini(&names);
    for (unsigned i = 0; i < 65; i++)
        (void)snprintf(many + 4 * i, sizeof many - 4 * i, "n%02u,", i);
    cr_expect_eq(parse(&names, many), -1);
    many[64 * 4] = '\0';
    cr_expect_eq(parse(&names, many), 0);
    names_fini(&names);
}

/* ---- questions ---- */

static struct question question;
static struct spoe_value slots[ARG_COUNT];
static struct auth_conf conf;

/* @return its lines, with | for their ends; NULL: it cannot be made */
static const char *made(void)
{
    static char text[QUESTION_MAX];
    const struct spoe_message msg = {.size = sizeof msg, .n_slots = ARG_COUNT, .slot = slots};

    if (question_make(&question, &conf, &msg) != 0)
        return NULL;
    memcpy(text, question.text, question.n);
    text[question.n] = '\0';
    for (size_t i = 0; i < question.n; i++)
        text[i] = text[i] != '\0' ? text[i] : '|';
    return text;
}

static void headers(const char *bytes, size_t n)
{
    slots[ARG_HDRS] = spoe_value_str((struct spoe_span){bytes, n});
    slots[ARG_HDRS].type = SPOE_T_BIN;
}
#define HEADERS(bytes) headers(bytes, sizeof(bytes) - 1)

static void all(void)
{
    conf =
        (struct auth_conf){.send = SEND_METHOD | SEND_URI | SEND_HOST | SEND_PROTO | SEND_CLIENT};
    cr_assert_eq(parse(&conf.to_service, "Cookie, Authorization"), 0);
    slots[ARG_METHOD] = spoe_value_str(spoe_str("GET"));
    slots[ARG_URI] = spoe_value_str(spoe_str("/p?q"));
    slots[ARG_SSL] = spoe_value_bool(1);
    slots[ARG_SRC] = (struct spoe_value){.type = SPOE_T_IPV4, .u.ip4 = {192, 0, 2, 1}};
    HEADERS("\4host\1h\6cookie\3a=1\6cookie\3b=2\15authorization\0\0\0");
}

#define HEAD                                                                                       \
    "X-Original-Method: GET|X-Forwarded-Method: GET|X-Original-URI: /p?q|"                         \
    "X-Forwarded-Uri: /p?q|X-Forwarded-Proto: https|"                                              \
    "X-Real-IP: 192.0.2.1|X-Forwarded-For: 192.0.2.1|X-Forwarded-Host: h|"

Test(auth_question, all_of_it, .init = all)
{
    cr_assert_str_eq(made(), HEAD "Cookie: a=1|Cookie: b=2|Authorization;|");
    cr_expect_eq(question.n_lines, 11);
    slots[ARG_SRC] =
        (struct spoe_value){.type = SPOE_T_IPV6, .u.ip6 = {0x20, 1, 0xd, 0xb8, [15] = 1}};
    cr_expect(strstr(made(), "X-Real-IP: 2001:db8::1|") != NULL);
}

Test(auth_question, what_a_request_may_lack, .init = all)
{
    slots[ARG_SRC].type = SPOE_T_NULL;
    HEADERS("\0\0");
    cr_assert_not_null(made());
    cr_expect(strstr(made(), "X-Forwarded-Host") == NULL && strstr(made(), "X-Real-IP") == NULL);
    slots[ARG_METHOD].type = SPOE_T_NULL;
    cr_expect_null(made());
    conf.send &= ~(unsigned)SEND_METHOD;
    cr_expect_not_null(made());
    slots[ARG_HDRS].type = SPOE_T_NULL;
    cr_expect_null(made());
    conf.to_service.n = 0;
    cr_expect_null(made(), "for want of Host");
    conf.send &= ~(unsigned)SEND_HOST;
    cr_expect_not_null(made());
}

Test(auth_question, a_path_without_its_query, .init = all)
{
    conf.send = SEND_PATH;
    conf.to_service.n = 0;
    cr_expect_str_eq(made(), "X-Original-URI: /p|X-Forwarded-Uri: /p|");
}

/* No client adds a line. */
Test(auth_question, what_no_header_may_hold, .init = all)
{
    static const char *const bad[] = {"/\r\nX: y", "/\n", "/\r", "/\x01", "/\x7f"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        slots[ARG_URI] = spoe_value_str(spoe_str(bad[i]));
        cr_expect_null(made(), "%zu", i);
    }
    slots[ARG_URI] = spoe_value_str((struct spoe_span){"/\0", 2});
    cr_expect_null(made());
    slots[ARG_URI] = spoe_value_str(spoe_str("/a b\t\xff"));
    cr_expect_not_null(made());
    HEADERS("\6cookie\3a\rb\0\0");
    cr_expect_null(made());
    HEADERS("\6cookie\3 \t \0\0");
    cr_expect_not_null(made());
    cr_expect(strstr(made(), "|Cookie;|") != NULL, "libcurl takes blanks alone for none");
}

Test(auth_question, headers_that_cannot_be_read, .init = all)
{
    HEADERS("\6cookie\3a=1");
    cr_expect_null(made(), "no end");
    HEADERS("\6cookie\xff");
    cr_expect_null(made());
    HEADERS("");
    cr_expect_null(made());
}

Test(auth_question, too_long, .init = all)
{
    static char path[QUESTION_MAX];

    memset(path, 'p', sizeof path);
    slots[ARG_URI] = spoe_value_str((struct spoe_span){path, sizeof path / 2 - 200});
    cr_expect_not_null(made());
    slots[ARG_URI] = spoe_value_str((struct spoe_span){path, sizeof path / 2});
    cr_expect_null(made());
}

/* ---- answers ---- */

static struct answer_reader reader;
static struct names wanted;

static void read_lines(const char *lines)
{
    answer_begin(&reader, &wanted);
    while (*lines != '\0') {
        const size_t n = strcspn(lines, "|");

        answer_take_line(&reader, lines, n);
        lines += n + (lines[n] == '|');
    }
}

static void want(void)
{
    cr_assert_eq(parse(&wanted, "x-user, set-cookie"), 0);
}

/* The n-th record. */
static struct spoe_span value(unsigned n, unsigned place)
{
    const struct answer answer = {.n = (uint32_t)reader.n, .bytes = reader.bytes};
    struct spoe_span found = {0};
    uint8_t of = 255;
    size_t at = 0;

    for (unsigned i = 0; i <= n; i++)
        cr_assert(answer_next(&answer, &at, &of, &found));
    cr_assert_eq(of, place);
    return found;
}

Test(auth_answer, chosen_headers, .init = want)
{
    read_lines("HTTP/1.1 200 OK\r\n|X-User: alice \r\n|Set-Cookie: a\r\n|x-other: no\r\n|"
               "x-user:bob\r\n|set-cookie: b\r\n|X-User:\r\n|\r\n");
    cr_expect(reader.ended && reader.status == 200 && reader.keep_none);
    cr_expect(spoe_span_is(value(0, 0), "alice, bob, "));
    cr_expect(spoe_span_is(value(1, 1), "a"), "the first of them");
}

/* 1xx before it, trailers behind it, whatever they look like. */
Test(auth_answer, the_final_head_only, .init = want)
{
    read_lines("HTTP/1.1 103 Early|X-User: early||HTTP/1.1 200|X-User: alice||"
               "X-User: late|HTTP/1.1 500 late|X-User: later||");
    cr_expect_eq(reader.status, 200);
    cr_expect(spoe_span_is(value(0, 0), "alice"));
    read_lines("HTTP/1.1 103 Early|X-User: early||");
    cr_expect_not(reader.ended);
    read_lines("HTTP/2 204|");
    cr_expect(reader.status == 204 && !reader.ended);
}

Test(auth_answer, bad_status_lines, .init = want)
{
    static const char *const lines[] = {"HTTP/1.1||",      "HTTP/1.1 ||",    "HTTP/1.1 20||",
                                        "HTTP/1.1 2000||", "HTTP/1.1 2x0||", "200 OK||"};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        read_lines(lines[i]);
        cr_expect(reader.status == 0 && !reader.ended, "%s", lines[i]);
    }
}

Test(auth_answer, headers_that_cannot_be_had, .init = want)
{
    static char line[ANSWER_HEADERS_MAX + 100];

    read_lines("HTTP/1.1 200|X-User: a\x01|");
    cr_expect_eq(reader.fault, ANSWER_BAD_VALUE);
    read_lines("HTTP/1.1 200|");
    memset(line, 'u', sizeof line);
    memcpy(line, "x-user:", 7);
    answer_take_line(&reader, line, 7 + ANSWER_HEADERS_MAX - 3);
    cr_expect_eq(reader.fault, ANSWER_GOOD);
    cr_expect_eq(reader.n, ANSWER_HEADERS_MAX);
    answer_take_line(&reader, "x-user: b", 9);
    cr_expect_eq(reader.fault, ANSWER_TOO_LARGE);
    read_lines("HTTP/1.1 200|");
    answer_take_line(&reader, line, 7 + ANSWER_HEADERS_MAX - 2);
    cr_expect_eq(reader.fault, ANSWER_TOO_LARGE);
}

/* 12.4: a header that looks like a status line does not turn a no into a yes; libcurl lets one with
 * a colon pass. */
Test(auth_answer, a_status_line_among_the_headers, .init = want)
{
    static const char *const lines[] = {"HTTP/1.1 200 OK: x", "HTTP/1.1: 200", "HTTP/2 200 :"};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[100];

        (void)snprintf(text, sizeof text, "HTTP/1.1 403 No|X-User: a|%s|X-Other: b||", lines[i]);
        read_lines(text);
        cr_expect(reader.ended && reader.status == 403, "%s: %u", lines[i], reader.status);
        cr_expect(spoe_span_is(value(0, 0), "a"));
    }
}

/* 12.4: a header that goes on in the next line is not taken for a whole one. */
Test(auth_answer, headers_of_several_lines, .init = want)
{
    read_lines("HTTP/1.1 200|X-User: a|  b||");
    cr_expect_eq(reader.fault, ANSWER_BAD_VALUE);
    read_lines("HTTP/1.1 200|Cache-Control: max-age=60,|\tno-store||");
    cr_expect_eq(reader.fault, ANSWER_BAD_VALUE);
    read_lines("HTTP/1.1 200|X-Other: a| x-user: b|X-User: c||");
    cr_expect_eq(reader.fault, ANSWER_GOOD);
    cr_expect(spoe_span_is(value(0, 0), "c"));
}

Test(auth_answer, how_long_it_may_be_kept, .init = want)
{
    static const struct {
        const char *line;
        int64_t ttl_s; /* of 100 */
    } all[] = {
        {"x: y", 100},
        {"Cache-Control: public", 100},
        {"Cache-Control: max-age=60", 60},
        {"Cache-Control: max-age=60, s-maxage=30", 30},
        {"Cache-Control: s-maxage=\"7\"", 7},
        {"Cache-Control: max-age=600", 100}, /* never longer */
        {"Cache-Control: max-age=99999999999999999999", 100},
        {"Cache-Control: max-age=", 0},
        {"Cache-Control: max-age=-1", 0},
        {"Cache-Control: max-age=x", 0},
        {"cache-control:NO-STORE", 0},
        {"Cache-Control: private=\"x\"", 0},
        {"Cache-Control: no-cache", 0},
        {"Set-Cookie: a", 0},
        {"Vary: *", 0},
        {"Vary: cookie", 100}, /* all that is sent is the key */
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char lines[100];

        (void)snprintf(lines, sizeof lines, "HTTP/1.1 200|%s||", all[i].line);
        read_lines(lines);
        cr_expect_eq(answer_ttl(&reader, 100 * INT64_C(1000000000)),
                     all[i].ttl_s * INT64_C(1000000000), "%s", all[i].line);
    }
}

/* ---- kept answers ---- */

static struct cache *cache;
static struct cache_change change;

static int put(const char *key, const char *bytes, int64_t expires, size_t entries, size_t size)
{
    const struct answer answer = {.status = 200,
                                  .allowed = true,
                                  .n = (uint32_t)strlen(bytes),
                                  .bytes = (const uint8_t *)bytes};

    /* One hash for all: what is equal is decided by the key. */
    return cache_put(cache, 7, spoe_str(key), &answer, expires, entries, size, &change);
}

static enum cache_result find(const char *key, int64_t at)
{
    struct answer answer;

    return cache_find(cache, 7, spoe_str(key), at, &answer);
}

static void make_cache(void)
{
    cache = cache_create(4);
    cr_assert_not_null(cache);
}

static void drop_cache(void)
{
    cache_destroy(cache);
}

Test(auth_cache, found_by_the_whole_key, .init = make_cache, .fini = drop_cache)
{
    struct answer answer;

    cr_assert_eq(put("key", "bytes", 10, 4, 10000), 0);
    cr_expect(change.entries == 1 && change.bytes == (int64_t)cache_bytes(cache));
    cr_assert_eq(cache_find(cache, 7, spoe_str("key"), 9, &answer), CACHE_HIT);
    cr_expect(answer.allowed && answer.status == 200 && answer.n == 5 &&
              memcmp(answer.bytes, "bytes", 5) == 0);
    cr_expect_eq(find("ke", 9), CACHE_MISS);
    cr_expect_eq(find("kez", 9), CACHE_MISS);
    cr_expect_eq(cache_find(cache, 8, spoe_str("key"), 9, &answer), CACHE_MISS);
    cr_expect_eq(find("key", 10), CACHE_EXPIRED);
    cr_expect_eq(find("key", 10), CACHE_MISS, "it is gone");
    cr_expect(cache_entries(cache) == 0 && cache_bytes(cache) == 0);
}

Test(auth_cache, a_newer_one_takes_its_place, .init = make_cache, .fini = drop_cache)
{
    cr_assert_eq(put("key", "bytes", 10, 4, 10000), 0);
    cr_assert_eq(put("key", "", 20, 4, 10000), 0);
    cr_expect(change.entries == 0 && change.bytes == -5 && change.evicted == 0);
    cr_expect_eq(find("key", 15), CACHE_HIT);
}

Test(auth_cache, the_one_not_asked_for_makes_room, .init = make_cache, .fini = drop_cache)
{
    cr_assert_eq(put("a", "", 10, 2, 10000), 0);
    cr_assert_eq(put("b", "", 10, 2, 10000), 0);
    cr_assert_eq(find("a", 1), CACHE_HIT);
    cr_assert_eq(put("c", "", 10, 2, 10000), 0);
    cr_expect(change.evicted == 1 && change.entries == 0);
    cr_expect_eq(find("b", 1), CACHE_MISS);
    cr_expect_eq(find("a", 1), CACHE_HIT);
    cr_expect_eq(find("c", 1), CACHE_HIT);
}

Test(auth_cache, bounded_in_bytes, .init = make_cache, .fini = drop_cache)
{
    char big[1000];
    size_t one;

    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    cr_assert_eq(put("a", big, 10, 100, 100000), 0);
    one = cache_bytes(cache);
    cr_assert_eq(put("b", big, 10, 100, 3 * one - 1), 0);
    cr_assert_eq(put("c", big, 10, 100, 3 * one - 1), 0);
    cr_expect(change.evicted == 1 && cache_bytes(cache) == 2 * one);
    cr_expect_eq(find("a", 1), CACHE_MISS);
    /* One that is above the bound alone costs nobody his place. */
    cr_expect_eq(put("d", big, 10, 100, one - 1), -1);
    cr_expect(change.evicted == 0 && cache_entries(cache) == 2);
    /* The bound has become less, since there are more workers. */
    cr_assert_eq(put("e", "", 10, 1, 100000), 0);
    cr_expect(change.evicted == 2 && cache_entries(cache) == 1);
}

/* The first vector of Rust's SipHasher13: the empty text. */
Test(auth_cache, keyed_hash)
{
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    const uint64_t other[2] = {1, 3};

    cr_expect_eq(siphash(key, "", 0), UINT64_C(0xabac0158050fc4dc));
    cr_expect_neq(siphash(key, "abc", 3), siphash(other, "abc", 3));
    cr_expect_neq(siphash(key, "abcdefgh", 8), siphash(key, "abcdefg", 7));
    cr_expect_neq(siphash(key, "", 0), siphash(key, "\0", 1));
}

/* ---- health ------------------------------------------------------------------------------- */

static struct auth shared;
static int32_t told_state;
static unsigned n_told;

/* While one worker says that it is down another one sees an answer, and has said so before. */
static void told(struct spoe_instance *self, int32_t state, struct spoe_span reason)
{
    (void)self;
    cr_expect_eq(state == SPOE_HEALTH_DOWN, reason.n != 0);
    if (n_told++ == 0)
        atomic_store(&shared.is_down, false);
    told_state = state;
}

/* 12: what is said last is what is so */
Test(auth_parts, health_is_looked_at_again, .timeout = 60)
{
    static const struct spoe_health facet = {.size = sizeof facet, .set = told};

    auth_show_health(&shared, "nobody is told");
    shared.health = &facet;
    atomic_store(&shared.is_down, true);
    auth_show_health(&shared, "refused");
    cr_expect_eq(n_told, 2);
    cr_expect_eq(told_state, SPOE_HEALTH_READY);
    atomic_store(&shared.is_down, true);
    auth_show_health(&shared, "refused");
    cr_expect_eq(n_told, 3);
    cr_expect_eq(told_state, SPOE_HEALTH_DOWN);
}
