//! A fact with its place and time on the log.

use crate::fact::Fact;
use crate::id::FactId;
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
    /// What led to it: a command or a fact of ours, where that is known.
    pub caused_by: Option<[u8; 16]>,
    pub fact: Fact,
}
