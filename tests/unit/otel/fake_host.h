/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/otel/fake_host.h - a struct spoe_host of the test: it keeps the last variable that
 * was set and the last line that was logged, and its clock is a number. One thread.
 */
#ifndef TEST_FAKE_HOST_H
#define TEST_FAKE_HOST_H

#include <stdio.h>
#include <string.h>

#include <spoe/util.h>

struct fake_host {
    int64_t now_ns;
    spoe_status set_var_result;
    unsigned answers, warnings, infos;
    uint32_t scope;
    char name[64], value[128], line[2048];
};

static struct fake_host fake;

static int32_t fake_log_enabled(struct spoe_instance *self, int32_t level)
{
    (void)self;
    return level <= SPOE_LOG_INFO;
}

static void fake_log(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                     struct spoe_span text)
{
    (void)self;
    (void)req;
    fake.warnings += level == SPOE_LOG_WARNING;
    fake.infos += level == SPOE_LOG_INFO;
    (void)snprintf(fake.line, sizeof fake.line, "%.*s", (int)text.n, text.p);
}

static spoe_status fake_set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                                const struct spoe_value *value)
{
    (void)req;
    if (fake.set_var_result != SPOE_OK)
        return fake.set_var_result;
    fake.answers++;
    fake.scope = scope;
    (void)snprintf(fake.name, sizeof fake.name, "%.*s", (int)name.n, name.p);
    (void)snprintf(fake.value, sizeof fake.value, "%.*s", (int)value->u.s.n, value->u.s.p);
    return SPOE_OK;
}

static int64_t fake_now(void)
{
    return fake.now_ns;
}

static const struct spoe_host fake_table = {
    .size = sizeof fake_table,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .name = "fake",
    .version = "0",
    .log_enabled = fake_log_enabled,
    .log = fake_log,
    .set_var = fake_set_var,
    .now_mono_ns = fake_now,
};

#endif
