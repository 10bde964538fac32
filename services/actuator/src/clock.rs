//! Two clocks: the wall's, which deadlines and keys are about, and the boot
//! clock, which never jumps and runs on while the machine sleeps.

use std::ops::{Add, Sub};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tradewind_domain::Timestamp;

/// Milliseconds since this machine started. It means nothing to another one, so
/// it never stands on a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boot(pub i64);

impl Boot {
    pub const MAX: Boot = Boot(i64::MAX);

    /// Milliseconds from `earlier` to here.
    #[must_use]
    pub const fn since(self, earlier: Boot) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<i64> for Boot {
    type Output = Boot;

    fn add(self, millis: i64) -> Boot {
        Boot(self.0.saturating_add(millis))
    }
}

impl Sub<i64> for Boot {
    type Output = Boot;

    fn sub(self, millis: i64) -> Boot {
        Boot(self.0.saturating_sub(millis))
    }
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub boot: Boot,
    pub wall: Timestamp,
}

impl Moment {
    /// When the boot clock will show that the wall's is at `wall`, if neither is set.
    #[must_use]
    pub fn boot_at(self, wall: Timestamp) -> Boot {
        self.boot + wall.since(self.wall)
    }
}

pub trait Clocks: Send + Sync {
    fn now(&self) -> Moment;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClocks;

/// On Linux the monotonic clock stands still while the machine sleeps; elsewhere it is the one that doesn't.
#[cfg(target_os = "linux")]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

impl Clocks for SystemClocks {
    fn now(&self) -> Moment {
        let boot = clock_gettime(BOOT_CLOCK);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment {
            boot: Boot(boot.tv_sec * 1_000 + boot.tv_nsec / 1_000_000),
            wall: Timestamp::from_millis(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}
