// SPDX-License-Identifier: Apache-2.0
//! What the host hands over, as safe views.

use crate::{has, raw, Error};
use std::ffi::{c_void, CStr};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::raw::c_char;

pub(crate) fn span(bytes: &[u8]) -> raw::Span {
    raw::Span { p: bytes.as_ptr() as *const c_char, n: bytes.len() }
}

/// The bytes live as long as the caller says.
unsafe fn bytes<'a>(span: raw::Span) -> &'a [u8] {
    if span.n == 0 {
        return &[];
    }
    std::slice::from_raw_parts(span.p as *const u8, span.n)
}

/// One typed value, of an argument or for a variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing was sent.
    Null,
    /// A switch.
    Bool(bool),
    /// Any of SPOP's integers that fits.
    Int(i64),
    /// One that does not.
    Uint(u64),
    /// An address.
    Address(IpAddr),
    /// Text, of any bytes.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) unsafe fn from_raw(v: &raw::Value) -> Self {
        match v.r#type {
            raw::T_BOOL => Value::Bool(v.u.b != 0),
            raw::T_INT32 => Value::Int(v.u.i32.into()),
            raw::T_UINT32 => Value::Int(v.u.u32.into()),
            raw::T_INT64 => Value::Int(v.u.i64),
            raw::T_UINT64 => match i64::try_from(v.u.u64) {
                Ok(n) => Value::Int(n),
                Err(_) => Value::Uint(v.u.u64),
            },
            raw::T_IPV4 => Value::Address(Ipv4Addr::from(v.u.ip4).into()),
            raw::T_IPV6 => Value::Address(Ipv6Addr::from(v.u.ip6).into()),
            raw::T_STR => Value::Text(bytes(v.u.s)),
            raw::T_BIN => Value::Bytes(bytes(v.u.s)),
            _ => Value::Null,
        }
    }

    pub(crate) fn to_raw(self) -> raw::Value {
        let mut u = raw::Union { ip6: [0; 16] };
        let r#type = match self {
            Value::Null => raw::T_NULL,
            Value::Bool(b) => {
                u.b = b.into();
                raw::T_BOOL
            }
            Value::Int(n) => {
                u.i64 = n;
                raw::T_INT64
            }
            Value::Uint(n) => {
                u.u64 = n;
                raw::T_UINT64
            }
            Value::Address(IpAddr::V4(a)) => {
                u.ip4 = a.octets();
                raw::T_IPV4
            }
            Value::Address(IpAddr::V6(a)) => {
                u.ip6 = a.octets();
                raw::T_IPV6
            }
            Value::Text(s) => {
                u.s = span(s);
                raw::T_STR
            }
            Value::Bytes(s) => {
                u.s = span(s);
                raw::T_BIN
            }
        };
        raw::Value { r#type, flags: 0, u }
    }
}

impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}
impl From<IpAddr> for Value<'_> {
    fn from(a: IpAddr) -> Self {
        Value::Address(a)
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(s: &'a str) -> Self {
        Value::Text(s.as_bytes())
    }
}
impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(s: &'a [u8]) -> Self {
        Value::Text(s)
    }
}

/// The host's functions, for one instance. To be kept and copied; good on every thread.
#[derive(Clone, Copy)]
pub struct Host {
    table: *const raw::Host,
    instance: *mut raw::Instance,
}
// The table is constant, and its functions that stand here are marked [any].
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

impl Host {
    pub(crate) unsafe fn new(table: *const raw::Host, instance: *mut raw::Instance) -> Self {
        Host { table, instance }
    }

