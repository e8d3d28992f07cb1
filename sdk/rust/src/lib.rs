// SPDX-License-Identifier: Apache-2.0
//! Handler plugins of spoe-host in Rust. [`raw`] is the ABI as it is; on top of it stand
//! [`Plugin`], which a plugin implements, and [`plugin!`], which declares it. No dependencies.
//!
//! No panic leaves the plugin: it is logged, and costs the message its variables. A request that
//! is to be answered later is a [`Pending`], which is completed exactly once: by its destructor
//! where nobody else does it. `examples/limit.rs` is a whole plugin.
//!
//! A plugin whose workers have something of their own implements [`Worker`] as well: each is made
//! on its thread and stays there, with timers and descriptors on its [`Loop`]. Data that is read
//! anew while it is in use is a [`Reload`], how the plugin is it says by [`Health`].
//! `examples/gate.rs` has all three.
//!
//! Threads of the plugin's own bring work back to a worker through its [`Mailbox`]. A request that is
//! pending has a place for a number, by which `cancel()` finds what is to be given up.
#![warn(missing_docs)]

pub mod raw;
mod declare;
mod eventloop;
mod health;
mod mailbox;
mod options;
mod reload;
mod views;
mod worker;

pub use eventloop::{Events, Loop, Timer, Watch};
pub use health::Health;
pub use mailbox::{Mailbox, NotPosted};
pub use options::{Config, NotAPrefix, Prefix};
pub use reload::{Build, Reload, Source};
pub use views::{Answer, Cancel, Host, Message, Pending, Request, Turn, Value};
pub use worker::Worker;

use std::any::Any;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// What went wrong: the host is answered `status`, and its log gets the text.
#[derive(Debug)]
pub struct Error {
    /// One of `raw::E_*`; to the host, one that is not negative is `raw::E_INTERNAL`.
    pub status: i32,
    /// One line.
    pub text: String,
}

impl Error {
    /// An error of this status; one that is not negative becomes `raw::E_INTERNAL`.
    pub fn new(status: i32, text: impl Into<String>) -> Self {
        let status = if status < 0 { status } else { raw::E_INTERNAL };
        Error { status, text: text.into() }
    }
}

/// The host refused: the status alone says why.
impl From<i32> for Error {
    fn from(status: i32) -> Self {
        Error::new(status, format!("the host answered {}", status))
    }
}

/// One configured plugin. Shared by all workers, so it is `Sync`; what it keeps for each belongs
/// into thread-locals or locks.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Check the options and make the instance; no thread, no socket.
    fn configure(host: Host, config: &Config) -> Result<Self, Error>;
    /// Start threads and connections.
    fn start(&self) -> Result<(), Error> {
        Ok(())
    }
    /// `spoe-host -t` only, between `configure()` and the end: look at what the options name and
    /// `configure()` does not touch, such as whether a file can be read; leave nothing behind.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Handle one message, on a worker's thread; must not block. Where there is a [`Worker`] it is
    /// that one's `handle()` that is called.
    fn handle(&self, _request: &mut Request, _message: &Message) -> Result<(), Error> {
        Err(Error::new(raw::E_UNSUPPORTED, "neither the plugin nor a worker has a handle()"))
    }
    /// Advice that nobody waits for this request any more, on the worker's thread. It is to be
    /// completed all the same, and may just have been. Where there is a [`Worker`] it is that one's
    /// `cancel()` that is called.
    fn cancel(&self, _cancel: &Cancel) {}
    /// Take new values of the options with `raw::OPTION_RELOADABLE`, all or none.
    fn reconfigure(&self, _config: &Config) -> Result<(), Error> {
        Ok(())
    }
    /// The host is about to stop. Messages still come: answer them, but begin nothing that a later
    /// one has to end. While workers work.
    fn quiesce(&self) {}
    /// No message will follow: flush until the deadline.
    fn drain(&self, _deadline_mono_ns: i64) {}
    /// Complete what is pending and join every thread.
    fn stop(&self, _deadline_mono_ns: i64) {}
}

/* ---- from the host to the trait: what `plugin!` puts into the descriptor --------------------- */

struct Held<P> {
    host: Host,
    plugin: Arc<P>,
    declared: Vec<Arc<dyn reload::Declared>>,
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => Some((*text).to_string()),
        None => panic.downcast_ref::<String>().cloned(),
    };
    text.unwrap_or_else(|| {
        std::mem::forget(panic); // something else, which may panic when it is dropped
        "no text".to_string()
    })
}

fn guard<T>(
    host: &Host,
    place: &str,
    fun: impl FnOnce() -> Result<T, Error>,
) -> Result<T, i32> {
    match catch_unwind(AssertUnwindSafe(fun)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            host.log(raw::LOG_ERR, &format!("{}: {}", place, error.text));
            Err(if error.status < 0 { error.status } else { raw::E_INTERNAL })
        }
        Err(panic) => {
            host.log(raw::LOG_ERR, &format!("{}: panic: {}", place, panic_text(panic)));
            Err(raw::E_INTERNAL)
        }
    }
}

