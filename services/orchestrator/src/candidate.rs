//! Catching up before owning (D4): a release with another fold, or one whose disk
//! is new, folds what was committed of every partition it may come to own, and
//! says only then that it is there. Until then others own, and nobody waits for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tradewind_ports::EventLog;
use tradewind_telemetry::Part;

use crate::error::{OwnerError, Remedy};
use crate::follow::Follower;
use crate::host::Stores;
use crate::owner::Settings;

/// Whoever had no more events than this to fold has caught up: an owner folds as
/// many in a moment.
const NEAR: u64 = 50_000;

const RETRY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A partition that this process may come to own.
pub struct Candidate {
    pub settings: Settings,
    pub log: Arc<dyn EventLog>,
    pub stores: Box<dyn Stores>,
    /// Says how far it is, and leaves when all are done.
    pub part: Part,
}

/// Whether to go on; asked from several threads.
type GoOn<'a> = dyn Fn() -> bool + Sync + 'a;

struct Following {
    candidate: Candidate,
    follower: Option<Follower>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Candidate").field("partition", &self.settings.partition).finish_non_exhaustive()
    }
}

/// Returns when the stores of all candidates are about where the log is, and
/// closed. What can be healed is; where the log has nothing committed yet, there
/// is nothing to do.
///
/// # Errors
///
/// [`OwnerError::Stopped`] when `go_on` says no; else what a person has to look at.
pub fn catch_up(candidates: Vec<Candidate>, threads: usize, go_on: &GoOn<'_>) -> Result<(), OwnerError> {
    let mut all: Vec<Following> =
        candidates.into_iter().map(|candidate| Following { candidate, follower: None }).collect();
    // What one fails with is what the others stop for.
    let failed: Mutex<Option<OwnerError>> = Mutex::default();
    let failed = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let go_on = || go_on() && failed().is_none();
    // While one partition is read, the others fall behind again.
    loop {
        let most = AtomicU64::new(0);
        on_threads(&mut all, threads, &|following| match following.pass(&go_on) {
            Ok(folded) => {
                most.fetch_max(folded, Ordering::Relaxed);
            }
            Err(error) => {
                failed().get_or_insert(error);
            }
        });
        if let Some(error) = failed().take() {
            return Err(error);
        }
        if most.into_inner() <= NEAR {
            break;
        }
    }
    on_threads(&mut all, threads, &Following::finish);
    Ok(())
}

/// Returns when it was done for each.
fn on_threads(all: &mut [Following], threads: usize, work: &(dyn Fn(&mut Following) + Sync)) {
    let share = all.len().div_ceil(threads.max(1)).max(1);
    thread::scope(|scope| {
        for share in all.chunks_mut(share) {
            scope.spawn(|| share.iter_mut().for_each(work));
        }
    });
}

impl Following {
    /// Folds what is committed by now. Returns how many offsets that were.
    fn pass(&mut self, go_on: &GoOn<'_>) -> Result<u64, OwnerError> {
        loop {
            let error = match self.try_pass(go_on) {
                Ok(folded) => return Ok(folded),
                Err(error) => error,
            };
            let partition = self.candidate.settings.partition;
            self.candidate.part.waits_for(error.to_string());
            match error.remedy() {
                Remedy::GiveUp | Remedy::Stop => return Err(error),
                Remedy::Recover => tracing::warn!(partition, %error, "catching up anew"),
                Remedy::Rebuild => {
                    tracing::warn!(partition, %error, "the store is moved aside and folded again from the log");
                    self.candidate.stores.move_aside(&error.to_string())?;
                }
            }
            let until = Instant::now() + RETRY;
            while Instant::now() < until {
                check(go_on)?;
                thread::sleep(LOOK_EVERY);
            }
        }
    }

    fn try_pass(&mut self, go_on: &GoOn<'_>) -> Result<u64, OwnerError> {
        check(go_on)?;
        let follower = match self.follower.take() {
            Some(follower) => follower,
            None => self.open()?,
        };
        let before = follower.followed()?;
        let follower = follower.follow_while(&|offset| {
            self.candidate.part.waits_for(progress("catching up", offset, before.events_end));
            check(go_on)
        })?;
        let after = follower.followed()?;
        let text = progress("caught up, waits for the others", after.committed.offset, after.events_end);
        self.candidate.part.waits_for(text);
        self.follower = Some(follower);
        Ok(after.committed.offset.saturating_sub(before.committed.offset))
    }

    fn open(&mut self) -> Result<Follower, OwnerError> {
        let Candidate { settings, log, stores, .. } = &mut self.candidate;
        let (store, rebuilt) = stores.open(&|| {})?;
        if let Some(reason) = rebuilt {
            tracing::warn!(partition = settings.partition, reason, "the store is folded again from the log");
        }
        Follower::open(settings.clone(), log.clone(), store)
    }

    /// Whoever comes to own it reads on from there, and more if it can't be written.
    fn finish(&mut self) {
        let partition = self.candidate.settings.partition;
        if let Some(follower) = self.follower.take() {
            let committed = follower.committed();
            match follower.finish() {
                Ok(()) => tracing::info!(partition, %committed, "caught up without owning it"),
                Err(error) => tracing::warn!(partition, %error, "what was caught up could not be written"),
            }
        }
        self.candidate.part.leave();
    }
}

fn check(go_on: &GoOn<'_>) -> Result<(), OwnerError> {
    if go_on() { Ok(()) } else { Err(OwnerError::Stopped) }
}

/// What lies behind the last commit is decided by an owner only, so it may end
/// before the log does.
fn progress(what: &str, offset: u64, end: u64) -> String {
    let percent = u128::from(offset) * 100 / u128::from(end.max(1));
    format!("{what}: at offset {offset} of {end} ({percent} %)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_said_in_offsets_and_percent() {
        assert_eq!(progress("catching up", 1, 3), "catching up: at offset 1 of 3 (33 %)");
        assert_eq!(progress("catching up", 0, 0), "catching up: at offset 0 of 0 (0 %)");
    }
}
