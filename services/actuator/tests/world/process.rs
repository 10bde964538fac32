//! A process with an actuator in it: it is born, freezes, loses what it asked
//! for, dies, and has successors.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tradewind_actuator::{
    Actuator, ActuatorError, Call, Calls, Clocks, Counted, Ended, Moment, Ports, Remedy, Settings, Stepped,
};
use tradewind_egress::{Answer, Unsent};
use tradewind_ports::{Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, Topic, TopicPartition, Writer};
use tradewind_simulation::{Faults, MemoryLog, ProcessId};
use tradewind_telemetry::Metrics;

use super::setting::{MemoryVault, OneSecret};
use super::{CALLERS, Opening, START, World, boot};

/// Called wherever a process could be stopped and go on much later.
pub type Freeze = Arc<dyn Fn() + Send + Sync>;

pub fn never_frozen() -> Freeze {
    Arc::new(|| {})
}

/// Freezes at some of the points it is asked at.
pub struct Freezer {
    points: AtomicU64,
    /// At which points, and for how long.
    plan: Vec<(u64, i64)>,
    meanwhile: Box<dyn Fn(i64) + Send + Sync>,
    struck: AtomicU32,
}

impl Freezer {
    pub fn new(plan: Vec<(u64, i64)>, meanwhile: Box<dyn Fn(i64) + Send + Sync>) -> Freezer {
        Freezer { points: AtomicU64::new(0), plan, meanwhile, struck: AtomicU32::new(0) }
    }

    pub fn point(&self) {
        let point = self.points.fetch_add(1, Ordering::SeqCst);
        for (_, for_ms) in self.plan.iter().filter(|(at, _)| *at == point) {
            self.struck.fetch_add(1, Ordering::SeqCst);
            (self.meanwhile)(*for_ms);
        }
    }

    /// How often it froze.
    pub fn struck(&self) -> u32 {
        self.struck.load(Ordering::SeqCst)
    }
}

struct FrozenClocks {
    world: Arc<World>,
    age: i64,
    skew: i64,
    freeze: Freeze,
}

impl Clocks for FrozenClocks {
    fn now(&self) -> Moment {
        (self.freeze)();
        let now = self.world.now();
        Moment { boot: boot(now, self.age), wall: START + now + self.skew, speed: 1 }
    }
}

/// A log whose callers freeze before and after each request.
struct FrozenLog {
    world: Arc<World>,
    log: MemoryLog,
    freeze: Freeze,
}

impl FrozenLog {
    fn around<T>(&self, act: impl FnOnce(&MemoryLog) -> T) -> T {
        (self.freeze)();
        let done = act(&self.log);
        (self.freeze)();
        done
    }
}

impl EventLog for FrozenLog {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        let batch = self.around(|log| log.read(at, from, limit))?;
        if matches!(at.topic, Topic::Ledger(_)) {
            self.world.state().ledger_reads += 1;
        }
        if matches!(at.topic, Topic::Commands(_)) {
            let mut state = self.world.state();
            let now = state.now;
            for record in &batch.records {
                state.last_read.insert(record.offset, now);
            }
        }
        Ok(batch)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.around(|log| log.bounds(at))
    }

    fn wait(&self, _: &TopicPartition, _: u64, _: Duration) -> Result<(), LogError> {
        unreachable!("the simulation does not wait")
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        self.around(|log| log.append(at, records))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        let writer = self.around(|log| log.writer(id))?;
        Ok(Box::new(FrozenWriter { writer, freeze: self.freeze.clone() }))
    }
}

struct FrozenWriter {
    writer: Box<dyn Writer>,
    freeze: Freeze,
}

impl FrozenWriter {
    fn around<T>(&mut self, act: impl FnOnce(&mut dyn Writer) -> T) -> T {
        (self.freeze)();
        let done = act(self.writer.as_mut());
        (self.freeze)();
        done
    }
}

impl Writer for FrozenWriter {
    fn begin(&mut self) -> Result<(), LogError> {
        self.around(|writer| writer.begin())
    }

    fn send(&mut self, at: &TopicPartition, record: NewRecord) -> Result<(), LogError> {
        self.around(|writer| writer.send(at, record))
    }

    fn acknowledge(&mut self) -> Result<(), LogError> {
        self.around(|writer| writer.acknowledge())
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.around(|writer| writer.commit())
    }
}

/// Requests of one life of an actuator. They go on when it is gone: a request
/// can't be called back.
struct WorldCalls {
    world: Arc<World>,
    caller: u32,
    unreachable_percent: u32,
}

impl Calls for WorldCalls {
    fn begin(&mut self, call: Call) {
        let Call { command, request, permit } = call;
        let mut state = self.world.state();
        let now = state.now;
        if state.rng.u32(0..100) < self.unreachable_percent {
            let answer = Answer::Unsent(Unsent::Unreachable { reason: "nobody listens".into() });
            let at = now + state.rng.i64(0..5_000);
            state.answers.push((at, self.caller, Ended { command, sent_at: None, answer }));
            return;
        }
        // Mostly at once; sometimes the connection takes longer than the claim.
        let opens_in = if state.rng.u32(0..10) > 0 { state.rng.i64(0..200) } else { state.rng.i64(0..60_000) };
        let caller = self.caller;
        state.opening.push(Opening { at: now + opens_in, caller, command, request, permit });
    }

