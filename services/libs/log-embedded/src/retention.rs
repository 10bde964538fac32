//! Deleting what is older than its topic is kept, a slice at a time.

use std::ops::ControlFlow;

use tradewind_domain::Timestamp;
use tradewind_ports::{LogError, Record, TopicPartition};

use crate::checksum::Checksum;
use crate::damage::{damaged, from_sqlite};
use crate::schema::{self, RECORD_COLUMNS};
use crate::store::Store;

/// Small enough that nobody who waits to append notices.
pub(crate) const SLICE_RECORDS: usize = 1000;

/// Deletes the oldest records as long as they were appended before `cutoff`. Goes
/// on if there may be more.
pub(crate) fn delete_expired(
    store: &mut Store,
    at: &TopicPartition,
    cutoff: Timestamp,
) -> Result<ControlFlow<()>, LogError> {
    delete_while(store, at, |record| record.appended_at < cutoff)
}

/// Deletes from the beginning on what is `old`. Records are read before, whole: a
/// damaged time must not delete anything.
fn delete_while(
    store: &mut Store,
    at: &TopicPartition,
    is_old: impl Fn(&Record) -> bool,
) -> Result<ControlFlow<()>, LogError> {
    let (old, end) = count_old(store, at, is_old)?;
    let Some(end) = end else {
        return Ok(ControlFlow::Break(()));
    };
    store.commit(|changes| {
        let delete = format!("DELETE FROM {} WHERE offset < ?", schema::table(at));
        let connection = changes.connection;
        let deleted = connection.prepare_cached(&delete).and_then(|mut delete| delete.execute([end.cast_signed()]));
        let deleted = deleted.map_err(|error| from_sqlite(&error, &format!("{at}, deleting up to {end}")))?;
        let head = changes.head(at)?;
        let (low, expected) = (head.low, end.checked_sub(head.low));
        if deleted != old || expected != Some(old as u64) {
            return Err(damaged(format!("{at}, offsets {low} to {end} (found {old} records, deleted {deleted})")));
        }
        head.low = end;
        head.remove(at, deleted)
    })?;
    Ok(if old == SLICE_RECORDS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
}

/// How many records of the first slice are old, and the offset behind them.
fn count_old(
    store: &Store,
    at: &TopicPartition,
    is_old: impl Fn(&Record) -> bool,
) -> Result<(usize, Option<u64>), LogError> {
    let failed = |error: rusqlite::Error| from_sqlite(&error, &format!("{at}, at its beginning"));
    let partition = Checksum::of_partition(at);
    let select = format!("SELECT {RECORD_COLUMNS} FROM {} ORDER BY offset LIMIT {SLICE_RECORDS}", schema::table(at));
    let mut select = store.connection.prepare_cached(&select).map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    let (mut old, mut end) = (0, None);
    while let Some(row) = rows.next().map_err(failed)? {
        let Some(record) = schema::decode_record(row, partition) else {
            let place = row.get::<_, i64>(0).map_or(0, i64::cast_unsigned);
            return Err(damaged(format!("{at}, offset {place} (the record does not match its checksum)")));
        };
        if !is_old(&record) {
            break;
        }
        old += 1;
        end = Some(record.offset + 1);
    }
    Ok((old, end))
}

/// Deletes the records before an offset, as the contract's tests ask for.
#[cfg(test)]
pub(crate) fn delete_before(store: &mut Store, at: &TopicPartition, offset: u64) -> Result<ControlFlow<()>, LogError> {
    delete_while(store, at, |record| record.offset < offset)
}
