//! What the actuator's ledger says of a command: promised, answered, judged.

use serde::Serialize;
use tradewind_domain::{Body, Claimed, CommandId, LedgerEntry, Timestamp, Verdict};
use tradewind_wire::fact;

use crate::text;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerSeen {
    /// Its place on the vendor's ledger.
    pub offset: u64,
    #[serde(serialize_with = "text::time")]
    pub recorded_at: Timestamp,
    #[serde(serialize_with = "text::shown")]
    pub command: CommandId,
    pub attempt: u32,
    pub step: LedgerStep,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LedgerStep {
    /// Durable before anything was sent.
    Claimed {
        step: u32,
        valid_ms: i64,
        #[serde(serialize_with = "text::time")]
        first_claimed_at: Timestamp,
    },
    /// One of several requests of the command was answered.
    Answered { step: u32, status: u32 },
    /// The outcome is certain; `None` where this build can't read it.
    Judged { state: Option<&'static str> },
}

impl LedgerSeen {
    /// `None` for the actuator's own place, which belongs to no command.
    pub(crate) fn of(entry: &LedgerEntry, offset: u64, recorded_at: Timestamp) -> Option<LedgerSeen> {
        let (command, attempt, step) = match entry {
            LedgerEntry::Claimed(claimed) => {
                let Claimed { command, attempt, valid_ms, first_claimed_at, step } = *claimed;
                (command, attempt, LedgerStep::Claimed { step, valid_ms, first_claimed_at })
            }
            LedgerEntry::StepAnswered(answered) => {
                let step = LedgerStep::Answered { step: answered.step, status: answered.status };
                (answered.command, answered.attempt, step)
            }
            LedgerEntry::Verdict(verdict) => {
                (verdict.command, verdict.attempt, LedgerStep::Judged { state: judged(verdict) })
            }
            LedgerEntry::Position(_) => return None,
        };
        Some(LedgerSeen { offset, recorded_at, command, attempt, step })
    }
}

fn judged(verdict: &Verdict) -> Option<&'static str> {
    let fact = fact::decode(&verdict.outcome).ok()?;
    if let Body::Outcome(outcome) = fact.body { Some(outcome.state.as_str()) } else { None }
}
