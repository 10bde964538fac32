//! What became of a command.

use serde::{Deserialize, Serialize};

use crate::id::CommandId;
use crate::money::Money;
use crate::name::Name;
use crate::sealed::Sealed;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutcomeState {
    /// The vendor took it and has not done it yet.
    Accepted,
    Succeeded,
    /// The vendor said no, for good.
    Rejected,
    Throttled,
    Failed,
    /// Sent, and no answer came: read back before anything else.
    Unknown,
    /// Never sent: its deadline passed.
    Expired,
    /// A newer absolute command for the same target overtook it.
    Superseded,
    /// Only a person can tell whether it happened.
    Quarantined,
    Resolved,
    Cancelled,
    Compensated,
    DeadLettered,
}

impl OutcomeState {
    /// The word in ids and metrics; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OutcomeState::Accepted => "accepted",
            OutcomeState::Succeeded => "succeeded",
            OutcomeState::Rejected => "rejected",
            OutcomeState::Throttled => "throttled",
            OutcomeState::Failed => "failed",
            OutcomeState::Unknown => "unknown",
            OutcomeState::Expired => "expired",
            OutcomeState::Superseded => "superseded",
            OutcomeState::Quarantined => "quarantined",
            OutcomeState::Resolved => "resolved",
            OutcomeState::Cancelled => "cancelled",
            OutcomeState::Compensated => "compensated",
            OutcomeState::DeadLettered => "dead_lettered",
        }
    }

    /// The CloudEvents type of the fact that reports it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            OutcomeState::Accepted => "tradewind.outcome.accepted.v1",
            OutcomeState::Succeeded => "tradewind.outcome.succeeded.v1",
            OutcomeState::Rejected => "tradewind.outcome.rejected.v1",
            OutcomeState::Throttled => "tradewind.outcome.throttled.v1",
            OutcomeState::Failed => "tradewind.outcome.failed.v1",
            OutcomeState::Unknown => "tradewind.outcome.unknown.v1",
            OutcomeState::Expired => "tradewind.outcome.expired.v1",
            OutcomeState::Superseded => "tradewind.outcome.superseded.v1",
            OutcomeState::Quarantined => "tradewind.outcome.quarantined.v1",
            OutcomeState::Resolved => "tradewind.outcome.resolved.v1",
            OutcomeState::Cancelled => "tradewind.outcome.cancelled.v1",
            OutcomeState::Compensated => "tradewind.outcome.compensated.v1",
            OutcomeState::DeadLettered => "tradewind.outcome.dead_lettered.v1",
        }
    }

    /// Nothing more is tried for the command after it. A quarantined one waits
    /// for a person, so it is not final; an accepted one waits for the vendor.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            OutcomeState::Succeeded
            | OutcomeState::Rejected
            | OutcomeState::Expired
            | OutcomeState::Superseded
            | OutcomeState::Resolved
            | OutcomeState::Cancelled
            | OutcomeState::Compensated
            | OutcomeState::DeadLettered => true,
            OutcomeState::Accepted
            | OutcomeState::Throttled
            | OutcomeState::Failed
            | OutcomeState::Unknown
            | OutcomeState::Quarantined => false,
        }
    }
}

/// What a person found out about a quarantined command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Resolution {
    Happened,
    DidNotHappen,
    Skipped,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub command: CommandId,
    pub attempt: u32,
    pub state: OutcomeState,
    /// A word of ours or the vendor's error code.
    pub code: Name,
    pub retry_at: Option<Timestamp>,
    pub vendor_ref: Box<str>,
    pub vendor_version: Box<str>,
    /// For a reversible command, the figure as the vendor showed it.
    pub value_before: Box<str>,
    pub value_after: Box<str>,
    pub cost: Option<Money>,
    pub actor: Name,
    pub resolution: Option<Resolution>,
    pub evidence: Option<Sealed>,
}

impl Outcome {
    /// The command had no effect, and never will: nobody was reached.
    #[must_use]
    pub fn is_without_effect(&self) -> bool {
        match self.state {
            OutcomeState::Rejected
            | OutcomeState::Expired
            | OutcomeState::Superseded
            | OutcomeState::Cancelled
            | OutcomeState::DeadLettered => true,
            OutcomeState::Resolved => self.resolution == Some(Resolution::DidNotHappen),
            OutcomeState::Accepted
            | OutcomeState::Succeeded
            | OutcomeState::Throttled
            | OutcomeState::Failed
            | OutcomeState::Unknown
            | OutcomeState::Quarantined
            | OutcomeState::Compensated => false,
        }
    }
}
