//! Why a log can't be moved, and what to do about it.

use std::fmt;

use tradewind_domain::{CommandId, Name, Position};
use tradewind_ports::{LogError, TopicPartition};
use tradewind_wire::DecodeError;

#[derive(Debug)]
pub enum MoveError {
    /// Run the move again: it goes on where it stopped.
    Log(LogError),
    /// A record needs a newer release, or is none of ours.
    Unreadable { at: TopicPartition, offset: u64, source: DecodeError },
    /// The source breaks a rule every reader relies on.
    Broken { at: TopicPartition, offset: u64, expected: String },
    /// Run the source's orchestrator until it rests, and stop it in good order.
    Undecided { at: TopicPartition, committed: Position },
    /// Run the source's actuators until the commands have outcomes, or leave them.
    Unsettled { commands: usize, first: CommandId, workflow: Name },
    /// A stretched clock, and a production lineage.
    Stretched { at: TopicPartition, offset: u64 },
    /// The target holds something else: move into an empty log.
    Occupied { at: TopicPartition, offset: u64, expected: String },
}

impl fmt::Display for MoveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoveError::Log(error) => error.fmt(formatter),
            MoveError::Unreadable { at, offset, source } => write!(formatter, "read {at} at offset {offset}: {source}"),
            MoveError::Broken { at, offset, expected } => {
                write!(formatter, "trust {at} at offset {offset}: expected {expected}")
            }
            MoveError::Undecided { at, committed } => write!(
                formatter,
                "move {at}: its facts are decided up to {committed} only; \
                 run the source's orchestrator until it rests, and stop it with SIGTERM"
            ),
            MoveError::Unsettled { commands, first, workflow } => write!(
                formatter,
                "move the log: {commands} commands have no final outcome, the first {first} of {workflow}; \
                 run the source's actuators until they have, or leave them behind"
            ),
            MoveError::Stretched { at, offset } => write!(
                formatter,
                "move {at} into a production lineage: its clock was stretched at offset {offset}; \
                 move it into a dev lineage"
            ),
            MoveError::Occupied { at, offset, expected } => {
                write!(formatter, "write {at} at offset {offset}: expected {expected}; move into an empty log")
            }
        }
    }
}

impl std::error::Error for MoveError {}

impl From<LogError> for MoveError {
    fn from(error: LogError) -> MoveError {
        MoveError::Log(error)
    }
}
