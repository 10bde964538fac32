//! A reader of a partition that owns nothing: it folds what the owner has
//! committed into a store of its own, and writes nothing to the log.
//!
//! So a release with another fold version builds its state while the old one
//! still decides. Once it has caught up, the old owner stops, the follower is
//! finished, and `Owner::recover` opens the store it leaves behind.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tradewind_domain::{Lineage, Position, Timestamp};
use tradewind_engine::{Drained, Partition};
use tradewind_ports::{EventLog, Record, StateStore, Topic, TopicPartition};

use crate::error::OwnerError;
use crate::events::{Cursor, GoOn};
use crate::owner::Settings;
use crate::recover::{CatchingUp, opening};

pub struct Follower {
    log: Arc<dyn EventLog>,
    settings: Settings,
    lineage: Lineage,
    reading: Reading,
}

/// Where reading stopped, to go on from there.
pub(crate) struct Reading {
    pub(crate) partition: Partition,
    /// Up to where steps are covered by a `TurnCommitted`.
    pub(crate) committed: Position,
    pub(crate) committed_at: Timestamp,
    /// Decisions no `TurnCommitted` covers yet.
    pub(crate) adopted: Vec<Record>,
    /// Events folded since the last `TurnCommitted`.
    pub(crate) folded: u32,
    pub(crate) last: Option<Position>,
    pub(crate) has_closed: bool,
    /// Behind the last `TurnCommitted`.
    pub(crate) closed_at: u64,
    pub(crate) unread: VecDeque<Record>,
    pub(crate) events_next: u64,
    /// The same while it is being read on.
    pub(crate) shown: Arc<AtomicU64>,
    pub(crate) decisions_next: u64,
}

/// How far a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Up to where it has folded what is committed.
    pub committed: Position,
    /// Behind the last event there is. What lies between is not decided yet.
    pub events_end: u64,
}

impl fmt::Debug for Follower {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Follower")
            .field("partition", &self.settings.partition)
            .field("committed", &self.reading.committed)
            .finish_non_exhaustive()
    }
}

impl Follower {
    /// Takes up the fold where the store left it.
    ///
    /// # Errors
    ///
    /// See [`OwnerError`].
    pub fn open(
        settings: Settings,
        log: Arc<dyn EventLog>,
        store: Box<dyn StateStore>,
    ) -> Result<Follower, OwnerError> {
        let lineage = opening(log.as_ref(), settings.partition)?.lineage;
        let partition = Partition::open(settings.rules.clone(), settings.build.clone(), store, settings.budget)?;
        if let Some(stored) = partition.lineage()
            && stored != lineage
        {
            return Err(OwnerError::OtherLineage { at: "the store".into(), expected: lineage, got: stored });
        }
        let reading = Reading::new(partition);
        Ok(Follower { log, settings, lineage, reading })
    }

    /// Folds what was committed since, and writes it to the store. After an
    /// error the follower is gone: open another one.
    ///
    /// # Errors
    ///
    /// See [`OwnerError`].
    pub fn follow(self) -> Result<Follower, OwnerError> {
        self.follow_while(&|_| Ok(()))
    }

    /// As [`Follower::follow`]; `go_on` is asked on the way, and told up to where
    /// events were read.
    pub(crate) fn follow_while(self, go_on: &dyn Fn(u64) -> Result<(), OwnerError>) -> Result<Follower, OwnerError> {
        let Follower { log, settings, lineage, reading } = self;
        let decisions_end = log.bounds(&decisions(&settings))?.end;
        // What those decisions are on lies before this end, so that a read gets there, or fails.
        log.bounds(&Topic::Events.partition(settings.partition))?;
        let shown = reading.shown.clone();
        let go_on = || go_on(shown.load(Ordering::Relaxed));
        let mut catching_up = CatchingUp::resume(log.as_ref(), &settings, reading, lineage, decisions_end, &go_on);
        catching_up.read_decisions()?;
        let reading = catching_up.into_reading();
        Ok(Follower { log, settings, lineage, reading })
    }

    /// Up to where it has folded what is committed.
    pub(crate) fn committed(&self) -> Position {
        self.reading.committed
    }

    /// # Errors
    ///
    /// The log does not answer.
    pub fn followed(&self) -> Result<Followed, OwnerError> {
        let events_end = self.log.bounds(&Topic::Events.partition(self.settings.partition))?.end;
        Ok(Followed { committed: self.reading.committed, events_end })
    }

    /// Writes what is committed to the store and lets go of it, so that an owner
    /// can open it.
    ///
    /// # Errors
    ///
    /// The store can't be written; the owner reads more then.
    pub fn finish(self) -> Result<(), OwnerError> {
        let Reading { mut partition, adopted, closed_at, .. } = self.reading;
        // What no turn covers may not reach the store; the owner reads it again.
        if adopted.is_empty() && partition.committed_leaves() > 0 {
            partition.begin_drain(closed_at);
            while partition.drain_slice()? == Drained::Slice {}
        }
        Ok(())
    }
}

impl Reading {
    pub(crate) fn new(partition: Partition) -> Reading {
        let committed = partition.position();
        let events_next = if committed.step == 0 { committed.offset } else { committed.offset + 1 };
        Reading {
            committed,
            committed_at: partition.watermark(),
            adopted: Vec::new(),
            folded: 0,
            last: None,
            has_closed: false,
            closed_at: partition.decisions_offset(),
            unread: VecDeque::new(),
            events_next,
            shown: Arc::new(AtomicU64::new(events_next)),
            decisions_next: partition.decisions_offset(),
            partition,
        }
    }

    /// The events that were read and not taken, and those behind them.
    pub(crate) fn events<'a>(&mut self, log: &'a dyn EventLog, at: TopicPartition, go_on: &'a GoOn<'a>) -> Cursor<'a> {
        Cursor::go_on(log, at, std::mem::take(&mut self.unread), self.events_next, go_on, self.shown.clone())
    }
}

fn decisions(settings: &Settings) -> TopicPartition {
    Topic::Decisions.partition(settings.partition)
}
