//! Whether the world still reaches us, by vendor: when it was last heard of, and
//! the holes in between; and by connection, whether what it brought was turned
//! away. A wakeup that may reach a customer waits for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tradewind_domain::{Arrival, Body, Envelope, Intake, Name, Timestamp, Vendor};

use crate::leaf::TenantLeaf;

/// Silence longer than this is a hole: a connector beats every 15 s.
const MAX_SILENCE_MS: i64 = 60_000;

/// Holes older than this are forgotten; no vendor retries for longer.
const REMEMBERED_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Beyond so many holes the two oldest count as one that spans both.
const MAX_HOLES: usize = 64;

/// What is known of the vendors' deliveries to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(BTreeMap<Vendor, Heard>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Heard {
    last_at: Timestamp,
    holes: Vec<Hole>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hole {
    from: Timestamp,
    to: Timestamp,
}

impl Sources {
    /// A live fact of a vendor, or a beat that names it, is a sign of life. An
    /// outcome is none, whoever it is said to come from: that we could call the
    /// vendor does not say that it can reach us.
    pub(crate) fn fold(&mut self, envelope: &Envelope, now: Timestamp) {
        if let Body::IngestAlive(beat) = &envelope.fact.body {
            beat.vendors.iter().for_each(|vendor| self.heard(vendor, now));
        } else if envelope.arrival == Arrival::Live
            && envelope.source.vendor != Vendor::ourselves()
            && !matches!(envelope.fact.body, Body::Outcome(_))
        {
            self.heard(&envelope.source.vendor, now);
        }
    }

    fn heard(&mut self, vendor: &Vendor, now: Timestamp) {
        let Some(heard) = self.0.get_mut(vendor) else {
            self.0.insert(vendor.clone(), Heard { last_at: now, holes: Vec::new() });
            return;
        };
        if now.since(heard.last_at) > MAX_SILENCE_MS {
            heard.holes.retain(|hole| now.since(hole.to) <= REMEMBERED_MS);
            heard.holes.push(Hole { from: heard.last_at, to: now });
            if heard.holes.len() > MAX_HOLES {
                let oldest = heard.holes.remove(0);
                heard.holes[0].from = oldest.from;
            }
        }
        heard.last_at = heard.last_at.max(now);
    }

    /// The sources of a tenant that have a gap at `now`, in the order of their names.
    #[must_use]
    pub fn missing(&self, tenant: &TenantLeaf, now: Timestamp) -> Vec<Name> {
        let mut missing = Vec::new();
        for (name, connection) in &tenant.connections {
            let is_missing = connection.active
                && match connection.intake {
                    Intake::Webhook => {
                        let covered_until = [None, Some(name.clone())]
                            .into_iter()
                            .filter_map(|scope| tenant.covered_until.get(&(connection.vendor.clone(), scope)).copied())
                            .max()
                            .unwrap_or(Timestamp::MIN)
                            .max(connection.since);
                        let horizon_ms = connection.retry_horizon_ms;
                        self.has_gap(&connection.vendor, covered_until, horizon_ms, now)
                            || tenant
                                .turned_away
                                .get(name)
                                .is_some_and(|at| *at > covered_until && now < *at + horizon_ms)
                    }
                    Intake::Poll => tenant.open_gaps.contains_key(name),
                    Intake::None => false,
                };
            if is_missing {
                missing.push(Name::new(name.as_str()).expect("a connection's name is a name"));
            }
        }
        missing
    }

