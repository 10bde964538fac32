//! A tenant's set-up, as its own order of facts has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tradewind_domain::{
    Account, ConnectionName, DefinitionHash, FactId, Intake, Lifecycle, Name, Scope, Timestamp, Vendor,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantLeaf {
    pub connections: BTreeMap<ConnectionName, ConnectionState>,
    /// By capability and channel.
    pub bindings: BTreeMap<(Name, Name), Entry<Option<ConnectionName>>>,
    pub settings: BTreeMap<Name, Entry<i64>>,
    /// Scopes whose commands are stopped, or were.
    pub switches: BTreeMap<Scope, Entry<bool>>,
    pub definitions: BTreeMap<Name, Entry<Definition>>,
    /// Connections whose poller reported a gap, and since when.
    pub open_gaps: BTreeMap<ConnectionName, Timestamp>,
    /// Connections whose deliveries were turned away, and when it was last said so: they come again.
    pub turned_away: BTreeMap<ConnectionName, Timestamp>,
    /// Up to when a reconciliation has covered a vendor, or one connection of it.
    pub covered_until: BTreeMap<(Vendor, Option<ConnectionName>), Timestamp>,
}

/// A value of the directory with the version that set it; a lower one is old news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    pub value: T,
    pub version: u64,
    pub fact: FactId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionState {
    pub vendor: Vendor,
    pub account: Account,
    pub intake: Intake,
    pub active: bool,
    pub retry_horizon_ms: i64,
    /// When it became active; silence before it is no gap.
    pub since: Timestamp,
    pub version: u64,
    pub fact: FactId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub hash: DefinitionHash,
    pub lifecycle: Lifecycle,
    pub canary_percent: u32,
}

impl TenantLeaf {
    /// The setting of this name, or what it is where nobody set it.
    #[must_use]
    pub fn setting(&self, name: &str, otherwise: i64) -> i64 {
        self.settings.get(name).map_or(otherwise, |entry| entry.value)
    }

    /// Whether all commands are stopped, or those of any of these scopes.
    #[must_use]
    pub fn is_stopped(&self, scopes: &[Scope]) -> bool {
        scopes.iter().chain(&[Scope::All]).any(|scope| self.switches.get(scope).is_some_and(|entry| entry.value))
    }
}
