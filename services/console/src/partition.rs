//! One partition as the console reads it: its events and its decisions, from near
//! their ends, and what they say of the log's lineage and time.

use std::collections::VecDeque;
use std::fmt;

use tradewind_domain::{
    Body, Decision, DecisionRecord, Envelope, LineageOpened, Position, Timestamp, Transition, TurnCommitted,
};
use tradewind_explain::{DecisionSeen, FactSeen, OutcomeSeen};
use tradewind_ports::{EventLog, LogError, ReadLimit, Record, Topic, TopicPartition};
use tradewind_wire::{DecodeError, decision, record};

use crate::hub::{Lane, Lanes};
use crate::item;
use crate::status::{Counts, PlaceSeen, kind_word};

const READ_LIMIT: ReadLimit = ReadLimit { records: 2_000, bytes: 4 << 20 };

/// The lineage and a development log's speed are said at the very beginning.
const HEAD: ReadLimit = ReadLimit { records: 200, bytes: 1 << 20 };

/// Most items of a lane in one update: nobody reads faster.
pub(crate) const PUBLISHED: usize = 200;

/// What keeps the console from reading on.
#[derive(Debug)]
pub(crate) enum Trouble {
    Log(LogError),
    Unreadable { at: TopicPartition, offset: u64, source: DecodeError },
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Log(error) => error.fmt(formatter),
            Trouble::Unreadable { at, offset, source } => write!(formatter, "read {at} at offset {offset}: {source}"),
        }
    }
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Trouble {
        Trouble::Log(error)
    }
}

/// Where the reader puts what it read.
#[derive(Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) lanes: &'a mut Lanes,
    pub(crate) counts: &'a mut Counts,
}

#[derive(Debug)]
pub(crate) struct PartitionTail {
    pub(crate) partition: u32,
    events: Reader,
    decisions: Reader,
    lineage: Option<LineageOpened>,
    speed_permille: u32,
    committed: Option<Position>,
    watermark: Option<Timestamp>,
}

#[derive(Debug)]
struct Reader {
    at: TopicPartition,
    /// `None` until it is known where to begin.
    next: Option<u64>,
    from_start: bool,
}

impl Reader {
    fn new(at: TopicPartition) -> Reader {
        Reader { at, next: None, from_start: true }
    }

    /// Where to read on; at first `look_back` before the end.
    fn begin(&mut self, log: &dyn EventLog, look_back: u64) -> Result<u64, LogError> {
        if let Some(next) = self.next {
            return Ok(next);
        }
        let bounds = log.bounds(&self.at)?;
        let from = bounds.end.saturating_sub(look_back).max(bounds.start);
        self.from_start = from == bounds.start;
        self.next = Some(from);
        Ok(from)
    }

    fn unreadable(&self, record: &Record, source: DecodeError) -> Trouble {
        Trouble::Unreadable { at: self.at.clone(), offset: record.offset, source }
    }
}

impl PartitionTail {
    pub(crate) fn new(partition: u32) -> PartitionTail {
        PartitionTail {
            partition,
            events: Reader::new(Topic::Events.partition(partition)),
            decisions: Reader::new(Topic::Decisions.partition(partition)),
            lineage: None,
            speed_permille: 1_000,
            committed: None,
            watermark: None,
        }
    }

    /// After what was to be read is gone: begins anew near the end.
    pub(crate) fn forget(&mut self) {
        self.events.next = None;
        self.decisions.next = None;
    }

    /// Where to wait for the next record.
    pub(crate) fn waits_at(&self) -> (&TopicPartition, u64) {
        (&self.events.at, self.events.next.unwrap_or_default())
    }

    /// Whether everything the log ever held is counted.
    pub(crate) fn is_whole(&self) -> bool {
        self.events.from_start && self.decisions.from_start
    }

    /// Reads facts and outcomes; returns how many records there were.
    pub(crate) fn read_events(
        &mut self,
        log: &dyn EventLog,
        look_back: u64,
        heard: &mut Heard<'_>,
    ) -> Result<usize, Trouble> {
        if self.events.next.is_none() {
            self.read_head(log)?;
        }
        let from = self.events.begin(log, look_back)?;
        let batch = log.read(&self.events.at, from, READ_LIMIT)?;
        let (mut facts, mut outcomes) = (VecDeque::new(), VecDeque::new());
        // A batch counts when all of it was read: one that can't be is read again.
        let mut counts = *heard.counts;
        for stored in &batch.records {
            let event = record::envelope(stored).map_err(|source| self.events.unreadable(stored, source))?;
            if matches!(event.fact.body, Body::IngestAlive(_) | Body::Tick) {
                counts.beats += 1;
            } else if matches!(event.fact.body, Body::Outcome(_)) {
                counts.outcomes += 1;
                keep(&mut outcomes, event);
            } else {
                counts.facts += 1;
                self.hear(&event);
                keep(&mut facts, event);
            }
        }
        *heard.counts = counts;
        self.events.next = Some(batch.next);
        for event in &facts {
            heard.lanes.push(Lane::Facts, item::fact(self.partition, FactSeen::of(event)));
        }
        for outcome in outcomes.iter().filter_map(OutcomeSeen::of) {
            heard.lanes.push(Lane::Outcomes, item::outcome(self.partition, &outcome));
        }
        Ok(batch.records.len())
    }

