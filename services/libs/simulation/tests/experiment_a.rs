//! Experiment A, the fixed log: whatever goes wrong, decisions, commands and
//! state come out byte for byte as in the calm run.

#![forbid(unsafe_code)]

use std::sync::Arc;

use fastrand::Rng;
use tradewind_domain::{Arrival, DefinitionHash, EntityKey, Fact, Lifecycle, Name, Transition};
use tradewind_engine::cart_recovery::CartRecovery;
use tradewind_engine::leaf::InstanceLeaf;
use tradewind_engine::{Cause, Considered, Rules, Situation, View, Workflow};
use tradewind_ports::{Record, StoreError, Topic};
use tradewind_simulation::fixed_log::{self, Plan, Ran};
use tradewind_simulation::shop::{self, HOUR, OrderedBy, Shape};
use tradewind_simulation::{Broker, Fault, Faults, Operation, Pace, START, StoreFate, Trouble, World};

/// Events of a small day, ticks and outcomes included, as a free run left them.
fn events(seed: u64, shape: Shape) -> Vec<Record> {
    let mut rng = Rng::with_seed(seed);
    let trouble = Trouble {
        faults: Faults::none(),
        fate: StoreFate::Kept,
        pace: Pace::drawn(&mut rng),
        outage: None,
        duplicated_percent: 20,
        late_percent: 20,
    };
    let mut world = World::new(rng.fork(), &trouble, shape, Broker::new());
    for number in 0..shape.tenants {
        let day = shop::day(&mut rng, &shop::tenant(number), shape, START);
        world.plan(day, &trouble);
    }
    world.plan_beats(START + shape.hours * HOUR + HOUR, &trouble);
    world.run().expect("a calm run");
    world.settle(shape).expect("a calm end");
    world.deployment.broker.records(&Topic::Events.partition(0))
}

const SMALL: Shape = Shape { customers: 3, tenants: 1, hours: 1, quiet_minutes: 10, holdout_percent: 0 };

fn check(events: &[Record], calm: &Ran, plan: &Plan) {
    match fixed_log::run(events, plan) {
        Ok(ran) => {
            assert!(ran.result.decisions == calm.result.decisions, "other decisions under {plan:?}");
            assert!(ran.result.commands == calm.result.commands, "other commands under {plan:?}");
            assert!(ran.result.leaves == calm.result.leaves, "another state under {plan:?}");
            assert!(ran.result.due == calm.result.due, "other wakeups under {plan:?}");
        }
        Err(broken) => panic!("{broken}, under {plan:?}"),
    }
}

/// A log on which the workflow is switched off and on between carts, so that
/// what a silent step says depends on how far the set-up was folded.
fn switched_events(seed: u64) -> Vec<Record> {
    let mut rng = Rng::with_seed(seed);
    let trouble = Trouble {
        faults: Faults::none(),
        fate: StoreFate::Kept,
        pace: Pace::drawn(&mut rng),
        outage: None,
        duplicated_percent: 0,
        late_percent: 0,
    };
    // Two merchants: what is stored of the first one keeps the second one's waiting.
    let shape = Shape { tenants: 2, ..SMALL };
    let mut world = World::new(rng.fork(), &trouble, shape, Broker::new());
    let mut version = 1;
    let mut at = START;
    for round in 0..3 {
        for number in 0..rng.u32(4..9) {
            at = at + 1_000;
            world.plan_fact(at, shop::cart(&shop::tenant(0), &format!("cart-{round}-{number}"), at, at, 1));
        }
        for number in 0..6 {
            at = at + 1_000;
            world.plan_fact(at, shop::cart(&shop::tenant(1), &format!("cart-{round}-{number}"), at, at, 1));
            for lifecycle in [Lifecycle::On, Lifecycle::Off] {
                at = at + 1_000;
                version += 1;
                world.plan_fact(at, shop::activation(&shop::tenant(1), lifecycle, version, at));
                // Nothing is decided on these: silent turns.
                for _ in 0..rng.u32(0..4) {
                    at = at + 1_000;
                    let token = format!("order-{}", at.millis());
                    world.plan_fact(at, shop::order(&shop::tenant(1), &token, 0, OrderedBy::Stranger, at));
                }
            }
        }
    }
    world.run().expect("a calm run");
    world.settle(shape).expect("a calm end");
    world.deployment.broker.records(&Topic::Events.partition(0))
}

