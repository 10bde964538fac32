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
    /// Milliseconds of the wall's clock in one of the boot clock's: more than 1
    /// where the log's time is stretched, for development.
    pub speed: u32,
}

impl Moment {
    /// When the boot clock will show that the wall's is at `wall`, if neither is set.
    #[must_use]
    pub fn boot_at(self, wall: Timestamp) -> Boot {
        self.boot_in(wall.since(self.wall))
    }

    /// When so many milliseconds of the wall's clock will have passed, and not before.
    #[must_use]
    pub fn boot_in(self, wall_ms: i64) -> Boot {
        let speed = i64::from(self.speed.max(1));
        self.boot + wall_ms.saturating_add(speed - 1).div_euclid(speed)
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
            speed: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_shorter_by_as_much_as_time_is_stretched_and_never_too_short() {
        let at = Timestamp::from_millis;
        let check = |speed, wall, boot| {
            let now = Moment { boot: Boot(500), wall: at(10_000), speed };
            assert_eq!(now.boot_at(at(wall)), Boot(boot), "{speed} times as fast, until {wall}");
        };
        check(1, 70_000, 60_500);
        check(60, 70_000, 1_500);
        check(60, 70_001, 1_501);
        check(60, 10_000, 500);
        check(60, 9_999, 500);
        check(60, 4_000, 400);
    }
}
