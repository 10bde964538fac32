//! The store does what the store in memory does, whatever is written.

use proptest::prelude::*;
use tradewind_domain::{Position, Timestamp};
use tradewind_ports::{DueKey, StateStore, Stored, Write};
use tradewind_simulation::{Faults, MemoryStore, ProcessId};

use crate::common;

#[derive(Clone, Debug)]
enum Act {
    Write(Vec<Write>),
    Checkpoint(u64),
    Reopen,
    /// Up to this time, after this entry, so many.
    Due(i64, Option<DueKey>, usize),
}

/// Few, so that they meet; some are the beginning of others.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(prop_oneof![Just(b'a'), Just(0), Just(0xff)], 1..4),
        (0..40_u8).prop_map(|number| format!("shop/cart/{number}").into_bytes()),
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![-3..4_i64, Just(i64::MIN), Just(i64::MAX), Just(1_780_000_000_000)]
}

fn due_key() -> impl Strategy<Value = DueKey> {
    (time(), 0..2_u32, 0..3_u8, key()).prop_map(|(fires_at, round, wakeup, leaf)| DueKey {
        fires_at: Timestamp::from_millis(fires_at),
        round,
        wakeup: [wakeup; 16],
        leaf,
    })
}

fn stored() -> impl Strategy<Value = Stored> {
    let bytes =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..20), (1_000..9_000_usize).prop_map(|len| vec![6; len])];
    (any::<u64>(), any::<u32>(), bytes)
        .prop_map(|(offset, step, bytes)| Stored { position: Position { offset, step }, bytes })
}

fn a_write() -> impl Strategy<Value = Write> {
    let due = || prop::collection::vec(due_key(), 0..3);
    (key(), prop::option::weighted(0.8, stored()), due(), due())
        .prop_map(|(key, value, due_removed, due_added)| Write { key, value, due_removed, due_added })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::collection::vec(a_write(), 0..12).prop_map(Act::Write),
        2 => (0..1_000_u64).prop_map(Act::Checkpoint),
        1 => Just(Act::Reopen),
        3 => (time(), prop::option::of(due_key()), 0..9_usize)
            .prop_map(|(until, after, limit)| Act::Due(until, after, limit)),
    ]
}

fn check(acts: Vec<Act>) {
    let dir = tempfile::tempdir().expect("a directory");
    let opening = common::opening(dir.path());
    let mut store = Some(common::open(&opening));
    let memory = MemoryStore::new();
    let mut model = memory.open(ProcessId(1), &Faults::none());
    for act in acts.into_iter().chain([Act::Reopen]) {
        let opened = store.as_mut().expect("an open store");
        match act {
            Act::Write(slice) => {
                opened.write(&slice).expect("a written slice");
                model.write(&slice).expect("a written slice");
            }
            Act::Checkpoint(offset) => {
                let checkpoint = common::checkpoint(offset);
                opened.set_checkpoint(&checkpoint).expect("a checkpoint");
                model.set_checkpoint(&checkpoint).expect("a checkpoint");
            }
            Act::Due(until, after, limit) => {
                let until = Timestamp::from_millis(until);
                let found = opened.due(until, after.as_ref(), limit).expect("a readable index");
                assert_eq!(found, model.due(until, after.as_ref(), limit).expect("a readable index"));
            }
            Act::Reopen => {
                drop(store.take());
                let opened = common::open(&opening);
                compare(&opened, &memory, model.as_ref());
                store = Some(opened);
            }
        }
    }
}

fn compare(store: &tradewind_store::Store, memory: &MemoryStore, model: &dyn StateStore) {
    let leaves = memory.leaves();
    for (key, stored) in &leaves {
        assert_eq!(store.get(key).expect("a readable leaf").as_ref(), Some(stored));
    }
    assert_eq!(store.get(b"nobody wrote it").expect("a readable store"), None);
    assert_eq!(common::all_due(store), common::all_due(model));
    assert_eq!(store.checkpoint().expect("readable"), model.checkpoint().expect("readable"));
    let sizes = store.sizes().expect("readable");
    let at_the_end_of_time = memory.due().iter().filter(|due| due.fires_at == Timestamp::MAX).count();
    assert_eq!(sizes.leaves, leaves.len() as u64);
    assert_eq!(sizes.due, (common::all_due(store).len() + at_the_end_of_time) as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_store_in_memory_does(acts in prop::collection::vec(act(), 1..25)) {
        check(acts);
    }
}

#[test]
#[should_panic(expected = "expected a slice of at most 1000 leaves, got 1001")]
fn a_slice_too_large_is_a_fault_of_the_caller() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = Write { key: b"a".to_vec(), value: None, due_removed: Vec::new(), due_added: Vec::new() };
    let _ = common::open(&common::opening(dir.path())).write(&vec![write; 1_001]);
}

#[test]
fn a_full_slice_of_large_leaves_is_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let opening = common::opening(dir.path());
    let mut rng = fastrand::Rng::with_seed(1);
    let bytes: Vec<u8> = (0..20_000).map(|_| rng.u8(..)).collect();
    let slice: Vec<Write> = (0..1_000_u64)
        .map(|number| {
            let stored = Stored { position: Position::fold(number), bytes: bytes.clone() };
            common::write(&number.to_be_bytes(), stored)
        })
        .collect();
    let mut store = common::open(&opening);
    store.write(&slice).expect("a written slice");
    store.set_checkpoint(&common::checkpoint(1)).expect("a checkpoint");
    drop(store);
    let store = common::open(&opening);
    for Write { key, value, .. } in &slice {
        assert_eq!(&store.get(key).expect("a readable leaf"), value);
    }
}
