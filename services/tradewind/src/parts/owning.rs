//! Which partitions this process works for: those that its membership says.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use tradewind_log_kafka::{Change, Membership};
use tradewind_ports::LogError;
use tradewind_telemetry::{Part, Shutdown};

use crate::failure::Failure;
use crate::parts::worker::{Ended, Worker};

/// Longest wait for a change, so that threads are looked at in between.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// A partition that another process had, and that is ours all the same by then,
/// is taken up again.
const FENCED_PAUSE: Duration = Duration::from_secs(5);

/// Of the 10 s that a stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// The workers of one membership, by partition.
struct Workers<'a> {
    running: BTreeMap<u32, Worker>,
    /// Told to stop, since the partition was revoked.
    leaving: BTreeMap<u32, Worker>,
    /// Ours by the membership, and fenced: when to try again.
    fenced: BTreeMap<u32, Instant>,
    start: &'a dyn Fn(u32) -> io::Result<Worker>,
}

/// Works for the partitions of a membership until it is told to stop. The
/// membership is heard only while every worker comes round: one that hangs ends
/// the process, and with it every claim to its partitions.
pub(crate) fn own(
    mut membership: Membership,
    start: &dyn Fn(u32) -> io::Result<Worker>,
    part: &Part,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    part.waits_for("the group of owners");
    let mut workers = Workers { running: BTreeMap::new(), leaving: BTreeMap::new(), fenced: BTreeMap::new(), start };
    while !shutdown.is_requested() {
        workers.check()?;
        match membership.poll(POLL_EVERY) {
            Ok(changes) => {
                for change in changes {
                    tracing::info!(?change, "membership");
                    match change {
                        Change::Assigned(partition) => workers.begin(partition)?,
                        Change::Revoked(partition) => workers.revoke(partition),
                    }
                    part.ready();
                }
            }
            Err(LogError::Fenced) => {
                return Err(Failure::stopped("stay in the group: another process has the same member name"));
            }
            // What it says is healed by polling on.
            Err(error) => tracing::debug!(%error, "membership"),
        }
        for partition in workers.left()? {
            membership.release(partition).map_err(Failure::unavailable)?;
        }
    }
    workers.stop()
}

impl Workers<'_> {
    fn begin(&mut self, partition: u32) -> Result<(), Failure> {
        let worker = (self.start)(partition).map_err(Failure::unavailable)?;
        self.running.insert(partition, worker);
        Ok(())
    }

    fn revoke(&mut self, partition: u32) {
        self.fenced.remove(&partition);
        if let Some(worker) = self.running.remove(&partition) {
            worker.stop();
            self.leaving.insert(partition, worker);
        } else {
            self.leaving.remove(&partition);
        }
    }

    /// The partitions whose workers have ended since they were revoked.
    fn left(&mut self) -> Result<Vec<u32>, Failure> {
        let ended: Vec<(u32, Worker)> = self.leaving.extract_if(.., |_, worker| worker.is_finished()).collect();
        let mut left = Vec::new();
        for (partition, worker) in ended {
            match worker.join() {
                Ok(()) | Err(Ended::Fenced) => left.push(partition),
                Err(Ended::Stopped(reason)) => return Err(Failure::stopped(reason)),
            }
        }
        Ok(left)
    }

    fn check(&mut self) -> Result<(), Failure> {
        if let Some(worker) = self.running.values().chain(self.leaving.values()).find(|worker| worker.hangs()) {
            return Err(Failure::stopped(format!("keep {} alive: it hangs", worker.name())));
        }
        let ended: Vec<(u32, Worker)> = self.running.extract_if(.., |_, worker| worker.is_finished()).collect();
        for (partition, worker) in ended {
            match worker.join() {
                Err(Ended::Stopped(reason)) => return Err(Failure::stopped(reason)),
                Ok(()) | Err(Ended::Fenced) => {
                    tracing::warn!(partition, "another process has the partition");
                    self.fenced.insert(partition, Instant::now() + FENCED_PAUSE);
                }
            }
        }
        let now = Instant::now();
        let again: Vec<u32> = self.fenced.extract_if(.., |_, at| *at <= now).map(|(partition, _)| partition).collect();
        again.into_iter().try_for_each(|partition| self.begin(partition))
    }

    fn stop(self) -> Result<(), Failure> {
        let workers: Vec<Worker> = self.running.into_values().chain(self.leaving.into_values()).collect();
        workers.iter().for_each(Worker::stop);
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until && !workers.iter().all(Worker::is_finished) {
            std::thread::sleep(Duration::from_millis(10));
        }
        for worker in workers {
            if !worker.is_finished() {
                let reason = format!("stop {} in time: the next start reads more of the log", worker.name());
                return Err(Failure::stopped(reason));
            }
            match worker.join() {
                Ok(()) | Err(Ended::Fenced) => {}
                Err(Ended::Stopped(reason)) => return Err(Failure::stopped(reason)),
            }
        }
        Ok(())
    }
}
