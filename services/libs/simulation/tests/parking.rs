//! Our own code fails in one step: that step alone is dropped, the decision says
//! so, and everything else goes on.

#![forbid(unsafe_code)]

use std::sync::Arc;

use tradewind_domain::{
    Arrival, Body, ClockAdjusted, Decision, DefinitionHash, EntityKey, Fact, InstanceUnparked, Name, Parked, Timestamp,
    Transition,
};
use tradewind_engine::cart_recovery::CartRecovery;
use tradewind_engine::leaf::{EntityLeaf, InstanceLeaf};
use tradewind_engine::{Cause, Considered, Folding, Rules, Situation, View, Workflow};
use tradewind_ports::{EventLog, NewRecord, Record, StoreError, Topic};
use tradewind_simulation::naive::Naive;
use tradewind_simulation::shop::{self, HOUR, MINUTE, Shape};
use tradewind_simulation::{Broker, Deployment, Faults, Pace, ProcessId, START, StoreFate, lineage, read};
use tradewind_wire::fact;
use tradewind_wire::record::{self, NewFact};

const SHAPE: Shape = Shape { customers: 1, tenants: 1, hours: 1, quiet_minutes: 10, holdout_percent: 0 };
const POISON: &str = "poison";

fn is_poison(entity: &EntityKey) -> bool {
    entity.to_string().ends_with(POISON)
}

/// A release whose fold can't take one cart.
fn fold_that_fails(leaf: &mut EntityLeaf, folding: &Folding<'_>) -> bool {
    if let Body::CartUpdated(cart) = &folding.fact.body {
        assert!(!is_poison(&cart.cart), "a cart this release can't fold");
    }
    (Rules::shipped().fold_about)(leaf, folding)
}

/// A release that fails at one cart.
#[derive(Debug)]
enum FailsAt {
    /// When it looks what a fact is about.
    Subject,
    /// When its time has come.
    Wakeup,
    /// Then it says nothing at all.
    Answer,
}

impl Workflow for FailsAt {
    fn name(&self) -> Name {
        CartRecovery.name()
    }

    fn definition(&self) -> DefinitionHash {
        CartRecovery.definition()
    }

    fn policy(&self) -> (Name, u32) {
        CartRecovery.policy()
    }

    fn subject(&self, fact: &Fact, arrival: Arrival) -> Option<EntityKey> {
        let subject = CartRecovery.subject(fact, arrival);
        let fails = matches!(self, FailsAt::Subject) && subject.as_ref().is_some_and(is_poison);
        assert!(!fails, "a fact this release can't make sense of");
        subject
    }

    fn consider(
        &self,
        cause: Cause<'_>,
        instance: &InstanceLeaf,
        situation: &Situation<'_>,
        view: &mut View<'_>,
    ) -> Result<Considered, StoreError> {
        if matches!(cause, Cause::Wakeup(_)) && is_poison(&instance.subject) {
            match self {
                FailsAt::Subject => {}
                FailsAt::Wakeup => panic!("a cart this release can't decide on"),
                FailsAt::Answer => return Ok(Considered::default()),
            }
        }
        CartRecovery.consider(cause, instance, situation, view)
    }
}

struct Shop {
    broker: Arc<Broker>,
    deployment: Deployment,
    /// As its turns say.
    parked: usize,
}

impl Shop {
    fn open(rules: Rules) -> Shop {
        let broker = Arc::new(Broker::new());
        let deployment = deployment(&broker, rules);
        let mut shop = Shop { broker, deployment, parked: 0 };
        shop.append(START, vec![lineage()]);
        shop.append(START, shop::set_up(&shop::tenant(0), SHAPE, START));
        shop.append(START, shop::close_down(&shop::tenant(0), START));
        shop
    }

    /// Another release takes the same log and the same store over.
    fn upgrade(&mut self, rules: Rules) {
        let store = self.deployment.store.clone();
        self.deployment = deployment(&self.broker, rules);
        self.deployment.store = store;
    }

    fn append(&mut self, at: Timestamp, facts: Vec<NewFact>) {
        self.broker.set_now(at);
        let connector = self.broker.connect(ProcessId(99), &Faults::none());
        let records = facts.iter().map(record::event).collect();
        connector.append(&Topic::Events.partition(0), records).expect("no faults");
    }

    /// A cart with a checkout, so that somebody could be written to.
    fn cart(&mut self, token: &str, customer: u32, at: Timestamp) {
        let tenant = shop::tenant(0);
        let cart = shop::cart(&tenant, token, at, at, 1);
        let checkout = shop::checkout(&tenant, token, customer, 0, at, at);
        self.append(at, vec![cart, checkout]);
    }

