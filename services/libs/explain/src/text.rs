//! How times and ids are written for people and for the page.

use std::fmt::Display;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use tradewind_domain::{EntityKey, Timestamp};

use crate::entity;

/// RFC 3339 in UTC, to the millisecond; what no calendar holds stays a number.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    match DateTime::<Utc>::from_timestamp_millis(at.millis()) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => at.to_string(),
    }
}

/// A span in the words of a clock: `1 h 5 min`, `12 s`, `40 ms`.
pub(crate) fn span(millis: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let mut rest = millis.max(0);
    let mut parts = Vec::new();
    for (unit_ms, unit) in UNITS {
        if rest >= unit_ms {
            parts.push(format!("{} {unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if parts.is_empty() {
        return format!("{rest} ms");
    }
    parts.truncate(2);
    parts.join(" ")
}

pub(crate) fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

pub(crate) fn time_if_any<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}

/// Ids as the text they print.
pub(crate) fn shown<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn shown_if_any<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

pub(crate) fn all_shown<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

pub(crate) fn entity<S: Serializer>(key: &EntityKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&entity::text(key))
}

pub(crate) fn entity_if_any<S: Serializer>(key: &Option<EntityKey>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(entity::text).serialize(serializer)
}

pub(crate) fn entities<S: Serializer>(keys: &[EntityKey], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(keys.iter().map(entity::text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_and_what_is_none_as_a_number() {
        assert_eq!(rfc3339(Timestamp::from_millis(1_780_000_000_123)), "2026-05-28T20:26:40.123Z");
        assert_eq!(rfc3339(Timestamp::MAX), format!("{}ms", i64::MAX));
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (millis, expected) in [(0, "0 ms"), (999, "999 ms"), (65_000, "1 min 5 s"), (90_061_001, "1 d 1 h")] {
            assert_eq!(span(millis), expected);
        }
    }
}
