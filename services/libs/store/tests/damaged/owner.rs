//! A log is decided once. Then the store is damaged in each way, and the owner
//! that recovers has the same leaves, byte for byte, and decides nothing again.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use tradewind_domain::Name;
use tradewind_engine::{Budget, Rules};
use tradewind_orchestrator::{Follower, Owner, OwnerError, Settings, TurnLimits};
use tradewind_ports::{EventLog, NewRecord, ReadLimit, Record, StateStore, StoreError, Topic};
use tradewind_simulation::shop::{self, HOUR, Shape};
use tradewind_simulation::{
    Broker, Fault, Faults, MemoryStore, Pace, ProcessId, Reading, START, StoreFate, Trouble, World,
};
use tradewind_store::{Opening, Rebuilt};

use crate::common;

const SHAPE: Shape = Shape { customers: 40, tenants: 2, hours: 3, quiet_minutes: 10, holdout_percent: 0 };

/// A made-up day, ticks and outcomes included.
fn events() -> Vec<Record> {
    let mut rng = Rng::with_seed(77);
    let trouble = Trouble {
        faults: Faults::none(),
        fate: StoreFate::Kept,
        pace: Pace {
            read_records: 100,
            turn_commands: 10,
            drain_leaves: 1_000,
            slice_leaves: 100,
            cache_leaves: 1_000,
        },
        outage: None,
        duplicated_percent: 10,
        late_percent: 10,
    };
    let mut world = World::new(rng.fork(), &trouble, SHAPE, Broker::new());
    for number in 0..SHAPE.tenants {
        let day = shop::day(&mut rng, &shop::tenant(number), SHAPE, START);
        world.plan(day, &trouble);
    }
    world.plan_beats(START + SHAPE.hours * HOUR + HOUR, &trouble);
    world.run().expect("a calm run");
    world.settle(SHAPE).expect("a calm end");
    world.deployment.broker.records(&Topic::Events.partition(0))
}

fn broker(events: &[Record]) -> Broker {
    let broker = Broker::new();
    append(&broker, events);
    broker
}

fn append(broker: &Broker, events: &[Record]) {
    let connector = broker.connect(ProcessId(1), &Faults::none());
    for event in events {
        broker.set_now(event.appended_at);
        let record = NewRecord { key: event.key.clone(), headers: event.headers.clone(), value: event.value.clone() };
        connector.append(&Topic::Events.partition(0), vec![record]).expect("a log without faults");
    }
}

fn settings(fold_version: u32) -> Settings {
    Settings {
        installation: "test".into(),
        partition: 0,
        build: Name::fixed("test"),
        rules: Arc::new(Rules { fold_version, ..Rules::shipped() }),
        limits: TurnLimits { read: ReadLimit { records: 50, bytes: 1 << 20 }, commands: 10, bytes: 64 << 10 },
        budget: Budget { cache_leaves: 50, slice_leaves: 20 },
        drain_leaves: 60,
    }
}

/// Recovers, takes turns until the log has no more, and drains.
fn run(broker: &Broker, fold_version: u32, store: Box<dyn StateStore>) -> Result<(), OwnerError> {
    run_with(broker, fold_version, store, &Faults::none())
}

fn run_with(broker: &Broker, fold_version: u32, store: Box<dyn StateStore>, faults: &Faults) -> Result<(), OwnerError> {
    let log = Arc::new(broker.connect(ProcessId(2), faults));
    let mut owner = Owner::recover(settings(fold_version), log, store)?;
    loop {
        let turned = owner.turn()?;
        owner.drain_slice()?;
        if turned.facts + turned.wakeups == 0 {
            return owner.checkpoint();
        }
    }
}

/// Takes turns until the log has no more.
fn work(owner: &mut Owner) {
    loop {
        let turned = owner.turn().expect("a turn");
        owner.drain_slice().expect("a slice");
        if turned.facts + turned.wakeups == 0 {
            return;
        }
    }
}

