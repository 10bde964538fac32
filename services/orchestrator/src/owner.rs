//! An owner: one partition, one writer, one place in the log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tradewind_domain::{
    Body, Decision, Envelope, FactParked, InstanceParked, Lineage, Name, Parked, Position, Timestamp, TurnCommitted,
};
use tradewind_engine::{Budget, Drained, Partition, Rules};
use tradewind_ports::{EventLog, ReadLimit, Record, Topic, TopicPartition, Writer};
use tradewind_wire::{decision, record};

use crate::error::OwnerError;
use crate::turn::Turn;

/// Longest silence of the log while wakeups wait, by the wall clock.
const TICK_EVERY_MS: i64 = 30_000;

/// Silent turns are covered by a commit at least this often, by the log's clock.
const COMMIT_EVERY_MS: i64 = 24 * 60 * 60 * 1000;

/// Shortest time between a record and a tick.
const TICK_AFTER_MS: i64 = 250;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Names the writers of an installation: `<installation>/orchestrator/<partition>`.
    pub installation: String,
    pub partition: u32,
    pub build: Name,
    pub rules: Arc<Rules>,
    pub limits: TurnLimits,
    pub budget: Budget,
    /// Changed leaves in memory beyond which they are written to the store.
    pub drain_leaves: usize,
}

/// Where a turn ends, at the latest. It never influences a decision.
#[derive(Clone, Copy, Debug)]
pub struct TurnLimits {
    pub read: ReadLimit,
    pub commands: usize,
    /// Of decisions and commands, encoded.
    pub bytes: usize,
}

impl Default for TurnLimits {
    fn default() -> TurnLimits {
        TurnLimits { read: ReadLimit { records: 50_000, bytes: 16 << 20 }, commands: 5_000, bytes: 4 << 20 }
    }
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    pub facts: u32,
    pub wakeups: u32,
    pub decisions: u32,
    pub commands: u32,
    /// Facts and instances this release fails at.
    pub parked: u32,
}

pub struct Owner {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) settings: Settings,
    pub(crate) partition: Partition,
    pub(crate) lineage: Lineage,
    /// Up to where steps are covered by a `TurnCommitted`.
    pub(crate) committed: Position,
    /// The log's time at that commit.
    pub(crate) committed_at: Timestamp,
    /// Decisions before it need not be read again after the next checkpoint.
    pub(crate) decisions_offset: u64,
    /// Read and not folded yet.
    pub(crate) unread: VecDeque<Record>,
    pub(crate) events_next: u64,
    pub(crate) open: Turned,
    pub(crate) tick: TickState,
}

/// Since when the log has said nothing, by our clock: that of its brokers may be another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TickState {
    /// Where the log ended when it was last looked at for a tick.
    heard_until: u64,
    silent_since: Timestamp,
    outstanding: bool,
}

impl fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Owner")
            .field("partition", &self.settings.partition)
            .field("position", &self.partition.position())
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}

impl Owner {
    /// The next step.
    #[must_use]
    pub fn position(&self) -> Position {
        self.partition.position()
    }

    /// Up to where every step is covered by a `TurnCommitted`.
    #[must_use]
    pub fn committed(&self) -> Position {
        self.committed
    }

    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The partition, for queries of its state.
    pub fn partition(&mut self) -> &mut Partition {
        &mut self.partition
    }

    pub(crate) fn events(&self) -> TopicPartition {
        Topic::Events.partition(self.settings.partition)
    }

    pub(crate) fn decisions(&self) -> TopicPartition {
        Topic::Decisions.partition(self.settings.partition)
    }

