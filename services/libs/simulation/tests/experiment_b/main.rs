//! Experiment B, the free run: late, repeated and reordered deliveries, an hour
//! without ingest, a lying vendor, an owner that dies. What comes of it equals
//! what a naive decider makes of the very log that resulted.

#![forbid(unsafe_code)]

mod caps;
mod facts_read;
mod recoveries;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use tradewind_domain::{
    Body, CartAbandoned, Decision, EntityKey, Envelope, FactId, Lifecycle, Name, Position, Transition,
};
use tradewind_engine::cart_recovery::Rule;
use tradewind_ports::{Record, Topic};
use tradewind_simulation::naive::Naive;
use tradewind_simulation::shop::{self, HOUR, MINUTE, OrderedBy, Rare, Shape};
use tradewind_simulation::{Broker, Fault, Faults, Pace, Reading, START, StoreFate, Trouble, World, read};
use tradewind_wire::record;

/// Seeds of one `cargo test`; `TRADEWIND_SEEDS` asks for another number.
const SEEDS: u64 = 2_000;

/// Seeds among which every rule is met.
const RULE_SEEDS: u64 = 200;

/// Most requests of a run among which faults are placed.
const REQUESTS: usize = 600;

fn trouble(rng: &mut Rng, shape: Shape) -> Trouble {
    let faults = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::LoseRequest,
        Fault::LoseResponse,
        Fault::EarlyCommit,
        Fault::LateCommit,
    ];
    let fates = [StoreFate::Kept, StoreFate::FallsBack(1), StoreFate::FallsBack(3), StoreFate::Lost];
    let plan: Vec<(usize, Fault)> =
        (0..rng.usize(0..8)).map(|_| (rng.usize(0..REQUESTS), *rng.choice(&faults).expect("a fault"))).collect();
    let outage = rng.bool().then(|| {
        let from = START + rng.i64(0..shape.hours * HOUR);
        (from, from + HOUR)
    });
    Trouble {
        faults: Faults::at(plan),
        fate: *rng.choice(&fates).expect("a fate"),
        pace: Pace::drawn(rng),
        outage,
        duplicated_percent: rng.u32(0..30),
        late_percent: rng.u32(0..30),
    }
}

struct Run {
    world: World,
    reading: Reading,
    shape: Shape,
}

fn run(seed: u64) -> Run {
    let mut rng = Rng::with_seed(seed);
    let shape = Shape::drawn(&mut rng);
    let trouble = trouble(&mut rng, shape);
    let mut world = World::new(rng.fork(), &trouble, shape, Broker::new());
    for number in 0..shape.tenants {
        let tenant = shop::tenant(number);
        let mut day = shop::day(&mut rng, &tenant, shape, START);
        shop::trouble_day(&mut rng, &tenant, shape, START, &mut day);
        world.plan(day, &trouble);
    }
    world.plan_beats(START + (shape.hours + 6) * HOUR, &trouble);
    finish(world, shape, seed)
}

fn finish(mut world: World, shape: Shape, seed: u64) -> Run {
    let stopped = |stopped: tradewind_simulation::Stopped| panic!("seed {seed}: stopped: {}", stopped.0);
    world.run().unwrap_or_else(stopped);
    world.settle(shape).unwrap_or_else(stopped);
    let reading = read(&world.deployment.broker, &[shop::vendor("klaviyo")]);
    let reading = reading.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    Run { world, reading, shape }
}

fn events(world: &World) -> Vec<Envelope> {
    let records = world.deployment.broker.records(&Topic::Events.partition(0));
    records.iter().map(|stored| record::envelope(stored).expect("an event decodes")).collect()
}

/// How often each cart was said to be abandoned.
fn abandoned(reading: &Reading) -> BTreeMap<EntityKey, usize> {
    let choices = reading.decisions.iter().flat_map(|read| &read.value.choices);
    let mut abandoned = BTreeMap::new();
    for transition in choices.flat_map(|choice| &choice.transitions) {
        if let Transition::Derived { fact, .. } = transition
            && let Body::CartAbandoned(CartAbandoned { cart, .. }) = &fact.body
        {
            *abandoned.entry(cart.clone()).or_default() += 1;
        }
    }
    abandoned
}

/// Everything on every topic: two runs of a seed are one run.
fn trace(world: &World) -> Vec<Record> {
    let topics = [Topic::Events, Topic::Decisions, Topic::Commands(shop::vendor("klaviyo"))];
    topics.into_iter().flat_map(|topic| world.deployment.broker.records(&topic.partition(0))).collect()
}

/// What the naive decider makes of the log.
fn naive(events: &[Envelope]) -> Vec<(Position, Decision)> {
    let mut naive = Naive::new(Name::fixed("simulated"));
    events.iter().flat_map(|event| naive.record(event)).collect()
}

/// Which facts a decision lists as read is the engine's own, and checked by
/// itself; the rest is compared.
fn compared(decision: &Decision) -> Decision {
    let mut decision = decision.clone();
    for choice in &mut decision.choices {
        choice.facts_read.clear();
        choice.facts_read_more = 0;
    }
    decision
}

