//! What the console asks the owners of partitions: they alone hold the state.

use std::fmt;

use tradewind_domain::{EntityKey, Lineage, Position, Tenant, Timestamp};

/// Answers from committed memory. Called from threads that may block, for a second
/// or two; an owner that has gone away is an answer too.
pub trait Owners: Send + Sync {
    /// Where the log speaks of a customer: of the entity and of everything linked to it.
    ///
    /// # Errors
    ///
    /// See [`OwnersError`].
    fn timeline(&self, tenant: &Tenant, entity: &EntityKey) -> Result<Timeline, OwnersError>;

    /// Where each partition owned by this process is. Without an answer, the newest
    /// commit points on the log stand in for it.
    fn places(&self) -> Vec<Place> {
        Vec::new()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    pub partition: u32,
    pub lineage: Lineage,
    /// The next step: everything before it is in the answer.
    pub as_of: Position,
    pub log_time: Timestamp,
    /// The customer: the entity asked for and all that is linked to it.
    pub entities: Vec<EntityKey>,
    /// The newest of each entity; in any order, and a place may come twice.
    pub references: Vec<Reference>,
}

/// A place in the log where an entity played a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub position: Position,
    pub kind: ReferenceKind,
    pub entity: EntityKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A fact about it.
    About,
    /// A fact about another entity that names it.
    Named,
    Decision,
}

/// How far the owner of a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: u32,
    pub position: Position,
    pub log_time: Timestamp,
    /// How fast the log's time runs; 1,000 is as fast as a clock.
    pub speed_permille: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnersError {
    /// The directory knows no such merchant.
    UnknownTenant,
    /// It is recovering, stopping, or too busy: ask again.
    Unavailable { reason: String },
}

impl fmt::Display for OwnersError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnersError::UnknownTenant => formatter.write_str("find the merchant: it is not in the directory"),
            OwnersError::Unavailable { reason } => write!(formatter, "ask the partition's owner: {reason}"),
        }
    }
}

impl std::error::Error for OwnersError {}
