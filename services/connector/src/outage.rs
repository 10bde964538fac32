//! Whether deliveries are taken: an operator is told when the log goes away and when
//! it is back, with how many were turned away between, and not of each of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tradewind_telemetry::Gauge;

/// An outage is over once nothing was turned away for so long, lest one that comes
/// and goes be told each time.
const CALM: Duration = Duration::from_secs(5);

/// A partition to which nobody sends any more does not keep an outage from ending.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What all who take deliveries share.
#[derive(Clone, Debug)]
pub(crate) struct Outages {
    current: Arc<Mutex<Option<Outage>>>,
    gauge: Gauge,
}

/// From the first delivery that was turned away.
#[derive(Debug)]
struct Outage {
    since: Instant,
    /// Deliveries, of whatever partition.
    turned_away: u64,
    /// When each partition last did not take one.
    partitions: BTreeMap<u32, Instant>,
}

/// An outage that is over.
#[derive(Debug, PartialEq, Eq)]
struct Over {
    lasted: Duration,
    turned_away: u64,
}

impl Outages {
    pub(crate) fn new(gauge: Gauge) -> Outages {
        Outages { current: Arc::default(), gauge }
    }

    /// The log, or the vault that needs it, did not do its part for this partition.
    pub(crate) fn failed(&self, partition: u32, reason: &impl fmt::Display) {
        if Outage::fail(&mut self.current(), partition, Instant::now()) {
            self.gauge.set(1);
            tracing::error!(partition, %reason, "deliveries are turned away");
        }
    }

    /// A delivery was answered that it shall come again.
    pub(crate) fn turned_away(&self) {
        if let Some(outage) = self.current().as_mut() {
            outage.turned_away += 1;
        }
    }

    /// The log took something for this partition.
    pub(crate) fn took(&self, partition: u32) {
        if let Some(Over { lasted, turned_away }) = Outage::take(&mut self.current(), partition, Instant::now()) {
            self.gauge.set(0);
            tracing::warn!(turned_away, seconds = lasted.as_secs(), "deliveries are taken again");
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Outage>> {
        self.current.lock().expect("nothing panics while it holds the outage")
    }
}

impl Outage {
    /// Whether it begins with this.
    fn fail(current: &mut Option<Outage>, partition: u32, now: Instant) -> bool {
        let begins = current.is_none();
        let outage = current.get_or_insert_with(|| Outage { since: now, turned_away: 0, partitions: BTreeMap::new() });
        outage.partitions.insert(partition, now);
        begins
    }

    /// The outage, if it is over with this.
    fn take(current: &mut Option<Outage>, partition: u32, now: Instant) -> Option<Over> {
        let outage = current.as_mut()?;
        outage
            .partitions
            .retain(|other, last| now.duration_since(*last) < if *other == partition { CALM } else { FORGOTTEN });
        if !outage.partitions.is_empty() {
            return None;
        }
        let over = Over { lasted: now.duration_since(outage.since), turned_away: outage.turned_away };
        *current = None;
        Some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a sequence of failures and successes: (second, partition, took).
    fn told(steps: &[(u64, u32, bool)]) -> Vec<String> {
        let start = Instant::now();
        let mut current = None;
        let tell = |(second, partition, took): &(u64, u32, bool)| {
            let now = start + Duration::from_secs(*second);
            if *took {
                let over = Outage::take(&mut current, *partition, now)?;
                return Some(format!(
                    "{second}: back after {} s, {} turned away",
                    over.lasted.as_secs(),
                    over.turned_away
                ));
            }
            let begins = Outage::fail(&mut current, *partition, now);
            current.as_mut().expect("one is under way").turned_away += 1;
            begins.then(|| format!("{second}: away"))
        };
        steps.iter().filter_map(tell).collect()
    }

    #[test]
    fn an_outage_is_told_twice_however_many_it_turns_away() {
        let steps = [(0, 1, true), (1, 1, false), (2, 1, false), (9, 1, false), (14, 1, true), (15, 1, true)];
        assert_eq!(told(&steps), ["1: away", "14: back after 13 s, 3 turned away"]);
    }

    #[test]
    fn one_that_comes_and_goes_is_one_outage() {
        let steps = [(0, 1, false), (4, 1, true), (5, 1, false), (9, 1, true), (10, 1, true)];
        assert_eq!(told(&steps), ["0: away", "10: back after 10 s, 2 turned away"]);
    }

    #[test]
    fn another_partitions_success_ends_nothing() {
        let steps = [(0, 1, false), (20, 2, true), (30, 1, false), (31, 2, true), (40, 1, true)];
        assert_eq!(told(&steps), ["0: away", "40: back after 40 s, 2 turned away"]);
    }

    #[test]
    fn a_partition_nobody_sends_to_any_more_is_not_waited_for() {
        assert_eq!(
            told(&[(0, 1, false), (59, 2, true), (60, 2, true)]),
            ["0: away", "60: back after 60 s, 1 turned away"]
        );
    }
}
