// SPDX-License-Identifier: Apache-2.0
//! Data that is built anew while it is in use: the facet `spoe.reload/1` of `spoe/ext/reload.h`,
//! with a type.

use crate::views::{check, Turn};
use crate::{discard, guard, raw, status, Config, Error, Host};
use std::ffi::{c_void, CString};
use std::os::raw::c_char;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a [`Reload`] is made of.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `[a-z0-9-]`, 1 to 32 bytes: in the log and in metrics.
    pub name: String,
    /// Files that are watched; none: no files.
    pub paths: Vec<String>,
    /// The host's start waits for the first build, and fails if that does.
    pub required: bool,
    /// How often files are looked at in any case; 0: 5 s.
    pub poll: Duration,
    /// How long after a build the next one comes in any case; 0: never.
    pub every: Duration,
}

/// A build that is under way.
pub struct Build {
    table: &'static raw::Reload,
    source: *const raw::ReloadSource,
}

impl Build {
    /// Whether the host is about to stop: give back `raw::E_STOPPING` then.
    pub fn cancelled(&self) -> bool {
        !self.source.is_null() && unsafe { (self.table.cancelled)(self.source) != 0 }
    }
}

type BuildFn<T> = Box<dyn Fn(&Build) -> Result<Option<T>, Error> + Send + Sync>;

/// What the host is given: it lives until `destroy()`, whatever becomes of the [`Reload`].
struct Shared<T> {
    host: Host,
    table: &'static raw::Reload,
    build: BuildFn<T>,
    source: AtomicPtr<raw::ReloadSource>, // null once destroy() is called
    trigger: Mutex<()>,                   // or it ends
}

/// What ends with the plugin.
pub(crate) trait Declared: Send + Sync {
    fn end(&self);
}

impl<T: Send + Sync + 'static> Declared for Shared<T> {
    fn end(&self) {
        let _held = self.trigger.lock();
        self.source.store(std::ptr::null_mut(), Ordering::Release);
    }
}

/// One source, and its state in use. It is built on a thread of the host's, read on the workers'
/// and dropped on the former once no worker can see it, so it is `Send` and `Sync`.
pub struct Reload<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Reload<T> {
    fn clone(&self) -> Self {
        Reload { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Send + Sync + 'static> Reload<T> {
    /// Declare a source, in `configure()`. The function makes the state of what is there now, and
    /// may block; `None` says that nothing is new. An error or a panic is logged: the state before
    /// stays in use.
    ///
    /// `raw::E_UNSUPPORTED` where the host has no such facet, and in `reconfigure()`;
    /// `raw::E_INVAL`, `raw::E_LIMIT` and `raw::E_NOMEM` as `declare()` of the header says.
    pub fn declare(
        config: &Config,
        source: &Source,
        build: impl Fn(&Build) -> Result<Option<T>, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let host = config.host();
        let table: &raw::Reload = unsafe { host.facet(raw::RELOAD_1) }
            .ok_or_else(|| Error::new(raw::E_UNSUPPORTED, "the host has no spoe.reload/1"))?;
        let text = |s: &str| {
            CString::new(s).map_err(|_| Error::new(raw::E_INVAL, format!("{:?} has a 0", s)))
        };
        let name = text(&source.name)?;
        let paths = source.paths.iter().map(|p| text(p)).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const c_char> = paths.iter().map(|p| p.as_ptr()).collect();
        pointers.push(std::ptr::null());

        let shared = Arc::new(Shared {
            host,
            table,
            build: Box::new(build),
            source: AtomicPtr::new(std::ptr::null_mut()),
            trigger: Mutex::new(()),
        });
        let decl = raw::ReloadDecl {
            size: std::mem::size_of::<raw::ReloadDecl>() as u32,
            flags: if source.required { raw::RELOAD_REQUIRED } else { 0 },
            name: name.as_ptr(),
            paths: pointers.as_ptr(),
            poll_ns: ns(source.poll),
            every_ns: ns(source.every),
            build: Some(on_build::<T>),
            release: Some(on_release::<T>),
            arg: Arc::as_ptr(&shared) as *mut c_void,
        };
        let mut handle = std::ptr::null_mut();
        check(unsafe { (table.declare)(host.instance(), &decl, &mut handle) })?;
        shared.source.store(handle, Ordering::Release);
        config.declared.borrow_mut().push(shared.clone());
        Ok(Reload { shared })
    }

    /// The state in use: two loads, no lock. None: there is none yet.
    pub fn get<'t>(&self, _turn: &'t Turn) -> Option<&'t T> {
        let source = self.shared.source.load(Ordering::Acquire);
        if source.is_null() {
            return None;
        }
        // It stays until every worker has been out of its call: until the turn is over.
        unsafe { ((self.shared.table.get)(source) as *const T).as_ref() }
    }

    /// Have it built anew, soon. On any thread.
    pub fn trigger(&self) {
        let _held = self.shared.trigger.lock();
        let source = self.shared.source.load(Ordering::Acquire);
        if !source.is_null() {
            unsafe { (self.shared.table.trigger)(source) }
        }
    }

    /// Build one here and now, for nobody: what `check()` is for.
    pub fn try_build(&self) -> Result<Option<T>, Error> {
        (self.shared.build)(&Build { table: self.shared.table, source: std::ptr::null() })
    }
}

fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

unsafe extern "C" fn on_build<T>(
    arg: *mut c_void,
    source: *mut raw::ReloadSource,
    ret_state: *mut *mut c_void,
) -> i32 {
    let shared = &*(arg as *const Shared<T>);
    let build = Build { table: shared.table, source };
    status(guard(&shared.host, "build", || (shared.build)(&build)).map(|state| {
        if let Some(state) = state {
            *ret_state = Box::into_raw(Box::new(state)) as *mut c_void;
        }
    }))
}

unsafe extern "C" fn on_release<T>(arg: *mut c_void, state: *mut c_void) {
    let shared = &*(arg as *const Shared<T>);
    let state = Box::from_raw(state as *mut T);
    discard(&shared.host, "release", state);
}
