//! The layers of state: what the open turn changed, over what is committed and
//! not stored yet, over a read cache, over the store. One map holds them all: a
//! leaf's newest value with the layer it is in, and beneath a value of the open
//! turn the committed one that the store still lacks.
//!
//! Invariants:
//! - A value leaves for the store only from the committed layer, so never ahead
//!   of the last acknowledged `TurnCommitted`.
//! - A step changes a leaf whole or not at all: a leaf that already holds a step
//!   ignores that step.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::{EntryRef, OccupiedEntry};
use tradewind_domain::Position;
use tradewind_ports::{Checkpoint, DueKey, MAX_SLICE, StateStore, StoreError, Stored, Write};

use crate::due::Due;
use crate::key::LeafKey;
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
#[derive(Clone, Debug, Default)]
struct Slot {
    /// `None` if it was removed, or never was.
    leaf: Option<Leaf>,
    position: Option<Position>,
    /// What the store's due-time index holds for this leaf.
    stored_due: Vec<DueKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// The store has it; it may be dropped.
    Cached,
    /// Changed in the turn of this number: open if that turn is, else committed.
    Turn(u64),
}

/// What memory holds of one leaf.
#[derive(Clone, Debug)]
struct Held {
    slot: Slot,
    layer: Layer,
    /// What is committed and not stored, under a value of the open turn.
    beneath: Option<Arc<Slot>>,
    /// The number of the step that changed it last.
    step: u64,
}

impl Held {
    fn cached(slot: Slot) -> Held {
        Held { slot, layer: Layer::Cached, beneath: None, step: 0 }
    }
}

#[derive(Debug)]
struct Drain {
    checkpoint: Checkpoint,
    /// Sorted; the last one is written first.
    keys: Vec<Arc<[u8]>>,
}

