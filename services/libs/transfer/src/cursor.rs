//! Reads a topic record by record, in bounded batches, up to the end it had.

use std::collections::VecDeque;

use tradewind_ports::{EventLog, LogError, ReadLimit, Record, TopicPartition};

const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 4 << 20 };

pub(crate) struct Cursor<'a> {
    log: &'a dyn EventLog,
    at: TopicPartition,
    next: u64,
    end: u64,
    batch: VecDeque<Record>,
}

impl<'a> Cursor<'a> {
    /// From the oldest record there is.
    pub(crate) fn open(log: &'a dyn EventLog, at: TopicPartition) -> Result<Cursor<'a>, LogError> {
        let bounds = log.bounds(&at)?;
        Ok(Cursor { log, at, next: bounds.start, end: bounds.end, batch: VecDeque::new() })
    }

    pub(crate) fn at(&self) -> &TopicPartition {
        &self.at
    }

    /// The next record, left in place; `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<&Record>, LogError> {
        while self.batch.is_empty() && self.next < self.end {
            let batch = self.log.read(&self.at, self.next, BATCH)?;
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
}
