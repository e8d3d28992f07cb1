// SPDX-License-Identifier: Apache-2.0
//! Timers and descriptors on a worker's event loop: the facet `spoe.loop/1` of `spoe/ext/loop.h`.

use crate::mailbox::Closes;
use crate::views::check;
use crate::{discard, guard, raw, Error, Host, Mailbox, Turn};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::os::unix::io::AsRawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

type Function = Box<dyn FnMut(&Turn, &Rc<Entry>, Events) -> Result<(), Error>>;

/// What a descriptor is watched for, and what it is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// It can be read.
    pub read: bool,
    /// It can be written.
    pub write: bool,
}

impl Events {
    /// Nothing.
    pub const NONE: Events = Events { read: false, write: false };
    /// Reading.
    pub const READ: Events = Events { read: true, write: false };
    /// Writing.
    pub const WRITE: Events = Events { read: false, write: true };
    /// Both.
    pub const BOTH: Events = Events { read: true, write: true };

    fn from_raw(bits: u32) -> Self {
        Events { read: bits & raw::LOOP_READ != 0, write: bits & raw::LOOP_WRITE != 0 }
    }

    fn to_raw(self) -> u32 {
        u32::from(self.read) * raw::LOOP_READ + u32::from(self.write) * raw::LOOP_WRITE
    }
}

#[derive(Clone, Copy)]
enum Handle {
    None, // not yet, or no more
    Timer(*mut raw::Timer),
    Watch(*mut raw::Watch),
}

/// A timer or a watch: on its loop until it ends, and kept by the object that stands for it.
struct Entry {
    host: Host,
    table: &'static raw::Loop,
    on: Weak<Inner>,
    handle: Cell<Handle>,
    once: bool,
    function: RefCell<Option<Function>>, // None while it runs, and at the end
}

impl Entry {
    fn end(&self) {
        match self.handle.replace(Handle::None) {
            Handle::None => return,
            Handle::Timer(timer) => unsafe { (self.table.timer_free)(timer) },
            Handle::Watch(watch) => unsafe { (self.table.watch_free)(watch) },
        }
        let listed = self.on.upgrade().and_then(|on| {
            let gone = on.all.borrow_mut().remove(&(self as *const Entry));
            gone
        });
        discard(&self.host, "drop", self.function.take());
        drop(listed);
    }

    fn is_ended(&self) -> bool {
        matches!(self.handle.get(), Handle::None)
    }

    fn run(self: &Rc<Self>, place: &str, ready: Events) {
        let mut function = match self.function.take() {
            Some(function) => function,
            None => return,
        };
        let turn = unsafe { Turn::new() };
        let result = guard(&self.host, place, || function(&turn, self, ready));
        match self.handle.get() {
            // It would come at once again.
            Handle::Watch(watch) if result.is_err() => unsafe {
                (self.table.watch_set)(watch, 0);
            },
            _ => (),
        }
        if self.once {
            self.end();
        }
        if self.is_ended() {
            discard(&self.host, "drop", function);
        } else {
            *self.function.borrow_mut() = Some(function);
        }
    }

    fn set_timer(&self, at_mono_ns: i64) -> Result<(), Error> {
        match self.handle.get() {
            Handle::Timer(timer) => check(unsafe { (self.table.timer_set)(timer, at_mono_ns) }),
            _ => Err(Error::from(raw::E_STOPPING)),
        }
    }
}

/// The entry that the loop was given; it is kept while it runs.
unsafe fn entry_of(arg: *mut c_void) -> Rc<Entry> {
    Rc::increment_strong_count(arg as *const Entry);
    Rc::from_raw(arg as *const Entry)
}

unsafe extern "C" fn on_time(arg: *mut c_void) {
    entry_of(arg).run("a timer's function", Events::NONE);
}

unsafe extern "C" fn on_ready(arg: *mut c_void, _fd: i32, ready: u32) {
    entry_of(arg).run("a watch's function", Events::from_raw(ready));
}

struct Inner {
    host: Host,
    table: Option<&'static raw::Loop>,
    worker: *mut raw::Worker,
    closed: Cell<bool>,
    all: RefCell<HashMap<*const Entry, Rc<Entry>>>,
    mailboxes: RefCell<Vec<Arc<dyn Closes>>>,
}

