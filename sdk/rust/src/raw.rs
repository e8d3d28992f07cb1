// SPDX-License-Identifier: Apache-2.0
//! `spoe/plugin.h` and the facets `spoe/ext/loop.h`, `reload.h` and `health.h` in Rust: the structs with the names of their members, and the numbers. What a
//! member means is said there. Tables that begin with their size may be longer than these; a
//! member that may be missing is read by [`has!`](crate::has) only.
#![allow(missing_docs)]

use std::ffi::c_void;
use std::os::raw::c_char;

pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 1;
pub const PLUGIN_MAGIC: u32 = 0x5350_4f31;

pub const OK: i32 = 0;
pub const PENDING: i32 = 1;
pub const E_INVAL: i32 = -1;
pub const E_NOMEM: i32 = -2;
pub const E_CONFIG: i32 = -3;
pub const E_TOOBIG: i32 = -4;
pub const E_STALE: i32 = -5;
pub const E_STOPPING: i32 = -6;
pub const E_UNSUPPORTED: i32 = -7;
pub const E_LIMIT: i32 = -8;
pub const E_INTERNAL: i32 = -9;

pub const T_NULL: u32 = 0;
pub const T_BOOL: u32 = 1;
pub const T_INT32: u32 = 2;
pub const T_UINT32: u32 = 3;
pub const T_INT64: u32 = 4;
pub const T_UINT64: u32 = 5;
pub const T_IPV4: u32 = 6;
pub const T_IPV6: u32 = 7;
pub const T_STR: u32 = 8;
pub const T_BIN: u32 = 9;

pub const ACCEPT_BOOL: u32 = 0x002;
pub const ACCEPT_INT: u32 = 0x03c;
pub const ACCEPT_IP: u32 = 0x0c0;
pub const ACCEPT_STR: u32 = 0x100;
pub const ACCEPT_BIN: u32 = 0x200;
pub const ACCEPT_ANY: u32 = 0x3fe;

pub const PLUGIN_INSTANCES: u32 = 1;

pub const ARG_REQUIRED: u32 = 1;
pub const ARG_BY_NAME: u32 = 2;
pub const MESSAGE_FROM_LOG: u32 = 0x10000;

pub const SCOPE_PROC: u32 = 0;
pub const SCOPE_SESS: u32 = 1;
pub const SCOPE_TXN: u32 = 2;
pub const SCOPE_REQ: u32 = 3;
pub const SCOPE_RES: u32 = 4;

pub const CANCEL_CONN_CLOSED: i32 = 1;
pub const CANCEL_DEADLINE: i32 = 2;
pub const CANCEL_DRAIN: i32 = 3;

pub const LOG_ERR: i32 = 3;
pub const LOG_WARNING: i32 = 4;
pub const LOG_NOTICE: i32 = 5;
pub const LOG_INFO: i32 = 6;
pub const LOG_DEBUG: i32 = 7;

pub const OPT_BOOL: u32 = 1;
pub const OPT_INT: u32 = 2;
pub const OPT_DURATION: u32 = 3;
pub const OPT_SIZE: u32 = 4;
pub const OPT_STRING: u32 = 5;
pub const OPT_ENUM: u32 = 6;
pub const OPT_PATH: u32 = 7;
pub const OPT_URL: u32 = 8;
pub const OPT_ADDRESS: u32 = 9;
pub const OPT_PREFIX: u32 = 10;
pub const OPT_SECRET: u32 = 11;

pub const OPTION_REQUIRED: u32 = 1;
pub const OPTION_SECRET: u32 = 2;
pub const OPTION_RELOADABLE: u32 = 4;
pub const OPTION_LIST: u32 = 8;
pub const OPTION_SECRET_FILE: u32 = 0x10000;

