//! Entries of the control plane (D17), read whole by every service at start.

use crate::control::{Intake, SwitchSet};
use crate::id::DefinitionHash;
use crate::name::{Account, ConnectionName, Name, Tenant, Vendor};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Counts the changes of this entry; the tenant's fact is H(entry, version).
    pub version: u64,
    pub value: DirectoryValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryValue {
    Tenant(TenantEntry),
    Connection(ConnectionEntry),
    Definition(DefinitionStored),
    Switch {
        tenant: Tenant,
        switch: SwitchSet,
    },
    /// What the oldest build in service can read.
    Format(u32),
    Owner(OwnerEntry),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantEntry {
    pub tenant: Tenant,
    pub partition: u32,
    /// The epoch of this placement; records carry it.
    pub placement: u32,
    /// Names the pepper of the tenant's hashed identifiers.
    pub pepper: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEntry {
    pub tenant: Tenant,
    pub connection: ConnectionName,
    pub vendor: Vendor,
    pub account: Account,
    pub intake: Intake,
    pub active: bool,
    /// SHA-256 of the token in the webhook's address.
    pub token_hash: [u8; 32],
    /// References to secrets, the newest first.
    pub secrets: Vec<Name>,
    pub retry_horizon_ms: i64,
    /// Reserved: nothing heeds it yet.
    pub requests_per_second: u32,
    pub max_body_bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionStored {
    pub workflow: Name,
    pub definition: DefinitionHash,
    pub text: Box<str>,
}

/// Where the owner of a partition answers queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerEntry {
    pub partition: u32,
    pub address: Name,
    pub build: Name,
}

impl DirectoryValue {
    /// The record key on `tradewind.directory`. Never changes.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            DirectoryValue::Tenant(entry) => format!("tenant/{}", entry.tenant),
            DirectoryValue::Connection(entry) => format!("connection/{}/{}", entry.tenant, entry.connection),
            DirectoryValue::Definition(entry) => {
                let hash: String = entry.definition.0.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("definition/{hash}")
            }
            DirectoryValue::Switch { tenant, switch } => format!("switch/{tenant}/{}", switch.scope),
            DirectoryValue::Format(_) => "format".into(),
            DirectoryValue::Owner(entry) => format!("owner/{}", entry.partition),
        }
    }
}
