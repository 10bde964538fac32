//! Whether an owner's thread still comes round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a thread last ended a turn or found nothing to do. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse {
    begun: Instant,
    beaten_ms: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { begun: Instant::now(), beaten_ms: Arc::default() }
    }
}

impl Pulse {
    #[must_use]
    pub fn new() -> Pulse {
        Pulse::default()
    }

    /// The thread has come round.
    pub fn beat(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beaten_ms.store(millis, Ordering::Relaxed);
    }

    /// Since the last beat.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.beaten_ms.load(Ordering::Relaxed)))
    }
}
