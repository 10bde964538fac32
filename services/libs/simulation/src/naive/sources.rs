//! Which sources of a tenant might owe us facts.

use std::collections::BTreeMap;

use tradewind_domain::{Arrival, Body, ConnectionName, Envelope, Intake, Name, Source, Tenant, Timestamp, Vendor};

use super::facts::{Facts, Record};
use super::setup::{self, Connection};

/// A vendor that is not heard for longer than this has a gap.
const SILENCE_MS: i64 = 60_000;

/// Holes older than this are forgotten when another one is found.
const HOLE_KEPT_MS: i64 = 7 * 24 * 60 * 60_000;

/// When a vendor reached us, over all tenants.
#[derive(Debug)]
struct Heard {
    last_at: Timestamp,
    holes: Vec<(Timestamp, Timestamp)>,
}

/// The tenant's connections with a gap, by name.
pub(super) fn missing(facts: &Facts, tenant: &Tenant) -> Vec<Name> {
    let records: Vec<&Record> = facts.of(tenant).collect();
    let heard = heard(facts);
    let has_gap = |connection: &Connection<'_>| match connection.set.intake {
        Intake::Webhook => {
            let covered = covered_until(&records, connection).max(connection.since);
            is_silent(heard.get(&connection.set.vendor), connection, covered, facts.watermark())
                || is_owed_again(&records, connection, covered, facts.watermark())
        }
        Intake::Poll => is_gap_open(&records, &connection.set.connection),
        Intake::None => false,
    };
    let connections = setup::connections(&records);
    let missing = connections.values().filter(|connection| connection.set.active && has_gap(connection));
    missing
        .map(|connection| Name::new(connection.set.connection.as_str()).expect("a connection's name is a name"))
        .collect()
}

fn heard(facts: &Facts) -> BTreeMap<&Vendor, Heard> {
    let ourselves = Vendor::ourselves();
    let mut heard: BTreeMap<&Vendor, Heard> = BTreeMap::new();
    for record in facts.all() {
        let now = record.watermark;
        let Envelope { source: Source { vendor: source, .. }, arrival, fact, .. } = record.stored();
        let vendors = if let Body::IngestAlive(alive) = &fact.body {
            alive.vendors.as_slice()
        } else if *arrival == Arrival::Live && *source != ourselves && !matches!(fact.body, Body::Outcome(_)) {
            std::slice::from_ref(source)
        } else {
            &[]
        };
        for vendor in vendors {
            let heard = heard.entry(vendor).or_insert(Heard { last_at: now, holes: vec![] });
            if now.since(heard.last_at) > SILENCE_MS {
                heard.holes.retain(|(_, to)| now.since(*to) <= HOLE_KEPT_MS);
                heard.holes.push((heard.last_at, now));
            }
            heard.last_at = heard.last_at.max(now);
        }
    }
    heard
}

fn is_silent(
    heard: Option<&Heard>,
    connection: &Connection<'_>,
    covered_until: Timestamp,
    watermark: Timestamp,
) -> bool {
    let last_at = heard.map_or(Timestamp::MIN, |heard| heard.last_at);
    let is_owed = |to: Timestamp| to > covered_until && watermark < to + connection.set.retry_horizon_ms;
    watermark.since(last_at.max(covered_until)) > SILENCE_MS
        || heard.is_some_and(|heard| heard.holes.iter().any(|(_, to)| is_owed(*to)))
}

/// Whether a delivery was turned away that its vendor may still bring again.
fn is_owed_again(
    records: &[&Record],
    connection: &Connection<'_>,
    covered_until: Timestamp,
    watermark: Timestamp,
) -> bool {
    let is_of_it = |record: &&&Record| matches!(record.body(), Body::GapOpened(opened) if opened.connection.as_ref() == Some(&connection.set.connection));
    let turned_away = records.iter().filter(is_of_it).map(|record| record.at).max();
    turned_away.is_some_and(|at| at > covered_until && watermark < at + connection.set.retry_horizon_ms)
}

/// Up to when reconciliations of the connection, or of its whole vendor, went.
fn covered_until(records: &[&Record], connection: &Connection<'_>) -> Timestamp {
    let set = connection.set;
    let covers = |body: &Body| {
        let Body::GapClosed(closed) = body else { return None };
        let is_it = closed.connection.as_ref().is_none_or(|covered| *covered == set.connection);
        (closed.vendor == set.vendor && is_it).then_some(closed.until)
    };
    records.iter().filter_map(|record| covers(record.body())).max().unwrap_or(Timestamp::MIN)
}

fn is_gap_open(records: &[&Record], connection: &ConnectionName) -> bool {
    let mut is_open = false;
    for record in records {
        if let Body::GapOpened(opened) = record.body() {
            is_open |= opened.connection.as_ref() == Some(connection);
        } else if let Body::GapClosed(closed) = record.body() {
            is_open &= closed.connection.as_ref() != Some(connection);
        }
    }
    is_open
}