/// One worker's loop: [`Worker::start`](crate::Worker::start) is given it. It stays on the worker's
/// thread, and so does all that is made with it: none of it is `Send` or `Sync`.
///
/// Functions are called one at a time, never within another or within `handle()`, and must not
/// block; they may drop what they belong to. An error or a panic of theirs is logged and goes no
/// further: a timer may be set again, a watch is set to nothing. So what is wrong with one request,
/// such as `raw::E_STALE`, is no error of a watch that others need as well.
///
/// When the worker has been dropped the loop ends: what is left on it ends, and what its functions
/// hold is dropped. An object that outlives that answers `raw::E_STOPPING`.
#[derive(Clone)]
pub struct Loop {
    inner: Rc<Inner>,
}

impl Loop {
    /// Safety: on the worker's thread, where `close` is called when the worker has ended.
    pub(crate) unsafe fn new(host: Host, worker: *mut raw::Worker) -> Self {
        let table = host.facet(raw::LOOP_1);
        let (all, mailboxes) = (RefCell::default(), RefCell::default());
        let closed = Cell::new(false);
        Loop { inner: Rc::new(Inner { host, table, worker, closed, all, mailboxes }) }
    }

    pub(crate) fn close(&self) {
        self.inner.closed.set(true);
        let mailboxes = self.inner.mailboxes.take();
        mailboxes.iter().for_each(|mailbox| mailbox.close());
        loop {
            let next = self.inner.all.borrow().values().next().cloned();
            match next {
                Some(entry) => entry.end(),
                None => return,
            }
        }
    }

    /// The worker itself, for what this crate does not wrap.
    pub fn worker(&self) -> *mut raw::Worker {
        self.inner.worker
    }

    /// When it will be so much later, as `Host::now_mono_ns()` tells it.
    pub fn at(&self, after: Duration) -> i64 {
        let ns = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX);
        self.inner.host.now_mono_ns().saturating_add(ns).min(raw::TIMER_OFF - 1)
    }

    /// Call the function once, so much later, and be done with it. At the loop's end it is dropped
    /// without a call: a [`Pending`](crate::Pending) that it holds is completed all the same.
    /// Errors are those of [`Timer::new`].
    pub fn once(
        &self,
        after: Duration,
        function: impl FnOnce(&Turn) -> Result<(), Error> + 'static,
    ) -> Result<(), Error> {
        let mut function = Some(function);
        let entry = self.add(None, true, move |turn, _, _| match function.take() {
            Some(function) => function(turn),
            None => Ok(()),
        })?;
        entry.set_timer(self.at(after)).map_err(|error| {
            entry.end();
            error
        })
    }

    /// A mailbox, by which other threads bring letters back here: the function is called with each.
    /// An error or a panic of it is logged, and it is called with the next one all the same. It stays
    /// until the loop's end. `raw::E_STOPPING` when the worker has ended; hosts of 1.0 have it, too.
    pub fn mailbox<T: Send + 'static>(
        &self,
        function: impl FnMut(&Turn, T) -> Result<(), Error> + 'static,
    ) -> Result<Mailbox<T>, Error> {
        let inner = &self.inner;
        if inner.closed.get() {
            return Err(Error::from(raw::E_STOPPING));
        }
        let mailbox = unsafe { Mailbox::new(inner.host, inner.worker, Box::new(function)) };
        inner.mailboxes.borrow_mut().push(mailbox.closes());
        Ok(mailbox)
    }

    /// A watch of this descriptor, or a timer.
    fn add(
        &self,
        fd: Option<i32>,
        once: bool,
        function: impl FnMut(&Turn, &Rc<Entry>, Events) -> Result<(), Error> + 'static,
    ) -> Result<Rc<Entry>, Error> {
        let inner = &self.inner;
        let table = inner
            .table
            .ok_or_else(|| Error::new(raw::E_UNSUPPORTED, "the host has no spoe.loop/1"))?;
        if inner.closed.get() {
            return Err(Error::from(raw::E_STOPPING));
        }
        let entry = Rc::new(Entry {
            host: inner.host,
            table,
            on: Rc::downgrade(inner),
            handle: Cell::new(Handle::None),
            once,
            function: RefCell::new(Some(Box::new(function))),
        });
        let arg = Rc::as_ptr(&entry) as *mut c_void;
        entry.handle.set(unsafe {
            if let Some(fd) = fd {
                let mut watch = std::ptr::null_mut();
                check((table.watch_new)(inner.worker, fd, Some(on_ready), arg, &mut watch))?;
                Handle::Watch(watch)
            } else {
                let mut timer = std::ptr::null_mut();
                check((table.timer_new)(inner.worker, Some(on_time), arg, &mut timer))?;
                Handle::Timer(timer)
            }
        });
        inner.all.borrow_mut().insert(Rc::as_ptr(&entry), Rc::clone(&entry));
        Ok(entry)
    }
}