/// What a plugin has made may panic where it is dropped.
fn discard<T>(host: &Host, place: &str, it: T) {
    let _ = guard(host, place, move || {
        drop(it);
        Ok(())
    });
}

/// Each by itself: of two panics at once the second would end the process.
fn discard_all(host: &Host, place: &str, declared: Vec<Arc<dyn reload::Declared>>) {
    declared.into_iter().for_each(|source| discard(host, place, source));
}

fn status(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(raw::OK)
}

/// Safety: what handle() was given, while it runs.
unsafe fn handle_by(
    host: Host,
    req: *mut raw::Request,
    msg: *const raw::Message,
    fun: impl FnOnce(&mut Request, &Message) -> Result<(), Error>,
) -> i32 {
    let mut request = Request::new(host, req);
    let message = Message::new(&*msg);
    let result = status(guard(&host, "handle", || fun(&mut request, &message)));
    // Whoever has the Pending completes it, or has done so: also after an error.
    if request.deferred() {
        raw::PENDING
    } else {
        result
    }
}

/// Safety: what cancel() was given, while it runs.
unsafe fn cancel_by(host: Host, req: *mut raw::Request, why: i32, fun: impl FnOnce(&Cancel)) {
    let cancel = Cancel::new(host, req, why);
    let _ = guard(&host, "cancel", || {
        fun(&cancel);
        Ok(())
    });
}

/// The functions of a plugin for its descriptor; used by [`plugin!`].
#[doc(hidden)]
pub mod entry {
    use super::*;

    pub use crate::worker::entry::{worker_cancel, worker_handle, worker_start, worker_stop};

    pub(crate) unsafe fn held<'a, P>(inst: *mut c_void) -> &'a Held<P> {
        &*(inst as *const Held<P>)
    }

    pub unsafe extern "C" fn configure<P: Plugin>(
        table: *const raw::Host,
        instance: *mut raw::Instance,
        cfg: *mut raw::Config,
        ret: *mut *mut c_void,
    ) -> i32 {
        let host = Host::new(table, instance);
        let config = Config::new(host, cfg);
        let result = guard(&host, "configure", || P::configure(host, &config));
        let declared = config.declared.take();
        status(match result {
            Ok(plugin) => {
                let held = Held { host, plugin: Arc::new(plugin), declared };
                *ret = Box::into_raw(Box::new(held)) as *mut c_void;
                Ok(())
            }
            Err(status) => {
                discard_all(&host, "configure", declared);
                Err(status)
            }
        })
    }

    pub unsafe extern "C" fn start<P: Plugin>(inst: *mut c_void) -> i32 {
        let held = held::<P>(inst);
        status(guard(&held.host, "start", || held.plugin.start()))
    }

    pub unsafe extern "C" fn handle<P: Plugin>(
        inst: *mut c_void,
        req: *mut raw::Request,
        msg: *const raw::Message,
    ) -> i32 {
        let held = held::<P>(inst);
        handle_by(held.host, req, msg, |request, message| held.plugin.handle(request, message))
    }

    pub unsafe extern "C" fn cancel<P: Plugin>(
        inst: *mut c_void,
        req: *mut raw::Request,
        why: i32,
    ) {
        let held = held::<P>(inst);
        cancel_by(held.host, req, why, |cancel| held.plugin.cancel(cancel));
    }

    pub unsafe extern "C" fn quiesce<P: Plugin>(inst: *mut c_void) {
        let held = held::<P>(inst);
        let _ = guard(&held.host, "quiesce", || {
            held.plugin.quiesce();
            Ok(())
        });
    }

    pub unsafe extern "C" fn reconfigure<P: Plugin>(
        inst: *mut c_void,
        cfg: *mut raw::Config,
    ) -> i32 {
        let held = held::<P>(inst);
        let config = Config::new(held.host, cfg);
        let result = guard(&held.host, "reconfigure", || held.plugin.reconfigure(&config));
        discard_all(&held.host, "reconfigure", config.declared.take()); // a host takes none then
        status(result)
    }

    pub unsafe extern "C" fn check<P: Plugin>(inst: *mut c_void) -> i32 {
        let held = held::<P>(inst);
        status(guard(&held.host, "check", || held.plugin.check()))
    }

    pub unsafe extern "C" fn drain<P: Plugin>(inst: *mut c_void, deadline: i64) {
        let held = held::<P>(inst);
        let _ = guard(&held.host, "drain", || {
            held.plugin.drain(deadline);
            Ok(())
        });
    }

    pub unsafe extern "C" fn stop<P: Plugin>(inst: *mut c_void, deadline: i64) {
        let held = held::<P>(inst);
        let _ = guard(&held.host, "stop", || {
            held.plugin.stop(deadline);
            Ok(())
        });
    }

    pub unsafe extern "C" fn destroy<P: Plugin>(inst: *mut c_void) {
        if inst.is_null() {
            return;
        }
        let Held { host, plugin, declared } = *Box::from_raw(inst as *mut Held<P>);
        declared.iter().for_each(|source| source.end());
        discard(&host, "destroy", plugin);
        discard_all(&host, "destroy", declared);
    }
}

#[cfg(test)]
mod facet_tests;
#[cfg(test)]
mod tests;
