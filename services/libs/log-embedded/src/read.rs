//! Reading: short snapshots, each checked row by row. Readers of other processes
//! read the same way, beside the writer.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tradewind_ports::{Batch, Bounds, Cleanup, LogError, ReadLimit, TopicPartition};

use crate::checksum::Checksum;
use crate::damage::{damaged, from_sqlite};
use crate::directory::Directory;
use crate::opening;
use crate::schema::{self, Head, RECORD_COLUMNS};

/// A snapshot that is held for long keeps the WAL from being emptied.
const SNAPSHOT_RECORDS: usize = 1000;

/// Connections that are kept for the next reader.
const IDLE_CONNECTIONS: usize = 8;

/// How often a process beside the writer looks whether there is more.
const POLL_MIN: Duration = Duration::from_millis(1);
const POLL_MAX: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Readers {
    directory: Directory,
    idle: Mutex<Vec<Connection>>,
    /// Compacted partitions whose rows were counted.
    counted: Mutex<BTreeSet<TopicPartition>>,
}

impl Readers {
    pub(crate) fn new(directory: Directory) -> Readers {
        Readers { directory, idle: Mutex::default(), counted: Mutex::default() }
    }

    pub(crate) fn close(&self) {
        self.idle.lock().expect("no thread panics while it holds the connections").clear();
    }

    pub(crate) fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        self.with_snapshot(|snapshot| {
            let Some(head) = schema::read_head(snapshot, at)? else {
                return Ok(Batch { records: Vec::new(), next: from });
            };
            if from < head.low {
                return Err(LogError::Lost { at: at.clone(), asked: from, start: head.low });
            }
            match at.topic.cleanup() {
                Cleanup::Compacted => {
                    self.count_once(snapshot, at, &head)?;
                    read_compacted(snapshot, at, &head, from, limit)
                }
                Cleanup::KeptForEver | Cleanup::DeletedAfterMs(_) => read_dense(snapshot, at, &head, from, limit),
            }
        })
    }

    pub(crate) fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let head = self.with_snapshot(|snapshot| schema::read_head(snapshot, at))?.unwrap_or(Head::EMPTY);
        Ok(Bounds { start: head.low, end: head.next })
    }

    /// Waits for what another process appends.
    pub(crate) fn poll(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        let since = Instant::now();
        let mut pause = POLL_MIN;
        while self.bounds(at)?.end <= from {
            let Some(left) = timeout.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(POLL_MAX);
        }
        Ok(())
    }

    fn with_snapshot<T>(&self, read: impl FnOnce(&Connection) -> Result<T, LogError>) -> Result<T, LogError> {
        let idle = || self.idle.lock().expect("no thread panics while it holds the connections");
        let known = idle().pop();
        let mut connection = match known {
            Some(connection) => connection,
            None => opening::connect_reader(&self.directory)?,
        };
        let snapshot = connection.transaction().map_err(|error| from_sqlite(&error, schema::DATABASE))?;
        let result = read(&snapshot);
        let ended = snapshot.finish();
        // A connection that met an error is closed, so that the next begins anew.
        if result.is_ok() && ended.is_ok() {
            let mut idle = idle();
            if idle.len() < IDLE_CONNECTIONS {
                idle.push(connection);
            }
        }
        result
    }

    /// Offsets of a compacted topic have gaps, so a missing row shows in the
    /// count alone. Counting costs a scan: once for each process.
    fn count_once(&self, snapshot: &Connection, at: &TopicPartition, head: &Head) -> Result<(), LogError> {
        let counted = || self.counted.lock().expect("no thread panics while it holds the set");
        if counted().contains(at) {
            return Ok(());
        }
        // The table, not its index: a row may be missing in one of them.
        let count = format!("SELECT count(*) FROM {} NOT INDEXED", schema::table(at));
        let rows = snapshot.query_row(&count, [], |row| row.get::<_, i64>(0));
        let rows = rows.map_err(|error| from_sqlite(&error, &format!("{at}, counting its rows")))?.cast_unsigned();
        if rows != head.live {
            let Head { low, next, live, .. } = head;
            let at = format!("{at}, offsets {low} to {next} (expected {live} records, found {rows})");
            return Err(damaged(at));
        }
        counted().insert(at.clone());
        Ok(())
    }
}

/// A topic without gaps.
fn read_dense(
    snapshot: &Connection,
    at: &TopicPartition,
    head: &Head,
    from: u64,
    limit: ReadLimit,
) -> Result<Batch, LogError> {
    let (batch, is_complete) = read_rows(snapshot, at, head, from, limit)?;
    let mut expected = from;
    for record in &batch.records {
        if record.offset != expected {
            return Err(damaged(format!("{at}, offset {expected} (the record is missing)")));
        }
        expected += 1;
    }
    if is_complete && expected < head.next {
        return Err(damaged(format!("{at}, offset {expected} (the records up to {} are missing)", head.next)));
    }
    Ok(batch)
}

fn read_compacted(
    snapshot: &Connection,
    at: &TopicPartition,
    head: &Head,
    from: u64,
    limit: ReadLimit,
) -> Result<Batch, LogError> {
    let (mut batch, is_complete) = read_rows(snapshot, at, head, from, limit)?;
    if is_complete {
        // What was here is superseded.
        batch.next = batch.next.max(head.next);
    }
    Ok(batch)
}

/// The rows from an offset on, and whether they are all there are.
fn read_rows(
    snapshot: &Connection,
    at: &TopicPartition,
    head: &Head,
    from: u64,
    limit: ReadLimit,
) -> Result<(Batch, bool), LogError> {
    let mut batch = Batch { records: Vec::new(), next: from };
    if from >= head.next {
        return Ok((batch, true));
    }
    let most = limit.records.clamp(1, SNAPSHOT_RECORDS);
    let partition = Checksum::of_partition(at);
    let select = format!("SELECT {RECORD_COLUMNS} FROM {} WHERE offset >= ? ORDER BY offset", schema::table(at));
    let failed = |error: rusqlite::Error, next: u64| from_sqlite(&error, &format!("{at}, offset {next} or behind it"));
    let mut select = snapshot.prepare_cached(&select).map_err(|error| failed(error, from))?;
    let mut rows = select.query([from.cast_signed()]).map_err(|error| failed(error, from))?;
    let mut bytes = 0;
    loop {
        let Some(row) = rows.next().map_err(|error| failed(error, batch.next))? else {
            return Ok((batch, true));
        };
        let Some(record) = schema::decode_record(row, partition).filter(|record| record.offset < head.next) else {
            let place = row.get::<_, i64>(0).map_or(batch.next, i64::cast_unsigned);
            return Err(damaged(format!("{at}, offset {place} (the record does not match its checksum)")));
        };
        bytes += record.key.len() + record.headers.as_bytes().len() + record.value.as_ref().map_or(0, Vec::len);
        let is_over = batch.records.len() == most || bytes > limit.bytes;
        if is_over && !batch.records.is_empty() {
            return Ok((batch, false));
        }
        batch.next = record.offset + 1;
        batch.records.push(record);
    }
}
