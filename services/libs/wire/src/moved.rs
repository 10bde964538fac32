//! Records on their way into another log: the value byte for byte, and of the
//! headers only those that speak of a place or a time on the log they left.

use tradewind_domain::{Lineage, Position, Timestamp};
use tradewind_ports::{Headers, NewRecord, Record};

use crate::headers;

/// An event, recorded at `recorded_at` by the clock of the log it leaves. The
/// place of its raw delivery is left behind, as the delivery is.
#[must_use]
pub fn event(record: &Record, recorded_at: Timestamp, placement: u32) -> NewRecord {
    let recorded_at = recorded_at.millis().to_string();
    let mut copied = Headers::new();
    for (name, value) in record.headers.iter() {
        match name {
            headers::RECORDED_AT | headers::RAW => {}
            headers::PLACEMENT => {
                copied.push(headers::RECORDED_AT, recorded_at.as_bytes());
                copied.push(name, placement.to_string().as_bytes());
            }
            _ => copied.push(name, value),
        }
    }
    NewRecord { key: record.key.clone(), headers: copied, value: record.value.clone() }
}

/// A decision, at its position in the log it enters.
#[must_use]
pub fn decision(record: &Record, position: Position, lineage: Lineage) -> NewRecord {
    let mut copied = Headers::new();
    for (name, value) in record.headers.iter() {
        match name {
            headers::POSITION => copied.push(name, position.to_string().as_bytes()),
            headers::LINEAGE => copied.push(name, lineage.to_string().as_bytes()),
            _ => copied.push(name, value),
        }
    }
    NewRecord { key: record.key.clone(), headers: copied, value: record.value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: &[(&str, &str)]) -> Record {
        let headers = headers.iter().fold(Headers::new(), |all, (name, value)| all.with(name, value.as_bytes()));
        let appended_at = Timestamp::from_millis(9);
        Record { offset: 7, appended_at, key: b"demo".to_vec(), headers, value: Some(vec![1, 255, 3]) }
    }

    fn texts(record: &NewRecord) -> Vec<(&str, &str)> {
        record.headers.iter().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn an_event_keeps_all_but_its_place_and_gets_the_time_it_was_recorded() {
        let stays = [("ce_id", "1"), ("tw-produced-at", "5")];
        let later = [("tw-translation", "2"), ("tw-from-a-newer-release", "x")];
        let expected = [&stays[..], &[("tw-recorded-at", "8"), ("tw-placement", "4")], &later].concat();
        for already in [&[][..], &[("tw-recorded-at", "6")]] {
            let before =
                [&stays[..], already, &[("tw-placement", "3")], &later, &[("tw-raw", "tradewind.raw.x/1/2")]].concat();
            let moved = event(&record(&before), Timestamp::from_millis(8), 4);
            assert_eq!(texts(&moved), expected);
            assert_eq!((moved.key, moved.value), (b"demo".to_vec(), Some(vec![1, 255, 3])));
        }
    }

    #[test]
    fn a_decision_keeps_all_but_its_position_and_lineage() {
        let lineage = Lineage::from_bytes([5; 16]);
        let before = [("ce_id", "1"), ("tw-position", "7.2"), ("tw-lineage", "x"), ("tw-more", "y")];
        let moved = decision(&record(&before), Position { offset: 40, step: 3 }, lineage);
        let lineage = lineage.to_string();
        assert_eq!(
            texts(&moved),
            [("ce_id", "1"), ("tw-position", "40.3"), ("tw-lineage", lineage.as_str()), ("tw-more", "y")]
        );
        assert_eq!(moved.value, Some(vec![1, 255, 3]));
    }
}
