//! What there is before the first command: a lineage, a tenant with a connection, keys.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tradewind_actuator::{Secrets, Settings};
use tradewind_domain::{
    Account, Arrival, Body, Change, Choice, Command, CommandBody, CommandClass, CommandId, ConnectionEntry,
    ConnectionName, Decision, DecisionId, DefinitionHash, Digest, DirectoryEntry, DirectoryValue, EntityKey,
    EntityKind, Envelope, Fact, FactId, FactIdentity, InstanceId, Intake, KeyId, Lifecycle, Lineage, LineageKind,
    LineageOpened, MessageSend, Name, Outcome, Position, Source, SwitchSet, Tenant, TenantEntry, Timestamp, Transition,
    Vendor,
};
use tradewind_ports::{EventLog, KeyVault, NewRecord, SealingKey, Topic, VaultError};
use tradewind_simulation::{Faults, ProcessId};
use tradewind_wire::record::NewFact;
use tradewind_wire::{decision, directory, record, seal};

use super::vendor::{ACCESS, Kind};
use super::{START, World};

pub const LINEAGE: Lineage = Lineage::from_bytes([5; 16]);

pub fn vendor() -> Vendor {
    Vendor::new("lying").unwrap()
}

pub fn tenant() -> Tenant {
    Tenant::new("demo").unwrap()
}

fn account() -> Account {
    Account::new("demo-account").unwrap()
}

fn connection() -> ConnectionName {
    ConnectionName::new("mail").unwrap()
}

pub fn settings(kind: Kind) -> Settings {
    Settings {
        installation: "simulated".into(),
        partition: 0,
        vendor: vendor(),
        vendor_word: "mail",
        outbound: kind.outbound(),
        access: ACCESS,
        origin: None,
        requests_max: 4,
        commands_max: 6,
    }
}

pub struct OneSecret;

impl Secrets for OneSecret {
    fn secret(&self, name: &Name) -> Option<Vec<u8>> {
        (name.as_str() == "mail-key").then(|| b"Key 1".to_vec())
    }
}

#[derive(Default)]
pub struct MemoryVault(Mutex<BTreeMap<KeyId, SealingKey>>);

impl MemoryVault {
    pub fn add(&self, number: u8) -> SealingKey {
        let key = SealingKey { id: KeyId::from_bytes([number; 16]), key: [number; 32] };
        self.0.lock().unwrap().insert(key.id, key.clone());
        key
    }

    pub fn erase(&self, number: u8) {
        self.0.lock().unwrap().remove(&KeyId::from_bytes([number; 16]));
    }
}

impl KeyVault for MemoryVault {
    fn key_of(&self, _: &Tenant, owner: &Digest) -> Result<SealingKey, VaultError> {
        Ok(self.add(owner[0]))
    }

    fn key(&self, id: KeyId) -> Result<Option<SealingKey>, VaultError> {
        Ok(self.0.lock().unwrap().get(&id).cloned())
    }

    fn erase(&self, _: &Tenant, _: &Digest) -> Result<u32, VaultError> {
        unreachable!("an actuator erases nothing")
    }
}

/// Appends without any fault.
pub fn append(world: &World, topic: Topic, records: Vec<NewRecord>) {
    let log = world.broker.connect(ProcessId(u32::MAX - 1), &Faults::none());
    log.append(&topic.partition(0), records).expect("this log has no faults");
}

fn lineage_fact() -> NewFact {
    let fact = Fact {
        occurred_at: START,
        body: Body::LineageOpened(LineageOpened { lineage: LINEAGE, kind: LineageKind::Dev }),
    };
    NewFact {
        tenant: Tenant::system(),
        id: FactId::derive(&FactIdentity {
            tenant: "",
            vendor: "tradewind",
            account: "",
            kind: fact.body.kind(),
            object: b"0",
            version: b"",
            item: b"",
        }),
        source: Source::ourselves(),
        arrival: Arrival::Live,
        produced_at: START,
        recorded_at: None,
        placement: 0,
        translation: 0,
        caused_by: None,
        fact,
    }
}

pub fn enter(world: &World, version: u64, value: DirectoryValue) {
    append(world, Topic::Directory, vec![directory::record(&DirectoryEntry { version, value })]);
}

