/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/abi/layout.c - the ABI's frozen numbers: if this does not compile, plugins that exist
 * break. Offsets and numbers below never change. A struct that begins with its own size may grow
 * at its end: then its SIZE here grows too, new members get lines of their own, the ABI's minor
 * version goes up, and tests/abi/v1.N/ gets a copy of the headers as they were, for which this
 * file goes on holding: what is newer stands under the minor version that brought it.
 *
 * Columns: LP64 (x86-64, arm64, ...), then i386. Other 32-bit targets align int64_t differently
 * and are not held to numbers. Compiled as C and as C++.
 */
#include <stddef.h>
#include <stdint.h>

#include <spoe/ext/metrics.h>
#include <spoe/plugin.h>
#if SPOE_ABI_MINOR >= 1
#include <spoe/ext/haproxy.h>
#include <spoe/ext/health.h>
#include <spoe/ext/loop.h>
#include <spoe/ext/recent.h>
#include <spoe/ext/reload.h>
#endif

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#else
#define CHECK(what) _Static_assert(what, #what)
#endif

#if UINTPTR_MAX == 0xffffffffffffffff
#define PICK(lp64, i386) (lp64)
#elif defined(__i386__)
#define PICK(lp64, i386) (i386)
#endif

#ifdef PICK
#define SIZE(s, lp64, i386) CHECK(sizeof(struct s) == PICK(lp64, i386))
#define AT(s, member, lp64, i386) CHECK(offsetof(struct s, member) == PICK(lp64, i386))
#else
#define SIZE(s, lp64, i386) CHECK(sizeof(struct s) > 0)
#define AT(s, member, lp64, i386) CHECK(sizeof(struct s) > offsetof(struct s, member))
#endif
#define NUMBER(name, value) CHECK((name) == (value))

CHECK(sizeof(spoe_status) == 4);
CHECK(sizeof(((struct spoe_value *)0)->u) == 16);

SIZE(spoe_span, 16, 8);
AT(spoe_span, p, 0, 0);
AT(spoe_span, n, 8, 4);

SIZE(spoe_value, 24, 24);
AT(spoe_value, type, 0, 0);
AT(spoe_value, flags, 4, 4);
AT(spoe_value, u, 8, 8);

SIZE(spoe_arg, 40, 32);
AT(spoe_arg, name, 0, 0);
AT(spoe_arg, value, 16, 8);

SIZE(spoe_arg_decl, 40, 28);
AT(spoe_arg_decl, size, 0, 0);
AT(spoe_arg_decl, types, 4, 4);
AT(spoe_arg_decl, flags, 8, 8);
AT(spoe_arg_decl, reserved, 12, 12);
AT(spoe_arg_decl, name, 16, 16);
AT(spoe_arg_decl, expression, 24, 20);
AT(spoe_arg_decl, help, 32, 24);

SIZE(spoe_message_decl, 40, 24);
AT(spoe_message_decl, size, 0, 0);
AT(spoe_message_decl, flags, 4, 4);
AT(spoe_message_decl, name, 8, 8);
AT(spoe_message_decl, event, 16, 12);
AT(spoe_message_decl, help, 24, 16);
AT(spoe_message_decl, args, 32, 20);

SIZE(spoe_option, 80, 56);
AT(spoe_option, size, 0, 0);
AT(spoe_option, type, 4, 4);
AT(spoe_option, flags, 8, 8);
AT(spoe_option, reserved, 12, 12);
AT(spoe_option, key, 16, 16);
AT(spoe_option, default_text, 24, 20);
AT(spoe_option, help, 32, 24);
AT(spoe_option, env, 40, 28);
AT(spoe_option, choices, 48, 32);
AT(spoe_option, min, 56, 36);
AT(spoe_option, max, 64, 44);
AT(spoe_option, env_lenient, 72, 52);

SIZE(spoe_setting, 64, 48);
AT(spoe_setting, size, 0, 0);
AT(spoe_setting, flags, 4, 4);
AT(spoe_setting, raw, 8, 8);
AT(spoe_setting, origin, 24, 16);
AT(spoe_setting, value, 40, 24);

