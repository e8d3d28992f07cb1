/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that a reload has replaced are freed when nobody can read them any more, not before
 * (2.7). */
#include <criterion/criterion.h>

#include "../../../otel-plugin/policies.c" /* NOLINT(bugprone-suspicious-include): what it keeps */

#define WORKERS 3

/* What was posted, by worker. */
static struct {
    void (*fn)(void *arg);
    void *arg;
} posted[WORKERS][POLICIES_MAX];
static unsigned n_posted[WORKERS];
static bool closed;

static char worker_tags[WORKERS];

static struct spoe_worker *worker(unsigned i)
{
    return (struct spoe_worker *)(void *)&worker_tags[i];
}

static spoe_status post(struct spoe_worker *to, void (*fn)(void *arg), void *arg)
{
    const size_t i = (size_t)((char *)(void *)to - worker_tags);

    if (closed)
        return SPOE_E_STOPPING;
    cr_assert_lt(n_posted[i], POLICIES_MAX);
    posted[i][n_posted[i]].fn = fn;
    posted[i][n_posted[i]++].arg = arg;
    return SPOE_OK;
}

static void run_worker(unsigned i)
{
    for (unsigned p = 0; p < n_posted[i]; p++)
        posted[i][p].fn(posted[i][p].arg);
    n_posted[i] = 0;
}

static volatile unsigned countdown; /* the allocation that fails; 0: none */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *string);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *string);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *string)
{
    return fails() ? NULL : __real_strdup(string);
}

static const struct spoe_host host = {.size = sizeof host, .post = post};
static struct evictor evictor;
static struct handlers handlers;
static struct policies *policies;
static struct otel_conf fixed, rules;

static void setup(void)
{
    policies = policies_create(&host, &handlers, &evictor);
    cr_assert_not_null(policies);
    fixed.semconv = SEMCONV_DUP;
    for (unsigned i = 0; i < WORKERS; i++)
        cr_assert_eq(policies_add_worker(policies, worker(i)), 0);
}

static void teardown(void)
{
    policies_destroy(policies);
}

TestSuite(policies, .init = setup, .fini = teardown, .timeout = 10);

static void use(void)
{
    cr_assert_eq(policies_use(policies, &fixed, &rules), SPOE_OK);
}

static size_t kept(void)
{
    size_t n = 0;

    for (const struct held *held = policies->newest; held != NULL; held = held->before)
        n++;
    return n;
}

Test(policies, the_newest_is_in_use_with_what_it_points_to)
{
    char paths[] = "/a,/b/*", keys[] = "token";
    const struct policy *policy;

    rules = (struct otel_conf){.exclude_paths = paths, .redact_query = keys, .span_hold_ns = 7};
    rules.sampler.kind = SAMPLER_ALWAYS_OFF;
    rules.sampler.max_per_second = 5;
    use();
    memset(paths, 'x', sizeof paths - 1); /* the configuration that was read is gone */
    memset(keys, 'x', sizeof keys - 1);
    policy = handlers_policy(&handlers);
    cr_assert(exclude_path(policy->exclude, (struct spoe_span){"/b/c", 4}));
    cr_assert_str_eq(policy->conventions.redact_query, "token");
    cr_assert_eq(policy->hold_ns, 7);
    cr_assert_eq(policy->sampler.kind, SAMPLER_ALWAYS_OFF);
    cr_assert(rate_cap_is_set(policy->rate_cap));
    cr_assert_eq(policy->conventions.semconv, SEMCONV_DUP);
    rules = (struct otel_conf){.span_hold_ns = 0};
    use();
    cr_assert_null(handlers_policy(&handlers)->exclude);
    cr_assert_null(handlers_policy(&handlers)->conventions.redact_query);
    cr_assert_not(rate_cap_is_set(handlers_policy(&handlers)->rate_cap));
}

Test(policies, one_that_a_worker_may_read_is_kept)
{
    use();
    use();
    evictor._turns++;
    run_worker(0);
    run_worker(1);
    use(); /* looks for what can go: nothing */
    cr_assert_eq(kept(), 3);
    run_worker(2); /* for both */
    evictor._turns++;
    use(); /* the first can; workers 0 and 1 have not come past the second's end */
    cr_assert_eq(kept(), 3);
    for (unsigned i = 0; i < WORKERS; i++)
        run_worker(i);
    evictor._turns++;
    use();
    cr_assert_eq(kept(), 2);
}

Test(policies, one_that_the_evictor_may_read_is_kept)
{
    use();
    use();
    for (unsigned i = 0; i < WORKERS; i++)
        run_worker(i);
    use();
    cr_assert_eq(kept(), 3);
    for (unsigned i = 0; i < WORKERS; i++)
        run_worker(i);
    evictor._turns++;
    use();
    cr_assert_eq(kept(), 2);
}

/* It pauses for up to a second: what it cannot read any more does not wait for its next turn. */
Test(policies, an_evictor_that_waits_keeps_none)
{
    use();
    evictor._idle = true;
    use();
    for (unsigned i = 0; i < WORKERS; i++)
        run_worker(i);
    evictor._idle = false;
    use();
    cr_assert_eq(kept(), 2);
}

/* Options change and change while a worker is blocked. */
Test(policies, there_are_so_many_at_most)
{
    const struct policy *before;

    for (unsigned i = 0; i < POLICIES_MAX; i++) {
        use();
        run_worker(0);
        run_worker(1);
        evictor._turns++;
    }
    cr_assert_eq(kept(), POLICIES_MAX);
    before = handlers_policy(&handlers);
    cr_assert_eq(policies_use(policies, &fixed, &rules), SPOE_E_LIMIT);
    cr_assert_eq(kept(), POLICIES_MAX);
    cr_assert_eq(handlers_policy(&handlers), before);
    run_worker(2); /* it comes back */
    use();
    cr_assert_eq(kept(), 2);
    cr_assert_neq(handlers_policy(&handlers), before);
}

Test(policies, workers_that_stop_leave_it_to_the_end)
{
    use();
    closed = true;
    use();
    evictor._turns++;
    use();
    cr_assert_eq(kept(), 3); /* freed by policies_destroy(), as LeakSanitizer sees */
}

/* 9.2: a reload for which there is no memory changes nothing. */
Test(policies, without_memory_the_one_in_use_stays)
{
    char paths[] = "/a", keys[] = "token";
    const struct policy *before;
    unsigned n;

    use();
    before = handlers_policy(&handlers);
    rules = (struct otel_conf){.exclude_paths = paths, .redact_query = keys};
    for (n = 1;; n++) {
        spoe_status status;

        countdown = n;
        status = policies_use(policies, &fixed, &rules);
        if (countdown > 0)
            break; /* so many are not needed */
        cr_assert_eq(status, SPOE_E_NOMEM);
        cr_assert_eq(handlers_policy(&handlers), before);
        cr_assert_eq(kept(), 1);
    }
    cr_assert_gt(n, 3);
    cr_assert_neq(handlers_policy(&handlers), before);
    countdown = 1;
    cr_assert_eq(policies_add_worker(policies, worker(0)), -1);
    cr_assert_eq(policies->n_workers, WORKERS);
    countdown = 1;
    cr_assert_null(policies_create(&host, &handlers, &evictor));
    countdown = 0;
}
