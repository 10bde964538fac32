//! The thread that keeps a partition owned: it heals what can be healed, gives up
//! what is another's, and leaves everything in the store.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tradewind_domain::{
    Account, Body, ConnectionEntry, ConnectionName, DirectoryEntry, DirectoryValue, FactId, Intake, Name, Position,
    Scope, SwitchSet, TenantEntry, Timestamp,
};
use tradewind_engine::{Budget, Rules};
use tradewind_orchestrator::{
    Counted, Desk, Host, HostError, Owner, Pulse, Settings, Standing, Stores, TurnLimits, desk,
};
use tradewind_ports::{
    Batch, Bounds, Clock, EventLog, LogError, NewRecord, ReadLimit, StateStore, StoreError, Topic, TopicPartition,
    Writer,
};
use tradewind_simulation::{Broker, Faults, MemoryLog, MemoryStore, ProcessId, START, lineage, shop};
use tradewind_telemetry::{Health, Metrics};
use tradewind_wire::{directory, record};

/// Nothing that is waited for takes longer, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct StartClock;

impl Clock for StartClock {
    fn now(&self) -> Timestamp {
        START
    }
}

/// Stores in memory, the first of them damaged if so asked.
struct Shelf {
    store: MemoryStore,
    is_damaged: bool,
    moved_aside: Arc<Mutex<Vec<String>>>,
    opened: Arc<AtomicU32>,
    /// The checkpoint each time what is older was to be removed.
    older: Arc<Mutex<Vec<Option<Position>>>>,
}

impl Stores for Shelf {
    fn open(&mut self, _: &dyn Fn()) -> Result<(Box<dyn StateStore>, Option<String>), StoreError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
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
        let checkpoint = self.store.open(ProcessId(1), &Faults::none()).checkpoint()?;
        self.older.lock().unwrap().push(checkpoint.map(|checkpoint| checkpoint.position));
        Ok(Vec::new())
    }
}

/// A log that does not answer while it is shut.
struct Shuttered {
    log: MemoryLog,
    is_shut: Arc<AtomicBool>,
    /// Whoever reads is told to stop by it.
    stops: Option<Arc<AtomicBool>>,
}

impl Shuttered {
    fn answer(&self) -> Result<(), LogError> {
        if self.is_shut.load(Ordering::Relaxed) {
            return Err(LogError::Unavailable { reason: "the cluster is away".into() });
        }
        Ok(())
    }
}

impl EventLog for Shuttered {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        self.answer()?;
        self.stops.iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
        self.log.read(at, from, limit)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.answer()?;
        self.log.bounds(at)
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        self.answer()?;
        self.log.wait(at, from, timeout)
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        self.answer()?;
        self.log.append(at, records)
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        self.answer()?;
        self.log.writer(id)
    }
}

/// A host at work on a log with one merchant.
struct Hosted {
    broker: Arc<Broker>,
    store: MemoryStore,
    is_shut: Arc<AtomicBool>,
    moved_aside: Arc<Mutex<Vec<String>>>,
    opened: Arc<AtomicU32>,
    older: Arc<Mutex<Vec<Option<Position>>>>,
    desk: Desk,
    pulse: Pulse,
    health: Health,
    metrics: Metrics,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), HostError>>,
}

fn merchants_log() -> Arc<Broker> {
    let broker = Arc::new(Broker::new());
    broker.set_now(START);
    let log = broker.connect(ProcessId(9), &Faults::none());
    let tenant = shop::tenant(1);
    let mut facts = vec![lineage()];
    facts.push(shop::activation(&tenant, tradewind_domain::Lifecycle::On, 1, START));
    facts.push(shop::cart(&tenant, "cart-1", START, START, 2));
    log.append(&Topic::Events.partition(0), facts.iter().map(record::event).collect()).unwrap();
    broker
}

/// What is not the same for all hosts.
#[derive(Clone, Copy)]
struct Differs {
    is_damaged: bool,
    /// It is told to stop when it first reads.
    stops: bool,
    drain_leaves: usize,
    limits: TurnLimits,
}

impl Differs {
    fn usual() -> Differs {
        Differs { is_damaged: false, stops: false, drain_leaves: 1_000, limits: TurnLimits::default() }
    }
}

