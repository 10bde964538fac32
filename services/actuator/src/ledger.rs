//! The ledger, folded: what predecessors promised and found out.

use std::collections::{BTreeMap, VecDeque};

use tradewind_domain::{Claimed, CommandId, LedgerEntry, Timestamp};
use tradewind_ports::{EventLog, Headers, NewRecord, ReadLimit, TopicPartition};
use tradewind_wire::ledger;

use crate::actuator::ActuatorError;

const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

/// How long a verdict is remembered: a copy of a command that comes later than
/// that is past its deadline by weeks, and is passed over for that.
pub(crate) const REMEMBERED_MS: i64 = 60 * 24 * 60 * 60 * 1_000;

/// Assumed of a claim of which only an answered step is left.
const LONGEST_CLAIM_MS: i64 = 60_000;

/// What is known of a command that is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Claimed(Claimed),
    /// Where its verdict stands; whether its outcome was appended is not known.
    Verdict {
        offset: u64,
    },
    /// Its outcome was appended.
    Told,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) known: BTreeMap<CommandId, Known>,
    /// Every command before this offset has its outcome on the log.
    pub(crate) position: Option<u64>,
    /// Verdicts by age, to be forgotten in time.
    concluded: VecDeque<(Timestamp, CommandId)>,
}

impl Ledger {
    /// Reads the whole ledger. The writer is fenced before, so that nothing is
    /// added behind what is read.
    pub(crate) fn read(log: &dyn EventLog, at: &TopicPartition) -> Result<Ledger, ActuatorError> {
        let mut ledger = Ledger::default();
        let bounds = log.bounds(at)?;
        let mut next = bounds.start;
        while next < bounds.end {
            let batch = log.read(at, next, BATCH)?;
            for record in &batch.records {
                let entry = ledger::decode(record).map_err(|source| ActuatorError::Unreadable {
                    at: at.clone(),
                    offset: record.offset,
                    source,
                })?;
                match entry {
                    Some(entry) => ledger.fold(entry, record.offset, record.appended_at),
                    None => ledger.forget(&record.key),
                }
            }
            next = batch.next;
        }
        Ok(ledger)
    }

    fn fold(&mut self, entry: LedgerEntry, offset: u64, appended_at: Timestamp) {
        match entry {
            LedgerEntry::Claimed(claimed) => {
                self.known.insert(claimed.command, Known::Claimed(claimed));
            }
            LedgerEntry::StepAnswered(answered) => {
                // Compaction may have left nothing else: then it was claimed at
                // some time, and no key is relied on.
                self.known.entry(answered.command).or_insert(Known::Claimed(Claimed {
                    command: answered.command,
                    attempt: answered.attempt,
                    valid_ms: LONGEST_CLAIM_MS,
                    first_claimed_at: Timestamp::MIN,
                }));
            }
            LedgerEntry::Verdict(verdict) => {
                self.known.insert(verdict.command, Known::Verdict { offset });
                self.concluded.push_back((appended_at, verdict.command));
            }
            LedgerEntry::Position(offset) => self.position = Some(offset),
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Ok(bytes) = key.try_into() {
            self.known.remove(&CommandId::from_bytes(bytes));
        }
    }

    /// The command's outcome was appended; its verdict was written at `at`, or before.
    pub(crate) fn told(&mut self, command: CommandId, at: Timestamp) {
        let had = self.known.insert(command, Known::Told);
        if !matches!(had, Some(Known::Verdict { .. })) {
            self.concluded.push_back((at, command));
        }
    }

    /// Up to `most` commands whose verdict is old enough to be forgotten, and
    /// the records that do it.
    pub(crate) fn forgettable(&mut self, now: Timestamp, most: usize) -> Vec<NewRecord> {
        let mut records = Vec::new();
        while records.len() < most
            && let Some((at, command)) = self.concluded.front().copied()
            && now.since(at) > REMEMBERED_MS
        {
            self.concluded.pop_front();
            if self.known.remove(&command).is_some() {
                records.push(NewRecord { key: command.as_bytes().to_vec(), headers: Headers::new(), value: None });
            }
        }
        records
    }
}
