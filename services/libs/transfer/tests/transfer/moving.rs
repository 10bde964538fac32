//! A log of several tenants is moved from three partitions to five.

use std::collections::BTreeMap;

use tradewind_domain::{
    Body, DecisionRecord, DirectoryEntry, DirectoryValue, Lineage, LineageKind, LineageOpened, Name, OwnerEntry,
    Position, TenantEntry, partition_of,
};
use tradewind_ports::{EventLog, Headers, NewRecord, Topic};
use tradewind_simulation::shop::{self, HOUR, MINUTE};
use tradewind_simulation::{Broker, Fault, Faults, ProcessId, START, lineage};
use tradewind_transfer::moved::{self, Move, MoveError, Moved, Unsettled};
use tradewind_wire::{decision, directory, record};

use crate::installation::{self, Installation};
use crate::merchants::{FROM, UNTIL, Vendor, of_system, source};

const TO: u32 = 5;

fn moving() -> Move {
    Move {
        source_partitions: FROM,
        target_partitions: TO,
        lineage: LineageOpened { lineage: Lineage::from_bytes([9; 16]), kind: LineageKind::Dev },
        opened_at: UNTIL + HOUR,
        installation: "test".into(),
        build: Name::fixed("move"),
        unsettled: Unsettled::Refused,
        keys: Vec::new(),
        batch: 20,
    }
}

fn empty() -> Broker {
    let broker = Broker::new();
    broker.set_now(UNTIL + HOUR);
    broker
}

fn run(source: &Installation, target: &Broker, moving: &Move) -> Result<Moved, MoveError> {
    moved::run(&source.log(), &installation::connect(target), moving, &mut |_| {})
}

/// An owner takes the target over: the state is the source's, and it is at rest.
fn check(source: &Installation, target: Broker) -> Installation {
    assert_eq!(installation::facts(&target, TO), installation::facts(&source.broker, FROM));
    assert_eq!(installation::decisions(&target, TO), installation::decisions(&source.broker, FROM));
    let mut target = Installation::recover(target, TO);
    assert_eq!(target.work(), 0, "nothing is decided again");
    target.stop();
    let ((leaves, due), (expected_leaves, expected_due)) = (target.state(), source.state());
    assert_eq!(leaves.len(), expected_leaves.len());
    for (key, leaf) in &leaves {
        assert_eq!(Some(leaf), expected_leaves.get(key), "{}", key.escape_ascii());
    }
    assert_eq!(due, expected_due);
    assert_eq!(target.commands(), [], "nothing is emitted");
    target
}

#[test]
fn a_moved_log_has_the_same_ids_projections_and_due_times() {
    let source = source(Vendor::Answers);
    let (leaves, due) = source.state();
    assert!(leaves.len() > 300 && due.len() > 10, "{} leaves, {} due times", leaves.len(), due.len());
    let decided = installation::decisions(&source.broker, FROM).len();
    assert!(decided > 50 && source.commands().len() > 10, "{decided} decisions");

    let target = empty();
    let moved = run(&source, &target, &moving()).unwrap();
    assert_eq!(moved.decisions, decided as u64);
    assert_eq!(moved.facts, installation::facts(&source.broker, FROM).len() as u64);
    assert!(moved.dropped > 500 && moved.already == 0 && moved.unsettled == 0, "{moved:?}");

    let mut times = BTreeMap::new();
    for partition in 0..TO {
        let mut watermark = START;
        for (offset, stored) in target.records(&Topic::Events.partition(partition)).into_iter().enumerate() {
            let envelope = record::envelope(&stored).unwrap();
            assert_eq!(stored.offset, offset as u64);
            assert_eq!(matches!(envelope.fact.body, Body::LineageOpened(_)), offset == 0);
            assert!(!matches!(envelope.fact.body, Body::Tick | Body::IngestAlive(_) | Body::ClockAdjusted(_)));
            if offset > 0 {
                assert_eq!(partition_of(envelope.tenant.as_str(), TO), partition);
                // A producer's clock may hold a record's time back by a delivery's delay.
                assert!(envelope.recorded_at > watermark - 90_000, "partitions are merged by time");
                watermark = watermark.max(envelope.recorded_at);
                times.insert((envelope.tenant, envelope.id), envelope.recorded_at);
            }
        }
    }
    let early = source.broker.records(&Topic::Events.partition(1)).into_iter().find(|stored| !stored.key.is_empty());
    let envelope = record::envelope(&early.unwrap()).unwrap();
    assert_eq!(times[&(envelope.tenant, envelope.id)], START + 5_000, "the stretched clock's time");

    let mut target = check(&source, target);
    // What waited goes on to wait, and then fires.
    for minutes in 0..400 {
        target.tick(UNTIL + HOUR + minutes * MINUTE);
        target.work();
    }
    assert!(!target.commands().is_empty());
}