/// The first log from `seed` on that has enough to say, and its calm run.
fn log(seed: u64, shape: Shape) -> (Vec<Record>, Ran) {
    (seed..)
        .find_map(|seed| {
            let events = events(seed, shape);
            let calm = fixed_log::run(&events, &Plan::calm(Pace::TIGHT)).expect("a calm run");
            assert_eq!(calm.restarts, 0);
            (calm.result.commands.len() >= 2).then_some((events, calm))
        })
        .expect("some log says something")
}

#[test]
fn how_large_a_turn_is_never_shows() {
    let (events, calm) = log(1_000, SMALL);
    for seed in 0..40 {
        check(&events, &calm, &Plan::calm(Pace::drawn(&mut Rng::with_seed(seed))));
    }
}

#[test]
fn a_crash_at_every_request_is_as_if_nothing_had_happened() {
    let (events, calm) = log(2_000, SMALL);
    for request in 0..calm.requests.len() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            for fate in [StoreFate::Kept, StoreFate::FallsBack(1), StoreFate::FallsBack(2), StoreFate::Lost] {
                let faults = vec![(request, fault)];
                check(&events, &calm, &Plan { faults, fate, ..Plan::calm(Pace::TIGHT) });
            }
        }
    }
}

#[test]
fn a_value_never_leaves_for_the_store_ahead_of_the_log() {
    for seed in 0..4 {
        let events = switched_events(seed);
        // Slices outrun what turns add, so that silent turns lie between them.
        let pace = Pace { read_records: 1, drain_leaves: 24, slice_leaves: 2, ..Pace::TIGHT };
        let calm = fixed_log::run(&events, &Plan::calm(pace)).expect("a calm run");
        let writes = calm.requests.iter().enumerate().filter(|(_, operation)| **operation == Operation::StoreWrite);
        for (request, _) in writes {
            let faults = vec![(request, Fault::CrashAfter)];
            check(&events, &calm, &Plan { faults, ..Plan::calm(pace) });
        }
    }
}

#[test]
fn a_lost_request_or_answer_is_as_if_nothing_had_happened() {
    let (events, calm) = log(3_000, SMALL);
    for request in 0..calm.requests.len() {
        for fault in [Fault::LoseRequest, Fault::LoseResponse] {
            check(&events, &calm, &Plan { faults: vec![(request, fault)], ..Plan::calm(Pace::TIGHT) });
        }
    }
}

#[test]
fn a_transaction_that_ends_early_leaves_a_prefix_that_is_adopted() {
    let (events, calm) = log(4_000, SMALL);
    for request in 0..calm.requests.len() {
        for fate in [StoreFate::Kept, StoreFate::Lost] {
            let faults = vec![(request, Fault::EarlyCommit)];
            check(&events, &calm, &Plan { faults, fate, ..Plan::calm(Pace::TIGHT) });
        }
        // The successor's adoption is interrupted, too.
        for after in 1..12 {
            let faults = vec![(request, Fault::EarlyCommit), (request + after, Fault::CrashAfter)];
            check(&events, &calm, &Plan { faults, ..Plan::calm(Pace::TIGHT) });
        }
    }
}

#[test]
fn a_twin_owner_changes_nothing() {
    let (events, calm) = log(5_000, SMALL);
    for twin_after in 1..40 {
        for twin_has_store in [false, true] {
            let plan = Plan { twin_after: Some(twin_after), twin_has_store, ..Plan::calm(Pace::TIGHT) };
            check(&events, &calm, &plan);
        }
    }
}

