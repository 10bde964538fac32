//! Catching up before owning: whoever does it disturbs nobody, and leaves a store
//! that an owner goes on from.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tradewind_domain::{Lifecycle, Name};
use tradewind_engine::{Budget, Rules};
use tradewind_orchestrator::{Candidate, Follower, Owner, OwnerError, Settings, Stores, TurnLimits, catch_up};
use tradewind_ports::{
    Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, StateStore, StoreError, Topic, TopicPartition, Writer,
};
use tradewind_simulation::{Broker, Faults, MemoryLog, MemoryStore, ProcessId, START, lineage, shop};
use tradewind_telemetry::Health;
use tradewind_wire::record;

/// Another release's fold.
const NEXT: u32 = 2;

#[derive(Clone, Default)]
struct Shelf {
    store: MemoryStore,
    is_damaged: bool,
    moved_aside: Arc<Mutex<Vec<String>>>,
}

impl Stores for Shelf {
    fn open(&mut self, _: &dyn Fn()) -> Result<(Box<dyn StateStore>, Option<String>), StoreError> {
        if self.is_damaged {
            return Err(StoreError::Damaged { reason: "a flipped bit".into() });
        }
        Ok((self.store.open(ProcessId(1), &Faults::none()), None))
    }

    fn move_aside(&mut self, reason: &str) -> Result<(), StoreError> {
        self.is_damaged = false;
        self.moved_aside.lock().unwrap().push(reason.into());
        Ok(())
    }

    fn remove_older(&mut self) -> Result<Vec<String>, StoreError> {
        panic!("it owns nothing, so it has no checkpoint of its own")
    }
}

/// Its reads get as far as the port promises and no further: to the end that was
/// asked for last.
struct Reluctant {
    log: MemoryLog,
    ends: Mutex<BTreeMap<TopicPartition, u64>>,
}

impl EventLog for Reluctant {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        let end = self.ends.lock().unwrap().get(at).copied().unwrap_or_default();
        let mut batch = self.log.read(at, from, limit)?;
        batch.records.retain(|record| record.offset < end);
        batch.next = batch.next.min(end).max(from);
        Ok(batch)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let bounds = self.log.bounds(at)?;
        self.ends.lock().unwrap().insert(at.clone(), bounds.end);
        Ok(bounds)
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        self.log.wait(at, from, timeout)
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        self.log.append(at, records)
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        self.log.writer(id)
    }
}

fn settings(partition: u32, fold_version: u32) -> Settings {
    Settings {
        installation: "candidates".into(),
        partition,
        build: Name::fixed("candidate"),
        rules: Arc::new(Rules { fold_version, ..Rules::shipped() }),
        limits: TurnLimits::default(),
        budget: Budget { cache_leaves: 100, slice_leaves: 10 },
        drain_leaves: 200,
    }
}

fn log(broker: &Broker, process: u32) -> Arc<dyn EventLog> {
    Arc::new(broker.connect(ProcessId(process), &Faults::none()))
}

/// A partition with one merchant and this many carts.
fn open(broker: &Broker, partition: u32, carts: u32) {
    broker.set_now(START);
    let tenant = shop::tenant(1);
    let mut facts = vec![lineage(), shop::activation(&tenant, Lifecycle::On, 1, START)];
    facts.extend((0..carts).map(|number| shop::cart(&tenant, &format!("cart-{number}"), START, START, 1)));
    let facts = facts.iter().map(record::event).collect();
    log(broker, 9).append(&Topic::Events.partition(partition), facts).unwrap();
}

fn owner(broker: &Broker, partition: u32, fold_version: u32, store: &MemoryStore) -> Owner {
    let store = store.open(ProcessId(2), &Faults::none());
    Owner::recover(settings(partition, fold_version), log(broker, 2), store).unwrap()
}

fn work(owner: &mut Owner) {
    loop {
        let turned = owner.turn().unwrap();
        while owner.drain_slice().unwrap() {}
        if turned.facts + turned.wakeups == 0 {
            return;
        }
    }
}

fn candidate(broker: &Broker, partition: u32, shelf: &Shelf) -> Candidate {
    let part = Health::new().part("a partition");
    let (settings, log) = (settings(partition, NEXT), log(broker, 3));
    Candidate { settings, log, stores: Box::new(shelf.clone()), part }
}

