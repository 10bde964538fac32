//! Chance by a seed: the same seed and label always give the same draws, whatever
//! was drawn elsewhere and in whichever order.

use sha2::{Digest as _, Sha256};

/// SplitMix64, started from a digest.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of that name: one for each visit, each delivery, each request.
    pub(crate) fn of(seed: u64, label: &str, parts: &[&[u8]]) -> Chance {
        let mut digest = Sha256::new().chain_update(seed.to_be_bytes());
        for part in [label.as_bytes()].iter().chain(parts) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let digest = digest.finalize();
        Chance(u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes")))
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included. The bias of a modulus is nothing here.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high && high - low < u64::MAX, "expected a range, got {low} to {high}");
        low + self.draw() % (high - low + 1)
    }

    /// A span of time, from `low` to `high`.
    pub(crate) fn span_ms(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high - low).expect("a span that goes forwards");
        low + i64::try_from(self.between(0, width)).expect("no longer than the range")
    }

    pub(crate) fn per_mille(&mut self, share: u16) -> bool {
        self.between(0, 999) < u64::from(share)
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let last = choices.len().checked_sub(1).expect("something to choose from");
        &choices[usize::try_from(self.between(0, last as u64)).expect("an index")]
    }

    /// 32 hexadecimal digits.
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}{:016x}", self.draw(), self.draw())
    }

    /// As a UUID of version 4 is written.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48 & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_its_name_alone() {
        let draws = |label: &str, parts: &[&[u8]]| {
            let mut chance = Chance::of(7, label, parts);
            [chance.draw(), chance.draw()]
        };
        assert_eq!(draws("visit", &[b"1"]), draws("visit", &[b"1"]));
        assert_ne!(draws("visit", &[b"1"]), draws("visit", &[b"2"]));
        assert_ne!(draws("visit", &[b"ab", b""]), draws("visit", &[b"a", b"b"]));
    }

    #[test]
    fn a_share_is_about_what_it_says() {
        let mut chance = Chance::of(7, "share", &[]);
        let hits = (0..100_000).filter(|_| chance.per_mille(250)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| chance.per_mille(0)));
        assert!((0..1_000).all(|_| chance.per_mille(1_000)));
    }

    #[test]
    fn a_uuid_looks_like_one() {
        let uuid = Chance::of(7, "uuid", &[]).uuid();
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
    }
}