#[test]
fn pairs_of_faults_drawn_by_seed_change_nothing() {
    let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseRequest, Fault::LoseResponse, Fault::EarlyCommit];
    let fates = [StoreFate::Kept, StoreFate::FallsBack(1), StoreFate::FallsBack(2), StoreFate::Lost];
    for number in 0..6 {
        let (events, calm) = log(10_000 * (1 + number), Shape { customers: 5, hours: 2, ..SMALL });
        for seed in 0..60 {
            let mut rng = Rng::with_seed(1_000 * number + seed);
            let drawn = (0..rng.usize(1..4))
                .map(|_| (rng.usize(0..calm.requests.len()), *rng.choice(&faults).expect("a fault")))
                .collect();
            let plan = Plan {
                faults: drawn,
                fate: *rng.choice(&fates).expect("a fate"),
                twin_after: rng.bool().then(|| rng.u32(1..50)),
                twin_has_store: rng.bool(),
                ..Plan::calm(Pace::drawn(&mut rng))
            };
            check(&events, &calm, &plan);
        }
    }
}

#[test]
fn a_commit_that_arrives_late_is_read_by_the_successor() {
    let (events, calm) = log(6_000, SMALL);
    for request in 0..calm.requests.len() {
        for fate in [StoreFate::Kept, StoreFate::Lost] {
            check(
                &events,
                &calm,
                &Plan { faults: vec![(request, Fault::LateCommit)], fate, ..Plan::calm(Pace::TIGHT) },
            );
        }
    }
}

/// A release that would have decided everything otherwise.
#[derive(Debug)]
struct Contrary;

impl Workflow for Contrary {
    fn name(&self) -> Name {
        CartRecovery.name()
    }

    fn definition(&self) -> DefinitionHash {
        DefinitionHash([9; 32])
    }

    fn policy(&self) -> (Name, u32) {
        (Name::fixed("never"), 2)
    }

    fn subject(&self, fact: &Fact, arrival: Arrival) -> Option<EntityKey> {
        CartRecovery.subject(fact, arrival)
    }

    fn consider(
        &self,
        _: Cause<'_>,
        _: &InstanceLeaf,
        _: &Situation<'_>,
        _: &mut View<'_>,
    ) -> Result<Considered, StoreError> {
        let ended = Transition::InstanceEnded { reason: Name::fixed("never") };
        Ok(Considered { transitions: vec![ended], ..Considered::default() })
    }
}

/// The log is decided by one release, read whole; then another one, or one that
/// can't read any definition, recovers from nothing.
#[test]
fn recovery_reads_decisions_and_needs_no_definition() {
    for (seed, workflows) in [(7_000, Vec::new()), (8_000, vec![Arc::new(Contrary) as Arc<dyn Workflow>])] {
        let (events, calm) = log(seed, SMALL);
        // The last request moves the last checkpoint: by then all is decided.
        let last = calm.requests.len() - 1;
        let plan = Plan {
            faults: vec![(last, Fault::CrashBefore)],
            fate: StoreFate::Lost,
            successor_rules: Some(Rules { workflows, ..Rules::shipped() }),
            ..Plan::calm(Pace::TIGHT)
        };
        check(&events, &calm, &plan);
    }
}

/// What an operator who turns the brokers' verification off would get: it is why
/// topics are checked at start.
#[test]
fn brokers_that_verify_nothing_lose_commands() {
    let (events, calm) = log(9_000, SMALL);
    let is_wrong = |request: &usize| {
        let faults = vec![(*request, Fault::EarlyCommit)];
        let plan = Plan { faults, verified: false, ..Plan::calm(Pace::TIGHT) };
        fixed_log::run(&events, &plan).map_or(true, |ran| ran.result != calm.result)
    };
    assert!((0..calm.requests.len()).any(|request| is_wrong(&request)));
}
