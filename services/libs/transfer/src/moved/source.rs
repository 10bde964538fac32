//! The log that is moved: all partitions as one sequence, each event with the
//! time it was recorded and the decisions taken on it.

use tradewind_domain::{Body, Decision, DecisionRecord, Envelope, Lineage, LineageKind, Position, Timestamp};
use tradewind_engine::LogClock;
use tradewind_ports::{EventLog, Record, Topic, TopicPartition};
use tradewind_wire::{decision, record};

use super::error::MoveError;
use crate::cursor::Cursor;

pub(super) struct Item {
    pub(super) at: TopicPartition,
    pub(super) record: Record,
    pub(super) envelope: Envelope,
    /// By the log's clock, as the owner of the partition counts it.
    pub(super) time: Timestamp,
    /// Of the partition, with this record.
    watermark: Timestamp,
    pub(super) is_dev: bool,
    /// In the order of their positions.
    pub(super) decisions: Vec<(Record, Position, Decision)>,
}

/// Merges by the partitions' watermarks: so each keeps its own order, even where
/// a record's time lies before that of the one ahead of it.
pub(super) struct Source<'a>(Vec<(Partition<'a>, Option<Item>)>);

impl<'a> Source<'a> {
    pub(super) fn open(log: &'a dyn EventLog, partitions: u32) -> Result<Source<'a>, MoveError> {
        let opened = (0..partitions).map(|number| {
            let mut partition = Partition::open(log, number)?;
            let first = partition.next()?;
            Ok((partition, first))
        });
        Ok(Source(opened.collect::<Result<_, MoveError>>()?))
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, MoveError> {
        let earliest = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(number, (_, item))| item.as_ref().map(|item| (item.watermark, number)))
            .min();
        let Some((_, number)) = earliest else { return Ok(None) };
        let (partition, head) = &mut self.0[number];
        let following = partition.next()?;
        Ok(std::mem::replace(head, following))
    }
}

struct Partition<'a> {
    events: Cursor<'a>,
    decisions: Cursor<'a>,
    clock: LogClock,
    lineage: Option<Lineage>,
    is_dev: bool,
    watermark: Timestamp,
    /// By the last `TurnCommitted`.
    committed: Position,
    /// Of the last decision.
    last: Option<Position>,
    /// Of the last tenant's fact.
    last_fact: Option<u64>,
}

impl<'a> Partition<'a> {
    fn open(log: &'a dyn EventLog, number: u32) -> Result<Partition<'a>, MoveError> {
        Ok(Partition {
            events: Cursor::open(log, Topic::Events.partition(number))?,
            decisions: Cursor::open(log, Topic::Decisions.partition(number))?,
            clock: LogClock::default(),
            lineage: None,
            is_dev: false,
            watermark: Timestamp::MIN,
            committed: Position::default(),
            last: None,
            last_fact: None,
        })
    }

    fn next(&mut self) -> Result<Option<Item>, MoveError> {
        let Some(stored) = self.events.next()? else {
            self.decided_on(u64::MAX)?;
            self.check_end()?;
            return Ok(None);
        };
        let envelope = record::envelope(&stored).map_err(|source| MoveError::Unreadable {
            at: self.events.at().clone(),
            offset: stored.offset,
            source,
        })?;
        self.check_lineage(&stored, &envelope)?;
        if let Body::ClockAdjusted(adjusted) = &envelope.fact.body
            && self.is_dev
        {
            self.clock.adjust(envelope.recorded_at, *adjusted);
        }
        let time = self.clock.time_of(&envelope);
        self.watermark = self.watermark.max(time);
        if !envelope.tenant.is_system() {
            self.last_fact = Some(stored.offset);
        }
        let decisions = self.decided_on(stored.offset)?;
        let at = self.events.at().clone();
        let (watermark, is_dev) = (self.watermark, self.is_dev);
        Ok(Some(Item { at, record: stored, envelope, time, watermark, is_dev, decisions }))
    }

    /// The first record opens the lineage.
    fn check_lineage(&mut self, stored: &Record, envelope: &Envelope) -> Result<(), MoveError> {
        if self.lineage.is_none() {
            let Body::LineageOpened(opened) = &envelope.fact.body else {
                return Err(MoveError::Broken {
                    at: self.events.at().clone(),
                    offset: stored.offset,
                    expected: "the record that opens the lineage; restore the events from their start".into(),
                });
            };
            self.lineage = Some(opened.lineage);
            self.is_dev = opened.kind == LineageKind::Dev;
        }
        Ok(())
    }

    /// Reads decisions up to those taken on the record at `offset`.
    fn decided_on(&mut self, offset: u64) -> Result<Vec<(Record, Position, Decision)>, MoveError> {
        let mut taken = Vec::new();
        let at = self.decisions.at().clone();
        while let Some(stored) = self.decisions.peek()? {
            let stored_at = stored.offset;
            let (position, decoded) = decision::decode(stored).map_err(|source| MoveError::Unreadable {
                at: at.clone(),
                offset: stored_at,
                source,
            })?;
            match (decoded, position) {
                (DecisionRecord::Lineage(opened), _) => {
                    if Some(opened.lineage) != self.lineage {
                        return Err(self.broken(stored_at, "the lineage that the events open with"));
                    }
                }
                (DecisionRecord::TurnCommitted(turn), _) => {
                    if turn.from != self.committed || self.last.is_some_and(|last| last >= turn.to) {
                        return Err(self.broken(stored_at, "turns that join and cover the decisions before them"));
                    }
                    self.committed = turn.to;
                }
                (DecisionRecord::Decision(decision), Some(position)) => {
                    if position.offset > offset {
                        break;
                    }
                    let has_event = position.offset == offset && offset != u64::MAX;
                    if !has_event || position < self.committed || self.last.is_some_and(|last| last >= position) {
                        return Err(self.broken(stored_at, "a decision on an event, later than the one before it"));
                    }
                    self.last = Some(position);
                    if let Some(stored) = self.decisions.next()? {
                        taken.push((stored, position, decision));
                    }
                    continue;
                }
                (DecisionRecord::Decision(_), None) => {
                    return Err(self.broken(stored_at, "a decision with its position"));
                }
            }
            self.decisions.next()?;
        }
        Ok(taken)
    }

    /// Every tenant's fact is decided, and every decision is covered.
    fn check_end(&self) -> Result<(), MoveError> {
        let is_open = self.last_fact.is_some_and(|offset| self.committed <= Position::fold(offset))
            || self.last.is_some_and(|last| self.committed <= last);
        if is_open {
            return Err(MoveError::Undecided { at: self.events.at().clone(), committed: self.committed });
        }
        Ok(())
    }

    fn broken(&self, offset: u64, expected: &str) -> MoveError {
        MoveError::Broken { at: self.decisions.at().clone(), offset, expected: expected.into() }
    }
}