fn check(seed: u64) -> Run {
    let ran = run(seed);
    let Run { world, reading, shape } = &ran;
    let events = events(world);
    let expected = naive(&events);
    for (read, (position, decision)) in reading.decisions.iter().zip(&expected) {
        assert_eq!((read.position, compared(&read.value)), (*position, decision.clone()), "seed {seed}, {shape:?}");
    }
    assert_eq!(reading.decisions.len(), expected.len(), "seed {seed}: another number of decisions");

    let on_log: BTreeSet<FactId> = events.iter().map(|event| event.id).collect();
    assert!(world.accepted.is_subset(&on_log), "seed {seed}: accepted and lost");
    assert!(world.ledger.effects.values().all(|effects| *effects == 1), "seed {seed}: an effect came twice");
    let had_effect: BTreeSet<_> = world.ledger.effects.keys().collect();
    assert!(had_effect.is_subset(&reading.commands.keys().collect()), "seed {seed}: an effect without a command");
    caps::check(seed, &events, reading);
    recoveries::check(seed, &events, reading);
    facts_read::check(seed, &events, reading);
    ran
}

#[test]
fn a_free_run_is_what_a_naive_decider_makes_of_its_log() {
    let seeds = std::env::var("TRADEWIND_SEEDS").ok().map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let halves = [0..seeds / 2, seeds / 2..seeds];
    let totals = std::thread::scope(|scope| {
        let run_half = |half: std::ops::Range<u64>| {
            let mut total = [0_usize; 4];
            for seed in half {
                let ran = check(seed);
                assert_eq!(trace(&ran.world), trace(&run(seed).world), "seed {seed}: two runs of a seed differ");
                let counts = [
                    events(&ran.world).len(),
                    ran.reading.decisions.len(),
                    ran.reading.commands.len(),
                    ran.world.deployment.faults.injected(),
                ];
                total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
            total
        };
        let handles = halves.map(|half| scope.spawn(move || run_half(half)));
        handles.map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let [facts, decisions, commands, faults] = std::array::from_fn(|index| totals[0][index] + totals[1][index]);
    eprintln!(
        "seeds={seeds} facts={facts} decisions={decisions} commands={commands} faults={faults} lost=0 dup=0 diverged=0"
    );
    assert!(commands > 0 && faults > 0, "expected runs in which something happens");
}

/// The free runs leave out no rule and nothing that can happen to a merchant.
#[test]
fn every_rule_and_every_rare_happening_is_met_in_free_runs() {
    let (mut suppressed, mut deferred, mut withheld) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut reasons, mut shown, mut sending) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut has_missed_a_source = false;
    for seed in 0..RULE_SEEDS {
        let Run { world, reading, .. } = run(seed);
        let events = events(&world);
        let is_shown = |rare: &&Rare| events.iter().any(|event| rare.is_shown_by(event));
        shown.extend(Rare::ALL.iter().filter(is_shown).copied());
        sending += u64::from(!reading.commands.is_empty());
        for choice in reading.decisions.iter().flat_map(|read| &read.value.choices) {
            has_missed_a_source |= !choice.missing.is_empty();
            reasons.extend(choice.reasons.iter().map(Name::to_string));
            for transition in &choice.transitions {
                if let Transition::Suppressed { rule, .. } = transition {
                    suppressed.insert(rule.to_string());
                } else if let Transition::Deferred { rule, .. } = transition {
                    deferred.insert(rule.to_string());
                } else if let Transition::Withheld { rule, .. } = transition {
                    withheld.insert(rule.to_string());
                }
            }
        }
    }
    let words =
        |rules: &mut dyn Iterator<Item = &'static str>| -> BTreeSet<String> { rules.map(str::to_owned).collect() };
    assert_eq!(suppressed, words(&mut Rule::ALL.iter().map(|rule| rule.as_str())));
    assert_eq!(deferred, words(&mut Rule::ALL.iter().filter(|rule| rule.defers()).map(|rule| rule.as_str())));
    let withholding = [Lifecycle::Shadow, Lifecycle::Canary, Lifecycle::Approve];
    assert_eq!(withheld, words(&mut withholding.into_iter().map(Lifecycle::as_str)));
    for reason in ["edited", "emptied", "observed", "succeeded", "rejected", "outcome_missing"] {
        assert!(reasons.contains(reason), "never {reason}, of {reasons:?}");
    }
    assert_eq!(shown, BTreeSet::from(Rare::ALL));
    assert!(has_missed_a_source, "expected some decision to wait for a source in vain");
    assert!(sending * 2 > RULE_SEEDS, "expected most runs to send something, {sending} of {RULE_SEEDS} do");
}

/// Somebody who fills cart after cart: a decision lists no more than so many
/// facts, and its own are among them.
#[test]
fn a_decision_about_a_busy_customer_lists_its_own_facts() {
    let shape = Shape { customers: 1, tenants: 1, hours: 1, quiet_minutes: 60, holdout_percent: 0 };
    let trouble = Trouble {
        faults: Faults::none(),
        fate: StoreFate::Kept,
        pace: Pace::TIGHT,
        outage: None,
        duplicated_percent: 0,
        late_percent: 0,
    };
    let mut world = World::new(Rng::with_seed(1), &trouble, shape, Broker::new());
    let tenant = shop::tenant(0);
    for number in 0..45 {
        let (token, at) = (format!("0-{number}"), START + number * MINUTE);
        world.plan_fact(at, shop::cart(&tenant, &token, at, at, 1));
        world.plan_fact(at + 1_000, shop::cart(&tenant, &token, at, at + 1_000, 2));
        world.plan_fact(at + 2_000, shop::checkout(&tenant, &token, 0, 0, at, at + 2_000));
    }
    world.plan_beats(START + 4 * HOUR, &trouble);
    let Run { world, reading, .. } = finish(world, shape, 1);
    let cut = facts_read::check(1, &events(&world), &reading);
    assert!(cut > 45, "expected a decision about each cart to read more facts than it lists, {cut} did");
}

/// A thousand carts, an hour without ingest, and 400 of their orders delivered up
/// to four hours after it; the owner dies twice.
#[test]
fn an_order_that_arrives_while_its_wakeup_waits_sends_nothing() {
    let mut rng = Rng::with_seed(42);
    let shape = Shape { customers: 1_000, tenants: 1, hours: 1, quiet_minutes: 60, holdout_percent: 0 };
    let tenant = shop::tenant(0);
    let outage = (START + HOUR, START + 2 * HOUR);
    // The first one while carts are folded, the second among the messages that the
    // end of the four hours lets through.
    let crashes = [(40, Fault::CrashBefore), (8_750, Fault::CrashAfter)];
    let trouble = Trouble {
        faults: Faults::at(crashes),
        fate: StoreFate::FallsBack(1),
        pace: Pace {
            read_records: 500,
            turn_commands: 100,
            drain_leaves: 5_000,
            slice_leaves: 500,
            cache_leaves: 5_000,
        },
        outage: Some(outage),
        duplicated_percent: 10,
        late_percent: 0,
    };
    let mut world = World::new(rng.fork(), &trouble, shape, Broker::new());
    let mut ordered_at = BTreeMap::new();
    for customer in 0..1_000 {
        let token = format!("{customer}-0");
        let created_at = START + rng.i64(0..50 * MINUTE);
        world.plan_fact(created_at + 100, shop::cart(&tenant, &token, created_at, created_at, 1));
        let checkout = shop::checkout(&tenant, &token, customer, 0, created_at, created_at + 1_000);
        world.plan_fact(created_at + 1_100, checkout);
        if customer < 400 {
            let placed_at = outage.0 + rng.i64(0..HOUR);
            let arrives_at = outage.1 + rng.i64(MINUTE..240 * MINUTE);
            let by = if customer % 2 == 0 { OrderedBy::SameAddress } else { OrderedBy::OtherAddress };
            world.plan_fact(arrives_at, shop::order(&tenant, &token, customer, by, placed_at));
            ordered_at.insert(token, arrives_at);
        }
    }
    world.plan_beats(START + 12 * HOUR, &trouble);
    let Run { world, reading, .. } = finish(world, shape, 42);

    let events = events(&world);
    let expected = naive(&events);
    let got: Vec<_> = reading.decisions.iter().map(|read| (read.position, compared(&read.value))).collect();
    assert!(got == expected, "not what the naive decider makes of it");
    recoveries::check(42, &events, &reading);
    facts_read::check(42, &events, &reading);
    assert_eq!(world.deployment.faults.injected(), 2, "expected both crashes to strike");
    let mut sent_to_buyers = 0;
    for read in reading.commands.values() {
        let command = &read.value;
        let tradewind_domain::CommandBody::MessageSend(message) = &command.body;
        let token = message.cart.as_ref().expect("a reminder is about a cart").to_string();
        let token = token.rsplit('/').next().expect("a cart's token");
        if let Some(arrives_at) = ordered_at.get(token) {
            // Sent before its order came: only the four hours' cap lets that through,
            // and the decision says what was missing.
            assert!(command.issued_at < *arrives_at, "sent to {token} after its order");
            let decision = reading.decisions.iter().find(|read| read.value.id == command.decision);
            let decision = decision.expect("a command has its decision");
            assert!(decision.value.choices.iter().all(|choice| !choice.missing.is_empty()), "sent and nothing missing");
            sent_to_buyers += 1;
        }
    }
    let sent = reading.commands.len();
    eprintln!("carts=1000 orders=400 sent={sent} sent_to_buyers_by_the_cap={sent_to_buyers}");
    assert!(sent_to_buyers > 0, "expected some orders to come after the four hours");
    assert_eq!(sent - sent_to_buyers, 600, "everybody who did not order is reminded once");
    let abandoned = abandoned(&reading);
    assert_eq!(abandoned.len(), sent, "each cart that is met was abandoned, and no other");
    assert!(abandoned.values().all(|times| *times == 1), "a cart was abandoned twice");
}
