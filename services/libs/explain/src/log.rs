//! Reading the log by search and by stretch. Offsets may have gaps: a read from an
//! offset returns the next record there is.

use tradewind_ports::{Bounds, EventLog, LogError, ReadLimit, Record, TopicPartition};

use crate::error::ExplainError;

const ONE: ReadLimit = ReadLimit { records: 1, bytes: 1 };

/// Enough for one read to be worth it, little enough to hold.
const BATCH: ReadLimit = ReadLimit { records: 2_000, bytes: 4 << 20 };

pub(crate) type Log<'a> = &'a dyn EventLog;

/// The first record at or behind `from` and before `end`.
pub(crate) fn next(log: Log<'_>, at: &TopicPartition, from: u64, end: u64) -> Result<Option<Record>, LogError> {
    let mut from = from;
    while from < end {
        let batch = log.read(at, from, ONE)?;
        if let Some(record) = batch.records.into_iter().next() {
            return Ok((record.offset < end).then_some(record));
        }
        if batch.next <= from {
            break;
        }
        from = batch.next;
    }
    Ok(None)
}

/// The lowest offset from which on no record lies before what is searched.
/// `is_before` holds for a prefix of the partition and for nothing behind it.
pub(crate) fn seek(
    log: Log<'_>,
    at: &TopicPartition,
    bounds: Bounds,
    is_before: impl Fn(&Record) -> Result<bool, ExplainError>,
) -> Result<u64, ExplainError> {
    let (mut low, mut high) = (bounds.start, bounds.end);
    while low < high {
        let middle = low + (high - low) / 2;
        match next(log, at, middle, high)? {
            Some(record) if is_before(&record)? => low = record.offset + 1,
            // Everything from the middle on is behind it, or nothing is there.
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    On,
    Done,
}

/// Shows the records of `[from, to)` in order until one says that it is done.
/// Returns where it stopped: `to`, or behind the record that said so.
pub(crate) fn scan(
    log: Log<'_>,
    at: &TopicPartition,
    from: u64,
    to: u64,
    mut see: impl FnMut(&Record) -> Result<Scan, ExplainError>,
) -> Result<u64, ExplainError> {
    let mut from = from;
    while from < to {
        let batch = log.read(at, from, BATCH)?;
        for record in batch.records.iter().take_while(|record| record.offset < to) {
            if see(record)? == Scan::Done {
                return Ok(record.offset + 1);
            }
        }
        if batch.next <= from {
            break;
        }
        from = batch.next;
    }
    Ok(to)
}
