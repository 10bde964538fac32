//! A command as it is shown: what a vendor was asked to do, for whom, until when.

use serde::Serialize;
use tradewind_domain::{
    Account, Command, CommandBody, CommandId, ConnectionName, DecisionId, EntityKey, FactId, InstanceId, MessageLine,
    Money, Name, Tenant, Timestamp, Vendor,
};

use crate::personal::Personal;
use crate::text;
use crate::words::{self, cut};

/// Most lines of a message that are shown.
const MAX_LINES: usize = 20;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommandSeen {
    #[serde(serialize_with = "text::shown")]
    pub id: CommandId,
    pub tenant: Tenant,
    /// What was asked for, without anything personal.
    pub headline: String,
    pub capability: &'static str,
    pub connection: ConnectionName,
    pub vendor: Vendor,
    pub account: Account,
    #[serde(serialize_with = "text::entity")]
    pub target: EntityKey,
    pub class: &'static str,
    pub change: &'static str,
    #[serde(serialize_with = "text::time")]
    pub issued_at: Timestamp,
    #[serde(serialize_with = "text::time")]
    pub not_before: Timestamp,
    #[serde(serialize_with = "text::time")]
    pub deadline: Timestamp,
    #[serde(serialize_with = "text::shown")]
    pub instance: InstanceId,
    #[serde(serialize_with = "text::shown")]
    pub decision: DecisionId,
    #[serde(serialize_with = "text::all_shown")]
    pub causes: Vec<FactId>,
    #[serde(serialize_with = "text::shown_if_any")]
    pub approval: Option<FactId>,
    #[serde(serialize_with = "text::shown_if_any")]
    pub compensates: Option<CommandId>,
    pub channel: Name,
    pub template: Name,
    /// The cart the message is about, if it is about one.
    #[serde(serialize_with = "text::entity_if_any")]
    pub subject: Option<EntityKey>,
    pub lines: Vec<LineSeen>,
    pub lines_more: usize,
    #[serde(serialize_with = "text::shown_if_any")]
    pub total: Option<Money>,
    pub personal: Vec<Personal>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineSeen {
    pub sku: String,
    pub title: String,
    pub quantity: i64,
    #[serde(serialize_with = "text::shown_if_any")]
    pub unit_price: Option<Money>,
}

impl CommandSeen {
    #[must_use]
    pub fn of(command: &Command) -> CommandSeen {
        let CommandBody::MessageSend(message) = &command.body;
        let capability = command.body.capability();
        CommandSeen {
            id: command.id,
            tenant: command.tenant.clone(),
            headline: format!("{} by {}: {}", words::capability(capability), message.channel, message.template),
            capability: capability.as_str(),
            connection: command.connection.clone(),
            vendor: command.vendor.clone(),
            account: command.account.clone(),
            target: command.target.clone(),
            class: words::class(command.class),
            change: words::change(command.change),
            issued_at: command.issued_at,
            not_before: command.not_before,
            deadline: command.deadline,
            instance: command.instance,
            decision: command.decision,
            causes: command.causes.clone(),
            approval: command.approval,
            compensates: command.compensates,
            channel: message.channel.clone(),
            template: message.template.clone(),
            subject: message.cart.clone(),
            lines: message.lines.iter().take(MAX_LINES).map(LineSeen::of).collect(),
            lines_more: message.lines.len().saturating_sub(MAX_LINES),
            total: message.total,
            personal: Personal::of([&command.contact, &message.first_name, &message.recovery_url]),
        }
    }
}

impl LineSeen {
    fn of(line: &MessageLine) -> LineSeen {
        LineSeen { sku: cut(&line.sku), title: cut(&line.title), quantity: line.quantity, unit_price: line.unit_price }
    }
}
