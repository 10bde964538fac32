//! Commands: what a vendor is asked to do, with identity and cause.

use crate::entity::EntityKey;
use crate::id::{CommandId, DecisionId, FactId, InstanceId};
use crate::money::Money;
use crate::name::{Account, ConnectionName, Name, Tenant, Vendor};
use crate::sealed::Sealed;
use crate::time::Timestamp;

/// What a workflow asks for, whichever vendor serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    MessageSend,
}

impl Capability {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Capability::MessageSend => "message.send",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Sets a value; a newer one for the same target overtakes it.
    Absolute,
    /// Adds an effect; doing it twice would be seen.
    Relative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandClass {
    Transactional,
    Promotional,
    Care,
    Operational,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub id: CommandId,
    pub tenant: Tenant,
    pub connection: ConnectionName,
    pub vendor: Vendor,
    pub account: Account,
    /// Commands of one target are carried out one after the other.
    pub target: EntityKey,
    pub change: Change,
    pub class: CommandClass,
    /// The watermark it was decided at.
    pub issued_at: Timestamp,
    pub not_before: Timestamp,
    /// Past it, the command is never sent.
    pub deadline: Timestamp,
    /// Whose instance asks for it: a switch may stop them all.
    pub workflow: Name,
    pub instance: InstanceId,
    pub decision: DecisionId,
    /// The facts that led here, nearest first.
    pub causes: Vec<FactId>,
    /// The fact that granted it; `None` where none was needed.
    pub approval: Option<FactId>,
    /// The command this one undoes.
    pub compensates: Option<CommandId>,
    /// Where the customer is reached; opened by the actuator only.
    pub contact: Option<Sealed>,
    pub body: CommandBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CommandBody {
    MessageSend(MessageSend),
}

impl CommandBody {
    #[must_use]
    pub const fn capability(&self) -> Capability {
        match self {
            CommandBody::MessageSend(_) => Capability::MessageSend,
        }
    }
}

/// One message to one customer.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageSend {
    /// `email`, `sms`, `push`.
    pub channel: Name,
    /// What the e-mail platform knows the message by.
    pub template: Name,
    /// `None` if the message is not about a cart.
    pub cart: Option<EntityKey>,
    pub lines: Vec<MessageLine>,
    pub total: Option<Money>,
    pub recovery_url: Option<Sealed>,
    pub first_name: Option<Sealed>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MessageLine {
    pub sku: Box<str>,
    pub title: Box<str>,
    pub quantity: i64,
    pub unit_price: Option<Money>,
}