#[test]
fn a_release_with_another_fold_builds_its_state_while_the_older_one_owns() {
    let broker = Broker::new();
    let stores = [MemoryStore::new(), MemoryStore::new(), MemoryStore::new()];
    let mut owners: Vec<Owner> = (0..3)
        .zip(&stores)
        .map(|(partition, store)| {
            open(&broker, partition, 500);
            owner(&broker, partition, 1, store)
        })
        .collect();
    owners.iter_mut().for_each(work);
    let decided = || (0..3).map(|partition| broker.records(&Topic::Decisions.partition(partition)).len()).sum();
    let before: usize = decided();

    let shelves: Vec<Shelf> = (0..3).map(|_| Shelf::default()).collect();
    let candidates = (0..3).zip(&shelves).map(|(partition, shelf)| candidate(&broker, partition, shelf)).collect();
    catch_up(candidates, 2, &|| true).unwrap();
    assert_eq!(decided(), before, "it writes nothing");
    for (owner, shelf) in owners.iter().zip(&shelves) {
        let built = shelf.store.open(ProcessId(3), &Faults::none()).checkpoint().unwrap().expect("a checkpoint");
        assert_eq!((built.fold_version, built.position), (NEXT, owner.committed()));
    }

    // Nobody was fenced; then the older release stops and the next one goes on.
    for (mut older, (partition, (store, shelf))) in owners.into_iter().zip((0..).zip(stores.iter().zip(&shelves))) {
        let cart = shop::cart(&shop::tenant(1), "cart-late", START, START, 1);
        log(&broker, 9).append(&Topic::Events.partition(partition), vec![record::event(&cart)]).unwrap();
        work(&mut older);
        older.checkpoint().unwrap();
        drop(older);
        let mut next = owner(&broker, partition, NEXT, &shelf.store);
        work(&mut next);
        next.checkpoint().unwrap();
        assert!(shelf.store.leaves() == store.leaves(), "the fold of both is the same here");
    }
}

/// What is decided meanwhile was decided on events that the reader has not heard of.
#[test]
fn a_follower_reads_on_as_far_as_was_decided() {
    let broker = Broker::new();
    open(&broker, 0, 3);
    let mut owner = owner(&broker, 0, 1, &MemoryStore::new());
    work(&mut owner);
    let reluctant = Reluctant { log: broker.connect(ProcessId(3), &Faults::none()), ends: Mutex::default() };
    let store = MemoryStore::new().open(ProcessId(3), &Faults::none());
    let mut follower = Follower::open(settings(0, NEXT), Arc::new(reluctant), store).unwrap();
    for number in 0..3 {
        let cart = shop::cart(&shop::tenant(1), &format!("cart-late-{number}"), START, START, 1);
        log(&broker, 9).append(&Topic::Events.partition(0), vec![record::event(&cart)]).unwrap();
        work(&mut owner);
        follower = follower.follow().unwrap();
        assert_eq!(follower.followed().unwrap().committed, owner.committed());
    }
}

#[test]
fn where_nothing_was_committed_there_is_nothing_to_do() {
    let broker = Broker::new();
    open(&broker, 0, 3);
    let (shelf, asked) = (Shelf::default(), AtomicU32::new(0));
    let go_on = || asked.fetch_add(1, Ordering::Relaxed) < 20;
    catch_up(vec![candidate(&broker, 0, &shelf)], 4, &go_on).unwrap();
    assert_eq!(shelf.store.open(ProcessId(3), &Faults::none()).checkpoint().unwrap(), None);
    assert!(shelf.store.leaves().is_empty());
}

#[test]
fn a_store_that_is_damaged_is_moved_aside_and_the_rest_is_read() {
    let broker = Broker::new();
    open(&broker, 0, 3);
    work(&mut owner(&broker, 0, 1, &MemoryStore::new()));
    let shelf = Shelf { is_damaged: true, ..Shelf::default() };
    catch_up(vec![candidate(&broker, 0, &shelf)], 1, &|| true).unwrap();
    assert_eq!(shelf.moved_aside.lock().unwrap().len(), 1);
    assert!(!shelf.store.leaves().is_empty());
}

#[test]
fn it_can_be_told_to_stop_on_the_way() {
    let broker = Broker::new();
    open(&broker, 0, 3);
    work(&mut owner(&broker, 0, 1, &MemoryStore::new()));
    for asked_max in 0..4 {
        let (shelf, asked) = (Shelf::default(), AtomicU32::new(0));
        let go_on = || asked.fetch_add(1, Ordering::Relaxed) < asked_max;
        let stopped = catch_up(vec![candidate(&broker, 0, &shelf)], 1, &go_on);
        assert!(matches!(stopped, Err(OwnerError::Stopped)), "{stopped:?}");
    }
}

#[test]
fn what_one_partition_fails_with_ends_it_for_all() {
    let broker = Broker::new();
    for partition in 0..2 {
        open(&broker, partition, 3);
    }
    log(&broker, 9).append(&Topic::Decisions.partition(1), vec![NewRecord::default()]).unwrap();
    let candidates = (0..2).map(|partition| candidate(&broker, partition, &Shelf::default())).collect();
    let failed = catch_up(candidates, 2, &|| true);
    assert!(matches!(failed, Err(OwnerError::Unreadable { .. })), "{failed:?}");
}
