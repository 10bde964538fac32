//! A free run: customers shop, deliveries come late, twice and out of order, the
//! ingest fails for an hour, the vendor lies, the owner dies. Time is a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use tradewind_domain::{
    Arrival, Body, Fact, FactId, FactIdentity, IngestAlive, Lineage, LineageKind, LineageOpened, Source, Tenant,
    Timestamp, Vendor,
};
use tradewind_engine::Rules;
use tradewind_ports::{EventLog, ReadLimit, Topic};
use tradewind_wire::record::NewFact;
use tradewind_wire::{command, record};

use crate::deployment::{Deployment, Pace, Stopped, StoreFate};
use crate::faults::{Faults, ProcessId};
use crate::memory_log::{Broker, MemoryLog};
use crate::shop::{self, HOUR, Happening, MINUTE, Shape};
use crate::vendor::VendorLedger;

/// Where the log's time begins.
pub const START: Timestamp = Timestamp::from_millis(1_780_000_000_000);

/// How often a connector shows that it is there.
const BEAT_MS: i64 = 45_000;

/// How a run is troubled.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub faults: Faults,
    pub fate: StoreFate,
    pub pace: Pace,
    /// No delivery arrives in this time, nor any beat.
    pub outage: Option<(Timestamp, Timestamp)>,
    /// Of 100 deliveries, how many come twice, and how many come late.
    pub duplicated_percent: u32,
    pub late_percent: u32,
}

#[derive(Debug)]
pub struct World {
    pub deployment: Deployment,
    pub ledger: VendorLedger,
    /// Facts a vendor was told are taken.
    pub accepted: BTreeSet<FactId>,
    connector: MemoryLog,
    rng: Rng,
    now: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Vec<NewFact>>,
    planned: u64,
    commands_next: u64,
}

fn klaviyo() -> Vendor {
    shop::vendor("klaviyo")
}

/// A fact of ours about the log, made at `at`.
fn system_fact(at: Timestamp, body: Body) -> NewFact {
    let id = FactId::derive(&FactIdentity {
        tenant: "",
        vendor: "tradewind",
        account: "",
        kind: body.kind(),
        object: b"0",
        version: &at.millis().to_be_bytes(),
        item: b"",
    });
    NewFact {
        tenant: Tenant::system(),
        id,
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

/// The record a partition's events begin with.
#[must_use]
pub fn lineage() -> NewFact {
    let lineage = Lineage::from_bytes([5; 16]);
    system_fact(START, Body::LineageOpened(LineageOpened { lineage, kind: LineageKind::Dev }))
}

impl World {
    /// A partition with its lineage opened and merchants set up.
    #[must_use]
    pub fn new(rng: Rng, trouble: &Trouble, shape: Shape, broker: Broker) -> World {
        let broker = Arc::new(broker);
        let deployment = Deployment::new(
            broker.clone(),
            trouble.faults.clone(),
            trouble.fate,
            trouble.pace,
            Arc::new(Rules::shipped()),
        );
        let connector = broker.connect(ProcessId(u32::MAX - 1), &Faults::none());
        let mut world = World {
            deployment,
            ledger: VendorLedger::default(),
            accepted: BTreeSet::new(),
            connector,
            rng,
            now: START,
            agenda: BTreeMap::new(),
            planned: 0,
            commands_next: 0,
        };
        world.append(&[lineage()]);
        for number in 0..shape.tenants {
            world.append(&shop::set_up(&shop::tenant(number), shape, START));
        }
        world
    }

    /// Plans the deliveries of what happens, with what goes wrong with each.
    pub fn plan(&mut self, happenings: Vec<Happening>, trouble: &Trouble) {
        for Happening { at, fact } in happenings {
            let copies = 1 + u32::from(self.rng.u32(0..100) < trouble.duplicated_percent);
            for _ in 0..copies {
                let is_late = self.rng.u32(0..100) < trouble.late_percent;
                let delay = if is_late { self.rng.i64(0..20 * MINUTE) } else { self.rng.i64(10..2_000) };
                let mut arrives_at = at + delay;
                if let Some((from, to)) = trouble.outage
                    && (from..to).contains(&arrives_at)
                {
                    // The vendor retries, for up to four hours.
                    arrives_at = to + self.rng.i64(MINUTE..240 * MINUTE);
                }
                self.plan_fact(arrives_at, fact.clone());
            }
        }
    }

    /// Plans one delivery.
    pub fn plan_fact(&mut self, at: Timestamp, fact: NewFact) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), vec![fact]);
    }

    /// Plans the beats of a connector that is there but for the outage.
    pub fn plan_beats(&mut self, until: Timestamp, trouble: &Trouble) {
        let vendors = vec![shop::vendor("gorgias"), shop::vendor("shopify")];
        let mut at = START;
        while at < until {
            at = at + BEAT_MS;
            if trouble.outage.is_none_or(|(from, to)| !(from..to).contains(&at)) {
                let beat = system_fact(at, Body::IngestAlive(IngestAlive { vendors: vendors.clone() }));
                self.plan_fact(at, beat);
            }
        }
    }

    fn append(&mut self, facts: &[NewFact]) {
        self.deployment.broker.set_now(self.now);
        let records = facts.iter().map(record::event).collect();
        let appended = self.connector.append(&Topic::Events.partition(0), records);
        appended.expect("the connector's log has no faults");
        self.accepted.extend(facts.iter().map(|fact| fact.id));
    }

    /// Runs everything that is planned, and turns of the owner in between.
    ///
    /// # Errors
    ///
    /// The partition had to stop.
    pub fn run(&mut self) -> Result<(), Stopped> {
        while let Some(((at, _), facts)) = self.agenda.pop_first() {
            self.now = self.now.max(at);
            self.append(&facts);
            if self.rng.u32(0..3) == 0 {
                self.work()?;
            }
        }
        self.work()
    }

    /// Lets the owner take turns and the vendor its commands, until both rest.
    fn work(&mut self) -> Result<(), Stopped> {
        loop {
            let turned = self.deployment.turn()?;
            let rests = turned.is_some_and(|turned| turned.facts + turned.wakeups == 0);
            let took = self.take_commands();
            if rests && !took {
                return Ok(());
            }
        }
    }

    fn take_commands(&mut self) -> bool {
        let at = Topic::Commands(klaviyo()).partition(0);
        let limit = ReadLimit { records: 100, bytes: 1 << 20 };
        let batch = self.connector.read(&at, self.commands_next, limit).expect("the connector's log has no faults");
        self.commands_next = batch.next;
        for stored in &batch.records {
            let issued = command::decode(stored).expect("a command decodes");
            for (at, outcome) in self.ledger.take(&mut self.rng, &issued.command, self.now) {
                self.plan_fact(at, outcome);
            }
        }
        !batch.records.is_empty()
    }

    /// Ends the webhooks and lets time run until nothing waits any more, or for
    /// ten days.
    ///
    /// # Errors
    ///
    /// The partition had to stop.
    pub fn settle(&mut self, shape: Shape) -> Result<(), Stopped> {
        self.now = self.now + 10 * MINUTE;
        for number in 0..shape.tenants {
            self.append(&shop::close_down(&shop::tenant(number), self.now));
        }
        let end = self.now + 240 * HOUR;
        loop {
            self.run()?;
            let (next, is_any) = self.deployment.wakeups();
            if !is_any || self.now >= end {
                return Ok(());
            }
            self.now = next.unwrap_or(self.now).max(self.now + 30 * MINUTE);
            self.deployment.broker.set_now(self.now);
            self.deployment.tick(self.now)?;
        }
    }
}
