// SPDX-License-Identifier: Apache-2.0
//! `raw` against `spoe/plugin.h`: sizes, offsets and numbers, as assertions that a C compiler
//! (`$CC`, or cc) checks. The header is searched in `$SPOE_INCLUDE`, or beside the crate.

use spoe::raw;
use std::mem::{size_of, MaybeUninit};

struct Checks(String);

impl Checks {
    fn holds(&mut self, what: String) {
        self.0 += &format!("_Static_assert({}, \"{}\");\n", what, what);
    }
}

/// `layout!(checks, Type, c_type, grows, [members])`. All members are named: the sizes are equal,
/// or, of a table that grows at its end, the header's may be greater.
macro_rules! layout {
    ($checks:expr, $type:ident, $c:literal, $compare:literal, [ $($member:ident $(as $name:literal)?),* ]) => {{
        let place = MaybeUninit::<raw::$type>::uninit();
        let start = place.as_ptr();
        $checks.holds(format!("sizeof(struct {}) {} {}", $c, $compare, size_of::<raw::$type>()));
        $(
            #[allow(unused_mut, unused_assignments)]
            let mut name = stringify!($member);
            $( name = $name; )?
            let at = unsafe { std::ptr::addr_of!((*start).$member) as usize } - start as usize;
            $checks.holds(format!("offsetof(struct {}, {}) == {}", $c, name, at));
        )*
        // No member is left out of the list: a struct literal would not compile.
        #[allow(dead_code)]
        fn all(place: &raw::$type) {
            let raw::$type { $($member: _),* } = place;
        }
    }};
}

macro_rules! numbers {
    ($checks:expr, $($name:ident)*) => {
        $( $checks.holds(format!("SPOE_{} == {}", stringify!($name), raw::$name)); )*
    };
}

#[test]
fn structs_and_numbers_are_those_of_the_header() {
    let mut c = Checks(concat!(
        "#include <stddef.h>\n#include <spoe/plugin.h>\n",
        "#include <spoe/ext/loop.h>\n#include <spoe/ext/reload.h>\n#include <spoe/ext/health.h>\n",
    ).to_string());

    layout!(c, Span, "spoe_span", "==", [p, n]);
    layout!(c, Value, "spoe_value", "==", [r#type as "type", flags, u]);
    layout!(c, Arg, "spoe_arg", "==", [name, value]);
    layout!(c, ArgDecl, "spoe_arg_decl", ">=",
            [size, types, flags, reserved, name, expression, help]);
    layout!(c, MessageDecl, "spoe_message_decl", ">=", [size, flags, name, event, help, args]);
    layout!(c, VariableDecl, "spoe_variable_decl", ">=", [size, scope, types, flags, name, help]);
    layout!(c, OptionDecl, "spoe_option", ">=",
            [size, r#type as "type", flags, reserved, key, default_text, help, env, choices, min,
             max, env_lenient]);
    layout!(c, Setting, "spoe_setting", ">=", [size, flags, raw, origin, value]);
    layout!(c, Message, "spoe_message", ">=",
            [size, index, n_slots, n_args, slot, args, name, engine_id, stream_id, frame_id,
             recv_unix_ns, recv_mono_ns, deadline_mono_ns]);
    layout!(c, Host, "spoe_host", ">=",
            [size, abi_major, abi_minor, name, version, get_extension, log_enabled, log, config_get,
             config_error, set_var, unset_var, complete, post, now_mono_ns, config_effective,
             request_commit, request_set_data, request_data, config_timeout_ns]);
    layout!(c, Plugin, "spoe_plugin", ">=",
            [magic, size, abi_major, abi_minor, needs_minor, reserved, id, version, help, messages,
             options, configure, start, worker_start, handle, cancel, drain, worker_stop, stop,
             destroy, get_extension, open_count, quiesce, reconfigure, check, try_out, variables,
             flags, reserved_1_1]);
    layout!(c, Loop, "spoe_loop", ">=",
            [size, reserved, timer_new, timer_set, timer_free, watch_new, watch_set, watch_free]);
    layout!(c, ReloadDecl, "spoe_reload_decl", ">=",
            [size, flags, name, paths, poll_ns, every_ns, build, release, arg]);
    layout!(c, Reload, "spoe_reload", ">=", [size, reserved, declare, get, trigger, cancelled]);
    layout!(c, Health, "spoe_health", ">=", [size, reserved, set, status]);
    numbers!(c, LOOP_MAX LOOP_READ LOOP_WRITE TIMER_OFF RELOAD_REQUIRED RELOAD_SOURCES_MAX
        RELOAD_PATHS_MAX HEALTH_READY HEALTH_DEGRADED HEALTH_DOWN HEALTH_TEXT_MAX ABI_MAJOR PLUGIN_MAGIC
        OK PENDING E_INVAL E_NOMEM E_CONFIG E_TOOBIG E_STALE E_STOPPING E_UNSUPPORTED E_LIMIT
        E_INTERNAL T_NULL T_BOOL T_INT32 T_UINT32 T_INT64 T_UINT64 T_IPV4 T_IPV6 T_STR T_BIN
        ACCEPT_BOOL ACCEPT_INT ACCEPT_IP ACCEPT_STR ACCEPT_BIN ACCEPT_ANY PLUGIN_INSTANCES ARG_REQUIRED ARG_BY_NAME
        MESSAGE_FROM_LOG SCOPE_PROC SCOPE_SESS SCOPE_TXN SCOPE_REQ SCOPE_RES CANCEL_CONN_CLOSED
        CANCEL_DEADLINE CANCEL_DRAIN LOG_ERR LOG_WARNING LOG_NOTICE LOG_INFO LOG_DEBUG OPT_BOOL
        OPT_INT OPT_DURATION OPT_SIZE OPT_STRING OPT_ENUM OPT_PATH OPT_URL OPT_ADDRESS OPT_PREFIX
        OPT_SECRET OPTION_REQUIRED OPTION_SECRET OPTION_RELOADABLE OPTION_LIST
        OPTION_SECRET_FILE);
    c.holds(format!("SPOE_ABI_MINOR >= {}", raw::ABI_MINOR));

    let include = std::env::var("SPOE_INCLUDE").unwrap_or_else(|_| "../include".to_string());
    for (file, name, id) in [
        ("loop", "SPOE_LOOP_1", raw::LOOP_1),
        ("reload", "SPOE_RELOAD_1", raw::RELOAD_1),
        ("health", "SPOE_HEALTH_1", raw::HEALTH_1),
    ] {
        let header = std::fs::read_to_string(format!("{}/spoe/ext/{}.h", include, file)).unwrap();
        let id = std::str::from_utf8(id.strip_suffix(b"\0").unwrap()).unwrap();
        assert!(header.contains(&format!("#define {} \"{}\"\n", name, id)), "{}", name);
    }
    let source = std::env::temp_dir().join(format!("spoe-layout-{}.c", std::process::id()));
    std::fs::write(&source, &c.0).unwrap();
    let out = std::process::Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_string()))
        .args(["-std=c11", "-Wall", "-Wextra", "-fsyntax-only", "-I", &include])
        .arg(&source)
        .output()
        .unwrap();
    std::fs::remove_file(&source).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(c.0.lines().count() > 150);
}
