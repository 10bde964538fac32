//! Facts of the set-up: what the directory says, in the tenant's own order.

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

/// An operator stops or resumes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchSet {
    /// A capability, a connection, a workflow, or `all`.
    pub scope: Name,
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
    pub actor: Name,
    pub reason: Box<str>,
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
