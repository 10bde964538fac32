//! The control plane and the vault's keys: the newest record of each entry goes
//! over, a tenant's with its new placement.

use std::collections::BTreeMap;

use tradewind_domain::{DirectoryEntry, DirectoryValue, Tenant, TenantEntry, partition_of};
use tradewind_ports::{EventLog, NewRecord, Record, Topic, TopicPartition};
use tradewind_wire::directory;

use super::Move;
use super::error::MoveError;
use crate::cursor::Cursor;

/// Entries appended at once.
const BATCH: usize = 500;

/// Where a tenant's facts lie, and the epoch of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) partition: u32,
    pub(super) epoch: u32,
}

pub(super) struct Control {
    keys: BTreeMap<Vec<u8>, Record>,
    entries: Vec<(Record, DirectoryEntry)>,
    /// In the source.
    epochs: BTreeMap<Tenant, u32>,
}

impl Control {
    pub(super) fn read(source: &dyn EventLog) -> Result<Control, MoveError> {
        let keys = newest(source, &Topic::Keys.partition(0))?;
        let at = Topic::Directory.partition(0);
        let (mut entries, mut epochs) = (Vec::new(), BTreeMap::new());
        for record in newest(source, &at)?.into_values() {
            let offset = record.offset;
            let entry = directory::decode(&record).map_err(|source| MoveError::Unreadable {
                at: at.clone(),
                offset,
                source,
            })?;
            let Some(entry) = entry else { continue };
            if let DirectoryValue::Tenant(tenant) = &entry.value {
                epochs.insert(tenant.tenant.clone(), tenant.placement);
            }
            entries.push((record, entry));
        }
        Ok(Control { keys, entries, epochs })
    }

    /// A tenant the directory doesn't know is placed as a new one.
    pub(super) fn placement(&self, tenant: &Tenant, partitions: u32) -> Placement {
        let epoch = self.epochs.get(tenant).map_or(1, |epoch| epoch + 1);
        Placement { partition: partition_of(tenant.as_str(), partitions), epoch }
    }

    /// Appends what the target lacks. Returns how many entries there are.
    pub(super) fn write(&self, target: &dyn EventLog, moving: &Move) -> Result<u64, MoveError> {
        let partitions = moving.target_partitions;
        let keys: Vec<NewRecord> = self.keys.values().map(copy).chain(moving.keys.iter().cloned()).collect();
        let entries: Vec<NewRecord> =
            self.entries.iter().filter_map(|(record, entry)| self.placed(record, entry, partitions)).collect();
        let count = (keys.len() + entries.len()) as u64;
        append_missing(target, &Topic::Keys.partition(0), keys)?;
        append_missing(target, &Topic::Directory.partition(0), entries)?;
        Ok(count)
    }

    fn placed(&self, record: &Record, entry: &DirectoryEntry, partitions: u32) -> Option<NewRecord> {
        match &entry.value {
            DirectoryValue::Tenant(known) => {
                let Placement { partition, epoch } = self.placement(&known.tenant, partitions);
                let value = DirectoryValue::Tenant(TenantEntry { partition, placement: epoch, ..known.clone() });
                Some(directory::record(&DirectoryEntry { version: entry.version + 1, value }))
            }
            // Where a partition of the source was owned.
            DirectoryValue::Owner(_) => None,
            DirectoryValue::Connection(_)
            | DirectoryValue::Definition(_)
            | DirectoryValue::Switch { .. }
            | DirectoryValue::Format(_) => Some(copy(record)),
        }
    }
}

fn copy(record: &Record) -> NewRecord {
    NewRecord { key: record.key.clone(), headers: record.headers.clone(), value: record.value.clone() }
}

/// The newest record of each key that was not removed.
fn newest(log: &dyn EventLog, at: &TopicPartition) -> Result<BTreeMap<Vec<u8>, Record>, MoveError> {
    let mut newest = BTreeMap::new();
    let mut records = Cursor::open(log, at.clone())?;
    while let Some(record) = records.next()? {
        if record.value.is_none() {
            newest.remove(&record.key);
        } else {
            newest.insert(record.key.clone(), record);
        }
    }
    Ok(newest)
}

fn append_missing(target: &dyn EventLog, at: &TopicPartition, entries: Vec<NewRecord>) -> Result<(), MoveError> {
    let found = newest(target, at)?;
    let mut missing = Vec::new();
    for entry in entries {
        match found.get(&entry.key) {
            None => missing.push(entry),
            Some(known) if known.value == entry.value => {}
            Some(known) => {
                let expected = format!("no other entry of key {}", entry.key.escape_ascii());
                return Err(MoveError::Occupied { at: at.clone(), offset: known.offset, expected });
            }
        }
    }
    for batch in missing.chunks(BATCH) {
        target.append(at, batch.to_vec())?;
    }
    Ok(())
}