SIZE(spoe_message, 104, 80);
AT(spoe_message, size, 0, 0);
AT(spoe_message, index, 4, 4);
AT(spoe_message, n_slots, 8, 8);
AT(spoe_message, n_args, 12, 12);
AT(spoe_message, slot, 16, 16);
AT(spoe_message, args, 24, 20);
AT(spoe_message, name, 32, 24);
AT(spoe_message, engine_id, 48, 32);
AT(spoe_message, stream_id, 64, 40);
AT(spoe_message, frame_id, 72, 48);
AT(spoe_message, recv_unix_ns, 80, 56);
AT(spoe_message, recv_mono_ns, 88, 64);
AT(spoe_message, deadline_mono_ns, 96, 72);

#if SPOE_ABI_MINOR == 0 /* the headers of tests/abi/v1.0/ */
SIZE(spoe_host, 104, 56);
#else
SIZE(spoe_host, 144, 76);
AT(spoe_host, config_effective, 104, 56);
AT(spoe_host, request_commit, 112, 60);
AT(spoe_host, request_set_data, 120, 64);
AT(spoe_host, request_data, 128, 68);
AT(spoe_host, config_timeout_ns, 136, 72);
#endif
AT(spoe_host, size, 0, 0);
AT(spoe_host, abi_major, 4, 4);
AT(spoe_host, abi_minor, 6, 6);
AT(spoe_host, name, 8, 8);
AT(spoe_host, version, 16, 12);
AT(spoe_host, get_extension, 24, 16);
AT(spoe_host, log_enabled, 32, 20);
AT(spoe_host, log, 40, 24);
AT(spoe_host, config_get, 48, 28);
AT(spoe_host, config_error, 56, 32);
AT(spoe_host, set_var, 64, 36);
AT(spoe_host, unset_var, 72, 40);
AT(spoe_host, complete, 80, 44);
AT(spoe_host, post, 88, 48);
AT(spoe_host, now_mono_ns, 96, 52);

AT(spoe_plugin, magic, 0, 0);
AT(spoe_plugin, size, 4, 4);
AT(spoe_plugin, abi_major, 8, 8);
AT(spoe_plugin, abi_minor, 10, 10);
AT(spoe_plugin, needs_minor, 12, 12);
AT(spoe_plugin, reserved, 14, 14);
AT(spoe_plugin, id, 16, 16);
AT(spoe_plugin, version, 24, 20);
AT(spoe_plugin, help, 32, 24);
AT(spoe_plugin, messages, 40, 28);
AT(spoe_plugin, options, 48, 32);
AT(spoe_plugin, configure, 56, 36);
AT(spoe_plugin, start, 64, 40);
AT(spoe_plugin, worker_start, 72, 44);
AT(spoe_plugin, handle, 80, 48);
AT(spoe_plugin, cancel, 88, 52);
AT(spoe_plugin, drain, 96, 56);
AT(spoe_plugin, worker_stop, 104, 60);
AT(spoe_plugin, stop, 112, 64);
AT(spoe_plugin, destroy, 120, 68);
AT(spoe_plugin, get_extension, 128, 72);
#if SPOE_ABI_MINOR == 0 /* the headers of tests/abi/v1.0/ */
SIZE(spoe_plugin, 136, 76);
#else
SIZE(spoe_plugin, 192, 108);
AT(spoe_plugin, open_count, 136, 76);
AT(spoe_plugin, quiesce, 144, 80);
AT(spoe_plugin, reconfigure, 152, 84);
AT(spoe_plugin, check, 160, 88);
AT(spoe_plugin, try_out, 168, 92);
AT(spoe_plugin, variables, 176, 96);
AT(spoe_plugin, flags, 184, 100);
AT(spoe_plugin, reserved_1_1, 188, 104);
NUMBER(SPOE_PLUGIN_INSTANCES, 1);
SIZE(spoe_variable_decl, 32, 24);
AT(spoe_variable_decl, size, 0, 0);
AT(spoe_variable_decl, scope, 4, 4);
AT(spoe_variable_decl, types, 8, 8);
AT(spoe_variable_decl, flags, 12, 12);
AT(spoe_variable_decl, name, 16, 16);
AT(spoe_variable_decl, help, 24, 20);
CHECK(sizeof(SPOE_VARIABLE_RESERVED) == sizeof("spoe."));
CHECK(sizeof(SPOE_VARIABLE_STATUS) == sizeof("spoe.status"));
NUMBER(SPOE_OPTION_RELOADABLE, 4);
NUMBER(SPOE_ARG_BY_NAME, 2);
NUMBER(SPOE_MESSAGE_FROM_LOG, 0x10000);
CHECK((SPOE_MESSAGE_FROM_LOG & SPOE_FLAGS_OPTIONAL) != 0);
CHECK(sizeof(SPOE_LOG_MESSAGE) == sizeof("syslog.message"));
CHECK(sizeof(SPOE_LOG_HOSTNAME) == sizeof("syslog.hostname"));
CHECK(sizeof(SPOE_LOG_TIMESTAMP) == sizeof("syslog.timestamp"));
CHECK(sizeof(SPOE_LOG_PROCID) == sizeof("syslog.procid"));
#endif

