//! When changed leaves leave for the store, and how fast: in slices with pauses,
//! since each slice holds the store's one lock (docs/adr/0002).

use std::time::{Duration, Instant};

use crate::error::OwnerError;
use crate::owner::Owner;

/// A restart folds again what is younger than this.
const GENERATION: Duration = Duration::from_secs(30);

/// What of that the slices of one generation are spread over.
const SPREAD: Duration = Duration::from_secs(24);

const PAUSE_MAX: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Drainage {
    slice_leaves: usize,
    begun_at: Instant,
    next_slice_at: Instant,
    pause: Duration,
    is_under_way: bool,
}

impl Drainage {
    pub(crate) fn new(slice_leaves: usize, now: Instant) -> Drainage {
        Drainage { slice_leaves, begun_at: now, next_slice_at: now, pause: PAUSE_MAX, is_under_way: false }
    }

    /// Begins a generation if one is due, and writes a slice if it is time for one.
    /// Returns whether that was the last one, so that the checkpoint is written.
    pub(crate) fn go_on(&mut self, owner: &mut Owner, now: Instant) -> Result<bool, OwnerError> {
        if !owner.partition().is_draining() && !owner.is_clean() && now - self.begun_at >= GENERATION {
            self.begun_at = now;
            owner.begin_drain()?;
        }
        let is_draining = owner.partition().is_draining();
        if is_draining && !self.is_under_way {
            let slices = owner.partition().committed_leaves() / self.slice_leaves + 1;
            self.pause = (SPREAD / u32::try_from(slices).unwrap_or(u32::MAX)).min(PAUSE_MAX);
            self.begun_at = now;
        }
        self.is_under_way = is_draining;
        if is_draining && now >= self.next_slice_at {
            self.next_slice_at = now + self.pause;
            return Ok(!owner.drain_slice()?);
        }
        Ok(false)
    }
}
