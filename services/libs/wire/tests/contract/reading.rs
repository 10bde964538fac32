//! Reading what several services read alike, on a log that shows only what it has to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tradewind_domain::{DirectoryEntry, DirectoryValue, Name, TenantEntry, Timestamp};
use tradewind_ports::{Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, Record, TopicPartition, Writer};
use tradewind_wire::directory;
use tradewind_wire::reading::DirectoryReader;

use crate::samples;

/// As one whose reader has lost its brokers: a read gets to an end that was told, and no further.
struct Reluctant {
    held: AtomicU64,
    told: AtomicU64,
}

impl EventLog for Reluctant {
    fn read(&self, _: &TopicPartition, from: u64, _: ReadLimit) -> Result<Batch, LogError> {
        let told = self.told.load(Ordering::Relaxed);
        Ok(Batch { records: (from..told).map(entry).collect(), next: told.max(from) })
    }

    fn bounds(&self, _: &TopicPartition) -> Result<Bounds, LogError> {
        let end = self.held.load(Ordering::Relaxed);
        self.told.store(end, Ordering::Relaxed);
        Ok(Bounds { start: 0, end })
    }

    fn wait(&self, _: &TopicPartition, _: u64, _: Duration) -> Result<(), LogError> {
        unreachable!("reading doesn't wait")
    }

    fn append(&self, _: &TopicPartition, _: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        unreachable!("reading appends nothing")
    }

    fn writer(&self, _: &str) -> Result<Box<dyn Writer>, LogError> {
        unreachable!("reading writes nothing")
    }
}

fn entry(offset: u64) -> Record {
    let value = DirectoryValue::Tenant(TenantEntry {
        tenant: samples::tenant(),
        partition: 0,
        placement: 1,
        pepper: Name::fixed("pepper"),
    });
    let NewRecord { key, headers, value } = directory::record(&DirectoryEntry { version: offset + 1, value });
    Record { offset, appended_at: Timestamp::from_millis(0), key, headers, value }
}

#[test]
fn the_directory_is_followed_to_where_the_log_ends_each_time() {
    let log = Reluctant { held: AtomicU64::new(1), told: AtomicU64::new(0) };
    let mut reader = DirectoryReader::default();
    let mut versions = Vec::new();
    let mut follow = |reader: &mut DirectoryReader| {
        let mut seen = Vec::new();
        let has_learnt = reader.follow(&log, |_, entry| seen.extend(entry.map(|entry| entry.version))).unwrap();
        versions.push((has_learnt, seen));
    };
    follow(&mut reader);
    follow(&mut reader);
    log.held.store(3, Ordering::Relaxed);
    follow(&mut reader);
    assert_eq!(versions, [(true, vec![1]), (false, vec![]), (true, vec![2, 3])]);
}