NUMBER(SPOE_OK, 0);
NUMBER(SPOE_PENDING, 1);
NUMBER(SPOE_E_INVAL, -1);
NUMBER(SPOE_E_NOMEM, -2);
NUMBER(SPOE_E_CONFIG, -3);
NUMBER(SPOE_E_TOOBIG, -4);
NUMBER(SPOE_E_STALE, -5);
NUMBER(SPOE_E_STOPPING, -6);
NUMBER(SPOE_E_UNSUPPORTED, -7);
NUMBER(SPOE_E_LIMIT, -8);
NUMBER(SPOE_E_INTERNAL, -9);

NUMBER(SPOE_T_NULL, 0);
NUMBER(SPOE_T_BOOL, 1);
NUMBER(SPOE_T_INT32, 2);
NUMBER(SPOE_T_UINT32, 3);
NUMBER(SPOE_T_INT64, 4);
NUMBER(SPOE_T_UINT64, 5);
NUMBER(SPOE_T_IPV4, 6);
NUMBER(SPOE_T_IPV6, 7);
NUMBER(SPOE_T_STR, 8);
NUMBER(SPOE_T_BIN, 9);

NUMBER(SPOE_SCOPE_PROC, 0);
NUMBER(SPOE_SCOPE_SESS, 1);
NUMBER(SPOE_SCOPE_TXN, 2);
NUMBER(SPOE_SCOPE_REQ, 3);
NUMBER(SPOE_SCOPE_RES, 4);

NUMBER(SPOE_CANCEL_CONN_CLOSED, 1);
NUMBER(SPOE_CANCEL_DEADLINE, 2);
NUMBER(SPOE_CANCEL_DRAIN, 3);

NUMBER(SPOE_LOG_ERR, 3);
NUMBER(SPOE_LOG_WARNING, 4);
NUMBER(SPOE_LOG_NOTICE, 5);
NUMBER(SPOE_LOG_INFO, 6);
NUMBER(SPOE_LOG_DEBUG, 7);

NUMBER(SPOE_OPT_BOOL, 1);
NUMBER(SPOE_OPT_INT, 2);
NUMBER(SPOE_OPT_DURATION, 3);
NUMBER(SPOE_OPT_SIZE, 4);
NUMBER(SPOE_OPT_STRING, 5);
NUMBER(SPOE_OPT_ENUM, 6);
#if SPOE_ABI_MINOR >= 1
NUMBER(SPOE_OPT_PATH, 7);
NUMBER(SPOE_OPT_URL, 8);
NUMBER(SPOE_OPT_ADDRESS, 9);
NUMBER(SPOE_OPT_PREFIX, 10);
NUMBER(SPOE_OPT_SECRET, 11);
NUMBER(SPOE_OPTION_LIST, 8);
NUMBER(SPOE_OPTION_SECRET_FILE, 0x10000);
#endif

