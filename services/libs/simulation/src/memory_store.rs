//! A store in memory that can fall back, as one does that lost what it had not
//! synced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tradewind_domain::Timestamp;
use tradewind_ports::{Checkpoint, DueKey, StateStore, StoreError, Stored, Write};

use crate::faults::{Faults, Operation, ProcessId};

/// The disk: it outlives the processes that open it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    now: Contents,
    /// As it was before each of the last writes, newest last.
    before: Vec<Contents>,
}

/// Writes that can be taken back.
const REMEMBERED: usize = 3;

#[derive(Clone, Debug, Default, PartialEq)]
struct Contents {
    leaves: BTreeMap<Vec<u8>, Stored>,
    due: BTreeSet<DueKey>,
    checkpoint: Option<Checkpoint>,
}

impl MemoryStore {
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// The store as one process opens it.
    #[must_use]
    pub fn open(&self, process: ProcessId, faults: &Faults) -> Box<dyn StateStore> {
        Box::new(Opened { disk: self.clone(), process, faults: faults.clone() })
    }

    /// Takes the last `writes` back, as far as they are remembered.
    pub fn fall_back(&self, writes: usize) {
        let mut disk = self.disk();
        for _ in 0..writes {
            if let Some(before) = disk.before.pop() {
                disk.now = before;
            }
        }
    }

    /// Becomes what another disk is now.
    pub fn copy_from(&self, other: &MemoryStore) {
        let now = other.disk().now.clone();
        *self.disk() = Disk { now, before: Vec::new() };
    }

    /// Loses everything.
    pub fn lose(&self) {
        *self.disk() = Disk::default();
    }

    /// Every leaf, by key.
    #[must_use]
    pub fn leaves(&self) -> BTreeMap<Vec<u8>, Stored> {
        self.disk().now.leaves.clone()
    }

    /// The due-time index, whole.
    #[must_use]
    pub fn due(&self) -> Vec<DueKey> {
        self.disk().now.due.iter().cloned().collect()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no test panics while it holds the disk")
    }
}

#[derive(Debug)]
struct Opened {
    disk: MemoryStore,
    process: ProcessId,
    faults: Faults,
}

impl Opened {
    fn change(&self, operation: Operation, change: impl FnOnce(&mut Contents)) -> Result<(), StoreError> {
        let strike = self.faults.strike(self.process, operation);
        if strike.takes_effect() {
            let mut disk = self.disk.disk();
            let before = disk.now.clone();
            disk.before.push(before);
            if disk.before.len() > REMEMBERED {
                disk.before.remove(0);
            }
            change(&mut disk.now);
        }
        if strike.is_answered() {
            Ok(())
        } else {
            Err(StoreError::Unavailable { reason: "the disk did not answer".into() })
        }
    }
}

impl StateStore for Opened {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.disk.disk().now.checkpoint.clone())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Stored>, StoreError> {
        Ok(self.disk.disk().now.leaves.get(key).cloned())
    }

    fn due(&self, until: Timestamp, after: Option<&DueKey>, limit: usize) -> Result<Vec<DueKey>, StoreError> {
        let disk = self.disk.disk();
        let keys = disk.now.due.iter().filter(|key| after.is_none_or(|after| *key > after));
        Ok(keys.take_while(|key| key.fires_at < until).take(limit).cloned().collect())
    }

    fn write(&mut self, slice: &[Write]) -> Result<(), StoreError> {
        self.change(Operation::StoreWrite, |contents| {
            for write in slice {
                match &write.value {
                    Some(stored) => contents.leaves.insert(write.key.clone(), stored.clone()),
                    None => contents.leaves.remove(&write.key),
                };
                for due in &write.due_removed {
                    contents.due.remove(due);
                }
                contents.due.extend(write.due_added.iter().cloned());
            }
        })
    }

    fn set_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.change(Operation::StoreCheckpoint, |contents| contents.checkpoint = Some(checkpoint.clone()))
    }
}
