//! Decisions in which every transition is made, and every kind of step parked.

use tradewind_domain::{
    Account, Body, Capability, CartAbandoned, Change, Choice, Command, CommandBody, CommandClass, Decision, DecisionId,
    DefinitionHash, EntityKind, Fact, FactParked, InstanceParked, Lifecycle, MessageSend, Name, Parked, ParkedAt,
    Position, Transition, WakeupId,
};

use crate::facts::{at, command_id, connection, fact_id, instance_id, key, sealed, shopify, tenant};

fn wakeup(number: u8) -> WakeupId {
    WakeupId::from_bytes([number; 16])
}

/// On an instance that stays, then on one that ends, then what is parked; each
/// in a step behind the record's own.
pub(crate) fn decisions(offset: u64) -> [(&'static str, Position, Decision); 3] {
    let second_slot = Transition::SlotReserved {
        cap: Name::fixed("promotional"),
        entity: key(EntityKind::Email),
        command: command_id(2),
        at: at(51),
    };
    let parked_wakeup = WakeupParts { id: 2, name: "outcome", due: 70 };
    let kept_wakeup = WakeupParts { id: 3, name: "again", due: 90 };
    let missed = Transition::CommandIssued { command: Command { id: command_id(2), ..command() } };
    let kept = [every_transition(), vec![second_slot, parked_wakeup.set(), kept_wakeup.set(), missed]].concat();
    // Its end comes last, of every transition: the other instance has that one.
    let kept = kept.into_iter().filter(|transition| !matches!(transition, Transition::InstanceEnded { .. }));
    let step = |step| Position { offset, step };
    [
        ("an instance that stays", step(1), decision(1, vec![choice(1, kept.collect())], Vec::new())),
        ("an instance that ends", step(2), decision(2, vec![choice(2, every_transition())], Vec::new())),
        ("what is parked", step(3), decision(3, Vec::new(), parked())),
    ]
}

struct WakeupParts {
    id: u8,
    name: &'static str,
    due: i64,
}

impl WakeupParts {
    fn set(&self) -> Transition {
        Transition::WakeupSet {
            wakeup: wakeup(self.id),
            name: Name::fixed(self.name),
            due: at(self.due),
            lateness_ms: 5_000,
            awaits_sources: true,
            round: 1,
        }
    }
}

fn every_transition() -> Vec<Transition> {
    let mut transitions = vec![Transition::InstanceStarted { trigger: fact_id(10) }];
    while let Some(next) = after(transitions.last().expect("it begins with one")) {
        transitions.push(next);
    }
    transitions
}

/// The transition that follows one of this kind. A new one does not compile until
/// it has its place here: let an earlier one lead to it, and it to the next.
fn after(transition: &Transition) -> Option<Transition> {
    let cap = Name::fixed("promotional");
    Some(match transition {
        Transition::InstanceStarted { .. } => Transition::StepEntered { step: Name::fixed("quiet"), iteration: 2 },
        Transition::StepEntered { .. } => Transition::VariableSet { name: Name::fixed("reminders"), value: -3 },
        Transition::VariableSet { .. } => WakeupParts { id: 1, name: "quiet", due: 60 }.set(),
        Transition::WakeupSet { .. } => Transition::WakeupCleared { wakeup: wakeup(1), name: Name::fixed("quiet") },
        Transition::WakeupCleared { .. } => {
            Transition::SlotReserved { cap, entity: key(EntityKind::Email), command: command_id(1), at: at(50) }
        }
        Transition::SlotReserved { .. } => Transition::CommandIssued { command: command() },
        Transition::CommandIssued { .. } => Transition::Withheld { command: command(), rule: Name::fixed("shadow") },
        Transition::Withheld { .. } => {
            Transition::Suppressed { capability: Capability::MessageSend, rule: Name::fixed("ordered") }
        }
        Transition::Suppressed { .. } => {
            Transition::Deferred { capability: Capability::MessageSend, rule: Name::fixed("cap"), until: at(80) }
        }
        Transition::Deferred { .. } => Transition::HeldOut { entity: key(EntityKind::Cart) },
        Transition::HeldOut { .. } => Transition::Derived { id: fact_id(77), fact: derived() },
        Transition::Derived { .. } => {
            Transition::SlotReleased { cap, entity: key(EntityKind::Email), command: command_id(1) }
        }
        Transition::SlotReleased { .. } => Transition::OutcomeMissing { command: command_id(1) },
        Transition::OutcomeMissing { .. } => Transition::InstanceEnded { reason: Name::fixed("done") },
        Transition::InstanceEnded { .. } => return None,
    })
}

fn derived() -> Fact {
    let body =
        Body::CartAbandoned(CartAbandoned { cart: key(EntityKind::Cart), quiet_since: at(11), cart_fact: fact_id(11) });
    Fact { occurred_at: at(50), body }
}

/// The wakeup that is parked is one the instance that stays has.
fn parked() -> Vec<Parked> {
    let instance = |at| {
        Parked::Instance(InstanceParked {
            instance: instance_id(1),
            at,
            workflow: Name::fixed("cart-recovery"),
            subject: key(EntityKind::Cart),
            build: Name::fixed("test"),
            reason: "a fault".into(),
        })
    };
    let fact = FactParked {
        fact: fact_id(88),
        build: Name::fixed("test"),
        reason: "a fault".into(),
        entities: vec![key(EntityKind::Ticket), key(EntityKind::Phone)],
    };
    let (trigger, outcome) = (ParkedAt::Trigger(fact_id(1)), ParkedAt::Outcome(fact_id(2)));
    vec![Parked::Fact(fact), instance(ParkedAt::Wakeup(wakeup(2))), instance(trigger), instance(outcome)]
}

fn decision(number: u8, choices: Vec<Choice>, parked: Vec<Parked>) -> Decision {
    Decision {
        id: DecisionId::from_bytes([number; 16]),
        tenant: tenant(),
        fact: fact_id(10),
        wakeup: Some(wakeup(9)),
        watermark: at(50),
        build: Name::fixed("test"),
        choices,
        parked,
    }
}

fn choice(number: u8, transitions: Vec<Transition>) -> Choice {
    Choice {
        workflow: Name::new(&format!("workflow-{number}")).unwrap(),
        definition: DefinitionHash([number; 32]),
        instance: instance_id(number),
        subject: key(EntityKind::Cart),
        lifecycle: Lifecycle::On,
        withholds: false,
        facts_read: Vec::new(),
        facts_read_more: 0,
        features: Vec::new(),
        alternatives: Vec::new(),
        chosen: None,
        seed: 0,
        policy: Name::fixed("always"),
        policy_version: 1,
        holdout: false,
        explored: false,
        reasons: Vec::new(),
        missing: Vec::new(),
        transitions,
    }
}

fn command() -> Command {
    Command {
        id: command_id(1),
        tenant: tenant(),
        connection: connection(),
        vendor: shopify(),
        account: Account::none(),
        target: key(EntityKind::Email),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at: at(50),
        not_before: at(50),
        deadline: at(500),
        workflow: Name::fixed("workflow-1"),
        instance: instance_id(1),
        decision: DecisionId::from_bytes([1; 16]),
        causes: vec![fact_id(10)],
        approval: None,
        compensates: None,
        contact: Some(sealed(3)),
        body: CommandBody::MessageSend(MessageSend {
            channel: Name::fixed("email"),
            template: Name::fixed("Cart Abandoned"),
            cart: Some(key(EntityKind::Cart)),
            lines: Vec::new(),
            total: None,
            recovery_url: None,
            first_name: None,
        }),
    }
}
