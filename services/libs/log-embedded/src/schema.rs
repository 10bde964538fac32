//! The tables. A record table for each (topic, partition), in which an offset is
//! the row id; beside them where each partition begins and ends, who may write,
//! and how many commits there were. Every row has a checksum.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use tradewind_domain::Timestamp;
use tradewind_ports::{Cleanup, Headers, LogError, Record, Topic, TopicPartition};

use crate::checksum::Checksum;
use crate::damage::{damaged, from_sqlite};

/// The layout this code reads and writes.
pub(crate) const FORMAT: u32 = 1;

pub(crate) const PAGE_BYTES: u32 = 8192;

/// Where a damaged row of the other tables is.
pub(crate) const DATABASE: &str = "log.db";

const PREFIX: &str = "record_";

/// Which log this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) format: u32,
    /// Drawn when the log was made.
    pub(crate) lineage: [u8; 16],
    pub(crate) partitions: u32,
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The next record's offset.
    pub(crate) next: u64,
    /// The oldest offset that retention kept; 0 where topics are compacted.
    pub(crate) low: u64,
    /// The rows there are.
    pub(crate) live: u64,
    /// When the newest record was appended.
    pub(crate) appended_at: Timestamp,
}

impl Head {
    pub(crate) const EMPTY: Head = Head { next: 0, low: 0, live: 0, appended_at: Timestamp::MIN };

    /// Counts rows that are gone; there can't be more than there were.
    pub(crate) fn remove(&mut self, at: &TopicPartition, rows: usize) -> Result<(), LogError> {
        let left = self.live.checked_sub(rows as u64);
        self.live = left.ok_or_else(|| damaged(format!("{at} (expected {} rows, removed {rows})", self.live)))?;
        Ok(())
    }

    fn checksum(&self, at: &TopicPartition) -> i64 {
        let time = self.appended_at.millis().cast_unsigned();
        Checksum::of_partition(at).number(self.next).number(self.low).number(self.live).number(time).value()
    }
}

/// The name of a partition's table.
pub(crate) fn table_name(at: &TopicPartition) -> String {
    format!("{PREFIX}{}_{}", at.topic.name(), at.partition)
}

/// The table as SQL names it. A topic's name has no quotation mark in it.
pub(crate) fn table(at: &TopicPartition) -> String {
    format!("\"{}\"", table_name(at))
}

/// A new log's tables.
pub(crate) fn create(connection: &Connection, partitions: u32) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE meta(
             id INTEGER PRIMARY KEY CHECK (id = 1),
             format INTEGER NOT NULL, lineage BLOB NOT NULL, partitions INTEGER NOT NULL, crc INTEGER NOT NULL);
         CREATE TABLE progress(
             id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER NOT NULL, crc INTEGER NOT NULL);
         CREATE TABLE head(
             topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, low INTEGER NOT NULL,
             live INTEGER NOT NULL, time INTEGER NOT NULL, crc INTEGER NOT NULL,
             PRIMARY KEY (topic, partition)) WITHOUT ROWID;
         CREATE TABLE producer(id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;",
    )?;
    let lineage: [u8; 16] = connection.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    let meta = Meta { format: FORMAT, lineage, partitions };
    connection.execute(
        "INSERT INTO meta VALUES (1, ?, ?, ?, ?)",
        (meta.format, meta.lineage, meta.partitions, meta_checksum(&meta)),
    )?;
    connection.execute("INSERT INTO progress VALUES (1, 0, ?)", [progress_checksum(0)])?;
    Ok(())
}

/// A partition's table, made with its first record.
pub(crate) fn create_partition(connection: &Connection, at: &TopicPartition) -> rusqlite::Result<()> {
    let (table, name) = (table(at), table_name(at));
    connection.execute_batch(&format!(
        "CREATE TABLE {table}(
             offset INTEGER PRIMARY KEY, time INTEGER NOT NULL, key BLOB NOT NULL, headers BLOB NOT NULL,
             value BLOB, crc INTEGER NOT NULL)"
    ))?;
    if at.topic.cleanup() == Cleanup::Compacted {
        connection.execute_batch(&format!(
            "CREATE UNIQUE INDEX \"key_{name}\" ON {table}(key);
             CREATE INDEX \"tombstone_{name}\" ON {table}(time) WHERE value IS NULL"
        ))?;
    }
    Ok(())
}

