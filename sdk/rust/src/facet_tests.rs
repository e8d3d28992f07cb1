// SPDX-License-Identifier: Apache-2.0
//! The facets over a host of the tests: what a function panics with ends where it was called from,
//! what stands for a timer or a watch ends it, and what outlives its loop does no more.

use super::*;
use crate::tests::{note, seen, table};
use std::cell::{Cell, RefCell};
use std::os::raw::c_char;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

struct FakeTimer {
    function: raw::TimerFn,
    arg: *mut c_void,
    at: i64,
}
struct FakeWatch {
    function: raw::WatchFn,
    arg: *mut c_void,
    fd: i32,
    events: u32,
}
struct FakeSource {
    decl: raw::ReloadDecl,
    state: *mut c_void,
}

thread_local! {
    static TIMERS: RefCell<Vec<*mut FakeTimer>> = RefCell::new(Vec::new());
    static WATCHES: RefCell<Vec<*mut FakeWatch>> = RefCell::new(Vec::new());
    static SOURCE: Cell<*mut FakeSource> = Cell::new(std::ptr::null_mut());
    static REFUSE: Cell<i32> = Cell::new(raw::OK);
    static DATA: Cell<*mut c_void> = Cell::new(std::ptr::null_mut());
}
type Posted = (unsafe extern "C" fn(*mut c_void), usize);
static POSTED: Mutex<Vec<(usize, Posted)>> = Mutex::new(Vec::new()); // by any thread, to a worker

fn timers() -> Vec<*mut FakeTimer> {
    TIMERS.with(|t| t.borrow().clone())
}
fn watches() -> Vec<*mut FakeWatch> {
    WATCHES.with(|w| w.borrow().clone())
}

/// It is time for whatever was set; how many were called.
fn all_due() -> usize {
    let due: Vec<_> = timers().into_iter().filter(|&t| unsafe { (*t).at } != raw::TIMER_OFF).collect();
    for &timer in &due {
        unsafe {
            (*timer).at = raw::TIMER_OFF;
            ((*timer).function)((*timer).arg);
        }
    }
    due.len()
}
fn ready(watch: *mut FakeWatch, events: u32) {
    unsafe { ((*watch).function)((*watch).arg, (*watch).fd, events) }
}

