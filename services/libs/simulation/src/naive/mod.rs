//! The oracle: decides the same workflow as the engine, from the domain's types
//! alone. At every step it reads all facts and all its own decisions again, with
//! plain loops; it keeps no projection, index, overlay or cache. Where the two
//! differ, one of them misreads these rules.
//!
//! *Time.* A record's time is its append time, at most a minute ahead of its
//! producer, through the log's clock, which adjustments stretch on a dev lineage
//! only; an adjustment already holds for the record that brings it. An imported
//! record, and the fact that an unparking carries, bring the log's time with them.
//! The watermark is the highest time so far, and everything is decided at it.
//!
//! *Sources.* A beat, or a live record of a vendor, shows that the vendor reaches
//! us. A silence of over a minute is a gap of each active webhook connection of
//! that vendor while it lasts; afterwards, until a reconciliation has covered it
//! or the vendor's retry horizon has passed. Nothing before a connection became
//! active is its gap. A polled connection has the gaps that facts open and close.
//!
//! *Set-up.* Of each connection, binding, setting, switch and definition the
//! highest version counts, and of equal versions the first. A negative setting is
//! 0. Approve counts as shadow; canary is on for those drawn and shadow for others.
//!
//! *Objects.* Versions are ordered by the vendor's time, then by fact id. A repeat
//! of the newest version can only make a cart quiet earlier. All facts link what
//! they are about with what they name; a customer is what links reach.
//!
//! *Start.* A cart with lines or an open checkout that says something new starts
//! an instance, unless one runs for its subject, the workflow is off, the fact is
//! history, or it is more than seven days old. Observe records this and starts
//! nothing. Holdout is drawn once for a subject.
//!
//! *Firing.* After a record is folded, wakeups that earlier records set fire at
//! due + lateness, by (due, round, id). One that may reach a customer waits while
//! its tenant misses a source, for at most 4 h, and then says what is missing.
//!
//! *A quiet cart* is left alone, by the first rule that holds: nothing is known of
//! it; edited since (the wakeup is set again); emptied; ordered by anybody linked.
//! Otherwise it is abandoned, and the message is suppressed as expired, off or
//! observe, holdout, open ticket, no binding, no contact; deferred while stopped
//! or while the cap is full, if that ends before it expires; withheld in shadow,
//! approve, and for whom canary was not drawn; else sent.
//!
//! *Outcomes.* The first final state of a command ends its instance and frees its
//! slot if nobody was reached; without one, the deadline and an hour do.

mod cart_recovery;
mod customer;
mod facts;
mod objects;
mod process;
mod setup;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tradewind_domain::{Choice, Decision, DecisionId, Envelope, FactId, Name, Position, Tenant, Timestamp, WakeupId};

use facts::{Facts, Record};
use process::{Instance, Wakeup};

/// A wakeup waits this long for its sources, and no longer.
const MAX_WAIT_MS: i64 = 4 * 60 * 60_000;

#[derive(Debug)]
pub struct Naive {
    build: Name,
    facts: Facts,
    decisions: Vec<(Position, Decision)>,
}

/// What there is to decide on: everything so far.
#[derive(Clone, Copy, Debug)]
struct World<'a> {
    tenant: &'a Tenant,
    /// The tenant's records, oldest first.
    records: &'a [&'a Record],
    /// Of all tenants, as the steps so far took them.
    decisions: &'a [(Position, Decision)],
    watermark: Timestamp,
}

struct Due {
    tenant: Tenant,
    wakeup: Wakeup,
    missing: Vec<Name>,
}

impl Naive {
    /// `build` is what decisions say they were taken by.
    #[must_use]
    pub fn new(build: Name) -> Naive {
        Naive { build, facts: Facts::default(), decisions: vec![] }
    }

    /// The decisions that this record leads to, in order; the facts they read are
    /// not listed.
    pub fn record(&mut self, envelope: &Envelope) -> Vec<(Position, Decision)> {
        let earlier = self.decisions.len();
        let Record { envelope: said, watermark, .. } = self.facts.append(envelope.clone());
        let (tenant, fact, watermark) = (said.tenant.clone(), said.id, *watermark);
        let mut position = Position::fold(envelope.offset);
        if let Some(choice) = self.consider(&tenant, cart_recovery::on_fact) {
            let id = DecisionId::of_fold(watermark, &tenant, fact);
            self.decide(position, id, &tenant, fact, None, choice);
        }
        for Due { tenant, wakeup, missing } in self.due(position.offset) {
            let chosen = self.consider(&tenant, |world| cart_recovery::on_wakeup(world, &wakeup, missing.clone()));
            if let Some(choice) = chosen {
                position = position.next_step();
                let id = DecisionId::of_wakeup(watermark, &tenant, wakeup.id);
                self.decide(position, id, &tenant, envelope.id, Some(wakeup.id), choice);
            }
        }
        self.decisions[earlier..].to_vec()
    }

    fn consider(&self, tenant: &Tenant, rule: impl FnOnce(World<'_>) -> Option<Choice>) -> Option<Choice> {
        let records: Vec<&Record> = self.facts.of(tenant).collect();
        let watermark = self.facts.watermark();
        rule(World { tenant, records: &records, decisions: &self.decisions, watermark })
    }

    fn decide(
        &mut self,
        position: Position,
        id: DecisionId,
        tenant: &Tenant,
        fact: FactId,
        wakeup: Option<WakeupId>,
        choice: Choice,
    ) {
        let decision = Decision {
            id,
            tenant: tenant.clone(),
            fact,
            wakeup,
            watermark: self.facts.watermark(),
            build: self.build.clone(),
            choices: vec![choice],
            parked: vec![],
        };
        self.decisions.push((position, decision));
    }

    /// The wakeups that the record at `offset` makes due, in the order they fire.
    fn due(&self, offset: u64) -> Vec<Due> {
        let watermark = self.facts.watermark();
        let mut missing_of: BTreeMap<&Tenant, Vec<Name>> = BTreeMap::new();
        let mut due = vec![];
        for Instance { tenant, wakeups, .. } in process::running(&self.decisions, |_, _| true).into_values() {
            for wakeup in wakeups {
                let fires_at = wakeup.due + wakeup.lateness_ms;
                if fires_at > watermark || wakeup.set_at.offset == offset {
                    continue;
                }
                let missing = if wakeup.awaits_sources {
                    missing_of.entry(tenant).or_insert_with(|| sources::missing(&self.facts, tenant)).clone()
                } else {
                    vec![]
                };
                if missing.is_empty() || watermark >= fires_at + MAX_WAIT_MS {
                    due.push(Due { tenant: tenant.clone(), wakeup, missing });
                }
            }
        }
        due.sort_by_key(|due| (due.wakeup.due, due.wakeup.round, due.wakeup.id));
        due
    }
}
