//! The ledger: what all leaves and due times come to. It is written in every
//! slice's batch with the slice's own values, so each state the store was ever in
//! has its own ledger, and a crash amid a drain leaves one that fits.
//!
//! A checksum a value can't tell that a value is an older one. The sum can: sled,
//! reading a damaged log again, may leave out part of it and say nothing.

/// Sums, counted or expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) fold_version: u32,
    /// The number of the slice it was written with.
    pub(crate) slice: u64,
    pub(crate) sum: u64,
    pub(crate) leaves: u64,
    pub(crate) due: u64,
}

impl Ledger {
    pub(crate) fn add(&mut self, key: &[u8], checksum: u32) {
        self.sum = self.sum.wrapping_add(mark(key, checksum));
    }

    pub(crate) fn subtract(&mut self, key: &[u8], checksum: u32) {
        self.sum = self.sum.wrapping_sub(mark(key, checksum));
    }
}

/// A value's part in the sum, spread over all bits.
fn mark(key: &[u8], checksum: u32) -> u64 {
    let mut mark = u64::from(crc32c::crc32c(key)) << 32 | u64::from(checksum);
    mark = (mark ^ (mark >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mark = (mark ^ (mark >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mark ^ (mark >> 31)
}