    /// Reads decisions and the commands in them; returns how many records there were.
    pub(crate) fn read_decisions(
        &mut self,
        log: &dyn EventLog,
        look_back: u64,
        heard: &mut Heard<'_>,
    ) -> Result<usize, Trouble> {
        let from = self.decisions.begin(log, look_back)?;
        let batch = log.read(&self.decisions.at, from, READ_LIMIT)?;
        let (mut decisions, mut counts) = (VecDeque::new(), *heard.counts);
        for stored in &batch.records {
            let decoded = decision::decode(stored).map_err(|source| self.decisions.unreadable(stored, source))?;
            match decoded {
                (position, DecisionRecord::Decision(decision)) => {
                    self.watermark = self.watermark.max(Some(decision.watermark));
                    count(&mut counts, &decision);
                    let position = position.expect("a decision is decoded with its position");
                    keep(&mut decisions, (decision, position, stored.offset));
                }
                (_, DecisionRecord::TurnCommitted(turn)) => self.commit(&turn),
                (_, DecisionRecord::Lineage(opened)) => self.lineage = self.lineage.or(Some(opened)),
            }
        }
        *heard.counts = counts;
        self.decisions.next = Some(batch.next);
        for (decision, position, offset) in decisions {
            let seen = DecisionSeen::of(&decision, position, offset);
            for command in seen.commands() {
                heard.lanes.push(Lane::Commands, item::command(self.partition, command.clone()));
            }
            heard.lanes.push(Lane::Decisions, item::decision(self.partition, seen));
        }
        Ok(batch.records.len())
    }

    fn read_head(&mut self, log: &dyn EventLog) -> Result<(), Trouble> {
        let start = log.bounds(&self.events.at)?.start;
        for stored in &log.read(&self.events.at, start, HEAD)?.records {
            let event = record::envelope(stored).map_err(|source| self.events.unreadable(stored, source))?;
            self.hear(&event);
        }
        Ok(())
    }

    /// What an event says of the log itself. The first lineage counts.
    fn hear(&mut self, event: &Envelope) {
        if let Body::LineageOpened(opened) = &event.fact.body {
            self.lineage = self.lineage.or(Some(*opened));
        }
        if let Body::ClockAdjusted(clock) = &event.fact.body {
            self.speed_permille = clock.speed_permille;
        }
    }

    fn commit(&mut self, turn: &TurnCommitted) {
        self.committed = Some(turn.to);
        self.watermark = self.watermark.max(Some(turn.watermark));
    }

    /// `None` where nothing was heard of the partition.
    pub(crate) fn place(&self) -> Option<PlaceSeen> {
        let (events, decisions) = (self.events.next.unwrap_or_default(), self.decisions.next.unwrap_or_default());
        (events > 0 || decisions > 0).then(|| PlaceSeen {
            partition: self.partition,
            lineage: self.lineage.map(|opened| opened.lineage),
            kind: self.lineage.map(|opened| kind_word(opened.kind)),
            position: self.committed,
            log_time: self.watermark,
            speed_permille: self.speed_permille,
            events,
            decisions,
        })
    }
}

/// Keeps the newest that one update can hold.
fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == PUBLISHED {
        kept.pop_front();
    }
    kept.push_back(new);
}

fn count(counts: &mut Counts, decision: &Decision) {
    counts.decisions += 1;
    for transition in decision.choices.iter().flat_map(|choice| &choice.transitions) {
        let counted = match transition {
            Transition::CommandIssued { .. } => &mut counts.commands,
            Transition::Withheld { .. } => &mut counts.withheld,
            Transition::Suppressed { .. } => &mut counts.suppressed,
            Transition::Deferred { .. } => &mut counts.deferred,
            Transition::InstanceStarted { .. }
            | Transition::StepEntered { .. }
            | Transition::VariableSet { .. }
            | Transition::WakeupSet { .. }
            | Transition::WakeupCleared { .. }
            | Transition::SlotReserved { .. }
            | Transition::SlotReleased { .. }
            | Transition::HeldOut { .. }
            | Transition::Derived { .. }
            | Transition::InstanceEnded { .. }
            | Transition::OutcomeMissing { .. } => continue,
        };
        *counted += 1;
    }
}
