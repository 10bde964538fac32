//! A log whose answers are signs of life of the thread that asks: a thread that comes round seldom, because there is much to
//! read, is told apart from one that hangs. A single call is bounded by the log.

use std::sync::Arc;
use std::time::Duration;

use tradewind_orchestrator::Pulse;
use tradewind_ports::{
    Appends, Batch, Bounds, EventLog, Linked, LogError, NewRecord, ReadLimit, TopicPartition, Writer,
};

/// Called at each answer, good or bad.
type Alive = Arc<dyn Fn() + Send + Sync>;

/// `log`, beating `pulse`.
pub(crate) fn alive(log: Arc<dyn EventLog>, pulse: &Pulse) -> Arc<dyn EventLog> {
    let pulse = pulse.clone();
    Arc::new(AliveLog { log, alive: Arc::new(move || pulse.beat()) })
}

struct AliveLog {
    log: Arc<dyn EventLog>,
    alive: Alive,
}

struct AliveWriter {
    writer: Box<dyn Writer>,
    alive: Alive,
}

fn answered<T>(alive: &Alive, answer: T) -> T {
    alive();
    answer
}

impl EventLog for AliveLog {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        answered(&self.alive, self.log.read(at, from, limit))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        answered(&self.alive, self.log.bounds(at))
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        answered(&self.alive, self.log.wait(at, from, timeout))
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        answered(&self.alive, self.log.append(at, records))
    }

    fn append_linked(&self, first: Appends, linked: Linked) -> Result<(), LogError> {
        answered(&self.alive, self.log.append_linked(first, linked))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        let writer = answered(&self.alive, self.log.writer(id))?;
        Ok(Box::new(AliveWriter { writer, alive: self.alive.clone() }))
    }
}

impl Writer for AliveWriter {
    fn begin(&mut self) -> Result<(), LogError> {
        answered(&self.alive, self.writer.begin())
    }

    fn send(&mut self, at: &TopicPartition, record: NewRecord) -> Result<(), LogError> {
        answered(&self.alive, self.writer.send(at, record))
    }

    fn acknowledge(&mut self) -> Result<(), LogError> {
        answered(&self.alive, self.writer.acknowledge())
    }

    fn commit(&mut self) -> Result<(), LogError> {
        answered(&self.alive, self.writer.commit())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tradewind_ports::Topic;
    use tradewind_simulation::{Broker, Faults, ProcessId};

    use super::*;

    #[test]
    fn every_answer_is_a_sign_of_life() {
        let (beats, at) = (Arc::new(AtomicU32::new(0)), Topic::Events.partition(0));
        let counted = beats.clone();
        let log = AliveLog {
            log: Arc::new(Broker::new().connect(ProcessId(1), &Faults::none())),
            alive: Arc::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
        };
        let beat = |what: &str, times: u32| assert_eq!(beats.swap(0, Ordering::Relaxed), times, "{what}");
        let record = || NewRecord { value: Some([1].into()), ..NewRecord::default() };
        log.append(&at, vec![record()]).unwrap();
        beat("append", 1);
        log.append_linked(Appends::from([(at.clone(), vec![record()])]), Box::new(|_| Appends::new())).unwrap();
        beat("append_linked", 1);
        assert_eq!(log.read(&at, 0, ReadLimit { records: 9, bytes: 1_000 }).unwrap().records.len(), 2);
        beat("read", 1);
        assert_eq!(log.bounds(&at).unwrap().end, 2);
        beat("bounds", 1);
        log.wait(&at, 0, Duration::ZERO).unwrap();
        beat("wait", 1);
        let mut writer = log.writer("w").unwrap();
        beat("writer", 1);
        writer.begin().unwrap();
        writer.send(&at, record()).unwrap();
        writer.acknowledge().unwrap();
        writer.commit().unwrap();
        beat("a transaction", 4);
        assert!(log.writer("w").is_ok() && writer.begin().is_err());
        beat("one that is fenced", 2);
    }
}
