//! Appends past orders to a tenant's partition.
//!
//! They are backfill: they fold, may end what runs, and start nothing. Running an
//! import again appends what is missing and nothing twice, since it first looks
//! which of the orders are on the log. Two imports at once do append twice, and
//! the copies fold to nothing.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use tradewind_domain::{Account, FactId, Tenant, Timestamp};
use tradewind_ports::{EventLog, Topic, TopicPartition};
use tradewind_wire::reading::ReadError;
use tradewind_wire::record;

use crate::cursor::Cursor;
use crate::orders::{self, Order};

/// Who the orders are of, where they belong, and how fast they may come.
#[derive(Clone, Debug)]
pub struct Import {
    pub tenant: Tenant,
    /// The shop's name at its vendor; orders of two accounts are different orders.
    pub account: Account,
    /// The tenant's, by the directory.
    pub partition: u32,
    pub placement: u32,
    pub pace: Pace,
}

/// Live facts wait behind at most one batch, and get what the bound leaves over.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Orders appended at once.
    pub batch: usize,
    /// `None` for as fast as the log takes them.
    pub per_second: Option<u32>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub appended: u64,
    /// Were on the log when it began.
    pub already: u64,
    /// All orders of the file.
    pub total: u64,
    /// Since the first was appended.
    pub elapsed: Duration,
}

impl Progress {
    /// Orders of the file that are on the log.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.already + self.appended
    }

    /// Orders appended in a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
    pub fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.appended as f64 / seconds } else { 0.0 }
    }
}

impl Pace {
    /// How long to wait before the next batch.
    fn pause(self, progress: &Progress) -> Duration {
        let Some(per_second) = self.per_second else { return Duration::ZERO };
        let earned = Duration::from_millis(progress.appended.saturating_mul(1_000) / u64::from(per_second.max(1)));
        earned.saturating_sub(progress.elapsed)
    }
}

impl Import {
    /// Appends what the log lacks of `orders`. `report` is called after each
    /// batch and may end it there; `now` is the producer's time of the facts.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]. What was appended stays, and is found the next time.
    pub fn run(
        &self,
        log: &dyn EventLog,
        orders: &[Order],
        now: Timestamp,
        report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Progress, ReadError> {
        let at = Topic::Events.partition(self.partition);
        let known = self.known(log, &at)?;
        let fact = |order: &Order| orders::fact(order, &self.tenant, &self.account, self.placement, now);
        let missing: Vec<&Order> = orders.iter().filter(|order| !known.contains(&fact(order).id)).collect();
        let (total, already) = (orders.len() as u64, (orders.len() - missing.len()) as u64);
        let mut progress = Progress { appended: 0, already, total, elapsed: Duration::ZERO };
        let started = Instant::now();
        for batch in missing.chunks(self.pace.batch.max(1)) {
            thread::sleep(self.pace.pause(&progress));
            let batch = batch.iter().map(|order| record::event(&fact(order))).collect();
            progress.appended += log.append(&at, batch)?.len() as u64;
            progress.elapsed = started.elapsed();
            if report(&progress).is_break() {
                break;
            }
        }
        Ok(progress)
    }

    /// The orders of this account that are on the log.
    fn known(&self, log: &dyn EventLog, at: &TopicPartition) -> Result<HashSet<FactId>, ReadError> {
        let mut known = HashSet::new();
        let vendor = orders::vendor();
        let mut events = Cursor::open(log, at.clone())?;
        while let Some(stored) = events.next()? {
            if stored.key != self.tenant.as_bytes() {
                continue;
            }
            let envelope = record::envelope(&stored).map_err(|source| ReadError::Unreadable {
                at: at.clone(),
                offset: stored.offset,
                source,
            })?;
            if envelope.source.vendor == vendor && envelope.source.account == self.account {
                known.insert(envelope.id);
            }
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_kept_by_pauses() {
        let pace = Pace { batch: 100, per_second: Some(1_000) };
        let after = |appended, elapsed_ms| {
            let elapsed = Duration::from_millis(elapsed_ms);
            pace.pause(&Progress { appended, already: 7, total: 10_000, elapsed }).as_millis()
        };
        assert_eq!(after(0, 0), 0);
        assert_eq!(after(100, 20), 80);
        assert_eq!(after(200, 500), 0);
        let unbounded = Pace { per_second: None, ..pace };
        let progress = Progress { appended: 100, already: 0, total: 100, elapsed: Duration::ZERO };
        assert_eq!(unbounded.pause(&progress), Duration::ZERO);
    }
}
