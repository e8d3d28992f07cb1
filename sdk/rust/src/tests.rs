// SPDX-License-Identifier: Apache-2.0
//! The layer over a host of the tests: completions, panics, and hosts that are shorter.

use super::*;
use std::cell::RefCell;
use std::os::raw::c_char;

thread_local! {
    static SEEN: RefCell<Vec<String>> = RefCell::new(Vec::new());
}

pub(crate) fn seen() -> Vec<String> {
    SEEN.with(|s| s.borrow_mut().drain(..).collect())
}

pub(crate) fn note(text: String) {
    SEEN.with(|s| s.borrow_mut().push(text));
}

pub(crate) unsafe fn string(span: raw::Span) -> String {
    String::from_utf8(std::slice::from_raw_parts(span.p as *const u8, span.n).to_vec()).unwrap()
}

unsafe extern "C" fn get_extension(_: *mut raw::Instance, _: *const c_char) -> *const c_void {
    std::ptr::null()
}
unsafe extern "C" fn log_enabled(_: *mut raw::Instance, level: i32) -> i32 {
    (level <= raw::LOG_INFO).into()
}
unsafe extern "C" fn log(_: *mut raw::Instance, _: *mut raw::Request, _: i32, text: raw::Span) {
    note(format!("log {}", string(text)));
}
unsafe extern "C" fn config_get(_: *mut raw::Config, _: usize) -> *const raw::Setting {
    std::ptr::null()
}
unsafe extern "C" fn config_error(_: *mut raw::Config, _: usize, _: raw::Span) {}
unsafe extern "C" fn set_var(
    _: *mut raw::Request,
    scope: u32,
    name: raw::Span,
    value: *const raw::Value,
) -> i32 {
    note(format!("set {} {} {:?}", scope, string(name), Value::from_raw(&*value)));
    raw::OK
}
unsafe extern "C" fn unset_var(_: *mut raw::Request, _: u32, _: raw::Span) -> i32 {
    raw::E_STALE
}
unsafe extern "C" fn complete(_: *mut raw::Request, status: i32) {
    note(format!("complete {}", status));
}
unsafe extern "C" fn post(
    _: *mut raw::Worker,
    _: Option<unsafe extern "C" fn(*mut c_void)>,
    _: *mut c_void,
) -> i32 {
    raw::E_STOPPING
}
unsafe extern "C" fn now_mono_ns() -> i64 {
    1
}
unsafe extern "C" fn commit(_: *mut raw::Request) -> i32 {
    note("commit".to_string());
    raw::OK
}

pub(crate) fn table(size: usize) -> raw::Host {
    raw::Host {
        size: size as u32,
        abi_major: 1,
        abi_minor: 0,
        name: std::ptr::null(),
        version: std::ptr::null(),
        get_extension,
        log_enabled,
        log,
        config_get,
        config_error,
        set_var,
        unset_var,
        complete,
        post,
        now_mono_ns,
        config_effective: None,
        request_commit: Some(commit),
        request_set_data: None,
        request_data: None,
        config_timeout_ns: None,
    }
}

fn host(table: &'static raw::Host) -> Host {
    unsafe { Host::new(table, std::ptr::null_mut()) }
}

fn leaked(size: usize) -> Host {
    host(Box::leak(Box::new(table(size))))
}

#[test]
fn a_pending_request_is_completed_exactly_once() {
    let h = leaked(std::mem::size_of::<raw::Host>());
    let mut request = unsafe { Request::new(h, std::ptr::null_mut()) };
    let mut pending = request.defer().unwrap();
    assert!(request.defer().is_none());
    assert_eq!(request.set(raw::SCOPE_TXN, "x", true).unwrap_err().status, raw::E_STALE);
    pending.set(raw::SCOPE_TXN, "word", "text").unwrap();
    pending.complete();
    assert_eq!(seen(), ["set 2 word Text([116, 101, 120, 116])", "complete 0"]);

    let mut request = unsafe { Request::new(h, std::ptr::null_mut()) };
    drop(request.defer());
    assert_eq!(seen(), ["complete -9"]);
}

#[test]
fn what_a_short_host_does_not_have_is_not_read() {
    let whole = std::mem::size_of::<raw::Host>();
    for (size, works) in [(whole, true), (whole - 5 * std::mem::size_of::<usize>(), false)] {
        let mut request = unsafe { Request::new(leaked(size), std::ptr::null_mut()) };
        let mut pending = request.defer().unwrap();
        assert_eq!(pending.commit().is_ok(), works);
        pending.complete();
        assert_eq!(seen().contains(&"commit".to_string()), works);
    }
}

#[test]
fn a_panic_is_a_status() {
    let h = leaked(std::mem::size_of::<raw::Host>());
    assert_eq!(guard(&h, "handle", || -> Result<(), Error> { panic!("at {}", 7) }), Err(-9));
    assert_eq!(guard(&h, "handle", || Err::<(), _>(Error::new(3, "positive"))), Err(-9));
    assert_eq!(guard(&h, "handle", || Ok(5)), Ok(5));
    assert_eq!(seen(), ["log handle: panic: at 7", "log handle: positive"]);
}

#[test]
fn values_there_and_back() {
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Int(-5),
        Value::Uint(u64::MAX),
        Value::Address("10.0.0.1".parse().unwrap()),
        Value::Address("2001:db8::1".parse().unwrap()),
        Value::Text(b"abc"),
        Value::Bytes(b""),
    ];
    for value in values {
        assert_eq!(unsafe { Value::from_raw(&value.to_raw()) }, value);
    }
}
