// SPDX-License-Identifier: Apache-2.0
//! A plugin in Rust: tells HAProxy whether a path is too long, at once or from a thread of its own.

use spoe::{raw, Config, Error, Host, Message, Pending, Request};
use std::sync::mpsc::{channel, Sender};
use std::sync::Mutex;
use std::thread::JoinHandle;

struct Limit {
    host: Host,
    longest: usize,
    later: Mutex<Option<Sender<(Pending, bool)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl spoe::Plugin for Limit {
    fn configure(host: Host, config: &Config) -> Result<Self, Error> {
        if config.boolean(Options::Broken as usize) {
            config.report(Options::Broken as usize, "it is to be off");
            return Err(Error::new(raw::E_CONFIG, "broken"));
        }
        Ok(Limit {
            host,
            longest: config.integer(Options::Longest as usize) as usize,
            later: Mutex::new(None),
            thread: Mutex::new(None),
        })
    }

    fn start(&self) -> Result<(), Error> {
        let (sender, receiver) = channel::<(Pending, bool)>();
        *self.later.lock().unwrap() = Some(sender);
        *self.thread.lock().unwrap() = Some(std::thread::spawn(move || {
            for (mut request, too_long) in receiver {
                if request.set(raw::SCOPE_TXN, "too_long", too_long).is_ok() {
                    request.complete();
                }
            }
        }));
        Ok(())
    }

    fn handle(&self, request: &mut Request, message: &Message) -> Result<(), Error> {
        let path = message.text(Slot::Path as usize);
        let too_long = path.len() > self.longest;

        if path == b"/panic" {
            panic!("as it was told to");
        }
        if path == b"/lost" {
            let _lost = request.defer();
            return Err(Error::new(raw::E_INTERNAL, "lost"));
        }
        self.host.log(raw::LOG_DEBUG, "a path was looked at");
        if let Some(address) = message.address(Slot::Src as usize) {
            request.set(raw::SCOPE_TXN, "asked_by", address)?;
        }
        if message.index() == Messages::CheckPath as usize {
            return request.set(raw::SCOPE_TXN, "too_long", too_long);
        }
        if let Some(pending) = request.defer() {
            // What cannot be sent comes back, and is completed where it is dropped.
            let later = self.later.lock().unwrap();
            let _ = later.as_ref().map(|sender| sender.send((pending, too_long)));
        }
        Ok(())
    }

    fn stop(&self, _deadline_mono_ns: i64) {
        drop(self.later.lock().unwrap().take());
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let _ = thread.join();
        }
    }
}

spoe::plugin! {
    Limit,
    id: "limit", version: "1.0", help: "tells whether a path is too long, in Rust",
    needs_minor: 0, flags: raw::PLUGIN_INSTANCES,
    messages: Messages {
        CheckPath {
            name: "limit-path", event: "on-frontend-http-request", help: "answered at once",
            args: Slot {
                Path { name: "path", types: raw::ACCEPT_STR, flags: raw::ARG_REQUIRED,
                       expression: "path,bytes(0,2049)" },
                Src { name: "src", types: raw::ACCEPT_IP, flags: 0, expression: "src",
                      help: "who asks" },
            },
        },
        CheckLater {
            name: "limit-later", event: "on-frontend-http-request", help: "answered later",
            args: LaterSlot {
                Path { name: "path", types: raw::ACCEPT_STR, flags: raw::ARG_REQUIRED,
                       expression: "path,bytes(0,2049)" },
            },
        },
    },
    variables: {
        "too_long": raw::SCOPE_TXN, raw::ACCEPT_BOOL;
        "asked_by": raw::SCOPE_TXN, raw::ACCEPT_IP;
    },
    options: Options {
        Longest { key: "longest", kind: raw::OPT_SIZE, flags: 0, default: "2k",
                  help: "longest path", env: ["LIMIT_LONGEST"], min: 1, max: 2048 },
        Broken { key: "broken", kind: raw::OPT_BOOL, flags: 0, default: "off",
                 help: "refuse the configuration" },
    },
}