unsafe extern "C" fn timer_new(
    _: *mut raw::Worker,
    function: Option<raw::TimerFn>,
    arg: *mut c_void,
    ret: *mut *mut raw::Timer,
) -> i32 {
    let refuse = REFUSE.with(|r| r.get());
    if refuse == raw::OK {
        let made = FakeTimer { function: function.unwrap(), arg, at: raw::TIMER_OFF };
        let made = Box::into_raw(Box::new(made));
        TIMERS.with(|t| t.borrow_mut().push(made));
        *ret = made as *mut raw::Timer;
    }
    refuse
}
unsafe extern "C" fn timer_set(timer: *mut raw::Timer, at: i64) -> i32 {
    (*(timer as *mut FakeTimer)).at = at;
    raw::OK
}
unsafe extern "C" fn timer_free(timer: *mut raw::Timer) {
    let timer = timer as *mut FakeTimer;
    TIMERS.with(|t| t.borrow_mut().retain(|&other| other != timer));
    drop(Box::from_raw(timer));
}
unsafe extern "C" fn watch_new(
    _: *mut raw::Worker,
    fd: i32,
    function: Option<raw::WatchFn>,
    arg: *mut c_void,
    ret: *mut *mut raw::Watch,
) -> i32 {
    let made = FakeWatch { function: function.unwrap(), arg, fd, events: 0 };
    let made = Box::into_raw(Box::new(made));
    WATCHES.with(|w| w.borrow_mut().push(made));
    *ret = made as *mut raw::Watch;
    raw::OK
}
unsafe extern "C" fn watch_set(watch: *mut raw::Watch, events: u32) -> i32 {
    (*(watch as *mut FakeWatch)).events = events;
    raw::OK
}
unsafe extern "C" fn watch_free(watch: *mut raw::Watch) {
    let watch = watch as *mut FakeWatch;
    WATCHES.with(|w| w.borrow_mut().retain(|&other| other != watch));
    drop(Box::from_raw(watch));
}
unsafe extern "C" fn declare(
    _: *mut raw::Instance,
    decl: *const raw::ReloadDecl,
    ret: *mut *mut raw::ReloadSource,
) -> i32 {
    let refuse = REFUSE.with(|r| r.get());
    if refuse == raw::OK {
        let text = |p: *const c_char| std::ffi::CStr::from_ptr(p).to_str().unwrap().to_string();
        let (name, first, second) = (text((*decl).name), text(*(*decl).paths), *(*decl).paths.add(1));
        note(format!("declare {} {} {} {}", name, first, second.is_null(), (*decl).every_ns));
        let decl = std::ptr::read(decl);
        let made = Box::into_raw(Box::new(FakeSource { decl, state: std::ptr::null_mut() }));
        SOURCE.with(|s| s.set(made));
        *ret = made as *mut raw::ReloadSource;
    }
    refuse
}
unsafe extern "C" fn get(source: *const raw::ReloadSource) -> *const c_void {
    (*(source as *const FakeSource)).state
}
unsafe extern "C" fn trigger(_: *mut raw::ReloadSource) {
    note("trigger".to_string());
}
unsafe extern "C" fn cancelled(_: *const raw::ReloadSource) -> i32 {
    1
}
/// The worker that was posted to reads what it was sent; how much it was.
fn read_all(worker: *mut raw::Worker) -> usize {
    let mut mine = Vec::new();
    POSTED.lock().unwrap().retain(|&(to, posted)| {
        if to == worker as usize {
            mine.push(posted);
        }
        to != worker as usize
    });
    mine.iter().for_each(|&(function, arg)| unsafe { function(arg as *mut c_void) });
    mine.len()
}

unsafe extern "C" fn post(
    worker: *mut raw::Worker,
    function: Option<unsafe extern "C" fn(*mut c_void)>,
    arg: *mut c_void,
) -> i32 {
    let refuse = REFUSE.with(|r| r.get());
    if refuse == raw::OK {
        POSTED.lock().unwrap().push((worker as usize, (function.unwrap(), arg as usize)));
    }
    refuse
}
unsafe extern "C" fn set_data(_: *mut raw::Request, data: *mut c_void) -> i32 {
    DATA.with(|d| d.set(data));
    raw::OK
}
unsafe extern "C" fn data(_: *mut raw::Request) -> *mut c_void {
    DATA.with(|d| d.get())
}
unsafe extern "C" fn health_set(_: *mut raw::Instance, state: i32, reason: raw::Span) {
    note(format!("health {} {}", state, crate::tests::string(reason)));
}
unsafe extern "C" fn health_status(_: *mut raw::Instance, text: raw::Span) {
    note(format!("status {}", crate::tests::string(text)));
}

static LOOP: raw::Loop = raw::Loop {
    size: std::mem::size_of::<raw::Loop>() as u32,
    reserved: 0,
    timer_new,
    timer_set,
    timer_free,
    watch_new,
    watch_set,
    watch_free,
};
static RELOAD: raw::Reload = raw::Reload {
    size: std::mem::size_of::<raw::Reload>() as u32,
    reserved: 0,
    declare,
    get,
    trigger,
    cancelled,
};
static HEALTH: raw::Health = raw::Health {
    size: std::mem::size_of::<raw::Health>() as u32,
    reserved: 0,
    set: health_set,
    status: health_status,
};

unsafe extern "C" fn get_extension(_: *mut raw::Instance, id: *const c_char) -> *const c_void {
    match std::ffi::CStr::from_ptr(id).to_bytes_with_nul() {
        id if id == raw::LOOP_1 => &LOOP as *const raw::Loop as *const c_void,
        id if id == raw::RELOAD_1 => &RELOAD as *const raw::Reload as *const c_void,
        id if id == raw::HEALTH_1 => &HEALTH as *const raw::Health as *const c_void,
        _ => std::ptr::null(),
    }
}