NUMBER(SPOE_ARG_REQUIRED, 1);
NUMBER(SPOE_OPTION_REQUIRED, 1);
NUMBER(SPOE_OPTION_SECRET, 2);
NUMBER(SPOE_SETTING_DEFAULT, 1);
NUMBER(SPOE_SETTING_LENIENT, 2);
NUMBER(SPOE_ACCEPT_BOOL, 0x002);
NUMBER(SPOE_ACCEPT_INT, 0x03c);
NUMBER(SPOE_ACCEPT_IP, 0x0c0);
NUMBER(SPOE_ACCEPT_STR, 0x100);
NUMBER(SPOE_ACCEPT_BIN, 0x200);
NUMBER(SPOE_ACCEPT_ANY, 0x3fe);

/* spoe/ext/metrics.h, facets spoe.metrics/1 and (since 1.1) /2 */
#if SPOE_ABI_MINOR == 0
SIZE(spoe_metric_decl, 48, 32);
SIZE(spoe_metrics, 72, 40);
#else
SIZE(spoe_metric_decl, 64, 44);
AT(spoe_metric_decl, flags, 48, 32);
AT(spoe_metric_decl, reserved, 52, 36);
AT(spoe_metric_decl, overflow, 56, 40);

SIZE(spoe_exemplar, 40, 40);
AT(spoe_exemplar, trace_id, 0, 0);
AT(spoe_exemplar, span_id, 16, 16);
AT(spoe_exemplar, value, 24, 24);
AT(spoe_exemplar, unix_ns, 32, 32);

SIZE(spoe_metric_label, 24, 12);
AT(spoe_metric_label, name, 0, 0);
AT(spoe_metric_label, value, 8, 4);

SIZE(spoe_metric_histogram, 32, 24);
AT(spoe_metric_histogram, size, 0, 0);
AT(spoe_metric_histogram, reserved, 4, 4);
AT(spoe_metric_histogram, buckets, 8, 8);
AT(spoe_metric_histogram, exemplars, 16, 12);
AT(spoe_metric_histogram, sum, 24, 16);

SIZE(spoe_metrics, 104, 56);
AT(spoe_metrics, observe_exemplar, 72, 40);
AT(spoe_metrics, provide, 80, 44);
AT(spoe_metrics, put_number, 88, 48);
AT(spoe_metrics, put_histogram, 96, 52);

NUMBER(SPOE_METRIC_UNPREFIXED, 1);
NUMBER(SPOE_METRIC_EXEMPLARS, 2);
NUMBER(SPOE_METRIC_OWN_LABELS_MAX, 16);
NUMBER(SPOE_METRIC_PUT_SERIES_MAX, 100000);
CHECK(sizeof(SPOE_METRICS_2) == sizeof("spoe.metrics/2"));
#endif
AT(spoe_metric_decl, size, 0, 0);
AT(spoe_metric_decl, type, 4, 4);
AT(spoe_metric_decl, max_series, 8, 8);
AT(spoe_metric_decl, n_bounds, 12, 12);
AT(spoe_metric_decl, name, 16, 16);
AT(spoe_metric_decl, help, 24, 20);
AT(spoe_metric_decl, labels, 32, 24);
AT(spoe_metric_decl, bounds, 40, 28);

AT(spoe_metrics, size, 0, 0);
AT(spoe_metrics, reserved, 4, 4);
AT(spoe_metrics, declare, 8, 8);
AT(spoe_metrics, collect, 16, 12);
AT(spoe_metrics, series, 24, 16);
AT(spoe_metrics, counter_add, 32, 20);
AT(spoe_metrics, counter_set, 40, 24);
AT(spoe_metrics, gauge_set, 48, 28);
AT(spoe_metrics, gauge_add, 56, 32);
AT(spoe_metrics, observe, 64, 36);

NUMBER(SPOE_METRIC_COUNTER, 1);
NUMBER(SPOE_METRIC_GAUGE, 2);
NUMBER(SPOE_METRIC_HISTOGRAM, 3);
NUMBER(SPOE_METRIC_LABELS_MAX, 8);
NUMBER(SPOE_METRIC_VALUE_MAX, 128);
NUMBER(SPOE_METRIC_BOUNDS_MAX, 64);
NUMBER(SPOE_METRIC_SERIES_MAX, 1000);
NUMBER(SPOE_METRIC_FAMILIES_MAX, 256);
CHECK(sizeof(SPOE_METRICS_1) == sizeof("spoe.metrics/1"));

