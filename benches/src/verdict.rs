//! Judging a run by what is on the log and in the sandbox's ledgers: was anything
//! accepted lost, done twice, out of order, or decided otherwise than a naive
//! decider would?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use tradewind_domain::{
    Body, CommandId, ConnectionName, Decision, Envelope, FactId, FactIdentity, Name, OutcomeState, Tenant,
};
use tradewind_ports::{EventLog, LogError, ReadLimit, Record, Topic, TopicPartition};
use tradewind_simulation::naive::Naive;
use tradewind_simulation::{Reading, read_records};
use tradewind_wire::{delivery, record};

const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

/// The connection a sender of the sandbox delivers to.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its word in the sandbox's ledger.
    pub sender: &'static str,
    pub vendor: &'static str,
    pub account: &'static str,
    pub connection: &'static str,
}

/// What a run left.
#[expect(missing_debug_implementations, reason = "a log can't be printed")]
pub struct Left<'a> {
    pub log: &'a dyn EventLog,
    pub partitions: u32,
    /// Names the decisions' build.
    pub build: &'static str,
    pub tenant: &'a str,
    pub doors: &'a [Door],
    /// `/sandbox/deliveries` and `/sandbox/effects`.
    pub deliveries: Value,
    pub effects: Value,
}

/// The sum of a run. Every problem is a sentence.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub accepted: usize,
    pub facts: usize,
    pub decisions: usize,
    pub commands: usize,
    pub effects: usize,
    pub lost: Vec<String>,
    pub dup: Vec<String>,
    pub reordered: Vec<String>,
    pub diverged: Vec<String>,
}

impl Verdict {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.len() + self.dup.len() + self.reordered.len() + self.diverged.len() == 0
    }

    /// Everything that was wrong.
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        self.lost.iter().chain(&self.dup).chain(&self.reordered).chain(&self.diverged)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { accepted, facts, decisions, commands, effects, lost, dup, reordered, diverged } = self;
        write!(
            formatter,
            "accepted={accepted} facts={facts} decisions={decisions} commands={commands} effects={effects} \
             lost={} dup={} reordered={} diverged={}",
            lost.len(),
            dup.len(),
            reordered.len(),
            diverged.len()
        )
    }
}

/// Everything of a partition up to its end.
///
/// # Errors
///
/// The log can't be read.
pub fn records(log: &dyn EventLog, at: &TopicPartition) -> Result<Vec<Record>, LogError> {
    let bounds = log.bounds(at)?;
    let (mut next, mut records) = (bounds.start, Vec::new());
    while next < bounds.end {
        let batch = log.read(at, next, BATCH)?;
        next = batch.next;
        records.extend(batch.records);
    }
    Ok(records)
}

/// # Errors
///
/// The log can't be read.
///
/// # Panics
///
/// An event does not decode, or the sandbox's answers are not what they were.
pub fn judge(left: &Left<'_>) -> Result<Verdict, LogError> {
    let mut verdict = Verdict::default();
    let mut outcomes: BTreeMap<CommandId, Vec<OutcomeState>> = BTreeMap::new();
    let mut commands = BTreeSet::new();
    let mut referred: BTreeSet<String> = BTreeSet::new();
    for partition in 0..left.partitions {
        let stored = records(left.log, &Topic::Events.partition(partition))?;
        let events: Vec<Envelope> =
            stored.iter().map(|stored| record::envelope(stored).expect("an event decodes")).collect();
        for event in &events {
            if let Body::Outcome(outcome) = &event.fact.body {
                outcomes.entry(outcome.command).or_default().push(outcome.state);
            }
        }
        referred.extend(stored.iter().filter_map(|stored| stored.headers.text("tw-raw").map(str::to_owned)));
        verdict.facts += events.iter().filter(|event| !event.tenant.is_system()).count();
        let vendor = tradewind_domain::Vendor::new("klaviyo").expect("a vendor");
        let reading = read_records(
            records(left.log, &Topic::Decisions.partition(partition))?,
            records(left.log, &Topic::Commands(vendor).partition(partition))?,
        );
        match reading {
            Ok(reading) => {
                compare(&reading, &events, left.build, partition, &mut verdict);
                verdict.decisions += reading.decisions.len();
                commands.extend(reading.commands.into_keys());
            }
            Err(rule) => verdict.reordered.push(format!("partition {partition}: {rule}")),
        }
    }
    verdict.commands = commands.len();
    deliveries(left, &referred, &mut verdict)?;
    effects(left, &commands, &outcomes, &mut verdict);
    Ok(verdict)
}