    /// Takes what is there, folds and decides it step by step, and commits what
    /// there is to say. A turn that did nothing found nothing.
    ///
    /// # Errors
    ///
    /// Whatever it is, this owner is of no more use.
    pub fn turn(&mut self) -> Result<Turned, OwnerError> {
        self.read()?;
        let mut turn = Turn::new(self.settings.limits, self.lineage);
        let mut done = Turned::default();
        while !turn.is_full() {
            // With memory full a step at a time, until the drain has caught up.
            if self.is_full() && done.facts + done.wakeups > 0 {
                break;
            }
            let stepped = if self.partition.position().step > 0 {
                match self.partition.fire()? {
                    None => continue,
                    Some(stepped) => {
                        done.wakeups += 1;
                        stepped
                    }
                }
            } else {
                let Some(stored) = self.unread.pop_front() else {
                    break;
                };
                let envelope = self.envelope(&stored)?;
                done.facts += 1;
                self.tick.outstanding = false;
                self.partition.fold(&envelope)?
            };
            if let Some(decision) = stepped.decision {
                done.parked += u32::try_from(decision.parked.len()).unwrap_or(u32::MAX);
                self.tell_parked(&decision, stepped.position);
                turn.add(&decision, stepped.position);
            }
        }
        done.decisions = turn.decisions();
        done.commands = turn.commands();
        self.open.facts += done.facts;
        self.open.wakeups += done.wakeups;
        let is_stale = self.partition.watermark().since(self.committed_at) >= COMMIT_EVERY_MS;
        let must_drain = self.is_filling() && !self.partition.is_draining();
        let must_close = (must_drain || self.is_full() || is_stale) && self.partition.position() > self.committed;
        if !turn.is_silent() || must_close {
            self.commit(turn)?;
        }
        if must_drain && self.partition.committed_leaves() > 0 {
            self.partition.begin_drain(self.decisions_offset);
        }
        Ok(done)
    }

