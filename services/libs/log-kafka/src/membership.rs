//! Which process owns which partition: Kafka's own group membership, over a topic nobody writes to.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use tradewind_ports::{LogError, Topic};

use crate::errors::{is_fenced, unavailable};
use crate::native::remind;
use crate::settings::KafkaSettings;

/// What became of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Ours from now on: recover it and begin.
    Assigned(u32),
    /// Stop what runs for it, then call [`Membership::release`]. It may be another's already, if this process was
    /// silent for too long; then what it writes is fenced.
    Revoked(u32),
}

/// This process's membership in a group of owners.
///
/// Members are static: one that is back within 15 s keeps its partitions, and leaving isn't announced. The group hears from
/// a member by itself, but one that isn't polled for 30 s is out: so whoever polls it vouches for the owners' threads.
///
/// A second process with the same member id ends the first: its [`Membership::poll`] answers `Fenced`.
pub struct Membership {
    consumer: BaseConsumer<Rebalances>,
    topic: String,
    /// Revoked and not yet released, until all of one revocation are.
    unreleased: BTreeSet<u32>,
    /// The revocation to be acknowledged.
    revoked: Vec<u32>,
    is_settled: bool,
    bootstrap: String,
    reminded_at: Instant,
}

/// A client that knows no broker any more is as silent as one with nothing to tell.
const REMIND_EVERY: Duration = Duration::from_secs(3);

impl fmt::Debug for Membership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Membership").field("unreleased", &self.unreleased).finish_non_exhaustive()
    }
}

/// Rebalances as librdkafka tells them, not yet acted on.
#[derive(Default)]
struct Rebalances {
    noted: Mutex<Vec<Rebalance>>,
    /// The membership is being dropped, so nobody will act.
    is_closing: AtomicBool,
}

enum Rebalance {
    Assign(Vec<u32>),
    Revoke(Vec<u32>),
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    /// Only notes it: librdkafka waits for the (un)assign, and with it the whole group, until the caller has acted.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.is_closing.load(Ordering::Relaxed) {
            // Without this, closing would wait for ever. That it fails means that nothing was assigned.
            let _ = consumer.incremental_unassign(list);
            return;
        }
        let mut partitions: Vec<u32> =
            list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect();
        partitions.sort_unstable();
        let rebalance = if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke(partitions)
        };
        self.noted.lock().expect("nobody panics while it holds the rebalances").push(rebalance);
    }
}

impl Membership {
    /// Joins the group of this name, as this member.
    ///
    /// # Errors
    ///
    /// librdkafka doesn't take the settings. That the brokers answer shows only in [`Membership::poll`].
    pub fn join(settings: &KafkaSettings, group: &str, member: &str) -> Result<Membership, LogError> {
        let refused = |error: KafkaError| unavailable(&format!("join {group} as {member}"), &error);
        let topic = settings.topic_name(&Topic::Owners);
        let consumer: BaseConsumer<Rebalances> =
            settings.member(group, member).create_with_context(Rebalances::default()).map_err(refused)?;
        consumer.subscribe(&[&topic]).map_err(refused)?;
        Ok(Membership {
            consumer,
            topic,
            unreleased: BTreeSet::new(),
            revoked: Vec::new(),
            is_settled: false,
            bootstrap: settings.bootstrap.clone(),
            reminded_at: Instant::now(),
        })
    }

    /// Waits so long for changes. To be called at least every 30 s, also while a revocation is being acted on.
    ///
    /// # Errors
    ///
    /// `Fenced` if another process took this member's place; then drop it. After `Unavailable`, poll on.
    pub fn poll(&mut self, timeout: Duration) -> Result<Vec<Change>, LogError> {
        let deadline = Instant::now() + timeout;
        let mut failure = None;
        if self.reminded_at.elapsed() >= REMIND_EVERY {
            remind(self.consumer.client(), &self.bootstrap);
            self.reminded_at = Instant::now();
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(Err(error)) = self.consumer.poll(left) {
                failure = self.judge(&error)?;
            }
            let changes = self.take_changes()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            if left.is_zero() {
                return failure.map_or(Ok(Vec::new()), Err);
            }
        }
    }

    /// Whether the group has said what is ours, if only that nothing is.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Says that nothing runs any more for a partition that was revoked. Once this is said of all that were
    /// revoked with it, the group goes on and another may own them.
    ///
    /// # Errors
    ///
    /// The group can't be told.
    pub fn release(&mut self, partition: u32) -> Result<(), LogError> {
        if self.unreleased.remove(&partition) && self.unreleased.is_empty() {
            self.acknowledge_revocation()?;
        }
        Ok(())
    }

    fn acknowledge_revocation(&mut self) -> Result<(), LogError> {
        let revoked = std::mem::take(&mut self.revoked);
        let list = self.list(&revoked)?;
        self.consumer.incremental_unassign(&list).map_err(|error| unavailable("release partitions", &error))
    }

    fn take_changes(&mut self) -> Result<Vec<Change>, LogError> {
        let noted =
            std::mem::take(&mut *self.consumer.context().noted.lock().expect("nobody panics while it holds them"));
        let mut changes = Vec::new();
        for rebalance in noted {
            match rebalance {
                Rebalance::Assign(partitions) => {
                    self.is_settled = true;
                    let list = self.list(&partitions)?;
                    self.consumer.incremental_assign(&list).map_err(|error| unavailable("take partitions", &error))?;
                    changes.extend(partitions.into_iter().map(Change::Assigned));
                }
                // librdkafka begins no other rebalance before this one is acknowledged.
                Rebalance::Revoke(partitions) => {
                    self.unreleased.extend(&partitions);
                    self.revoked.clone_from(&partitions);
                    if partitions.is_empty() {
                        self.acknowledge_revocation()?;
                    }
                    changes.extend(partitions.into_iter().map(Change::Revoked));
                }
            }
        }
        Ok(changes)
    }

    fn list(&self, partitions: &[u32]) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let partition = i32::try_from(*partition).expect("expected a partition number below 2^31");
            list.add_partition_offset(&self.topic, partition, Offset::End)
                .map_err(|error| unavailable("list partitions", &error))?;
        }
        Ok(list)
    }

    /// What of an error is the caller's business; most of them librdkafka mends.
    fn judge(&self, error: &KafkaError) -> Result<Option<LogError>, LogError> {
        let fatal = self.consumer.client().fatal_error().map(|(code, _)| code);
        if [error.rdkafka_error_code(), fatal].into_iter().flatten().any(is_fenced) {
            return Err(LogError::Fenced);
        }
        let is_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        Ok((is_down || fatal.is_some()).then(|| unavailable("hear from the group", error)))
    }
}

/// Members are static, so the group keeps the partitions for this one until its session is over.
impl Drop for Membership {
    fn drop(&mut self) {
        self.consumer.context().is_closing.store(true, Ordering::Relaxed);
        if !self.revoked.is_empty() {
            // A revocation nobody acknowledged holds the closing up.
            let _ = self.acknowledge_revocation();
        }
    }
}