#[test]
fn decisions_follow_each_other_and_turns_cover_them() {
    let source = source(Vendor::Answers);
    let target = empty();
    run(&source, &target, &moving()).unwrap();
    let mut turns = 0;
    for partition in 0..TO {
        let (mut closed, mut last) = (Position::default(), None);
        let end = target.records(&Topic::Events.partition(partition)).len() as u64;
        for (index, stored) in target.records(&Topic::Decisions.partition(partition)).iter().enumerate() {
            match decision::decode(stored).unwrap() {
                (_, DecisionRecord::Lineage(opened)) => {
                    assert_eq!((index, opened), (0, moving().lineage));
                }
                (position, DecisionRecord::Decision(_)) => {
                    assert!(position > last && position >= Some(closed) && position < Some(Position::fold(end)));
                    last = position;
                }
                (_, DecisionRecord::TurnCommitted(turn)) => {
                    assert_eq!((turn.from, turn.lineage, turn.commands), (closed, moving().lineage.lineage, 0));
                    assert!(last < Some(turn.to));
                    closed = turn.to;
                    turns += 1;
                }
            }
        }
        assert_eq!(closed, Position::fold(end));
    }
    assert!(turns > 2 * TO, "{turns} turns");
}

#[test]
fn an_interrupted_move_is_taken_up_again() {
    let source = source(Vendor::Answers);
    let calm = empty();
    let faults = Faults::none();
    moved::run(&source.log(), &calm.connect(ProcessId(1), &faults), &moving(), &mut |_| {}).unwrap();
    let requests = faults.requests().len();
    assert!(requests > 200, "{requests} requests");
    // Headers too: every record lies where it lay in a calm move.
    let contents = |broker: &Broker| {
        let mut contents = Vec::new();
        for partition in 0..TO {
            for stored in broker.records(&Topic::Events.partition(partition)) {
                contents.push((partition, stored.key, stored.headers, stored.value));
            }
            for stored in broker.records(&Topic::Decisions.partition(partition)) {
                if let Ok((Some(_), _)) = decision::decode(&stored) {
                    contents.push((partition, stored.key, stored.headers, stored.value));
                }
            }
        }
        contents
    };
    let expected = contents(&calm);
    let mut interrupted = 0;
    for (number, at) in (0..requests).step_by(requests / 60).enumerate() {
        let fault = [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseResponse, Fault::EarlyCommit, Fault::LateCommit]
            [number % 5];
        let target = empty();
        let log = target.connect(ProcessId(1), &Faults::at([(at, fault)]));
        let first = moved::run(&source.log(), &log, &moving(), &mut |_| {});
        interrupted += usize::from(first.is_err());
        let other_lineage = LineageOpened { lineage: Lineage::from_bytes([1; 16]), ..moving().lineage };
        let again = Move { lineage: if at > 200 { other_lineage } else { moving().lineage }, ..moving() };
        run(&source, &target, &again).unwrap_or_else(|error| panic!("{fault:?} at request {at}: {error}"));
        assert!(contents(&target) == expected, "{fault:?} at request {at}");
        if number % 10 == 0 {
            check(&source, target);
        }
    }
    assert!(interrupted > 20, "{interrupted} moves were interrupted");
}

#[test]
fn a_finished_move_writes_nothing_again_and_a_log_that_lived_on_is_left_alone() {
    let source = source(Vendor::Answers);
    let target = empty();
    let first = run(&source, &target, &moving()).unwrap();
    let written = |target: &Broker| -> usize {
        (0..TO)
            .map(|p| {
                target.records(&Topic::Decisions.partition(p)).len() + target.records(&Topic::Events.partition(p)).len()
            })
            .sum()
    };
    let before = written(&target);
    let second = run(&source, &target, &moving()).unwrap();
    assert_eq!(second, Moved { already: first.facts, ..first });
    assert_eq!(written(&target), before);

    let mut target = Installation::recover(target, TO);
    // Silence counts from when it is first looked for.
    target.tick(UNTIL + 4 * HOUR);
    target.tick(UNTIL + 5 * HOUR);
    target.work();
    let error = run(&source, &target.broker, &moving()).unwrap_err();
    assert!(matches!(error, MoveError::Occupied { .. }), "{error}");
    assert!(error.to_string().ends_with("move into an empty log"), "{error}");

    let other = empty();
    installation::append(&other, 2, UNTIL, &lineage());
    installation::append(&other, 2, UNTIL, &of_system(UNTIL, Body::Tick));
    let error = run(&source, &other, &moving()).unwrap_err();
    assert!(matches!(error, MoveError::Occupied { .. }), "{error}");
}

