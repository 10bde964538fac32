//! An outcome as it is shown: what became of a command, by whom and when.

use serde::Serialize;
use tradewind_domain::{Body, CommandId, Envelope, FactId, Money, Source, Tenant, Timestamp};

use crate::command::CommandSeen;
use crate::personal::Personal;
use crate::text;
use crate::words::{self, cut};

/// A command whose outcomes are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The offset on `tradewind.events` it was issued at.
    pub offset: u64,
    /// Whose account it was for. Its outcomes are our word, and don't name it.
    pub by: Source,
}

impl Issued {
    #[must_use]
    pub fn of(command: &CommandSeen, offset: u64) -> Issued {
        Issued { offset, by: Source { vendor: command.vendor.clone(), account: command.account.clone() } }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutcomeSeen {
    pub offset: u64,
    #[serde(serialize_with = "text::shown")]
    pub id: FactId,
    pub tenant: Tenant,
    #[serde(serialize_with = "text::shown")]
    pub command: CommandId,
    pub attempt: u32,
    pub state: &'static str,
    pub headline: &'static str,
    /// Nothing more is tried after it.
    pub is_final: bool,
    /// A word of ours, or the vendor's error code.
    pub code: String,
    #[serde(serialize_with = "text::time")]
    pub occurred_at: Timestamp,
    #[serde(serialize_with = "text::time")]
    pub recorded_at: Timestamp,
    /// The vendor and account that the command names, where the command is at hand.
    pub source: String,
    pub vendor_ref: String,
    pub vendor_version: String,
    pub value_before: String,
    pub value_after: String,
    #[serde(serialize_with = "text::time_if_any")]
    pub retry_at: Option<Timestamp>,
    #[serde(serialize_with = "text::shown_if_any")]
    pub cost: Option<Money>,
    pub actor: String,
    pub resolution: Option<&'static str>,
    pub evidence: Option<Personal>,
}

impl OutcomeSeen {
    pub(crate) fn carried_out_by(mut self, by: &Source) -> OutcomeSeen {
        self.source = words::source(by);
        self
    }

    /// `None` for a fact that is no outcome.
    #[must_use]
    pub fn of(envelope: &Envelope) -> Option<OutcomeSeen> {
        let Body::Outcome(outcome) = &envelope.fact.body else { return None };
        Some(OutcomeSeen {
            offset: envelope.offset,
            id: envelope.id,
            tenant: envelope.tenant.clone(),
            command: outcome.command,
            attempt: outcome.attempt,
            state: outcome.state.as_str(),
            headline: words::state(outcome.state),
            is_final: outcome.state.is_final(),
            code: outcome.code.to_string(),
            occurred_at: envelope.fact.occurred_at,
            recorded_at: envelope.recorded_at,
            source: words::source(&envelope.source),
            vendor_ref: cut(&outcome.vendor_ref),
            vendor_version: cut(&outcome.vendor_version),
            value_before: cut(&outcome.value_before),
            value_after: cut(&outcome.value_after),
            retry_at: outcome.retry_at,
            cost: outcome.cost,
            actor: outcome.actor.to_string(),
            resolution: outcome.resolution.map(words::resolution),
            evidence: outcome.evidence.as_ref().map(Personal::new),
        })
    }
}
