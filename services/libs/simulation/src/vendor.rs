//! A vendor that carries out commands and lies about it in every way vendors do:
//! it answers late, twice, never, or that it failed.
//!
//! It deduplicates by command id, as the real one does by `unique_id`; what it
//! did stands in its ledger.

use std::collections::BTreeMap;

use fastrand::Rng;
use tradewind_domain::{
    Arrival, Body, Cause, Command, CommandId, Fact, FactId, Name, Outcome, OutcomeState, Source, Timestamp,
};
use tradewind_wire::record::NewFact;

use crate::shop::MINUTE;

/// What happened at the vendor.
#[derive(Clone, Debug, Default)]
pub struct VendorLedger {
    /// How often each command had its effect.
    pub effects: BTreeMap<CommandId, u32>,
    /// When each had it first.
    pub at: BTreeMap<CommandId, Timestamp>,
    seen: BTreeMap<CommandId, u32>,
}

impl VendorLedger {
    /// Takes a command; returns the outcomes that will be reported, and when.
    pub fn take(&mut self, rng: &mut Rng, command: &Command, now: Timestamp) -> Vec<(Timestamp, NewFact)> {
        let seen = self.seen.entry(command.id).or_default();
        *seen += 1;
        if *seen > 1 {
            // A copy of a command: the key is known, nothing happens again.
            return Vec::new();
        }
        let later = |rng: &mut Rng| now + rng.i64(10..10 * MINUTE);
        match rng.u32(0..10) {
            0 => vec![(later(rng), outcome(command, OutcomeState::Rejected, now))],
            // It did it and never says so.
            1 => {
                self.effect(command.id, now);
                Vec::new()
            }
            // It did not, and never says so either.
            2 => Vec::new(),
            3 => {
                self.effect(command.id, now);
                let failed = outcome(command, OutcomeState::Failed, now);
                vec![(later(rng), failed), (later(rng), outcome(command, OutcomeState::Succeeded, now))]
            }
            4 => {
                self.effect(command.id, now);
                let succeeded = outcome(command, OutcomeState::Succeeded, now);
                vec![(later(rng), succeeded.clone()), (later(rng), succeeded)]
            }
            _ => {
                self.effect(command.id, now);
                vec![(later(rng), outcome(command, OutcomeState::Succeeded, now))]
            }
        }
    }

    fn effect(&mut self, command: CommandId, now: Timestamp) {
        *self.effects.entry(command).or_default() += 1;
        self.at.entry(command).or_insert(now);
    }
}

/// The fact that reports what became of a command.
#[must_use]
pub fn outcome(command: &Command, state: OutcomeState, at: Timestamp) -> NewFact {
    let outcome = Outcome {
        command: command.id,
        attempt: 1,
        state,
        code: Name::fixed(""),
        retry_at: None,
        vendor_ref: "".into(),
        vendor_version: "".into(),
        value_before: "".into(),
        value_after: "".into(),
        cost: None,
        actor: Name::fixed(""),
        resolution: None,
        evidence: None,
    };
    NewFact {
        tenant: command.tenant.clone(),
        id: FactId::of_outcome(command.id, 1, state),
        source: Source::ourselves(),
        arrival: Arrival::Live,
        produced_at: at,
        recorded_at: None,
        placement: 1,
        translation: 0,
        caused_by: Some(Cause::Command(command.id)),
        fact: Fact { occurred_at: at, body: Body::Outcome(outcome) },
    }
}
