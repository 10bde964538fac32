//! Records decoded, with their place named where they can't be; and where a record
//! of decisions stands in its partition's order.

use tradewind_domain::{Choice, CommandId, Decision, DecisionRecord, Envelope, Position, Timestamp, Transition};
use tradewind_ports::{Record, TopicPartition};
use tradewind_wire::{DecodeError, decision, record};

use crate::error::ExplainError;

/// Both rise along `tradewind.decisions`. The lineage stands before everything.
pub(crate) struct Place {
    pub(crate) millis: Option<i64>,
    pub(crate) position: Option<Position>,
}

impl Place {
    pub(crate) fn of(at: &TopicPartition, record: &Record) -> Result<Place, ExplainError> {
        Ok(match decoded(at, record)? {
            (position, DecisionRecord::Decision(decision)) => {
                Place { millis: Some(millis_of(decision.watermark)), position }
            }
            (_, DecisionRecord::TurnCommitted(turn)) => {
                Place { millis: Some(millis_of(turn.watermark)), position: Some(turn.to) }
            }
            (_, DecisionRecord::Lineage(_)) => Place { millis: None, position: None },
        })
    }
}

/// The milliseconds that the id of a decision or a command begins with.
pub(crate) fn decided_at(id: &[u8; 16]) -> i64 {
    id[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte))
}

/// As it stands in ids.
pub(crate) fn millis_of(watermark: Timestamp) -> i64 {
    watermark.millis().max(0)
}

pub(crate) fn commands_of(decision: &Decision) -> impl Iterator<Item = CommandId> {
    decision.choices.iter().flat_map(commands_of_choice)
}

pub(crate) fn commands_of_choice(choice: &Choice) -> impl Iterator<Item = CommandId> {
    choice.transitions.iter().filter_map(|transition| {
        if let Transition::CommandIssued { command } = transition { Some(command.id) } else { None }
    })
}

pub(crate) fn decoded(
    at: &TopicPartition,
    record: &Record,
) -> Result<(Option<Position>, DecisionRecord), ExplainError> {
    decision::decode(record).map_err(|source| unreadable(at, record.offset, source))
}

pub(crate) fn envelope(at: &TopicPartition, record: &Record) -> Result<Envelope, ExplainError> {
    record::envelope(record).map_err(|source| unreadable(at, record.offset, source))
}

pub(crate) fn unreadable(at: &TopicPartition, offset: u64, source: DecodeError) -> ExplainError {
    ExplainError::Unreadable { at: at.clone(), offset, source }
}
