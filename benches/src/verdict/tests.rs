//! A run that went well, and what is wrong with it once it is tampered with.

use std::sync::Arc;

use serde_json::json;
use tradewind_domain::{KeyId, OutcomeState, RawDelivery, Sealed, Timestamp, Vendor};
use tradewind_engine::Rules;
use tradewind_ports::NewRecord;
use tradewind_simulation::{
    Broker, Deployment, Faults, MemoryLog, Pace, ProcessId, START, StoreFate, lineage, outcome, read, shop,
};
use tradewind_wire::record::NewFact;

use super::*;

const SHOP: Door = Door { sender: "shop", vendor: "shopify", account: "demo.myshopify.com", connection: "shop" };
const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What a run left, record by record.
#[derive(Clone)]
struct Run {
    events: Vec<Record>,
    decisions: Vec<Record>,
    commands: Vec<Record>,
    raw: Vec<Record>,
    accepted: Vec<&'static str>,
    /// With how often each had its effect.
    effects: Vec<(String, u32)>,
}

fn minutes(minutes: i64) -> Timestamp {
    START + minutes * 60_000
}

fn vendor(name: &str) -> Vendor {
    Vendor::new(name).unwrap()
}

impl Run {
    /// A cart was left alone, its customer got a message, and the vendor said so.
    fn sound() -> Run {
        let broker = Arc::new(Broker::new());
        let mut deployment =
            Deployment::new(broker.clone(), Faults::none(), StoreFate::Kept, Pace::TIGHT, Arc::new(Rules::shipped()));
        let log = broker.connect(ProcessId(9), &Faults::none());
        let tenant = shop::tenant(0);
        let shape = shop::Shape { customers: 1, tenants: 1, hours: 1, quiet_minutes: 10, holdout_percent: 0 };
        let mut pass = |at: Timestamp, facts: Vec<NewFact>, raw: Option<NewRecord>| {
            broker.set_now(at);
            let mut records: Vec<NewRecord> = facts.iter().map(record::event).collect();
            if let Some(raw) = raw {
                let place = Topic::Raw(vendor("shopify")).partition(0);
                let offset = log.append(&place, vec![raw]).unwrap()[0];
                record::name_delivery(&mut records[0], &place, offset);
            }
            log.append(&Topic::Events.partition(0), records).unwrap();
            while deployment.turn().unwrap().is_none_or(|turned| turned.facts + turned.wakeups > 0) {}
        };
        pass(START, vec![lineage()], None);
        pass(START, shop::set_up(&tenant, shape, START), None);
        pass(START, shop::close_down(&tenant, START), None);
        let cart = shop::cart(&tenant, "cart", minutes(1), minutes(1), 1);
        pass(minutes(1), vec![cart], Some(delivered(&tenant)));
        pass(minutes(1), vec![shop::checkout(&tenant, "cart", 1, 0, minutes(1), minutes(1))], None);
        pass(
            minutes(60),
            vec![shop::ticket(&tenant, 2, tradewind_domain::TicketStatus::Closed, START, minutes(60))],
            None,
        );
        let reading = read(&broker, &[vendor("klaviyo")]).unwrap();
        let issued: Vec<_> = reading.commands.into_values().collect();
        let [command] = issued.as_slice() else { panic!("expected one command, got {}", issued.len()) };
        pass(minutes(61), vec![outcome(&command.value, OutcomeState::Succeeded, minutes(61))], None);

        let all = |topic: Topic| broker.records(&topic.partition(0));
        Run {
            events: all(Topic::Events),
            decisions: all(Topic::Decisions),
            commands: all(Topic::Commands(vendor("klaviyo"))),
            raw: all(Topic::Raw(vendor("shopify"))),
            accepted: vec![DIGEST],
            effects: vec![(command.value.id.to_string(), 1)],
        }
    }