pub fn connect(world: &World, version: u64, change: impl FnOnce(&mut ConnectionEntry)) {
    let mut entry = ConnectionEntry {
        tenant: tenant(),
        connection: connection(),
        vendor: vendor(),
        account: account(),
        intake: Intake::None,
        active: true,
        token_hash: [0; 32],
        secrets: vec![Name::fixed("older-key"), Name::fixed("mail-key")],
        retry_horizon_ms: 0,
        requests_per_second: 0,
        max_body_bytes: 0,
    };
    change(&mut entry);
    enter(world, version, DirectoryValue::Connection(entry));
}

pub fn switch(world: &World, version: u64, tenant: Tenant, scope: &'static str, stopped: bool) {
    let switch = SwitchSet { scope: scope.parse().expect("a scope"), stopped, reason: "".into(), version };
    enter(world, version, DirectoryValue::Switch { tenant, switch });
}

pub fn set_up(world: &World) {
    append(world, Topic::Events, vec![record::event(&lineage_fact())]);
    let entry = TenantEntry { tenant: tenant(), partition: 0, placement: 3, pepper: Name::fixed("pepper") };
    enter(world, 1, DirectoryValue::Tenant(entry));
    connect(world, 1, |_| {});
}

/// A command to the customer of this number, whose key has the same.
pub fn command(vault: &Arc<MemoryVault>, number: u8, customer: u8, at: Timestamp, deadline_ms: i64) -> Command {
    let key = vault.add(customer);
    let origin = FactId::from_bytes([customer; 16]);
    let target = EntityKey::at_vendor(EntityKind::Cart, &vendor(), &account(), &format!("cart-{customer}"));
    Command {
        id: CommandId::from_bytes([number; 16]),
        tenant: tenant(),
        connection: connection(),
        vendor: vendor(),
        account: account(),
        target: target.clone(),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at: at,
        not_before: at,
        deadline: at + deadline_ms,
        workflow: Name::fixed("cart-recovery"),
        instance: InstanceId::from_bytes([number; 16]),
        decision: DecisionId::from_bytes([number; 16]),
        causes: Vec::new(),
        approval: None,
        compensates: None,
        contact: Some(seal::seal(&key, origin, "email", b"jane@example.com")),
        body: CommandBody::MessageSend(MessageSend {
            channel: Name::fixed("email"),
            template: Name::fixed("cart"),
            cart: Some(target),
            lines: Vec::new(),
            total: None,
            recovery_url: None,
            first_name: None,
        }),
    }
}

/// The command's record, as a decision that issues it has it.
pub fn issue(world: &World, command: &Command) {
    issue_in(world, command, LINEAGE);
}

pub fn issue_in(world: &World, command: &Command, lineage: Lineage) {
    let choice = Choice {
        workflow: Name::fixed("cart-recovery"),
        definition: DefinitionHash([0; 32]),
        instance: command.instance,
        subject: command.target.clone(),
        lifecycle: Lifecycle::On,
        withholds: false,
        facts_read: Vec::new(),
        facts_read_more: 0,
        features: Vec::new(),
        alternatives: Vec::new(),
        chosen: None,
        seed: 0,
        policy: Name::fixed("policy"),
        policy_version: 1,
        holdout: false,
        explored: false,
        reasons: Vec::new(),
        missing: Vec::new(),
        transitions: vec![Transition::CommandIssued { command: command.clone() }],
    };
    let decision = Decision {
        id: command.decision,
        tenant: command.tenant.clone(),
        fact: FactId::from_bytes([1; 16]),
        wakeup: None,
        watermark: command.issued_at,
        build: Name::fixed("simulated"),
        choices: vec![choice],
        parked: Vec::new(),
    };
    let encoded = decision::record(&decision, Position::default(), lineage);
    let records = encoded.commands.into_iter().map(|(_, record)| record).collect();
    append(world, Topic::Commands(vendor()), records);
}

/// Behind the last command.
pub fn commands_end(world: &World) -> u64 {
    let log = world.broker.connect(ProcessId(u32::MAX - 1), &Faults::none());
    log.bounds(&Topic::Commands(vendor()).partition(0)).expect("this log has no faults").end
}

/// Every outcome on the log, with the id of its record.
pub fn outcomes(world: &World) -> Vec<(FactId, Outcome)> {
    let records = world.broker.records(&Topic::Events.partition(0));
    let envelopes = records.iter().map(|stored| record::envelope(stored).expect("an event"));
    envelopes
        .filter_map(
            |Envelope { id, fact, .. }| if let Body::Outcome(outcome) = fact.body { Some((id, outcome)) } else { None },
        )
        .collect()
}
