//! A thread that works for one partition until it is told to stop.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tradewind_orchestrator::Pulse;

/// A thread that is silent for so long hangs, and nothing that it holds is safe.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Why a thread ended without being told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Another process has its partition.
    Fenced,
    /// A person has to look; a successor would get no further.
    Stopped(String),
    /// It panicked: what it shared with other threads may be in any state.
    Panicked(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Fenced => formatter.write_str("keep the partition: another process has it"),
            Ended::Stopped(reason) | Ended::Panicked(reason) => formatter.write_str(reason),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Worker {
    /// The thread's, and what a probe calls it.
    name: String,
    stop: Arc<AtomicBool>,
    pulse: Option<Pulse>,
    silence_max: Duration,
    thread: JoinHandle<Result<(), Ended>>,
}

impl Worker {
    pub(crate) fn start(
        name: String,
        pulse: Option<Pulse>,
        work: impl FnOnce(&AtomicBool) -> Result<(), Ended> + Send + 'static,
    ) -> io::Result<Worker> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || work(&asked))?;
        Ok(Worker { name, stop, pulse, silence_max: SILENCE_MAX, thread })
    }

    /// Asks it to stop; [`Worker::join`] waits until it has.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// It has not come round for too long.
    pub(crate) fn hangs(&self) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.silent_for() > self.silence_max)
    }

    /// For tests, which have less time.
    #[cfg(test)]
    pub(crate) fn that_hangs_after(self, silence_max: Duration) -> Worker {
        Worker { silence_max, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn join(self) -> Result<(), Ended> {
        let Worker { name, thread, .. } = self;
        thread.join().unwrap_or_else(|_| Err(Ended::Panicked(format!("keep {name} alive: it panicked"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_panics_says_so_when_it_is_joined() {
        let worker = Worker::start("owner-0".into(), None, |_| panic!("as the test wants")).unwrap();
        assert!(!worker.hangs(), "without a pulse nothing can be said");
        assert!(matches!(worker.join(), Err(Ended::Panicked(reason)) if reason.contains("owner-0")));
    }
}
