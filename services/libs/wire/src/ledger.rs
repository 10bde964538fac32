//! Entries of `tradewind.ledger.<vendor>`.

use prost::Message;
use tradewind_domain::{Claimed, LedgerEntry, LedgerPosition, StepAnswered, Verdict};
use tradewind_ports::{NewRecord, Record};

use crate::common::{self, Wire, field, one_of, optional, to_option};
use crate::error::{DecodeError, Mismatch};
use crate::headers;
use crate::proto;

#[must_use]
pub fn record(entry: &LedgerEntry) -> NewRecord {
    NewRecord { key: entry.key(), headers: headers::plain(), value: Some(entry.to_proto().encode_to_vec()) }
}

/// `None` for a tombstone: what this key says of its command was forgotten.
///
/// # Errors
///
/// A newer release wrote it, or it is no entry.
pub fn decode(record: &Record) -> Result<Option<LedgerEntry>, DecodeError> {
    headers::readable(record)?.map(|value| common::decode("ledger entry", value)).transpose()
}

impl Wire for LedgerEntry {
    type Proto = proto::LedgerEntry;

    fn to_proto(&self) -> proto::LedgerEntry {
        use proto::ledger_entry::Body as Proto;
        proto::LedgerEntry {
            body: Some(match self {
                LedgerEntry::Claimed(claimed) => Proto::Claimed(claimed.to_proto()),
                LedgerEntry::StepAnswered(answered) => Proto::StepAnswered(answered.to_proto()),
                LedgerEntry::Verdict(verdict) => Proto::Verdict(verdict.to_proto()),
                LedgerEntry::Position(position) => Proto::Position(position.to_proto()),
            }),
        }
    }

    fn from_proto(proto: proto::LedgerEntry) -> Result<LedgerEntry, Mismatch> {
        use proto::ledger_entry::Body as Proto;
        Ok(match one_of(proto.body, "body")? {
            Proto::Claimed(claimed) => LedgerEntry::Claimed(field(claimed, "claimed")?),
            Proto::StepAnswered(answered) => LedgerEntry::StepAnswered(field(answered, "step_answered")?),
            Proto::Verdict(verdict) => LedgerEntry::Verdict(field(verdict, "verdict")?),
            Proto::Position(position) => LedgerEntry::Position(field(position, "position")?),
        })
    }
}

impl Wire for Claimed {
    type Proto = proto::Claimed;

    fn to_proto(&self) -> proto::Claimed {
        proto::Claimed {
            command: self.command.to_proto(),
            attempt: self.attempt,
            valid_ms: self.valid_ms,
            first_claimed_at_ms: self.first_claimed_at.to_proto(),
            step: self.step,
        }
    }

    fn from_proto(proto: proto::Claimed) -> Result<Claimed, Mismatch> {
        Ok(Claimed {
            command: field(proto.command, "command")?,
            attempt: proto.attempt,
            valid_ms: proto.valid_ms,
            first_claimed_at: field(proto.first_claimed_at_ms, "first_claimed_at_ms")?,
            step: proto.step,
        })
    }
}

impl Wire for StepAnswered {
    type Proto = proto::StepAnswered;

    fn to_proto(&self) -> proto::StepAnswered {
        proto::StepAnswered {
            command: self.command.to_proto(),
            attempt: self.attempt,
            step: self.step,
            status: self.status,
            answer: to_option(self.answer.as_ref()),
        }
    }

    fn from_proto(proto: proto::StepAnswered) -> Result<StepAnswered, Mismatch> {
        Ok(StepAnswered {
            command: field(proto.command, "command")?,
            attempt: proto.attempt,
            step: proto.step,
            status: proto.status,
            answer: optional(proto.answer, "answer")?,
        })
    }
}

impl Wire for Verdict {
    type Proto = proto::Verdict;

    fn to_proto(&self) -> proto::Verdict {
        proto::Verdict { command: self.command.to_proto(), attempt: self.attempt, outcome: self.outcome.to_vec() }
    }

    fn from_proto(proto: proto::Verdict) -> Result<Verdict, Mismatch> {
        Ok(Verdict { command: field(proto.command, "command")?, attempt: proto.attempt, outcome: proto.outcome.into() })
    }
}

impl Wire for LedgerPosition {
    type Proto = proto::LedgerPosition;

    fn to_proto(&self) -> proto::LedgerPosition {
        proto::LedgerPosition { offset: self.offset, lineage: self.lineage.to_proto() }
    }

    fn from_proto(proto: proto::LedgerPosition) -> Result<LedgerPosition, Mismatch> {
        Ok(LedgerPosition { offset: proto.offset, lineage: field(proto.lineage, "lineage")? })
    }
}
