//! A fact with its place and time on the log.

use std::fmt;
use std::str::FromStr;

use crate::fact::Fact;
use crate::id::{CommandId, FactId};
use crate::name::{Account, Tenant, Vendor};
use crate::time::Timestamp;

/// Who a fact came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub vendor: Vendor,
    pub account: Account,
}

impl Source {
    #[must_use]
    pub fn ourselves() -> Source {
        Source { vendor: Vendor::ourselves(), account: Account::none() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    Live,
    /// A poller found it after a gap: full effect if fresh, always ends what it must.
    Recovered,
    /// History: folds, may end things, starts nothing.
    Backfill,
}

/// What led to a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    Command(CommandId),
    Fact(FactId),
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Command(command) => write!(formatter, "command/{command}"),
            Cause::Fact(fact) => write!(formatter, "fact/{fact}"),
        }
    }
}

impl FromStr for Cause {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cause, Self::Err> {
        match text.split_once('/') {
            Some(("command", id)) => id.parse().map(Cause::Command),
            Some(("fact", id)) => id.parse().map(Cause::Fact),
            Some(_) | None => Err("expected command/<uuid> or fact/<uuid>"),
        }
    }
}

/// A fact as it stands on `tradewind.events`.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub offset: u64,
    /// By the log's clock; for imported records the time they were first recorded.
    pub recorded_at: Timestamp,
    /// `recorded_at` is the record's own (`tw-recorded-at`), not its append time:
    /// it came from another log.
    pub imported: bool,
    /// By the producer's clock.
    pub produced_at: Option<Timestamp>,
    pub tenant: Tenant,
    pub id: FactId,
    pub source: Source,
    pub arrival: Arrival,
    /// The epoch of the tenant's placement on this partition.
    pub placement: u32,
    /// The version of the translator; 0 for facts of our own.
    pub translation: u32,
    /// What led to it, where that is known.
    pub caused_by: Option<Cause>,
    pub fact: Fact,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_says_what_kind_of_id_it_holds() {
        let command = Cause::Command(CommandId::from_bytes([7; 16]));
        let fact = Cause::Fact(FactId::from_bytes([7; 16]));
        assert_eq!(command.to_string(), "command/07070707-0707-0707-0707-070707070707");
        for cause in [command, fact] {
            assert_eq!(cause.to_string().parse(), Ok(cause));
        }
        assert!("07070707-0707-0707-0707-070707070707".parse::<Cause>().is_err());
        assert!("order/07070707-0707-0707-0707-070707070707".parse::<Cause>().is_err());
    }
}
