//! Merchants at work on three partitions, in the middle of a day.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use tradewind_domain::{
    Arrival, Body, ClockAdjusted, CommandId, Fact, FactId, IngestAlive, Source, Tenant, Timestamp, partition_of,
};
use tradewind_simulation::shop::{self, HOUR, Shape};
use tradewind_simulation::{Broker, START, lineage};
use tradewind_wire::record::NewFact;

use crate::installation::{self, Installation};

pub(crate) const FROM: u32 = 3;
pub(crate) const TENANTS: u32 = 7;
pub(crate) const SHAPE: Shape =
    Shape { customers: 30, tenants: TENANTS, hours: 3, quiet_minutes: 20, holdout_percent: 10 };

/// The tenants' facts go on so long; what waits then is still waiting after the move.
pub(crate) const UNTIL: Timestamp = Timestamp::from_millis(START.millis() + 5 * HOUR / 2);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    Answers,
    IsSilent,
}

pub(crate) fn of_system(at: Timestamp, body: Body) -> NewFact {
    NewFact {
        tenant: Tenant::system(),
        id: FactId::of_entry(body.kind(), at.millis().unsigned_abs()),
        source: Source::ourselves(),
        arrival: Arrival::Live,
        produced_at: at,
        recorded_at: None,
        placement: 0,
        translation: 0,
        caused_by: None,
        fact: Fact { occurred_at: at, body },
    }
}

/// Merchants at work, in the middle of a day; the clock of one partition is
/// stretched.
pub(crate) fn source(vendor: Vendor) -> Installation {
    let mut rng = Rng::with_seed(11);
    let broker = Broker::new();
    let mut agenda: BTreeMap<(Timestamp, u64), (u32, NewFact)> = BTreeMap::new();
    let mut plan = |at: Timestamp, partition: u32, fact: NewFact| {
        let number = agenda.len() as u64;
        agenda.insert((at, number), (partition, fact));
    };
    for partition in 0..FROM {
        installation::append(&broker, partition, START, &lineage());
        let mut at = START;
        while at < UNTIL {
            let vendors = vec![shop::vendor("gorgias"), shop::vendor("shopify")];
            plan(at, partition, of_system(at, Body::IngestAlive(IngestAlive { vendors })));
            at = at + 40_000;
        }
    }
    let stretched = ClockAdjusted { speed_permille: 1_100, skip_ms: 5_000 };
    installation::append(&broker, 1, START, &of_system(START, Body::ClockAdjusted(stretched)));
    for number in 0..TENANTS {
        let tenant = shop::tenant(number);
        let partition = partition_of(tenant.as_str(), FROM);
        for fact in shop::set_up(&tenant, SHAPE, START) {
            plan(START, partition, fact);
        }
        for happening in shop::day(&mut rng, &tenant, SHAPE, START) {
            plan(happening.at + rng.i64(10..90_000), partition, happening.fact);
        }
    }
    let mut installation = Installation::recover(broker, FROM);
    let mut answered = BTreeSet::new();
    for ((at, number), (partition, fact)) in agenda {
        if at >= UNTIL {
            break;
        }
        installation.append(partition, at, &fact);
        if number % 5 == 0 {
            installation.work();
            installation.tick(at + 20_000);
        }
        if vendor == Vendor::Answers {
            answer(&installation, &mut answered, at);
        }
    }
    installation.tick(UNTIL + 25_000);
    installation.work();
    while vendor == Vendor::Answers && answer(&installation, &mut answered, UNTIL + 30_000) > 0 {
        installation.work();
    }
    installation.stop();
    installation
}

/// The vendor did what was asked and not answered yet. Returns how much that was.
fn answer(installation: &Installation, answered: &mut BTreeSet<CommandId>, at: Timestamp) -> usize {
    let mut commands = installation.commands();
    commands.retain(|command| answered.insert(command.id));
    for command in &commands {
        installation.append(installation.partition(&command.tenant), at, &installation::succeeded(command, at));
    }
    commands.len()
}
