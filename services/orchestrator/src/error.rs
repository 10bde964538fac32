//! Why an owner is of no more use, and what to do then.

use std::fmt;

use tradewind_domain::Lineage;
use tradewind_ports::{LogError, StoreError, TopicPartition};
use tradewind_wire::DecodeError;
use tradewind_wire::reading::ReadError;

#[derive(Debug)]
pub enum OwnerError {
    /// Drop the owner. `Fenced` gives the partition up; the rest recovers.
    Log(LogError),
    /// Move the store aside and recover without it.
    Store(StoreError),
    /// A record can't be read by this build: stop the partition.
    Unreadable { at: TopicPartition, offset: u64, source: DecodeError },
    /// The log breaks a rule every reader relies on: stop the partition.
    Broken { at: TopicPartition, offset: u64, expected: String },
    /// The store, or a topic, belongs to another history of the log: stop.
    OtherLineage { at: String, expected: Lineage, got: Lineage },
    /// It was told to stop before it had caught up.
    Stopped,
}

/// What to do after an error; the owner itself is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Somebody else has the partition.
    GiveUp,
    /// Recover another owner, after a pause.
    Recover,
    /// Move the store aside, then recover.
    Rebuild,
    /// A successor would get no further: a person has to act.
    Stop,
}

impl OwnerError {
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            OwnerError::Log(LogError::Fenced) | OwnerError::Stopped => Remedy::GiveUp,
            OwnerError::Log(LogError::Indefinite { .. } | LogError::Unavailable { .. })
            | OwnerError::Store(StoreError::Unavailable { .. }) => Remedy::Recover,
            OwnerError::Store(StoreError::Damaged { .. }) => Remedy::Rebuild,
            OwnerError::Log(LogError::Lost { .. } | LogError::Damaged { .. } | LogError::Refused { .. })
            | OwnerError::Unreadable { .. }
            | OwnerError::Broken { .. }
            | OwnerError::OtherLineage { .. } => Remedy::Stop,
        }
    }
}

impl fmt::Display for OwnerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnerError::Log(error) => error.fmt(formatter),
            OwnerError::Store(error) => error.fmt(formatter),
            OwnerError::Unreadable { at, offset, source } => {
                write!(formatter, "read {at} at offset {offset}: {source}")
            }
            OwnerError::Broken { at, offset, expected } => {
                write!(formatter, "trust {at} at offset {offset}: expected {expected}")
            }
            OwnerError::OtherLineage { at, expected, got } => {
                write!(formatter, "go on with {at}: expected lineage {expected}, got {got}")
            }
            OwnerError::Stopped => formatter.write_str("catch up: it was told to stop"),
        }
    }
}

impl std::error::Error for OwnerError {}

impl From<LogError> for OwnerError {
    fn from(error: LogError) -> OwnerError {
        OwnerError::Log(error)
    }
}

impl From<ReadError> for OwnerError {
    fn from(error: ReadError) -> OwnerError {
        match error {
            ReadError::Log(error) => OwnerError::Log(error),
            ReadError::Unreadable { at, offset, source } => OwnerError::Unreadable { at, offset, source },
        }
    }
}

impl From<StoreError> for OwnerError {
    fn from(error: StoreError) -> OwnerError {
        OwnerError::Store(error)
    }
}
