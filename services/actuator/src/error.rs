//! What an actuator can fail with, and what is to be done then.

use std::fmt;

use tradewind_domain::Lineage;
use tradewind_ports::{LogError, TopicPartition, VaultError};
use tradewind_wire::DecodeError;
use tradewind_wire::reading::ReadError;

#[derive(Debug)]
pub enum ActuatorError {
    Log(LogError),
    Vault(VaultError),
    /// A record can't be read by this build.
    Unreadable {
        at: TopicPartition,
        offset: u64,
        source: DecodeError,
    },
    /// The events don't open a lineage.
    NoLineage {
        at: TopicPartition,
    },
    /// A command belongs to another history of the log.
    OtherLineage {
        at: TopicPartition,
        offset: u64,
        expected: Lineage,
        got: Lineage,
    },
}

/// What to do after an error; the actuator itself is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Somebody else has the partition.
    GiveUp,
    /// Recover another actuator, after a pause.
    Recover,
    /// A successor would get no further: a person has to act.
    Stop,
}

impl ActuatorError {
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            ActuatorError::Log(LogError::Fenced) => Remedy::GiveUp,
            ActuatorError::Log(LogError::Indefinite { .. } | LogError::Unavailable { .. })
            | ActuatorError::Vault(VaultError::Unavailable { .. }) => Remedy::Recover,
            ActuatorError::Log(LogError::Lost { .. } | LogError::Damaged { .. } | LogError::Refused { .. })
            | ActuatorError::Vault(VaultError::Damaged { .. })
            | ActuatorError::Unreadable { .. }
            | ActuatorError::NoLineage { .. }
            | ActuatorError::OtherLineage { .. } => Remedy::Stop,
        }
    }
}

impl fmt::Display for ActuatorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActuatorError::Log(error) => error.fmt(formatter),
            ActuatorError::Vault(error) => error.fmt(formatter),
            ActuatorError::Unreadable { at, offset, source } => {
                write!(formatter, "read {at} at offset {offset}: {source}")
            }
            ActuatorError::NoLineage { at } => {
                write!(formatter, "trust {at}: expected the record that opens the lineage")
            }
            ActuatorError::OtherLineage { at, offset, expected, got } => {
                write!(formatter, "carry out {at} at offset {offset}: expected lineage {expected}, got {got}")
            }
        }
    }
}

impl std::error::Error for ActuatorError {}

impl From<LogError> for ActuatorError {
    fn from(error: LogError) -> ActuatorError {
        ActuatorError::Log(error)
    }
}

impl From<ReadError> for ActuatorError {
    fn from(error: ReadError) -> ActuatorError {
        match error {
            ReadError::Log(error) => ActuatorError::Log(error),
            ReadError::Unreadable { at, offset, source } => ActuatorError::Unreadable { at, offset, source },
        }
    }
}

impl From<VaultError> for ActuatorError {
    fn from(error: VaultError) -> ActuatorError {
        ActuatorError::Vault(error)
    }
}
