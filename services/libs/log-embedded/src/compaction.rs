//! Compacted topics: a record replaces the older one of its key as it is
//! written, so what is left to do is to sweep tombstones, and to see to it that
//! what was replaced can't be read from the files any more.

use std::ops::ControlFlow;

use rusqlite::Connection;
use tradewind_domain::Timestamp;
use tradewind_ports::{LogError, TopicPartition};

use crate::damage::{damaged, from_sqlite};
use crate::opening::BUSY_WAIT;
use crate::retention::SLICE_RECORDS;
use crate::schema;
use crate::store::{Store, truncate_wal};

/// How long a tombstone stays, so that whoever follows the topic sees it. A
/// reader that was away for longer must read the topic whole.
pub(crate) const TOMBSTONE_MS: i64 = 24 * 60 * 60 * 1000;

/// Sweeps the tombstones that were appended before `cutoff`. Goes on if there
/// may be more.
pub(crate) fn sweep_tombstones(
    store: &mut Store,
    at: &TopicPartition,
    cutoff: Timestamp,
) -> Result<ControlFlow<()>, LogError> {
    let failed = |error: rusqlite::Error| from_sqlite(&error, &format!("{at}, sweeping tombstones"));
    let table = schema::table(at);
    let offsets = expired_tombstones(&store.connection, &table, cutoff).map_err(failed)?;
    if offsets.is_empty() {
        return Ok(ControlFlow::Break(()));
    }
    store.commit(|changes| {
        let delete = format!("DELETE FROM {table} WHERE offset = ? AND value IS NULL");
        let mut delete = changes.connection.prepare_cached(&delete).map_err(failed)?;
        for offset in &offsets {
            // The index of tombstones said so; the row must agree.
            if delete.execute([offset]).map_err(failed)? != 1 {
                return Err(damaged(format!("{at}, offset {offset} (expected a tombstone)")));
            }
        }
        changes.has_superseded = true;
        changes.head(at)?.remove(at, offsets.len())
    })?;
    Ok(if offsets.len() == SLICE_RECORDS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
}

fn expired_tombstones(connection: &Connection, table: &str, cutoff: Timestamp) -> rusqlite::Result<Vec<i64>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT offset FROM {table} WHERE value IS NULL AND time < ? ORDER BY time LIMIT {SLICE_RECORDS}"
    ))?;
    select.query_map([cutoff.millis()], |row| row.get(0))?.collect()
}

/// Takes what was replaced out of the WAL too, unless a reader is in the way;
/// then the next call will.
pub(crate) fn forget_superseded(store: &mut Store) -> Result<(), LogError> {
    if store.has_superseded {
        let failed = |error: rusqlite::Error| from_sqlite(&error, schema::DATABASE);
        store.connection.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
        let is_truncated = truncate_wal(&store.connection);
        store.connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
        store.has_superseded = !is_truncated?;
    }
    Ok(())
}
