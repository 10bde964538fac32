//! Reads a topic record by record, in bounded batches.

use std::collections::VecDeque;

use tradewind_ports::{EventLog, LogError, ReadLimit, Record, TopicPartition};

/// Enough for one read to be worth it, little enough to hold.
const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

pub(crate) struct Cursor<'a> {
    log: &'a dyn EventLog,
    at: TopicPartition,
    next: u64,
    /// Records from here on are not read.
    end: u64,
    batch: VecDeque<Record>,
    /// Told of each batch: whoever reads is alive.
    alive: &'a dyn Fn(),
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(
        log: &'a dyn EventLog,
        at: TopicPartition,
        from: u64,
        end: u64,
        alive: &'a dyn Fn(),
    ) -> Cursor<'a> {
        Cursor { log, at, next: from, end, batch: VecDeque::new(), alive }
    }

    /// As a reader before it left off: what that one had read and not taken, then
    /// everything behind it.
    pub(crate) fn go_on(
        log: &'a dyn EventLog,
        at: TopicPartition,
        batch: VecDeque<Record>,
        next: u64,
        alive: &'a dyn Fn(),
    ) -> Cursor<'a> {
        Cursor { log, at, next, end: u64::MAX, batch, alive }
    }

    pub(crate) fn at(&self) -> &TopicPartition {
        &self.at
    }

    /// The next record, left in place; `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<&Record>, LogError> {
        while self.batch.is_empty() && self.next < self.end {
            let batch = self.log.read(&self.at, self.next, BATCH)?;
            (self.alive)();
            if batch.records.is_empty() && batch.next == self.next {
                break;
            }
            self.next = batch.next;
            self.batch.extend(batch.records);
        }
        Ok(self.batch.front().filter(|record| record.offset < self.end))
    }

    pub(crate) fn next(&mut self) -> Result<Option<Record>, LogError> {
        Ok(if self.peek()?.is_some() { self.batch.pop_front() } else { None })
    }

    /// What was read and not taken, and where to read on.
    pub(crate) fn into_rest(self) -> (VecDeque<Record>, u64) {
        (self.batch, self.next)
    }
}
