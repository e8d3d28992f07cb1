// SPDX-License-Identifier: Apache-2.0
//! Whether an address may come in, by a file of networks and, for those that are in none, a service
//! that is asked by UDP. Data that is reloaded, answers that come later from the worker's own loop,
//! and how it is. The same in C++: `sdk/guide/gate.cc`.
//!
//! A question is `NUMBER ADDRESS`, its answer `NUMBER yes` or `NUMBER no`.

use spoe::{
    raw, Config, Error, Events, Health, Host, Loop, Message, Pending, Prefix, Reload, Request,
    Source, Timer, Watch,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const NETWORKS_MAX: usize = 100_000; // what is held has a bound
const WAITING_MAX: usize = 1000;

/// What is built of the file.
struct Networks(Vec<Prefix>);

impl Networks {
    fn have(&self, address: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(address))
    }

    /// On a thread of the host's own, which may block.
    fn read(path: &str) -> Result<Networks, Error> {
        let wrong = |text: String| Error::new(raw::E_INVAL, format!("{}:{}", path, text));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!(" {}", e)))?;
        let mut all = Vec::new();
        for (n, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.parse() {
                Ok(prefix) if all.len() < NETWORKS_MAX => all.push(prefix),
                _ => return Err(wrong(format!("{}: no network, or too many", n + 1))),
            }
        }
        Ok(Networks(all))
    }
}

struct Gate {
    health: Health,
    networks: Reload<Networks>,
    always: Networks,
    service: (IpAddr, u16),
    patience: Duration,
}

impl spoe::Plugin for Gate {
    fn configure(host: Host, config: &Config) -> Result<Self, Error> {
        let health = Health::new(host);
        let path = config.text(Options::Networks as usize).into_owned();
        let source = Source {
            name: "networks".to_string(),
            paths: vec![path.clone()],
            required: true,
            ..Source::default()
        };
        let networks = Reload::declare(config, &source, move |_| {
            let networks = Networks::read(&path)?;
            health.status(&format!("{} networks", networks.0.len()));
            Ok(Some(networks))
        })?;
        let service = config.address(Options::Service as usize);
        let timeout = config.timeout(Messages::Ask as usize);
        Ok(Gate {
            health,
            networks,
            always: Networks(config.list_of(Options::Always as usize)),
            service: (
                service.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()),
                config.integer(Options::Port as usize) as u16,
            ),
            patience: timeout.unwrap_or(Duration::from_secs(1)) / 2,
        })
    }

    /// `spoe-host -t` reads the file, too.
    fn check(&self) -> Result<(), Error> {
        self.networks.try_build().map(drop)
    }
}

struct Waiting {
    request: Pending,
    until: i64,
}

/// What one worker has; the functions of its loop have it in common.
struct Desk {
    gate: Arc<Gate>,
    on: Loop,
    asked: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Waiting>>,
}

impl Desk {
    fn hear(&self, socket: &UdpSocket) {
        let mut text = [0; 64];
        // An error is that there is no more, or that nobody listens there: the time tells.
        while let Ok(n) = socket.recv(&mut text) {
            let text = String::from_utf8_lossy(&text[..n]);
            let (number, verdict) = text.split_once(' ').unwrap_or_default();
            let found = number.parse().ok().and_then(|n| self.waiting.borrow_mut().remove(&n));
            if let Some(mut waiting) = found {
                // It may be too late for this one. As an error it would end the watch, for all.
                let _ = waiting.request.set(raw::SCOPE_TXN, "allowed", verdict == "yes");
                waiting.request.complete();
                self.gate.health.ready("");
            }
        }
    }

    /// Those first that wait longest. @return when the next one is due
    fn give_up(&self) -> Option<i64> {
        let mut all = self.waiting.borrow_mut();
        while let Some((&first, waiting)) = all.iter().next() {
            if waiting.until > self.on.at(Duration::ZERO) {
                return Some(waiting.until);
            }
            if let Some(waiting) = all.remove(&first) {
                waiting.request.complete(); // as it is: no
            }
            self.gate.health.degraded("the service does not answer");
        }
        None
    }
}