/* spoe/ext/haproxy.h, facet spoe.haproxy/1, since 1.1 */
#if SPOE_ABI_MINOR >= 1
SIZE(spoe_haproxy_ask, 32, 28);
AT(spoe_haproxy_ask, size, 0, 0);
AT(spoe_haproxy_ask, ways, 4, 4);
AT(spoe_haproxy_ask, version, 8, 8);
AT(spoe_haproxy_ask, place, 12, 12);
AT(spoe_haproxy_ask, message, 16, 16);
AT(spoe_haproxy_ask, reserved, 20, 20);
AT(spoe_haproxy_ask, prefix, 24, 24);
SIZE(spoe_haproxy, 24, 16);
AT(spoe_haproxy, size, 0, 0);
AT(spoe_haproxy, reserved, 4, 4);
AT(spoe_haproxy, lines, 8, 8);
AT(spoe_haproxy, wants, 16, 12);
NUMBER(SPOE_HAPROXY_BY_SPOE, 1);
NUMBER(SPOE_HAPROXY_BY_LOG, 2);
NUMBER(SPOE_HAPROXY_FRONTEND, 1);
NUMBER(SPOE_HAPROXY_BACKEND, 2);
NUMBER(SPOE_HAPROXY_MESSAGE, 3);
NUMBER(SPOE_HAPROXY_EVENT, 4);
NUMBER(SPOE_HAPROXY_LOG_LEVEL, 5);
CHECK(sizeof(SPOE_HAPROXY_1) == sizeof("spoe.haproxy/1"));

/* spoe/ext/health.h, facet spoe.health/1, since 1.1 */
SIZE(spoe_health, 24, 16);
AT(spoe_health, size, 0, 0);
AT(spoe_health, reserved, 4, 4);
AT(spoe_health, set, 8, 8);
AT(spoe_health, status, 16, 12);
NUMBER(SPOE_HEALTH_READY, 0);
NUMBER(SPOE_HEALTH_DEGRADED, 1);
NUMBER(SPOE_HEALTH_DOWN, 2);
NUMBER(SPOE_HEALTH_TEXT_MAX, 256);
CHECK(sizeof(SPOE_HEALTH_1) == sizeof("spoe.health/1"));
#endif

/* spoe/ext/recent.h, facet spoe.recent/1, since 1.1 */
#if SPOE_ABI_MINOR >= 1
SIZE(spoe_recent_part, 72, 60);
AT(spoe_recent_part, kind, 0, 0);
AT(spoe_recent_part, flags, 4, 4);
AT(spoe_recent_part, name, 8, 8);
AT(spoe_recent_part, id, 24, 16);
AT(spoe_recent_part, parent_id, 32, 24);
AT(spoe_recent_part, start_unix_ns, 40, 32);
AT(spoe_recent_part, end_unix_ns, 48, 40);
AT(spoe_recent_part, n_attributes, 56, 48);
AT(spoe_recent_part, n_left_out, 60, 52);
AT(spoe_recent_part, attributes, 64, 56);
SIZE(spoe_recent_request, 176, 116);
AT(spoe_recent_request, size, 0, 0);
AT(spoe_recent_request, flags, 4, 4);
AT(spoe_recent_request, trace_id, 8, 8);
AT(spoe_recent_request, start_unix_ns, 24, 24);
AT(spoe_recent_request, end_unix_ns, 32, 32);
AT(spoe_recent_request, status, 40, 40);
AT(spoe_recent_request, method, 48, 48);
AT(spoe_recent_request, target, 64, 56);
AT(spoe_recent_request, client, 80, 64);
AT(spoe_recent_request, frontend, 96, 72);
AT(spoe_recent_request, backend, 112, 80);
AT(spoe_recent_request, server, 128, 88);
AT(spoe_recent_request, termination, 144, 96);
AT(spoe_recent_request, n_parts, 160, 104);
AT(spoe_recent_request, reserved, 164, 108);
AT(spoe_recent_request, parts, 168, 112);
SIZE(spoe_recent, 24, 16);
AT(spoe_recent, size, 0, 0);
AT(spoe_recent, reserved, 4, 4);
AT(spoe_recent, wanted, 8, 8);
AT(spoe_recent, add, 16, 12);
NUMBER(SPOE_RECENT_MAX, 200);
NUMBER(SPOE_RECENT_PARTS_MAX, 8);
NUMBER(SPOE_RECENT_BYTES_MAX, 8192);
NUMBER(SPOE_RECENT_VALUE_MAX, 512);
NUMBER(SPOE_RECENT_SERVER, 1);
NUMBER(SPOE_RECENT_CLIENT, 2);
NUMBER(SPOE_RECENT_PHASE, 3);
NUMBER(SPOE_RECENT_ERROR, 1);
NUMBER(SPOE_RECENT_SAMPLED, 1);
NUMBER(SPOE_RECENT_INCOMPLETE, 2);
NUMBER(SPOE_RECENT_EXPORTED, 4);
CHECK(sizeof(SPOE_RECENT_1) == sizeof("spoe.recent/1"));
#endif

