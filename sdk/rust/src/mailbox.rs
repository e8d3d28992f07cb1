// SPDX-License-Identifier: Apache-2.0
//! Work that is brought back to a worker, from any thread: `post()` of `spoe/plugin.h`.

use crate::{discard, guard, raw, Error, Host, Turn};
use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock};

type Function<T> = Box<dyn FnMut(&Turn, T) -> Result<(), Error>>;

/// What was not posted comes back.
pub struct NotPosted<T> {
    /// `raw::E_STOPPING`: the worker has ended; `raw::E_NOMEM`.
    pub error: Error,
    /// What was to be posted.
    pub letter: T,
}

/// Of whatever letter.
impl<T> std::fmt::Debug for NotPosted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotPosted").field("error", &self.error).finish()
    }
}

/// For `?`: the letter is dropped.
impl<T> From<NotPosted<T>> for Error {
    fn from(it: NotPosted<T>) -> Self {
        it.error
    }
}

struct Shared<T> {
    host: Host,
    worker: *mut raw::Worker,
    open: RwLock<bool>, // false once the worker ends, before which it is not gone
    function: RefCell<Option<Function<T>>>,
}
// The function is the worker's thread's, and taken there at the loop's end, until which the loop has
// this. The host's post() is marked [any].
unsafe impl<T: Send> Send for Shared<T> {}
unsafe impl<T: Send> Sync for Shared<T> {}

/// What ends with the loop. [worker]
pub(crate) trait Closes {
    fn close(&self);
}

impl<T> Closes for Shared<T> {
    fn close(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = false;
        discard(&self.host, "drop", self.function.take());
    }
}

/// A worker's, for whoever has something for it: made by [`Loop::mailbox`](crate::Loop::mailbox),
/// cloned for every thread, and closed when the worker has ended.
pub struct Mailbox<T: Send + 'static> {
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox { shared: Arc::clone(&self.shared) }
    }
}

struct Letter<T> {
    shared: Arc<Shared<T>>,
    letter: T,
}

impl<T: Send + 'static> Mailbox<T> {
    /// Safety: on the thread of this worker, where `close` is called when it has ended.
    pub(crate) unsafe fn new(host: Host, worker: *mut raw::Worker, function: Function<T>) -> Self {
        let (open, function) = (RwLock::new(true), RefCell::new(Some(function)));
        Mailbox { shared: Arc::new(Shared { host, worker, open, function }) }
    }

    pub(crate) fn closes(&self) -> Arc<dyn Closes> {
        self.shared.clone()
    }

    /// Have the worker's function called with this, once and soon; never within another call of the
    /// worker's. On any thread.
    pub fn post(&self, letter: T) -> Result<(), NotPosted<T>> {
        let open = self.shared.open.read().unwrap_or_else(PoisonError::into_inner);
        if !*open {
            return Err(NotPosted { error: Error::from(raw::E_STOPPING), letter });
        }
        let sent = Box::into_raw(Box::new(Letter { shared: Arc::clone(&self.shared), letter }));
        let arg = sent as *mut c_void;
        let host = self.shared.host.get();
        let status = unsafe { (host.post)(self.shared.worker, Some(on_letter::<T>), arg) };
        if status == raw::OK {
            return Ok(()); // it may have been read by now
        }
        let Letter { letter, .. } = *unsafe { Box::from_raw(sent) };
        Err(NotPosted { error: Error::from(status), letter })
    }
}

unsafe extern "C" fn on_letter<T: Send + 'static>(arg: *mut c_void) {
    let Letter { shared, letter } = *Box::from_raw(arg as *mut Letter<T>);
    let place = "a posted function";
    let taken = shared.function.take();
    match taken {
        Some(mut function) => {
            let turn = Turn::new();
            let _ = guard(&shared.host, place, || function(&turn, letter));
            *shared.function.borrow_mut() = Some(function);
        }
        None => discard(&shared.host, place, letter), // its worker has not begun, or is over
    }
}
