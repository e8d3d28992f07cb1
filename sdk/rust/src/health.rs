// SPDX-License-Identifier: Apache-2.0
//! How a plugin is, in its own words: the facet `spoe.health/1` of `spoe/ext/health.h`.

use crate::views::span;
use crate::{raw, Host};

/// To be kept and copied; good on every thread, from `configure()` on. Where the host has no such
/// facet, as those of 1.0, what is said is not heard. Of a text `raw::HEALTH_TEXT_MAX` bytes count.
#[derive(Clone, Copy)]
pub struct Health {
    host: Host,
    table: Option<&'static raw::Health>,
}

impl Health {
    /// That of the plugin whose host this is.
    pub fn new(host: Host) -> Self {
        Health { host, table: unsafe { host.facet(raw::HEALTH_1) } }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.table.is_some()
    }

    /// All is well.
    pub fn ready(&self, reason: &str) {
        self.set(raw::HEALTH_READY, reason);
    }

    /// It answers, but not as it should.
    pub fn degraded(&self, reason: &str) {
        self.set(raw::HEALTH_DEGRADED, reason);
    }

    /// What it answers is worth nothing.
    pub fn down(&self, reason: &str) {
        self.set(raw::HEALTH_DOWN, reason);
    }

    /// What it has or does, in one line; empty: nothing.
    pub fn status(&self, text: &str) {
        if let Some(table) = self.table {
            unsafe { (table.status)(self.host.instance(), span(text.as_bytes())) }
        }
    }

    fn set(&self, state: i32, reason: &str) {
        if let Some(table) = self.table {
            unsafe { (table.set)(self.host.instance(), state, span(reason.as_bytes())) }
        }
    }
}
