/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_query.c - secrets in queries and URLs. */
#include <criterion/criterion.h>
#include <string.h>

#include <spoe/util.h>

#include "record/query.h"

TestSuite(query, .timeout = 10);

static void expect(const char *keys, const char *query, const char *wanted)
{
    char got[256];
    const size_t n = query_redact(keys, spoe_str(query), got, sizeof got);

    cr_expect(n == strlen(wanted) && memcmp(got, wanted, n) == 0,
              "%s with %s: got '%.*s', wanted '%s'", query, keys, (int)n, got, wanted);
}

Test(query, redacts_all_values)
{
    expect("*", "a=1&b=2", "a=REDACTED&b=REDACTED");
    expect("*", "a=1=2&b==", "a=REDACTED&b=REDACTED");
    expect("*", "=x", "=REDACTED");
    expect("*", "a&b=&&c=1&", "a&b=&&c=REDACTED&");
    expect("*", "", "");
    expect("*", "&", "&");
}

Test(query, redacts_what_is_listed_and_case_counts)
{
    expect(QUERY_SENSITIVE_KEYS, "sig=a&Sig=b&Signature=c&signature=d",
           "sig=REDACTED&Sig=b&Signature=REDACTED&signature=d");
    expect(QUERY_SENSITIVE_KEYS, "X-Amz-Signature=a&X-Amz-Credential=b&X-Amz-Security-Token=c",
           "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED");
    expect(QUERY_SENSITIVE_KEYS, "AWSAccessKeyId=a&X-Goog-Signature=b",
           "AWSAccessKeyId=REDACTED&X-Goog-Signature=REDACTED");
    expect(" token , key ,", "token=1&key=2&to=3&=4", "token=REDACTED&key=REDACTED&to=3&=4");
    expect(NULL, "token=1&sig=2", "token=1&sig=2");
    expect("", "token=1", "token=1");
}

static void expect_url(const char *url, const char *wanted)
{
    char got[256];
    const size_t n = query_redact_url("sig", spoe_str(url), got, sizeof got);

    cr_expect(n == strlen(wanted) && memcmp(got, wanted, n) == 0, "%s: got '%.*s', wanted '%s'",
              url, (int)n, got, wanted);
}

Test(query, redacts_urls)
{
    expect_url("/p?a=1&sig=2", "/p?a=1&sig=REDACTED");
    expect_url("/p", "/p");
    expect_url("", "");
    expect_url("/p?", "/p?");
    expect_url("https://h/p?sig=1#sig=2", "https://h/p?sig=REDACTED#sig=2");
    expect_url("https://u:p@h/p", "https://REDACTED:REDACTED@h/p");
    expect_url("https://u@h", "https://REDACTED:REDACTED@h");
    expect_url("https://u:p@q@h?x", "https://REDACTED:REDACTED@h?x");
    expect_url("https://h/a@b", "https://h/a@b");
    expect_url("https://h?a@b", "https://h?a@b");
    expect_url("://", "://");
    expect_url(":", ":");
    expect_url("/a://u:p@h", "/a://REDACTED:REDACTED@h");
}

Test(query, cuts_what_does_not_fit)
{
    char got[8] = "-------";

    cr_expect_eq(query_redact("*", spoe_str("abc=secret"), got, 7), 7);
    cr_expect_eq(memcmp(got, "abc=RED", 8), 0);
    cr_expect_eq(query_redact("*", spoe_str("abc=secret"), got, 0), 0);
    cr_expect_eq(query_redact_url("*", spoe_str("a://u@hhh"), got, 7), 7);
    cr_expect_eq(memcmp(got, "a://RED", 8), 0);
}
