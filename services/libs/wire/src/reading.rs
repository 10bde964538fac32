//! What several services read alike: the directory, whole and then on, and the
//! event a partition opens with.

use std::fmt;

use tradewind_domain::{DirectoryEntry, Envelope};
use tradewind_ports::{Bounds, EventLog, LogError, ReadLimit, Topic, TopicPartition};

use crate::error::DecodeError;
use crate::{directory, record};

const BATCH: ReadLimit = ReadLimit { records: 1_000, bytes: 4 << 20 };

const ONE: ReadLimit = ReadLimit { records: 1, bytes: 1 << 20 };

#[derive(Debug)]
pub enum ReadError {
    Log(LogError),
    Unreadable { at: TopicPartition, offset: u64, source: DecodeError },
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Log(error) => error.fmt(formatter),
            ReadError::Unreadable { at, offset, source } => {
                write!(formatter, "read {at} at offset {offset}: {source}")
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl From<LogError> for ReadError {
    fn from(error: LogError) -> ReadError {
        ReadError::Log(error)
    }
}

/// A place in the directory (D17). What of it is kept is each reader's own.
#[derive(Debug, Default)]
pub struct DirectoryReader {
    next: Option<u64>,
}

impl DirectoryReader {
    /// Reads to the end: `learn` gets every record's key with its entry, or `None`
    /// for one that is gone. Returns whether there was any.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]; what was learnt stands, and it can be followed on.
    pub fn follow(
        &mut self,
        log: &dyn EventLog,
        mut learn: impl FnMut(&[u8], Option<DirectoryEntry>),
    ) -> Result<bool, ReadError> {
        let at = Topic::Directory.partition(0);
        // Asked every time: a read gets to an end that was told, or fails, where it else might see nothing for ever.
        let Bounds { start, end } = log.bounds(&at)?;
        let mut next = self.next.unwrap_or(start);
        let mut has_learnt = false;
        loop {
            if next >= end {
                self.next = Some(next);
                return Ok(has_learnt);
            }
            let batch = log.read(&at, next, BATCH)?;
            for stored in &batch.records {
                let entry = directory::decode(stored).map_err(|source| ReadError::Unreadable {
                    at: at.clone(),
                    offset: stored.offset,
                    source,
                })?;
                learn(&stored.key, entry);
                has_learnt = true;
            }
            next = batch.next;
            self.next = Some(next);
        }
    }

    /// From where it reads on.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.unwrap_or(0)
    }
}

/// The event a partition opens with, which is to be its lineage; `None` for an
/// empty one.
///
/// # Errors
///
/// See [`ReadError`].
pub fn first_event(log: &dyn EventLog, partition: u32) -> Result<Option<Envelope>, ReadError> {
    let at = Topic::Events.partition(partition);
    let start = log.bounds(&at)?.start;
    let first = log.read(&at, start, ONE)?.records.into_iter().next();
    let envelope = first.map(|stored| {
        let offset = stored.offset;
        record::envelope(&stored).map_err(|source| ReadError::Unreadable { at, offset, source })
    });
    envelope.transpose()
}
