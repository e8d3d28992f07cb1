/* SPDX-License-Identifier: Apache-2.0 */
/* spoe/util.h and the helpers of spoe/ext/metrics.h, over a host of the test. Issue 12, 2. */
#include <spoe/ext/metrics.h>
#include <spoe/util.h>

#include <criterion/criterion.h>
#include <stdlib.h>

static struct {
    struct spoe_setting settings[4];
    struct spoe_value value;
    char name[64], line[2048];
    uint32_t scope;
    struct spoe_request *req;
    unsigned lines, errors, counted;
} seen;

static struct spoe_instance *const self = (struct spoe_instance *)&seen;
static struct spoe_request *const request = (struct spoe_request *)&seen.value;

static int32_t log_enabled(struct spoe_instance *who, int32_t level)
{
    cr_assert_eq(who, self);
    return level <= SPOE_LOG_INFO;
}

static void take_line(struct spoe_span text)
{
    cr_assert(text.n < sizeof seen.line);
    memcpy(seen.line, text.p, text.n);
    seen.line[text.n] = '\0';
}

static void log_one(struct spoe_instance *who, struct spoe_request *req, int32_t level,
                    struct spoe_span text)
{
    cr_assert(who == self && level <= SPOE_LOG_INFO);
    seen.req = req;
    seen.lines++;
    take_line(text);
}

static const struct spoe_setting *config_get(struct spoe_config *cfg, size_t option)
{
    (void)cfg;
    return option < 4 ? &seen.settings[option] : NULL;
}

static void config_error(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    (void)cfg;
    cr_assert_eq(option, 2);
    seen.errors++;
    take_line(text);
}

static spoe_status set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value)
{
    cr_assert(req == request && name.n < sizeof seen.name);
    memcpy(seen.name, name.p, name.n);
    seen.scope = scope;
    seen.value = *value;
    return SPOE_E_STALE;
}

static spoe_status declare(struct spoe_instance *who, const struct spoe_metric_decl *decl,
                           struct spoe_metric_family **ret_family)
{
    cr_assert_eq(who, self);
    *ret_family = strcmp(decl->name, "bad") != 0 ? (struct spoe_metric_family *)&seen : NULL;
    return *ret_family != NULL ? SPOE_OK : SPOE_E_INVAL;
}

static struct spoe_metric *series(struct spoe_metric_family *family, const struct spoe_span *values)
{
    (void)values;
    return (struct spoe_metric *)family;
}

static void counter_add(struct spoe_metric *counter, uint64_t n)
{
    cr_assert_not_null(counter);
    seen.counted += (unsigned)n;
}

static const struct spoe_metrics metrics = {
    .size = sizeof metrics, .declare = declare, .series = series, .counter_add = counter_add};

static const void *get_extension(struct spoe_instance *who, const char *id)
{
    (void)who;
    return strcmp(id, SPOE_METRICS_1) == 0 ? &metrics : NULL;
}

static const void *no_extension(struct spoe_instance *who, const char *id)
{
    (void)who;
    (void)id;
    return NULL;
}

static const struct spoe_host host = {.size = sizeof host,
                                      .abi_major = SPOE_ABI_MAJOR,
                                      .get_extension = get_extension,
                                      .log_enabled = log_enabled,
                                      .log = log_one,
                                      .config_get = config_get,
                                      .config_error = config_error,
                                      .set_var = set_var};

Test(util, sets_variables_by_type, .timeout = 10)
{
    cr_assert_eq(spoe_set_bool(&host, request, SPOE_SCOPE_TXN, "yes", 7), SPOE_E_STALE);
    cr_assert(seen.value.type == SPOE_T_BOOL && seen.value.u.b == 1);
    cr_assert(strcmp(seen.name, "yes") == 0 && seen.scope == SPOE_SCOPE_TXN);
    (void)spoe_set_int(&host, request, SPOE_SCOPE_REQ, "n", -5);
    cr_assert(seen.value.type == SPOE_T_INT64 && seen.value.u.i64 == -5);
    (void)spoe_set_str(&host, request, SPOE_SCOPE_SESS, "s", spoe_str("text"));
    cr_assert(seen.value.type == SPOE_T_STR && spoe_span_is(seen.value.u.s, "text"));
    cr_assert_eq(seen.scope, SPOE_SCOPE_SESS);
}