/// A timer: one call each time it is set. It ends where it is dropped.
pub struct Timer {
    entry: Rc<Entry>,
    owner: bool, // or lent to the function
}

impl Timer {
    /// Not armed. The function is given the timer, which it may set again.
    ///
    /// `raw::E_LIMIT` at `raw::LOOP_MAX`, or where there is no descriptor for it;
    /// `raw::E_NOMEM`; `raw::E_STOPPING` when the worker has ended; `raw::E_UNSUPPORTED` in a host
    /// without loops.
    pub fn new(
        on: &Loop,
        mut function: impl FnMut(&Turn, &Timer) -> Result<(), Error> + 'static,
    ) -> Result<Self, Error> {
        let entry = on.add(None, false, move |turn, entry, _| {
            function(turn, &Timer { entry: Rc::clone(entry), owner: false })
        })?;
        Ok(Timer { entry, owner: true })
    }

    /// Once, at this time of `Host::now_mono_ns()`, in place of what was set before; what is past
    /// means at once. `raw::E_STOPPING` when the worker has ended.
    pub fn set_at(&self, mono_ns: i64) -> Result<(), Error> {
        self.entry.set_timer(mono_ns.min(raw::TIMER_OFF - 1))
    }

    /// Once, so much later.
    pub fn set_in(&self, after: Duration) -> Result<(), Error> {
        match self.entry.on.upgrade() {
            Some(inner) => self.set_at(Loop { inner }.at(after)),
            None => Err(Error::from(raw::E_STOPPING)),
        }
    }

    /// Not any more.
    pub fn off(&self) -> Result<(), Error> {
        self.entry.set_timer(raw::TIMER_OFF)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.owner {
            self.entry.end();
        }
    }
}

/// A watch over a descriptor, whose owner it keeps: a socket, a pipe, an eventfd, which ought to be
/// non-blocking. It ends where it is dropped, before the descriptor is closed.
pub struct Watch<T: AsRawFd + 'static> {
    entry: Rc<Entry>,
    it: Rc<T>,
    owner: bool, // or lent to the function
}

impl<T: AsRawFd + 'static> Watch<T> {
    /// For nothing yet. The function is called with the watch and what it is ready for, as long as
    /// it is.
    /// Errors are those of [`Timer::new`].
    pub fn new(
        on: &Loop,
        it: T,
        mut function: impl FnMut(&Turn, &Watch<T>, Events) -> Result<(), Error> + 'static,
    ) -> Result<Self, Error> {
        let it = Rc::new(it);
        let lent = Rc::clone(&it);
        let entry = on.add(Some(it.as_raw_fd()), false, move |turn, entry, ready| {
            let (entry, it) = (Rc::clone(entry), Rc::clone(&lent));
            function(turn, &Watch { entry, it, owner: false }, ready)
        })?;
        Ok(Watch { entry, it, owner: true })
    }

    /// What to watch for, in place of what was said before. `raw::E_INVAL` for a descriptor that
    /// cannot be watched, as files cannot; `raw::E_LIMIT` where the kernel takes no more;
    /// `raw::E_STOPPING` when the worker has ended.
    pub fn set(&self, events: Events) -> Result<(), Error> {
        match self.entry.handle.get() {
            Handle::Watch(watch) => {
                check(unsafe { (self.entry.table.watch_set)(watch, events.to_raw()) })
            }
            _ => Err(Error::from(raw::E_STOPPING)),
        }
    }

    /// What is watched.
    pub fn get(&self) -> &T {
        &self.it
    }
}

impl<T: AsRawFd + 'static> Drop for Watch<T> {
    fn drop(&mut self) {
        if self.owner {
            self.entry.end();
        }
    }
}