fn meta_checksum(meta: &Meta) -> i64 {
    let numbers = Checksum::of("meta").number(u64::from(meta.format)).number(u64::from(meta.partitions));
    numbers.bytes(&meta.lineage).value()
}

fn progress_checksum(commits: u64) -> i64 {
    Checksum::of("progress").number(commits).value()
}

fn producer_checksum(id: &str, epoch: u64) -> i64 {
    Checksum::of("producer").bytes(id.as_bytes()).number(epoch).value()
}

pub(crate) fn read_meta(connection: &Connection) -> Result<Meta, LogError> {
    let read = connection.query_row("SELECT format, lineage, partitions, crc FROM meta", [], |row| {
        Ok((Meta { format: row.get(0)?, lineage: row.get(1)?, partitions: row.get(2)? }, row.get::<_, i64>(3)?))
    });
    checked("meta", read, |(meta, crc)| (meta_checksum(&meta) == crc).then_some(meta))
}

pub(crate) fn read_commits(connection: &Connection) -> Result<u64, LogError> {
    let read = connection.query_row("SELECT commits, crc FROM progress", [], |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?))
    });
    checked("progress", read, |(commits, crc)| (progress_checksum(commits) == crc).then_some(commits))
}

pub(crate) fn write_commits(connection: &Connection, commits: u64) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE progress SET commits = ?, crc = ?")?;
    update.execute((commits.cast_signed(), progress_checksum(commits))).map(drop)
}

fn checked<R, T>(table: &str, read: rusqlite::Result<R>, check: impl FnOnce(R) -> Option<T>) -> Result<T, LogError> {
    let at = format!("{DATABASE}, table {table}");
    let read = read.map_err(|error| from_sqlite(&error, &at))?;
    check(read).ok_or_else(|| damaged(format!("{at} (a row does not match its checksum)")))
}

/// One partition's head; `None` where nothing was ever appended.
pub(crate) fn read_head(connection: &Connection, at: &TopicPartition) -> Result<Option<Head>, LogError> {
    let failed = |error: rusqlite::Error| from_sqlite(&error, &format!("{DATABASE}, head of {at}"));
    let mut select = connection
        .prepare_cached("SELECT next, low, live, time, crc FROM head WHERE topic = ? AND partition = ?")
        .map_err(failed)?;
    let found = select.query_row((at.topic.name(), at.partition), |row| decode_head(row, 0));
    match found.optional().map_err(failed)? {
        Some((head, crc)) if head.checksum(at) == crc => Ok(Some(head)),
        Some(_) => Err(damaged(format!("{DATABASE}, head of {at} (it does not match its checksum)"))),
        None if table_names(connection)?.contains(&table_name(at)) => {
            Err(damaged(format!("{DATABASE}, head of {at} (there are records, and no head)")))
        }
        None => Ok(None),
    }
}

fn decode_head(row: &Row<'_>, first: usize) -> rusqlite::Result<(Head, i64)> {
    let number = |column: usize| row.get::<_, i64>(first + column);
    let head = Head {
        next: number(0)?.cast_unsigned(),
        low: number(1)?.cast_unsigned(),
        live: number(2)?.cast_unsigned(),
        appended_at: Timestamp::from_millis(number(3)?),
    };
    Ok((head, number(4)?))
}

pub(crate) fn write_head(connection: &Connection, at: &TopicPartition, head: &Head) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO head(topic, partition, next, low, live, time, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (topic, partition) DO UPDATE SET next = ?3, low = ?4, live = ?5, time = ?6, crc = ?7",
    )?;
    let numbers = (head.next.cast_signed(), head.low.cast_signed(), head.live.cast_signed());
    let row =
        (at.topic.name(), at.partition, numbers.0, numbers.1, numbers.2, head.appended_at.millis(), head.checksum(at));
    upsert.execute(row).map(drop)
}

/// Every head, compared with the tables there are and their first and last rows.
pub(crate) fn read_heads(connection: &Connection) -> Result<BTreeMap<TopicPartition, Head>, LogError> {
    let at = format!("{DATABASE}, table head");
    let failed = |error: rusqlite::Error| from_sqlite(&error, &at);
    let mut heads = BTreeMap::new();
    let mut select =
        connection.prepare("SELECT topic, partition, next, low, live, time, crc FROM head").map_err(failed)?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, decode_head(row, 2)?)));
    for row in rows.map_err(failed)? {
        let (topic, partition, (head, crc)) = row.map_err(failed)?;
        let known = Topic::parse(&topic).map(|topic| topic.partition(partition));
        let of = known.filter(|of| head.checksum(of) == crc);
        let of = of.ok_or_else(|| damaged(format!("{DATABASE}, head of {topic}[{partition}]")))?;
        check_ends(connection, &of, &head)?;
        heads.insert(of, head);
    }
    let expected: BTreeSet<String> = heads.keys().map(table_name).collect();
    let tables = table_names(connection)?;
    if let Some(odd) = expected.symmetric_difference(&tables).next() {
        return Err(damaged(format!("{DATABASE}, {odd} (expected a table and a head, found one of them)")));
    }
    Ok(heads)
}

