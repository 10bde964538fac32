//! The vendors' time: it begins where it is told to and runs `speed` times as fast
//! as the world's. What people and vendors do, retries and limits are counted in
//! it; how long a request may take is counted in the world's.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, SecondsFormat};
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started_at_ms: i64,
    speed: u32,
    began: Instant,
}

impl Clock {
    pub(crate) fn start(started_at_ms: i64, speed: u32) -> Clock {
        Clock { started_at_ms, speed, began: Instant::now() }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        let stretched = self.began.elapsed().as_nanos() * u128::from(self.speed) / 1_000_000;
        self.started_at_ms.saturating_add(i64::try_from(stretched).unwrap_or(i64::MAX))
    }

    /// When it will be that late; a past time was now.
    pub(crate) fn instant(&self, at_ms: i64) -> Instant {
        let ahead = u64::try_from(at_ms.saturating_sub(self.started_at_ms)).unwrap_or(0);
        let nanos = (u128::from(ahead) * 1_000_000).div_ceil(u128::from(self.speed));
        self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    }
}

/// `2026-11-20T09:30:00.250Z`.
pub(crate) fn zulu_millis(at_ms: i64) -> String {
    date(at_ms, 0).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `2026-11-20T09:30:00.000000000Z`.
pub(crate) fn zulu_nanos(at_ms: i64) -> String {
    date(at_ms, 0).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// `2026-11-20T04:30:00-05:00`: whole seconds, as far from Greenwich as given.
pub(crate) fn offset_seconds(at_ms: i64, offset_minutes: i32) -> String {
    date(at_ms, offset_minutes).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// `2026-11-20T09:30:00.250000+00:00`, as Python writes it.
pub(crate) fn python_micros(at_ms: i64) -> String {
    date(at_ms, 0).to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// `2026-11-20 09:30:00.250000`: without an offset, and meant in UTC.
pub(crate) fn python_naive(at_ms: i64) -> String {
    date(at_ms, 0).naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// RFC 3339 as milliseconds.
pub(crate) fn millis(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

fn date(at_ms: i64, offset_minutes: i32) -> DateTime<FixedOffset> {
    let offset = FixedOffset::east_opt(offset_minutes * 60).expect("less than a day from Greenwich");
    DateTime::from_timestamp_millis(at_ms).expect("a time of our era").with_timezone(&offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_passes_in_a_second_at_speed_60() {
        let clock = Clock::start(1_000, 60);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now_ms(), 61_000);
        tokio::time::sleep_until(clock.instant(61_001)).await;
        assert!(clock.now_ms() >= 61_001);
    }

    #[test]
    fn one_moment_as_each_vendor_writes_it() {
        let at_ms = 1_795_428_000_250;
        assert_eq!(zulu_millis(at_ms), "2026-11-23T10:00:00.250Z");
        assert_eq!(zulu_nanos(at_ms), "2026-11-23T10:00:00.250000000Z");
        assert_eq!(offset_seconds(at_ms, -300), "2026-11-23T05:00:00-05:00");
        assert_eq!(python_micros(at_ms), "2026-11-23T10:00:00.250000+00:00");
        assert_eq!(python_naive(at_ms), "2026-11-23 10:00:00.250000");
        assert_eq!(millis("2026-11-23T05:00:00-05:00"), Some(1_795_428_000_000));
    }
}