    pub(crate) fn get(&self) -> &'static raw::Host {
        unsafe { &*self.table }
    }

    /// The table itself, for what this crate does not wrap.
    pub fn table(&self) -> *const raw::Host {
        self.table
    }

    /// The instance as the host knows it, for what this crate does not wrap.
    pub fn instance(&self) -> *mut raw::Instance {
        self.instance
    }

    /// The table of a facet, such as `spoe.metrics/1`, for what this crate does not wrap; null
    /// where the host does not have it.
    pub fn extension(&self, id: &CStr) -> *const c_void {
        unsafe { (self.get().get_extension)(self.instance, id.as_ptr()) }
    }

    /// That of one that this crate wraps.
    /// Safety: `T` is the facet's table; `id` ends with a 0.
    pub(crate) unsafe fn facet<T>(&self, id: &'static [u8]) -> Option<&'static T> {
        ((self.get().get_extension)(self.instance, id.as_ptr() as *const c_char) as *const T)
            .as_ref()
    }

    /// Whether a line of this level would be written.
    pub fn logs(&self, level: i32) -> bool {
        unsafe { (self.get().log_enabled)(self.instance, level) != 0 }
    }

    /// Write one line to the host's log.
    pub fn log(&self, level: i32, text: &str) {
        if self.logs(level) {
            unsafe {
                (self.get().log)(self.instance, std::ptr::null_mut(), level, span(text.as_bytes()))
            }
        }
    }

    /// The clock of `Message::deadline_mono_ns()`.
    pub fn now_mono_ns(&self) -> i64 {
        unsafe { (self.get().now_mono_ns)() }
    }
}

/// A call by the host on a worker's thread. What is lent for as long as it takes, such as the state
/// of a [`Reload`](crate::Reload), is asked for with it, and cannot outlive it.
pub struct Turn {
    _here: PhantomData<*const ()>, // neither sent to another thread nor shared with one
}

impl Turn {
    /// Safety: on a worker's thread, and gone when the call returns.
    pub(crate) unsafe fn new() -> Self {
        Turn { _here: PhantomData }
    }
}

/// One message, as HAProxy sent it.
pub struct Message<'a> {
    msg: &'a raw::Message,
    turn: Turn,
}

impl<'a> Message<'a> {
    /// Safety: as [`Turn::new`].
    pub(crate) unsafe fn new(msg: &'a raw::Message) -> Self {
        Message { msg, turn: Turn::new() }
    }

    /// The call that hands it over.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Its place among the plugin's messages.
    pub fn index(&self) -> usize {
        self.msg.index as usize
    }

    /// What HAProxy sent for the argument in this slot.
    pub fn value(&self, slot: usize) -> Value<'a> {
        if slot >= self.msg.n_slots as usize {
            return Value::Null;
        }
        unsafe { Value::from_raw(&*self.msg.slot.add(slot)) }
    }

    /// Of a text or bytes; empty where there are none.
    pub fn text(&self, slot: usize) -> &'a [u8] {
        match self.value(slot) {
            Value::Text(s) | Value::Bytes(s) => s,
            _ => &[],
        }
    }

    /// Of an address.
    pub fn address(&self, slot: usize) -> Option<IpAddr> {
        match self.value(slot) {
            Value::Address(a) => Some(a),
            _ => None,
        }
    }

    /// Arguments that were not declared.
    pub fn others(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + '_ {
        (0..self.msg.n_args as usize).map(move |i| unsafe {
            let arg = &*self.msg.args.add(i);
            (bytes(arg.name), Value::from_raw(&arg.value))
        })
    }

    /// A later completion is not sent to HAProxy.
    pub fn deadline_mono_ns(&self) -> i64 {
        self.msg.deadline_mono_ns
    }
}

/// What sets variables: a request while it is handled, and one that is pending.
pub struct Answer {
    host: Host,
    req: *mut raw::Request,
}

impl Answer {
    /// Set an HAProxy variable, of a scope `raw::SCOPE_*`.
    pub fn set<'v>(
        &mut self,
        scope: u32,
        name: &str,
        value: impl Into<Value<'v>>,
    ) -> Result<(), Error> {
        let value = value.into().to_raw();
        check(unsafe { (self.host.get().set_var)(self.req, scope, span(name.as_bytes()), &value) })
    }

    /// Unset one.
    pub fn unset(&mut self, scope: u32, name: &str) -> Result<(), Error> {
        check(unsafe { (self.host.get().unset_var)(self.req, scope, span(name.as_bytes())) })
    }

    /// What is set so far is the answer if the deadline comes first. `raw::E_UNSUPPORTED` in a
    /// host of 1.0.
    pub fn commit(&mut self) -> Result<(), Error> {
        let host = self.host.get();
        check(unsafe {
            match has!(host, raw::Host, request_commit) {
                Some(commit) => commit(self.req),
                None => raw::E_UNSUPPORTED,
            }
        })
    }
}

