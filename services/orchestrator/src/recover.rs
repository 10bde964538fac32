//! Recovery: reading a partition's decisions again, never taking them again.
//!
//! 1. A new writer fences every earlier one; only then the end of decisions is
//!    asked for.
//! 2. Decisions are read from the checkpoint to that end, each applied at its own
//!    place among the events folded again. Nothing is decided, nothing emitted.
//! 3. Decisions behind the last `TurnCommitted` are adopted: they stand, and
//!    their commands are issued again in a turn of its own that covers them all.

use std::sync::Arc;

use tradewind_domain::{Body, Decision, DecisionRecord, Lineage, LineageOpened, Position, TurnCommitted};
use tradewind_engine::{Drained, Partition};
use tradewind_ports::{EventLog, ReadLimit, Record, StateStore, Topic, TopicPartition, Writer};
use tradewind_wire::decision;
use tradewind_wire::reading::first_event;

use crate::error::OwnerError;
use crate::events::{Cursor, GoOn};
use crate::follow::Reading;
use crate::owner::{Owner, Settings, TickState, Turned};
use crate::turn::Turn;

const ONE: ReadLimit = ReadLimit { records: 1, bytes: 1 << 20 };

impl Owner {
    /// Takes the partition over: fences whoever had it, and catches up.
    ///
    /// # Errors
    ///
    /// See [`OwnerError`]; nothing is owned then.
    pub fn recover(
        settings: Settings,
        log: Arc<dyn EventLog>,
        store: Box<dyn StateStore>,
    ) -> Result<Owner, OwnerError> {
        Owner::recover_while(settings, log, store, &|| Ok(()))
    }

    /// Catching up takes as long as there is to fold; `go_on` is asked on the way.
    pub(crate) fn recover_while(
        settings: Settings,
        log: Arc<dyn EventLog>,
        store: Box<dyn StateStore>,
        go_on: &GoOn<'_>,
    ) -> Result<Owner, OwnerError> {
        let decisions = Topic::Decisions.partition(settings.partition);
        let mut writer = log.writer(&format!("{}/orchestrator/{}", settings.installation, settings.partition))?;
        let opened = opening(log.as_ref(), settings.partition)?;
        open_decisions(log.as_ref(), writer.as_mut(), &decisions, opened)?;
        let decisions_end = log.bounds(&decisions)?.end;

        let partition = Partition::open(settings.rules.clone(), settings.build.clone(), store, settings.budget)?;
        if let Some(lineage) = partition.lineage()
            && lineage != opened.lineage
        {
            return Err(OwnerError::OtherLineage { at: "the store".into(), expected: opened.lineage, got: lineage });
        }
        let reading = Reading::new(partition);
        let mut catching_up =
            CatchingUp::resume(log.as_ref(), &settings, reading, opened.lineage, decisions_end, go_on);
        catching_up.read_decisions()?;
        let Reading { partition, committed, committed_at, adopted, folded, unread, events_next, .. } =
            catching_up.into_reading();
        let decisions_offset = partition.decisions_offset();
        let mut owner = Owner {
            log,
            writer,
            settings,
            partition,
            lineage: opened.lineage,
            committed,
            committed_at,
            decisions_offset,
            unread,
            events_next,
            open: Turned::default(),
            tick: TickState::default(),
        };
        owner.adopt(adopted, folded)?;
        owner.partition.begin_live()?;
        Ok(owner)
    }

    /// Issues the commands of adopted decisions again, in a turn of its own that
    /// covers all of them whatever its size. The decisions themselves are on the
    /// log already.
    fn adopt(&mut self, adopted: Vec<Record>, folded: u32) -> Result<(), OwnerError> {
        if adopted.is_empty() {
            return Ok(());
        }
        let mut turn = Turn::new(self.settings.limits, self.lineage);
        for stored in &adopted {
            let commands = decision::commands(stored).map_err(|source| OwnerError::Unreadable {
                at: self.decisions(),
                offset: stored.offset,
                source,
            })?;
            turn.reissue(commands);
            let (position, _) = decision::decode(stored).map_err(|source| OwnerError::Unreadable {
                at: self.decisions(),
                offset: stored.offset,
                source,
            })?;
            self.open.decisions += 1;
            self.open.wakeups += u32::from(position.is_some_and(|position| position.step > 0));
        }
        self.open.facts = folded;
        self.commit(turn)
    }
}