    /// Whether deliveries after `covered_until` may still be on their way.
    fn has_gap(&self, vendor: &Vendor, covered_until: Timestamp, horizon_ms: i64, now: Timestamp) -> bool {
        let (last_at, holes) =
            self.0.get(vendor).map_or((Timestamp::MIN, &[][..]), |heard| (heard.last_at, heard.holes.as_slice()));
        let is_silent = now.since(last_at.max(covered_until)) > MAX_SILENCE_MS;
        is_silent || holes.iter().any(|hole| hole.to > covered_until && now < hole.to + horizon_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::ConnectionState;
    use tradewind_domain::{Account, CommandId, ConnectionName, Fact, FactId, Outcome, OutcomeState, Source, Tenant};

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn shopify() -> Vendor {
        Vendor::new("shopify").unwrap()
    }

    fn tenant(intake: Intake) -> TenantLeaf {
        let connection = ConnectionState {
            vendor: shopify(),
            account: Account::none(),
            intake,
            active: true,
            retry_horizon_ms: 240 * MINUTE,
            since: at(0),
            version: 1,
            fact: FactId::from_bytes([0; 16]),
        };
        TenantLeaf { connections: [(store(), connection)].into(), ..TenantLeaf::default() }
    }

    fn store() -> ConnectionName {
        ConnectionName::new("store").unwrap()
    }

    fn heard(minutes: &[i64]) -> Sources {
        let mut sources = Sources::default();
        minutes.iter().for_each(|minute| sources.heard(&shopify(), at(*minute)));
        sources
    }

    #[test]
    fn silence_is_a_gap_until_the_vendor_gives_up_retrying() {
        let tenant = tenant(Intake::Webhook);
        let missing = |sources: &Sources, minute| !sources.missing(&tenant, at(minute)).is_empty();
        let sources = heard(&[0, 1, 2]);
        assert!(!missing(&sources, 3));
        assert!(missing(&sources, 4));
        let back = heard(&[0, 1, 2, 62]);
        assert!(missing(&back, 62));
        let mut long_after = back.clone();
        (63..=302).for_each(|minute| long_after.heard(&shopify(), at(minute)));
        assert!(!missing(&long_after, 302));
    }

    #[test]
    fn what_we_reach_does_not_say_that_we_are_reached() {
        let outcome = Outcome {
            command: CommandId::from_bytes([1; 16]),
            attempt: 1,
            state: OutcomeState::Succeeded,
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
        let from = |vendor, body| Envelope {
            offset: 0,
            recorded_at: at(3),
            imported: false,
            produced_at: None,
            tenant: Tenant::new("demo").unwrap(),
            id: FactId::from_bytes([1; 16]),
            source: Source { vendor, account: Account::none() },
            arrival: Arrival::Live,
            placement: 1,
            translation: 0,
            caused_by: None,
            fact: Fact { occurred_at: at(3), body },
        };
        let is_heard = |envelope: &Envelope| {
            let mut sources = heard(&[0]);
            sources.fold(envelope, at(3));
            sources != heard(&[0])
        };
        assert!(is_heard(&from(shopify(), Body::Tick)));
        assert!(!is_heard(&from(shopify(), Body::Outcome(outcome))));
        assert!(!is_heard(&from(Vendor::ourselves(), Body::Tick)));
    }

    #[test]
    fn a_reconciliation_closes_the_gap() {
        let mut tenant = tenant(Intake::Webhook);
        let sources = heard(&[0, 30]);
        assert!(!sources.missing(&tenant, at(30)).is_empty());
        tenant.covered_until.insert((shopify(), Some(store())), at(30));
        assert!(sources.missing(&tenant, at(30)).is_empty());
    }

    #[test]
    fn what_was_turned_away_comes_again_until_the_vendor_gives_up_or_it_is_covered() {
        let mut tenant = tenant(Intake::Webhook);
        let sources = heard(&(0..400).collect::<Vec<i64>>());
        tenant.turned_away.insert(store(), at(100));
        let missing = |tenant: &TenantLeaf, minute| !sources.missing(tenant, at(minute)).is_empty();
        assert!(missing(&tenant, 100) && missing(&tenant, 339) && !missing(&tenant, 340));
        tenant.covered_until.insert((shopify(), None), at(99));
        assert!(missing(&tenant, 101));
        tenant.covered_until.insert((shopify(), None), at(100));
        assert!(!missing(&tenant, 101));
    }

    #[test]
    fn a_polled_connection_has_its_pollers_gaps_alone() {
        let mut tenant = tenant(Intake::Poll);
        assert!(heard(&[]).missing(&tenant, at(500)).is_empty());
        tenant.open_gaps.insert(store(), at(400));
        assert_eq!(heard(&[]).missing(&tenant, at(500)), [Name::fixed("store")]);
    }

    #[test]
    fn silence_from_before_the_connection_is_no_gap() {
        let mut tenant = tenant(Intake::Webhook);
        tenant.connections.get_mut(&store()).unwrap().since = at(100);
        assert!(heard(&[0, 100]).missing(&tenant, at(101)).is_empty());
    }
}