    /// A fact that was recorded at `recorded_at`, by the log's clock, is taken up
    /// again, its bytes as they are.
    fn unpark(&mut self, parked: &Record, recorded_at: Timestamp, now: Timestamp) {
        let operator = Name::fixed("operator");
        let value = fact::encode_unparking(parked, recorded_at, &operator, now).expect("an event");
        let Fact { body, .. } = fact::decode(&value).expect("a fact");
        let shaped = record::event(&shop::set_up_fact(&shop::tenant(0), "unpark", 1, now, body));
        self.broker.set_now(now);
        let connector = self.broker.connect(ProcessId(99), &Faults::none());
        let unparking = NewRecord { value: Some(value), ..shaped };
        connector.append(&Topic::Events.partition(0), vec![unparking]).expect("no faults");
    }

    /// Lets time pass, and the owner work until it rests.
    fn pass(&mut self, until: Timestamp) -> Vec<Decision> {
        let tick = Fact { occurred_at: until, body: Body::Tick };
        let tick = shop::set_up_fact(&shop::tenant(0), "tick", 1, until, tick.body);
        self.append(until, vec![tick]);
        loop {
            let turned = self.deployment.turn().expect("nothing stops");
            self.parked += turned.map_or(0, |turned| turned.parked as usize);
            if turned.is_some_and(|turned| turned.facts + turned.wakeups == 0) {
                break;
            }
        }
        let reading = read(&self.broker, &[shop::vendor("klaviyo")]).expect("a log that keeps the rules");
        reading.decisions.into_iter().map(|read| read.value).collect()
    }
}

fn deployment(broker: &Arc<Broker>, rules: Rules) -> Deployment {
    Deployment::new(broker.clone(), Faults::none(), StoreFate::Kept, Pace::TIGHT, Arc::new(rules))
}

