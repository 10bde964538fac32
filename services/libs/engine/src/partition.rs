//! One partition's state and place: what its owner steps through.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tradewind_domain::{
    Body, Decision, Envelope, FactId, Lineage, LineageKind, LineageOpened, Name, Parked, Position, Timestamp,
};
use tradewind_ports::{Checkpoint, DueKey, StateStore, StoreError};

use crate::apply;
use crate::clock::LogClock;
use crate::leaf::{InstanceLeaf, Leaf, Wakeup};
use crate::rules::Rules;
use crate::sources::Sources;
use crate::state::{Budget, State};
use crate::step::{self, Stepped, Stepping};
use crate::view::View;

/// Longest wait for a source with a gap; then the decision says what is missing.
const MAX_WAIT_MS: i64 = 4 * 60 * 60 * 1000;

/// What belongs to the partition as a whole. Kept in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Core {
    lineage: Option<Lineage>,
    is_dev: bool,
    clock: LogClock,
    watermark: Timestamp,
    sources: Sources,
    /// The fact of the record folded last; wakeups fire because of it.
    last_fact: FactId,
}

impl Core {
    fn new() -> Core {
        Core {
            lineage: None,
            is_dev: false,
            clock: LogClock::default(),
            watermark: Timestamp::MIN,
            sources: Sources::default(),
            last_fact: FactId::from_bytes([0; 16]),
        }
    }
}

/// Whether there is more to write out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    Slice,
    Everything,
}

type Ready = BTreeMap<(Timestamp, u32, [u8; 16]), DueKey>;

#[derive(Debug)]
pub struct Partition {
    rules: Arc<Rules>,
    build: Name,
    core: Core,
    /// The next step.
    position: Position,
    /// From where decisions are read again; of the checkpoint it started with.
    decisions_offset: u64,
    state: State,
    /// What the record folded last made due; `None` until that is worked out.
    ready: Option<Ready>,
}

impl Partition {
    /// Takes up the fold where `store` left it. A store of another fold version
    /// or another lineage is none of ours: the caller opens the right one.
    ///
    /// # Errors
    ///
    /// The store can't be read, or was written by another fold version.
    pub fn open(
        rules: Arc<Rules>,
        build: Name,
        store: Box<dyn StateStore>,
        budget: Budget,
    ) -> Result<Partition, StoreError> {
        let state = State::new(store, budget);
        let (core, position, decisions_offset) = match state.checkpoint()? {
            None => (Core::new(), Position::default(), 0),
            Some(checkpoint) => {
                if checkpoint.fold_version != rules.fold_version {
                    return Err(StoreError::Damaged {
                        reason: format!(
                            "expected fold version {}, got {}",
                            rules.fold_version, checkpoint.fold_version
                        ),
                    });
                }
                let core = postcard::from_bytes(&checkpoint.partition)
                    .map_err(|error| StoreError::Damaged { reason: format!("the checkpoint's partition: {error}") })?;
                (core, checkpoint.position, checkpoint.decisions_offset)
            }
        };
        Ok(Partition { rules, build, core, position, decisions_offset, state, ready: None })
    }

    /// The next step.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// From where decisions are to be read, to catch up with the log.
    #[must_use]
    pub fn decisions_offset(&self) -> u64 {
        self.decisions_offset
    }

