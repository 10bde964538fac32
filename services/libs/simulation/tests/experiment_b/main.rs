//! Experiment B, the free run: late, repeated and reordered deliveries, an hour
//! without ingest, a lying vendor, an owner that dies. What comes of it equals
//! what a naive decider makes of the very log that resulted.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use tradewind_domain::{Decision, FactId, Name, Position, Timestamp, Transition};
use tradewind_ports::{Record, Topic};
use tradewind_simulation::naive::Naive;
use tradewind_simulation::shop::{self, HOUR, MINUTE, OrderedBy, Shape};
use tradewind_simulation::{Broker, Fault, Faults, Pace, Reading, START, StoreFate, Trouble, World, read};
use tradewind_wire::record;

/// Seeds of one `cargo test`; `TRADEWIND_SEEDS` asks for another number.
const SEEDS: u64 = 2_000;

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
        let day = shop::day(&mut rng, &shop::tenant(number), shape, START);
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

fn events(world: &World) -> Vec<Record> {
    world.deployment.broker.records(&Topic::Events.partition(0))
}

/// Everything on every topic: two runs of a seed are one run.
fn trace(world: &World) -> Vec<Record> {
    let topics = [Topic::Events, Topic::Decisions, Topic::Commands(shop::vendor("klaviyo"))];
    topics.into_iter().flat_map(|topic| world.deployment.broker.records(&topic.partition(0))).collect()
}

/// What the naive decider makes of the log.
fn naive(world: &World) -> Vec<(Position, Decision)> {
    let mut naive = Naive::new(Name::fixed("simulated"));
    let decide = |stored: &Record| naive.record(&record::envelope(stored).expect("an event decodes"));
    events(world).iter().flat_map(decide).collect()
}

/// Which facts a decision lists as read is the engine's own; the rest is compared.
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
    let expected = naive(world);
    for (read, (position, decision)) in reading.decisions.iter().zip(&expected) {
        assert_eq!((read.position, compared(&read.value)), (*position, decision.clone()), "seed {seed}, {shape:?}");
    }
    assert_eq!(reading.decisions.len(), expected.len(), "seed {seed}: another number of decisions");

    let on_log: BTreeSet<FactId> =
        events(world).iter().map(|stored| record::envelope(stored).expect("an event decodes").id).collect();
    assert!(world.accepted.is_subset(&on_log), "seed {seed}: accepted and lost");
    assert!(world.ledger.effects.values().all(|effects| *effects == 1), "seed {seed}: an effect came twice");
    let had_effect: BTreeSet<_> = world.ledger.effects.keys().collect();
    assert!(had_effect.is_subset(&reading.commands.keys().collect()), "seed {seed}: an effect without a command");
    check_caps(seed, reading);
    ran
}

/// No address is sent more than one promotional message a day: a place is taken
/// from the decision on until it is released.
fn check_caps(seed: u64, reading: &Reading) {
    let mut taken: BTreeMap<_, Vec<(Timestamp, _)>> = BTreeMap::new();
    let transitions = reading.decisions.iter().flat_map(|read| {
        let tenant = read.value.tenant.clone();
        read.value.choices.iter().flat_map(|choice| &choice.transitions).map(move |change| (tenant.clone(), change))
    });
    for (tenant, transition) in transitions {
        if let Transition::SlotReserved { entity, command, at, .. } = transition {
            let places = taken.entry((tenant, entity.clone())).or_default();
            let in_window = places.iter().filter(|(taken_at, _)| at.since(*taken_at) < 24 * HOUR).count();
            assert_eq!(in_window, 0, "seed {seed}: a second message within a day, {command}");
            places.push((*at, *command));
        } else if let Transition::SlotReleased { entity, command, .. } = transition {
            let places = taken.entry((tenant, entity.clone())).or_default();
            places.retain(|(_, known)| known != command);
        }
    }
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

/// A thousand carts, an hour without ingest, and 400 of their orders delivered up
/// to four hours after it.
#[test]
fn an_order_that_arrives_while_its_wakeup_waits_sends_nothing() {
    let mut rng = Rng::with_seed(42);
    let shape = Shape { customers: 1_000, tenants: 1, hours: 1, quiet_minutes: 60, holdout_percent: 0 };
    let tenant = shop::tenant(0);
    let outage = (START + HOUR, START + 2 * HOUR);
    let trouble = Trouble {
        faults: Faults::none(),
        fate: StoreFate::Kept,
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

    let expected = naive(&world);
    let got: Vec<_> = reading.decisions.iter().map(|read| (read.position, compared(&read.value))).collect();
    assert!(got == expected, "not what the naive decider makes of it");
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
}
