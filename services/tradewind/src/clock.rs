//! The wall's clock, and one that runs ahead of it as the log's does.

use std::time::{SystemTime, UNIX_EPOCH};

use tradewind_actuator::{Clocks, Moment, SystemClocks};
use tradewind_domain::Timestamp;
use tradewind_ports::Clock;

#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The log's time: from `real_base` on, where it stood at `log_base`, it runs
/// `speed` times as fast as the wall's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretched {
    pub(crate) real_base: Timestamp,
    pub(crate) log_base: Timestamp,
    pub(crate) speed: u32,
}

impl Stretched {
    fn at(&self, real: Timestamp) -> Timestamp {
        self.log_base + real.since(self.real_base) * i64::from(self.speed)
    }
}

impl Clock for Stretched {
    fn now(&self) -> Timestamp {
        self.at(WallClock.now())
    }
}

/// Claims run by the machine's clock, deadlines by the log's, and a wait for one of
/// these is as much shorter.
impl Clocks for Stretched {
    fn now(&self) -> Moment {
        let Moment { boot, wall, .. } = SystemClocks.now();
        Moment { boot, wall: self.at(wall), speed: self.speed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_time_runs_ahead_from_its_base() {
        let at = Timestamp::from_millis;
        let stretched = Stretched { real_base: at(10_000), log_base: at(70_000), speed: 60 };
        assert_eq!([stretched.at(at(10_000)), stretched.at(at(10_500))], [at(70_000), at(100_000)]);
    }
}
