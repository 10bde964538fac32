//! What can come between a question and its answer.

use std::fmt;

use tradewind_ports::{LogError, TopicPartition};
use tradewind_wire::DecodeError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainError {
    /// The log does not answer, or is damaged.
    Log(LogError),
    /// A record on the way can't be read by this build.
    Unreadable { at: TopicPartition, offset: u64, source: DecodeError },
    /// So many decisions were taken in one millisecond that the search was given up.
    Crowded { at: TopicPartition, from: u64, to: u64 },
}

impl fmt::Display for ExplainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExplainError::Log(error) => error.fmt(formatter),
            ExplainError::Unreadable { at, offset, source } => {
                write!(formatter, "read {at} at offset {offset}: {source}")
            }
            ExplainError::Crowded { at, from, to } => {
                write!(
                    formatter,
                    "find it in {at}: offsets {from} to {to} are of one millisecond, and it is not among them"
                )
            }
        }
    }
}

impl std::error::Error for ExplainError {}

impl From<LogError> for ExplainError {
    fn from(error: LogError) -> ExplainError {
        ExplainError::Log(error)
    }
}
