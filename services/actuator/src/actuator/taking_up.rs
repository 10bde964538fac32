//! Commands in: each is given its errand, by what the ledger knows of it.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{Command, LedgerEntry};
use tradewind_ports::{LogError, ReadLimit};
use tradewind_wire::{command, ledger};

use super::{Actuator, Stepped, Untold, Work};
use crate::errand::{Errand, Terms};
use crate::error::ActuatorError;
use crate::ledger::{BATCH as LEDGER_BATCH, Known};

/// By the offset of their verdicts.
type Outcomes = BTreeMap<u64, Box<[u8]>>;

impl Actuator {
    /// Takes up the commands there are, as far as there is room.
    pub(super) fn read(&mut self, stepped: &mut Stepped) -> Result<(), ActuatorError> {
        let room = self.room();
        if room == 0 {
            return Ok(());
        }
        let at = self.commands();
        let batch = self.log.read(&at, self.commands_next, ReadLimit { records: room.min(2_000), bytes: 4 << 20 })?;
        let mut issued_here = Vec::new();
        for stored in &batch.records {
            let issued = command::decode(stored).map_err(|source| ActuatorError::Unreadable {
                at: at.clone(),
                offset: stored.offset,
                source,
            })?;
            if issued.lineage != self.lineage {
                let (expected, got) = (self.lineage, issued.lineage);
                return Err(ActuatorError::OtherLineage { at, offset: stored.offset, expected, got });
            }
            issued_here.push((stored.offset, issued.command));
        }
        let mut outcomes = self.outcomes(&issued_here)?;
        for (offset, command) in issued_here {
            stepped.commands += 1;
            if !self.take_up(offset, command, &mut outcomes)? {
                stepped.passed_over += 1;
            }
        }
        self.commands_next = batch.next;
        Ok(())
    }

    /// False if the command gets no outcome.
    fn take_up(&mut self, offset: u64, command: Command, outcomes: &mut Outcomes) -> Result<bool, ActuatorError> {
        let id = command.id;
        if self.work.contains_key(&id) {
            // A copy: the first one has its place.
            return Ok(true);
        }
        let terms = Terms::of(&command, self.settings.operation(&command));
        let now = self.clocks.now();
        let errand = match self.ledger.known.get(&id).copied() {
            Some(Known::Told) => return Ok(true),
            Some(Known::Verdict { offset: at }) => {
                let outcome = outcomes.remove(&at).ok_or_else(|| {
                    let reason = format!("{} no longer has the verdict at offset {at}", self.ledger_topic());
                    LogError::Indefinite { reason }
                })?;
                self.ledger.told(id, now.wall);
                self.open.insert(offset);
                self.untold.push(Untold { offset, command, outcome });
                return Ok(true);
            }
            Some(Known::Claimed(claimed)) => Some(Errand::taken_over(&claimed, terms, self.read_at)),
            None => Errand::fresh(id, terms, now),
        };
        let Some(errand) = errand else { return Ok(false) };
        let waiting = self.targets.entry((command.tenant.clone(), command.target.clone())).or_default();
        waiting.push_back(id);
        let is_first = waiting.len() == 1;
        self.open.insert(offset);
        self.work.insert(id, Work { offset, command, errand, planned_at: None, flight: None, is_held: false });
        if is_first {
            self.plan(id, now.boot);
        }
        Ok(true)
    }

    /// The outcomes that the ledger has of these commands, each read at its verdict's offset. One pass over the ledger finds
    /// them all: where an open command holds the position back, a successor meets a great many.
    fn outcomes(&self, commands: &[(u64, Command)]) -> Result<Outcomes, ActuatorError> {
        let verdicts: BTreeSet<u64> = commands
            .iter()
            .filter_map(|(_, command)| match self.ledger.known.get(&command.id)? {
                Known::Verdict { offset } => Some(*offset),
                Known::Claimed(_) | Known::Told => None,
            })
            .collect();
        let mut outcomes = Outcomes::new();
        let (Some(first), Some(last)) = (verdicts.first().copied(), verdicts.last().copied()) else {
            return Ok(outcomes);
        };
        let at = self.ledger_topic();
        let mut next = first;
        while next <= last {
            let batch = self.log.read(&at, next, LEDGER_BATCH)?;
            for record in batch.records.iter().filter(|record| verdicts.contains(&record.offset)) {
                let offset = record.offset;
                let entry = ledger::decode(record);
                let entry = entry.map_err(|source| ActuatorError::Unreadable { at: at.clone(), offset, source })?;
                if let Some(LedgerEntry::Verdict(verdict)) = entry {
                    outcomes.insert(offset, verdict.outcome);
                }
            }
            if batch.next == next {
                break;
            }
            next = batch.next;
        }
        Ok(outcomes)
    }
}