struct Worker {
    desk: Rc<Desk>,
    socket: Watch<UdpSocket>,
    timer: Timer,
}

impl spoe::Worker for Worker {
    type Plugin = Gate;

    fn start(gate: &Arc<Gate>, on: &Loop, _index: u32) -> Result<Self, Error> {
        let wrong = |e: std::io::Error| Error::new(raw::E_LIMIT, e.to_string());
        let any: IpAddr = match gate.service.0 {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).map_err(wrong)?;
        socket.connect(gate.service).map_err(wrong)?;
        socket.set_nonblocking(true).map_err(wrong)?;

        let desk = Rc::new(Desk {
            gate: Arc::clone(gate),
            on: on.clone(),
            asked: Cell::new(0),
            waiting: RefCell::new(BTreeMap::new()),
        });
        let mine = Rc::clone(&desk);
        let socket = Watch::new(on, socket, move |_, watch, _| {
            mine.hear(watch.get());
            Ok(())
        })?;
        socket.set(Events::READ)?;
        let mine = Rc::clone(&desk);
        let timer = Timer::new(on, move |_, timer| match mine.give_up() {
            Some(until) => timer.set_at(until),
            None => Ok(()),
        })?;
        Ok(Worker { desk, socket, timer })
    }

    fn handle(&self, request: &mut Request, message: &Message) -> Result<(), Error> {
        let gate = &self.desk.gate;
        let src = match message.address(Slot::Src as usize) {
            Some(src) => src,
            None => return Ok(()),
        };
        let networks = gate.networks.get(message.turn()); // good until we return
        if gate.always.have(src) || networks.map_or(false, |networks| networks.have(src)) {
            return request.set(raw::SCOPE_TXN, "allowed", true);
        }
        request.set(raw::SCOPE_TXN, "allowed", false)?; // until the service says yes
        let number = self.desk.asked.get() + 1;
        self.desk.asked.set(number);
        let mut waiting = self.desk.waiting.borrow_mut();
        if waiting.len() == WAITING_MAX
            || self.socket.get().send(format!("{} {}", number, src).as_bytes()).is_err()
        {
            return Ok(());
        }
        if let Some(mut request) = request.defer() {
            request.commit()?; // the answer, should the deadline come first
            let until = self.desk.on.at(gate.patience);
            waiting.insert(number, Waiting { request, until });
            if waiting.len() == 1 {
                self.timer.set_at(until)?;
            }
        }
        Ok(())
    }
}

spoe::plugin! {
    Gate, worker: Worker,
    id: "gate", version: "1.0", help: "asks who may come in",
    needs_minor: 1, flags: raw::PLUGIN_INSTANCES,
    messages: Messages {
        Ask {
            name: "gate", event: "on-frontend-http-request", help: "a request",
            args: Slot {
                Src { name: "src", types: raw::ACCEPT_IP, flags: raw::ARG_REQUIRED,
                      expression: "src", help: "who comes" },
            },
        },
    },
    variables: { "allowed": raw::SCOPE_TXN, raw::ACCEPT_BOOL; },
    options: Options {
        Networks { key: "networks", kind: raw::OPT_PATH, flags: raw::OPTION_REQUIRED,
                   help: "a file, one network a line" },
        Always { key: "always", kind: raw::OPT_PREFIX, flags: raw::OPTION_LIST,
                 help: "networks that may always come in" },
        Service { key: "service", kind: raw::OPT_ADDRESS, flags: 0, default: "127.0.0.1",
                  help: "who is asked" },
        Port { key: "port", kind: raw::OPT_INT, flags: raw::OPTION_REQUIRED,
               help: "the service's UDP port", min: 1, max: 65535 },
    },
}