fn host() -> Host {
    let table = raw::Host {
        get_extension,
        post,
        request_set_data: Some(set_data),
        request_data: Some(data),
        ..table(std::mem::size_of::<raw::Host>())
    };
    unsafe { Host::new(Box::leak(Box::new(table)), std::ptr::null_mut()) }
}
fn host_of_1_0() -> Host {
    unsafe { Host::new(Box::leak(Box::new(table(0))), std::ptr::null_mut()) }
}
fn on_loop() -> Loop {
    unsafe { Loop::new(host(), std::ptr::null_mut()) }
}
fn pending() -> Pending {
    unsafe { Request::new(host(), std::ptr::null_mut()) }.defer().unwrap()
}
fn code<T>(result: Result<T, Error>) -> i32 {
    result.map_or_else(|error| error.status, |_| raw::OK)
}

/// A descriptor, and a note when it is closed.
struct Fd(i32);
impl std::os::unix::io::AsRawFd for Fd {
    fn as_raw_fd(&self) -> i32 {
        self.0
    }
}
impl Drop for Fd {
    fn drop(&mut self) {
        note(format!("close {} watched {}", self.0, watches().len()));
    }
}

/// Compiles only where T is not Send; `&T` is not where T is not Sync.
macro_rules! is_not_send {
    ($($type:ty),*) => { $( {
        trait Ambiguous<A> {
            fn here() {}
        }
        struct IsSend;
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + Send> Ambiguous<IsSend> for T {}
        <$type as Ambiguous<_>>::here();
    } )* };
}

#[test]
fn threads_are_in_the_types() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Reload<Vec<String>>>();
    is_send_and_sync::<Health>();
    is_send_and_sync::<Mailbox<Cell<i32>>>();
    is_not_send!(Loop, Timer, Watch<Fd>, Turn, &Turn, Message, &Message, Cancel, &Cancel);
}

#[test]
fn what_a_function_panics_with_stays_inside() {
    let on = on_loop();
    let timer = Timer::new(&on, |_, _| panic!("of a timer")).unwrap();
    let watch = Watch::new(&on, Fd(5), |_, it, ready| {
        assert_eq!((it.get().0, ready), (5, Events::READ));
        std::panic::panic_any(7)
    })
    .unwrap();
    timer.set_in(Duration::from_nanos(5)).unwrap();
    assert_eq!(unsafe { (*timers()[0]).at }, 6);
    assert_eq!(all_due(), 1);
    assert_eq!(seen(), ["log a timer's function: panic: of a timer"]);
    timer.set_at(1).unwrap();
    assert_eq!(all_due(), 1);
    assert_eq!(seen().len(), 1);
    watch.set(Events::READ).unwrap();
    ready(watches()[0], raw::LOOP_READ);
    assert_eq!(seen(), ["log a watch's function: panic: no text"]);
    assert_eq!(unsafe { (*watches()[0]).events }, 0); // it would come at once again
    watch.set(Events::BOTH).unwrap();
    assert_eq!(unsafe { (*watches()[0]).events }, 3);
    on.once(Duration::ZERO, |_| Err(Error::new(raw::E_LIMIT, "too many"))).unwrap();
    assert_eq!((all_due(), timers().len()), (1, 1));
    assert_eq!(seen(), ["log a timer's function: too many"]);
    drop((timer, watch));
    assert_eq!(seen(), ["close 5 watched 0"]);
    on.close();
}

struct PanicsInDrop;
impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("of a drop");
    }
}

