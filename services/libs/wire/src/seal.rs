//! Sealing: personal fields are sealed before a record is made, and opened where
//! they leave us. Nonce and associated data follow from where the field comes
//! from, so sealing the same delivery twice gives the same bytes.

use std::fmt;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use tradewind_domain::{FactId, KeyId, Sealed, seal_associated_data, seal_nonce};
use tradewind_ports::SealingKey;

/// AES-256-GCM-SIV of RFC 8452; the tag of 16 bytes ends the ciphertext.
const AES_256_GCM_SIV: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// A newer release sealed it: upgrade.
    Algorithm(u32),
    /// It was sealed with another key: ask the vault for that one.
    OtherKey { sealed_with: KeyId, tried: KeyId },
    /// The ciphertext, its origin or its field is not what was sealed.
    Damaged { origin: FactId },
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Algorithm(algorithm) => {
                write!(formatter, "open a sealed field: expected algorithm {AES_256_GCM_SIV}, got {algorithm}")
            }
            OpenError::OtherKey { sealed_with, tried } => {
                write!(formatter, "open a sealed field: expected key {sealed_with}, got {tried}")
            }
            OpenError::Damaged { origin } => {
                write!(formatter, "open a sealed field of fact {origin}: it is not what was sealed")
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// Seals one field of the fact `origin`. A field's name is used once in a fact.
///
/// # Panics
///
/// The plaintext has over 64 GiB.
#[must_use]
pub fn seal(key: &SealingKey, origin: FactId, field: &str, plaintext: &[u8]) -> Sealed {
    let associated = seal_associated_data(origin, field);
    let ciphertext = Aes256GcmSiv::new(&key.key.into())
        .encrypt(&Nonce::from(seal_nonce(origin, field)), Payload { msg: plaintext, aad: &associated })
        .expect("expected a plaintext of at most 64 GiB");
    Sealed { algorithm: AES_256_GCM_SIV, key_id: key.id, origin, field: field.into(), ciphertext: ciphertext.into() }
}

/// # Errors
///
/// See [`OpenError`].
pub fn open(key: &SealingKey, sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
    if sealed.algorithm != AES_256_GCM_SIV {
        return Err(OpenError::Algorithm(sealed.algorithm));
    }
    if sealed.key_id != key.id {
        return Err(OpenError::OtherKey { sealed_with: sealed.key_id, tried: key.id });
    }
    let associated = seal_associated_data(sealed.origin, &sealed.field);
    Aes256GcmSiv::new(&key.key.into())
        .decrypt(
            &Nonce::from(seal_nonce(sealed.origin, &sealed.field)),
            Payload { msg: &sealed.ciphertext, aad: &associated },
        )
        .map_err(|_| OpenError::Damaged { origin: sealed.origin })
}