/// What whoever runs an owner does about its store. Returns what it announces.
fn run_on(broker: &Broker, opening: &Opening) -> Vec<Rebuilt> {
    let mut announced = Vec::new();
    loop {
        let opened = opening.open().expect("a store that opens");
        announced.extend(opened.rebuilt);
        match run(broker, opening.settings.fold_version, Box::new(opened.store)) {
            Ok(()) => return announced,
            Err(OwnerError::Store(StoreError::Damaged { reason })) => {
                announced.push(opening.move_aside(&reason).expect("moved aside"));
            }
            Err(error) => panic!("{error}"),
        }
        assert!(announced.len() < 3, "a rebuilt store is whole: {announced:?}");
    }
}

fn reading(broker: &Broker) -> Reading {
    tradewind_simulation::read(broker, &[shop::vendor("klaviyo")]).expect("a log that keeps the rules")
}

fn check_same(opening: &Opening, calm: &MemoryStore) {
    let store = common::open(opening);
    let leaves = calm.leaves();
    for (key, stored) in &leaves {
        assert_eq!(store.get(key).expect("a readable leaf").as_ref(), Some(stored));
    }
    assert_eq!(store.sizes().expect("readable").leaves, leaves.len() as u64);
    assert_eq!(common::all_due(&store), calm.due());
}

type Damage = fn(&Path);

fn overwrite(db: &Path, from: u64, to: u64, byte: impl Fn(u8) -> u8) {
    let mut bytes = fs::read(db).expect("a file to damage");
    let at = |part: u64| bytes.len() * usize::try_from(part).expect("small") / 100;
    let range = at(from)..at(to);
    bytes[range].iter_mut().for_each(|place| *place = byte(*place));
    fs::write(db, bytes).expect("a damaged file");
}

/// Each with what shall be announced of it, if it must be.
const DAMAGES: &[(&str, Damage)] = &[
    ("cut in half", |folder| {
        let db = OpenOptions::new().write(true).open(folder.join("db")).expect("a file to damage");
        let length = db.metadata().expect("a length").len();
        db.set_len(length / 2).expect("a file cut short");
    }),
    ("bits flipped", |folder| overwrite(&folder.join("db"), 5, 95, |byte| byte ^ 4)),
    ("zeroed", |folder| overwrite(&folder.join("db"), 0, 100, |_| 0)),
    ("file deleted", |folder| fs::remove_file(folder.join("db")).expect("a file to delete")),
    ("directory deleted", |folder| fs::remove_dir_all(folder).expect("a folder to delete")),
];

#[test]
fn a_damaged_store_is_rebuilt_from_the_log_byte_for_byte() {
    let _alone = crate::alone();
    let events = events();
    let calm = MemoryStore::new();
    let calm_broker = broker(&events);
    run(&calm_broker, 1, calm.open(ProcessId(1), &Faults::none())).expect("a calm run");
    assert!(calm.leaves().len() > 200, "{} leaves", calm.leaves().len());

    let dir = tempfile::tempdir().expect("a directory");
    let broker = broker(&events);
    let opening = common::opening(dir.path());
    assert_eq!(run_on(&broker, &opening), []);
    check_same(&opening, &calm);
    let decided = reading(&broker);
    assert!(decided == reading(&calm_broker), "the store shows in no decision");
    assert!(!decided.commands.is_empty());

    for scan_at_open_leaves in [u64::MAX, 0] {
        for (what, damage) in DAMAGES {
            let copied = tempfile::tempdir().expect("a directory");
            crate::copy(dir.path(), copied.path());
            damage(&copied.path().join("fold-1"));
            let mut opening = common::opening(copied.path());
            opening.settings.scan_at_open_leaves = scan_at_open_leaves;
            let announced = run_on(&broker, &opening);
            assert_eq!(announced.len(), 1, "{what}: {announced:?}");
            assert_eq!(announced[0].moved_to.is_some(), *what != "directory deleted", "{what}");
            check_same(&opening, &calm);
            assert!(reading(&broker) == decided, "{what}: decided again");
        }
    }
}

