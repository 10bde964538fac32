//! What the loop asks of the world beside the log and the vault.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tradewind_domain::{CommandId, Name, Timestamp};
use tradewind_egress::{Answer, Request};

use crate::clock::{Boot, Clocks};

/// The secrets of connections, by the names that the directory refers to.
pub trait Secrets: Send + Sync {
    /// `None` if there is none of this name.
    fn secret(&self, name: &Name) -> Option<Vec<u8>>;
}

/// Requests under way.
pub trait Calls: Send {
    fn begin(&mut self, call: Call);

    /// The calls that ended since it was last asked. Where there is none, waits
    /// for one, but no longer than this.
    fn ended(&mut self, patience: Duration) -> Vec<Ended>;
}

/// One request of a command. A command has one at a time.
#[derive(Debug)]
pub struct Call {
    pub command: CommandId,
    pub request: Request,
    pub permit: Permit,
}

#[derive(Debug)]
pub struct Ended {
    pub command: CommandId,
    /// When the permit was given; `None` if it was not.
    pub sent_at: Option<Boot>,
    pub answer: Answer,
}

/// Asked immediately before the first byte of a request leaves: does the claim
/// still hold, and is it not too late?
#[derive(Clone)]
pub struct Permit {
    clocks: Arc<dyn Clocks>,
    claimed_until: Boot,
    sendable_until: Timestamp,
    sent_at: Arc<OnceLock<Boot>>,
}

impl Permit {
    pub(crate) fn new(clocks: Arc<dyn Clocks>, claimed_until: Boot, sendable_until: Timestamp) -> Permit {
        Permit { clocks, claimed_until, sendable_until, sent_at: Arc::default() }
    }

    /// For requests without an effect.
    pub(crate) fn always(clocks: Arc<dyn Clocks>) -> Permit {
        Permit::new(clocks, Boot::MAX, Timestamp::MAX)
    }

    /// True if the request may leave, now.
    #[must_use]
    pub fn ask(&self) -> bool {
        let now = self.clocks.now();
        let is_given = now.boot < self.claimed_until && now.wall < self.sendable_until;
        if is_given {
            self.sent_at.get_or_init(|| now.boot);
        }
        is_given
    }

    #[must_use]
    pub fn sent_at(&self) -> Option<Boot> {
        self.sent_at.get().copied()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Permit(until {:?} and {})", self.claimed_until, self.sendable_until)
    }
}
