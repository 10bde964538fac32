//! A log in memory with an owner for each partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tradewind_domain::{
    Arrival, Body, Cause, Command, DecisionRecord, Fact, FactId, Name, Outcome, OutcomeState, Position, Source, Tenant,
    Timestamp, partition_of,
};
use tradewind_engine::leaf::{Reference, Wakeup};
use tradewind_engine::{Budget, Leaf, Rules};
use tradewind_orchestrator::{Owner, Settings, TurnLimits};
use tradewind_ports::{DueKey, EventLog, ReadLimit, Record, Topic};
use tradewind_simulation::{Broker, Faults, MemoryLog, MemoryStore, ProcessId, shop};
use tradewind_wire::record::NewFact;
use tradewind_wire::{command, decision, record};

pub(crate) struct Installation {
    pub(crate) broker: Broker,
    pub(crate) partitions: u32,
    owners: Vec<Owner>,
    stores: Vec<MemoryStore>,
}

impl Installation {
    /// Owners recover on what the log holds.
    pub(crate) fn recover(broker: Broker, partitions: u32) -> Installation {
        let stores: Vec<MemoryStore> = (0..partitions).map(|_| MemoryStore::new()).collect();
        let owners = (0..partitions)
            .zip(&stores)
            .map(|(number, store)| {
                let log = Arc::new(broker.connect(ProcessId(number), &Faults::none()));
                let store = store.open(ProcessId(number), &Faults::none());
                Owner::recover(settings(number), log, store).expect("a log that keeps the rules")
            })
            .collect();
        Installation { broker, partitions, owners, stores }
    }

    pub(crate) fn log(&self) -> MemoryLog {
        connect(&self.broker)
    }

    pub(crate) fn partition(&self, tenant: &Tenant) -> u32 {
        partition_of(tenant.as_str(), self.partitions)
    }

    pub(crate) fn append(&self, partition: u32, at: Timestamp, fact: &NewFact) {
        append(&self.broker, partition, at, fact);
    }

    /// Turns until all rest. Returns what was decided.
    pub(crate) fn work(&mut self) -> u32 {
        let mut decisions = 0;
        for owner in &mut self.owners {
            loop {
                let turned = owner.turn().expect("a turn");
                decisions += turned.decisions;
                if turned.facts + turned.wakeups == 0 {
                    break;
                }
            }
        }
        decisions
    }

    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.broker.set_now(now);
        for owner in &mut self.owners {
            owner.tick(now).expect("a tick");
        }
    }

    pub(crate) fn stop(&mut self) {
        for owner in &mut self.owners {
            owner.checkpoint().expect("a stop in good order");
        }
    }

    /// Every leaf and due time; what names a place in the log left out.
    pub(crate) fn state(&self) -> (BTreeMap<Vec<u8>, Leaf>, BTreeSet<DueKey>) {
        let mut leaves = BTreeMap::new();
        for (key, stored) in self.stores.iter().flat_map(MemoryStore::leaves) {
            let leaf = Leaf::decode(&stored.bytes).expect("a leaf");
            assert!(leaves.insert(key, without_places(leaf)).is_none(), "a leaf in two partitions");
        }
        (leaves, self.stores.iter().flat_map(MemoryStore::due).collect())
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        let topic = Topic::Commands(shop::vendor("klaviyo"));
        let records = (0..self.partitions).flat_map(|number| self.broker.records(&topic.clone().partition(number)));
        records.map(|stored| command::decode(&stored).expect("a command").command).collect()
    }
}

pub(crate) fn connect(broker: &Broker) -> MemoryLog {
    broker.connect(ProcessId(u32::MAX - 1), &Faults::none())
}

pub(crate) fn append(broker: &Broker, partition: u32, at: Timestamp, fact: &NewFact) {
    broker.set_now(at);
    let events = Topic::Events.partition(partition);
    connect(broker).append(&events, vec![record::event(fact)]).expect("a log without faults");
}

fn without_places(mut leaf: Leaf) -> Leaf {
    let no_place = |reference: &mut Reference| reference.position = Position::default();
    let no_offset = |wakeup: &mut Wakeup| wakeup.set_at_offset = 0;
    match &mut leaf {
        Leaf::Entity(entity) => Arc::make_mut(entity).references.iter_mut().for_each(no_place),
        Leaf::Process(process) => Arc::make_mut(process).references.iter_mut().for_each(no_place),
        Leaf::Instance(instance) => {
            let instance = Arc::make_mut(instance);
            instance.wakeups.iter_mut().chain(&mut instance.parked).for_each(no_offset);
        }
        Leaf::Tenant(_) | Leaf::Command(_) => {}
    }
    leaf
}

fn settings(partition: u32) -> Settings {
    Settings {
        installation: "test".into(),
        partition,
        build: Name::fixed("test"),
        rules: Arc::new(Rules::shipped()),
        limits: TurnLimits { read: ReadLimit { records: 50, bytes: 1 << 20 }, commands: 10, bytes: 64 << 10 },
        budget: Budget { cache_leaves: 10_000, slice_leaves: 1_000 },
        drain_leaves: 100_000,
    }
}

pub(crate) fn succeeded(command: &Command, at: Timestamp) -> NewFact {
    let outcome = Outcome {
        command: command.id,
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
    NewFact {
        tenant: command.tenant.clone(),
        id: FactId::of_outcome(command.id, 1, OutcomeState::Succeeded),
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

/// Every decision of a log, in the order of its bytes.
pub(crate) fn decisions(broker: &Broker, partitions: u32) -> Vec<Vec<u8>> {
    let records = (0..partitions).flat_map(|number| broker.records(&Topic::Decisions.partition(number)));
    let is_decision = |record: &Record| matches!(decision::decode(record), Ok((_, DecisionRecord::Decision(_))));
    let mut decisions: Vec<Vec<u8>> = records.filter(is_decision).filter_map(|record| record.value).collect();
    decisions.sort();
    decisions
}

/// Every fact of a tenant, in the order of its bytes.
pub(crate) fn facts(broker: &Broker, partitions: u32) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let records = (0..partitions).flat_map(|number| broker.records(&Topic::Events.partition(number)));
    let mut facts: Vec<_> =
        records.filter(|record| !record.key.is_empty()).map(|record| (record.key, record.value)).collect();
    facts.sort();
    facts
}
