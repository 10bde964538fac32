//! CRC32C over everything that is stored, so that no byte changes unnoticed.

use tradewind_ports::TopicPartition;

/// A checksum under way. What is not of fixed length goes in with its length, so
/// that bytes can't move from one part to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checksum(u32);

impl Checksum {
    pub(crate) fn of(text: &str) -> Checksum {
        Checksum(0).bytes(text.as_bytes())
    }

    /// Where the checksums of a partition's rows begin.
    pub(crate) fn of_partition(at: &TopicPartition) -> Checksum {
        Checksum::of(&at.topic.name()).number(u64::from(at.partition))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Checksum {
        Checksum(crc32c::crc32c_append(self.number(bytes.len() as u64).0, bytes))
    }

    pub(crate) fn number(self, number: u64) -> Checksum {
        Checksum(crc32c::crc32c_append(self.0, &number.to_le_bytes()))
    }

    /// One row of a record table.
    pub(crate) fn record(self, offset: u64, time: i64, key: &[u8], headers: &[u8], value: Option<&[u8]>) -> i64 {
        // No value has this length, so a tombstone differs from an empty value.
        let value_length = value.map_or(u64::MAX, |value| value.len() as u64);
        let numbers = [offset, time.cast_unsigned(), key.len() as u64, headers.len() as u64, value_length];
        let mut fixed = [0; 40];
        for (place, number) in fixed.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let parts = [&fixed[..], key, headers, value.unwrap_or_default()];
        i64::from(parts.iter().fold(self.0, |checksum, part| crc32c::crc32c_append(checksum, part)))
    }

    /// As it is stored in a column.
    pub(crate) fn value(self) -> i64 {
        i64::from(self.0)
    }

    /// As it is stored in a file of our own.
    pub(crate) fn value_u32(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_ports::Topic;

    #[test]
    fn every_part_of_a_record_counts() {
        let events = Checksum::of_partition(&Topic::Events.partition(1));
        let checksums = [
            events.record(7, 9, b"ab", b"c", Some(b"d")),
            Checksum::of_partition(&Topic::Events.partition(2)).record(7, 9, b"ab", b"c", Some(b"d")),
            Checksum::of_partition(&Topic::Decisions.partition(1)).record(7, 9, b"ab", b"c", Some(b"d")),
            events.record(8, 9, b"ab", b"c", Some(b"d")),
            events.record(7, 8, b"ab", b"c", Some(b"d")),
            events.record(7, 9, b"a", b"bc", Some(b"d")),
            events.record(7, 9, b"ab", b"", Some(b"cd")),
            events.record(7, 9, b"ab", b"c", Some(b"")),
            events.record(7, 9, b"ab", b"c", None),
        ];
        for (index, checksum) in checksums.iter().enumerate() {
            assert!(!checksums[..index].contains(checksum), "case {index} looks like an earlier one");
        }
    }

    #[test]
    fn the_stored_checksum_of_a_record_never_changes() {
        // From another implementation: CRC32C of 16, "tradewind.events", 1, then
        // 7, 9, 2, 1, 1, "ab", "c", "d"; numbers in eight bytes, the smallest first.
        let at = Topic::Events.partition(1);
        assert_eq!(Checksum::of_partition(&at).record(7, 9, b"ab", b"c", Some(b"d")), 867_676_579);
    }
}
