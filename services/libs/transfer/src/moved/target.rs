//! The log that is moved into: each partition is written by a writer of its own,
//! as its owner would, and what it holds already is compared, not written again.

use tradewind_domain::{Body, DecisionRecord, LineageOpened, Name, Position, Timestamp, TurnCommitted};
use tradewind_ports::{EventLog, NewRecord, Record, Topic, TopicPartition, Writer};
use tradewind_wire::record::{self, NewFact};
use tradewind_wire::{decision, moved};

use super::Move;
use super::control::Placement;
use super::error::MoveError;
use crate::cursor::Cursor;

/// Of events and decisions, beyond which a batch ends. What was decided between
/// two events is never torn apart.
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Target<'a> {
    log: &'a dyn EventLog,
    partitions: Vec<Partition<'a>>,
}

impl<'a> Target<'a> {
    pub(super) fn open(log: &'a dyn EventLog, moving: &Move, opened: LineageOpened) -> Result<Target<'a>, MoveError> {
        let open = |number| Partition::open(log, number, opened, moving);
        Ok(Target { log, partitions: (0..moving.target_partitions).map(open).collect::<Result<_, _>>()? })
    }

    pub(super) fn log(&self) -> &'a dyn EventLog {
        self.log
    }

    /// True if it was there already.
    pub(super) fn event(&mut self, record: &Record, time: Timestamp, placed: Placement) -> Result<bool, MoveError> {
        self.partition(placed.partition).event(moved::event(record, time, placed.epoch), time)
    }

    /// `is_fold`: it was taken when the record before it was folded.
    pub(super) fn decision(&mut self, record: &Record, partition: u32, is_fold: bool) {
        self.partition(partition).decision(record, is_fold);
    }

    pub(super) fn finish(&mut self) -> Result<(), MoveError> {
        self.partitions.iter_mut().try_for_each(Partition::finish)
    }

    fn partition(&mut self, number: u32) -> &mut Partition<'a> {
        &mut self.partitions[number as usize]
    }
}

/// The lineage the target is open with, or the one it will be.
pub(super) fn opened(log: &dyn EventLog, moving: &Move) -> Result<LineageOpened, MoveError> {
    let mut opened = None;
    for number in 0..moving.target_partitions {
        if let Some(found) = opening(log, number)? {
            if opened.is_some_and(|known| known != found) {
                let expected = "one lineage in all partitions".into();
                return Err(MoveError::Occupied { at: Topic::Events.partition(number), offset: 0, expected });
            }
            opened = Some(found);
        }
    }
    Ok(opened.unwrap_or(moving.lineage))
}

/// The lineage a partition is open with, if it is.
fn opening(log: &dyn EventLog, number: u32) -> Result<Option<LineageOpened>, MoveError> {
    let at = Topic::Events.partition(number);
    let Some(first) = Cursor::open(log, at.clone())?.next()? else { return Ok(None) };
    let offset = first.offset;
    let envelope =
        record::envelope(&first).map_err(|source| MoveError::Unreadable { at: at.clone(), offset, source })?;
    if let Body::LineageOpened(opened) = envelope.fact.body {
        Ok(Some(opened))
    } else {
        Err(MoveError::Occupied { at, offset, expected: "the record that opens the lineage".into() })
    }
}

struct Partition<'a> {
    log: &'a dyn EventLog,
    writer: Box<dyn Writer>,
    events: TopicPartition,
    decisions: TopicPartition,
    opened: LineageOpened,
    build: Name,
    batch: usize,
    /// What was there before, to be compared.
    found: Cursor<'a>,
    found_end: u64,
    has_decisions: bool,
    /// Decisions before it are there already, and covered.
    committed: Position,
    /// Where the next step of the record before it stands, and the next record.
    next_step: u32,
    next: u64,
    watermark: Timestamp,
    unwritten_events: Vec<NewRecord>,
    unwritten_decisions: Vec<NewRecord>,
    bytes: usize,
}

