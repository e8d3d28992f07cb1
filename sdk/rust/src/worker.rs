// SPDX-License-Identifier: Apache-2.0
//! What a plugin keeps for each worker, on that worker's thread.

use crate::{Cancel, Error, Loop, Message, Plugin, Request};
use std::sync::Arc;

/// What one worker has of a plugin: made on the worker's thread, called there, and dropped there
/// when the last message has been handled. Nobody else comes near it, so it needs be neither `Send`
/// nor `Sync`, and what changes lies in a `Cell` or `RefCell`. Named in
/// [`plugin!`](crate::plugin!): `worker: LimitWorker,`.
pub trait Worker: Sized + 'static {
    /// The plugin, which all workers share.
    type Plugin: Plugin;
    /// Make it, with the timers and watches of its own. Not the place for a
    /// [`Reload`](crate::Reload), which is first built afterwards.
    fn start(plugin: &Arc<Self::Plugin>, on: &Loop, index: u32) -> Result<Self, Error>;
    /// Handle one message; must not block.
    fn handle(&self, request: &mut Request, message: &Message) -> Result<(), Error>;
    /// Advice that nobody waits for this request any more. It is to be completed all the same, and
    /// may just have been.
    fn cancel(&self, _cancel: &Cancel) {}
}

#[allow(missing_docs)]
pub(crate) mod entry {
    use super::*;
    use crate::entry::held;
    use crate::{discard, guard, raw, status, Host};
    use std::ffi::c_void;

    struct Held<W> {
        host: Host,
        on: Loop,
        worker: W,
    }

    pub unsafe extern "C" fn worker_start<P: Plugin, W: Worker<Plugin = P>>(
        inst: *mut c_void,
        worker: *mut raw::Worker,
        index: u32,
        ret: *mut *mut c_void,
    ) -> i32 {
        let plugin = held::<P>(inst);
        let host = plugin.host;
        let on = Loop::new(host, worker);
        let result = guard(&host, "worker_start", || W::start(&plugin.plugin, &on, index));
        status(match result {
            Ok(worker) => {
                *ret = Box::into_raw(Box::new(Held { host, on, worker })) as *mut c_void;
                Ok(())
            }
            Err(status) => {
                on.close();
                Err(status)
            }
        })
    }

    pub unsafe extern "C" fn worker_handle<P: Plugin, W: Worker<Plugin = P>>(
        wctx: *mut c_void,
        req: *mut raw::Request,
        msg: *const raw::Message,
    ) -> i32 {
        let held = &*(wctx as *const Held<W>);
        crate::handle_by(held.host, req, msg, |request, message| {
            held.worker.handle(request, message)
        })
    }

    pub unsafe extern "C" fn worker_cancel<P: Plugin, W: Worker<Plugin = P>>(
        wctx: *mut c_void,
        req: *mut raw::Request,
        why: i32,
    ) {
        let held = &*(wctx as *const Held<W>);
        crate::cancel_by(held.host, req, why, |cancel| held.worker.cancel(cancel));
    }

    pub unsafe extern "C" fn worker_stop<P: Plugin, W: Worker<Plugin = P>>(
        wctx: *mut c_void,
    ) {
        let Held { host, on, worker } = *Box::from_raw(wctx as *mut Held<W>);
        discard(&host, "worker_stop", worker);
        on.close();
    }
}
