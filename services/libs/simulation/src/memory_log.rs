//! A log in memory that behaves as Kafka does with librdkafka's transactions:
//! the writer's epoch stays the same from one transaction to the next, so a late
//! copy of a commit can end the next transaction early.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tradewind_domain::Timestamp;
use tradewind_ports::{Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, Record, TopicPartition, Writer};

use crate::faults::{Fault, Faults, Operation, ProcessId};

/// What all processes share: the topics, and who may write.
#[derive(Debug, Default)]
pub struct Broker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<BrokerState>,
    appended: Condvar,
}

#[derive(Debug, Default)]
struct BrokerState {
    partitions: BTreeMap<TopicPartition, Partition>,
    writers: BTreeMap<String, WriterState>,
    transactions: Vec<Ending>,
    now: Timestamp,
    /// Whether a record for a transaction that is not open is accepted, as by
    /// brokers with `transaction.partition.verification.enable` off.
    unverified: bool,
}

#[derive(Debug, Default)]
struct Partition {
    start: u64,
    entries: Vec<Entry>,
    /// Where each open transaction begins here.
    open: BTreeMap<usize, u64>,
}

#[derive(Debug)]
struct Entry {
    /// `None` for what marks the end of a transaction.
    record: Option<Record>,
    transaction: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Open,
    Committed,
    Aborted,
}

#[derive(Debug, Default)]
struct WriterState {
    epoch: u64,
    open: Option<usize>,
    /// A commit of this epoch has been sent, so a copy of it may be under way.
    has_committed: bool,
    /// A request to commit what is open is still on its way.
    late_commit: bool,
}

impl Broker {
    #[must_use]
    pub fn new() -> Broker {
        Broker::default()
    }

    /// A broker that does not check that a record's transaction is open.
    #[must_use]
    pub fn unverified() -> Broker {
        let broker = Broker::default();
        broker.state().unverified = true;
        broker
    }

    /// The log as one process sees it.
    #[must_use]
    pub fn connect(&self, process: ProcessId, faults: &Faults) -> MemoryLog {
        MemoryLog { shared: self.shared.clone(), process, faults: faults.clone() }
    }

    /// The time of what is appended from now on.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Deletes what lies before `offset`, as retention would.
    pub fn retain_from(&self, at: &TopicPartition, offset: u64) {
        let mut state = self.state();
        if let Some(partition) = state.partitions.get_mut(at) {
            partition.start = partition.start.max(offset);
        }
    }

    /// Every committed record of a partition.
    ///
    /// # Panics
    ///
    /// The partition was pruned.
    #[must_use]
    pub fn records(&self, at: &TopicPartition) -> Vec<Record> {
        let everything = ReadLimit { records: usize::MAX, bytes: usize::MAX };
        let log = self.connect(ProcessId(u32::MAX), &Faults::none());
        log.read(at, 0, everything).expect("a partition in memory is read whole").records
    }

    fn state(&self) -> MutexGuard<'_, BrokerState> {
        self.shared.state.lock().expect("no test panics while it holds the broker")
    }
}

impl BrokerState {
    fn push(&mut self, at: &TopicPartition, record: NewRecord, transaction: Option<usize>) -> u64 {
        let now = self.now;
        let partition = self.partitions.entry(at.clone()).or_default();
        let offset = partition.entries.len() as u64;
        let NewRecord { key, headers, value } = record;
        let record = Record { offset, appended_at: now, key, headers, value };
        partition.entries.push(Entry { record: Some(record), transaction });
        if let Some(transaction) = transaction
            && self.transactions[transaction] == Ending::Open
        {
            partition.open.entry(transaction).or_insert(offset);
        }
        offset
    }

    /// Ends a transaction: its records show, or never will. A marker takes an
    /// offset in each partition it wrote to.
    fn end(&mut self, transaction: usize, ending: Ending) {
        self.transactions[transaction] = ending;
        for partition in self.partitions.values_mut() {
            if partition.open.remove(&transaction).is_some() {
                partition.entries.push(Entry { record: None, transaction: None });
            }
        }
    }

