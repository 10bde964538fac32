use std::sync::Arc;
use std::time::Duration;

use tradewind_explain::{ExplainError, Explainer};
use tradewind_ports::{Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, Topic, TopicPartition, Writer};
use tradewind_simulation::MemoryLog;

use crate::shop::Day;

/// The log in memory, seen as another partition of a larger one.
pub(crate) struct Elsewhere {
    pub(crate) inner: MemoryLog,
    pub(crate) partition: u32,
}

impl Elsewhere {
    fn place(&self, at: &TopicPartition) -> TopicPartition {
        // Nothing was ever written to the inner log's partition 9.
        at.topic.clone().partition(if at.partition == self.partition { 0 } else { 9 })
    }
}

/// The log in memory, with one record that is not what was written.
struct Damaged {
    inner: MemoryLog,
    at: TopicPartition,
    offset: u64,
}

macro_rules! delegate {
    ($log:ty, $place:expr, $seen:expr) => {
        impl EventLog for $log {
            fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
                let mut batch = self.inner.read(&$place(self, at), from, limit)?;
                $seen(self, at, &mut batch);
                Ok(batch)
            }

            fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
                self.inner.bounds(&$place(self, at))
            }

            fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
                self.inner.wait(&$place(self, at), from, timeout)
            }

            fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
                self.inner.append(&$place(self, at), records)
            }

            fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
                self.inner.writer(id)
            }
        }
    };
}

delegate!(Elsewhere, Elsewhere::place, |_: &Elsewhere, _: &TopicPartition, _: &mut Batch| {});
delegate!(
    Damaged,
    |_: &Damaged, at: &TopicPartition| at.clone(),
    |log: &Damaged, at: &TopicPartition, batch: &mut Batch| {
        for record in batch.records.iter_mut().filter(|record| *at == log.at && record.offset == log.offset) {
            record.value = Some(vec![0xff; 9]);
        }
    }
);

fn check(at: TopicPartition, offset: impl Fn(&Day) -> u64) {
    let day = Day::of(1);
    let offset = offset(&day);
    let damaged = Damaged { inner: day.log(), at: at.clone(), offset };
    let explainer = Explainer::new(Arc::new(damaged), 1);
    let id = *day.reading.commands.keys().next().unwrap();
    let error = explainer.explain(id).expect_err("a damaged record on the way");
    assert!(
        matches!(&error, ExplainError::Unreadable { at: named, offset: place, .. } if *named == at && *place == offset),
        "{error}"
    );
    assert!(error.to_string().starts_with(&format!("read {at} at offset {offset}: ")), "{error}");
}

#[test]
fn a_damaged_record_on_the_way_is_named_by_its_place() {
    check(Topic::Decisions.partition(0), |day| {
        let id = *day.reading.commands.keys().next().unwrap();
        day.explainer().explain(id).unwrap().unwrap().decision.offset
    });
    check(Topic::Events.partition(0), |day| day.reading.commands.values().next().unwrap().position.offset);
}

#[test]
fn facts_that_retention_took_are_said_to_be_missing() {
    let day = Day::of(1);
    let (id, read) = day.reading.commands.iter().next().unwrap();
    let whole = day.explainer().explain(*id).unwrap().unwrap();
    day.broker.retain_from(&Topic::Events.partition(0), read.position.offset);
    let rest = day.explainer().explain(*id).unwrap().unwrap();
    assert_eq!(rest.facts.len() + rest.facts_missing.len(), whole.facts.len());
    assert!(!rest.facts_missing.is_empty());
    assert!(rest.to_string().contains("not found among offsets"), "{rest}");
}

#[test]
fn a_log_that_does_not_answer_is_an_error_of_the_log() {
    let day = Day::of(1);
    let faults = tradewind_simulation::Faults::at([(0, tradewind_simulation::Fault::LoseRequest)]);
    let log = day.broker.connect(tradewind_simulation::ProcessId(7), &faults);
    let id = *day.reading.commands.keys().next().unwrap();
    let explainer = Explainer::new(Arc::new(log), 1);
    assert!(matches!(explainer.explain(id), Err(ExplainError::Log(LogError::Indefinite { .. }))));
}
