//! What a log holds, and what owners make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tradewind_domain::{CommandId, DecisionId, DecisionRecord, FactId, Name, Position, Tenant, Transition, Vendor};
use tradewind_engine::leaf::{Reference, Wakeup};
use tradewind_engine::{Budget, Leaf, Rules};
use tradewind_orchestrator::{Owner, Settings, TurnLimits};
use tradewind_ports::{DueKey, EventLog, ReadLimit, Record, Topic, TopicPartition};
use tradewind_simulation::{Faults, MemoryStore, ProcessId};
use tradewind_vendors::ROSTER;
use tradewind_wire::{decision, record};

/// Everything of a log that does not name a place in it.
pub(crate) struct Kept {
    /// Of tenants, with their values.
    pub(crate) facts: BTreeMap<(Tenant, FactId), Vec<u8>>,
    pub(crate) decisions: BTreeMap<DecisionId, Vec<u8>>,
    pub(crate) commands: BTreeSet<CommandId>,
    pub(crate) leaves: BTreeMap<Vec<u8>, Leaf>,
    pub(crate) due: BTreeSet<DueKey>,
}

impl Kept {
    /// Has owners recover on it, which find nothing left to decide.
    pub(crate) fn of(log: &Arc<dyn EventLog>, partitions: u32) -> Kept {
        let (mut facts, mut decisions, mut commands) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (mut leaves, mut due) = (BTreeMap::new(), BTreeSet::new());
        for partition in 0..partitions {
            for stored in records(log.as_ref(), &Topic::Events.partition(partition)) {
                let envelope = record::envelope(&stored).unwrap();
                if !envelope.tenant.is_system() {
                    facts.insert((envelope.tenant, envelope.id), stored.value.unwrap());
                }
            }
            for stored in records(log.as_ref(), &Topic::Decisions.partition(partition)) {
                let (_, DecisionRecord::Decision(decision)) = decision::decode(&stored).unwrap() else { continue };
                for transition in decision.choices.iter().flat_map(|choice| &choice.transitions) {
                    if let Transition::CommandIssued { command } = transition {
                        commands.insert(command.id);
                    }
                }
                decisions.insert(decision.id, stored.value.unwrap());
            }
            let store = folded(log.clone(), partition);
            for (key, stored) in store.leaves() {
                let leaf = without_places(Leaf::decode(&stored.bytes).unwrap());
                assert!(leaves.insert(key, leaf).is_none(), "a leaf in two partitions");
            }
            due.extend(store.due());
        }
        Kept { facts, decisions, commands, leaves, due }
    }
}

/// How many decisions and commands stand on their topics.
pub(crate) fn emitted(log: &dyn EventLog, partitions: u32) -> (usize, usize) {
    let outbound = ROSTER.iter().filter(|integration| integration.outbound.is_some());
    let vendors: Vec<Vendor> = outbound.map(|integration| Vendor::new(integration.vendor).unwrap()).collect();
    assert!(!vendors.is_empty());
    let (mut decisions, mut commands) = (0, 0);
    for partition in 0..partitions {
        let found = records(log, &Topic::Decisions.partition(partition));
        let is_decision = |record: &&Record| matches!(decision::decode(record), Ok((_, DecisionRecord::Decision(_))));
        decisions += found.iter().filter(is_decision).count();
        for vendor in &vendors {
            commands += records(log, &Topic::Commands(vendor.clone()).partition(partition)).len();
        }
    }
    (decisions, commands)
}

/// What the partition holds up to the end it has now.
pub(crate) fn records(log: &dyn EventLog, at: &TopicPartition) -> Vec<Record> {
    let bounds = log.bounds(at).unwrap();
    let (mut records, mut next) = (Vec::new(), bounds.start);
    while next < bounds.end {
        let batch = log.read(at, next, ReadLimit { records: 10_000, bytes: 16 << 20 }).unwrap();
        assert!(batch.next > next, "stopped at {next} of {at}, before the end {}", bounds.end);
        next = batch.next;
        records.extend(batch.records);
    }
    records
}

fn folded(log: Arc<dyn EventLog>, partition: u32) -> MemoryStore {
    let settings = Settings {
        installation: "history".into(),
        partition,
        build: Name::fixed("test"),
        rules: Arc::new(Rules::shipped()),
        limits: TurnLimits::default(),
        budget: Budget { cache_leaves: 10_000, slice_leaves: 1_000 },
        drain_leaves: 100_000,
    };
    let store = MemoryStore::new();
    let opened = store.open(ProcessId(partition), &Faults::none());
    let mut owner = Owner::recover(settings, log, opened).unwrap();
    loop {
        let turned = owner.turn().unwrap();
        assert_eq!(turned.decisions, 0, "everything was decided before");
        if turned.facts + turned.wakeups == 0 {
            break;
        }
    }
    owner.checkpoint().unwrap();
    store
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
