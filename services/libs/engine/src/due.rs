//! Wakeups by the time they fire. The index on disk holds them all; this holds
//! the near ones, and what the disk does not know yet.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{Tenant, Timestamp};
use tradewind_ports::{DueKey, StateStore, StoreError};

/// How far ahead of the watermark wakeups are held in memory.
const NEAR_MS: i64 = 60 * 60 * 1000;

/// Entries taken from the disk in one scan.
const SCAN: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Before it, `near` is complete.
    loaded_until: Option<Timestamp>,
    near: BTreeSet<DueKey>,
    /// Beyond `loaded_until`, of leaves the disk holds an older value of.
    far: BTreeSet<DueKey>,
    /// The disk holds more beyond `loaded_until`.
    is_more_stored: bool,
    /// Due, and held back by a gap of their tenant.
    waiting: BTreeMap<Tenant, BTreeSet<DueKey>>,
}

impl Due {
    pub(crate) fn add(&mut self, key: DueKey) {
        if self.loaded_until.is_some_and(|until| key.fires_at < until) {
            self.near.insert(key);
        } else {
            self.far.insert(key);
        }
    }

    pub(crate) fn remove(&mut self, key: &DueKey) {
        if !self.near.remove(key) && !self.far.remove(key) {
            self.waiting.retain(|_, keys| {
                keys.remove(key);
                !keys.is_empty()
            });
        }
    }

    /// The leaf's current value is on disk now, with its entry in the index.
    pub(crate) fn drained(&mut self, key: &DueKey) {
        if self.far.remove(key) {
            self.is_more_stored = true;
        }
    }

    /// Brings everything that fires by `watermark` into memory, and an hour more.
    /// `is_old` tells entries of the index on disk that count for nothing: their
    /// leaf has another value by now, without that wakeup.
    pub(crate) fn load(
        &mut self,
        watermark: Timestamp,
        store: &dyn StateStore,
        is_old: impl Fn(&DueKey) -> bool,
    ) -> Result<(), StoreError> {
        if self.loaded_until.is_some_and(|until| watermark < until) {
            return Ok(());
        }
        let until = watermark + NEAR_MS;
        let mut after: Option<DueKey> = None;
        loop {
            let keys = store.due(until, after.as_ref(), SCAN)?;
            let is_last = keys.len() < SCAN;
            after = keys.last().cloned();
            let is_loaded = |key: &DueKey| self.loaded_until.is_some_and(|loaded| key.fires_at < loaded);
            self.near.extend(keys.into_iter().filter(|key| !is_loaded(key) && !is_old(key)));
            if is_last {
                break;
            }
        }
        let beyond = DueKey { fires_at: until, round: 0, wakeup: [0; 16], leaf: Vec::new() };
        let still_far = self.far.split_off(&beyond);
        self.near.append(&mut self.far);
        self.far = still_far;
        self.loaded_until = Some(until);
        self.is_more_stored = !store.due(Timestamp::MAX, Some(&beyond), 1)?.is_empty();
        Ok(())
    }

    /// Those that fire by `watermark`, gaps aside, in the order of the index.
    pub(crate) fn reached(&self, watermark: Timestamp) -> Vec<DueKey> {
        self.near.iter().take_while(|key| key.fires_at <= watermark).cloned().collect()
    }

    pub(crate) fn is_any_reached(&self, watermark: Timestamp) -> bool {
        self.near.first().is_some_and(|key| key.fires_at <= watermark)
    }

    /// The earliest that fires, gaps aside; `None` if none is near.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.near.first().map(|key| key.fires_at)
    }

    pub(crate) fn hold(&mut self, tenant: &Tenant, key: DueKey) {
        self.near.remove(&key);
        self.waiting.entry(tenant.clone()).or_default().insert(key);
    }

    pub(crate) fn waiting_tenants(&self) -> Vec<Tenant> {
        self.waiting.keys().cloned().collect()
    }

    /// Those of a tenant that were to fire by `until`.
    pub(crate) fn waiting_until(&self, tenant: &Tenant, until: Timestamp) -> Vec<DueKey> {
        let keys = self.waiting.get(tenant).into_iter().flatten();
        keys.take_while(|key| key.fires_at <= until).cloned().collect()
    }

    /// Some wakeup waits for its time or for a source: time must go on.
    pub(crate) fn is_any(&self) -> bool {
        self.is_more_stored || !(self.near.is_empty() && self.far.is_empty() && self.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use tradewind_ports::{Checkpoint, Stored, Write};

    use super::*;

    fn key(hours: i64) -> DueKey {
        let fires_at = Timestamp::from_millis(hours * NEAR_MS);
        DueKey { fires_at, round: 0, wakeup: [1; 16], leaf: b"instance".to_vec() }
    }

    /// The index on disk.
    struct Index(Vec<DueKey>);

    impl StateStore for Index {
        fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
            Ok(None)
        }

        fn get(&self, _: &[u8]) -> Result<Option<Stored>, StoreError> {
            Ok(None)
        }

        fn due(&self, until: Timestamp, after: Option<&DueKey>, _: usize) -> Result<Vec<DueKey>, StoreError> {
            let is_in = |key: &&DueKey| key.fires_at < until && after.is_none_or(|after| *key > after);
            Ok(self.0.iter().filter(is_in).cloned().collect())
        }

        fn write(&mut self, _: &[Write]) -> Result<(), StoreError> {
            Ok(())
        }

        fn set_checkpoint(&mut self, _: &Checkpoint) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Else no tick is appended, and in a silent log it never fires.
    #[test]
    fn a_far_wakeup_is_known_of_when_only_the_disk_has_it() {
        let mut due = Due::default();
        due.load(Timestamp::from_millis(0), &Index(Vec::new()), |_| false).unwrap();
        due.add(key(3));
        due.drained(&key(3));
        assert!(due.is_any());
    }

    #[test]
    fn an_entry_counts_as_long_as_its_leaf_has_that_wakeup() {
        for is_old in [true, false] {
            let mut due = Due::default();
            due.load(Timestamp::from_millis(0), &Index(vec![key(3)]), |_| is_old).unwrap();
            due.load(key(3).fires_at, &Index(vec![key(3)]), |_| is_old).unwrap();
            assert_eq!(due.reached(key(3).fires_at).len(), usize::from(!is_old));
        }
    }
}