/// The lineage a partition's events open with.
pub(crate) fn opening(log: &dyn EventLog, partition: u32) -> Result<LineageOpened, OwnerError> {
    match first_event(log, partition)?.map(|envelope| (envelope.offset, envelope.fact.body)) {
        Some((_, Body::LineageOpened(opened))) => Ok(opened),
        other => Err(OwnerError::Broken {
            at: Topic::Events.partition(partition),
            offset: other.map_or(0, |(offset, _)| offset),
            expected:
                "the record that opens the lineage; start with an empty log, or restore the events from their start"
                    .into(),
        }),
    }
}

/// The first record of decisions names the same lineage; the first owner writes it.
fn open_decisions(
    log: &dyn EventLog,
    writer: &mut dyn Writer,
    decisions: &TopicPartition,
    opened: LineageOpened,
) -> Result<(), OwnerError> {
    let bounds = log.bounds(decisions)?;
    let first = log.read(decisions, bounds.start, ONE)?.records.into_iter().next();
    let Some(first) = first else {
        writer.begin()?;
        writer.send(decisions, decision::lineage_record(decisions.partition, &opened))?;
        writer.acknowledge()?;
        writer.commit()?;
        return Ok(());
    };
    let (_, record) = decision::decode(&first).map_err(|source| OwnerError::Unreadable {
        at: decisions.clone(),
        offset: first.offset,
        source,
    })?;
    let DecisionRecord::Lineage(found) = record else {
        return Err(OwnerError::Broken {
            at: decisions.clone(),
            offset: first.offset,
            expected: "the record that opens the lineage".into(),
        });
    };
    if found.lineage != opened.lineage {
        return Err(OwnerError::OtherLineage {
            at: decisions.to_string(),
            expected: opened.lineage,
            got: found.lineage,
        });
    }
    Ok(())
}

pub(crate) struct CatchingUp<'a> {
    reading: Reading,
    lineage: Lineage,
    events: Cursor<'a>,
    decisions: Cursor<'a>,
    /// Changed leaves beyond which they are written to the store.
    drain_leaves: usize,
    go_on: &'a GoOn<'a>,
}