    fn ended(&mut self, _: Duration) -> Vec<Ended> {
        let mut state = self.world.state();
        let now = state.now;
        let (due, rest) = std::mem::take(&mut state.answers)
            .into_iter()
            .partition(|(at, caller, _)| *caller == self.caller && *at <= now);
        state.answers = rest;
        due.into_iter().map(|(_, _, ended)| ended).collect()
    }
}

pub struct Process {
    world: Arc<World>,
    settings: Settings,
    vault: Arc<MemoryVault>,
    faults: Faults,
    freeze: Freeze,
    pub unreachable_percent: u32,
    pub skew: i64,
    life: ProcessId,
    lives: u32,
    actuator: Option<Actuator>,
    /// Gone until then.
    back_at: i64,
    busy_at: i64,
    rng: Rng,
    pub passed_over: u32,
    pub metrics: Metrics,
    counted: Counted,
    pub stopped: Option<ActuatorError>,
}

impl Process {
    pub fn new(world: &Arc<World>, number: u32, settings: Settings, vault: &Arc<MemoryVault>, rng: Rng) -> Process {
        let metrics = Metrics::new();
        Process {
            world: world.clone(),
            settings,
            vault: vault.clone(),
            faults: Faults::none(),
            freeze: never_frozen(),
            unreachable_percent: 0,
            skew: 0,
            life: ProcessId(number * (CALLERS / 100)),
            lives: 0,
            actuator: None,
            back_at: 0,
            busy_at: 0,
            rng,
            passed_over: 0,
            counted: Counted::new(&metrics),
            metrics,
            stopped: None,
        }
    }

    pub fn with_faults(mut self, faults: &Faults) -> Process {
        self.faults = faults.clone();
        self
    }

    pub fn with_freeze(mut self, freeze: Freeze) -> Process {
        self.freeze = freeze;
        self
    }

    pub fn actuator(&self) -> Option<&Actuator> {
        self.actuator.as_ref()
    }

    /// With nothing to do, what it does between two steps.
    pub fn wait(&mut self) {
        let actuator = self.actuator.as_mut().expect("it runs");
        actuator.wait(&Stepped::default()).expect("a log that answers");
    }

    /// It is asked to end in good order.
    pub fn stop(&mut self) {
        if let Some(actuator) = &mut self.actuator {
            actuator.stop();
        }
    }

    /// It ends without a word.
    pub fn kill(&mut self) {
        self.actuator = None;
    }

    /// One step, after a birth if it takes one. Returns when it wants to go on;
    /// at once if it did something.
    pub fn run(&mut self) -> i64 {
        let now = self.world.now();
        if self.stopped.is_some() {
            return i64::MAX;
        }
        if now < self.back_at {
            return self.back_at;
        }
        let age = i64::from(self.life.0);
        let done = match &mut self.actuator {
            Some(actuator) => actuator.step().map(Some),
            None => self.born().map(|actuator| {
                self.actuator = Some(actuator);
                None
            }),
        };
        let now = self.world.now();
        match done {
            Ok(None) => now,
            Ok(Some(stepped)) => {
                self.passed_over += stepped.passed_over;
                if !stepped.is_idle() {
                    self.busy_at = now;
                    return now;
                }
                let next = stepped.next_at.map_or(i64::MAX, |at| at.0 - age).max(now + 1);
                // Its position is written some time after the last outcome.
                if now - self.busy_at < 2_000 { next.min(now + 1_000) } else { next.min(now + 300_000) }
            }
            Err(error) => {
                self.actuator = None;
                if self.faults.is_dead(self.life) {
                    self.life = ProcessId(self.life.0 + 1);
                } else if error.remedy() == Remedy::Stop {
                    self.stopped = Some(error);
                    return i64::MAX;
                }
                self.back_at = now + self.rng.i64(0..40_000);
                self.back_at
            }
        }
    }

    fn born(&mut self) -> Result<Actuator, ActuatorError> {
        self.lives += 1;
        let log = self.world.broker.connect(self.life, &self.faults);
        let ports = Ports {
            log: Arc::new(FrozenLog { world: self.world.clone(), log, freeze: self.freeze.clone() }),
            vault: self.vault.clone(),
            secrets: Arc::new(OneSecret),
            clocks: Arc::new(FrozenClocks {
                world: self.world.clone(),
                age: i64::from(self.life.0),
                skew: self.skew,
                freeze: self.freeze.clone(),
            }),
            calls: Box::new(WorldCalls {
                world: self.world.clone(),
                caller: self.life.0 * 100 + self.lives,
                unreachable_percent: self.unreachable_percent,
            }),
            counted: self.counted.clone(),
        };
        Actuator::recover(self.settings.clone(), ports)
    }
}

/// A process that a freeze of another one can reach.
pub type Shared = Arc<Mutex<Process>>;