    /// Returns when there is something to read, or after this long.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    pub fn wait(&self, timeout: Duration) -> Result<(), OwnerError> {
        if self.unread.is_empty() && self.partition.position().step == 0 {
            self.log.wait(&self.events(), self.events_next, timeout)?;
        }
        Ok(())
    }

    /// Nothing happened since the last checkpoint.
    pub(crate) fn is_clean(&self) -> bool {
        self.partition.position() <= self.committed && self.partition.committed_leaves() == 0
    }

    /// More leaves are changed than memory is meant for.
    pub(crate) fn is_full(&self) -> bool {
        self.changed_leaves() >= self.settings.drain_leaves
    }

    /// Half as many: they are to be written out while there is room for others.
    fn is_filling(&self) -> bool {
        self.changed_leaves() >= self.settings.drain_leaves / 2
    }

    fn changed_leaves(&self) -> usize {
        self.partition.open_leaves() + self.partition.committed_leaves()
    }

    fn read(&mut self) -> Result<(), OwnerError> {
        if self.unread.is_empty() {
            let batch = self.log.read(&self.events(), self.events_next, self.settings.limits.read)?;
            self.events_next = batch.next;
            self.unread.extend(batch.records);
        }
        Ok(())
    }

    /// Our own code has failed: somebody has to know.
    fn tell_parked(&self, decision: &Decision, position: Position) {
        let (partition, tenant) = (self.settings.partition, &decision.tenant);
        for parked in &decision.parked {
            match parked {
                Parked::Fact(FactParked { fact, reason, .. }) => {
                    tracing::error!(partition, %tenant, %position, %fact, reason, "a fact is parked until a release can fold it");
                }
                Parked::Instance(InstanceParked { instance, workflow, reason, .. }) => {
                    tracing::error!(partition, %tenant, %position, %instance, %workflow, reason, "an instance is parked until it is told to go on");
                }
            }
        }
    }

    /// Records on the log that are not folded yet.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    pub(crate) fn lag(&self) -> Result<u64, OwnerError> {
        let end = self.log.bounds(&self.events())?.end;
        Ok(end.saturating_sub(self.events_next) + self.unread.len() as u64)
    }

    pub(crate) fn envelope(&self, stored: &Record) -> Result<Envelope, OwnerError> {
        record::envelope(stored).map_err(|source| OwnerError::Unreadable {
            at: self.events(),
            offset: stored.offset,
            source,
        })
    }

    /// One transaction: decisions, then commands, then the commit point, each
    /// acknowledged before the next.
    pub(crate) fn commit(&mut self, turn: Turn) -> Result<(), OwnerError> {
        let decisions_end = self.log.bounds(&self.decisions())?.end;
        let to = self.partition.position();
        let committed = TurnCommitted {
            lineage: self.lineage,
            from: self.committed,
            to,
            watermark: self.partition.watermark(),
            facts: self.open.facts,
            wakeups: self.open.wakeups,
            decisions: self.open.decisions + turn.decisions(),
            commands: turn.commands(),
            build: self.settings.build.clone(),
        };
        let (decisions, commands) = turn.finish();
        self.writer.begin()?;
        for decision in decisions {
            self.writer.send(&self.decisions(), decision)?;
        }
        self.writer.acknowledge()?;
        for (vendor, command) in commands {
            self.writer.send(&Topic::Commands(vendor).partition(self.settings.partition), command)?;
        }
        self.writer.acknowledge()?;
        self.writer.send(&self.decisions(), decision::turn_record(self.settings.partition, &committed))?;
        self.writer.acknowledge()?;
        self.writer.commit()?;
        // The commit succeeded, so until then nobody else wrote: what lay before
        // it are decisions this owner knows.
        self.decisions_offset = decisions_end;
        self.committed = to;
        self.committed_at = committed.watermark;
        self.open = Turned::default();
        self.partition.absorb();
        Ok(())
    }

    /// Writes a slice of the drain under way, if there is one.
    ///
    /// # Errors
    ///
    /// The store can't be written.
    pub fn drain_slice(&mut self) -> Result<bool, OwnerError> {
        if !self.partition.is_draining() {
            return Ok(false);
        }
        Ok(self.partition.drain_slice()? == Drained::Slice)
    }

    /// Writes everything to the store and moves the checkpoint, for a shutdown
    /// in good order.
    ///
    /// # Errors
    ///
    /// The log or the store does not take it; the next start reads more.
    pub fn checkpoint(&mut self) -> Result<(), OwnerError> {
        self.checkpoint_alive(&|| {})
    }

    /// `alive` is called after each slice.
    pub(crate) fn checkpoint_alive(&mut self, alive: &dyn Fn()) -> Result<(), OwnerError> {
        self.drain(alive)?;
        self.begin_drain()?;
        self.drain(alive)
    }

    /// While memory is nearly full, writes slices of the drain under way without
    /// pauses: the fold waits for it. So every turn finds an eighth of it free, and is
    /// no tiny one. True if that was the last slice, and the checkpoint is written.
    pub(crate) fn make_room(&mut self, alive: &dyn Fn()) -> Result<bool, OwnerError> {
        let eighth = self.settings.drain_leaves / 8;
        if self.changed_leaves() < 7 * eighth {
            return Ok(false);
        }
        while self.partition.is_draining() && self.changed_leaves() >= 6 * eighth {
            if !self.drain_slice()? {
                return Ok(true);
            }
            alive();
        }
        Ok(false)
    }

    /// Ends the drain under way, without pauses.
    pub(crate) fn drain(&mut self, alive: &dyn Fn()) -> Result<(), OwnerError> {
        while self.drain_slice()? {
            alive();
        }
        Ok(())
    }

    /// Closes the generation: everything folded until now is to be written, in
    /// slices. None may be under way.
    pub(crate) fn begin_drain(&mut self) -> Result<(), OwnerError> {
        if self.partition.position() > self.committed {
            self.commit(Turn::new(self.settings.limits, self.lineage))?;
        }
        // Nothing was folded yet, so there is nothing a checkpoint could say.
        if self.partition.lineage().is_none() {
            return Ok(());
        }
        self.partition.begin_drain(self.decisions_offset);
        Ok(())
    }

    /// Appends a tick if wakeups wait and nothing else moves the log's time: one
    /// outstanding, at most four a second, at least one in 30 s.
    ///
    /// # Errors
    ///
    /// The log does not take it.
    pub fn tick(&mut self, now: Timestamp) -> Result<bool, OwnerError> {
        if self.tick.heard_until != self.events_next {
            self.tick.heard_until = self.events_next;
            self.tick.silent_since = now;
        }
        let silent_ms = now.since(self.tick.silent_since);
        let is_wakeup_due = self.partition.next_wakeup().is_some_and(|at| self.partition.log_time(now) >= at);
        let is_time = is_wakeup_due && silent_ms >= TICK_AFTER_MS || silent_ms >= TICK_EVERY_MS;
        if self.tick.outstanding || !is_time || !self.partition.has_wakeups() {
            return Ok(false);
        }
        let tick = record::NewFact::of_partition(self.settings.partition, now, Body::Tick);
        self.log.append(&self.events(), vec![record::event(&tick)])?;
        self.tick.outstanding = true;
        Ok(true)
    }
}
