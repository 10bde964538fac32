//! Owners of partitions as the product runs them: a thread each, the real store,
//! drains on, and the memory shared out as `tradewind` does it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tradewind_domain::{Name, Timestamp};
use tradewind_engine::{FOLD_VERSION, Rules};
use tradewind_orchestrator::{Counted, Host, HostError, Pulse, Settings, Shares, Stores, TurnLimits, desk};
use tradewind_ports::{Clock, EventLog, StateStore, StoreError};
use tradewind_store::Opening;
use tradewind_telemetry::{Health, Metrics};

use crate::workload::wall;

/// What a process of the product would be given.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub mib: u32,
    pub partitions: u32,
}

impl Memory {
    fn shares(self) -> Shares {
        Shares::of(self.mib, self.partitions)
    }

    #[must_use]
    pub fn kafka_bytes(self) -> u64 {
        self.shares().kafka_bytes
    }

    #[must_use]
    pub fn settings(self, partition: u32, output_bytes: Option<u64>) -> Settings {
        let mut limits = TurnLimits::default();
        if let Some(bytes) = output_bytes {
            limits.bytes = usize::try_from(bytes).expect("64 bits");
        }
        Settings {
            installation: "benches".into(),
            partition,
            build: Name::fixed("benches"),
            rules: Arc::new(Rules::shipped()),
            limits,
            budget: self.shares().budget(),
            drain_leaves: self.shares().dirty_leaves,
        }
    }

    #[must_use]
    pub fn store(self, dir: PathBuf) -> Opening {
        let settings = tradewind_store::Settings::new(FOLD_VERSION, self.shares().store_bytes);
        Opening { dir, settings: tradewind_store::Settings { leaves: Shares::STORE_LEAVES, ..settings } }
    }
}

struct Store(Opening);

impl Stores for Store {
    fn open(&mut self, alive: &dyn Fn()) -> Result<(Box<dyn StateStore>, Option<String>), StoreError> {
        let opened = self.0.open_while(alive)?;
        Ok((Box::new(opened.store), opened.rebuilt.map(|rebuilt| rebuilt.reason)))
    }

    fn move_aside(&mut self, reason: &str) -> Result<(), StoreError> {
        self.0.move_aside(reason).map(drop)
    }

    fn remove_older(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        wall()
    }
}

/// Owners at work.
#[derive(Debug)]
pub struct Owners {
    metrics: Metrics,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<(), HostError>>>,
}

impl Owners {
    /// One for each partition; the stores lie below `home`.
    ///
    /// # Panics
    ///
    /// Threads can't be started.
    #[must_use]
    pub fn start(log: &Arc<dyn EventLog>, memory: Memory, output_bytes: Option<u64>, home: &std::path::Path) -> Owners {
        let (metrics, health, stop) = (Metrics::new(), Health::new(), Arc::new(AtomicBool::new(false)));
        let counted = Counted::new(&metrics);
        let threads = (0..memory.partitions).map(|partition| {
            let (_, questions) = desk();
            let host = Host {
                settings: memory.settings(partition, output_bytes),
                log: log.clone(),
                stores: Box::new(Store(memory.store(home.join(format!("state-{partition}"))))),
                clock: Arc::new(Wall),
                questions,
                pulse: Pulse::new(),
                part: health.part(format!("partition {partition}")),
                counted: counted.clone(),
            };
            let stop = stop.clone();
            let thread = thread::Builder::new().name(format!("owner-{partition}"));
            thread.spawn(move || host.run(&stop)).expect("a thread")
        });
        let threads = threads.collect();
        Owners { metrics, stop, threads }
    }

    /// Of the metric with this name; 0 while it is not there.
    #[must_use]
    pub fn count(&self, metric: &str) -> u64 {
        let text = self.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix("{} "));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Waits until so many records are folded and what they led to is committed.
    ///
    /// # Panics
    ///
    /// An owner has ended, or it takes longer than that.
    pub fn wait_for(&self, records: u64, at_most: Duration) {
        let begun = Instant::now();
        while self.count("orchestrator_facts_total") < records {
            assert!(begun.elapsed() < at_most, "not done after {at_most:?}: {}", self.metrics.text());
            assert!(!self.threads.iter().any(JoinHandle::is_finished), "an owner has ended");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Lets them write everything to their stores and end.
    ///
    /// # Panics
    ///
    /// They don't end in good order.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic").expect("an end in good order");
        }
    }
}
