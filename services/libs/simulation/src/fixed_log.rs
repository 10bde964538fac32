//! The same events again and again: whatever happens to the owner on the way,
//! decisions, commands and state must come out byte for byte as in a calm run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tradewind_domain::{CommandId, Position};
use tradewind_engine::Rules;
use tradewind_ports::{DueKey, EventLog, NewRecord, Record, Stored, Topic};

use crate::deployment::{Deployment, Pace, StoreFate};
use crate::faults::{Fault, Faults, Operation, ProcessId};
use crate::memory_log::Broker;
use crate::memory_store::MemoryStore;
use crate::reader;
use crate::shop;

/// More turns than any log here takes; a run that needs more goes in circles.
const MAX_TURNS: u32 = 20_000;

/// What comes of a log: decisions and commands as they stand, and every byte of
/// state. Turns may lie otherwise, so they are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Result {
    pub decisions: Vec<(Position, Vec<u8>)>,
    pub commands: BTreeMap<CommandId, Vec<u8>>,
    pub leaves: BTreeMap<Vec<u8>, Stored>,
    pub due: Vec<DueKey>,
}

/// How one run of a fixed log is troubled.
#[derive(Clone, Debug)]
pub struct Plan {
    pub faults: Vec<(usize, Fault)>,
    pub fate: StoreFate,
    pub pace: Pace,
    /// After so many turns a second process takes the partition over, while the
    /// first goes on.
    pub twin_after: Option<u32>,
    /// The second one has a copy of the first one's store, or an empty one.
    pub twin_has_store: bool,
    pub rules: Rules,
    /// Successors are of another release, which knows these rules.
    pub successor_rules: Option<Rules>,
    /// The brokers check that a record's transaction is open.
    pub verified: bool,
}

impl Plan {
    #[must_use]
    pub fn calm(pace: Pace) -> Plan {
        Plan {
            faults: Vec::new(),
            fate: StoreFate::Kept,
            pace,
            twin_after: None,
            twin_has_store: false,
            rules: Rules::shipped(),
            successor_rules: None,
            verified: true,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Ran {
    pub result: Result,
    /// The requests that were made, as far as the first owner made them.
    pub requests: Vec<Operation>,
    pub restarts: u32,
    pub injected: usize,
}

/// Runs `events` under `plan`.
///
/// # Errors
///
/// The rule that was broken, in words.
pub fn run(events: &[Record], plan: &Plan) -> std::result::Result<Ran, String> {
    let broker = Arc::new(if plan.verified { Broker::new() } else { Broker::unverified() });
    load(&broker, events);
    let faults = Faults::at(plan.faults.iter().copied());
    let rules = Arc::new(plan.rules.clone());
    let mut first = Deployment::new(broker.clone(), faults.clone(), plan.fate, plan.pace, rules);
    first.successor_rules = plan.successor_rules.clone().map(Arc::new);
    let mut turns = 0;
    let last = match plan.twin_after {
        None => {
            finish(&mut first, &mut turns)?;
            first
        }
        Some(after) => {
            for _ in 0..after {
                first.turn().map_err(|stopped| stopped.0.to_string())?;
            }
            let store = MemoryStore::new();
            if plan.twin_has_store {
                store.copy_from(&first.store);
            }
            let mut second = first.twin(store);
            // The first is told by the log, and by nothing else, that it is over.
            for _ in 0..3 {
                second.turn().map_err(|stopped| stopped.0.to_string())?;
                first.turn_once_more().map_err(|stopped| stopped.0.to_string())?;
            }
            finish(&mut second, &mut turns)?;
            second
        }
    };
    let reading = reader::read(&broker, &[shop::vendor("klaviyo")])?;
    let result = Result {
        decisions: reading.decisions.into_iter().map(|read| (read.position, read.bytes)).collect(),
        commands: reading.commands.into_iter().map(|(id, read)| (id, read.bytes)).collect(),
        leaves: last.store.leaves(),
        due: last.store.due(),
    };
    Ok(Ran { result, requests: faults.requests(), restarts: last.restarts, injected: faults.injected() })
}

fn finish(deployment: &mut Deployment, turns: &mut u32) -> std::result::Result<(), String> {
    loop {
        *turns += 1;
        if *turns > MAX_TURNS {
            return Err(format!("not at rest after {MAX_TURNS} turns"));
        }
        let turned = deployment.turn().map_err(|stopped| stopped.0.to_string())?;
        if turned.is_none() {
            reader::check_order(&deployment.broker, &[shop::vendor("klaviyo")])?;
        }
        let rests = turned.is_some_and(|turned| turned.facts + turned.wakeups == 0);
        if rests && deployment.checkpoint().map_err(|stopped| stopped.0.to_string())? {
            return Ok(());
        }
    }
}

fn load(broker: &Broker, events: &[Record]) {
    let connector = broker.connect(ProcessId(u32::MAX - 1), &Faults::none());
    for event in events {
        broker.set_now(event.appended_at);
        let record = NewRecord { key: event.key.clone(), headers: event.headers.clone(), value: event.value.clone() };
        connector.append(&Topic::Events.partition(0), vec![record]).expect("the connector's log has no faults");
    }
}
