//! The port, on one tree of sled.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use tradewind_domain::Timestamp;
use tradewind_ports::{Checkpoint, DueKey, MAX_SLICE, StateStore, StoreError, Stored, Write};

use crate::guarded::{Guarded, collect};
use crate::layout::{self, CHECKPOINT_KEY, DUE, LEDGER_KEY};
use crate::ledger::Ledger;
use crate::opening::Settings;
use crate::scan::{self, Behind};

/// An open store. It is whole, or a scan behind it is about to say that it is not.
pub struct Store {
    guarded: Arc<Guarded>,
    ledger: Ledger,
    /// Nothing is written before it has ended.
    scan: Option<Behind>,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub leaves: u64,
    pub due: u64,
    pub disk_bytes: u64,
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store in a folder that is not there yet.
    pub(crate) fn create(folder: &Path, settings: &Settings, lock: Arc<File>) -> Result<Store, StoreError> {
        let guarded = Arc::new(Guarded::open(folder, settings.cache_bytes(), lock)?);
        let ledger = Ledger { fold_version: settings.fold_version, ..Ledger::default() };
        guarded.call(|db| db.insert(LEDGER_KEY, layout::encode_ledger(&ledger)))?;
        guarded.sync()?;
        Ok(Store { guarded, ledger, scan: None })
    }

    /// `alive` is called on the way.
    pub(crate) fn open(
        folder: &Path,
        settings: &Settings,
        lock: Arc<File>,
        alive: &dyn Fn(),
    ) -> Result<Store, StoreError> {
        let guarded = Arc::new(Guarded::open(folder, settings.cache_bytes(), lock)?);
        let ledger = Store::ledger(&guarded, settings).map_err(|error| guarded.condemn(error))?;
        let mut store = Store { guarded, ledger, scan: None };
        if ledger.leaves <= settings.scan_at_open_leaves {
            let go_on = || {
                alive();
                true
            };
            scan::whole(&store.guarded, &ledger, &go_on)?;
        } else {
            store.scan = Some(Behind::start(store.guarded.clone(), ledger)?);
        }
        Ok(store)
    }

    fn ledger(guarded: &Guarded, settings: &Settings) -> Result<Ledger, StoreError> {
        let damaged = |reason: String| StoreError::Damaged { reason };
        let value = guarded.call(|db| db.get(LEDGER_KEY))?;
        // sled begins anew without a word if its file is gone or holds nothing.
        let value = value.ok_or_else(|| damaged("it has no ledger: it was emptied, or never finished".into()))?;
        let ledger = layout::decode_ledger(&value)?;
        if ledger.fold_version != settings.fold_version {
            let reason = format!("expected fold version {}, got {}", settings.fold_version, ledger.fold_version);
            return Err(damaged(reason));
        }
        if let Some(value) = guarded.call(|db| db.get(CHECKPOINT_KEY))? {
            let (checkpoint, slice) = layout::decode_checkpoint(&value)?;
            if slice > ledger.slice {
                let position = checkpoint.position;
                let reason = format!("its position {position} is of slice {slice}, its values are of {}", ledger.slice);
                return Err(damaged(reason));
            }
        }
        Ok(ledger)
    }

    /// # Errors
    ///
    /// See [`StoreError`].
    pub fn sizes(&self) -> Result<Sizes, StoreError> {
        let disk_bytes = self.guarded.call(|db| db.size_on_disk())?;
        Ok(Sizes { leaves: self.ledger.leaves, due: self.ledger.due, disk_bytes })
    }

    fn wait_for_scan(&mut self) {
        if let Some(scan) = self.scan.take() {
            scan.wait();
        }
    }

