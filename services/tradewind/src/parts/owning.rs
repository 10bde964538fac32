//! Which partitions this process works for: those that its membership says.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use tradewind_log_kafka::{Change, Membership};
use tradewind_ports::LogError;
use tradewind_telemetry::{Health, Part, Shutdown};

use crate::failure::Failure;
use crate::parts::worker::{Ended, Worker};

/// Longest wait for a change, so that threads are looked at in between.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// A partition that another process had, and that is ours all the same by then,
/// is taken up again. It is longer than a session: had the group given the
/// partition away, this process would have been told.
const FENCED_PAUSE: Duration = Duration::from_secs(20);

/// A partition that nobody gets any further with is tried again, in case a person has seen to it: a broker's limit
/// raised, a topic restored.
const STOPPED_PAUSE: Duration = Duration::from_secs(60);

/// After so long without an error the group counts as heard again.
const CALM: Duration = Duration::from_secs(2);

/// Of the 10 s that a stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// The membership, as far as it is needed here.
pub(crate) trait Group {
    fn poll(&mut self, timeout: Duration) -> Result<Vec<Change>, LogError>;
    fn release(&mut self, partition: u32) -> Result<(), LogError>;
    /// Whether the group has said what is ours, if only that nothing is.
    fn is_settled(&self) -> bool;
}

impl Group for Membership {
    fn poll(&mut self, timeout: Duration) -> Result<Vec<Change>, LogError> {
        Membership::poll(self, timeout)
    }

    fn release(&mut self, partition: u32) -> Result<(), LogError> {
        Membership::release(self, partition)
    }

    fn is_settled(&self) -> bool {
        Membership::is_settled(self)
    }
}

/// The workers of one membership, by partition.
struct Workers<'a> {
    running: BTreeMap<u32, Worker>,
    /// Told to stop, since the partition was revoked.
    leaving: BTreeMap<u32, Worker>,
    /// Revoked when nobody worked for it any more.
    idle: Vec<u32>,
    /// Ours by the membership, and nobody works for it.
    resting: BTreeMap<u32, Rest>,
    start: &'a dyn Fn(u32) -> io::Result<Worker>,
}

/// After a worker that has ended by itself.
struct Rest {
    /// The worker's.
    name: String,
    until: Instant,
}

/// Works for the partitions of a membership until it is told to stop. The
/// membership is heard only while every worker comes round: one that hangs ends
/// the process, and with it every claim to its partitions.
///
/// A partition with which nobody gets any further stays here, shown as not ready: given away, it would end
/// the next process, and with it the work for all other partitions.
pub(crate) fn own<G: Group>(
    mut group: G,
    start: &dyn Fn(u32) -> io::Result<Worker>,
    part: &Part,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    part.waits_for("the group of owners");
    let mut workers = Workers {
        running: BTreeMap::new(),
        leaving: BTreeMap::new(),
        idle: Vec::new(),
        resting: BTreeMap::new(),
        start,
    };
    let (mut trouble, mut troubled_at) = (String::new(), None::<Instant>);
    while !shutdown.is_requested() {
        if let Some(name) = workers.hanging() {
            // Leaving the group in good order would acknowledge a revocation whose
            // thread still lives.
            std::mem::forget(group);
            return Err(Failure::stopped(format!("keep {name} alive: it hangs")));
        }
        workers.check()?;
        match group.poll(POLL_EVERY) {
            Ok(changes) => {
                for change in changes {
                    tracing::info!(?change, "membership");
                    match change {
                        Change::Assigned(partition) => workers.begin(partition)?,
                        Change::Revoked(partition) => workers.revoke(partition, health),
                    }
                }
                // That nothing is wrong any more shows in silence alone.
                if group.is_settled() && troubled_at.is_none_or(|at| at.elapsed() > CALM) {
                    part.ready();
                    trouble.clear();
                    troubled_at = None;
                }
            }
            Err(LogError::Fenced) => {
                return Err(Failure::stopped("stay in the group: another process has the same member name"));
            }
            // What it says is healed by polling on, or by a person who reads it.
            Err(error) => {
                troubled_at = Some(Instant::now());
                let said = error.to_string();
                if said != trouble {
                    tracing::warn!(%error, "the group of owners");
                    part.waits_for(said.clone());
                    trouble = said;
                }
            }
        }
        for partition in workers.left(health)? {
            group.release(partition).map_err(Failure::unavailable)?;
        }
    }
    workers.stop()
}

