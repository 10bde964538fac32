//! Commands in: each is given its errand, by what the ledger knows of it.

use tradewind_domain::{Command, LedgerEntry};
use tradewind_ports::{LogError, ReadLimit};
use tradewind_wire::{command, ledger};

use super::{Actuator, Stepped, Untold, Work};
use crate::errand::{Errand, Terms};
use crate::error::ActuatorError;
use crate::ledger::Known;

impl Actuator {
    /// Takes up the commands there are, as far as there is room.
    pub(super) fn read(&mut self, stepped: &mut Stepped) -> Result<(), ActuatorError> {
        let room = self.room();
        if room == 0 {
            return Ok(());
        }
        let at = self.commands();
        let batch = self.log.read(&at, self.commands_next, ReadLimit { records: room.min(2_000), bytes: 4 << 20 })?;
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
            stepped.commands += 1;
            if !self.take_up(stored.offset, issued.command)? {
                stepped.passed_over += 1;
            }
        }
        self.commands_next = batch.next;
        Ok(())
    }

    /// False if the command gets no outcome.
    fn take_up(&mut self, offset: u64, command: Command) -> Result<bool, ActuatorError> {
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
                let outcome = self.verdict(at)?;
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

    /// The outcome in the verdict at this offset of the ledger.
    fn verdict(&self, offset: u64) -> Result<Box<[u8]>, ActuatorError> {
        let at = self.ledger_topic();
        let batch = self.log.read(&at, offset, ReadLimit { records: 1, bytes: 1 })?;
        let found = batch.records.first().filter(|record| record.offset == offset);
        let entry = found.map(ledger::decode).transpose();
        let entry = entry.map_err(|source| ActuatorError::Unreadable { at: at.clone(), offset, source })?;
        match entry.flatten() {
            Some(LedgerEntry::Verdict(verdict)) => Ok(verdict.outcome),
            Some(LedgerEntry::Claimed(_) | LedgerEntry::StepAnswered(_) | LedgerEntry::Position(_)) | None => {
                let reason = format!("{at} no longer has the verdict at offset {offset}");
                Err(LogError::Indefinite { reason }.into())
            }
        }
    }
}
