/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/table.c - see table.h. */
#include "check/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "check/rules.h"
#include "core/plugin.h"

#define SHOWN 64

static _Atomic int phase;
static _Atomic int all_wait;
static _Atomic unsigned n_lines;
static pthread_t main_thread;

void table_set_phase(enum table_phase to)
{
    static bool known;

    if (!known) /* there is no other thread yet that asks */
        main_thread = pthread_self();
    known = true;
    atomic_store(&phase, (int)to);
}

void table_set_all_wait(int on)
{
    atomic_store(&all_wait, on);
}

unsigned table_lines(void)
{
    return atomic_load(&n_lines);
}

static bool on_main(void)
{
    return pthread_equal(pthread_self(), main_thread) != 0;
}

/* Any function, at any time but the end. */
static void may_call(const char *function)
{
    const int now = atomic_load(&phase);

    if (now == TABLE_DESTROYED)
        rule_broken(RULE_stop, "%s() is called after destroy()", function);
    else if (now == TABLE_STOPPED && !on_main())
        rule_broken(RULE_stop, "%s() is called by a thread of its own after stop()", function);
}

/* Of a configuration, which is there as long as configure() lasts. @return false: it is not */
static bool may_configure(const char *function)
{
    may_call(function);
    if (on_main() && atomic_load(&phase) == TABLE_CONFIGURING)
        return true;
    rule_broken(RULE_threads, "%s() is called %s", function,
                on_main() ? "outside configure() and reconfigure()"
                          : "by another thread than main");
    return false;
}

static const void *get_extension(struct spoe_instance *self, const char *id)
{
    may_call("get_extension");
    return host_table.get_extension(self, id);
}

static int32_t is_enabled(struct spoe_instance *self, int32_t level)
{
    may_call("log_enabled");
    return host_table.log_enabled(self, level);
}

static void write_log(struct spoe_instance *self, struct spoe_request *req, int32_t level,
                      struct spoe_span text)
{
    may_call("log");
    (void)atomic_fetch_add(&n_lines, level < SPOE_LOG_DEBUG);
    if (level < SPOE_LOG_ERR || level > SPOE_LOG_DEBUG)
        rule_broken(RULE_log, "log(): there is no level %d", (int)level);
    if (text.n > 0 && memchr(text.p, '\n', text.n) != NULL)
        rule_broken(RULE_log, "log(): a line end in \"%.*s\"",
                    (int)(text.n < SHOWN ? text.n : SHOWN), text.p);
    host_table.log(self, req, level, text);
}

static const struct spoe_setting *config_get(struct spoe_config *cfg, size_t option)
{
    return may_configure("config_get") ? host_table.config_get(cfg, option) : NULL;
}

static void config_error(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    if (may_configure("config_error"))
        host_table.config_error(cfg, option, text);
}

static void config_effective(struct spoe_config *cfg, size_t option, struct spoe_span text)
{
    if (may_configure("config_effective"))
        host_table.config_effective(cfg, option, text);
}

/* What became of set_var() or unset_var(). */
static spoe_status look_at(spoe_status status, const char *function, struct spoe_span name)
{
    const int shown = (int)(name.n < SHOWN ? name.n : SHOWN);

    if (status == SPOE_E_INVAL)
        rule_broken(RULE_limits, "%s(): a scope, a type or the name \"%.*s\" is none", function,
                    shown, name.n > 0 ? name.p : "");
    else if (status == SPOE_E_TOOBIG)
        rule_broken(RULE_limits, "%s(): with %.*s the answer is larger than a frame", function,
                    shown, name.p);
    else if (status == SPOE_E_STALE && atomic_load(&all_wait))
        rule_broken(RULE_once, "%s(): %.*s is set for a request that is completed", function, shown,
                    name.p);
    return status;
}

static spoe_status set_var(struct spoe_request *req, uint32_t scope, struct spoe_span name,
                           const struct spoe_value *value)
{
    may_call("set_var");
    return look_at(host_table.set_var(req, scope, name, value), "set_var", name);
}

static spoe_status unset_var(struct spoe_request *req, uint32_t scope, struct spoe_span name)
{
    may_call("unset_var");
    return look_at(host_table.unset_var(req, scope, name), "unset_var", name);
}

static void complete(struct spoe_request *req, spoe_status status)
{
    may_call("complete");
    if (status > 0)
        rule_broken(RULE_once, "complete() with %d, which is no result", (int)status);
    host_table.complete(req, status);
}

static spoe_status post(struct spoe_worker *worker, void (*fn)(void *arg), void *arg)
{
    const spoe_status status = (may_call("post"), host_table.post(worker, fn, arg));

    if (status == SPOE_E_INVAL)
        rule_broken(RULE_threads, "post(): no worker, or no function");
    return status;
}

static int64_t now_mono_ns(void)
{
    return host_table.now_mono_ns(); /* harmless at any time */
}

static spoe_status commit(struct spoe_request *req)
{
    may_call("request_commit");
    return host_table.request_commit(req);
}

static spoe_status set_data(struct spoe_request *req, void *data)
{
    may_call("request_set_data");
    return host_table.request_set_data(req, data);
}

static void *get_data(struct spoe_request *req)
{
    may_call("request_data");
    return host_table.request_data(req);
}

static int64_t config_timeout_ns(struct spoe_config *cfg, size_t message)
{
    return may_configure("config_timeout_ns") ? host_table.config_timeout_ns(cfg, message) : -1;
}

const struct spoe_host checked_table = {
    .size = sizeof checked_table,
    .abi_major = SPOE_ABI_MAJOR,
    .abi_minor = SPOE_ABI_MINOR,
    .name = "spoe-plugin-check",
    .version = "1",
    .get_extension = get_extension,
    .log_enabled = is_enabled,
    .log = write_log,
    .config_get = config_get,
    .config_error = config_error,
    .set_var = set_var,
    .unset_var = unset_var,
    .complete = complete,
    .post = post,
    .now_mono_ns = now_mono_ns,
    .config_effective = config_effective,
    .request_commit = commit,
    .request_set_data = set_data,
    .request_data = get_data,
    .config_timeout_ns = config_timeout_ns,
};
