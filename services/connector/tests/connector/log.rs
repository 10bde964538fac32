//! The log in memory, with a gate before its appends.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tradewind_ports::{Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, Topic, TopicPartition, Writer};
use tradewind_simulation::MemoryLog;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Appends wait until it is open.
    Shut,
    /// Appends fail with this.
    Fails(LogError),
    /// Appends end the thread they are called on.
    Panics,
    /// A record that contains this can't be stored.
    Refuses(Vec<u8>),
}

#[derive(Clone)]
pub(crate) struct GatedLog {
    pub(crate) inner: MemoryLog,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    gate: Gate,
    /// Topics of the appends that got to the gate, and how many records each had.
    appends: Vec<(Topic, usize)>,
}

impl GatedLog {
    pub(crate) fn new(inner: MemoryLog) -> GatedLog {
        let state = Mutex::new(State { gate: Gate::Open, appends: Vec::new() });
        GatedLog { inner, shared: Arc::new(Shared { state, changed: Condvar::new() }) }
    }

    pub(crate) fn set(&self, gate: Gate) {
        self.shared.state.lock().unwrap().gate = gate;
        self.shared.changed.notify_all();
    }

    pub(crate) fn appends(&self) -> Vec<(Topic, usize)> {
        self.shared.state.lock().unwrap().appends.clone()
    }
}

impl EventLog for GatedLog {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        self.inner.read(at, from, limit)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.inner.bounds(at)
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        self.inner.wait(at, from, timeout)
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        let mut state = self.shared.state.lock().unwrap();
        state.appends.push((at.topic.clone(), records.len()));
        let state = self.shared.changed.wait_while(state, |state| state.gate == Gate::Shut).unwrap();
        match &state.gate {
            Gate::Open | Gate::Shut => {}
            Gate::Fails(error) => return Err(error.clone()),
            Gate::Panics => {
                drop(state);
                panic!("as the test has it");
            }
            Gate::Refuses(bytes) => {
                let holds = |value: &[u8]| value.windows(bytes.len()).any(|window| window == bytes.as_slice());
                if records.iter().any(|record| record.value.as_deref().is_some_and(holds)) {
                    return Err(LogError::Refused { reason: "it is too large".into() });
                }
            }
        }
        drop(state);
        self.inner.append(at, records)
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        self.inner.writer(id)
    }
}
