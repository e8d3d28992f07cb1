/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_exclude.c - requests that are not traced. */
#include "exchange.h"

TestSuite(exclude, .init = exchange_set_up, .fini = exchange_tear_down, .timeout = 60);

static bool matches(const char *list, const char *path)
{
    struct exclude *exclude = exclude_create(list);
    bool ret;

    cr_assert_not_null(exclude);
    ret = exclude_path(exclude, spoe_str(path));
    exclude_destroy(exclude);
    return ret;
}

Test(exclude, matches_whole_paths_and_beginnings)
{
    cr_expect(matches("/healthz", "/healthz"));
    cr_expect_not(matches("/healthz", "/healthz/deep"));
    cr_expect_not(matches("/healthz", "/health"));
    cr_expect_not(matches("/healthz", "/Healthz"));
    cr_expect(matches("/internal/*", "/internal/"));
    cr_expect(matches("/internal/*", "/internal/a/b"));
    cr_expect_not(matches("/internal/*", "/internal"));
    cr_expect(matches("/*", "/anything"));
    cr_expect_not(matches("/*", "*"));
    cr_expect_not(matches("/*", ""));
    cr_expect(matches(" /a , ,/b* ", "/bee"));
    cr_expect(matches(" /a , ,/b* ", "/a"));
    cr_expect_not(matches("", "/a"));
    cr_expect_not(matches(" , ", ""));
}

Test(exclude, says_what_is_wrong_with_a_list)
{
    static char many[65 * 3 + 1];

    cr_expect_null(exclude_error(""));
    cr_expect_null(exclude_error("/healthz, /internal/*"));
    cr_expect_not_null(exclude_error("healthz"));
    cr_expect_not_null(exclude_error("*"));
    cr_expect_not_null(exclude_error("/a*b"));
    cr_expect_not_null(exclude_error("/**"));
    for (size_t i = 0; i < 65; i++)
        memcpy(many + i * 3, "/a,", 3);
    cr_expect_not_null(exclude_error(many));
    many[64 * 3] = '\0';
    cr_expect_null(exclude_error(many));
}

static struct exchange x;

static struct exchange *with_path(const char *path)
{
    x = exchange_of("u1");
    x.request.slot[REQUEST_PATH] = text(path);
    return &x;
}

Test(exclude, an_excluded_request_opens_nothing_and_its_messages_are_no_anomaly)
{
    policy.exclude = excluded = exclude_create("/healthz");
    with_path("/healthz");
    send_request(&x);
    cr_expect_eq(fake.answers, 0);
    cr_expect_eq(store_count(handlers.store), 0);
    send_backend(&x);
    send_response(&x);
    take_ended();
    cr_expect_null(ended_server);
    cr_expect_eq(counted(&counters.requests), 1);
    cr_expect_eq(counted(&counters.excluded), 1);
    cr_expect_eq(counted(&counters.excluded_later), 2);
    cr_expect_eq(counted(&counters.opened), 0);
    cr_expect_eq(counted(&counters.unknown_id), 0);
    send_response(&x); /* the id is forgotten */
    cr_expect_eq(counted(&counters.unknown_id), 1);
}

Test(exclude, others_are_traced)
{
    policy.exclude = excluded = exclude_create("/healthz");
    exchange_run(with_path("/other"));
    cr_expect_eq(counted(&counters.excluded), 0);
    send_response(&x);
    cr_expect_eq(counted(&counters.unknown_id), 1);
    x.request.slot[REQUEST_PATH] = (struct spoe_value){.type = SPOE_T_NULL};
    exchange_run(&x);
}

Test(exclude, an_excluded_id_that_is_used_again_is_traced)
{
    policy.exclude = excluded = exclude_create("/healthz");
    with_path("/healthz");
    send_request(&x); /* and no response */
    exchange_run(with_path("/other"));
    cr_expect_eq(counted(&counters.excluded_later), 0);
}

Test(exclude, remembers_many_and_forgets_some_of_too_many)
{
    struct untraced_ids *ids = untraced_create();
    size_t known = 0;
    char id[16];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof id, "id-%d", i);
        untraced_remember(ids, spoe_str(id), UNTRACED_EXCLUDED);
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof id, "id-%d", i);
        known += untraced_find(ids, spoe_str(id), false) == UNTRACED_EXCLUDED;
    }
    cr_expect_geq(known, 990, "a bucket of four rarely gets five: %zu", known);
    for (int i = 0; i < 200000; i++) {
        (void)snprintf(id, sizeof id, "more-%d", i);
        untraced_remember(ids, spoe_str(id), UNTRACED_EXCLUDED);
    }
    cr_expect_eq(untraced_find(ids, spoe_str(id), true), UNTRACED_EXCLUDED, "the newest is there");
    cr_expect_eq(untraced_find(ids, spoe_str(id), true), UNTRACED_NOT);
    untraced_destroy(ids);
}