    fn judged(&self) -> Verdict {
        let broker = Broker::new();
        let log: MemoryLog = broker.connect(ProcessId(9), &Faults::none());
        for (topic, records) in [
            (Topic::Events, &self.events),
            (Topic::Decisions, &self.decisions),
            (Topic::Commands(vendor("klaviyo")), &self.commands),
            (Topic::Raw(vendor("shopify")), &self.raw),
        ] {
            for stored in records {
                broker.set_now(stored.appended_at);
                let Record { key, headers, value, .. } = stored.clone();
                log.append(&topic.clone().partition(0), vec![NewRecord { key, headers, value }]).unwrap();
            }
        }
        let accepted = self.accepted.iter().enumerate();
        let deliveries: Vec<Value> = accepted
            .map(|(number, digest)| json!({"state": "accepted", "sender": "shop", "number": number, "body_sha256": digest}))
            .collect();
        let effects: Vec<Value> =
            self.effects.iter().map(|(command, count)| json!({"unique_id": command, "count": count})).collect();
        judge(&Left {
            log: &log,
            partitions: 1,
            build: "simulated",
            tenant: shop::tenant(0).as_str(),
            doors: &[SHOP],
            deliveries: json!({ "deliveries": deliveries }),
            effects: json!({ "effects": effects }),
        })
        .unwrap()
    }
}

fn delivered(tenant: &Tenant) -> NewRecord {
    let body = Sealed {
        algorithm: 1,
        key_id: KeyId::from_bytes([1; 16]),
        origin: origin(tenant, &SHOP, &bytes(DIGEST)),
        field: "delivery".into(),
        ciphertext: [7; 40].into(),
    };
    let connection = ConnectionName::new("shop").unwrap();
    delivery::raw_record(tenant, &RawDelivery { connection, received_at: minutes(1), headers: Vec::new(), body })
}

/// Another delivery of the same shop.
fn other() -> RawDelivery {
    let stored = Record { value: delivered(&shop::tenant(0)).value, ..Run::sound().raw[0].clone() };
    let raw = delivery::decode_raw(&stored).unwrap();
    RawDelivery { body: Sealed { origin: FactId::from_bytes([8; 16]), ..raw.body }, ..raw }
}

#[test]
fn a_run_that_went_well_is_clean() {
    let verdict = Run::sound().judged();
    assert!(verdict.is_clean(), "{:?}", verdict.problems().collect::<Vec<_>>());
    assert_eq!((verdict.accepted, verdict.commands, verdict.effects), (1, 1, 1));
    assert!(verdict.decisions >= 2);
}

#[test]
fn what_was_accepted_and_is_not_kept_is_lost() {
    let mut run = Run::sound();
    run.accepted.push("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100");
    assert_eq!(run.judged().lost.len(), 1);
    // At the place its fact names lies another one.
    let mut run = Run::sound();
    run.raw[0].value = delivery::raw_record(&shop::tenant(0), &other()).value;
    assert_eq!(run.judged().lost.len(), 1);
}

#[test]
fn a_command_without_an_outcome_is_lost() {
    let mut run = Run::sound();
    run.events.pop();
    let verdict = run.judged();
    assert!(verdict.lost.iter().any(|problem| problem.ends_with("has no outcome")), "{verdict:?}");
}

#[test]
fn an_effect_had_twice_is_double_and_one_nobody_asked_for_is_told() {
    let mut run = Run::sound();
    run.effects[0].1 = 2;
    assert_eq!(run.judged().dup.len(), 1);
    let mut run = Run::sound();
    run.effects[0].0 = CommandId::from_bytes([9; 16]).to_string();
    assert_eq!(run.judged().diverged.len(), 1);
}

#[test]
fn decisions_that_are_gone_or_in_another_order_are_told() {
    let sound = Run::sound();
    // But for the last commit point: a turn may end without it and is adopted by the next owner.
    for index in 1..sound.decisions.len() - 1 {
        let mut run = sound.clone();
        run.decisions.remove(index);
        assert!(!run.judged().is_clean(), "without record {index} of the decisions");
    }
    let mut run = sound.clone();
    run.decisions.swap(1, 2);
    assert!(!run.judged().is_clean());
}

#[test]
fn a_decision_nobody_would_take_diverges() {
    // The log says that there was more in the cart than the decision says.
    let mut run = Run::sound();
    let cart = run.events.iter().position(|event| event.headers.text("ce_type") == Some("commerce.cart.updated.v1"));
    let cart = cart.expect("a cart");
    let fact = shop::cart(&shop::tenant(0), "cart", minutes(1), minutes(1), 3);
    run.events[cart].value = record::event(&fact).value;
    assert!(!run.judged().diverged.is_empty());
}