    fn ending(&self, entry: &Entry) -> Ending {
        entry.transaction.map_or(Ending::Committed, |transaction| self.transactions[transaction])
    }
}

impl Partition {
    /// Behind the last offset a reader may see: the first record of an open
    /// transaction holds everybody back.
    fn stable_end(&self) -> u64 {
        self.open.values().min().copied().unwrap_or(self.entries.len() as u64)
    }
}

/// A process's connection to the broker.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    shared: Arc<Shared>,
    process: ProcessId,
    faults: Faults,
}

impl MemoryLog {
    fn state(&self) -> MutexGuard<'_, BrokerState> {
        self.shared.state.lock().expect("no test panics while it holds the broker")
    }
}

fn lost() -> LogError {
    LogError::Indefinite { reason: "the connection broke".into() }
}

impl EventLog for MemoryLog {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        if self.faults.is_dead(self.process) {
            return Err(lost());
        }
        let state = self.state();
        let Some(partition) = state.partitions.get(at) else {
            return Ok(Batch { records: Vec::new(), next: from });
        };
        if from < partition.start {
            return Err(LogError::Lost { at: at.clone(), asked: from, start: partition.start });
        }
        let end = partition.stable_end();
        let mut batch = Batch { records: Vec::new(), next: from };
        let mut bytes = 0;
        let from_index = usize::try_from(from).expect("an offset in memory");
        for (offset, entry) in partition.entries.iter().enumerate().skip(from_index) {
            if offset as u64 >= end {
                break;
            }
            if let (Some(record), Ending::Committed) = (&entry.record, state.ending(entry)) {
                bytes += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
                let is_over = batch.records.len() == limit.records || bytes > limit.bytes;
                if is_over && !batch.records.is_empty() {
                    break;
                }
                batch.records.push(record.clone());
            }
            batch.next = offset as u64 + 1;
        }
        Ok(batch)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let strike = self.faults.strike(self.process, Operation::Bounds);
        if !strike.is_answered() {
            return Err(lost());
        }
        let state = self.state();
        Ok(state.partitions.get(at).map_or(Bounds { start: 0, end: 0 }, |partition| Bounds {
            start: partition.start,
            end: partition.stable_end(),
        }))
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        let state = self.state();
        let has_record =
            |state: &BrokerState| state.partitions.get(at).is_some_and(|partition| partition.stable_end() > from);
        let waited = self.shared.appended.wait_timeout_while(state, timeout, |state| !has_record(state));
        drop(waited.expect("no test panics while it holds the broker"));
        Ok(())
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        let strike = self.faults.strike(self.process, Operation::Append);
        if !strike.takes_effect() {
            return Err(lost());
        }
        let mut state = self.state();
        let offsets = records.into_iter().map(|record| state.push(at, record, None)).collect();
        self.shared.appended.notify_all();
        if strike.is_answered() { Ok(offsets) } else { Err(lost()) }
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        let strike = self.faults.strike(self.process, Operation::Init);
        if !strike.takes_effect() {
            return Err(lost());
        }
        let mut state = self.state();
        let writer = state.writers.entry(id.into()).or_default();
        writer.epoch += 1;
        writer.has_committed = false;
        let epoch = writer.epoch;
        let ending = if std::mem::take(&mut writer.late_commit) { Ending::Committed } else { Ending::Aborted };
        if let Some(open) = writer.open.take() {
            state.end(open, ending);
        }
        self.shared.appended.notify_all();
        if !strike.is_answered() {
            return Err(lost());
        }
        Ok(Box::new(MemoryWriter { log: self.clone(), id: id.into(), epoch, unsent: Vec::new(), begun: None }))
    }
}

#[derive(Debug)]
struct MemoryWriter {
    log: MemoryLog,
    id: String,
    epoch: u64,
    /// Handed over and not on the log yet.
    unsent: Vec<(TopicPartition, NewRecord)>,
    /// The transaction this writer believes is open; none until a record is sent.
    begun: Option<Option<usize>>,
}

