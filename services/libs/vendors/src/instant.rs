//! Times as vendors write them.

use chrono::{DateTime, NaiveDateTime};
use tradewind_domain::Timestamp;

/// RFC 3339: with an offset or Z, and with a space in place of the T as Python prints it.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| Timestamp::from_millis(time.timestamp_millis()))
}

/// As [`rfc3339`], where a time without an offset means UTC.
pub(crate) fn rfc3339_or_utc(text: &str) -> Option<Timestamp> {
    rfc3339(text).or_else(|| {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .into_iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(|time| Timestamp::from_millis(time.and_utc().timestamp_millis()))
    })
}

/// What a `Retry-After` asks for: whole seconds from `now`, or a date.
pub(crate) fn retry_after(text: &str, now: Timestamp) -> Option<Timestamp> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: i64 = text.parse().ok()?;
        return Some(now + seconds.saturating_mul(1_000));
    }
    DateTime::parse_from_rfc2822(text).ok().map(|time| Timestamp::from_millis(time.timestamp_millis()))
}

/// Whole seconds, in UTC; `None` beyond the years that have four digits.
pub(crate) fn to_rfc3339_seconds(time: Timestamp) -> Option<String> {
    let time = DateTime::from_timestamp_millis(time.millis())?.naive_utc();
    let text = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    (text.len() == "2026-11-23T10:00:00Z".len()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    #[test]
    fn one_moment_has_many_spellings() {
        for text in ["2021-12-31T19:00:00-05:00", "2022-01-01T00:00:00Z", "2022-01-01T00:00:00.000Z"] {
            assert_eq!(rfc3339(text), ms(1_640_995_200_000), "{text}");
        }
        assert_eq!(rfc3339("2026-03-30T14:30:00.000000000Z"), ms(1_774_881_000_000));
        assert_eq!(rfc3339("2026-01-26T14:02:00"), None);
        assert_eq!(rfc3339("yesterday"), None);
    }

    #[test]
    fn without_an_offset_it_may_mean_utc() {
        assert_eq!(rfc3339_or_utc("2026-01-26T14:02:00.384938"), ms(1_769_436_120_384));
        assert_eq!(rfc3339_or_utc("2026-01-26 14:02:00"), ms(1_769_436_120_000));
        assert_eq!(rfc3339_or_utc("2026-01-26T16:02:00+02:00"), ms(1_769_436_120_000));
        assert_eq!(rfc3339_or_utc(""), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_millis(1_704_391_500_000);
        assert_eq!(retry_after("7", now), ms(1_704_391_507_000));
        assert_eq!(retry_after("Thu, 04 Jan 2024 18:05:25 GMT", now), ms(1_704_391_525_000));
        assert_eq!(retry_after("9223372036854775807", now), Some(Timestamp::MAX));
        for text in ["", "-1", "soon"] {
            assert_eq!(retry_after(text, now), None, "{text:?}");
        }
    }

    #[test]
    fn seconds_are_cut_not_rounded() {
        let text = |millis| to_rfc3339_seconds(Timestamp::from_millis(millis));
        assert_eq!(text(1_769_436_120_999).as_deref(), Some("2026-01-26T14:02:00Z"));
        assert_eq!(text(i64::MAX), None);
        assert_eq!(text(i64::from(u32::MAX) * 100_000_000), None);
    }
}
