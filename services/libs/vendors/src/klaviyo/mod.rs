//! Klaviyo: messages are sent by events that trigger the merchant's flows. See
//! `docs/vendors/klaviyo.md`.

mod next;

pub use next::next;

use tradewind_domain::{Account, Capability};

use crate::outbound::{Limit, Operation};
use crate::roster::{Access, Integration, Outbound};

/// How long we trust Klaviyo to recognise a `unique_id`. It documents no end to
/// that, and none to rely on: a day covers our retries, later is a person's call.
pub const UNIQUE_ID_LIFETIME_MS: i64 = 24 * 60 * 60 * 1_000;

/// Ours, not Klaviyo's: it answers before it has processed the event, and says
/// nothing of how long that takes.
pub const EVENT_SETTLE_MS: i64 = 5 * 60 * 1_000;

pub const OPERATIONS: &[Operation] = &[Operation {
    capability: Capability::MessageSend,
    settle_ms: EVENT_SETTLE_MS,
    limits: &[Limit { requests: 350, window_ms: 1_000 }, Limit { requests: 3_500, window_ms: 60_000 }],
}];

pub const INTEGRATION: Integration = Integration {
    vendor: "klaviyo",
    inbound: None,
    outbound: Some(Outbound { operations: OPERATIONS, next }),
    access: Some(Access { origin, authorization }),
};

fn origin(_: &Account) -> Option<String> {
    Some("https://a.klaviyo.com".to_owned())
}

/// The secret is a private key, `pk_…`.
fn authorization(secret: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(secret).ok()?.trim();
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_key.then(|| format!("Klaviyo-API-Key {key}"))
}