impl MemoryWriter {
    /// One request to the broker, with what may go wrong with it.
    fn request<T>(
        &mut self,
        operation: Operation,
        effect: impl FnOnce(&mut MemoryWriter, &mut BrokerState) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let strike = self.log.faults.strike(self.log.process, operation);
        if strike.fault == Some(Fault::LateCommit) && operation == Operation::Commit {
            let mut state = self.log.state();
            let known = state.writers.get_mut(&self.id).expect("a writer is registered");
            known.late_commit = known.epoch == self.epoch;
        }
        if !strike.takes_effect() {
            return Err(lost());
        }
        let shared = self.log.shared.clone();
        let mut state = shared.state.lock().expect("no test panics while it holds the broker");
        let writer = state.writers.get_mut(&self.id).expect("a writer is registered");
        if writer.epoch != self.epoch {
            return Err(LogError::Fenced);
        }
        if strike.fault == Some(Fault::EarlyCommit)
            && writer.has_committed
            && let Some(open) = writer.open.take()
        {
            state.end(open, Ending::Committed);
        }
        let done = effect(self, &mut state);
        shared.appended.notify_all();
        if strike.is_answered() { done } else { Err(lost()) }
    }
}

impl Writer for MemoryWriter {
    fn begin(&mut self) -> Result<(), LogError> {
        self.unsent.clear();
        self.begun = Some(None);
        self.request(Operation::Begin, |writer, state| {
            // Whoever goes on after an error aborts what it had open, in the same epoch.
            let known = state.writers.get_mut(&writer.id).expect("a writer is registered");
            if let Some(open) = known.open.take() {
                state.end(open, Ending::Aborted);
            }
            Ok(())
        })
    }

    fn send(&mut self, at: &TopicPartition, record: NewRecord) -> Result<(), LogError> {
        self.unsent.push((at.clone(), record));
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<(), LogError> {
        for (at, record) in std::mem::take(&mut self.unsent) {
            self.request(Operation::Send, |writer, state| {
                let believed = writer.begun.expect("a transaction was begun");
                let known = state.writers.get_mut(&writer.id).expect("a writer is registered");
                let transaction = match (known.open, believed) {
                    (Some(open), _) => open,
                    // The first record opens the transaction.
                    (None, None) => {
                        let opened = state.transactions.len();
                        state.transactions.push(Ending::Open);
                        state.writers.get_mut(&writer.id).expect("a writer is registered").open = Some(opened);
                        opened
                    }
                    // It has ended behind the writer's back. An unverified broker
                    // takes the record all the same, for a transaction nobody ends.
                    (None, Some(_)) if state.unverified => {
                        state.transactions.push(Ending::Aborted);
                        state.transactions.len() - 1
                    }
                    (None, Some(_)) => {
                        return Err(LogError::Indefinite { reason: "the transaction is not open any more".into() });
                    }
                };
                writer.begun = Some(Some(transaction));
                state.push(&at, record, Some(transaction));
                Ok(())
            })?;
        }
        self.request(Operation::Acknowledge, |_, _| Ok(()))
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.request(Operation::Commit, |writer, state| {
            writer.begun = None;
            let unverified = state.unverified;
            let known = state.writers.get_mut(&writer.id).expect("a writer is registered");
            let had_committed = std::mem::replace(&mut known.has_committed, true);
            match known.open.take() {
                Some(open) => {
                    state.end(open, Ending::Committed);
                    Ok(())
                }
                // Asked to commit what an earlier copy has committed already.
                None if unverified && had_committed => Ok(()),
                None => Err(LogError::Indefinite { reason: "there is no transaction to commit".into() }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_ports::contract::{EventLogHarness, check_event_log};

    #[derive(Default)]
    struct Harness(Broker);

    impl EventLogHarness for Harness {
        fn open(&mut self) -> Box<dyn EventLog> {
            Box::new(self.0.connect(ProcessId(0), &Faults::none()))
        }

        fn crash(&mut self) {}

        fn retain_from(&mut self, at: &TopicPartition, offset: u64) -> u64 {
            self.0.retain_from(at, offset);
            offset
        }
    }

    #[test]
    fn the_log_in_memory_keeps_the_contract() {
        check_event_log(|| Box::new(Harness::default()));
    }
}
