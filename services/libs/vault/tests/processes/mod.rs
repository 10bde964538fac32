//! Processes with a vault each, over one log in memory.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tradewind_domain::{Digest, KeyId, Tenant, Timestamp};
use tradewind_ports::{
    Batch, Bounds, Clock, EventLog, KeyVault as _, LogError, NewRecord, ReadLimit, Record, Topic, TopicPartition,
    VaultError, Writer,
};
use tradewind_simulation::{Broker, MemoryLog};
use tradewind_simulation::{Fault, Faults, Operation, ProcessId};
use tradewind_vault::{Followed, InstallationKey, TopicVault};

pub(crate) const HOUR_MS: i64 = 60 * 60 * 1000;

pub(crate) struct Installation {
    home: Arc<TempDir>,
    key_path: PathBuf,
    broker: Arc<Broker>,
    clock: Arc<Hands>,
    topic: Arc<TopicFaults>,
}

/// What befalls the topic itself.
#[derive(Debug)]
pub(crate) struct TopicFaults {
    /// Offsets that were compacted away.
    cleaned: Mutex<BTreeSet<u64>>,
    end_max: AtomicU64,
    pub(crate) reads_left: AtomicUsize,
    pub(crate) read_from: Mutex<Vec<u64>>,
    /// Runs before the next append of anybody.
    race: Race,
}

#[derive(Default)]
struct Race(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for Race {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Race")
    }
}

impl std::ops::Deref for Installation {
    type Target = TopicFaults;

    fn deref(&self) -> &TopicFaults {
        &self.topic
    }
}

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug)]
struct Connection {
    log: MemoryLog,
    topic: Arc<TopicFaults>,
}

impl EventLog for Connection {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        let left = self.topic.reads_left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(LogError::Unavailable { reason: "the connection broke".into() });
        }
        self.topic.reads_left.store(left.saturating_sub(1), Ordering::SeqCst);
        self.topic.read_from.lock().unwrap().push(from);
        let mut batch = self.log.read(at, from, limit)?;
        batch.records.retain(|record| !self.topic.cleaned.lock().unwrap().contains(&record.offset));
        Ok(batch)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let bounds = self.log.bounds(at)?;
        Ok(Bounds { end: bounds.end.min(self.topic.end_max.load(Ordering::SeqCst)), ..bounds })
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        self.log.wait(at, from, timeout)
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        let race = self.topic.race.0.lock().unwrap().take();
        race.into_iter().for_each(|race| race());
        self.log.append(at, records)
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        self.log.writer(id)
    }
}

