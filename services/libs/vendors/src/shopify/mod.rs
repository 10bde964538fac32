//! Shopify: carts, checkouts and orders as signed webhooks. See `docs/vendors/shopify.md`.

mod translate;
mod verify;

pub use translate::translate;
pub use verify::verify;

use crate::roster::{Inbound, Integration};

pub const INTEGRATION: Integration = Integration {
    vendor: "shopify",
    inbound: Some(Inbound {
        translation: 1,
        kept_headers: &[
            "x-shopify-topic",
            "x-shopify-shop-domain",
            "x-shopify-api-version",
            "x-shopify-webhook-id",
            "x-shopify-event-id",
            "x-shopify-triggered-at",
            "shopify-topic",
            "shopify-shop-domain",
            "shopify-api-version",
            "shopify-webhook-id",
            "shopify-event-id",
            "shopify-triggered-at",
        ],
        verify,
        translate,
        translate_fetched: None,
    }),
    outbound: None,
    access: None,
};

/// A header of either family: `shopify-…` of the newer deliveries, else `x-shopify-…`.
fn header<'a>(find: impl Fn(&str) -> Option<&'a str>, name: &str) -> Option<&'a str> {
    find(&format!("shopify-{name}")).or_else(|| find(&format!("x-shopify-{name}")))
}