/* spoe/ext/loop.h, facet spoe.loop/1, since 1.1 */
#if SPOE_ABI_MINOR >= 1
SIZE(spoe_loop, 56, 32);
AT(spoe_loop, size, 0, 0);
AT(spoe_loop, reserved, 4, 4);
AT(spoe_loop, timer_new, 8, 8);
AT(spoe_loop, timer_set, 16, 12);
AT(spoe_loop, timer_free, 24, 16);
AT(spoe_loop, watch_new, 32, 20);
AT(spoe_loop, watch_set, 40, 24);
AT(spoe_loop, watch_free, 48, 28);
NUMBER(SPOE_LOOP_MAX, 65536);
NUMBER(SPOE_LOOP_READ, 1);
NUMBER(SPOE_LOOP_WRITE, 2);
CHECK(SPOE_TIMER_OFF == INT64_MAX);
CHECK(sizeof(SPOE_LOOP_1) == sizeof("spoe.loop/1"));
#endif

/* spoe/ext/reload.h, facet spoe.reload/1, since 1.1 */
#if SPOE_ABI_MINOR >= 1
SIZE(spoe_reload_decl, 64, 44);
AT(spoe_reload_decl, size, 0, 0);
AT(spoe_reload_decl, flags, 4, 4);
AT(spoe_reload_decl, name, 8, 8);
AT(spoe_reload_decl, paths, 16, 12);
AT(spoe_reload_decl, poll_ns, 24, 16);
AT(spoe_reload_decl, every_ns, 32, 24);
AT(spoe_reload_decl, build, 40, 32);
AT(spoe_reload_decl, release, 48, 36);
AT(spoe_reload_decl, arg, 56, 40);
SIZE(spoe_reload, 40, 24);
AT(spoe_reload, size, 0, 0);
AT(spoe_reload, reserved, 4, 4);
AT(spoe_reload, declare, 8, 8);
AT(spoe_reload, get, 16, 12);
AT(spoe_reload, trigger, 24, 16);
AT(spoe_reload, cancelled, 32, 20);
NUMBER(SPOE_RELOAD_REQUIRED, 1);
NUMBER(SPOE_RELOAD_SOURCES_MAX, 16);
NUMBER(SPOE_RELOAD_PATHS_MAX, 1024);
CHECK(sizeof(SPOE_RELOAD_1) == sizeof("spoe.reload/1"));
#endif

NUMBER(SPOE_ABI_MAJOR, 1);
CHECK(SPOE_ABI_MINOR == 0 || SPOE_ABI_MINOR == 1);
NUMBER(SPOE_PLUGIN_MAGIC, 0x53504f31);
/* The entry's name and type. */
CHECK(sizeof(SPOE_PLUGIN_ENTRY) == sizeof("spoe_plugin_entry_v1"));
