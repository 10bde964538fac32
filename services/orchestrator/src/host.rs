//! Keeping a partition owned: the thread that recovers an owner, lets it take
//! turns, and begins anew after whatever can be healed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tradewind_ports::{Clock, EventLog, StateStore, StoreError};
use tradewind_telemetry::Part;

use crate::ask::Questions;
use crate::directory::Directory;
use crate::drain::Drainage;
use crate::error::{OwnerError, Remedy};
use crate::metrics::Counted;
use crate::owner::{Owner, Settings};
use crate::pulse::Pulse;

/// Longest wait for the log: questions and a request to stop are seen in between.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// How often the directory is looked at.
const DIRECTORY_EVERY: Duration = Duration::from_millis(500);

/// How often it is counted how far behind the log this is.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// From one recovery that failed to the next: at first, and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Where a partition's store is.
pub trait Stores: Send {
    /// Opens it. If what was there could not be trusted, the store is empty and
    /// the second value says why. Calls `alive` while that takes long.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: the disk, or another process that has it open.
    fn open(&mut self, alive: &dyn Fn()) -> Result<(Box<dyn StateStore>, Option<String>), StoreError>;

    /// Moves a store aside that said it is damaged. Nothing has it open any more.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn move_aside(&mut self, reason: &str) -> Result<(), StoreError>;

    /// Removes what releases with an older fold left: this one has written its
    /// checkpoint, so none of them will go on from there. What another process has
    /// open stays. Returns the names of what is gone.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]; it is tried again at the next checkpoint.
    fn remove_older(&mut self) -> Result<Vec<String>, StoreError>;
}

/// One partition and everything its owner's thread needs.
pub struct Host {
    pub settings: Settings,
    pub log: Arc<dyn EventLog>,
    pub stores: Box<dyn Stores>,
    /// The wall's clock: the one by which the log's append times are.
    pub clock: Arc<dyn Clock>,
    pub questions: Questions,
    pub pulse: Pulse,
    pub part: Part,
    pub counted: Counted,
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("partition", &self.settings.partition).finish_non_exhaustive()
    }
}

/// Why a partition is not owned here any more.
#[derive(Debug)]
pub enum HostError {
    /// Another process owns it.
    Fenced,
    /// Nothing we can do lets it go on: a person has to look. Nobody else should
    /// try either.
    Stopped(OwnerError),
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::Fenced => formatter.write_str("own the partition: another process owns it"),
            HostError::Stopped(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for HostError {}

impl Host {
    /// Owns the partition until it is told to stop; then everything is in the
    /// store.
    ///
    /// # Errors
    ///
    /// See [`HostError`].
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), HostError> {
        let mut pause = RETRY_MIN;
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let error = match self.own(stop) {
                Ok(()) | Err(OwnerError::Stopped) => break,
                Err(error) => error,
            };
            self.part.waits_for(error.to_string());
            let partition = self.settings.partition;
            match error.remedy() {
                Remedy::GiveUp => {
                    self.part.leave();
                    return Err(HostError::Fenced);
                }
                Remedy::Stop => {
                    tracing::error!(partition, %error, "the partition stops");
                    return Err(HostError::Stopped(error));
                }
                Remedy::Rebuild => self.rebuild(&error.to_string()),
                Remedy::Recover => tracing::warn!(partition, %error, "recovering"),
            }
            pause = if begun.elapsed() > RETRY_MAX { RETRY_MIN } else { (pause * 2).min(RETRY_MAX) };
            self.pause(pause, stop);
        }
        self.part.leave();
        Ok(())
    }

    fn rebuild(&mut self, reason: &str) {
        let partition = self.settings.partition;
        self.counted.stores_rebuilt.increment();
        match self.stores.move_aside(reason) {
            Ok(()) => tracing::warn!(partition, reason, "the store is moved aside and folded again from the log"),
            Err(error) => tracing::error!(partition, %error, "the damaged store can't be moved aside"),
        }
    }

    fn pause(&self, pause: Duration, stop: &AtomicBool) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            self.pulse.beat();
            std::thread::sleep(WAIT_MAX.min(pause));
        }
    }

    /// Recovers an owner and keeps it at work until it fails or is told to stop.
    fn own(&mut self, stop: &AtomicBool) -> Result<(), OwnerError> {
        let partition = self.settings.partition;
        let (store, rebuilt) = self.stores.open(&|| self.pulse.beat())?;
        if let Some(reason) = rebuilt {
            self.counted.stores_rebuilt.increment();
            tracing::warn!(partition, reason, "the store is folded again from the log");
        }
        self.part.waits_for("recovering");
        self.counted.recoveries.increment();
        let begun = Instant::now();
        let mut owner = Owner::recover_while(self.settings.clone(), self.log.clone(), store, &|| self.go_on(stop))?;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(partition, position = %owner.position(), lineage = %owner.lineage(), millis, "recovered");
        self.part.ready();
        self.counted.partitions.add(1);
        let ended = self.work(&mut owner, stop);
        self.counted.partitions.add(-1);
        ended?;
        owner.checkpoint_alive(&|| self.pulse.beat())?;
        tracing::info!(partition, position = %owner.position(), "checkpoint written");
        self.remove_older();
        Ok(())
    }

    fn remove_older(&mut self) {
        let partition = self.settings.partition;
        match self.stores.remove_older() {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => tracing::info!(partition, ?removed, "removed the state of older releases"),
            Err(error) => tracing::warn!(partition, %error, "the state of older releases can't be removed"),
        }
    }

    /// A partition that is recovered can be told to stop, and is alive meanwhile.
    fn go_on(&self, stop: &AtomicBool) -> Result<(), OwnerError> {
        self.pulse.beat();
        if stop.load(Ordering::Relaxed) { Err(OwnerError::Stopped) } else { Ok(()) }
    }

    fn work(&mut self, owner: &mut Owner, stop: &AtomicBool) -> Result<(), OwnerError> {
        let mut drainage = Drainage::new(self.settings.budget.slice_leaves, Instant::now());
        let mut directory = Directory::default();
        let mut directory_at = Instant::now();
        let (mut lag, mut lag_at) = (self.counted.lag(), Instant::now());
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let turned = owner.turn()?;
            self.pulse.beat();
            if turned.facts + turned.wakeups > 0 {
                self.counted.turn.observe(begun.elapsed().as_secs_f64());
                self.counted.turned(&turned);
            }
            let now = self.clock.now();
            self.questions.answer(owner, now)?;
            let has_checkpoint = drainage.go_on(owner, Instant::now())? | owner.make_room(&|| self.pulse.beat())?;
            if has_checkpoint {
                self.remove_older();
            }
            if Instant::now() >= directory_at {
                directory_at = Instant::now() + DIRECTORY_EVERY;
                directory.follow(owner, now)?;
            }
            if Instant::now() >= lag_at {
                lag_at = Instant::now() + LAG_EVERY;
                lag.set(i64::try_from(owner.lag()?).unwrap_or(i64::MAX));
            }
            if turned.facts + turned.wakeups == 0 && !owner.tick(now)? {
                owner.wait(WAIT_MAX)?;
            }
        }
        Ok(())
    }
}