fn host(broker: &Arc<Broker>, process: u32, differs: Differs) -> Hosted {
    let stop = Arc::new(AtomicBool::new(false));
    let (store, is_shut) = (MemoryStore::new(), Arc::new(AtomicBool::new(false)));
    let (moved_aside, opened, older) = (Arc::default(), Arc::default(), Arc::default());
    let shelf = Shelf {
        store: store.clone(),
        is_damaged: differs.is_damaged,
        moved_aside: Arc::clone(&moved_aside),
        opened: Arc::clone(&opened),
        older: Arc::clone(&older),
    };
    let (desk, questions) = desk();
    let (pulse, health, metrics) = (Pulse::new(), Health::new(), Metrics::new());
    let host = Host {
        settings: Settings {
            installation: "hosting".into(),
            partition: 0,
            build: Name::fixed("hosted"),
            rules: Arc::new(Rules::shipped()),
            limits: differs.limits,
            budget: Budget { cache_leaves: 100, slice_leaves: 10 },
            drain_leaves: differs.drain_leaves,
        },
        log: Arc::new(Shuttered {
            log: broker.connect(ProcessId(process), &Faults::none()),
            is_shut: is_shut.clone(),
            stops: differs.stops.then(|| stop.clone()),
        }),
        stores: Box::new(shelf),
        clock: Arc::new(StartClock),
        questions,
        pulse: pulse.clone(),
        part: health.part("partition 0"),
        counted: Counted::new(&metrics),
    };
    let thread = thread::spawn({
        let stop = stop.clone();
        move || host.run(&stop)
    });
    Hosted {
        broker: broker.clone(),
        store,
        is_shut,
        moved_aside,
        opened,
        older,
        desk,
        pulse,
        health,
        metrics,
        stop,
        thread,
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Hosted {
    fn wait_until_caught_up(&self) -> Standing {
        let end = self.broker.records(&Topic::Events.partition(0)).len() as u64;
        let mut standing = None;
        wait_until("the owner has caught up", || {
            standing = self.desk.standing().ok().filter(|standing| standing.as_of.offset >= end);
            standing.is_some()
        });
        standing.unwrap()
    }

    fn stop(self) -> Result<(), HostError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// The value of a metric without labels.
    fn metric(&self, name: &str) -> Option<i64> {
        let text = self.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{} "))?;
        Some(value.parse().expect("a number"))
    }

    fn events_of_kind(&self, kind: &str) -> Vec<FactId> {
        let records = self.broker.records(&Topic::Events.partition(0));
        let envelopes = records.iter().map(|stored| record::envelope(stored).unwrap());
        envelopes.filter(|envelope| envelope.fact.body.kind() == kind).map(|envelope| envelope.id).collect()
    }
}

#[test]
fn what_was_folded_is_in_the_store_when_it_has_stopped() {
    let hosted = host(&merchants_log(), 1, Differs::usual());
    let standing = hosted.wait_until_caught_up();
    assert!(hosted.health.is_ready());
    let (store, older) = (hosted.store.clone(), hosted.older.clone());
    hosted.stop().unwrap();
    let checkpoint = store.open(ProcessId(2), &Faults::none()).checkpoint().unwrap().expect("a checkpoint");
    assert!(checkpoint.position >= standing.as_of);
    // Only then is what older releases left of no more use.
    assert_eq!(*older.lock().unwrap(), [Some(checkpoint.position)]);
    assert!(!store.leaves().is_empty());
}

#[test]
fn a_damaged_store_is_moved_aside_and_folded_again() {
    let hosted = host(&merchants_log(), 1, Differs { is_damaged: true, ..Differs::usual() });
    hosted.wait_until_caught_up();
    assert_eq!(hosted.moved_aside.lock().unwrap().len(), 1);
    assert!(hosted.moved_aside.lock().unwrap()[0].contains("a flipped bit"));
    hosted.stop().unwrap();
}

#[test]
fn a_partition_that_another_took_is_given_up() {
    let broker = merchants_log();
    let first = host(&broker, 1, Differs::usual());
    first.wait_until_caught_up();
    let second = host(&broker, 2, Differs::usual());
    second.wait_until_caught_up();
    // Something to say, so that the first one notices.
    let cart = shop::cart(&shop::tenant(1), "cart-2", START, START, 1);
    let log = broker.connect(ProcessId(9), &Faults::none());
    log.append(&Topic::Events.partition(0), vec![record::event(&cart)]).unwrap();
    wait_until("the first one has given up", || first.thread.is_finished());
    assert!(matches!(first.thread.join().unwrap(), Err(HostError::Fenced)));
    second.wait_until_caught_up();
    second.stop().unwrap();
}

#[test]
fn a_log_that_is_away_is_waited_for_and_the_thread_stays_alive() {
    let hosted = host(&merchants_log(), 1, Differs::usual());
    hosted.wait_until_caught_up();
    hosted.is_shut.store(true, Ordering::Relaxed);
    wait_until("it says that it waits", || !hosted.health.is_ready());
    let before = hosted.opened.load(Ordering::Relaxed);
    wait_until("it tries again and again", || hosted.opened.load(Ordering::Relaxed) >= before + 2);
    assert!(hosted.pulse.silent_for() < PATIENCE);
    hosted.is_shut.store(false, Ordering::Relaxed);
    hosted.wait_until_caught_up();
    wait_until("it is ready again", || hosted.health.is_ready());
    hosted.stop().unwrap();
}

#[test]
fn an_event_it_cannot_read_stops_it_with_the_place() {
    let broker = merchants_log();
    let log = broker.connect(ProcessId(9), &Faults::none());
    log.append(&Topic::Events.partition(0), vec![NewRecord::default()]).unwrap();
    let hosted = host(&broker, 1, Differs::usual());
    wait_until("it has stopped", || hosted.thread.is_finished());
    let Err(HostError::Stopped(error)) = hosted.thread.join().unwrap() else { panic!("expected it to stop") };
    assert!(error.to_string().contains("offset 3"), "{error}");
}

#[test]
fn entries_of_the_directory_become_facts_of_their_tenant_once() {
    let broker = merchants_log();
    let tenant = shop::tenant(1);
    let connection = ConnectionEntry {
        tenant: tenant.clone(),
        connection: ConnectionName::new("mail").unwrap(),
        vendor: shop::vendor("klaviyo"),
        account: Account::new("demo").unwrap(),
        intake: Intake::None,
        active: true,
        token_hash: [0; 32],
        secrets: Vec::new(),
        retry_horizon_ms: 0,
        requests_per_second: 0,
        max_body_bytes: 0,
    };
    let elsewhere = ConnectionEntry { tenant: shop::tenant(2), ..connection.clone() };
    let switch = SwitchSet { scope: Scope::All, stopped: true, reason: "a test".into(), version: 0 };
    let entry = |version, value| directory::record(&DirectoryEntry { version, value });
    let at_home = |tenant, partition| TenantEntry { tenant, partition, placement: 1, pepper: Name::fixed("pepper") };
    let log = broker.connect(ProcessId(9), &Faults::none());
    let directory_at = Topic::Directory.partition(0);
    let entries = vec![
        entry(1, DirectoryValue::Tenant(at_home(tenant.clone(), 0))),
        entry(1, DirectoryValue::Tenant(at_home(shop::tenant(2), 1))),
        entry(1, DirectoryValue::Connection(connection.clone())),
        entry(1, DirectoryValue::Connection(elsewhere)),
        entry(3, DirectoryValue::Switch { tenant: tenant.clone(), switch }),
    ];
    log.append(&directory_at, entries).unwrap();

    let hosted = host(&broker, 1, Differs::usual());
    let changed = "tradewind.connection.changed.v1";
    wait_until("both facts are there", || {
        hosted.events_of_kind(changed).len() + hosted.events_of_kind("tradewind.switch.set.v1").len() == 2
    });
    assert_eq!(hosted.events_of_kind(changed), [FactId::of_entry(&format!("connection/{tenant}/mail"), 1)]);

    // A later version is told; the same one is not, whoever owns the partition by then.
    let off = ConnectionEntry { active: false, ..connection };
    log.append(&directory_at, vec![entry(2, DirectoryValue::Connection(off))]).unwrap();
    wait_until("the change is there", || hosted.events_of_kind(changed).len() == 2);
    hosted.wait_until_caught_up();
    hosted.stop().unwrap();
    let again = host(&broker, 2, Differs::usual());
    again.wait_until_caught_up();
    // It has read the directory by the time it tells of something newer in it.
    let newer = SwitchSet { scope: Scope::All, stopped: false, reason: "a test".into(), version: 0 };
    log.append(&directory_at, vec![entry(4, DirectoryValue::Switch { tenant, switch: newer })]).unwrap();
    wait_until("the newer switch is there", || again.events_of_kind("tradewind.switch.set.v1").len() == 2);
    assert_eq!(again.events_of_kind(changed).len(), 2);
    again.stop().unwrap();
}

#[test]
fn a_customers_timeline_names_all_that_is_linked_and_where_it_stands() {
    let broker = merchants_log();
    let (tenant, log) = (shop::tenant(1), broker.connect(ProcessId(9), &Faults::none()));
    let order = shop::order(&tenant, "cart-1", 7, shop::OrderedBy::SameAddress, START);
    let Body::OrderPlaced(placed) = &order.fact.body else { panic!("expected an order") };
    let (order_key, customer) = (placed.order.clone(), placed.names[0].clone());
    log.append(&Topic::Events.partition(0), vec![record::event(&order)]).unwrap();
    let hosted = host(&broker, 1, Differs::usual());
    hosted.wait_until_caught_up();
    let timeline = hosted.desk.timeline(&tenant, &customer).unwrap();
    assert!(timeline.entities.contains(&order_key) && timeline.entities.contains(&customer));
    assert!(timeline.references.iter().any(|(position, _, entity)| position.offset == 3 && *entity == order_key));
    let unknown = hosted.desk.timeline(&shop::tenant(2), &customer).unwrap();
    assert_eq!(unknown.references, []);
    hosted.stop().unwrap();
}

#[test]
fn a_partition_that_catches_up_can_be_told_to_stop() {
    let broker = merchants_log();
    let first = host(&broker, 1, Differs::usual());
    first.wait_until_caught_up();
    first.stop().unwrap();
    // Its store is lost, so there is all of it to read; while it reads it is told to stop.
    let second = host(&broker, 2, Differs { stops: true, ..Differs::usual() });
    let (store, opened) = (second.store.clone(), second.opened.clone());
    second.thread.join().unwrap().unwrap();
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    assert!(store.leaves().is_empty(), "it went on to its checkpoint");
}

#[test]
fn with_memory_full_the_fold_waits_for_the_drain() {
    let broker = merchants_log();
    let log = broker.connect(ProcessId(9), &Faults::none());
    let many: Vec<NewRecord> = (0..5_000)
        .map(|number| shop::cart(&shop::tenant(1), &format!("cart-{number}"), START, START, 1))
        .map(|fact| record::event(&fact))
        .collect();
    log.append(&Topic::Events.partition(0), many).unwrap();
    let mut owner = Owner::recover(
        Settings {
            installation: "hosting".into(),
            partition: 0,
            build: Name::fixed("hosted"),
            rules: Arc::new(Rules::shipped()),
            limits: TurnLimits::default(),
            budget: Budget { cache_leaves: 100, slice_leaves: 10 },
            drain_leaves: 200,
        },
        Arc::new(log),
        MemoryStore::new().open(ProcessId(9), &Faults::none()),
    )
    .unwrap();
    let mut most = 0;
    loop {
        let turned = owner.turn().unwrap();
        most = most.max(owner.partition().open_leaves() + owner.partition().committed_leaves());
        while owner.drain_slice().unwrap() {}
        if turned.facts == 0 && turned.wakeups == 0 {
            break;
        }
    }
    // A step changes a handful of leaves at most.
    assert!((200..220).contains(&most), "{most} changed leaves were in memory at once");
}

/// The fold waits until there is room for a turn worth its transaction, not for a leaf.
#[test]
fn turns_stay_large_while_memory_is_nearly_full() {
    const CARTS: u32 = 2_000;
    let broker = merchants_log();
    let log = broker.connect(ProcessId(9), &Faults::none());
    let cart = |number| record::event(&shop::cart(&shop::tenant(1), &format!("cart-{number}"), START, START, 1));
    log.append(&Topic::Events.partition(0), (2..CARTS).map(cart).collect()).unwrap();
    let hosted = host(&broker, 1, Differs { drain_leaves: 400, ..Differs::usual() });
    hosted.wait_until_caught_up();
    let turns = hosted.metric("orchestrator_turn_seconds_count").expect("turns are counted");
    assert!(turns <= i64::from(CARTS / 10), "{turns} turns for {CARTS} carts");
    hosted.stop().unwrap();
}

/// It is looked at behind the first turn, and every five seconds from then on.
#[test]
fn how_far_behind_the_log_an_owner_is_is_counted() {
    let broker = merchants_log();
    let log = broker.connect(ProcessId(9), &Faults::none());
    let cart = |number| record::event(&shop::cart(&shop::tenant(1), &format!("cart-{number}"), START, START, 1));
    log.append(&Topic::Events.partition(0), (2..9).map(cart).collect()).unwrap();
    let defaults = TurnLimits::default();
    let limits = TurnLimits { read: ReadLimit { records: 4, ..defaults.read }, ..defaults };
    let hosted = host(&broker, 1, Differs { limits, ..Differs::usual() });
    wait_until("six of the ten records are behind the first turn", || {
        hosted.metric("orchestrator_lag_records") == Some(6)
    });
    wait_until("none is left", || hosted.metric("orchestrator_lag_records") == Some(0));
    hosted.stop().unwrap();
}
