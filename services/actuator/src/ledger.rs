//! The ledger, folded: what predecessors promised and found out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tradewind_domain::{Claimed, CommandId, LedgerEntry, Lineage, Timestamp, ledger_answer_key};
use tradewind_ports::{EventLog, Headers, NewRecord, ReadLimit, TopicPartition};
use tradewind_wire::ledger;

use crate::error::ActuatorError;

/// Of a pass over it.
pub(crate) const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

/// How long a verdict is remembered: a copy of a command that comes later than
/// that is past its deadline by weeks, and is passed over for that.
pub(crate) const REMEMBERED_MS: i64 = 60 * 24 * 60 * 60 * 1_000;

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
    /// Steps that were answered: entries of their own, to be forgotten as well.
    answered: BTreeMap<CommandId, BTreeSet<u32>>,
}

impl Ledger {
    /// Reads the whole ledger. The writer is fenced before, so that nothing is
    /// added behind what is read. It must belong to this `lineage`.
    pub(crate) fn read(log: &dyn EventLog, at: &TopicPartition, lineage: Lineage) -> Result<Ledger, ActuatorError> {
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
                if let Some(LedgerEntry::Position(position)) = &entry
                    && position.lineage != lineage
                {
                    return Err(ActuatorError::OtherLineage {
                        at: at.clone(),
                        offset: record.offset,
                        expected: lineage,
                        got: position.lineage,
                    });
                }
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
                self.answered.entry(answered.command).or_default().insert(answered.step);
            }
            LedgerEntry::Verdict(verdict) => {
                self.known.insert(verdict.command, Known::Verdict { offset });
                self.concluded.push_back((appended_at, verdict.command));
            }
            LedgerEntry::Position(position) => self.position = Some(position.offset),
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some((command, step)) = key.split_first_chunk() {
            let command = CommandId::from_bytes(*command);
            match step.try_into() {
                Ok(step) => {
                    let step = u32::from_be_bytes(step);
                    if self.answered.get_mut(&command).is_some_and(|steps| steps.remove(&step) && steps.is_empty()) {
                        self.answered.remove(&command);
                    }
                }
                Err(_) => {
                    self.known.remove(&command);
                }
            }
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
                let steps = self.answered.remove(&command).unwrap_or_default();
                let answers = steps.into_iter().map(|step| ledger_answer_key(command, step));
                let keys = answers.chain([command.as_bytes().to_vec()]);
                records.extend(keys.map(|key| NewRecord { key, headers: Headers::new(), value: None }));
            }
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use tradewind_domain::{StepAnswered, Verdict};

    use super::*;

    const COMMAND: CommandId = CommandId::from_bytes([7; 16]);

    fn claimed(step: u32) -> LedgerEntry {
        LedgerEntry::Claimed(Claimed {
            command: COMMAND,
            attempt: step + 1,
            valid_ms: 30_000,
            first_claimed_at: Timestamp::from_millis(5),
            step,
        })
    }

    fn answered(step: u32) -> LedgerEntry {
        LedgerEntry::StepAnswered(StepAnswered { command: COMMAND, attempt: 1, step, status: 200, answer: None })
    }

    /// What compaction leaves: the newest of each key.
    fn compacted(entries: &[LedgerEntry]) -> Ledger {
        let newest: BTreeMap<Vec<u8>, &LedgerEntry> = entries.iter().map(|entry| (entry.key(), entry)).collect();
        let mut ledger = Ledger::default();
        newest.into_values().for_each(|entry| ledger.fold(entry.clone(), 0, Timestamp::from_millis(0)));
        ledger
    }

    #[test]
    fn an_answered_step_outlives_the_claim_of_the_next_and_hides_none() {
        let ledger = compacted(&[claimed(0), answered(0), claimed(1)]);
        assert!(matches!(ledger.known[&COMMAND], Known::Claimed(Claimed { step: 1, attempt: 2, .. })));
        assert_eq!(ledger.answered[&COMMAND], BTreeSet::from([0]));
        let ledger = compacted(&[claimed(0), answered(0)]);
        assert!(matches!(ledger.known[&COMMAND], Known::Claimed(Claimed { valid_ms: 30_000, .. })));
    }

    #[test]
    fn forgetting_a_command_covers_each_of_its_keys() {
        let verdict = Verdict { command: COMMAND, attempt: 2, outcome: [].into() };
        let entries = [claimed(0), answered(0), claimed(1), answered(1), LedgerEntry::Verdict(verdict)];
        let mut ledger = compacted(&entries);
        let later = Timestamp::from_millis(REMEMBERED_MS + 1);
        let mut forgotten: Vec<Vec<u8>> = ledger.forgettable(later, 10).into_iter().map(|record| record.key).collect();
        forgotten.sort();
        let mut keys: Vec<Vec<u8>> = entries.iter().map(LedgerEntry::key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(forgotten, keys);

        let mut read = compacted(&entries);
        forgotten.iter().for_each(|key| read.forget(key));
        assert!(read.known.is_empty() && read.answered.is_empty());
    }
}
