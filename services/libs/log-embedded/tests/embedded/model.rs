//! Any order of work, sweeps and reopening gives what a list in memory gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use tradewind_domain::Timestamp;
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_ports::{Bounds, Cleanup, Clock, EventLog, Headers, NewRecord, Record, Topic, TopicPartition};

use crate::work::{self, PARTITIONS};

const HOUR_MS: i64 = 60 * 60 * 1000;

#[derive(Clone, Default)]
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn places() -> [TopicPartition; 3] {
    [Topic::Events.partition(1), work::commands(0), work::ledger(2)]
}

/// A record to be written: where, its key, and its value's length; none is a
/// tombstone.
type Written = (usize, u8, Option<usize>);

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Written>),
    Commit(Vec<Written>),
    /// A transaction that is given up.
    Abort(Vec<Written>),
    /// Hours, forwards or back.
    MoveClock(i64),
    Sweep,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let written = (
        0..3_usize,
        0..4_u8,
        prop_oneof![4 => (0..200_usize).prop_map(Some), 1 => Just(None), 1 => Just(Some(20_000))],
    );
    let many = prop::collection::vec(written, 1..8);
    let step = prop_oneof![
        3 => many.clone().prop_map(Step::Append),
        3 => many.clone().prop_map(Step::Commit),
        1 => many.prop_map(Step::Abort),
        2 => (-30..500_i64).prop_map(Step::MoveClock),
        2 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..30)
}

/// A partition as it should be.
#[derive(Debug, Default)]
struct Expected {
    records: Vec<Record>,
    bounds: (u64, u64),
    appended_at: Option<Timestamp>,
}

impl Expected {
    fn append(&mut self, at: &TopicPartition, record: NewRecord, now: Timestamp) {
        if at.topic.cleanup() == Cleanup::Compacted {
            self.records.retain(|known| known.key != record.key);
        }
        let appended_at = self.appended_at.map_or(now, |before| before.max(now));
        self.appended_at = Some(appended_at);
        let NewRecord { key, headers, value } = record;
        self.records.push(Record { offset: self.bounds.1, appended_at, key, headers, value });
        self.bounds.1 += 1;
    }

    fn sweep(&mut self, at: &TopicPartition, now: Timestamp) {
        match at.topic.cleanup() {
            Cleanup::KeptForEver => {}
            Cleanup::DeletedAfterMs(kept) => {
                self.records.retain(|record| record.appended_at >= now - kept);
                self.bounds.0 = self.records.first().map_or(self.bounds.1, |record| record.offset);
            }
            Cleanup::Compacted => {
                self.records.retain(|record| record.value.is_some() || record.appended_at >= now - 24 * HOUR_MS);
            }
        }
    }
}

fn record((_, key, length): Written) -> NewRecord {
    let headers = if key == 0 { Headers::new() } else { Headers::new().with("ce_id", &[key]) };
    NewRecord { key: vec![key], headers, value: length.map(|length| vec![key; length]) }
}

fn check(steps: Vec<Step>) {
    let (directory, clock) = (work::scratch(), SetClock::default());
    let options = || Options { clock: Box::new(clock.clone()), ..Options::new(PARTITIONS) };
    let mut log = Some(EmbeddedLog::open(directory.path(), options()).expect("open"));
    let reader = EmbeddedLog::open_reader(directory.path()).expect("open");
    let places = places();
    let mut expected = places.clone().map(|_| Expected::default());
    for step in steps {
        let open = log.as_ref().expect("an open log");
        match step {
            Step::Append(records) => {
                for written in records {
                    let at = &places[written.0];
                    let offsets = open.append(at, vec![record(written)]).expect("append");
                    assert_eq!(offsets, [expected[written.0].bounds.1]);
                    expected[written.0].append(at, record(written), clock.now());
                }
            }
            Step::Commit(records) => {
                let mut writer = open.writer("owner").expect("a writer");
                writer.begin().expect("begin");
                for written in records {
                    writer.send(&places[written.0], record(written)).expect("send");
                    expected[written.0].append(&places[written.0], record(written), clock.now());
                }
                writer.commit().expect("commit");
            }
            Step::Abort(records) => {
                let mut writer = open.writer("owner").expect("a writer");
                writer.begin().expect("begin");
                for written in records {
                    writer.send(&places[written.0], record(written)).expect("send");
                }
                writer.acknowledge().expect("acknowledge");
            }
            Step::MoveClock(hours) => {
                clock.0.fetch_add(hours * HOUR_MS, Ordering::Relaxed);
            }
            Step::Sweep => {
                open.sweep().expect("sweep");
                for (at, expected) in places.iter().zip(&mut expected) {
                    expected.sweep(at, clock.now());
                }
            }
            Step::Reopen => {
                drop(log.take());
                log = Some(EmbeddedLog::open(directory.path(), options()).expect("open"));
            }
        }
        for log in [log.as_ref().expect("an open log"), &reader] {
            for (at, expected) in places.iter().zip(&expected) {
                let (start, end) = expected.bounds;
                assert_eq!(log.bounds(at), Ok(Bounds { start, end }));
                assert_eq!(work::read_all(log, at).expect("read"), expected.records, "{at}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_holds_what_a_list_would(steps in steps()) {
        check(steps);
    }
}
