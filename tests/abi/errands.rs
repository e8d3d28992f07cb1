// SPDX-License-Identifier: Apache-2.0
//! A test plugin: each request waits on its worker while a thread of the plugin's runs an errand for
//! it, and posts back what it found. A request that nobody waits for any more is taken off. Lines of
//! HAProxy's log are counted. The same in C++: `errands.cc`.
//!
//! Words of a request: `lost`, what is posted panics; `keep`, the thread keeps it until `stop()`.

use spoe::{raw, Cancel, Config, Error, Host, Loop, Mailbox, Message, Pending, Request};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, ThreadId};

const WAITING_MAX: usize = 1000; // what is held has a bound

/// What the thread is sent for, and comes back with.
struct Errand {
    number: usize,
    word: String,
}

type Sent = (Mailbox<Errand>, Errand);

struct Errands {
    host: Host,
    lines: AtomicU64,
    sender: Mutex<Option<Sender<Sent>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn run(host: Host, receiver: Receiver<Sent>) {
    let mut kept = Vec::new();
    for (back, errand) in receiver {
        if errand.word == "keep" {
            kept.push((back, errand));
        } else {
            let _ = back.post(errand);
        }
    }
    for (back, errand) in kept {
        if let Err(not) = back.post(errand) {
            assert_eq!(not.letter.word, "keep");
            host.log(raw::LOG_NOTICE, &format!("post in stop {}", not.error.status));
        }
    }
}

impl spoe::Plugin for Errands {
    fn configure(host: Host, _: &Config) -> Result<Self, Error> {
        let (sender, thread) = (Mutex::new(None), Mutex::new(None));
        Ok(Errands { host, lines: AtomicU64::new(0), sender, thread })
    }

    fn start(&self) -> Result<(), Error> {
        let (host, (sender, receiver)) = (self.host, channel());
        *self.sender.lock().unwrap() = Some(sender);
        *self.thread.lock().unwrap() = Some(std::thread::spawn(move || run(host, receiver)));
        Ok(())
    }

    fn quiesce(&self) {
        let lines = self.lines.load(Ordering::Relaxed);
        self.host.log(raw::LOG_NOTICE, &format!("errands is quiet after {} lines", lines));
    }

    fn stop(&self, _deadline_mono_ns: i64) {
        drop(self.sender.lock().unwrap().take());
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let _ = thread.join();
        }
    }
}

/// What one worker has; the function of its mailbox has it in common.
struct Desk {
    index: u32,
    thread: ThreadId,
    waiting: RefCell<BTreeMap<usize, Pending>>,
}

impl Desk {
    /// What the thread has found out.
    fn answer(&self, errand: Errand) -> Result<(), Error> {
        let found = self.waiting.borrow_mut().remove(&errand.number);
        let mut request = match found {
            Some(request) => request,
            None => return Ok(()), // cancelled
        };
        assert_ne!(errand.word, "lost", "lost on the way"); // completes it
        request.set(raw::SCOPE_TXN, "said", &errand.word[..])?;
        request.set(raw::SCOPE_TXN, "worker", i64::from(self.index))?;
        let own_thread = std::thread::current().id() == self.thread;
        request.set(raw::SCOPE_TXN, "own_thread", own_thread)?;
        request.complete();
        Ok(())
    }
}

struct Worker {
    all: Arc<Errands>,
    desk: Rc<Desk>,
    mailbox: Mailbox<Errand>,
    number: std::cell::Cell<usize>,
    sender: Sender<Sent>,
}

impl spoe::Worker for Worker {
    type Plugin = Errands;

    fn start(all: &Arc<Errands>, on: &Loop, index: u32) -> Result<Self, Error> {
        let (thread, waiting) = (std::thread::current().id(), RefCell::default());
        let desk = Rc::new(Desk { index, thread, waiting });
        let mine = Rc::clone(&desk);
        let mailbox = on.mailbox(move |_, errand| mine.answer(errand))?;
        let sender = all.sender.lock().unwrap().clone();
        let sender = sender.ok_or_else(|| Error::new(raw::E_INTERNAL, "there is no thread"))?;
        Ok(Worker { all: Arc::clone(all), desk, mailbox, number: Default::default(), sender })
    }

    fn handle(&self, request: &mut Request, message: &Message) -> Result<(), Error> {
        if message.index() == Messages::Line as usize {
            let error = request.set(raw::SCOPE_TXN, "said", "nobody hears").err();
            self.all.lines.fetch_add(1, Ordering::Relaxed);
            let text = String::from_utf8_lossy(message.text(LineSlot::Text as usize));
            let set = error.map_or(raw::OK, |error| error.status);
            self.all.host.log(raw::LOG_NOTICE, &format!("line {} set {}", text, set));
            return Ok(());
        }
        if self.desk.waiting.borrow().len() == WAITING_MAX {
            return Err(Error::from(raw::E_LIMIT));
        }
        if let Some(mut request) = request.defer() {
            let number = self.number.get() + 1;
            self.number.set(number);
            request.set_data(number)?;
            self.desk.waiting.borrow_mut().insert(number, request);
            let word = message.text(Slot::Word as usize);
            let word = String::from_utf8_lossy(word).into_owned();
            let _ = self.sender.send((self.mailbox.clone(), Errand { number, word }));
        }
        Ok(())
    }

    fn cancel(&self, cancel: &Cancel) {
        let gone = self.desk.waiting.borrow_mut().remove(&cancel.data());
        if let Some(request) = gone {
            self.all.host.log(raw::LOG_NOTICE, &format!("cancelled {}", cancel.why()));
            request.complete();
        }
    }
}

spoe::plugin! {
    Errands, worker: Worker,
    id: "errands", version: "1.0", help: "has errands run by a thread",
    needs_minor: 1,
    messages: Messages {
        Ask {
            name: "errand", event: "on-frontend-http-request", help: "has an errand run",
            args: Slot {
                Word { name: "word", types: raw::ACCEPT_STR, flags: 0,
                       expression: "path,bytes(0,64)" },
            },
        },
        Line {
            name: "errand-line", event: "on-http-response", help: "is counted",
            flags: raw::MESSAGE_FROM_LOG,
            args: LineSlot {
                Text { name: "syslog.message", types: raw::ACCEPT_STR, flags: 0,
                       expression: "str(ignored)" },
            },
        },
    },
    variables: {
        "said": raw::SCOPE_TXN, raw::ACCEPT_STR;
        "worker": raw::SCOPE_TXN, raw::ACCEPT_INT;
        "own_thread": raw::SCOPE_TXN, raw::ACCEPT_BOOL;
    },
    options: Options { }
}
