//! The layers of state: what the open turn changed, over what is committed and
//! not stored yet, over a read cache, over the store.
//!
//! Invariants:
//! - A value leaves for the store only from the committed layer, so never ahead
//!   of the last acknowledged `TurnCommitted`.
//! - A step changes a leaf whole or not at all: a leaf that already holds a step
//!   ignores that step.

use std::collections::HashMap;

use tradewind_domain::Position;
use tradewind_ports::{Checkpoint, DueKey, MAX_SLICE, StateStore, StoreError, Stored, Write};

use crate::due::Due;
use crate::leaf::Leaf;

/// How much state is held and moved at once.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Leaves held in memory that the store has too.
    pub cache_leaves: usize,
    /// Leaves written to the store at once; at most [`MAX_SLICE`].
    pub slice_leaves: usize,
}

/// A leaf with the last step that changed it.
#[derive(Clone, Debug)]
struct Slot {
    /// `None` once it is removed.
    leaf: Option<Leaf>,
    position: Option<Position>,
    /// What the store's due-time index holds for this leaf.
    stored_due: Vec<DueKey>,
}

impl Slot {
    fn empty() -> Slot {
        Slot { leaf: None, position: None, stored_due: Vec::new() }
    }
}

#[derive(Debug)]
struct Drain {
    checkpoint: Checkpoint,
    /// Sorted; the last one is written first.
    keys: Vec<Vec<u8>>,
}

pub(crate) struct State {
    store: Box<dyn StateStore>,
    overlay: HashMap<Vec<u8>, Slot>,
    committed: HashMap<Vec<u8>, Slot>,
    cache: HashMap<Vec<u8>, Slot>,
    budget: Budget,
    pub(crate) due: Due,
    drain: Option<Drain>,
    step: Option<StepUnderWay>,
}

