//! What is due is decided: answers judged, commands attempted within their pace.

use std::collections::BTreeMap;
use std::time::Duration;

use tradewind_domain::{Account, Capability, CommandId, LedgerEntry, Verdict};
use tradewind_egress::Connection;
use tradewind_wire::ledger;

use super::{Actuator, Flight, Round, account};
use crate::admission::{Admission, Opening, admit};
use crate::calls::{Call, Ended, Permit};
use crate::clock::{Boot, Moment};
use crate::errand::{CLAIM_MS, Gate, REQUEST_MS, Step};
use crate::error::ActuatorError;
use crate::http::rendered;
use crate::outcome;
use crate::pace::Pace;

/// Commands looked at in one step.
const LOOKED_AT_MAX: usize = 1_000;

impl Actuator {
    /// A request ended: its answer is judged at once, with what was opened for
    /// it, since a stop or an erasure changes nothing about what has happened.
    pub(super) fn judge(&mut self, ended: Ended, round: &mut Round) -> Result<(), ActuatorError> {
        let Some(work) = self.work.get_mut(&ended.command) else { return Ok(()) };
        let Some(flight) = work.flight.take() else { return Ok(()) };
        self.under_way -= 1;
        let now = self.clocks.now();
        let account = account(&work.command);
        let is_answered = work.errand.ended(now, flight.step, flight.is_read, ended.sent_at, ended.answer);
        let step = if is_answered {
            work.errand.decide(now, &self.settings.outbound, &Gate::Open(&flight.opened.of(&work.command)))
        } else {
            Step::Wait(work.errand.rest_until())
        };
        let setback = work.errand.take_setback();
        if let Some(setback) = &setback {
            self.tally.setback(setback.reason);
        }
        // What our own permit withheld says nothing of the vendor.
        if is_answered || setback.is_some() {
            self.setbacks.note(self.settings.vendor_word, account, setback);
        }
        self.apply(ended.command, step, now, round)
    }

    /// Decides what is due, as far as requests may be under way at once.
    pub(super) fn decide(&mut self, round: &mut Round) -> Result<(), ActuatorError> {
        let is_any_due = self.agenda.first().is_some_and(|(at, _, _)| *at <= self.clocks.now().boot);
        if self.is_stopping || !is_any_due {
            return Ok(());
        }
        self.directory.follow(self.log.as_ref())?;
        // Claims count from here, before they are appended.
        let now = self.clocks.now();
        let mut deferred: BTreeMap<(Account, Capability), i64> = BTreeMap::new();
        for _ in 0..LOOKED_AT_MAX {
            if self.under_way + round.calls.len() >= self.settings.requests_max {
                break;
            }
            let Some((at, offset, id)) = self.agenda.first().copied() else { break };
            if at > now.boot {
                break;
            }
            self.agenda.remove(&(at, offset, id));
            let work = self.work.get_mut(&id).expect("a command in the agenda is open");
            work.planned_at = None;
            self.hold(id, false);
            if let Some(step) = self.work.get_mut(&id).and_then(|work| work.errand.early(now)) {
                self.apply(id, step, now, round)?;
                continue;
            }
            if let Some(later) = self.paced(id, now, &mut deferred) {
                self.plan(id, later);
                continue;
            }
            let (vault, secrets) = (self.vault.as_ref(), self.secrets.as_ref());
            let admission = admit(&self.settings, &self.directory, vault, secrets, &self.work[&id].command)?;
            self.attempt(id, admission, now, round)?;
        }
        Ok(())
    }

    /// When a command has to wait for its account's pace: those that wait are
    /// spread over the slots to come, so that each is looked at about once.
    fn paced(&self, id: CommandId, now: Moment, deferred: &mut BTreeMap<(Account, Capability), i64>) -> Option<Boot> {
        let account = account(&self.work[&id].command);
        let pace = self.paces.get(&account)?;
        let free_at = pace.free_at();
        if free_at <= now.boot {
            return None;
        }
        let ahead = deferred.entry(account).or_default();
        let later = free_at + *ahead * pace.interval_ms();
        *ahead += 1;
        Some(later)
    }

    /// Asks the errand, and does what needs more than a plan.
    fn attempt(
        &mut self,
        id: CommandId,
        admission: Admission,
        now: Moment,
        round: &mut Round,
    ) -> Result<(), ActuatorError> {
        let outbound = self.settings.outbound;
        let work = self.work.get_mut(&id).expect("a command that is attempted is open");
        let opening = match admission {
            Admission::Open(opening) => opening,
            Admission::Shut => {
                let step = work.errand.decide(now, &outbound, &Gate::Shut);
                return self.apply(id, step, now, round);
            }
            Admission::Barred(state, code) => {
                let step = work.errand.decide(now, &outbound, &Gate::Barred(state, code));
                return self.apply(id, step, now, round);
            }
        };
        let step = work.errand.decide(now, &outbound, &Gate::Open(&opening.opened.of(&work.command)));
        let (step, request, permit, is_read, connection) = match step {
            Step::Read { step, request } => {
                (step, request, Permit::always(self.clocks.clone()), true, Connection::Kept)
            }
            Step::Claim { step, request, until, is_once } => {
                let claimed = work.errand.claim(now, step);
                round.entries.push(ledger::record(&LedgerEntry::Claimed(claimed)));
                round.claims += 1;
                let permit = Permit::new(self.clocks.clone(), now.boot + CLAIM_MS, until);
                let connection = if is_once { Connection::Fresh } else { Connection::Kept };
                (step, request, permit, false, connection)
            }
            Step::Wait(_) | Step::Pause(_) | Step::Hold(_) | Step::Conclude(_) => {
                return self.apply(id, step, now, round);
            }
        };
        let Opening { opened, origin, authorization } = opening;
        work.flight = Some(Flight { step, is_read, opened });
        let account = account(&work.command);
        let limits = self.settings.operation(&self.work[&id].command).map_or(&[][..], |operation| operation.limits);
        self.paces.entry(account).or_insert_with(|| Pace::new(limits)).note(now.boot);
        let deadline = Duration::from_millis(REQUEST_MS.unsigned_abs());
        let request = rendered(request, origin, authorization, connection, deadline);
        round.calls.push(Call { command: id, request, permit });
        Ok(())
    }

    /// Does what a step asks for, where that is no request.
    fn apply(&mut self, id: CommandId, step: Step, now: Moment, round: &mut Round) -> Result<(), ActuatorError> {
        let work = self.work.get_mut(&id).expect("a command with a step is open");
        match step {
            Step::Wait(at) => self.plan(id, at),
            Step::Hold(at) => {
                self.hold(id, true);
                self.plan(id, at);
            }
            Step::Pause(until) => {
                let at = work.errand.rest_until();
                if let Some(pace) = self.paces.get_mut(&account(&work.command)) {
                    pace.pause(until);
                }
                self.plan(id, at);
            }
            // It is asked again, when it is known that it may be sent.
            Step::Read { .. } | Step::Claim { .. } => self.plan(id, now.boot),
            Step::Conclude(conclusion) => {
                let attempt = work.errand.attempt();
                let outcome = outcome::encode(&work.command, attempt, &conclusion, now.wall, self.vault.as_ref())?;
                let verdict = Verdict { command: id, attempt, outcome: outcome.clone() };
                round.entries.push(ledger::record(&LedgerEntry::Verdict(verdict)));
                round.verdicts.push((id, outcome));
            }
        }
        Ok(())
    }
}