impl Installation {
    pub(crate) fn new() -> Installation {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let key_path = home.path().join("key");
        InstallationKey::create(&key_path).unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(1_800_000_000_000)));
        Installation { home, key_path, broker: Arc::new(Broker::new()), clock, topic: Arc::default() }
    }

    /// The same files, and a log that holds nothing.
    pub(crate) fn with_another_log(&self) -> Installation {
        Installation {
            home: self.home.clone(),
            key_path: self.key_path.clone(),
            broker: Arc::new(Broker::new()),
            clock: self.clock.clone(),
            topic: Arc::default(),
        }
    }

    /// The same files and log, and another key mounted.
    pub(crate) fn with_another_key(&self) -> Installation {
        let key_path = self.home.path().join("another-key");
        InstallationKey::create(&key_path).unwrap();
        Installation {
            home: self.home.clone(),
            key_path,
            broker: self.broker.clone(),
            clock: self.clock.clone(),
            topic: self.topic.clone(),
        }
    }

    pub(crate) fn key(&self) -> InstallationKey {
        InstallationKey::load(&self.key_path).unwrap()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name).with_extension("keys")
    }

    fn connect(&self, faults: &Faults) -> Arc<dyn EventLog> {
        let log = self.broker.connect(ProcessId(0), faults);
        Arc::new(Connection { log, topic: self.topic.clone() })
    }

    pub(crate) fn log(&self) -> Arc<dyn EventLog> {
        self.connect(&Faults::none())
    }

    fn follow_with(&self, name: &str, faults: &Faults) -> Result<Followed, VaultError> {
        TopicVault::open(self.connect(faults), &self.path(name), self.key(), self.clock())
    }

    pub(crate) fn try_open(&self, name: &str) -> Result<Followed, VaultError> {
        self.follow_with(name, &Faults::none())
    }

    pub(crate) fn open(&self, name: &str) -> TopicVault {
        self.try_open(name).unwrap().vault
    }

    pub(crate) fn open_with(&self, name: &str, plan: &[(usize, Fault)]) -> Result<TopicVault, VaultError> {
        self.follow_with(name, &Faults::at(plan.iter().copied())).map(|followed| followed.vault)
    }

    /// The requests a process makes of the log, from opening its vault on.
    pub(crate) fn requests(&self, script: impl FnOnce(&TopicVault)) -> Vec<Operation> {
        let faults = Faults::none();
        let followed = self.follow_with("counted", &faults).unwrap();
        script(&followed.vault);
        faults.requests()
    }

    /// Calls, and lets something else happen just before the first append of that.
    pub(crate) fn race<T>(
        &self,
        vault: &TopicVault,
        call: impl FnOnce(&TopicVault) -> T,
        other: impl FnOnce() + Send,
    ) -> T {
        // The other side runs in a thread that waits for its turn, so that it may borrow.
        std::thread::scope(|scope| {
            let (go, may_go) = std::sync::mpsc::channel::<()>();
            let (done, is_done) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                may_go.recv().unwrap();
                other();
                done.send(()).unwrap();
            });
            *self.topic.race.0.lock().unwrap() = Some(Box::new(move || {
                go.send(()).unwrap();
                is_done.recv().unwrap();
            }));
            call(vault)
        })
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn clean(&self, offsets: &[u64]) {
        self.topic.cleaned.lock().unwrap().extend(offsets);
    }

    pub(crate) fn shrink_to(&self, end: u64) {
        self.topic.end_max.store(end, Ordering::SeqCst);
    }

    pub(crate) fn retain_from(&self, offset: u64) {
        self.broker.retain_from(&Topic::Keys.partition(0), offset);
    }

    pub(crate) fn on_topic(&self) -> Vec<Record> {
        self.broker.records(&Topic::Keys.partition(0))
    }

    /// The records of keys for these owners, made by a process that knows of no others.
    pub(crate) fn entries(&self, owners: impl Iterator<Item = Digest>) -> Vec<NewRecord> {
        let elsewhere = self.with_another_log();
        let path = self.home.path().join("elsewhere");
        let vault = TopicVault::open(elsewhere.log(), &path, self.key(), self.clock()).unwrap().vault;
        owners.for_each(|owner| _ = vault.key_of(&demo(), &owner).unwrap());
        drop(vault);
        fs::remove_file(path).unwrap();
        let record = |Record { key, headers, value, .. }| NewRecord { key, headers, value };
        elsewhere.on_topic().into_iter().map(record).collect()
    }

    pub(crate) fn entry(&self, number: u8) -> NewRecord {
        self.entries([owner(number)].into_iter()).remove(0)
    }
}

impl Default for TopicFaults {
    fn default() -> TopicFaults {
        TopicFaults {
            cleaned: Mutex::default(),
            end_max: AtomicU64::new(u64::MAX),
            reads_left: AtomicUsize::new(usize::MAX),
            read_from: Mutex::default(),
            race: Race::default(),
        }
    }
}

pub(crate) fn demo() -> Tenant {
    Tenant::new("demo").unwrap()
}

pub(crate) fn owner(number: u8) -> Digest {
    [number; 32]
}

pub(crate) fn id(record: &Record) -> KeyId {
    KeyId::from_bytes(record.key.as_slice().try_into().unwrap())
}

pub(crate) fn key_id(record: &NewRecord) -> KeyId {
    KeyId::from_bytes(record.key.as_slice().try_into().unwrap())
}

pub(crate) fn tombstone(id: KeyId) -> NewRecord {
    let installation = Installation::new();
    NewRecord { key: id.as_bytes().to_vec(), value: None, ..installation.entry(0) }
}

/// What of a key's record opens everything, to who has the installation's key.
pub(crate) fn wrapped(record: &Record) -> Box<[u8]> {
    tradewind_wire::vault::decode_record(record).unwrap().expect("a key").wrapped
}

pub(crate) fn contains(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
}
