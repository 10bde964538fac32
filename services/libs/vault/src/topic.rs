//! The keys' topic as a process reads it: what changed, from where to where.

use std::path::Path;
use std::sync::Arc;

use tradewind_domain::KeyId;
use tradewind_ports::{
    Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, Record, Topic, TopicPartition, VaultError,
};
use tradewind_wire::vault::{self, KeyEntry};

/// One read, and one frame of the copy.
const READ: ReadLimit = ReadLimit { records: 5_000, bytes: 1 << 20 };

/// The record key of a beat, which rolls the segment so that tombstones are
/// cleaned away. It says nothing about any key, whatever its value.
const BEAT: &[u8] = b"beat";

/// What one record says.
#[derive(Debug)]
pub(crate) enum Change {
    Made(KeyEntry),
    Erased(KeyId),
}

/// Why the vault did not do as asked, for all who wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Damaged(String),
    Unavailable(String),
}

pub(crate) struct KeysTopic {
    log: Arc<dyn EventLog>,
    pub(crate) at: TopicPartition,
}

impl KeysTopic {
    pub(crate) fn new(log: Arc<dyn EventLog>) -> KeysTopic {
        KeysTopic { log, at: Topic::Keys.partition(0) }
    }

    pub(crate) fn append(&self, records: Vec<NewRecord>) -> Result<(), Trouble> {
        self.log.append(&self.at, records)?;
        Ok(())
    }

    /// The bounds of the topic, which reaches at least as far as it was read.
    pub(crate) fn bounds(&self, next: u64, path: &Path) -> Result<Bounds, Trouble> {
        let bounds = self.log.bounds(&self.at)?;
        if bounds.end < next {
            let found = format!("it ends at {}, before offset {next} that was read", bounds.end);
            return Err(self.another_log(path, &found));
        }
        Ok(bounds)
    }

    /// Hands over what stands from one offset to another, and how far that goes.
    pub(crate) fn read(
        &self,
        from: u64,
        end: u64,
        mut take: impl FnMut(&[(u64, Change)], u64) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut next = from;
        while next < end {
            let Batch { records, next: read_to } = self.log.read(&self.at, next, READ)?;
            if read_to <= next {
                return Err(Trouble::Unavailable(format!("{} stopped at {next}, before its end {end}", self.at)));
            }
            let mut changes = Vec::with_capacity(records.len());
            for record in records.iter().filter(|record| record.key != BEAT) {
                let damaged = |what| Trouble::Damaged(format!("{} at offset {}: {what}", self.at, record.offset));
                changes.push((record.offset, Change::of(record).map_err(damaged)?));
            }
            take(&changes, read_to)?;
            next = read_to;
        }
        Ok(())
    }

    /// Whether the record there is the one that was read, unless it was cleaned away since.
    pub(crate) fn check_record(&self, offset: u64, id: KeyId, path: &Path) -> Result<(), Trouble> {
        let Bounds { start, end } = self.bounds(offset + 1, path)?;
        if !(start..end).contains(&offset) {
            return Ok(());
        }
        let batch = self.log.read(&self.at, offset, ReadLimit { records: 1, ..READ })?;
        let is_another = |record: &Record| record.offset == offset && record.key.as_slice() != id.as_bytes();
        if batch.records.first().is_some_and(is_another) {
            return Err(self.another_log(path, &format!("it holds another key at offset {offset}")));
        }
        Ok(())
    }

    fn another_log(&self, path: &Path, found: &str) -> Trouble {
        Trouble::Unavailable(format!(
            "{at} is not the log that {path} was read from: {found}; connect to the right one, or restore it; if keys \
             were lost on purpose, delete {path}",
            at = self.at,
            path = path.display()
        ))
    }
}

impl Change {
    /// What a record of the topic says, or what is wrong with it.
    pub(crate) fn of(record: &Record) -> Result<Change, String> {
        let key = <[u8; 16]>::try_from(record.key.as_slice()).map(KeyId::from_bytes);
        let id = key.map_err(|_| "expected a key's id as the record's key".to_owned())?;
        match vault::decode_record(record).map_err(|error| error.to_string())? {
            None => Ok(Change::Erased(id)),
            Some(entry) if entry.id == id => Ok(Change::Made(entry)),
            Some(entry) => Err(format!("expected the entry of {id}, got that of {}", entry.id)),
        }
    }

    pub(crate) fn id(&self) -> KeyId {
        match self {
            Change::Made(entry) => entry.id,
            Change::Erased(id) => *id,
        }
    }
}

impl From<Trouble> for VaultError {
    fn from(trouble: Trouble) -> VaultError {
        match trouble {
            Trouble::Damaged(reason) => VaultError::Damaged { reason },
            Trouble::Unavailable(reason) => VaultError::Unavailable { reason },
        }
    }
}

impl From<VaultError> for Trouble {
    fn from(error: VaultError) -> Trouble {
        match error {
            VaultError::Damaged { reason } => Trouble::Damaged(reason),
            VaultError::Unavailable { reason } => Trouble::Unavailable(reason),
        }
    }
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Trouble {
        let reason = error.to_string();
        match error {
            LogError::Lost { .. } | LogError::Damaged { .. } => Trouble::Damaged(reason),
            LogError::Fenced
            | LogError::Indefinite { .. }
            | LogError::Unavailable { .. }
            | LogError::Refused { .. } => Trouble::Unavailable(reason),
        }
    }
}