fn check_ends(connection: &Connection, at: &TopicPartition, head: &Head) -> Result<(), LogError> {
    let ends = connection.query_row(&format!("SELECT min(offset), max(offset) FROM {}", table(at)), [], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    });
    let (first, last) = ends.map_err(|error| from_sqlite(&error, &format!("{at} (its ends)")))?;
    let rows = first.zip(last).map(|(first, last)| (first.cast_unsigned(), last.cast_unsigned()));
    let is_sound = match (at.topic.cleanup(), rows) {
        (Cleanup::Compacted, Some((_, last))) => last < head.next && head.live > 0,
        (Cleanup::Compacted, None) => head.live == 0,
        (Cleanup::KeptForEver | Cleanup::DeletedAfterMs(_), Some(rows)) => rows == (head.low, head.next - 1),
        (Cleanup::KeptForEver | Cleanup::DeletedAfterMs(_), None) => head.low == head.next,
    };
    let Head { low, next, .. } = head;
    is_sound
        .then_some(())
        .ok_or_else(|| damaged(format!("{at} (expected offsets {low} to {next}, found {rows:?} as first and last)")))
}

fn table_names(connection: &Connection) -> Result<BTreeSet<String>, LogError> {
    let failed = |error: rusqlite::Error| from_sqlite(&error, DATABASE);
    let select = format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '{PREFIX}*'");
    let mut select = connection.prepare_cached(&select).map_err(failed)?;
    let names = select.query_map([], |row| row.get(0)).map_err(failed)?;
    names.collect::<Result<_, _>>().map_err(failed)
}

/// The newest epoch of every writer.
pub(crate) fn read_epochs(connection: &Connection) -> Result<BTreeMap<String, u64>, LogError> {
    let at = format!("{DATABASE}, table producer");
    let failed = |error: rusqlite::Error| from_sqlite(&error, &at);
    let mut select = connection.prepare("SELECT id, epoch, crc FROM producer").map_err(failed)?;
    let rows = select.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?))
    });
    let mut epochs = BTreeMap::new();
    for row in rows.map_err(failed)? {
        let (id, epoch, crc) = row.map_err(failed)?;
        if producer_checksum(&id, epoch) != crc {
            return Err(damaged(format!("{at} (the row of {id:?} does not match its checksum)")));
        }
        epochs.insert(id, epoch);
    }
    Ok(epochs)
}

pub(crate) fn write_epoch(connection: &Connection, id: &str, epoch: u64) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO producer(id, epoch, crc) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET epoch = ?2, crc = ?3",
    )?;
    upsert.execute((id, epoch.cast_signed(), producer_checksum(id, epoch))).map(drop)
}

/// The columns that [`decode_record`] reads, in its order.
pub(crate) const RECORD_COLUMNS: &str = "offset, time, key, headers, value, crc";

/// A row of a record table; `None` if it is not what was written.
pub(crate) fn decode_record(row: &Row<'_>, partition: Checksum) -> Option<Record> {
    let number = |column: usize| row.get_ref(column).ok()?.as_i64().ok();
    let bytes = |column: usize| row.get_ref(column).ok()?.as_blob().ok();
    let (offset, time) = (number(0)?.cast_unsigned(), number(1)?);
    let (key, headers) = (bytes(2)?, bytes(3)?);
    let value = match row.get_ref(4).ok()? {
        ValueRef::Null => None,
        ValueRef::Blob(value) => Some(value),
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => return None,
    };
    if partition.record(offset, time, key, headers, value) != number(5)? {
        return None;
    }
    Some(Record {
        offset,
        appended_at: Timestamp::from_millis(time),
        key: key.to_vec(),
        headers: Headers::from_bytes(headers.to_vec())?,
        value: value.map(<[u8]>::to_vec),
    })
}
