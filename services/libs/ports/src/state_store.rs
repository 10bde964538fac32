//! The store of projections: a cache of the fold, kept by position. Losing it
//! costs time, never facts.

use std::fmt;

use tradewind_domain::{Lineage, Position, Timestamp};

/// Most keys in one write: the store's lock is held that long.
pub const MAX_SLICE: usize = 1_000;

/// A value with the position that guards it against folding twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The last step that changed the value.
    pub position: Position,
    pub bytes: Vec<u8>,
}

/// An entry of the due-time index. Sorts by time, then round, then id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueKey {
    pub fires_at: Timestamp,
    pub round: u32,
    pub wakeup: [u8; 16],
    /// The key of the leaf that holds the wakeup.
    pub leaf: Vec<u8>,
}

/// One leaf to be written, with what changes in the due-time index by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: Vec<u8>,
    /// `None` removes the leaf.
    pub value: Option<Stored>,
    pub due_removed: Vec<DueKey>,
    pub due_added: Vec<DueKey>,
}

/// How far the stored fold got. Values may be newer than it, each guarded by
/// its own position; they are never older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub lineage: Lineage,
    /// The version of the fold that wrote the values.
    pub fold_version: u32,
    /// Where folding goes on.
    pub position: Position,
    /// The offset on decisions from which they are read again.
    pub decisions_offset: u64,
    pub watermark: Timestamp,
    /// Of the log's clock and what else belongs to the partition, encoded by the engine.
    pub partition: Vec<u8>,
}

#[derive(Debug)]
pub enum StoreError {
    /// What is stored is not what was written: move it aside and rebuild.
    Damaged { reason: String },
    /// The disk or the process does not allow it: try again later.
    Unavailable { reason: String },
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Damaged { reason } => write!(formatter, "read the store: it is damaged: {reason}"),
            StoreError::Unavailable { reason } => write!(formatter, "use the store: {reason}"),
        }
    }
}

impl std::error::Error for StoreError {}

pub trait StateStore: Send {
    /// `None` for an empty store.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// # Errors
    ///
    /// See [`StoreError`].
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, StoreError>;

    /// Entries of the due-time index from `after` (exclusive) on that fire
    /// before `until`, in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn due(&self, until: Timestamp, after: Option<&DueKey>, limit: usize) -> Result<Vec<DueKey>, StoreError>;

    /// Writes at most [`MAX_SLICE`] leaves, all or none.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn write(&mut self, slice: &[Write]) -> Result<(), StoreError>;

    /// Moves the checkpoint. Everything written before is kept if this is.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn set_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError>;
}