Test(util, a_slot_that_is_not_there_is_null, .timeout = 10)
{
    const struct spoe_value slots[2] = {spoe_value_str(spoe_str("x")), spoe_value_int(3)};
    const struct spoe_message msg = {.size = sizeof msg, .n_slots = 2, .slot = slots};

    cr_assert_eq(spoe_slot(&msg, 1).u.i64, 3);
    cr_assert_eq(spoe_slot(&msg, 2).type, SPOE_T_NULL);
    cr_assert(spoe_span_is(spoe_slot_str(&msg, 0), "x"));
    cr_assert_eq(spoe_slot_str(&msg, 1).n, 0);
    cr_assert_eq(spoe_slot_str(&msg, UINT32_MAX).n, 0);
}

Test(util, options_by_type_and_nothing_where_none_is, .timeout = 10)
{
    seen.settings[0].value = spoe_value_int(-9);
    seen.settings[1].value = spoe_value_str(spoe_str("abc"));
    seen.settings[2].value = spoe_value_bool(1);

    cr_assert_eq(spoe_config_int(&host, NULL, 0), -9);
    cr_assert(spoe_span_is(spoe_config_str(&host, NULL, 1), "abc"));
    cr_assert(spoe_config_bool(&host, NULL, 2));
    cr_assert(spoe_config_is_set(&host, NULL, 0) && !spoe_config_is_set(&host, NULL, 3));
    for (size_t none = 3; none < 5; none++) { /* not set; outside options[] */
        cr_assert_eq(spoe_config_int(&host, NULL, none), 0);
        cr_assert_eq(spoe_config_size(&host, NULL, none), 0);
        cr_assert_eq(spoe_config_choice(&host, NULL, none), 0);
        cr_assert_eq(spoe_config_str(&host, NULL, none).n, 0);
        cr_assert(!spoe_config_bool(&host, NULL, none));
    }
    spoe_config_errorf(&host, NULL, 2, "not %d", 4);
    cr_assert(seen.errors == 1 && strcmp(seen.line, "not 4") == 0);
}

Test(util, a_line_may_be_about_a_request, .timeout = 10)
{
    spoe_logf(&host, self, SPOE_LOG_DEBUG, "below");
    cr_assert_eq(seen.lines, 0);
    spoe_logf(&host, self, SPOE_LOG_INFO, "a %s", "b");
    cr_assert(seen.lines == 1 && seen.req == NULL && strcmp(seen.line, "a b") == 0);
    spoe_req_logf(&host, self, request, SPOE_LOG_ERR, "%0999d%0999d", 1, 2);
    cr_assert(seen.req == request && strlen(seen.line) == 1023);
}

Test(meter, one_call_declares_and_what_failed_is_ignored, .timeout = 10)
{
    static const char *const labels[] = {"code", NULL};
    const struct spoe_span codes[] = {{"200", 3}};
    const struct spoe_host bare = {.size = sizeof bare, .get_extension = no_extension};
    struct spoe_meter meter = spoe_meter_counter(&host, self, "things_total", "help", NULL);

    spoe_meter_count(&meter, 2);
    cr_assert_eq(seen.counted, 2);
    meter = spoe_meter_counter(&host, self, "coded_total", "help", labels);
    spoe_meter_count(&meter, 1); /* a family is no series */
    cr_assert_eq(seen.counted, 2);
    meter = spoe_meter_series(meter, codes);
    spoe_meter_count(&meter, 1);
    cr_assert_eq(seen.counted, 3);
    for (int i = 0; i < 2; i++) { /* refused; no such facet */
        meter = spoe_meter_gauge(i == 0 ? &host : &bare, self, "bad", "help", NULL);
        spoe_meter_count(&meter, 1);
        spoe_meter_set(&meter, 1);
        spoe_meter_add(&meter, 1);
        spoe_meter_observe(&meter, 1);
        meter = spoe_meter_series(meter, codes);
        spoe_meter_count(&meter, 1);
    }
    cr_assert_eq(seen.counted, 3);
}