/// What was put to a request; 0: nothing, or it is completed, or the host is of 1.0.
unsafe fn data_of(host: &raw::Host, req: *mut raw::Request) -> usize {
    has!(host, raw::Host, request_data).map_or(0, |data| data(req) as usize)
}

pub(crate) fn check(status: i32) -> Result<(), Error> {
    if status == raw::OK {
        Ok(())
    } else {
        Err(Error::from(status))
    }
}

/// A request while `handle()` runs.
pub struct Request {
    answer: Answer,
    deferred: bool,
}

impl Request {
    pub(crate) unsafe fn new(host: Host, req: *mut raw::Request) -> Self {
        Request { answer: Answer { host, req }, deferred: false }
    }

    pub(crate) fn deferred(&self) -> bool {
        self.deferred
    }

    /// Answer it later, from any thread. None the second time, for there is one answer.
    pub fn defer(&mut self) -> Option<Pending> {
        if self.deferred {
            return None;
        }
        self.deferred = true;
        Some(Pending { answer: Answer { host: self.answer.host, req: self.answer.req } })
    }

    /// Set an HAProxy variable; not after `defer()`, when the [`Pending`] does it.
    pub fn set<'v>(
        &mut self,
        scope: u32,
        name: &str,
        value: impl Into<Value<'v>>,
    ) -> Result<(), Error> {
        if self.deferred {
            return Err(Error::from(raw::E_STALE));
        }
        self.answer.set(scope, name, value)
    }
}

/// A request that is answered later: exactly once, by [`Pending::complete`] or, with an error, by
/// being dropped.
pub struct Pending {
    answer: Answer,
}
// The host's functions on a pending request are marked [any], one at a time: &mut sees to it.
unsafe impl Send for Pending {}

impl Pending {
    /// Set an HAProxy variable.
    pub fn set<'v>(
        &mut self,
        scope: u32,
        name: &str,
        value: impl Into<Value<'v>>,
    ) -> Result<(), Error> {
        self.answer.set(scope, name, value)
    }

    /// See [`Answer::commit`].
    pub fn commit(&mut self) -> Result<(), Error> {
        self.answer.commit()
    }

    /// Put a number to it, by which `cancel()` finds what is to be given up: a key of the plugin's;
    /// 0 stands for none. `raw::E_UNSUPPORTED` in a host of 1.0.
    pub fn set_data(&mut self, data: usize) -> Result<(), Error> {
        let (host, req) = (self.answer.host.get(), self.answer.req);
        check(unsafe {
            match has!(host, raw::Host, request_set_data) {
                Some(set) => set(req, data as *mut c_void),
                None => raw::E_UNSUPPORTED,
            }
        })
    }

    /// What was put to it last; 0: nothing, or the host is of 1.0.
    pub fn data(&self) -> usize {
        unsafe { data_of(self.answer.host.get(), self.answer.req) }
    }

    /// The variables are HAProxy's.
    pub fn complete(self) {
        unsafe { (self.answer.host.get().complete)(self.answer.req, raw::OK) }
        std::mem::forget(self);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        unsafe { (self.answer.host.get().complete)(self.answer.req, raw::E_INTERNAL) }
    }
}

/// A request that nobody waits for any more, while `cancel()` runs. Another thread may complete it
/// meanwhile.
pub struct Cancel {
    host: Host,
    req: *mut raw::Request,
    why: i32,
    turn: Turn,
}

impl Cancel {
    /// Safety: as [`Turn::new`], with what cancel() was given.
    pub(crate) unsafe fn new(host: Host, req: *mut raw::Request, why: i32) -> Self {
        Cancel { host, req, why, turn: Turn::new() }
    }

    /// What [`Pending::set_data`] has put to it; 0: nothing, or it is completed.
    pub fn data(&self) -> usize {
        unsafe { data_of(self.host.get(), self.req) }
    }

    /// `raw::CANCEL_CONN_CLOSED`, `raw::CANCEL_DEADLINE` or `raw::CANCEL_DRAIN`.
    pub fn why(&self) -> i32 {
        self.why
    }

    /// The call that tells of it.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }
}