/// Which facts a decision lists as read is the engine's own; the rest is compared.
fn compare(reading: &Reading, events: &[Envelope], build: &'static str, partition: u32, verdict: &mut Verdict) {
    let mut naive = Naive::new(Name::fixed(build));
    let expected: Vec<_> = events.iter().flat_map(|event| naive.record(event)).collect();
    let without_reading = |decision: &Decision| {
        let mut decision = decision.clone();
        for choice in &mut decision.choices {
            choice.facts_read.clear();
            choice.facts_read_more = 0;
        }
        decision
    };
    for (read, (position, decision)) in reading.decisions.iter().zip(&expected) {
        if read.position != *position || without_reading(&read.value) != *decision {
            verdict
                .diverged
                .push(format!("partition {partition}: the decision at {}, naively at {position}", read.position));
        }
    }
    if reading.decisions.len() != expected.len() {
        let (got, expected) = (reading.decisions.len(), expected.len());
        verdict.diverged.push(format!("partition {partition}: {got} decisions, naively {expected}"));
    }
}

/// A delivery that was answered with 200 is kept, and a fact was made of it.
fn deliveries(left: &Left<'_>, referred: &BTreeSet<String>, verdict: &mut Verdict) -> Result<(), LogError> {
    let tenant = Tenant::new(left.tenant).expect("a tenant");
    let mut kept: BTreeSet<FactId> = BTreeSet::new();
    for door in left.doors {
        let vendor = tradewind_domain::Vendor::new(door.vendor).expect("a vendor");
        for partition in 0..left.partitions {
            let at = Topic::Raw(vendor.clone()).partition(partition);
            for stored in records(left.log, &at)? {
                let raw = delivery::decode_raw(&stored).expect("a delivery decodes");
                let place = format!("{}/{}/{}", at.topic.name(), at.partition, stored.offset);
                if referred.contains(&place) {
                    kept.insert(raw.body.origin);
                }
            }
        }
    }
    for partition in 0..left.partitions {
        for stored in records(left.log, &Topic::DeadLetter.partition(partition))? {
            let letter = delivery::decode_dead_letter(&stored).expect("a dead letter decodes");
            kept.insert(letter.delivery.body.origin);
        }
    }
    for sent in left.deliveries["deliveries"].as_array().expect("a list of deliveries") {
        if sent["state"] != "accepted" {
            continue;
        }
        verdict.accepted += 1;
        let door = left.doors.iter().find(|door| sent["sender"] == door.sender).expect("a door for each sender");
        let origin = origin(&tenant, door, &bytes(sent["body_sha256"].as_str().expect("a digest")));
        if !kept.contains(&origin) {
            verdict
                .lost
                .push(format!("delivery {} of {} was accepted and no fact made of it", sent["number"], door.sender));
        }
    }
    Ok(())
}

/// What a delivery as a whole is known by (docs/CONTRACT.md).
fn origin(tenant: &Tenant, door: &Door, digest: &[u8]) -> FactId {
    let connection = ConnectionName::new(door.connection).expect("a connection");
    FactId::derive(&FactIdentity {
        tenant: tenant.as_str(),
        vendor: door.vendor,
        account: door.account,
        kind: "tradewind.delivery",
        object: connection.as_bytes(),
        version: digest,
        item: b"",
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal digits")).collect()
}

/// A command is settled once, and what is said of it is what happened.
fn effects(
    left: &Left<'_>,
    commands: &BTreeSet<CommandId>,
    outcomes: &BTreeMap<CommandId, Vec<OutcomeState>>,
    verdict: &mut Verdict,
) {
    let mut done: BTreeMap<CommandId, u64> = BTreeMap::new();
    for effect in left.effects["effects"].as_array().expect("a list of effects") {
        let command: CommandId = effect["unique_id"].as_str().expect("an id").parse().expect("a command's id");
        *done.entry(command).or_default() += effect["count"].as_u64().expect("a count");
    }
    verdict.effects = done.len();
    for (command, count) in &done {
        if *count != 1 {
            verdict.dup.push(format!("command {command} had its effect {count} times"));
        }
        if !commands.contains(command) {
            verdict.diverged.push(format!("an effect of {command}, which no decision issued"));
        }
    }
    for command in commands {
        let of_it = outcomes.get(command).map(Vec::as_slice).unwrap_or_default();
        let finals: BTreeSet<String> =
            of_it.iter().filter(|state| state.is_final()).map(|state| format!("{state:?}")).collect();
        match finals.len() {
            0 => verdict.lost.push(format!("command {command} has no outcome")),
            1 => {}
            _ => verdict.dup.push(format!("command {command} has the outcomes {finals:?}")),
        }
        let is_said = of_it.contains(&OutcomeState::Succeeded);
        if is_said != done.contains_key(command) {
            verdict
                .lost
                .push(format!("command {command} is said to have succeeded: {is_said}; the vendor knows otherwise"));
        }
    }
}

#[cfg(test)]
mod tests;
