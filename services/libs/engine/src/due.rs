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
        self.far.remove(key);
    }

    /// Brings everything that fires by `watermark` into memory, and an hour more.
    /// `is_in_memory` tells leaves whose value on disk is old, so that its entry
    /// in the index on disk counts for nothing.
    pub(crate) fn load(
        &mut self,
        watermark: Timestamp,
        store: &dyn StateStore,
        is_in_memory: impl Fn(&[u8]) -> bool,
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
            let fresh: Vec<DueKey> =
                keys.into_iter().filter(|key| !is_loaded(key) && !is_in_memory(&key.leaf)).collect();
            self.near.extend(fresh);
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