impl Workers<'_> {
    fn begin(&mut self, partition: u32) -> Result<(), Failure> {
        let worker = (self.start)(partition).map_err(Failure::unavailable)?;
        let former = self.running.insert(partition, worker);
        assert!(former.is_none(), "expected nobody to work for partition {partition} when it is assigned");
        Ok(())
    }

    fn revoke(&mut self, partition: u32, health: &Health) {
        if let Some(rest) = self.resting.remove(&partition) {
            health.part(rest.name).leave();
        }
        match self.running.remove(&partition) {
            Some(worker) => {
                worker.stop();
                self.leaving.insert(partition, worker);
            }
            None => self.idle.push(partition),
        }
    }

    /// The partitions whose workers have ended since they were revoked.
    fn left(&mut self, health: &Health) -> Result<Vec<u32>, Failure> {
        let ended: Vec<(u32, Worker)> = self.leaving.extract_if(.., |_, worker| worker.is_finished()).collect();
        let mut left = std::mem::take(&mut self.idle);
        for (partition, worker) in ended {
            let name = worker.name().to_owned();
            match worker.join() {
                Ok(()) | Err(Ended::Fenced) => {}
                // Its next owner will find out and say so.
                Err(Ended::Stopped(_)) => health.part(name).leave(),
                Err(Ended::Panicked(reason)) => return Err(Failure::stopped(reason)),
            }
            left.push(partition);
        }
        Ok(left)
    }

    fn hanging(&self) -> Option<String> {
        let mut workers = self.running.values().chain(self.leaving.values());
        workers.find(|worker| worker.hangs()).map(|worker| worker.name().to_owned())
    }

    fn check(&mut self) -> Result<(), Failure> {
        let ended: Vec<(u32, Worker)> = self.running.extract_if(.., |_, worker| worker.is_finished()).collect();
        for (partition, worker) in ended {
            let name = worker.name().to_owned();
            let pause = match worker.join() {
                Err(Ended::Panicked(reason)) => return Err(Failure::stopped(reason)),
                Err(Ended::Stopped(reason)) => {
                    tracing::error!(partition, reason, "nobody works for {name} until a person has seen to it");
                    STOPPED_PAUSE
                }
                Ok(()) | Err(Ended::Fenced) => {
                    tracing::warn!(partition, "another process has the partition");
                    FENCED_PAUSE
                }
            };
            self.resting.insert(partition, Rest { name, until: Instant::now() + pause });
        }
        let now = Instant::now();
        let again: Vec<(u32, Rest)> = self.resting.extract_if(.., |_, rest| rest.until <= now).collect();
        again.into_iter().try_for_each(|(partition, _)| self.begin(partition))
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
                Ok(()) | Err(Ended::Fenced | Ended::Stopped(_)) => {}
                Err(Ended::Panicked(reason)) => return Err(Failure::stopped(reason)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use tradewind_orchestrator::Pulse;
    use tradewind_telemetry::Health;

    use super::*;

    /// The partition that is broken, once one is.
    const BROKEN: u32 = 5;

    type Heard = Result<Vec<Change>, LogError>;

    /// A group that says what a test wants said.
    #[derive(Clone, Default)]
    struct Script {
        said: Arc<Mutex<VecDeque<Heard>>>,
        released: Arc<Mutex<Vec<u32>>>,
    }

    impl Script {
        fn say(&self, heard: Heard) {
            self.said.lock().unwrap().push_back(heard);
        }

        fn released(&self) -> Vec<u32> {
            self.released.lock().unwrap().clone()
        }
    }

    impl Group for Script {
        fn poll(&mut self, _: Duration) -> Heard {
            thread::sleep(Duration::from_millis(1));
            self.said.lock().unwrap().pop_front().unwrap_or(Ok(Vec::new()))
        }

        fn release(&mut self, partition: u32) -> Result<(), LogError> {
            self.released.lock().unwrap().push(partition);
            Ok(())
        }

        fn is_settled(&self) -> bool {
            true
        }
    }

    /// What one worker of a test does, and what became of it.
    #[derive(Clone, Default)]
    struct Fate {
        starts: Arc<Mutex<Vec<u32>>>,
        stopped: Arc<AtomicBool>,
        /// It may end, once it was told to.
        may_end: Arc<AtomicBool>,
        is_fenced: Arc<AtomicBool>,
        /// What it works for can't be worked for.
        is_broken: Arc<AtomicBool>,
        is_mute: Arc<AtomicBool>,
    }

    impl Fate {
        fn start(&self, partition: u32, health: &Health) -> io::Result<Worker> {
            self.starts.lock().unwrap().push(partition);
            let (fate, pulse) = (self.clone(), Pulse::new());
            let name = format!("partition {partition}");
            let part = health.part(name.clone());
            Worker::start(name, Some(pulse.clone()), move |stop| {
                loop {
                    if fate.is_broken.load(Ordering::Relaxed) && partition == BROKEN {
                        part.waits_for("a person");
                        return Err(Ended::Stopped("read it".into()));
                    }
                    part.ready();
                    if !fate.is_mute.load(Ordering::Relaxed) {
                        pulse.beat();
                    }
                    if fate.is_fenced.load(Ordering::Relaxed) {
                        part.leave();
                        return Err(Ended::Fenced);
                    }
                    if stop.load(Ordering::Relaxed) && fate.may_end.load(Ordering::Relaxed) {
                        part.leave();
                        fate.stopped.store(true, Ordering::Relaxed);
                        return Ok(());
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            })
        }
    }

    struct Owned {
        script: Script,
        fate: Fate,
        health: Health,
        shutdown: Shutdown,
        thread: thread::JoinHandle<Result<(), Failure>>,
    }

    fn owned() -> Owned {
        owned_by(|worker| worker)
    }

    fn owned_by(made: fn(Worker) -> Worker) -> Owned {
        let (script, fate, health, shutdown) = (Script::default(), Fate::default(), Health::new(), Shutdown::new());
        fate.may_end.store(true, Ordering::Relaxed);
        let thread = thread::spawn({
            let (script, fate, health, shutdown) = (script.clone(), fate.clone(), health.clone(), shutdown.clone());
            move || {
                let start = |partition| fate.start(partition, &health).map(made);
                own(script, &start, &health.part("group"), &health, &shutdown)
            }
        });
        Owned { script, fate, health, shutdown, thread }
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_revocation_is_acknowledged_when_the_worker_has_stopped_and_not_before() {
        let owned = owned();
        owned.fate.may_end.store(false, Ordering::Relaxed);
        owned.script.say(Ok(vec![Change::Assigned(3)]));
        wait_until("it works", || *owned.fate.starts.lock().unwrap() == [3]);
        owned.script.say(Ok(vec![Change::Revoked(3)]));
        // The answers to these come behind the one to the revocation.
        for _ in 0..20 {
            owned.script.say(Ok(Vec::new()));
        }
        wait_until("the group was polled on", || owned.script.said.lock().unwrap().is_empty());
        assert_eq!(owned.script.released(), [0; 0]);
        owned.fate.may_end.store(true, Ordering::Relaxed);
        wait_until("it is released", || owned.script.released() == [3]);
        assert!(owned.fate.stopped.load(Ordering::Relaxed));
        owned.shutdown.request();
        owned.thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_partition_that_was_fenced_before_it_was_revoked_is_released_too() {
        let owned = owned();
        owned.script.say(Ok(vec![Change::Assigned(3)]));
        wait_until("it works", || !owned.fate.starts.lock().unwrap().is_empty());
        owned.fate.is_fenced.store(true, Ordering::Relaxed);
        for _ in 0..50 {
            owned.script.say(Ok(Vec::new()));
        }
        owned.script.say(Ok(vec![Change::Revoked(3)]));
        wait_until("it is released", || owned.script.released() == [3]);
        assert_eq!(*owned.fate.starts.lock().unwrap(), [3], "it is not taken up again");
        owned.shutdown.request();
        owned.thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_partition_nobody_gets_further_with_stays_and_is_shown_while_the_others_are_worked_for() {
        let owned = owned();
        owned.fate.is_broken.store(true, Ordering::Relaxed);
        owned.script.say(Ok(vec![Change::Assigned(BROKEN)]));
        owned.script.say(Ok(vec![Change::Assigned(BROKEN + 1)]));
        let begun = || owned.fate.starts.lock().unwrap().clone();
        wait_until("both are begun", || begun() == [BROKEN, BROKEN + 1]);
        for _ in 0..50 {
            owned.script.say(Ok(Vec::new()));
        }
        wait_until("the group was polled on", || owned.script.said.lock().unwrap().is_empty());
        assert!(!owned.thread.is_finished() && !owned.health.is_ready());
        assert_eq!(owned.script.released(), [0; 0]);
        owned.script.say(Ok(vec![Change::Revoked(BROKEN)]));
        wait_until("it is released", || owned.script.released() == [BROKEN]);
        wait_until("it is not shown here any more", || owned.health.is_ready());
        assert_eq!(begun(), [BROKEN, BROKEN + 1]);
        owned.shutdown.request();
        owned.thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_process_without_partitions_is_ready_and_one_in_trouble_is_not() {
        let owned = owned();
        wait_until("it is ready", || owned.health.is_ready());
        owned.script.say(Err(LogError::Unavailable { reason: "no broker".into() }));
        owned.script.say(Err(LogError::Unavailable { reason: "no broker".into() }));
        wait_until("both were heard", || owned.script.said.lock().unwrap().is_empty());
        wait_until("it is not ready", || !owned.health.is_ready());
        wait_until("it is ready again", || owned.health.is_ready());
        owned.script.say(Err(LogError::Fenced));
        let Err(failure) = owned.thread.join().unwrap() else { panic!("expected it to end") };
        assert!(failure.reason.contains("same member name"), "{failure}");
    }

    #[test]
    fn a_worker_that_hangs_ends_all_of_it_and_acknowledges_nothing() {
        let owned = owned_by(|worker| worker.that_hangs_after(Duration::from_millis(5)));
        owned.fate.may_end.store(false, Ordering::Relaxed);
        owned.fate.is_mute.store(true, Ordering::Relaxed);
        owned.script.say(Ok(vec![Change::Assigned(0)]));
        wait_until("it has ended", || owned.thread.is_finished());
        let Err(failure) = owned.thread.join().unwrap() else { panic!("expected it to end for a reason") };
        assert!(failure.reason.contains("partition 0") && failure.reason.contains("hangs"), "{failure}");
        assert_eq!(owned.script.released(), [0; 0]);
        // The thread that hung is still there; let it go.
        owned.fate.is_fenced.store(true, Ordering::Relaxed);
    }
}