    /// The log's time.
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.core.watermark
    }

    /// `None` until the first record is folded.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        self.core.lineage
    }

    /// The log's time at this append time, by what was folded so far.
    #[must_use]
    pub fn log_time(&self, appended_at: Timestamp) -> Timestamp {
        self.core.clock.log_time(appended_at)
    }

    /// When the next wakeup fires, gaps aside; `None` if none is near.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        self.state.due.next()
    }

    /// Some wakeup waits for its time, or for a source with a gap.
    #[must_use]
    pub fn has_wakeups(&self) -> bool {
        self.state.due.is_any()
    }

    /// A view of the committed and open state, for queries.
    pub fn view<'a>(&'a mut self, tenant: &'a tradewind_domain::Tenant) -> View<'a> {
        View::new(&mut self.state, tenant)
    }

    /// Step 0 of a record: folds it, decides on it, applies the decision.
    ///
    /// # Errors
    ///
    /// The store can't be read; this partition is of no more use.
    ///
    /// # Panics
    ///
    /// The record lies before the next step, or the record before is not finished.
    pub fn fold(&mut self, envelope: &Envelope) -> Result<Stepped, StoreError> {
        let position = Position::fold(envelope.offset);
        assert!(
            self.position.step == 0 && position >= self.position,
            "expected a record at or after {}, got {position}",
            self.position
        );
        let recorded_at = self.advance(envelope);
        let stepping = Stepping { rules: &self.rules, build: &self.build, position, watermark: self.core.watermark };
        let decision = step::fold_and_decide(&mut self.state, &stepping, envelope, recorded_at)?;
        self.position = position.next_step();
        self.ready = None;
        Ok(Stepped { position, decision })
    }

    /// The next step of the record folded last: fires one wakeup it made due.
    /// `None` once there is none left; then the record is finished.
    ///
    /// # Errors
    ///
    /// The store can't be read; this partition is of no more use.
    pub fn fire(&mut self) -> Result<Option<Stepped>, StoreError> {
        if self.position.step == 0 {
            return Ok(None);
        }
        loop {
            if self.ready.is_none() {
                self.ready = Some(self.reached()?);
            }
            let first = self.ready.as_ref().and_then(|ready| ready.first_key_value());
            let Some((order, due)) = first.map(|(order, due)| (*order, due.clone())) else {
                self.position = Position { offset: self.position.offset, step: 0 }.next_record();
                self.ready = None;
                return Ok(None);
            };
            // A step before this one may have cleared it.
            let Some((instance, wakeup)) = self.wakeup(&due)? else {
                self.ready.as_mut().and_then(|ready| ready.remove(&order));
                continue;
            };
            let missing = if wakeup.awaits_sources { self.missing(&instance)? } else { Vec::new() };
            let position = self.position;
            let stepping =
                Stepping { rules: &self.rules, build: &self.build, position, watermark: self.core.watermark };
            let decision = step::fire(&mut self.state, &stepping, self.core.last_fact, instance, &wakeup, missing)?;
            self.ready.as_mut().and_then(|ready| ready.remove(&order));
            self.position = position.next_step();
            return Ok(Some(Stepped { position, decision }));
        }
    }

    /// Moves clock, watermark and sources on. Returns when the record counts for.
    fn advance(&mut self, envelope: &Envelope) -> Timestamp {
        if let Body::LineageOpened(LineageOpened { lineage, kind }) = &envelope.fact.body
            && self.core.lineage.is_none()
        {
            self.core.lineage = Some(*lineage);
            self.core.is_dev = *kind == LineageKind::Dev;
        }
        if let Body::ClockAdjusted(adjusted) = &envelope.fact.body
            && self.core.is_dev
        {
            self.core.clock.adjust(envelope.recorded_at, *adjusted);
        }
        let recorded_at = self.core.clock.time_of(envelope);
        self.core.watermark = self.core.watermark.max(recorded_at);
        self.core.sources.fold(envelope, self.core.watermark);
        self.core.last_fact = envelope.id;
        recorded_at
    }

    /// The wakeups that fire in the record folded last, in order.
    fn reached(&mut self) -> Result<Ready, StoreError> {
        let watermark = self.core.watermark;
        self.state.load_due(watermark)?;
        let mut ready = Ready::new();
        if self.state.due.is_any_reached(watermark) {
            for due in self.state.due.reached(watermark) {
                let Some((instance, wakeup)) = self.wakeup(&due)? else { continue };
                // Set by this very record: it fires with the next one at the earliest.
                if wakeup.set_at_offset == self.position.offset {
                    continue;
                }
                let must_wait = wakeup.awaits_sources
                    && watermark < wakeup.fires_at() + MAX_WAIT_MS
                    && !self.missing(&instance)?.is_empty();
                if must_wait {
                    self.state.due.hold(&instance.tenant, due);
                } else {
                    ready.insert((wakeup.due, wakeup.round, due.wakeup), due);
                }
            }
        }
        self.release_waiting(watermark, &mut ready)?;
        Ok(ready)
    }

    /// Wakeups whose tenant has no gap any more, or that waited long enough.
    fn release_waiting(&mut self, watermark: Timestamp, ready: &mut Ready) -> Result<(), StoreError> {
        let mut released = Vec::new();
        for tenant in self.state.due.waiting_tenants() {
            let set_up = View::new(&mut self.state, &tenant).set_up()?;
            let has_gap = !self.core.sources.missing(&set_up, watermark).is_empty();
            let until = if has_gap { watermark - MAX_WAIT_MS } else { Timestamp::MAX };
            released.extend(self.state.due.waiting_until(&tenant, until));
        }
        for due in released {
            if let Some((_, wakeup)) = self.wakeup(&due)? {
                ready.insert((wakeup.due, wakeup.round, due.wakeup), due);
            }
        }
        Ok(())
    }

    fn wakeup(&mut self, due: &DueKey) -> Result<Option<(Arc<InstanceLeaf>, Wakeup)>, StoreError> {
        let Some(Leaf::Instance(instance)) = self.state.get_at(&due.leaf)? else { return Ok(None) };
        let wakeup = instance.wakeups.iter().find(|wakeup| *wakeup.id.as_bytes() == due.wakeup);
        Ok(wakeup.cloned().map(|wakeup| (instance.clone(), wakeup)))
    }

    fn missing(&mut self, instance: &InstanceLeaf) -> Result<Vec<Name>, StoreError> {
        let set_up = View::new(&mut self.state, &instance.tenant).set_up()?;
        Ok(self.core.sources.missing(&set_up, self.core.watermark))
    }

    /// Folds a record that was folded before, and applies what was decided on it
    /// at step 0. Decides nothing.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn refold(&mut self, envelope: &Envelope, decision: Option<&Decision>) -> Result<(), StoreError> {
        let position = Position::fold(envelope.offset);
        if position < self.position {
            return Ok(());
        }
        let recorded_at = self.advance(envelope);
        let stepping = Stepping { rules: &self.rules, build: &self.build, position, watermark: self.core.watermark };
        self.state.begin_step(position);
        let was_parked = decision.is_some_and(|decision| {
            decision.parked.iter().any(|parked| matches!(parked, Parked::Fact(parked) if parked.fact == envelope.id))
        });
        if !was_parked {
            step::fold(&mut self.state, &stepping, envelope, recorded_at)?;
        }
        if let Some(decision) = decision {
            apply::decision(&mut self.state, &self.rules, position, decision)?;
        }
        self.state.finish_step();
        self.position = position.next_step();
        self.ready = None;
        Ok(())
    }

    /// Applies a recorded decision of step 1 or later.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn reapply(&mut self, at: Position, decision: &Decision) -> Result<(), StoreError> {
        if at < self.position {
            return Ok(());
        }
        self.state.begin_step(at);
        apply::decision(&mut self.state, &self.rules, at, decision)?;
        self.state.finish_step();
        self.position = at.next_step();
        self.ready = None;
        Ok(())
    }

    /// Everything before `position` is known to be decided.
    ///
    /// # Panics
    ///
    /// The fold is already beyond it.
    pub fn resume_at(&mut self, position: Position) {
        assert!(position >= self.position, "expected to resume at or after {}, got {position}", self.position);
        self.position = position;
        self.ready = None;
    }

    /// Recovery is over: brings the near wakeups into memory.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn begin_live(&mut self) -> Result<(), StoreError> {
        self.state.load_due(self.core.watermark)
    }

    /// The turn is committed: what it changed may leave for the store.
    pub fn absorb(&mut self) {
        self.state.absorb();
    }

    /// Leaves the open turn, and silent ones before it, have changed.
    #[must_use]
    pub fn open_leaves(&self) -> usize {
        self.state.open_leaves()
    }

    /// Leaves that are committed and not stored.
    #[must_use]
    pub fn committed_leaves(&self) -> usize {
        self.state.committed_leaves()
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Begins to write everything committed to the store. To be called right
    /// after a commit, when nothing is open.
    ///
    /// # Panics
    ///
    /// No record was folded yet.
    pub fn begin_drain(&mut self, decisions_offset: u64) {
        let checkpoint = Checkpoint {
            lineage: self.core.lineage.expect("the first record opens the lineage"),
            fold_version: self.rules.fold_version,
            position: self.position,
            decisions_offset,
            watermark: self.core.watermark,
            partition: postcard::to_allocvec(&self.core).expect("plain data"),
        };
        self.state.begin_drain(checkpoint);
    }

    /// Writes one slice; the last one moves the checkpoint.
    ///
    /// # Errors
    ///
    /// The store can't be written.
    pub fn drain_slice(&mut self) -> Result<Drained, StoreError> {
        Ok(if self.state.drain_slice()? { Drained::Everything } else { Drained::Slice })
    }
}