/// The carts whose customers were written to.
fn reminded(decisions: &[Decision]) -> Vec<String> {
    let choices = decisions.iter().flat_map(|decision| &decision.choices);
    let is_reminder = |transition: &Transition| matches!(transition, Transition::CommandIssued { .. });
    let reminded = choices.filter(|choice| choice.transitions.iter().any(is_reminder));
    reminded.map(|choice| choice.subject.to_string().rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

fn at(minutes: i64) -> Timestamp {
    START + minutes * MINUTE
}

#[test]
fn a_fact_that_cannot_be_folded_is_parked_and_folded_by_a_later_release() {
    let mut shop = Shop::open(Rules { fold_about: fold_that_fails, ..Rules::shipped() });
    shop.cart(POISON, 1, at(1));
    shop.cart("sound", 2, at(1));
    let decisions = shop.pass(at(60));
    let parked: Vec<_> = decisions.iter().flat_map(|decision| &decision.parked).collect();
    let [Parked::Fact(parked)] = parked.as_slice() else { panic!("expected one parked fact, got {parked:?}") };
    assert_eq!(&*parked.reason, "a cart this release can't fold");
    assert!(parked.entities.iter().any(is_poison));
    assert_eq!(reminded(&decisions), ["sound"], "what the parked fact names waits for it");

    shop.upgrade(Rules::shipped());
    let records = shop.broker.records(&Topic::Events.partition(0));
    let is_parked = |stored: &&Record| record::envelope(stored).expect("an event decodes").id == parked.fact;
    let stored = records.iter().find(is_parked).expect("the parked fact");
    shop.unpark(stored, at(1), at(61));
    assert_eq!(reminded(&shop.pass(at(180))), ["sound", POISON]);
}

/// From minute 1 on the log's clock runs sixty times as fast as the wall's: half a
/// minute later it is minute 31 of the log.
#[test]
fn a_fact_taken_up_again_counts_for_the_logs_time_it_was_recorded_at() {
    let mut shop = Shop::open(Rules::shipped());
    let faster = ClockAdjusted { speed_permille: 60_000, skip_ms: 0 };
    shop.append(at(1), vec![NewFact::of_partition(0, at(1), Body::ClockAdjusted(faster))]);
    let cart = shop::cart(&shop::tenant(0), "cart", at(31), at(31), 1);
    let parked = Record {
        offset: 0,
        appended_at: at(1) + 30_000,
        key: cart.tenant.as_bytes().to_vec(),
        headers: record::event(&cart).headers,
        value: record::event(&cart).value,
    };
    shop.unpark(&parked, at(31), at(1) + 32_000);
    let checkout = shop::checkout(&shop::tenant(0), "cart", 1, 0, at(32), at(32));
    shop.append(at(1) + 32_000, vec![checkout]);
    // Minutes 1 to 61 of the log pass in a minute of the wall.
    let decisions: Vec<Decision> = (33..60).flat_map(|seconds| shop.pass(at(1) + seconds * 1_000)).collect();
    let first = decisions.iter().find(|decision| decision.wakeup.is_some()).expect("the cart's time came");
    assert!(first.watermark.since(at(31)) > 10 * MINUTE, "quiet for ten minutes of the log, got {}", first.watermark);
    assert!(!reminded(&decisions).is_empty());

    let mut naive = Naive::new(Name::fixed("simulated"));
    let records = shop.broker.records(&Topic::Events.partition(0));
    let decide = |stored: &Record| naive.record(&record::envelope(stored).expect("an event decodes"));
    let expected: Vec<Decision> = records.iter().flat_map(decide).map(|(_, decision)| decision).collect();
    let reading = read(&shop.broker, &[shop::vendor("klaviyo")]).expect("a log that keeps the rules");
    let mut decided: Vec<Decision> = reading.decisions.into_iter().map(|read| read.value).collect();
    for choice in decided.iter_mut().flat_map(|decision| &mut decision.choices) {
        // Which facts were read is the engine's own.
        choice.facts_read.clear();
        choice.facts_read_more = 0;
    }
    assert_eq!(decided, expected);
}

/// A day after, nobody waits for the parked fact any more, and the decision says
/// what it was made without.
#[test]
fn a_parked_fact_is_waited_for_four_hours() {
    let mut shop = Shop::open(Rules { fold_about: fold_that_fails, ..Rules::shipped() });
    shop.cart(POISON, 1, at(1));
    let mut decisions = Vec::new();
    for half_hour in 1..20 {
        decisions = shop.pass(at(30 * half_hour));
    }
    let missing = |decision: &&Decision| decision.choices.iter().any(|choice| !choice.missing.is_empty());
    let without = decisions.iter().find(missing).expect("a decision that says what was missing");
    assert_eq!(without.choices[0].missing, [Name::fixed("parked_fact")]);
    assert!(without.watermark.since(START) >= 4 * HOUR);
}

#[test]
fn an_instance_that_cannot_be_decided_for_is_parked_and_goes_on_when_told() {
    for (fails, reason) in
        [(FailsAt::Wakeup, "a cart this release can't decide on"), (FailsAt::Answer, "expected a decision on wakeup")]
    {
        let broken = Rules { workflows: vec![Arc::new(fails)], ..Rules::shipped() };
        let mut shop = Shop::open(broken);
        shop.cart(POISON, 1, at(1));
        shop.cart("sound", 2, at(1));
        let decisions = shop.pass(at(60));
        let parked: Vec<_> = decisions.iter().flat_map(|decision| &decision.parked).collect();
        let [Parked::Instance(parked)] = parked.as_slice() else {
            panic!("expected a parked instance, got {parked:?}")
        };
        assert!(parked.reason.starts_with(reason), "{}", parked.reason);
        assert_eq!(reminded(&decisions), ["sound"]);

        shop.upgrade(Rules::shipped());
        let unparked = InstanceUnparked { instance: parked.instance, actor: Name::fixed("operator") };
        let unparked = shop::set_up_fact(&shop::tenant(0), "unpark", 1, at(61), Body::InstanceUnparked(unparked));
        shop.append(at(61), vec![unparked]);
        assert_eq!(reminded(&shop.pass(at(62))), ["sound", POISON]);
    }
}

/// What it has folded is taken back, too: a parked fact counts for nothing.
#[test]
fn a_fact_whose_subject_cannot_be_told_is_parked() {
    let broken = Rules { workflows: vec![Arc::new(FailsAt::Subject)], ..Rules::shipped() };
    let mut shop = Shop::open(broken);
    shop.cart(POISON, 1, at(1));
    shop.cart("sound", 2, at(1));
    let decisions = shop.pass(at(60));
    let parked: Vec<_> = decisions.iter().flat_map(|decision| &decision.parked).collect();
    assert!(!parked.is_empty());
    assert_eq!(shop.parked, parked.len());
    for parked in parked {
        let Parked::Fact(parked) = parked else { panic!("expected a parked fact, got {parked:?}") };
        assert_eq!(&*parked.reason, "a fact this release can't make sense of");
    }
    assert_eq!(reminded(&decisions), ["sound"]);
}
