//! What an actuator promised and found out about each command (D16).

use crate::id::{CommandId, Lineage};
use crate::sealed::Sealed;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerEntry {
    Claimed(Claimed),
    StepAnswered(StepAnswered),
    Verdict(Verdict),
    Position(LedgerPosition),
}

/// Durable before a socket opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub command: CommandId,
    pub attempt: u32,
    /// How long the claim holds, counted by the claimer from before it was appended.
    pub valid_ms: i64,
    /// When the command was first claimed, over all attempts.
    pub first_claimed_at: Timestamp,
    /// Which request of the command is claimed.
    pub step: u32,
}

/// One of several requests of a command was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepAnswered {
    pub command: CommandId,
    pub attempt: u32,
    pub step: u32,
    pub status: u32,
    /// Sealed whole; `None` where it had no body.
    pub answer: Option<Sealed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub command: CommandId,
    pub attempt: u32,
    /// The encoded fact of the outcome; a successor appends the same bytes again.
    pub outcome: Box<[u8]>,
}

/// Every command before this offset has its outcome on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerPosition {
    pub lineage: Lineage,
    pub offset: u64,
}

/// The record key of an answered step: the command's id and the step's number.
#[must_use]
pub fn ledger_answer_key(command: CommandId, step: u32) -> Vec<u8> {
    [command.as_bytes().as_slice(), &step.to_be_bytes()].concat()
}

impl LedgerEntry {
    /// The record key on `tradewind.ledger.<vendor>`. Never changes. A claim is
    /// replaced by the next one and by the verdict, an answered step by nothing:
    /// forgetting a command takes a tombstone for each of its keys.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        match self {
            LedgerEntry::Claimed(Claimed { command, .. }) | LedgerEntry::Verdict(Verdict { command, .. }) => {
                command.as_bytes().to_vec()
            }
            LedgerEntry::StepAnswered(answered) => ledger_answer_key(answered.command, answered.step),
            LedgerEntry::Position(_) => b"position".to_vec(),
        }
    }
}
