//! A group: what waited together is written in one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tradewind_domain::Timestamp;
use tradewind_ports::{Cleanup, LogError, NewRecord, TopicPartition};

use crate::checksum::Checksum;
use crate::damage::from_sqlite;
use crate::schema::{self, RECORD_COLUMNS};
use crate::store::{Changes, Store};

/// Records that show together or not at all.
#[derive(Default)]
pub(crate) struct Transaction {
    /// Who writes it; `None` for what is appended outside any transaction.
    pub(crate) author: Option<Author>,
    pub(crate) writes: Vec<Write>,
    /// More of it, made of the first offset of each of the writes.
    pub(crate) linked: Option<LinkedWrites>,
}

pub(crate) type Write = (TopicPartition, Vec<NewRecord>);

/// An error refuses what is linked, and only that.
pub(crate) type LinkedWrites = Box<dyn FnOnce(&[u64]) -> Result<Vec<Write>, LogError> + Send>;

/// One life of a transactional writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) id: String,
    pub(crate) epoch: u64,
}

impl Transaction {
    pub(crate) fn records(&self) -> usize {
        self.writes.iter().map(|(_, records)| records.len()).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().flat_map(|(_, records)| records).map(bytes).sum()
    }
}

pub(crate) fn bytes(record: &NewRecord) -> usize {
    record.key.len() + record.headers.as_bytes().len() + record.value.as_ref().map_or(0, Vec::len)
}

/// Writes the transactions whose authors are not fenced. Returns for each the
/// first offset of each of its writes, without the linked ones.
pub(crate) fn write(
    store: &mut Store,
    transactions: Vec<Transaction>,
    now: Timestamp,
) -> Result<Vec<Result<Vec<u64>, LogError>>, LogError> {
    let is_fenced = |transaction: &Transaction| {
        let author = transaction.author.as_ref();
        author.is_some_and(|author| store.epochs.get(&author.id) != Some(&author.epoch))
    };
    let fenced: Vec<bool> = transactions.iter().map(is_fenced).collect();
    if fenced.iter().all(|is_fenced| *is_fenced) {
        return Ok(vec![Err(LogError::Fenced); transactions.len()]);
    }
    store.commit(|changes| {
        let written = transactions.into_iter().zip(fenced).map(|(transaction, is_fenced)| {
            if is_fenced {
                return Ok(Err(LogError::Fenced));
            }
            let firsts = insert_all(changes, &transaction.writes, now)?;
            match transaction.linked.map(|linked| made(linked, &firsts)) {
                None => {}
                Some(Ok(writes)) => drop(insert_all(changes, &writes, now)?),
                Some(Err(refusal)) => return Ok(Err(refusal)),
            }
            Ok(Ok(firsts))
        });
        written.collect()
    })
}

/// It is the caller's code, on the one thread that writes: its panic is its own.
fn made(linked: LinkedWrites, firsts: &[u64]) -> Result<Vec<Write>, LogError> {
    let made = catch_unwind(AssertUnwindSafe(|| linked(firsts)));
    made.unwrap_or_else(|_| Err(LogError::Refused { reason: "what was to be linked failed to be made".into() }))
}

/// Inserts writes; returns the first offset of each.
fn insert_all(changes: &mut Changes<'_>, writes: &[Write], now: Timestamp) -> Result<Vec<u64>, LogError> {
    writes.iter().map(|(at, records)| insert(changes, at, records, now)).collect()
}

/// Inserts behind the end of a partition; returns the first offset.
fn insert(
    changes: &mut Changes<'_>,
    at: &TopicPartition,
    records: &[NewRecord],
    now: Timestamp,
) -> Result<u64, LogError> {
    let connection = changes.connection;
    let failed = |error: rusqlite::Error| from_sqlite(&error, &format!("{at}, at its end"));
    let table = schema::table(at);
    let partition = Checksum::of_partition(at);
    let is_compacted = at.topic.cleanup() == Cleanup::Compacted;
    let mut superseded = 0;
    let head = changes.head(at)?;
    let first = head.next;
    // A clock that was set back must not turn the order around.
    head.appended_at = head.appended_at.max(now);
    let time = head.appended_at.millis();
    let insert = format!("INSERT INTO {table}({RECORD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)");
    let mut insert = connection.prepare_cached(&insert).map_err(failed)?;
    for record in records {
        if is_compacted {
            let delete = format!("DELETE FROM {table} WHERE key = ?");
            let deleted = connection.prepare_cached(&delete).and_then(|mut delete| delete.execute([&record.key]));
            superseded += deleted.map_err(failed)?;
        }
        let (headers, value) = (record.headers.as_bytes(), record.value.as_deref());
        let crc = partition.record(head.next, time, &record.key, headers, value);
        insert.execute((head.next.cast_signed(), time, &record.key, headers, value, crc)).map_err(failed)?;
        head.next += 1;
        head.live += 1;
    }
    head.remove(at, superseded)?;
    changes.has_superseded |= superseded > 0;
    Ok(first)
}
