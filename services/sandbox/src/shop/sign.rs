//! Headers and signatures of webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::chance::Chance;
use crate::clock::zulu_nanos;
use crate::settings::Secret;

/// The version the payloads are written in.
const API_VERSION: &str = "2026-07";

/// How long after a rotation the old secret is still signed with.
const ROTATION_MS: i64 = 60 * 60 * 1_000;

/// Every header but the signature.
pub(crate) fn headers(
    is_newer: bool,
    topic: &str,
    domain: &str,
    webhook_id: &str,
    event_id: &str,
    triggered_at_ms: i64,
) -> Vec<(String, String)> {
    let named = [
        ("Topic", topic.to_owned()),
        ("Shop-Domain", domain.to_owned()),
        ("API-Version", API_VERSION.to_owned()),
        ("Webhook-Id", webhook_id.to_owned()),
        ("Event-Id", event_id.to_owned()),
        ("Triggered-At", zulu_nanos(triggered_at_ms)),
    ];
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(named.map(|(name, value)| (family(is_newer, name), value)));
    headers
}

fn family(is_newer: bool, name: &str) -> String {
    if is_newer { format!("shopify-{}", name.to_ascii_lowercase()) } else { format!("X-Shopify-{name}") }
}

/// Signs each attempt anew: a retry of a delivery may carry another signature than
/// its first attempt did.
#[derive(Debug)]
pub(crate) struct Signer {
    seed: u64,
    secret: Secret,
    old_secret: Option<Secret>,
    old_until_ms: i64,
}

impl Signer {
    pub(crate) fn new(seed: u64, secret: Secret, old_secret: Option<Secret>, rotated_at_ms: i64) -> Signer {
        Signer { seed, secret, old_secret, old_until_ms: rotated_at_ms + ROTATION_MS }
    }

    pub(crate) fn header(
        &self,
        is_newer: bool,
        body: &[u8],
        webhook_id: &str,
        attempt: usize,
        now_ms: i64,
    ) -> (String, String) {
        let mut chance = Chance::of(self.seed, "secret", &[webhook_id.as_bytes(), &attempt.to_be_bytes()]);
        let old = self.old_secret.as_ref().filter(|_| now_ms < self.old_until_ms && chance.per_mille(500));
        let key = old.unwrap_or(&self.secret).as_str().as_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        let signature = STANDARD.encode(mac.chain_update(body).finalize().into_bytes());
        (family(is_newer, "Hmac-Sha256"), signature)
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    /// HMAC by its definition, from hashes alone.
    fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
        assert!(key.len() <= 64);
        let pad = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect() };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
        Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
    }

    #[test]
    fn a_known_message_has_its_known_signature() {
        // openssl dgst -sha256 -hmac shopify-test-secret -binary | base64
        let signer = Signer::new(7, "shopify-test-secret".into(), None, 0);
        let (name, signature) = signer.header(false, br#"{"id":5}"#, "w", 0, 0);
        assert_eq!(name, "X-Shopify-Hmac-Sha256");
        assert_eq!(signature, STANDARD.encode(hmac(b"shopify-test-secret", br#"{"id":5}"#)));
        assert_eq!(signature, "jCcoorv7dcGFIhWzWVt+6+pEz0YFIddzyTQOYiaekEg=");
        assert_eq!(signer.header(true, b"x", "w", 0, 0).0, "shopify-hmac-sha256");
    }

    #[test]
    fn either_secret_signs_for_an_hour_and_then_the_new_one() {
        let signer = Signer::new(7, "new".into(), Some("old".into()), 1_000);
        let signed = |attempt, now_ms| signer.header(false, b"body", "w", attempt, now_ms).1;
        let (new, old) = (STANDARD.encode(hmac(b"new", b"body")), STANDARD.encode(hmac(b"old", b"body")));
        let during: Vec<String> = (0..40).map(|attempt| signed(attempt, 2_000)).collect();
        assert!(during.contains(&new) && during.contains(&old));
        assert!(during.iter().all(|signature| *signature == new || *signature == old));
        assert!((0..40).all(|attempt| signed(attempt, 1_000 + ROTATION_MS) == new));
    }
}