#[test]
fn what_is_not_decided_is_not_moved() {
    let source = source(Vendor::Answers);
    let tenant = shop::tenant(0);
    let late = shop::cart(&tenant, "late", UNTIL + HOUR, UNTIL + HOUR, 1);
    source.append(source.partition(&tenant), UNTIL + HOUR, &late);
    let target = empty();
    let error = run(&source, &target, &moving()).unwrap_err();
    assert!(matches!(error, MoveError::Undecided { .. }), "{error}");
    assert_eq!(target.records(&Topic::Events.partition(0)), [], "nothing was written");
}

#[test]
fn commands_without_an_outcome_forbid_the_move_unless_they_are_left() {
    let source = source(Vendor::IsSilent);
    let commands = source.commands();
    let target = empty();
    let error = run(&source, &target, &moving()).unwrap_err();
    assert!(matches!(error, MoveError::Unsettled { .. }), "{error}");
    assert!(error.to_string().contains("cart-recovery"), "{error}");
    assert_eq!(target.records(&Topic::Events.partition(0)), [], "nothing was written");

    let moved = run(&source, &target, &Move { unsettled: Unsettled::Left, ..moving() }).unwrap();
    assert!(moved.unsettled > 5 && moved.unsettled <= commands.len() as u64, "{moved:?}");
    let mut target = check(&source, target);
    for hours in 2..1_000 {
        target.tick(UNTIL + hours * HOUR);
        target.work();
    }
    let sent: Vec<_> = target.commands().iter().map(|command| command.id).collect();
    assert!(commands.iter().all(|command| !sent.contains(&command.id)), "the target never sends them");
    target.stop();
    let text = format!("{:?}", target.state().0);
    assert!(!text.contains("state: None, without_effect: false, missing: false"), "each is recorded as missing");
}

#[test]
fn a_stretched_clock_stays_out_of_production() {
    let source = source(Vendor::Answers);
    let lineage = LineageOpened { kind: LineageKind::Production, ..moving().lineage };
    let error = run(&source, &empty(), &Move { lineage, ..moving() }).unwrap_err();
    assert!(matches!(error, MoveError::Stretched { offset: 1, .. }), "{error}");
    // What counts is what the target is opened with.
    let target = empty();
    installation::append(&target, 0, UNTIL, &of_system(UNTIL, Body::LineageOpened(lineage)));
    let error = run(&source, &target, &moving()).unwrap_err();
    assert!(matches!(error, MoveError::Stretched { .. }), "{error}");
}

#[test]
fn the_directory_goes_over_with_new_placements_and_keys_as_they_are() {
    let source = source(Vendor::Answers);
    let log = source.log();
    let entry = |version, value| DirectoryEntry { version, value };
    let tenant_entry = |partition, placement| {
        let (tenant, pepper) = (shop::tenant(0), Name::fixed("pepper-1"));
        DirectoryValue::Tenant(TenantEntry { tenant, partition, placement, pepper })
    };
    let owner = OwnerEntry { partition: 1, address: Name::fixed("127.0.0.1:1"), build: Name::fixed("b") };
    let entries = [
        entry(3, tenant_entry(0, 4)),
        entry(4, tenant_entry(2, 6)),
        entry(1, DirectoryValue::Owner(owner)),
        entry(1, DirectoryValue::Format(1)),
    ];
    log.append(&Topic::Directory.partition(0), entries.iter().map(directory::record).collect()).unwrap();
    let key = |id: u8, value: Option<Vec<u8>>| NewRecord { key: vec![id; 16], headers: Headers::new(), value };
    let keys = vec![key(1, Some(vec![1])), key(2, Some(vec![2])), key(1, None)];
    log.append(&Topic::Keys.partition(0), keys).unwrap();

    // Another comes from a vault that is a file.
    let moving = Move { keys: vec![key(3, Some(vec![3]))], ..moving() };
    let target = empty();
    let moved = run(&source, &target, &moving).unwrap();
    assert_eq!(moved.entries, 4);
    run(&source, &target, &moving).unwrap();
    let partition = partition_of("shop-0", TO);
    let directory: Vec<_> = target.records(&Topic::Directory.partition(0)).iter().map(directory::decode).collect();
    let expected = [entry(1, DirectoryValue::Format(1)), entry(5, tenant_entry(partition, 7))];
    assert_eq!(directory.into_iter().map(|entry| entry.unwrap().unwrap()).collect::<Vec<_>>(), expected);
    let keys: Vec<_> = target.records(&Topic::Keys.partition(0)).into_iter().map(|record| record.value).collect();
    assert_eq!(keys, [Some(vec![2]), Some(vec![3])]);
    let of_tenant = |stored: &tradewind_ports::Record| stored.key == b"shop-0";
    let events = target.records(&Topic::Events.partition(partition));
    let placements: Vec<u32> = events
        .iter()
        .filter(|stored| of_tenant(stored))
        .map(|stored| record::envelope(stored).unwrap().placement)
        .collect();
    assert!(placements.len() > 10 && placements.iter().all(|epoch| *epoch == 7));
}