impl<'a> Partition<'a> {
    fn open(
        log: &'a dyn EventLog,
        number: u32,
        opened: LineageOpened,
        moving: &Move,
    ) -> Result<Partition<'a>, MoveError> {
        let (events, decisions) = (Topic::Events.partition(number), Topic::Decisions.partition(number));
        let writer = log.writer(&format!("{}/orchestrator/{number}", moving.installation))?;
        let start = log.bounds(&events)?;
        if start.end == 0 {
            let opening = NewFact::of_partition(number, moving.opened_at, Body::LineageOpened(opened));
            log.append(&events, vec![record::event(&opening)])?;
        }
        let found_end = log.bounds(&events)?.end;
        let mut found = Cursor::open(log, events.clone())?;
        found.next()?;
        let (has_decisions, committed, decided) = written(log, &decisions)?;
        let mut partition = Partition {
            log,
            writer,
            events,
            decisions,
            opened,
            build: moving.build.clone(),
            batch: moving.batch.max(1),
            found,
            found_end,
            has_decisions,
            committed,
            next_step: 1,
            next: 1,
            watermark: Timestamp::MIN,
            unwritten_events: Vec::new(),
            unwritten_decisions: Vec::new(),
            bytes: 0,
        };
        // A transaction that ended early: its decisions stand, so a turn covers them.
        if decided > committed {
            partition.commit(&[], Vec::new(), decided)?;
        }
        Ok(partition)
    }

    fn event(&mut self, event: NewRecord, time: Timestamp) -> Result<bool, MoveError> {
        if self.unwritten_events.len() >= self.batch || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        self.watermark = self.watermark.max(time);
        let offset = self.next;
        self.next += 1;
        self.next_step = 1;
        if offset >= self.found_end {
            self.bytes += size_of(&event);
            self.unwritten_events.push(event);
            return Ok(false);
        }
        let is_same = self.found.next()?.is_some_and(|found| {
            (found.offset, found.key, found.headers, found.value) == (offset, event.key, event.headers, event.value)
        });
        if is_same { Ok(true) } else { Err(self.occupied(offset, "what this move wrote there, or nothing")) }
    }

    fn decision(&mut self, stored: &Record, is_fold: bool) {
        let step = if is_fold { 0 } else { self.next_step };
        let position = Position { offset: self.next - 1, step };
        self.next_step = self.next_step.max(step + 1);
        if position >= self.committed {
            let moved = moved::decision(stored, position, self.opened.lineage);
            self.bytes += size_of(&moved);
            self.unwritten_decisions.push(moved);
        }
    }

    fn finish(&mut self) -> Result<(), MoveError> {
        if self.found_end > self.next {
            return Err(self.occupied(self.next, "the end of what was moved"));
        }
        self.flush()?;
        if self.committed > Position::fold(self.next) {
            return Err(self.occupied(self.next, "no turn beyond the end of what was moved"));
        }
        Ok(())
    }

    /// Decisions and the turn that covers them, then the events: whoever finds the
    /// ones without the others can't decide anew. All that is to stand before the
    /// next event has been handed over.
    fn flush(&mut self) -> Result<(), MoveError> {
        let to = Position::fold(self.next);
        let (events, decisions) =
            (std::mem::take(&mut self.unwritten_events), std::mem::take(&mut self.unwritten_decisions));
        self.bytes = 0;
        if to > self.committed {
            self.commit(&events, decisions, to)?;
        }
        let first = self.next - events.len() as u64;
        let offsets = if events.is_empty() { Vec::new() } else { self.log.append(&self.events, events)? };
        if !offsets.iter().copied().eq(first..self.next) {
            return Err(self.occupied(first, "nobody else to write there"));
        }
        Ok(())
    }

    fn commit(&mut self, events: &[NewRecord], decisions: Vec<NewRecord>, to: Position) -> Result<(), MoveError> {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let turn = TurnCommitted {
            lineage: self.opened.lineage,
            from: self.committed,
            to,
            watermark: self.watermark,
            facts: count(events.len()),
            wakeups: 0,
            decisions: count(decisions.len()),
            commands: 0,
            build: self.build.clone(),
        };
        self.writer.begin()?;
        if !self.has_decisions {
            self.writer.send(&self.decisions, decision::lineage_record(self.decisions.partition, &self.opened))?;
        }
        for decision in decisions {
            self.writer.send(&self.decisions, decision)?;
        }
        self.writer.acknowledge()?;
        self.writer.send(&self.decisions, decision::turn_record(self.decisions.partition, &turn))?;
        self.writer.acknowledge()?;
        self.writer.commit()?;
        self.has_decisions = true;
        self.committed = to;
        Ok(())
    }

    fn occupied(&self, offset: u64, expected: &str) -> MoveError {
        MoveError::Occupied { at: self.events.clone(), offset, expected: expected.into() }
    }
}

/// What the target's decisions hold: whether they are opened, up to where they
/// are covered, and up to where they are written.
fn written(log: &dyn EventLog, at: &TopicPartition) -> Result<(bool, Position, Position), MoveError> {
    let (mut is_open, mut committed, mut decided) = (false, Position::default(), Position::default());
    let mut found = Cursor::open(log, at.clone())?;
    while let Some(stored) = found.next()? {
        is_open = true;
        let offset = stored.offset;
        let decoded =
            decision::decode(&stored).map_err(|source| MoveError::Unreadable { at: at.clone(), offset, source })?;
        match decoded {
            (_, DecisionRecord::Lineage(_)) => {}
            (_, DecisionRecord::TurnCommitted(turn)) => committed = turn.to,
            (position, DecisionRecord::Decision(_)) => {
                decided = position.map_or(decided, Position::next_step);
            }
        }
    }
    Ok((is_open, committed, decided.max(committed)))
}

fn size_of(record: &NewRecord) -> usize {
    record.key.len() + record.headers.as_bytes().len() + record.value.as_ref().map_or(0, Vec::len)
}
