//! Facts of the set-up: what the directory says, in the tenant's own order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::id::{CommandId, DefinitionHash, FactId, InstanceId};
use crate::name::{Account, ConnectionName, Name, Vendor};

/// How facts of a connection reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Intake {
    Webhook,
    Poll,
    /// Nothing comes in: it is only called.
    None,
}

/// Vendor and account of a connection never change; that is a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionChanged {
    pub connection: ConnectionName,
    pub vendor: Vendor,
    pub account: Account,
    pub intake: Intake,
    pub active: bool,
    /// How long the vendor goes on retrying a delivery.
    pub retry_horizon_ms: i64,
    pub version: u64,
}

/// Which connection serves a capability on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingSet {
    pub capability: Name,
    pub channel: Name,
    /// `None` to unbind.
    pub connection: Option<ConnectionName>,
    pub version: u64,
}

/// A named number of a workflow or of the guardrails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingSet {
    pub name: Name,
    pub value: i64,
    pub version: u64,
}

/// Whose commands a switch stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    All,
    /// Of any vendor that serves it, whether or not this release knows it.
    Capability(Name),
    Connection(ConnectionName),
    Workflow(Name),
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => formatter.write_str("all"),
            Scope::Capability(capability) => write!(formatter, "capability/{capability}"),
            Scope::Connection(connection) => write!(formatter, "connection/{connection}"),
            Scope::Workflow(workflow) => write!(formatter, "workflow/{workflow}"),
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Scope, Self::Err> {
        const EXPECTED: &str = "all, capability/<name>, connection/<name> or workflow/<name>";
        let name = |text: &str| if text.is_empty() { None } else { Name::new(text).ok() };
        match text.split_once('/') {
            None if text == "all" => Some(Scope::All),
            Some(("capability", capability)) => name(capability).map(Scope::Capability),
            Some(("connection", connection)) => ConnectionName::new(connection).ok().map(Scope::Connection),
            Some(("workflow", workflow)) => name(workflow).map(Scope::Workflow),
            None | Some(_) => None,
        }
        .ok_or(EXPECTED)
    }
}

/// An operator stops or resumes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchSet {
    pub scope: Scope,
    pub stopped: bool,
    pub reason: Box<str>,
    pub version: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lifecycle {
    Off,
    /// Meets its triggers and records them; decides nothing.
    Observe,
    /// Decides and records; sends nothing.
    Shadow,
    Canary,
    Approve,
    On,
}

impl Lifecycle {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Off => "off",
            Lifecycle::Observe => "observe",
            Lifecycle::Shadow => "shadow",
            Lifecycle::Canary => "canary",
            Lifecycle::Approve => "approve",
            Lifecycle::On => "on",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionActivated {
    pub workflow: Name,
    pub definition: DefinitionHash,
    pub lifecycle: Lifecycle,
    pub canary_percent: u32,
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalDecided {
    pub command: CommandId,
    pub granted: bool,
    /// The opaque id of an account, never a name or an address.
    pub actor: Name,
    /// A code word: what was said in words is no business of the log.
    pub reason: Name,
}

/// A parked fact, to be folded now.
#[derive(Clone, Debug, PartialEq)]
pub struct FactUnparked {
    pub fact: FactId,
    /// The parked record whole, so that folding needs no second read.
    pub envelope: Box<Envelope>,
    pub actor: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceUnparked {
    pub instance: InstanceId,
    pub actor: Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_says_what_kind_of_thing_it_names() {
        for text in ["all", "capability/message.send", "connection/all", "workflow/cart-recovery", "workflow/a/b"] {
            assert_eq!(text.parse::<Scope>().map(|scope| scope.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "message.send", "all/", "workflow/", "connection/A B", "tenant/demo"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
