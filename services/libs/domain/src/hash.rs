//! H, the one hash behind every id: SHA-256 over a label and length-prefixed
//! parts. The recipe never changes; its expected bytes stand in the tests.

use sha2::{Digest as _, Sha256};

/// The 32 bytes of H.
pub type Digest = [u8; 32];

/// Feeds H part by part, for recipes with optional or repeated parts.
///
/// Label and parts each enter as a big-endian `u32` length and then the bytes,
/// so no two different lists of parts feed the same bytes.
#[derive(Clone, Debug)]
pub struct Hasher(Sha256);

impl Hasher {
    #[must_use]
    pub fn new(label: &str) -> Hasher {
        Hasher(Sha256::new()).part(label.as_bytes())
    }

    #[must_use]
    pub fn part(mut self, part: &[u8]) -> Hasher {
        let length = u32::try_from(part.len()).expect("a part of an id is shorter than 4 GiB");
        self.0.update(length.to_be_bytes());
        self.0.update(part);
        self
    }

    #[must_use]
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// H over `label` and `parts`.
#[must_use]
pub fn derive(label: &str, parts: &[&[u8]]) -> Digest {
    parts.iter().fold(Hasher::new(label), |hasher, part| hasher.part(part)).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed outside this code:
    /// `printf '\0\0\0\4fact\0\0\0\1a\0\0\0\2bc' | sha256sum`.
    #[test]
    fn h_is_sha256_over_length_prefixed_parts() {
        assert_eq!(
            hex(&derive("fact", &[b"a", b"bc"])),
            "867e7ea5b878fe7cd6163a9ef31fa51f65e5e91dae70b714cb79fc0f4577878f"
        );
    }

    #[test]
    fn moving_a_byte_between_parts_changes_h() {
        assert_ne!(derive("fact", &[b"ab", b"c"]), derive("fact", &[b"a", b"bc"]));
        assert_ne!(derive("fact", &[b"abc"]), derive("fact", &[b"abc", b""]));
    }
}
