//! The log's clock: append times, in `dev` stretched by facts that say so.

use serde::{Deserialize, Serialize};
use tradewind_domain::{ClockAdjusted, Envelope, Timestamp};

/// A producer's time may lead the log's by this much before it counts for
/// nothing: so one machine a year ahead moves nothing.
const PRODUCER_LEAD_MS: i64 = 60_000;

/// Maps the time records were appended at to the time they count for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogClock {
    real_base: Timestamp,
    log_base: Timestamp,
    speed_permille: u32,
}

impl Default for LogClock {
    fn default() -> LogClock {
        let start = Timestamp::from_millis(0);
        LogClock { real_base: start, log_base: start, speed_permille: 1_000 }
    }
}

impl LogClock {
    /// What two clocks agree on for a record: the earlier of its append time and
    /// its producer's time with some lead. A record from another log brings its
    /// own time, already on that log's clock.
    #[must_use]
    pub fn time_of(&self, envelope: &Envelope) -> Timestamp {
        if envelope.imported {
            return envelope.recorded_at;
        }
        let agreed = envelope
            .produced_at
            .map_or(envelope.recorded_at, |produced_at| envelope.recorded_at.min(produced_at + PRODUCER_LEAD_MS));
        self.log_time(agreed)
    }

    #[must_use]
    pub fn log_time(&self, real: Timestamp) -> Timestamp {
        let elapsed = i128::from(real.since(self.real_base)) * i128::from(self.speed_permille) / 1_000;
        self.log_base + i64::try_from(elapsed).unwrap_or(i64::MAX)
    }

    /// From the record appended at `real` on, time runs as `adjusted` says.
    pub fn adjust(&mut self, real: Timestamp, adjusted: ClockAdjusted) {
        self.log_base = self.log_time(real) + adjusted.skip_ms.max(0);
        self.real_base = real;
        self.speed_permille = adjusted.speed_permille.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_faster_from_the_adjustment_on() {
        let at = Timestamp::from_millis;
        let mut clock = LogClock::default();
        assert_eq!(clock.log_time(at(5_000)), at(5_000));
        clock.adjust(at(10_000), ClockAdjusted { speed_permille: 60_000, skip_ms: 0 });
        assert_eq!(clock.log_time(at(11_000)), at(70_000));
        clock.adjust(at(11_000), ClockAdjusted { speed_permille: 1_000, skip_ms: 5 });
        assert_eq!(clock.log_time(at(11_001)), at(70_006));
    }
}