#[test]
fn they_may_end_themselves_and_are_kept_until_they_return() {
    let on = on_loop();
    let place: Rc<RefCell<Option<Timer>>> = Rc::default();
    let (mine, alive) = (Rc::clone(&place), Rc::new(()));
    let held = Rc::clone(&alive);
    let timer = Timer::new(&on, move |_, timer| {
        drop(mine.borrow_mut().take());
        assert_eq!(Rc::strong_count(&held), 2);
        assert_eq!(timer.set_at(1).unwrap_err().status, raw::E_STOPPING);
        Ok(())
    })
    .unwrap();
    timer.set_at(1).unwrap();
    *place.borrow_mut() = Some(timer);
    assert_eq!(all_due(), 1);
    assert_eq!((Rc::strong_count(&alive), timers().len(), seen().len()), (1, 0, 0));

    // What a function holds may panic, when it is dropped by its end, or by itself.
    let bad = PanicsInDrop;
    drop(Timer::new(&on, move |_, _| {
        let _held = &bad;
        Ok(())
    }));
    assert_eq!(seen(), ["log drop: panic: of a drop"]);
    on.close();
}

#[test]
fn a_timer_may_set_itself_again() {
    let on = on_loop();
    let timer = Timer::new(&on, |_, timer| timer.set_in(Duration::from_nanos(1))).unwrap();
    timer.set_at(1).unwrap();
    assert_eq!((all_due(), all_due()), (1, 1));
    timer.off().unwrap();
    assert_eq!(all_due(), 0);
    on.close();
}

#[test]
fn once_is_once() {
    let on = on_loop();
    let request = pending();
    on.once(Duration::MAX, move |_| {
        request.complete();
        Ok(())
    })
    .unwrap();
    assert_eq!(unsafe { (*timers()[0]).at }, raw::TIMER_OFF - 1);
    assert_eq!((all_due(), all_due(), timers().len()), (1, 0, 0));
    assert_eq!(seen(), ["complete 0"]);
}

#[test]
fn what_outlives_its_loop_does_no_more() {
    let on = on_loop();
    let (first, second) = (pending(), pending());
    let timer = Timer::new(&on, move |_, _| {
        let _held = &first;
        Ok(())
    })
    .unwrap();
    let watch = Watch::new(&on, Fd(3), |_, _, _| Ok(())).unwrap();
    on.once(Duration::ZERO, move |_| {
        second.complete();
        Ok(())
    })
    .unwrap();
    on.close();
    assert_eq!((timers().len(), watches().len()), (0, 0));
    assert_eq!(seen(), ["complete -9", "complete -9"]);
    assert_eq!(code(timer.set_at(1)), raw::E_STOPPING);
    assert_eq!(code(timer.set_in(Duration::ZERO)), raw::E_STOPPING);
    assert_eq!(code(watch.set(Events::READ)), raw::E_STOPPING);
    assert_eq!(code(Timer::new(&on, |_, _| Ok(()))), raw::E_STOPPING);
    drop(on);
    assert_eq!(code(timer.set_in(Duration::ZERO)), raw::E_STOPPING);
    drop((timer, watch));
    assert_eq!(seen(), ["close 3 watched 0"]);
}

#[test]
fn what_the_loop_refuses_is_an_error() {
    let on = on_loop();
    REFUSE.with(|r| r.set(raw::E_LIMIT));
    assert_eq!(code(Timer::new(&on, |_, _| Ok(()))), raw::E_LIMIT);
    assert_eq!(code(on.once(Duration::ZERO, |_| Ok(()))), raw::E_LIMIT);
    on.close();
    let on = unsafe { Loop::new(host_of_1_0(), std::ptr::null_mut()) };
    assert_eq!(code(Timer::new(&on, |_, _| Ok(()))), raw::E_UNSUPPORTED);
    on.close();
}

/// A loop whose worker no other test posts to.
fn loop_of(worker: usize) -> (Loop, *mut raw::Worker) {
    let worker = worker as *mut raw::Worker;
    (unsafe { Loop::new(host(), worker) }, worker)
}

