//! The log: partitioned topics of ordered records, with transactions over them.
//!
//! An offset names a place; offsets rise and may have gaps. Readers see committed
//! records only.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tradewind_domain::Timestamp;

use crate::headers::Headers;
use crate::topic::TopicPartition;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    pub key: Vec<u8>,
    pub headers: Headers,
    /// `None` is a tombstone: on a compacted topic it removes the key.
    pub value: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: u64,
    /// By the log's clock.
    pub appended_at: Timestamp,
    pub key: Vec<u8>,
    pub headers: Headers,
    pub value: Option<Vec<u8>>,
}

/// Bounds one read; at least one record is returned where there is one.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    pub records: usize,
    pub bytes: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub records: Vec<Record>,
    /// Where to read on: beyond the last record, and beyond what only looks like one.
    pub next: u64,
}

/// The offsets a reader can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest offset still kept.
    pub start: u64,
    /// Behind the last committed record.
    pub end: u64,
}

/// Records to be appended, in their order within each partition.
pub type Appends = BTreeMap<TopicPartition, Vec<NewRecord>>;

/// Where records were appended, in the order in which they were given.
pub type Offsets = BTreeMap<TopicPartition, Vec<u64>>;

/// Makes records of the places that others got. Does nothing slow: the log may be waiting.
pub type Linked = Box<dyn FnOnce(&Offsets) -> Appends + Send>;

/// What a caller can do about a log that did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// Another writer has taken over: give the partition up.
    Fenced,
    /// Records from `asked` on were deleted by retention: stop, and restore.
    Lost { at: TopicPartition, asked: u64, start: u64 },
    /// Stored bytes are not what was written: stop. `remedy` says what to do.
    Damaged { at: String, remedy: String },
    /// Nothing is known about what was asked: drop the writer, and recover.
    Indefinite { reason: String },
    /// The log doesn't answer now: try again later, nothing was done.
    Unavailable { reason: String },
    /// The record can't be stored at all, such as one that is too large.
    Refused { reason: String },
}

impl fmt::Display for LogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Fenced => formatter.write_str("write: a newer writer has taken over"),
            LogError::Lost { at, asked, start } => {
                write!(formatter, "read {at} from offset {asked}: it is kept from {start} on only")
            }
            LogError::Damaged { at, remedy } => write!(formatter, "read {at}: it is damaged; {remedy}"),
            LogError::Indefinite { reason } => write!(formatter, "learn whether the log took it: {reason}"),
            LogError::Unavailable { reason } => write!(formatter, "reach the log: {reason}"),
            LogError::Refused { reason } => write!(formatter, "store the record: {reason}"),
        }
    }
}

impl std::error::Error for LogError {}

pub trait EventLog: Send + Sync {
    /// Committed records from `from` on, without waiting; none is no error.
    /// Reading gets at least as far as an end that `bounds` told before.
    ///
    /// # Errors
    ///
    /// `Lost` if records from `from` on are no longer kept.
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError>;

    /// The offsets that can be read now.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError>;

    /// Waits until there may be a record at or behind `from`, or the time is over.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError>;

    /// Appends outside any transaction; durable and in this order when it returns.
    ///
    /// Returns the offset of each record.
    ///
    /// # Errors
    ///
    /// `Indefinite` if the records may or may not be on the log.
    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError>;

    /// Appends `first`, and with it what `linked` makes of its offsets, outside any transaction. All is durable, and
    /// nothing linked comes before what it names, when it returns. A log that knows the offsets of what it has yet to
    /// store makes one commit of both.
    ///
    /// # Errors
    ///
    /// Whatever it is, nothing linked is known to be on the log, and `first` may be there alone.
    fn append_linked(&self, first: Appends, linked: Linked) -> Result<(), LogError> {
        let mut offsets = Offsets::new();
        for (at, records) in first {
            let stored = self.append(&at, records)?;
            offsets.insert(at, stored);
        }
        for (at, records) in linked(&offsets) {
            self.append(&at, records)?;
        }
        Ok(())
    }

    /// A transactional writer. Every earlier writer of this id is fenced, and
    /// what it left open is settled, before this returns.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError>;
}

/// Writes transactions over several topics. After any error it is of no more
/// use: drop it, ask for a new one, and recover. Dropping it aborts what is open.
pub trait Writer: Send {
    /// # Errors
    ///
    /// See [`LogError`]; afterwards nothing is open.
    fn begin(&mut self) -> Result<(), LogError>;

    /// Hands a record over. It is on the log only after `acknowledge`.
    ///
    /// # Errors
    ///
    /// See [`LogError`].
    fn send(&mut self, at: &TopicPartition, record: NewRecord) -> Result<(), LogError>;

    /// Returns once every record handed over is durable, though not yet visible.
    ///
    /// # Errors
    ///
    /// See [`LogError`].
    fn acknowledge(&mut self) -> Result<(), LogError>;

    /// Makes the transaction's records visible, all or none.
    ///
    /// # Errors
    ///
    /// After `Indefinite` they may be visible, or become so.
    fn commit(&mut self) -> Result<(), LogError>;
}
