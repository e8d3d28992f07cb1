// SPDX-License-Identifier: Apache-2.0
//! Options by their types, lists and prefixes among them.

use crate::reload::Declared;
use crate::views::span;
use crate::{has, raw, Host, Value};
use std::borrow::Cow;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What stands between commas, without the white space around it. A comma at the end counts for
/// nothing.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    const BLANK: [char; 2] = [' ', '\t'];
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(BLANK);
        if rest.is_empty() {
            return None;
        }
        let (item, after) = rest.split_once(',').unwrap_or((rest, ""));
        rest = after;
        Some(item.trim_end_matches(BLANK))
    })
}

/// Addresses that begin alike: `"10.0.0.0/8".parse::<Prefix>()`. An address alone is one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The lowest of them.
    pub address: IpAddr,
    /// How many bits of it count: 0 to 32, or to 128.
    pub bits: u8,
}

/// It is no prefix, or its address has bits beyond those that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPrefix;

/// The address in the upper bits, and how many there are.
fn upper(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(a) => (u128::from(u32::from(a)) << 96, 32),
        IpAddr::V6(a) => (u128::from(a), 128),
    }
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotAPrefix)?;
        let (value, size) = upper(address);
        let bits = match bits {
            Some(digits)
                if digits.bytes().all(|c| c.is_ascii_digit())
                    && (digits == "0" || !digits.starts_with('0')) =>
            {
                digits.parse().map_err(|_| NotAPrefix)?
            }
            Some(_) => return Err(NotAPrefix),
            None => size,
        };
        if bits > size || value & !mask(bits) != 0 {
            return Err(NotAPrefix);
        }
        Ok(Prefix { address, bits })
    }
}

impl Prefix {
    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (mine, size) = upper(self.address);
        let (other, of) = upper(address);
        size == of && (mine ^ other) & mask(self.bits) == 0
    }
}

/// The options, by their places; while `configure()` or `reconfigure()` runs.
pub struct Config<'a> {
    host: Host,
    cfg: *mut raw::Config,
    /// What has to live until destroy().
    pub(crate) declared: RefCell<Vec<Arc<dyn Declared>>>,
    _life: PhantomData<&'a ()>,
}

impl<'a> Config<'a> {
    pub(crate) unsafe fn new(host: Host, cfg: *mut raw::Config) -> Self {
        Config { host, cfg, declared: RefCell::new(Vec::new()), _life: PhantomData }
    }

    /// The host that they are of.
    pub fn host(&self) -> Host {
        self.host
    }

    /// The value; `Value::Null` where nothing sets it. A choice is its index.
    pub fn value(&self, option: usize) -> Value<'_> {
        unsafe {
            let setting = (self.host.get().config_get)(self.cfg, option);
            if setting.is_null() {
                Value::Null
            } else {
                Value::from_raw(&(*setting).value)
            }
        }
    }

    /// Of a switch.
    pub fn boolean(&self, option: usize) -> bool {
        self.value(option) == Value::Bool(true)
    }

    /// Of a number, a size or a choice; 0 where nothing sets it, `u64::MAX` and the like cut.
    pub fn integer(&self, option: usize) -> i64 {
        match self.value(option) {
            Value::Int(n) => n,
            Value::Uint(_) => i64::MAX,
            _ => 0,
        }
    }

    /// Of a duration.
    pub fn duration(&self, option: usize) -> Duration {
        Duration::from_nanos(u64::try_from(self.integer(option)).unwrap_or(0))
    }

    /// Of an address.
    pub fn address(&self, option: usize) -> Option<IpAddr> {
        match self.value(option) {
            Value::Address(address) => Some(address),
            _ => None,
        }
    }

    /// Of a prefix.
    pub fn prefix(&self, option: usize) -> Option<Prefix> {
        self.text(option).parse().ok()
    }

    /// The items of an option with `raw::OPTION_LIST`.
    pub fn list(&self, option: usize) -> Vec<String> {
        items(&self.text(option)).map(String::from).collect()
    }

    /// Those of addresses or prefixes: `let home: Vec<IpAddr> = config.list_of(HOME);`. The host has
    /// checked each, so that none is left out.
    pub fn list_of<T: FromStr>(&self, option: usize) -> Vec<T> {
        items(&self.text(option)).filter_map(|item| item.parse().ok()).collect()
    }

    /// How long HAProxy's side of a message waits at most, of which what is asked elsewhere should
    /// take less. None where there is no such message, or the host is of 1.0.
    pub fn timeout(&self, message: usize) -> Option<Duration> {
        let host = self.host.get();
        let ns = unsafe { has!(host, raw::Host, config_timeout_ns)?(self.cfg, message) };
        u64::try_from(ns).ok().map(Duration::from_nanos)
    }

    /// Of a text, a path, a URL, a secret or, with its commas, a list.
    pub fn text(&self, option: usize) -> Cow<'_, str> {
        match self.value(option) {
            Value::Text(s) => String::from_utf8_lossy(s),
            _ => Cow::Borrowed(""),
        }
    }

    /// Report a value that cannot be used; give back `raw::E_CONFIG` then.
    pub fn report(&self, option: usize, text: &str) {
        unsafe { (self.host.get().config_error)(self.cfg, option, span(text.as_bytes())) }
    }
}