#[test]
fn letters_of_any_thread_are_read_on_the_worker() {
    let (on, worker) = loop_of(0x10);
    let (read, thread) = (Rc::new(Cell::new(0)), std::thread::current().id());
    let mine = Rc::clone(&read);
    let mailbox = on
        .mailbox(move |_, (n, mut request): (i32, Option<Pending>)| {
            assert_eq!(std::thread::current().id(), thread);
            mine.set(mine.get() + n);
            if n == 100 {
                panic!("too much");
            }
            if let Some(request) = request.take() {
                request.complete();
            }
            Ok(())
        })
        .unwrap();
    let threads: Vec<_> = (1..=3)
        .map(|n| {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || mailbox.post((n, None)).unwrap())
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((read.get(), read_all(worker), read.get()), (0, 3, 6));
    mailbox.post((1, Some(pending()))).unwrap();
    assert_eq!((read_all(worker), seen()), (1, vec!["complete 0".to_string()]));
    mailbox.post((100, Some(pending()))).unwrap();
    assert_eq!(read_all(worker), 1);
    assert_eq!(seen(), ["complete -9", "log a posted function: panic: too much"]);
    mailbox.post((1, None)).unwrap(); // the next one is read all the same
    assert_eq!((read_all(worker), read.get()), (1, 108));
    on.close();
    assert_eq!(Rc::strong_count(&read), 1);
}

#[test]
fn what_is_not_posted_comes_back() {
    let (on, worker) = loop_of(0x20);
    let mailbox = on.mailbox(|_, _: Pending| Ok(())).unwrap();
    REFUSE.with(|r| r.set(raw::E_NOMEM));
    let not = mailbox.post(pending()).unwrap_err();
    assert_eq!((not.error.status, seen().len()), (raw::E_NOMEM, 0));
    not.letter.complete();
    assert_eq!(seen(), ["complete 0"]);
    REFUSE.with(|r| r.set(raw::OK));

    // What was sent before the end and is read after it has nobody; and the host is asked no more.
    mailbox.post(pending()).unwrap();
    on.close();
    assert_eq!((read_all(worker), seen()), (1, vec!["complete -9".to_string()]));
    let error: Error = mailbox.post(pending()).unwrap_err().into(); // as by `?`
    assert_eq!((error.status, seen()), (raw::E_STOPPING, vec!["complete -9".to_string()]));
    assert_eq!(read_all(worker), 0);
    assert_eq!(code(on.mailbox(|_, _: i32| Ok(()))), raw::E_STOPPING);
}

#[test]
fn what_a_mailbox_or_a_letter_holds_may_panic_when_it_is_dropped() {
    let (on, worker) = loop_of(0x30);
    let bad = PanicsInDrop;
    let mailbox = on
        .mailbox(move |_, _: PanicsInDrop| {
            let _held = &bad;
            Ok(())
        })
        .unwrap();
    mailbox.post(PanicsInDrop).unwrap();
    mailbox.post(PanicsInDrop).unwrap();
    let first = POSTED.lock().unwrap().iter().position(|&(to, _)| to == 0x30).unwrap();
    let (_, (function, arg)) = POSTED.lock().unwrap().remove(first);
    unsafe { function(arg as *mut c_void) };
    assert_eq!(seen(), ["log a posted function: panic: of a drop"]);
    on.close();
    assert_eq!(seen(), ["log drop: panic: of a drop"]);
    assert_eq!(read_all(worker), 1);
    assert_eq!(seen(), ["log a posted function: panic: of a drop"]);
}

#[test]
fn a_request_has_a_place_for_a_number() {
    let mut request = pending();
    assert_eq!(request.data(), 0);
    request.set_data(7).unwrap();
    let cancel = unsafe { Cancel::new(host(), std::ptr::null_mut(), raw::CANCEL_DEADLINE) };
    assert_eq!((request.data(), cancel.data(), cancel.why()), (7, 7, raw::CANCEL_DEADLINE));
    drop(request);
    let mut request = unsafe { Request::new(host_of_1_0(), std::ptr::null_mut()) }.defer().unwrap();
    assert_eq!((code(request.set_data(7)), request.data()), (raw::E_UNSUPPORTED, 0));
    let cancel = unsafe { Cancel::new(host_of_1_0(), std::ptr::null_mut(), 1) };
    assert_eq!(cancel.data(), 0);
}

struct Data(i32);
impl Drop for Data {
    fn drop(&mut self) {
        note(format!("drop {}", self.0));
        assert_ne!(self.0, 13);
    }
}

#[test]
fn data_that_is_reloaded() {
    let config = unsafe { Config::new(host(), std::ptr::null_mut()) };
    let next = Arc::new(std::sync::atomic::AtomicI32::new(1));
    let source = Source {
        name: "numbers".to_string(),
        paths: vec!["/a".to_string()],
        every: Duration::from_secs(7),
        ..Source::default()
    };
    let mine = Arc::clone(&next);
    let numbers = Reload::declare(&config, &source, move |build| {
        match mine.load(std::sync::atomic::Ordering::Relaxed) {
            0 => Ok(None),
            -1 => Err(Error::new(raw::E_INVAL, "line 3: broken")),
            -2 => panic!("no line"),
            -3 if build.cancelled() => Err(Error::new(raw::E_STOPPING, "it ends")),
            n => Ok(Some(Data(n))),
        }
    })
    .unwrap();
    assert_eq!(seen(), ["declare numbers /a true 7000000000"]);
    let source_ptr = SOURCE.with(|s| s.get());
    let fake = unsafe { &mut *source_ptr };
    let arg = fake.decl.arg;
    let build = |n| {
        next.store(n, std::sync::atomic::Ordering::Relaxed);
        let mut state = std::ptr::null_mut();
        let source = source_ptr as *mut raw::ReloadSource;
        (unsafe { fake.decl.build.unwrap()(arg, source, &mut state) }, state)
    };
    let turn = unsafe { Turn::new() };
    assert!(numbers.get(&turn).is_none());
    let (status, first) = build(1);
    fake.state = first;
    assert_eq!((status, numbers.get(&turn).unwrap().0), (raw::OK, 1));
    assert_eq!((build(0), build(-1)), ((0, std::ptr::null_mut()), (-1, std::ptr::null_mut())));
    assert_eq!((build(-2).0, build(-3).0), (raw::E_INTERNAL, raw::E_STOPPING));
    assert_eq!(
        seen(),
        ["log build: line 3: broken", "log build: panic: no line", "log build: it ends"]
    );
    assert_eq!(numbers.try_build().unwrap().map(|data| data.0), Some(-3)); // nobody ends
    let (_, thirteen) = build(13);
    unsafe { fake.decl.release.unwrap()(arg, thirteen) };
    unsafe { fake.decl.release.unwrap()(arg, first) };
    let lines = seen();
    assert_eq!((&lines[1][..], &lines[3][..]), ("drop 13", "drop 1"));
    assert!(lines[2].starts_with("log release: panic: "), "{}", lines[2]);

    numbers.trigger();
    assert_eq!(seen(), ["trigger"]);
    let declared = config.declared.take();
    assert_eq!(declared.len(), 1);
    declared[0].end(); // destroy(): its handle is good no more
    numbers.trigger();
    assert!(numbers.get(&turn).is_none() && seen().is_empty());
    unsafe { drop(Box::from_raw(source_ptr)) };

    REFUSE.with(|r| r.set(raw::E_INVAL));
    assert_eq!(code(Reload::declare(&config, &source, |_| Ok(Some(1)))), raw::E_INVAL);
    let bad = Source { name: "a\0b".to_string(), ..Source::default() };
    assert_eq!(code(Reload::declare(&config, &bad, |_| Ok(Some(1)))), raw::E_INVAL);
    let config = unsafe { Config::new(host_of_1_0(), std::ptr::null_mut()) };
    assert_eq!(code(Reload::declare(&config, &source, |_| Ok(Some(1)))), raw::E_UNSUPPORTED);
    assert!(config.timeout(0).is_none());
}

#[test]
fn how_it_is() {
    let health = Health::new(host());
    assert!(health.is_heard());
    health.ready("");
    health.degraded("old data");
    health.down("none");
    health.status("7 things");
    assert_eq!(seen(), ["health 0 ", "health 1 old data", "health 2 none", "status 7 things"]);
    let nobody = Health::new(host_of_1_0());
    nobody.down("nobody hears");
    nobody.status("it");
    assert!(!nobody.is_heard() && seen().is_empty());
}

struct Nothing;
impl Plugin for Nothing {
    fn configure(_: Host, _: &Config) -> Result<Self, Error> {
        Ok(Nothing)
    }
    fn cancel(&self, cancel: &Cancel) {
        panic!("for {}", cancel.why())
    }
    fn quiesce(&self) {
        panic!("not now")
    }
}
/// Its error says that there is none.
struct Fine;
impl Plugin for Fine {
    fn configure(_: Host, _: &Config) -> Result<Self, Error> {
        Err(Error { status: raw::OK, text: "all is well".to_string() })
    }
}

#[test]
fn an_error_is_no_success() {
    let null = std::ptr::null_mut();
    let mut inst = std::ptr::null_mut();
    let status = unsafe { entry::configure::<Fine>(host().table(), null, null as _, &mut inst) };
    assert_eq!((status, seen()), (raw::E_INTERNAL, vec!["log configure: all is well".to_string()]));
}

fn torn(config: &Config) -> Result<Reload<i32>, Error> {
    let bad = PanicsInDrop;
    let source = Source { name: "torn".to_string(), paths: vec!["/t".to_string()], ..Source::default() };
    Reload::declare(config, &source, move |_| {
        let _held = &bad;
        Ok(Some(1))
    })
}
fn forget_source() {
    unsafe { drop(Box::from_raw(SOURCE.with(|s| s.get()))) };
}

/// Declares a source whose function cannot be dropped without a panic, and then there is no plugin.
struct Torn;
impl Plugin for Torn {
    fn configure(_: Host, config: &Config) -> Result<Self, Error> {
        let _source = torn(config)?;
        Err(Error::new(raw::E_LIMIT, "there is too much of it"))
    }
}

#[test]
fn what_a_failed_configure_leaves_may_panic_too() {
    let null = std::ptr::null_mut();
    let mut inst = std::ptr::null_mut();
    let status = unsafe { entry::configure::<Torn>(host().table(), null, null as _, &mut inst) };
    assert_eq!((status, inst), (raw::E_LIMIT, std::ptr::null_mut()));
    assert_eq!(
        seen()[1..],
        ["log configure: there is too much of it", "log configure: panic: of a drop"]
    );
    forget_source();
}

/// There is one, and it cannot be dropped without a panic either.
struct Brittle {
    _source: Reload<i32>,
    _bad: PanicsInDrop,
}
impl Plugin for Brittle {
    fn configure(_: Host, config: &Config) -> Result<Self, Error> {
        Ok(Brittle { _source: torn(config)?, _bad: PanicsInDrop })
    }
    fn reconfigure(&self, config: &Config) -> Result<(), Error> {
        torn(config).map(drop)
    }
}

#[test]
fn each_panic_of_an_end_is_caught_by_itself() {
    let null = std::ptr::null_mut();
    let mut inst = std::ptr::null_mut();
    unsafe {
        assert_eq!(entry::configure::<Brittle>(host().table(), null, null as _, &mut inst), raw::OK);
        forget_source();
        assert_eq!(entry::reconfigure::<Brittle>(inst, null as _), raw::OK);
        forget_source();
        assert_eq!(seen()[2], "log reconfigure: panic: of a drop");
        entry::destroy::<Brittle>(inst);
    }
    assert_eq!(seen(), ["log destroy: panic: of a drop", "log destroy: panic: of a drop"]);
}

struct Clerk {
    _timer: Timer,
}
impl Worker for Clerk {
    type Plugin = Nothing;
    fn start(_: &Arc<Nothing>, on: &Loop, index: u32) -> Result<Self, Error> {
        let request = pending();
        on.once(Duration::ZERO, move |_| {
            request.complete();
            Ok(())
        })?;
        assert_eq!(index, 0, "there is one");
        Ok(Clerk { _timer: Timer::new(on, |_, _| Ok(()))? })
    }
    fn handle(&self, _: &mut Request, _: &Message) -> Result<(), Error> {
        panic!("it cannot")
    }
    fn cancel(&self, _: &Cancel) {
        panic!("nor stop")
    }
}
impl Drop for Clerk {
    fn drop(&mut self) {
        panic!("of a worker");
    }
}

#[test]
fn a_worker_ends_its_loop() {
    use entry::{cancel, configure, destroy, handle, quiesce};
    use entry::{worker_cancel, worker_handle, worker_start, worker_stop};
    let null = std::ptr::null_mut();
    let host = host();
    let (mut inst, mut wctx) = (std::ptr::null_mut(), std::ptr::null_mut());
    let message: raw::Message = unsafe { std::mem::zeroed() };
    unsafe {
        assert_eq!(configure::<Nothing>(host.table(), null as _, null as _, &mut inst), raw::OK);
        assert_eq!(handle::<Nothing>(inst, null as _, &message), raw::E_UNSUPPORTED);
        assert_eq!(seen().len(), 1);
        cancel::<Nothing>(inst, null as _, raw::CANCEL_DRAIN);
        quiesce::<Nothing>(inst);
        assert_eq!(seen(), ["log cancel: panic: for 3", "log quiesce: panic: not now"]);
        assert_eq!(worker_start::<Nothing, Clerk>(inst, null as _, 0, &mut wctx), raw::OK);
        assert_eq!(timers().len(), 2);
        assert_eq!(worker_handle::<Nothing, Clerk>(wctx, null as _, &message), raw::E_INTERNAL);
        assert_eq!(seen(), ["log handle: panic: it cannot"]);
        worker_cancel::<Nothing, Clerk>(wctx, null as _, raw::CANCEL_DRAIN);
        assert_eq!(seen(), ["log cancel: panic: nor stop"]);
        worker_stop::<Nothing, Clerk>(wctx);
        assert_eq!(timers().len(), 0);
        assert_eq!(seen(), ["log worker_stop: panic: of a worker", "complete -9"]);
        assert_eq!(worker_start::<Nothing, Clerk>(inst, null as _, 1, &mut wctx), raw::E_INTERNAL);
        assert_eq!((timers().len(), seen().len()), (0, 2)); // its panic, and the completion
        destroy::<Nothing>(inst);
    }
}

#[test]
fn lists_and_prefixes() {
    let items = |text| options::items(text).collect::<Vec<_>>();
    assert_eq!(items(" a ,\tb c, d,"), ["a", "b c", "d"]);
    assert_eq!(items("a,,b"), ["a", "", "b"]);
    assert!(items(" \t").is_empty() && items("").is_empty());

    let prefix = |text: &str| text.parse::<Prefix>();
    assert_eq!(prefix("10.0.0.0/8").unwrap().bits, 8);
    assert_eq!(prefix("::1").unwrap().bits, 128);
    let has = |p: &str, a: &str| prefix(p).unwrap().contains(a.parse().unwrap());
    assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.0"));
    assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "::"));
    assert!(has("2001:db8::/33", "2001:db8:7fff::1") && !has("2001:db8::/33", "2001:db8:8000::"));
    assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7/32", "192.0.2.6"));
    for bad in [
        "", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.1/8", "10.0.0/8", "::/129",
        "::1/127", "a", "10.0.0.0/8 ", "010.0.0.0/8", "::/1000", "fe80::%1/64",
    ] {
        assert!(prefix(bad).is_err(), "{}", bad);
    }
}