#[test]
fn another_fold_version_is_built_beside_while_the_first_owns_and_then_handed_over_to() {
    let _alone = crate::alone();
    let events = events();
    let calm = MemoryStore::new();
    let calm_broker = broker(&events);
    run(&calm_broker, 1, calm.open(ProcessId(1), &Faults::none())).expect("a calm run");

    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::new();
    let old = common::opening(dir.path());
    let mut new = old.clone();
    new.settings.fold_version = 2;
    let parts: Vec<&[Record]> = events.chunks(events.len().div_ceil(4)).collect();

    let log = |process| Arc::new(broker.connect(ProcessId(process), &Faults::none()));
    append(&broker, parts[0]);
    let mut owner = Owner::recover(settings(1), log(2), Box::new(common::open(&old))).expect("the old release owns");
    work(&mut owner);
    let mut follower =
        Follower::open(settings(2), log(3), Box::new(common::open(&new))).expect("the new release reads");
    let mut behind = 0;
    for part in &parts[1..3] {
        append(&broker, part);
        // The owner is in the middle of things whenever the follower looks.
        loop {
            let turned = owner.turn().expect("the old release still owns");
            if turned.facts + turned.wakeups == 0 {
                break;
            }
            owner.drain_slice().expect("a slice");
            let decided = broker.records(&Topic::Decisions.partition(0)).len();
            follower = follower.follow().expect("followed");
            let followed = follower.followed().expect("a log that answers");
            assert_eq!(followed.committed, owner.committed());
            behind += usize::from(followed.committed.offset < followed.events_end);
            assert_eq!(broker.records(&Topic::Decisions.partition(0)).len(), decided, "a follower writes nothing");
        }
    }
    assert!(behind > 5, "the follower saw the owner at work {behind} times");

    owner.checkpoint().expect("a stop in good order");
    let handed_over = owner.committed();
    drop(owner);
    follower.follow().expect("followed to the end").finish().expect("a store that is written");
    let built = common::open(&new).checkpoint().expect("readable").expect("a checkpoint");
    assert_eq!((built.fold_version, built.position), (2, handed_over));
    let decided = broker.records(&Topic::Decisions.partition(0)).len();

    append(&broker, parts[3]);
    assert_eq!(run_on(&broker, &new), []);
    check_same(&new, &calm);
    assert!(broker.records(&Topic::Decisions.partition(0)).len() > decided);
    assert!(reading(&broker) == reading(&calm_broker), "the new release decides as one owner throughout");
    // The old release can come back: its store is as it left it.
    assert_eq!(run_on(&broker, &old), []);
    check_same(&old, &calm);
}

#[test]
fn a_follower_waits_for_the_turn_that_covers_what_it_read() {
    let _alone = crate::alone();
    let events = events();
    let calm = MemoryStore::new();
    run(&broker(&events), 1, calm.open(ProcessId(1), &Faults::none())).expect("a calm run");

    let mut lost = 0;
    for at in 300..340 {
        let broker = broker(&events);
        // It leaves decisions without their turn.
        let faults = Faults::at([(at, Fault::EarlyCommit)]);
        let store = MemoryStore::new();
        let crashed = run_with(&broker, 1, store.open(ProcessId(2), &Faults::none()), &faults);
        let built = MemoryStore::new();
        let log = Arc::new(broker.connect(ProcessId(9), &Faults::none()));
        let follower = Follower::open(settings(1), log, built.open(ProcessId(9), &Faults::none())).expect("opened");
        let follower = follower.follow().expect("followed");
        if crashed.is_err() {
            lost += 1;
            run(&broker, 1, MemoryStore::new().open(ProcessId(3), &Faults::none())).expect("a successor");
        }
        follower.follow().expect("followed again").finish().expect("written");
        assert!(built.leaves() == calm.leaves(), "crashed at request {at}");
        assert_eq!(built.due(), calm.due());
    }
    assert!(lost > 5, "an owner was lost {lost} times");
}