    /// The ledger once `changes` are made. It reads what they replace, and so
    /// finds damage there.
    fn ledger_after(&self, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<Ledger, StoreError> {
        let mut ledger = Ledger { slice: self.ledger.slice + 1, ..self.ledger };
        for (key, value) in changes {
            let before = self.guarded.call(|db| db.get(key))?;
            let count = if key[0] == DUE { &mut ledger.due } else { &mut ledger.leaves };
            match (&before, value) {
                (None, Some(_)) => *count += 1,
                (Some(_), None) => *count -= 1,
                (None, None) | (Some(_), Some(_)) => {}
            }
            if let Some(before) = before {
                let checksum = layout::checked(key, &before).map_err(|error| self.guarded.condemn(error))?;
                ledger.subtract(key, checksum);
            }
            if let Some(value) = value {
                ledger.add(key, layout::checked(key, value)?);
            }
        }
        Ok(ledger)
    }
}

/// What a slice comes to, key by key. A batch of sled has no order within it, so
/// what is written twice is settled here: the last one counts.
fn changes(slice: &[Write]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut changes = BTreeMap::new();
    for Write { key, value, due_removed, due_added } in slice {
        let key = layout::leaf_key(key);
        let value = value.as_ref().map(|stored| layout::encode_leaf(&key, stored));
        changes.insert(key, value);
        for due in due_removed {
            changes.insert(layout::due_key(due), None);
        }
        for due in due_added {
            let key = layout::due_key(due);
            let value = layout::due_value(&key);
            changes.insert(key, Some(value));
        }
    }
    changes
}

impl StateStore for Store {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let Some(value) = self.guarded.call(|db| db.get(CHECKPOINT_KEY))? else { return Ok(None) };
        let (checkpoint, _) = layout::decode_checkpoint(&value).map_err(|error| self.guarded.condemn(error))?;
        Ok(Some(checkpoint))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Stored>, StoreError> {
        let key = layout::leaf_key(key);
        let Some(value) = self.guarded.call(|db| db.get(&key))? else { return Ok(None) };
        layout::decode_leaf(&key, &value).map(Some).map_err(|error| self.guarded.condemn(error))
    }

    fn due(&self, until: Timestamp, after: Option<&DueKey>, limit: usize) -> Result<Vec<DueKey>, StoreError> {
        let from = after.map_or(Bound::Included(vec![DUE]), |after| Bound::Excluded(layout::due_key(after)));
        let until = layout::due_times_before(until);
        if let Bound::Excluded(from) = &from
            && *from >= until
        {
            return Ok(Vec::new());
        }
        let range = (from, Bound::Excluded(until));
        let found = self.guarded.call(|db| db.range(range).take(limit).collect::<sled::Result<Vec<_>>>())?;
        let decode = |(key, value): &(sled::IVec, sled::IVec)| {
            layout::checked(key, value)?;
            layout::decode_due_key(key)
        };
        found.iter().map(decode).collect::<Result<_, _>>().map_err(|error| self.guarded.condemn(error))
    }

    fn write(&mut self, slice: &[Write]) -> Result<(), StoreError> {
        assert!(slice.len() <= MAX_SLICE, "expected a slice of at most {MAX_SLICE} leaves, got {}", slice.len());
        self.wait_for_scan();
        let changes = changes(slice);
        let ledger = self.ledger_after(&changes)?;
        let mut batch = sled::Batch::default();
        batch.insert(LEDGER_KEY, layout::encode_ledger(&ledger));
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.guarded.call(|db| db.apply_batch(batch))?;
        self.ledger = ledger;
        collect();
        Ok(())
    }

    fn set_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.wait_for_scan();
        // The values first, to the disk; then the position, which vouches for them.
        self.guarded.sync()?;
        let value = layout::encode_checkpoint(checkpoint, self.ledger.slice);
        self.guarded.call(|db| db.insert(CHECKPOINT_KEY, value))?;
        self.guarded.sync()
    }
}

#[cfg(test)]
mod tests {
    use tradewind_domain::{Lineage, Position};

    use super::*;
    use crate::opening::Opening;