pub(crate) struct State {
    store: Box<dyn StateStore>,
    leaves: HashMap<Arc<[u8]>, Held>,
    budget: Budget,
    pub(crate) due: Due,
    drain: Option<Drain>,
    /// The number of the open turn.
    turn: u64,
    /// How many leaves are not in the store as they are.
    unstored: usize,
    /// How many of those the open turn has changed.
    open: usize,
    /// How many of those have a committed value beneath.
    covered: usize,
    /// Which leaves got one in the open turn; some may have lost it to the store since.
    covered_keys: Vec<Arc<[u8]>>,
    /// The step under way.
    step: Option<Position>,
    /// Its number, or that of the last one.
    steps: u64,
    /// What every leaf was that the step under way has changed.
    before: Vec<(Arc<[u8]>, Held)>,
    /// The bytes of the key in hand.
    key: Vec<u8>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("held", &self.leaves.len())
            .field("unstored", &self.unstored)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(store: Box<dyn StateStore>, budget: Budget) -> State {
        State {
            store,
            leaves: HashMap::new(),
            budget,
            due: Due::default(),
            drain: None,
            turn: 1,
            unstored: 0,
            open: 0,
            covered: 0,
            covered_keys: Vec::new(),
            step: None,
            steps: 0,
            before: Vec::new(),
            key: Vec::new(),
        }
    }

    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.store.checkpoint()
    }

    /// Starts a step. What it changes can be undone until it is finished.
    pub(crate) fn begin_step(&mut self, position: Position) {
        assert!(self.step.is_none(), "expected the step before {position} to be finished");
        self.steps += 1;
        self.step = Some(position);
    }

    pub(crate) fn finish_step(&mut self) {
        self.step = None;
        self.before.clear();
    }

    /// Takes back everything the step under way changed.
    pub(crate) fn undo_step(&mut self) {
        self.step = None;
        for (key, was) in self.before.drain(..).rev() {
            let held = self.leaves.get_mut(&key).expect("what a step has changed is held");
            let now = due_keys(&key, was.slot.leaf.as_ref());
            replace_wakeups(&mut self.due, &due_keys(&key, held.slot.leaf.as_ref()), now);
            if was.layer != Layer::Turn(self.turn) {
                self.open -= 1;
                if held.beneath.is_some() {
                    self.covered -= 1;
                    self.covered_keys.pop();
                } else {
                    self.unstored -= 1;
                }
            }
            *held = was;
        }
    }

    pub(crate) fn get(&mut self, key: &LeafKey<'_>) -> Result<Option<&Leaf>, StoreError> {
        self.make_room();
        key.write_to(&mut self.key);
        Ok(held(&mut self.leaves, self.store.as_ref(), &self.key)?.into_mut().slot.leaf.as_ref())
    }

    /// As [`State::get`], by the bytes of a key.
    pub(crate) fn get_at(&mut self, key: &[u8]) -> Result<Option<&Leaf>, StoreError> {
        self.make_room();
        Ok(held(&mut self.leaves, self.store.as_ref(), key)?.into_mut().slot.leaf.as_ref())
    }

    /// Changes one leaf in the step under way. Does nothing if the leaf already
    /// holds this step or a later one, as it may while the log is read again.
    /// Should `change` panic, the step is to be undone.
    pub(crate) fn update(
        &mut self,
        key: &LeafKey<'_>,
        change: impl FnOnce(&mut Option<Leaf>),
    ) -> Result<(), StoreError> {
        self.make_room();
        let position = self.step.expect("a leaf changes within a step");
        key.write_to(&mut self.key);
        let mut entry = held(&mut self.leaves, self.store.as_ref(), &self.key)?;
        let key = entry.key().clone();
        let held = entry.get_mut();
        if held.step != self.steps {
            if held.slot.position.is_some_and(|holds| holds >= position) {
                return Ok(());
            }
            self.before.push((key.clone(), held.clone()));
            if held.layer == Layer::Cached {
                self.unstored += 1;
                self.open += 1;
            } else if held.layer != Layer::Turn(self.turn) {
                held.beneath = Some(Arc::new(held.slot.clone()));
                self.covered += 1;
                self.covered_keys.push(key.clone());
                self.open += 1;
            }
            held.layer = Layer::Turn(self.turn);
            held.step = self.steps;
            held.slot.position = Some(position);
        }
        let was = due_keys(&key, held.slot.leaf.as_ref());
        change(&mut held.slot.leaf);
        replace_wakeups(&mut self.due, &was, due_keys(&key, held.slot.leaf.as_ref()));
        Ok(())
    }

    /// Drops every other leaf the store has too, once there are too many of them.
    fn make_room(&mut self) {
        if self.leaves.len() - self.unstored <= self.budget.cache_leaves {
            return;
        }
        // What a decision reads never depends on what is held, so any leaf will
        // do; dropping half at once costs little per leaf.
        let mut keep = false;
        self.leaves.retain(|_, held| {
            held.layer != Layer::Cached || {
                keep = !keep;
                keep
            }
        });
    }

    /// Brings the wakeups that fire by `watermark` into memory.
    pub(crate) fn load_due(&mut self, watermark: tradewind_domain::Timestamp) -> Result<(), StoreError> {
        let State { store, leaves, due, .. } = self;
        due.load(watermark, store.as_ref(), |key| {
            let held = leaves.get(key.leaf.as_slice()).filter(|held| held.layer != Layer::Cached);
            held.is_some_and(|held| !due_keys(&key.leaf, held.slot.leaf.as_ref()).contains(key))
        })
    }

    /// The open turn is committed: its values may leave for the store.
    pub(crate) fn absorb(&mut self) {
        for key in self.covered_keys.drain(..) {
            if let Some(held) = self.leaves.get_mut(&key) {
                held.beneath = None;
            }
        }
        self.covered = 0;
        self.open = 0;
        self.turn += 1;
    }

    pub(crate) fn open_leaves(&self) -> usize {
        self.open
    }

    pub(crate) fn committed_leaves(&self) -> usize {
        self.unstored - self.open + self.covered
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Begins to write out everything that is committed, so that `checkpoint`
    /// can be set in the end.
    pub(crate) fn begin_drain(&mut self, checkpoint: Checkpoint) {
        assert!(self.drain.is_none(), "expected the drain before to be finished");
        let is_committed = |held: &Held| match held.layer {
            Layer::Cached => false,
            Layer::Turn(turn) => turn != self.turn || held.beneath.is_some(),
        };
        let committed = self.leaves.iter().filter(|(_, held)| is_committed(held));
        let mut keys: Vec<Arc<[u8]>> = committed.map(|(key, _)| key.clone()).collect();
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
            let held = self.leaves.get(key).expect("what is not stored is held");
            let slot = if held.layer == Layer::Turn(self.turn) {
                held.beneath.as_deref()
            } else {
                // A newer committed value may have taken its place: as good.
                Some(&held.slot)
            };
            slice.extend(slot.map(|slot| write_of(key, slot)));
        }
        self.store.write(&slice)?;
        for key in slice_keys {
            self.stored(&key);
        }
        if drain.keys.is_empty() {
            self.store.set_checkpoint(&drain.checkpoint)?;
            return Ok(true);
        }
        self.drain = Some(drain);
        Ok(false)
    }

    /// The committed value of a leaf is in the store now.
    fn stored(&mut self, key: &Arc<[u8]>) {
        let held = self.leaves.get_mut(key).expect("what is not stored is held");
        if held.layer == Layer::Turn(self.turn) {
            if let Some(beneath) = held.beneath.take() {
                held.slot.stored_due = due_keys(key, beneath.leaf.as_ref());
                self.covered -= 1;
            }
            return;
        }
        held.slot.stored_due = due_keys(key, held.slot.leaf.as_ref());
        held.slot.stored_due.iter().for_each(|due| self.due.drained(due));
        held.layer = Layer::Cached;
        self.unstored -= 1;
        if held.slot.leaf.is_none() {
            self.leaves.remove(key);
        }
    }
}

/// What memory holds of a leaf, brought in from the store if need be.
fn held<'a>(
    leaves: &'a mut HashMap<Arc<[u8]>, Held>,
    store: &dyn StateStore,
    key: &[u8],
) -> Result<OccupiedEntry<'a, Arc<[u8]>, Held>, StoreError> {
    Ok(match leaves.entry_ref(key) {
        EntryRef::Occupied(entry) => entry,
        EntryRef::Vacant(entry) => entry.insert_entry_with_key(key.into(), Held::cached(load(store, key)?)),
    })
}

/// What the store has of a leaf. That it has nothing is worth knowing too: it
/// looks longest for what it has not.
fn load(store: &dyn StateStore, key: &[u8]) -> Result<Slot, StoreError> {
    let Some(Stored { position, bytes }) = store.get(key)? else { return Ok(Slot::default()) };
    let leaf = Leaf::decode(&bytes).ok_or_else(|| StoreError::Damaged {
        reason: format!("the value of key {key:02x?} is no leaf of this fold version"),
    })?;
    let stored_due = due_keys(key, Some(&leaf));
    Ok(Slot { leaf: Some(leaf), position: Some(position), stored_due })
}

fn replace_wakeups(due: &mut Due, was: &[DueKey], now: Vec<DueKey>) {
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
