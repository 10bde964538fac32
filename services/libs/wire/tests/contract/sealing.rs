//! The layout of a sealed field never changes.

use tradewind_domain::{FactId, KeyId};
use tradewind_ports::SealingKey;
use tradewind_wire::seal::{self, OpenError};

const ORIGIN: FactId = FactId::from_bytes(*b"fact-id-00000001");

fn key() -> SealingKey {
    let key = std::array::from_fn(|index| u8::try_from(index).unwrap());
    SealingKey { id: KeyId::from_bytes(*b"key-id-000000001"), key }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Computed outside this code: `docs/contract_vectors.py`, with OpenSSL's AES-GCM-SIV.
#[test]
fn a_sealed_field_is_these_bytes() {
    for (field, plaintext, expected) in [
        ("email", "ada@example.com", "33ef784b43d8de8cffc7feef93ffd14318aa5e1bfca9c1d900156f0ea95371"),
        ("phone", "", "1de15f802dc1406b0896e1c555677691"),
    ] {
        let sealed = seal::seal(&key(), ORIGIN, field, plaintext.as_bytes());
        assert_eq!((sealed.algorithm, sealed.key_id, sealed.origin, &*sealed.field), (1, key().id, ORIGIN, field));
        assert_eq!(hex(&sealed.ciphertext), expected);
        assert_eq!(seal::open(&key(), &sealed), Ok(plaintext.as_bytes().to_vec()));
    }
}

#[test]
fn a_field_that_was_moved_or_changed_does_not_open() {
    let sealed = seal::seal(&key(), ORIGIN, "email", b"ada@example.com");
    let damaged = |origin| Err(OpenError::Damaged { origin });

    let mut flipped = sealed.clone();
    flipped.ciphertext[3] ^= 1;
    assert_eq!(seal::open(&key(), &flipped), damaged(ORIGIN));

    let mut cut = sealed.clone();
    cut.ciphertext = cut.ciphertext[..7].into();
    assert_eq!(seal::open(&key(), &cut), damaged(ORIGIN));

    let mut renamed = sealed.clone();
    renamed.field = "phone".into();
    assert_eq!(seal::open(&key(), &renamed), damaged(ORIGIN));

    let mut moved = sealed;
    moved.origin = FactId::from_bytes(*b"fact-id-00000002");
    assert_eq!(seal::open(&key(), &moved), damaged(moved.origin));
}

#[test]
fn what_was_sealed_otherwise_says_what_is_needed() {
    let sealed = seal::seal(&key(), ORIGIN, "email", b"ada@example.com");
    let other = SealingKey { id: KeyId::from_bytes([2; 16]), ..key() };
    let needed = OpenError::OtherKey { sealed_with: key().id, tried: other.id };
    assert_eq!(seal::open(&other, &sealed), Err(needed));

    let newer = tradewind_domain::Sealed { algorithm: 2, ..sealed };
    assert_eq!(seal::open(&key(), &newer), Err(OpenError::Algorithm(2)));
}
