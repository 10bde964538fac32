//! Reads a topic record by record, in bounded batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tradewind_ports::{EventLog, ReadLimit, Record, TopicPartition};

use crate::error::OwnerError;

/// Enough for one read to be worth it, little enough to hold.
const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

/// Whether to go on with what takes long; an error says why not.
pub(crate) type GoOn<'a> = dyn Fn() -> Result<(), OwnerError> + 'a;

pub(crate) struct Cursor<'a> {
    log: &'a dyn EventLog,
    at: TopicPartition,
    next: u64,
    /// Records from here on are not read.
    end: u64,
    batch: VecDeque<Record>,
    /// Asked at each batch: whoever reads is alive, and may be told to stop.
    go_on: &'a GoOn<'a>,
    /// Shows `next` to whoever looks on.
    shown: Arc<AtomicU64>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(
        log: &'a dyn EventLog,
        at: TopicPartition,
        from: u64,
        end: u64,
        go_on: &'a GoOn<'a>,
    ) -> Cursor<'a> {
        Cursor { log, at, next: from, end, batch: VecDeque::new(), go_on, shown: Arc::default() }
    }

    /// As a reader before it left off: what that one had read and not taken, then
    /// everything behind it. `shown` follows how far it has read.
    pub(crate) fn go_on(
        log: &'a dyn EventLog,
        at: TopicPartition,
        batch: VecDeque<Record>,
        next: u64,
        go_on: &'a GoOn<'a>,
        shown: Arc<AtomicU64>,
    ) -> Cursor<'a> {
        Cursor { log, at, next, end: u64::MAX, batch, go_on, shown }
    }

    pub(crate) fn at(&self) -> &TopicPartition {
        &self.at
    }

    /// The next record, left in place; `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<&Record>, OwnerError> {
        while self.batch.is_empty() && self.next < self.end {
            let batch = self.log.read(&self.at, self.next, BATCH)?;
            (self.go_on)()?;
            if batch.records.is_empty() && batch.next == self.next {
                break;
            }
            self.next = batch.next;
            self.shown.store(batch.next, Ordering::Relaxed);
            self.batch.extend(batch.records);
        }
        Ok(self.batch.front().filter(|record| record.offset < self.end))
    }

    pub(crate) fn next(&mut self) -> Result<Option<Record>, OwnerError> {
        Ok(if self.peek()?.is_some() { self.batch.pop_front() } else { None })
    }

    /// Everything before it was read.
    pub(crate) fn read_to(&self) -> u64 {
        self.next
    }

    /// What was read and not taken, and where to read on.
    pub(crate) fn into_rest(self) -> (VecDeque<Record>, u64) {
        (self.batch, self.next)
    }
}