impl<'a> CatchingUp<'a> {
    /// Goes on where reading stopped, up to `decisions_end`.
    pub(crate) fn resume(
        log: &'a dyn EventLog,
        settings: &Settings,
        mut reading: Reading,
        lineage: Lineage,
        decisions_end: u64,
        go_on: &'a GoOn<'a>,
    ) -> CatchingUp<'a> {
        let events = reading.events(log, Topic::Events.partition(settings.partition), go_on);
        let decisions_at = Topic::Decisions.partition(settings.partition);
        let decisions = Cursor::new(log, decisions_at, reading.decisions_next, decisions_end, go_on);
        CatchingUp { reading, lineage, events, decisions, drain_leaves: settings.drain_leaves, go_on }
    }

    pub(crate) fn into_reading(self) -> Reading {
        let (unread, events_next) = self.events.into_rest();
        // What lies behind the end that was asked for is read again.
        let (rest, next) = self.decisions.into_rest();
        let decisions_next = rest.front().map_or(next, |record| record.offset);
        Reading { unread, events_next, decisions_next, ..self.reading }
    }

    pub(crate) fn read_decisions(&mut self) -> Result<(), OwnerError> {
        while let Some(stored) = self.decisions.next()? {
            let (position, record) = decision::decode(&stored).map_err(|source| OwnerError::Unreadable {
                at: self.decisions.at().clone(),
                offset: stored.offset,
                source,
            })?;
            match record {
                DecisionRecord::Lineage(_) => {}
                DecisionRecord::TurnCommitted(turn) => self.close(stored.offset, &turn)?,
                DecisionRecord::Decision(decision) => {
                    let position =
                        position.ok_or_else(|| self.broken(stored.offset, "a decision with its position"))?;
                    self.take(stored, position, &decision)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, stored: Record, position: Position, decision: &Decision) -> Result<(), OwnerError> {
        if position < self.reading.committed {
            // Covered by the checkpoint, unless it stands where none may stand.
            return if self.reading.has_closed { Err(self.behind_closed(&stored, position)) } else { Ok(()) };
        }
        if self.reading.last.is_some_and(|last| last >= position) {
            let expected = format!("one decision a step, each later than the one before, got {position} again or late");
            return Err(self.broken(stored.offset, &expected));
        }
        self.fold_before(Position::fold(position.offset))?;
        if position.step == 0 {
            self.fold_event(stored.offset, position.offset, Some(decision))?;
        } else {
            if self.reading.partition.position() <= Position::fold(position.offset) {
                self.fold_event(stored.offset, position.offset, None)?;
            }
            self.reading.partition.reapply(position, decision)?;
        }
        self.reading.last = Some(position);
        self.reading.adopted.push(stored);
        Ok(())
    }

    /// Folds the record at `offset`, which a decision says is there.
    fn fold_event(&mut self, decision_offset: u64, offset: u64, decision: Option<&Decision>) -> Result<(), OwnerError> {
        match self.events.next()? {
            Some(stored) if stored.offset == offset => {
                self.reading.partition.refold(&envelope(&self.events, &stored)?, decision)?;
                self.reading.folded += 1;
                Ok(())
            }
            Some(_) | None => {
                let expected = format!("the event at offset {offset} this decision was taken on");
                Err(self.broken(decision_offset, &expected))
            }
        }
    }

    /// Folds every record before `position` on which nothing was decided.
    fn fold_before(&mut self, position: Position) -> Result<(), OwnerError> {
        while let Some(stored) = self.events.peek()? {
            if Position::fold(stored.offset) >= position {
                break;
            }
            let Some(stored) = self.events.next()? else {
                break;
            };
            self.reading.partition.refold(&envelope(&self.events, &stored)?, None)?;
            self.reading.folded += 1;
        }
        Ok(())
    }

    /// A commit point: every step before it is decided.
    fn close(&mut self, offset: u64, turn: &TurnCommitted) -> Result<(), OwnerError> {
        if turn.lineage != self.lineage {
            let at = self.decisions.at().to_string();
            return Err(OwnerError::OtherLineage { at, expected: self.lineage, got: turn.lineage });
        }
        if turn.to <= self.reading.committed {
            return Ok(());
        }
        if turn.from != self.reading.committed {
            let expected = format!("a turn from {}, got one from {} to {}", self.reading.committed, turn.from, turn.to);
            return Err(self.broken(offset, &expected));
        }
        if self.reading.last.is_some_and(|last| last >= turn.to) {
            let expected = format!("a turn that covers the decisions before it, got one to {}", turn.to);
            return Err(self.broken(offset, &expected));
        }
        self.fold_before(turn.to)?;
        if self.events.peek()?.is_none() && self.events.read_to() < turn.to.offset {
            let (end, to) = (self.events.read_to(), turn.to);
            let expected = format!("events up to {to}, where a turn was committed; they end at {end}: restore them");
            return Err(OwnerError::Broken { at: self.events.at().clone(), offset: end, expected });
        }
        self.reading.partition.resume_at(turn.to);
        self.reading.partition.absorb();
        self.reading.committed = turn.to;
        self.reading.committed_at = turn.watermark;
        self.reading.has_closed = true;
        self.reading.closed_at = offset + 1;
        self.reading.adopted.clear();
        self.reading.folded = 0;
        if self.reading.partition.committed_leaves() >= self.drain_leaves {
            self.reading.partition.begin_drain(offset + 1);
            while self.reading.partition.drain_slice()? == Drained::Slice {
                (self.go_on)()?;
            }
        }
        Ok(())
    }

    fn behind_closed(&self, stored: &Record, position: Position) -> OwnerError {
        let expected = format!("no decision before {}, where a turn is closed, got {position}", self.reading.committed);
        self.broken(stored.offset, &expected)
    }

    fn broken(&self, offset: u64, expected: &str) -> OwnerError {
        OwnerError::Broken { at: self.decisions.at().clone(), offset, expected: expected.into() }
    }
}

fn envelope(events: &Cursor<'_>, stored: &Record) -> Result<tradewind_domain::Envelope, OwnerError> {
    tradewind_wire::record::envelope(stored).map_err(|source| OwnerError::Unreadable {
        at: events.at().clone(),
        offset: stored.offset,
        source,
    })
}