#[derive(Debug)]
struct StepUnderWay {
    position: Position,
    /// The overlay's slots as they were, of every leaf the step has changed.
    before: HashMap<Vec<u8>, Option<Slot>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("overlay", &self.overlay.len())
            .field("committed", &self.committed.len())
            .field("cache", &self.cache.len())
            .finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(store: Box<dyn StateStore>, budget: Budget) -> State {
        State {
            store,
            overlay: HashMap::new(),
            committed: HashMap::new(),
            cache: HashMap::new(),
            budget,
            due: Due::default(),
            drain: None,
            step: None,
        }
    }

    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.store.checkpoint()
    }

    /// Starts a step. What it changes can be undone until it is finished.
    pub(crate) fn begin_step(&mut self, position: Position) {
        assert!(self.step.is_none(), "expected the step before {position} to be finished");
        self.step = Some(StepUnderWay { position, before: HashMap::new() });
    }

    pub(crate) fn finish_step(&mut self) {
        self.step = None;
    }

    /// Takes back everything the step under way changed.
    pub(crate) fn undo_step(&mut self) {
        let Some(StepUnderWay { before, .. }) = self.step.take() else { return };
        for (key, slot) in before {
            let now = self.overlay.remove(&key).and_then(|slot| slot.leaf);
            // What the leaf held before the step: in the overlay, or below it.
            let was = match slot {
                Some(slot) => {
                    let leaf = slot.leaf.clone();
                    self.overlay.insert(key.clone(), slot);
                    leaf
                }
                None => self.committed.get(&key).or_else(|| self.cache.get(&key)).and_then(|slot| slot.leaf.clone()),
            };
            move_wakeups(&mut self.due, &key, now.as_ref(), was.as_ref());
        }
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<&Leaf>, StoreError> {
        if !self.overlay.contains_key(key) && !self.committed.contains_key(key) {
            self.load(key)?;
        }
        let layers = [&self.overlay, &self.committed, &self.cache];
        Ok(layers.into_iter().find_map(|layer| layer.get(key)).and_then(|slot| slot.leaf.as_ref()))
    }

    /// Changes one leaf in the step under way. Does nothing if the leaf already
    /// holds this step or a later one, as it may while the log is read again.
    pub(crate) fn update(&mut self, key: Vec<u8>, change: impl FnOnce(&mut Option<Leaf>)) -> Result<(), StoreError> {
        let step = self.step.as_ref().expect("a leaf changes within a step");
        let position = step.position;
        let is_first = !step.before.contains_key(&key);
        if !self.overlay.contains_key(&key) && !self.committed.contains_key(&key) {
            self.load(&key)?;
        }
        let known = [&self.overlay, &self.committed, &self.cache].into_iter().find_map(|layer| layer.get(&key));
        if is_first && known.and_then(|slot| slot.position).is_some_and(|held| held >= position) {
            return Ok(());
        }
        // The change is made on a copy: should it panic, nothing has happened yet.
        let mut changed = known.cloned().unwrap_or_else(Slot::empty);
        change(&mut changed.leaf);
        changed.position = Some(position);
        let was = known.and_then(|slot| slot.leaf.as_ref());
        move_wakeups(&mut self.due, &key, was, changed.leaf.as_ref());
        let overlaid = self.overlay.insert(key.clone(), changed);
        if is_first {
            self.step.as_mut().expect("a step is under way").before.insert(key, overlaid);
        }
        Ok(())
    }

    /// Brings what the store has of a leaf into the cache, be it nothing.
    fn load(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if self.cache.contains_key(key) {
            return Ok(());
        }
        if let Some(Stored { position, bytes }) = self.store.get(key)? {
            let leaf = Leaf::decode(&bytes).ok_or_else(|| StoreError::Damaged {
                reason: format!("the value of key {key:02x?} is no leaf of this fold version"),
            })?;
            let stored_due = due_keys(key, Some(&leaf));
            self.put_in_cache(key.to_vec(), Slot { leaf: Some(leaf), position: Some(position), stored_due });
        } else {
            // That there is none is worth knowing too: the store looks longest for what it has not.
            self.put_in_cache(key.to_vec(), Slot::empty());
        }
        Ok(())
    }

    fn put_in_cache(&mut self, key: Vec<u8>, slot: Slot) {
        if self.cache.len() >= self.budget.cache_leaves {
            // What a decision reads never depends on what the cache holds, so any
            // leaf will do; dropping half at once costs nothing per leaf.
            let mut keep = false;
            self.cache.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        self.cache.insert(key, slot);
    }

    /// Brings the wakeups that fire by `watermark` into memory.
    pub(crate) fn load_due(&mut self, watermark: tradewind_domain::Timestamp) -> Result<(), StoreError> {
        let State { store, overlay, committed, due, .. } = self;
        due.load(watermark, store.as_ref(), |leaf| overlay.contains_key(leaf) || committed.contains_key(leaf))
    }

    /// The open turn is committed: its values may leave for the store.
    pub(crate) fn absorb(&mut self) {
        for (key, slot) in self.overlay.drain() {
            self.cache.remove(&key);
            self.committed.insert(key, slot);
        }
    }

    pub(crate) fn open_leaves(&self) -> usize {
        self.overlay.len()
    }

    pub(crate) fn committed_leaves(&self) -> usize {
        self.committed.len()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Begins to write out everything that is committed, so that `checkpoint`
    /// can be set in the end.
    pub(crate) fn begin_drain(&mut self, checkpoint: Checkpoint) {
        assert!(self.drain.is_none(), "expected the drain before to be finished");
        let mut keys: Vec<Vec<u8>> = self.committed.keys().cloned().collect();
        keys.sort_unstable_by(|a, b| b.cmp(a));
        self.drain = Some(Drain { checkpoint, keys });
    }

    /// Writes one slice; with the last one the checkpoint. True when it is done.
    pub(crate) fn drain_slice(&mut self) -> Result<bool, StoreError> {
        let Some(mut drain) = self.drain.take() else { return Ok(true) };
        let slice_keys =
            drain.keys.split_off(drain.keys.len().saturating_sub(self.budget.slice_leaves.clamp(1, MAX_SLICE)));
        let mut slice = Vec::with_capacity(slice_keys.len());
        for key in &slice_keys {
            // A newer committed value may have taken its place: as good.
            let Some(slot) = self.committed.get(key) else { continue };
            slice.push(write_of(key, slot));
        }
        self.store.write(&slice)?;
        for key in slice_keys {
            let Some(mut slot) = self.committed.remove(&key) else { continue };
            slot.stored_due = due_keys(&key, slot.leaf.as_ref());
            if !self.overlay.contains_key(&key) {
                slot.stored_due.iter().for_each(|due| self.due.drained(due));
            }
            if let Some(overlaid) = self.overlay.get_mut(&key) {
                overlaid.stored_due.clone_from(&slot.stored_due);
            }
            if slot.leaf.is_some() {
                self.put_in_cache(key, slot);
            }
        }
        if drain.keys.is_empty() {
            self.store.set_checkpoint(&drain.checkpoint)?;
            return Ok(true);
        }
        self.drain = Some(drain);
        Ok(false)
    }
}

fn move_wakeups(due: &mut Due, key: &[u8], was: Option<&Leaf>, now: Option<&Leaf>) {
    let (was, now) = (due_keys(key, was), due_keys(key, now));
    was.iter().filter(|key| !now.contains(key)).for_each(|key| due.remove(key));
    now.into_iter().filter(|key| !was.contains(key)).for_each(|key| due.add(key));
}

fn due_keys(key: &[u8], leaf: Option<&Leaf>) -> Vec<DueKey> {
    leaf.map_or(Vec::new(), |leaf| leaf.wakeups().iter().map(|wakeup| wakeup.due_key(key)).collect())
}

fn write_of(key: &[u8], slot: &Slot) -> Write {
    let due = due_keys(key, slot.leaf.as_ref());
    let without = |these: &[DueKey], those: &[DueKey]| -> Vec<DueKey> {
        these.iter().filter(|due| !those.contains(due)).cloned().collect()
    };
    Write {
        key: key.to_vec(),
        value: slot.leaf.as_ref().map(|leaf| Stored {
            position: slot.position.expect("a changed leaf has a position"),
            bytes: leaf.encode(),
        }),
        due_removed: without(&slot.stored_due, &due),
        due_added: without(&due, &slot.stored_due),
    }
}