macro_rules! opaque {
    ($($name:ident)*) => { $( #[repr(C)] pub struct $name { _private: [u8; 0] } )* };
}
opaque!(Request Config Instance Worker Timer Watch ReloadSource);

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Span {
    pub p: *const c_char,
    pub n: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union Union {
    pub b: u8,
    pub i32: i32,
    pub u32: u32,
    pub i64: i64,
    pub u64: u64,
    pub ip4: [u8; 4],
    pub ip6: [u8; 16],
    pub s: Span,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value {
    pub r#type: u32,
    pub flags: u32,
    pub u: Union,
}

#[repr(C)]
pub struct Arg {
    pub name: Span,
    pub value: Value,
}

#[repr(C)]
pub struct ArgDecl {
    pub size: u32,
    pub types: u32,
    pub flags: u32,
    pub reserved: u32,
    pub name: *const c_char,
    pub expression: *const c_char,
    pub help: *const c_char,
}

#[repr(C)]
pub struct MessageDecl {
    pub size: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub event: *const c_char,
    pub help: *const c_char,
    pub args: *const *const ArgDecl,
}

#[repr(C)]
pub struct VariableDecl {
    pub size: u32,
    pub scope: u32,
    pub types: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub help: *const c_char,
}

#[repr(C)]
pub struct OptionDecl {
    pub size: u32,
    pub r#type: u32,
    pub flags: u32,
    pub reserved: u32,
    pub key: *const c_char,
    pub default_text: *const c_char,
    pub help: *const c_char,
    pub env: *const *const c_char,
    pub choices: *const *const c_char,
    pub min: i64,
    pub max: i64,
    pub env_lenient: *const *const c_char,
}

#[repr(C)]
pub struct Setting {
    pub size: u32,
    pub flags: u32,
    pub raw: Span,
    pub origin: Span,
    pub value: Value,
}

#[repr(C)]
pub struct Message {
    pub size: u32,
    pub index: u32,
    pub n_slots: u32,
    pub n_args: u32,
    pub slot: *const Value,
    pub args: *const Arg,
    pub name: Span,
    pub engine_id: Span,
    pub stream_id: u64,
    pub frame_id: u64,
    pub recv_unix_ns: i64,
    pub recv_mono_ns: i64,
    pub deadline_mono_ns: i64,
}

#[repr(C)]
pub struct Host {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub name: *const c_char,
    pub version: *const c_char,
    pub get_extension: unsafe extern "C" fn(*mut Instance, *const c_char) -> *const c_void,
    pub log_enabled: unsafe extern "C" fn(*mut Instance, i32) -> i32,
    pub log: unsafe extern "C" fn(*mut Instance, *mut Request, i32, Span),
    pub config_get: unsafe extern "C" fn(*mut Config, usize) -> *const Setting,
    pub config_error: unsafe extern "C" fn(*mut Config, usize, Span),
    pub set_var: unsafe extern "C" fn(*mut Request, u32, Span, *const Value) -> i32,
    pub unset_var: unsafe extern "C" fn(*mut Request, u32, Span) -> i32,
    pub complete: unsafe extern "C" fn(*mut Request, i32),
    pub post: unsafe extern "C" fn(
        *mut Worker,
        Option<unsafe extern "C" fn(*mut c_void)>,
        *mut c_void,
    ) -> i32,
    pub now_mono_ns: unsafe extern "C" fn() -> i64,
    // Since 1.1: by `has!` only.
    pub config_effective: Option<unsafe extern "C" fn(*mut Config, usize, Span)>,
    pub request_commit: Option<unsafe extern "C" fn(*mut Request) -> i32>,
    pub request_set_data: Option<unsafe extern "C" fn(*mut Request, *mut c_void) -> i32>,
    pub request_data: Option<unsafe extern "C" fn(*mut Request) -> *mut c_void>,
    pub config_timeout_ns: Option<unsafe extern "C" fn(*mut Config, usize) -> i64>,
}

pub type EntryFn = unsafe extern "C" fn() -> *const Plugin;

#[repr(C)]
pub struct Plugin {
    pub magic: u32,
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub needs_minor: u16,
    pub reserved: u16,
    pub id: *const c_char,
    pub version: *const c_char,
    pub help: *const c_char,
    pub messages: *const *const MessageDecl,
    pub options: *const *const OptionDecl,
    pub configure: Option<
        unsafe extern "C" fn(*const Host, *mut Instance, *mut Config, *mut *mut c_void) -> i32,
    >,
    pub start: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    pub worker_start:
        Option<unsafe extern "C" fn(*mut c_void, *mut Worker, u32, *mut *mut c_void) -> i32>,
    pub handle: Option<unsafe extern "C" fn(*mut c_void, *mut Request, *const Message) -> i32>,
    pub cancel: Option<unsafe extern "C" fn(*mut c_void, *mut Request, i32)>,
    pub drain: Option<unsafe extern "C" fn(*mut c_void, i64)>,
    pub worker_stop: Option<unsafe extern "C" fn(*mut c_void)>,
    pub stop: Option<unsafe extern "C" fn(*mut c_void, i64)>,
    pub destroy: Option<unsafe extern "C" fn(*mut c_void)>,
    pub get_extension: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> *const c_void>,
    pub open_count: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    pub quiesce: Option<unsafe extern "C" fn(*mut c_void)>,
    pub reconfigure: Option<unsafe extern "C" fn(*mut c_void, *mut Config) -> i32>,
    pub check: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    pub try_out: Option<unsafe extern "C" fn(*mut c_void, i64) -> i32>,
    pub variables: *const *const VariableDecl,
    pub flags: u32,
    pub reserved_1_1: u32,
}

// Constant tables, whose pointers lead to constants.
unsafe impl Sync for Plugin {}

// ---- facets, by `Host::get_extension` ----------------------------------------------------------

pub const LOOP_1: &[u8] = b"spoe.loop/1\0";
pub const LOOP_MAX: u32 = 65536;
pub const LOOP_READ: u32 = 1;
pub const LOOP_WRITE: u32 = 2;
pub const TIMER_OFF: i64 = i64::MAX;

pub type TimerFn = unsafe extern "C" fn(*mut c_void);
pub type WatchFn = unsafe extern "C" fn(*mut c_void, i32, u32);

#[repr(C)]
pub struct Loop {
    pub size: u32,
    pub reserved: u32,
    pub timer_new:
        unsafe extern "C" fn(*mut Worker, Option<TimerFn>, *mut c_void, *mut *mut Timer) -> i32,
    pub timer_set: unsafe extern "C" fn(*mut Timer, i64) -> i32,
    pub timer_free: unsafe extern "C" fn(*mut Timer),
    pub watch_new: unsafe extern "C" fn(
        *mut Worker,
        i32,
        Option<WatchFn>,
        *mut c_void,
        *mut *mut Watch,
    ) -> i32,
    pub watch_set: unsafe extern "C" fn(*mut Watch, u32) -> i32,
    pub watch_free: unsafe extern "C" fn(*mut Watch),
}

pub const RELOAD_1: &[u8] = b"spoe.reload/1\0";
pub const RELOAD_REQUIRED: u32 = 1;
pub const RELOAD_SOURCES_MAX: u32 = 16;
pub const RELOAD_PATHS_MAX: u32 = 1024;

#[repr(C)]
pub struct ReloadDecl {
    pub size: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub paths: *const *const c_char,
    pub poll_ns: i64,
    pub every_ns: i64,
    pub build: Option<
        unsafe extern "C" fn(*mut c_void, *mut ReloadSource, *mut *mut c_void) -> i32,
    >,
    pub release: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    pub arg: *mut c_void,
}

#[repr(C)]
pub struct Reload {
    pub size: u32,
    pub reserved: u32,
    pub declare: unsafe extern "C" fn(
        *mut Instance,
        *const ReloadDecl,
        *mut *mut ReloadSource,
    ) -> i32,
    pub get: unsafe extern "C" fn(*const ReloadSource) -> *const c_void,
    pub trigger: unsafe extern "C" fn(*mut ReloadSource),
    pub cancelled: unsafe extern "C" fn(*const ReloadSource) -> i32,
}

pub const HEALTH_1: &[u8] = b"spoe.health/1\0";
pub const HEALTH_READY: i32 = 0;
pub const HEALTH_DEGRADED: i32 = 1;
pub const HEALTH_DOWN: i32 = 2;
pub const HEALTH_TEXT_MAX: u32 = 256;

#[repr(C)]
pub struct Health {
    pub size: u32,
    pub reserved: u32,
    pub set: unsafe extern "C" fn(*mut Instance, i32, Span),
    pub status: unsafe extern "C" fn(*mut Instance, Span),
}