    fn stored(offset: u64) -> Stored {
        Stored { position: Position::fold(offset), bytes: b"a leaf".to_vec() }
    }

    fn due(leaf: &[u8]) -> DueKey {
        DueKey { fires_at: Timestamp::from_millis(7), round: 0, wakeup: [1; 16], leaf: leaf.to_vec() }
    }

    fn write(key: &[u8], offset: u64) -> Write {
        Write { key: key.to_vec(), value: Some(stored(offset)), due_removed: Vec::new(), due_added: vec![due(key)] }
    }

    /// A store as sled may give it back from a damaged log, and say nothing.
    fn forged(opening: &Opening, forge: impl FnOnce(&sled::Db) -> sled::Result<()>) {
        let mut store = opening.open().expect("a new store").store;
        store.write(&[write(b"a", 1), write(b"b", 1)]).expect("a written slice");
        store.write(&[write(b"a", 2)]).expect("a written slice");
        store.guarded.call(forge).expect("a forged store");
    }

    fn check(forge: impl Fn(&sled::Db) -> sled::Result<()>, expected: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut opening = Opening { dir: dir.path().into(), settings: Settings::new(1, 0) };
        forged(&opening, &forge);
        let opened = opening.open().expect("a store that opens");
        let rebuilt = opened.rebuilt.expect("announced");
        assert!(rebuilt.reason.contains(expected), "{}", rebuilt.reason);
        drop(opened.store);

        opening.move_aside("the next check begins anew").expect("moved aside");
        forged(&opening, &forge);
        opening.settings.scan_at_open_leaves = 0;
        let mut opened = opening.open().expect("a store that opens");
        assert_eq!(opened.rebuilt, None);
        let error = opened.store.write(&[]).expect_err("damage");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(opened.store.get(b"b").expect_err("damage").to_string(), error.to_string());
    }

    #[test]
    fn an_older_value_is_damage() {
        let key = layout::leaf_key(b"a");
        let older = layout::encode_leaf(&key, &stored(1));
        check(|db| db.insert(&key, older.as_slice()).map(drop), "it holds 2 leaves and 2 due times with the sum");
    }

    #[test]
    fn a_lost_value_is_damage() {
        check(|db| db.remove(layout::leaf_key(b"a")).map(drop), "it holds 1 leaves and 2 due times");
    }

    #[test]
    fn a_lost_due_time_is_damage() {
        check(|db| db.remove(layout::due_key(&due(b"b"))).map(drop), "it holds 2 leaves and 1 due times");
    }

    #[test]
    fn an_older_ledger_is_damage() {
        let older = layout::encode_ledger(&Ledger { fold_version: 1, slice: 1, leaves: 1, ..Ledger::default() });
        check(|db| db.insert(LEDGER_KEY, older.as_slice()).map(drop), "expected 1, 0 and 0000000000000000");
    }

    #[test]
    fn a_key_nobody_writes_is_damage() {
        check(|db| db.insert(b"x", b"").map(drop), "key x is none of this layout");
    }

    /// As a disk might leave it that lost what it had called synced.
    #[test]
    fn a_position_ahead_of_its_values_is_damage() {
        let dir = tempfile::tempdir().expect("a directory");
        let opening = Opening { dir: dir.path().into(), settings: Settings::new(1, 0) };
        let checkpoint = Checkpoint {
            lineage: Lineage::from_bytes([5; 16]),
            fold_version: 1,
            position: Position::fold(41),
            decisions_offset: 0,
            watermark: Timestamp::MIN,
            partition: Vec::new(),
        };
        let ahead = layout::encode_checkpoint(&checkpoint, 3);
        forged(&opening, |db| db.insert(CHECKPOINT_KEY, ahead).map(drop));
        let rebuilt = opening.open().expect("a store that opens").rebuilt.expect("announced");
        assert_eq!(rebuilt.reason, "its position 41.0 is of slice 3, its values are of 2");
    }
}
